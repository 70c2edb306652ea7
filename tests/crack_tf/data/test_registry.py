"""Finding data: registry names, class folders by many names, clear errors, manifests kept in the cache."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from itertools import product
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from crack_tf.data import folders, registry
from crack_tf.data.__main__ import main
from crack_tf.data.folders import class_folders
from crack_tf.data.neighbours import metu_blocks, photograph_keys
from crack_tf.data.registry import DATASETS, fetch, locate, prepare
from crack_tf.synthetic import tiles
from tests.crack_tf.data.drawn_pairs import write_pair
from tflite.errors import CrackError
from tflite.files import write_bytes
from tflite.images import list_images
from tflite.manifest import SPLITS, Manifest


def fill(folder: Path, count: int = 1, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, *folder.name.encode()])
    for k in range(count):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{k:03d}.png")


@pytest.mark.parametrize(
    ("crack", "clean"),
    [
        ("crack", "no_crack"),
        ("Positive", "Negative"),
        ("CRACKED", "Uncracked"),
        ("Cracked", "Non-cracked"),
        ("CD", "UD"),
        ("cracks", "No Cracks"),
    ],
)
def test_class_folders_are_recognised_by_name(tmp_path: Path, crack: str, clean: str) -> None:
    fill(tmp_path / crack)
    fill(tmp_path / clean)
    assert locate(str(tmp_path)).files() == sorted([(f"{crack}/000.png", 1), (f"{clean}/000.png", 0)])


def test_nested_classes_are_found_and_masks_ignored(tmp_path: Path) -> None:
    for part in ("Decks/Cracked", "Decks/Non-cracked", "Walls/Cracked", "Walls/Non-cracked"):
        fill(tmp_path / "archive" / part)
    fill(tmp_path / "archive/Walls/masks")
    assert [label for _, label in locate(str(tmp_path)).files()] == [1, 0, 1, 0]


def test_missing_folder_names_the_data_sets() -> None:
    with pytest.raises(CrackError, match=r"nowhere does not exist. Give a data set .synthetic, metu, sdnet2018"):
        locate("nowhere")


def test_file_instead_of_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiles.zip"
    path.touch()
    with pytest.raises(CrackError, match="is a file, not a folder"):
        locate(str(path))


def test_folder_without_classes_lists_what_it_holds(tmp_path: Path) -> None:
    fill(tmp_path / "left")
    fill(tmp_path / "right")
    fill(tmp_path, 2)
    with pytest.raises(CrackError, match=r"no class folders .sub-folders: left, right; images outside them: 2"):
        class_folders(tmp_path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="sub-folders: none; images outside them: 0"):
        class_folders(tmp_path)


@pytest.mark.parametrize(("present", "missing"), [("crack", "no_crack"), ("Negative", "crack")])
def test_one_class_is_refused(tmp_path: Path, present: str, missing: str) -> None:
    fill(tmp_path / present)
    with pytest.raises(CrackError, match=f"only one class: no {missing} folder .sub-folders: {present}"):
        class_folders(tmp_path)


def test_class_folder_without_images_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "crack")
    (tmp_path / "no_crack").mkdir()
    (tmp_path / "no_crack/notes.txt").touch()
    with pytest.raises(CrackError, match=r"no_crack folder .* holds no image"):
        locate(str(tmp_path)).files()


def test_images_beside_the_classes_are_ambiguous(tmp_path: Path) -> None:
    for name in ("crack", "no_crack", "unsure"):
        fill(tmp_path / name)
    with pytest.raises(CrackError, match=r"ambiguous: .* holds images in unsure"):
        class_folders(tmp_path)


def test_local_copy_is_found_below_the_variable_and_keeps_its_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "metu/Positive")
    fill(tmp_path / "metu/Negative")
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    by_name, by_path = locate("metu"), locate(str(tmp_path / "metu"))
    assert by_name == by_path
    assert (by_name.root, by_name.licence) == ("$CRACK_TF_DATA/metu", "CC-BY-4.0")
    assert by_name.neighbours is metu_blocks
    assert DATASETS["sdnet2018"].neighbours is photograph_keys


def stub_kagglehub(monkeypatch: pytest.MonkeyPatch, download: object) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=download))


def test_kaggle_download_is_used_when_there_is_no_local_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "1/Positive")
    fill(tmp_path / "1/Negative")
    asked = []

    def download(handle: str) -> str:
        asked.append(handle)
        return str(tmp_path / "1")

    stub_kagglehub(monkeypatch, download)
    place = locate("metu")
    assert asked == ["arnavr10880/concrete-crack-images-for-classification"]
    assert (place.name, len(place.files())) == ("metu", 2)


def test_failed_download_says_how_to_do_it_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: str) -> str:
        raise ConnectionError("Failed to resolve 'api.kaggle.com'")

    stub_kagglehub(monkeypatch, fail)
    with pytest.raises(
        CrackError, match=r"(?s)Failed to resolve.*kaggle.com/datasets/.*folder named metu.*CRACK_TF_DATA"
    ):
        locate("metu")


def test_missing_kagglehub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(CrackError, match=r"pip install 'crack_tf\[train\]'"):
        locate("sdnet2018")


def test_fetch_copies_and_refuses_to_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "data/metu/Positive")
    fill(tmp_path / "data/metu/Negative")
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path / "data"))
    write_bytes(tmp_path / "data/metu/Negative/999.png", b"x")
    out = fetch("metu", tmp_path / "mine")
    assert locate(str(out)).files() == locate("metu").files()
    with pytest.raises(CrackError, match="exists already"):
        fetch("metu", out)
    (out / "notes.txt").touch()
    (tmp_path / "data/metu/Negative/999.png").unlink()
    fetch("metu", out, overwrite=True)
    assert (out / "notes.txt").exists()
    assert not (out / "Negative/999.png").exists()
    assert locate(str(out)).files() == locate("metu").files()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine"]  # no partial copy left


def test_fetch_refuses_unknown_names_and_a_target_around_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "metu/Positive")
    fill(tmp_path / "metu/Negative")
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    with pytest.raises(CrackError, match="'imagenet' is unknown: choose one of synthetic, metu, sdnet2018"):
        fetch("imagenet")
    with pytest.raises(CrackError, match="lie in one another"):
        fetch("metu", tmp_path, overwrite=True)
    assert (tmp_path / "metu/Positive/000.png").exists()


def test_prepare_reads_a_manifest_as_it_is(tiny_manifest: Manifest) -> None:
    assert prepare(str(tiny_manifest.source), policy="plain", seed=9) == tiny_manifest


def test_prepare_splits_a_folder_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "crack", 20)
    fill(tmp_path / "no_crack", 20)
    first = prepare(str(tmp_path), "plain", 1)
    assert (first.dataset, first.policy, first.seed, len(first.items)) == (tmp_path.name, "plain", 1, 40)
    assert first.read(first.items[0])
    with monkeypatch.context() as patch:
        patch.setattr("crack_tf.data.registry.audit", None)  # a second audit would fail
        assert prepare(str(tmp_path), "plain", 1) == first
    fill(tmp_path / "crack", 21)
    assert len(prepare(str(tmp_path), "plain", 1).items) == 41


def test_a_folder_is_listed_once_for_all_that_asks_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "crack", 20)
    fill(tmp_path / "no_crack", 20)
    spy = Mock(side_effect=list_images)
    monkeypatch.setattr(folders, "list_images", spy)
    prepare(str(tmp_path), "plain", 1)
    assert sorted(call.args[0].name for call in spy.mock_calls) == ["crack", "no_crack"]


def test_prepare_refuses_an_unknown_policy(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="--policy 'random'"):
        prepare(str(tmp_path), "random")


def test_prepare_of_a_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"does not exist. Make one with: crack-tf data split"):
        prepare(str(tmp_path / "none.csv"))


# Files of a miniature of each set, as the published ones are named: two crops of each of `PHOTOGRAPHS` photographs.
PHOTOGRAPHS = 14
MINIATURES: dict[str, Callable[[int, int], list[str]]] = {
    "uav_concrete": lambda photo, crop: [f"images/slide{100 * photo + crop}.jpg"],
    "bridge_deck": lambda photo, crop: [f"images/ckjx{photo}c93t_{crop:02d}.jpg"],
    "uav_asphalt": lambda photo, crop: [f"images/937958_DJI_2023_{photo:04d}_Z.JPG_{crop}_z.jpg"],
    "cssc": lambda photo, crop: [
        f"crack/accept{photo:03d}{crop:03d}.jpg",
        f"no_crack/nonAccept{photo:03d}{crop:03d}.jpg",
        f"spalling_no_crack/accept{photo:03d}{crop:03d}.jpg",
    ],
    "scenes_clean": lambda photo, crop: [f"source{photo % 3}/{crop:03d}_images_DSC_{photo}_s{crop}_10_20.jpg"],
    "scenes_whole": lambda photo, crop: [f"facades_{2 * photo + crop:03d}.jpg"],
    "brick": lambda photo, crop: [f"{name}/{2 * photo + crop:05d}.jpg" for name in ("crack", "no_crack")],
}
BY_PHOTOGRAPH = [name for name in MINIATURES if DATASETS[name].neighbours is not None]


def write_miniature(name: str, data: Path) -> None:
    """The set of that name below a data folder, drawn."""
    root, seed = data / str(DATASETS[name].local), 0
    for photo, crop in product(range(PHOTOGRAPHS), range(2)):
        for path in MINIATURES[name](photo, crop):
            seed += 1
            target = root / path
            if DATASETS[name].task == "segment":
                write_pair(target.parent, root / "masks", target.stem, seed, cracked=photo % 4 > 0)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(target, quality=95)


def check_split(manifest: Manifest, name: str) -> dict[str, set[str]]:
    """What holds of the split of every set; the splits of each group."""
    entry = DATASETS[name]
    assert (manifest.dataset, manifest.root) == (name, f"$CRACK_TF_DATA/{entry.local}")
    assert manifest.licence == entry.licence
    assert manifest.task == entry.task
    sides: dict[str, set[str]] = {}
    for item in manifest.items:
        sides.setdefault(item.group, set()).add(item.split)
    assert all(len(side) == 1 for side in sides.values())
    for part in SPLITS:
        labels = {item.label for item in manifest.split(part)}
        assert labels == {0} if entry.clean else 1 in labels
    return sides


@pytest.mark.parametrize("name", MINIATURES)
def test_a_registered_set_is_found_below_the_variable_and_split_by_photograph(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_miniature(name, tmp_path)
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    assert locate(name) == locate(str(tmp_path / str(DATASETS[name].local)))
    manifest = prepare(name)
    sides = check_split(manifest, name)
    pictures = len(manifest.items)
    assert pictures == 2 * PHOTOGRAPHS * len(MINIATURES[name](0, 0))
    assert len(sides) == (pictures // 2 if name in BY_PHOTOGRAPH else pictures)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIATURES)
def test_a_registered_set_on_this_machine_is_split_without_a_photograph_on_two_sides(
    name: str, data_root: Path
) -> None:
    if not (data_root / str(DATASETS[name].local)).is_dir():
        pytest.skip(f"{name} is not below CRACK_TF_DATA")
    manifest = prepare(name)
    sides = check_split(manifest, name)
    if name in BY_PHOTOGRAPH:
        assert len(sides) < len(manifest.items)
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert abs(len(manifest.split(part)) / len(manifest.items) - share) < 0.05


def test_other_damage_without_a_crack_is_a_clean_class(tmp_path: Path) -> None:
    for name in ("crack", "no_crack", "spalling_no_crack", "Rust-No-Crack"):
        fill(tmp_path / name)
    labels = {Path(path).parent.name: label for path, label in locate(str(tmp_path)).files()}
    assert labels == {"crack": 1, "no_crack": 0, "spalling_no_crack": 0, "Rust-No-Crack": 0}


@pytest.mark.slow
def test_a_clean_set_has_one_class_whatever_its_folders_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_miniature("scenes_clean", tmp_path)
    fill(tmp_path / "scenes_clean/crack", 4)  # a source of that name is no class
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    place = locate("scenes_clean")
    assert place.classes == ("no_crack",)
    assert {label for _, label in place.files()} == {0}
    assert main(["audit", "scenes_clean", "--out", str(tmp_path / "audit")]) == 0
    numbers = json.loads((tmp_path / "audit/summary.json").read_text())
    assert {name: of_class["files"] for name, of_class in numbers["classes"].items()} == {"no_crack": 32, "crack": 0}


def test_a_folder_with_both_classes_is_not_clean(tmp_path: Path) -> None:
    fill(tmp_path / "crack")
    fill(tmp_path / "no_crack")
    with pytest.raises(CrackError, match=r"--clean: .* has a folder of cracked pictures"):
        locate(str(tmp_path), clean=True)
    assert {label for _, label in locate(str(tmp_path / "no_crack"), clean=True).files()} == {0}


def test_a_clean_set_without_a_picture_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenes_clean").mkdir()
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    with pytest.raises(CrackError, match=r"scenes_clean holds no image. Put the crack-free pictures there"):
        locate("scenes_clean").files()


def test_sets_kept_for_testing_are_named_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert {name for name, entry in DATASETS.items() if entry.left_out} == {"brick", "scenes_whole", "joints"}
    assert main(["list"]) == 0
    assert capsys.readouterr().out.count("not to be trained on") == 3


@pytest.mark.parametrize("name", ["crack500", "deepcrack", "conglomerate"])
def test_a_set_that_must_be_fetched_by_hand_says_from_where_and_to_where(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    page = DATASETS[name].page
    assert page
    with pytest.raises(
        CrackError, match=rf"{name} is not on this machine.*segmentation/{name} and set CRACK_TF_DATA"
    ) as caught:
        locate(name)
    assert page in str(caught.value)


def test_a_set_without_a_known_page_says_so_and_where_a_copy_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    with pytest.raises(
        CrackError, match="No page that has it is known: unpack a copy to a folder named segmentation/uav"
    ):
        locate("uav_concrete")
    assert main(["list"]) == 0
    assert "licence CC0-1.0; by hand: no page is known" in capsys.readouterr().out


def test_synthetic_masks_are_drawn_on_first_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    drawn = tiles.write_pairs
    monkeypatch.setattr(registry, "write_pairs", lambda folder, overwrite: drawn(folder, 4, 32, overwrite=overwrite))
    place = locate("synthetic_masks")
    assert place.task == "segment"
    assert place.folder == tmp_path / "synthetic_masks"
    assert place.listing() == [f"{part}/0000{n}.png" for part in ("images", "masks") for n in range(1, 5)]
