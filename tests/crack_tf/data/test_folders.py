"""Folders that are split already stay split, and what is passed over is counted."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.data.__main__ import main
from crack_tf.data.audit import audit, summary
from crack_tf.data.folders import folder_split, passed_over
from crack_tf.data.registry import locate, prepare
from crack_tf.data.split import split
from tests.conftest import draw_tile
from tests.crack_tf.data.drawn_pairs import write_pair
from tflite.errors import CrackError
from tflite.manifest import SPLITS, Manifest, read_manifest


def fill(folder: Path, label: int, count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        draw_tile(label, seed=1000 * seed + number, size=32).save(folder / f"x{number:03d}.png")


def presplit(root: Path, names: tuple[str, ...] = ("train", "valid", "test"), count: int = 8) -> Path:
    for number, name in enumerate(names):
        for label, kind in enumerate(("no_crack", "crack")):
            fill(root / name / kind, label, count, 2 * number + label)
    return root


def counts(manifest: Manifest) -> Counter[tuple[str, str]]:
    """Files by the first folder of their path and their split."""
    return Counter((item.path.split("/")[0], item.split) for item in manifest.items)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train/crack/a.jpg", "train"),
        ("crack/Valid/a.jpg", "val"),
        ("test_img/a.jpg", "test"),
        ("traincrop/a.jpg", "train"),
        ("archive/val2017/a.jpg", "val"),
        ("images/training/a.jpg", "train"),
        ("Testing set/a.jpg", "test"),
        ("validation/train/a.jpg", "val"),
        ("crack/a.jpg", None),
        ("crack/train.jpg", None),
        ("trains/a.jpg", None),
        ("contest/a.jpg", None),
        ("test 7/a.jpg", None),
    ],
)
def test_a_split_is_read_from_the_outermost_folder_named_like_one(path: str, expected: str | None) -> None:
    assert folder_split(path) == expected


@given(st.text(max_size=30))
def test_any_path_has_one_split_or_none(path: str) -> None:
    assert folder_split(path) in (*SPLITS, None)


def test_folders_that_are_split_stay_split_in_every_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = presplit(tmp_path / "set")
    assert main(["split", str(root), "--out", str(tmp_path / "own.csv")]) == 0
    assert "the split is the folders' own (train, val, test)" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "own.csv")
    assert manifest.policy == "folders"
    assert counts(manifest) == {("train", "train"): 16, ("valid", "val"): 16, ("test", "test"): 16}
    assert prepare(str(root)).items == manifest.items
    assert "the split is the folders' own" in capsys.readouterr().err
    assert prepare(str(root)).policy == "folders"
    assert capsys.readouterr().err == ""


def test_a_policy_that_is_asked_for_draws_anew_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = presplit(tmp_path / "set")
    for policy in ("grouped", "plain"):
        assert main(["split", str(root), "--policy", policy, "--out", str(tmp_path / f"{policy}.csv")]) == 0
        manifest = read_manifest(tmp_path / f"{policy}.csv")
        assert manifest.policy == policy
        assert Counter(item.split for item in manifest.items)["train"] > 30
        printed = capsys.readouterr().out
        moved = sum(item.split != folder_split(item.path) for item in manifest.items)
        assert f"which is not kept: --policy {policy} draws anew, and {moved} of 48 files change sides" in printed


@pytest.mark.parametrize("layout", ["{0}/images {0}/masks", "images/{0} masks/{0}", "{0}_img {0}_lab"])
def test_masks_in_split_folders_stay_split(tmp_path: Path, layout: str) -> None:
    for start, part in enumerate(("train", "test", "val")):
        images, masks = (tmp_path / name for name in layout.format(part).split())
        for number in range(3):
            write_pair(images, masks, f"a{number}", 10 * start + number)
    manifest = prepare(str(tmp_path))
    assert manifest.policy == "folders"
    assert Counter(item.split for item in manifest.items) == {"train": 3, "val": 3, "test": 3}
    assert all(folder_split(item.path) == folder_split(item.mask) == item.split for item in manifest.items)


@pytest.mark.parametrize(("names", "missing"), [(("train", "test"), "val"), (("train", "val"), "test")])
def test_a_split_without_a_folder_is_drawn_from_train_in_whole_groups(
    tmp_path: Path, names: tuple[str, ...], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = presplit(tmp_path / "set", names, 12)
    for kind in ("crack", "no_crack"):
        for number in range(4):
            shutil.copy(root / f"train/{kind}/x{number:03d}.png", root / f"train/{kind}/y{number:03d}.png")
    assert main(["split", str(root), "--out", str(tmp_path / "out.csv")]) == 0
    assert f"no folder for {missing}: it is drawn from train, in whole groups" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "out.csv")
    found = counts(manifest)
    assert found[names[1], names[1]] == 24
    assert found["train", "train"] + found["train", missing] == 32
    assert 4 <= found["train", missing] <= 8
    sides: dict[str, set[str]] = {}
    for item in manifest.items:
        sides.setdefault(item.sha256, set()).add(item.split)
    assert all(len(side) == 1 for side in sides.values())


def test_copies_across_the_folders_splits_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = presplit(tmp_path / "set")
    for number in range(3):
        shutil.copy(root / f"train/crack/x{number:03d}.png", root / f"test/crack/copy{number}.png")
    assert main(["split", str(root), "--out", str(tmp_path / "out.csv")]) == 0
    warning = capsys.readouterr().err
    assert "warning: 3 groups lie in more than one split, 3 of them copies of one picture" in warning
    assert read_manifest(tmp_path / "out.csv").policy == "folders"


def test_files_outside_the_split_folders_make_it_no_split_and_the_user_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    for number, kind in enumerate(("no_crack", "crack")):
        fill(root / kind / "test", number, 8, number)
        fill(root / kind / "train", number, 8, number + 2)
        fill(root / kind, number, 4, number + 4)
    assert main(["split", str(root), "--out", str(tmp_path / "out.csv")]) == 0
    assert read_manifest(tmp_path / "out.csv").policy == "grouped"
    assert "32 of 40 files lie in folders of a split (train, test), the others do not" in capsys.readouterr().err
    result = audit(locate(str(root)), progress=False)
    with pytest.raises(
        CrackError, match=r"not split by its folders \(splits found: test, train; files outside them: 8\)"
    ):
        split(result, "folders")


def test_a_class_that_a_split_folder_lacks_is_named(tmp_path: Path) -> None:
    root = presplit(tmp_path / "set")
    shutil.rmtree(root / "valid/crack")
    with pytest.raises(CrackError, match=r"hold no usable crack image for val\. .* --policy grouped"):
        split(audit(locate(str(root)), progress=False))


def test_what_is_passed_over_is_counted_by_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    for label, kind in enumerate(("no_crack", "crack")):
        fill(root / kind, label, 10, label)
    for number in range(4):
        (root / f"crack/y{number}.xcf").write_bytes(b"x")
    for name in ("readme.txt", ".DS_Store", "crack/LICENSE", "masks/1.png", "masks/2.png", ".cache/1.png", "3.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    place = locate(str(root))
    expected = {".xcf": 4, ".png in masks/": 2, "hidden": 2, ".png": 1, ".txt": 1, "without a suffix": 1}
    assert passed_over(place) == expected
    assert passed_over(place, near=True) == {".xcf": 4, "without a suffix": 1}
    assert summary(audit(place, progress=False))["passed_over"] == expected
    sentence = (
        "passed over, no part of the data set: 4 .xcf, 2 .png in masks/, 2 hidden, 1 .png, 1 .txt, 1 without a suffix"
    )
    for verb, out in (("split", "out.csv"), ("audit", "audit")):
        assert main([verb, str(root), "--out", str(tmp_path / out)]) == 0
        assert sentence in capsys.readouterr().out
    prepare(str(root))
    assert "passed over, no part of the data set: 4 .xcf, 1 without a suffix" in capsys.readouterr().err


def test_photographs_without_a_folder_of_masks_are_counted(tmp_path: Path) -> None:
    for number in range(6):
        write_pair(tmp_path / "train/images", tmp_path / "train/masks", f"a{number}", number)
    shutil.copytree(tmp_path / "train/images", tmp_path / "test/images")
    assert passed_over(locate(str(tmp_path))) == {".jpg in test/": 6}


def test_a_class_that_is_a_link_is_followed_and_what_it_leads_to_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    for label, kind in enumerate(("no_crack", "crack")):
        fill(tmp_path / "disk" / kind, label, 10, label)
        root.mkdir(exist_ok=True)
        (root / kind).symlink_to(tmp_path / "disk" / kind)
    assert main(["split", str(root), "--out", str(tmp_path / "one.csv")]) == 0
    assert len(read_manifest(tmp_path / "one.csv").items) == 20
    (tmp_path / "disk/crack/gone.png").symlink_to(tmp_path / "nowhere.png")
    assert main(["split", str(root), "--out", str(tmp_path / "two.csv")]) == 1
    assert "warning: crack/gone.png is a link to a file that is not there" in capsys.readouterr().err


def test_links_that_lead_nowhere_or_to_a_folder_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    for label, kind in enumerate(("no_crack", "crack")):
        fill(root / kind, label, 10, label)
    (root / "crack/gone.png").symlink_to(tmp_path / "nowhere.png")
    fill(tmp_path / "elsewhere", 1, 2, 7)
    (root / "crack/more").symlink_to(tmp_path / "elsewhere")
    result = audit(locate(str(root)), progress=False)
    assert [path for path, _ in result.troubles] == ["crack/gone.png", "crack/more"]
    assert result.passed_over == {}
    for verb, out in (("split", "out.csv"), ("audit", "audit")):
        assert main([verb, str(root), "--out", str(tmp_path / out)]) == 1
        told = capsys.readouterr().err
        assert "warning: crack/gone.png is a link to a file that is not there" in told
        assert "warning: crack/more is a link to a folder, which is not followed" in told
    assert len(summary(result)["troubles"]) == 2
    prepare(str(root))
    assert "crack/more is a link to a folder" in capsys.readouterr().err
