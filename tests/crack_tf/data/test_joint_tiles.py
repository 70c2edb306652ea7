"""The set of joints: pairs that differ by a crack, from test splits alone, drawn once; the suite asks about it, trainings do not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from crack_tf.data import joint_tiles, registry
from crack_tf.data.joint_tiles import write_joints
from crack_tf.data.neighbours import joint_surfaces
from crack_tf.evaluation.suite import sets
from crack_tf.inference.predictor import load_predictor
from crack_tf.synthetic.joints import KINDS
from studies import real_scenes
from tests.crack_tf.data.drawn_pairs import draw_pair
from tests.dark_model import write_dark_model
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.images import load_rgb
from tflite.manifest import SPLITS, Item, Manifest, read_manifest, write_manifest

PAIRS, SIZE = 8, 64
GREY = {"train": 220, "val": 130, "test": 175}  # of the concrete in each split


def write_concrete(root: Path, count: int = 14) -> Manifest:
    """Clean tiles whose light tells their split, and a cracked one of each."""
    rng, items = np.random.default_rng(len(root.name)), []
    for split in SPLITS:
        for number in range(count + 1):
            pixels = np.clip(rng.normal(GREY[split], 4, (80, 80, 3)), 0, 255).astype(np.uint8)
            label = int(number == count)
            name = f"{('no_crack', 'crack')[label]}/{split}{number}.png"
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / name)
            items.append(Item(name, sha256_file(root / name), label, f"g{split}{number // 2}", split))
    write_manifest(root / "tiles.csv", Manifest(root.name, "grouped", 0, ".", "CC0-1.0", tuple(sorted(items))))
    return read_manifest(root / "tiles.csv")


def write_cracks(root: Path) -> Manifest:
    """Photographs with a crack right across, and one without in each split: dark ones but in the test split."""
    items = []
    for k, split in enumerate(SPLITS):
        for number in range(4):
            photo, mask = draw_pair(10 * k + number, 280, 200, cracked=number > 0)
            if split != "test":
                photo = photo.point(lambda value: value // 4)
            paths = [f"{folder}/{split}{number}.png" for folder in ("images", "masks")]
            for path, picture in zip(paths, (photo, mask), strict=True):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                picture.save(root / path)
            one, other = (sha256_file(root / path) for path in paths)
            items.append(Item(paths[0], one, int(number > 0), f"p{k}{number}", split, paths[1], other))
    write_manifest(root / "pairs.csv", Manifest("pairs", "grouped", 0, ".", "CC0-1.0", tuple(sorted(items))))
    return read_manifest(root / "pairs.csv")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    root = tmp_path_factory.mktemp("sources")
    return write_cracks(root / "pairs"), write_concrete(root / "tiles"), write_concrete(root / "others")


@pytest.fixture(scope="module")
def made(sources: tuple[Manifest, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_joints(tmp_path_factory.mktemp("made") / "joints", sources[0], sources, PAIRS, SIZE)


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_every_tile_has_a_twin_that_differs_and_every_kind_is_there(made: Path) -> None:
    names = sorted(path.name for path in (made / "crack").iterdir())
    assert names == sorted(path.name for path in (made / "no_crack").iterdir())
    assert Counter(name.split("-")[0] for name in names) == dict.fromkeys(KINDS, PAIRS // len(KINDS))
    for name in names:
        clean, cracked = (load_rgb(made / folder / name) for folder in ("no_crack", "crack"))
        assert clean.shape == cracked.shape == (SIZE, SIZE, 3)
        assert (np.abs(clean.astype(int) - cracked).max(axis=2) > 20).sum() > 20


def test_twins_share_the_group_of_their_concrete(made: Path, sources: tuple[Manifest, ...]) -> None:
    paths = sorted(path.relative_to(made).as_posix() for path in made.rglob("*.jpg"))
    keys = dict(zip(paths, joint_surfaces(paths, [0] * len(paths)), strict=True))
    groups = {f"{manifest.dataset}_{item.group}" for manifest in sources for item in manifest.split("test")}
    assert set(keys.values()) <= groups
    assert all(keys[path] == keys[path.replace("no_crack/", "crack/")] for path in paths)


def test_only_test_splits_are_drawn_on(
    sources: tuple[Manifest, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    read: set[tuple[str, str]] = set()
    plain = Manifest.read

    def noted(manifest: Manifest, item: Item, verify: bool = True) -> bytes:
        read.add((manifest.dataset, item.split))
        return plain(manifest, item, verify)

    monkeypatch.setattr(Manifest, "read", noted)
    write_joints(tmp_path / "joints", sources[0], sources, PAIRS, SIZE)
    assert read == {("pairs", "test"), ("tiles", "test"), ("others", "test")}


def test_the_same_seed_gives_the_same_bytes_and_what_is_whole_stays(
    made: Path, sources: tuple[Manifest, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = write_joints(tmp_path / "joints", sources[0], sources, PAIRS, SIZE)
    assert (again.name, files(again)) == (made.name, files(made))
    other = write_joints(tmp_path / "joints", sources[0], sources, PAIRS, SIZE, seed=1)
    assert not set(files(other).values()) & set(files(made).values())

    def refuse(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(joint_tiles, "draw", refuse)
    assert write_joints(tmp_path / "joints", sources[0], sources, PAIRS, SIZE, seed=1) == other
    for path in other.rglob("*.*"):
        path.unlink()
    for path in (other / "crack", other / "no_crack", other):
        path.rmdir()
    with pytest.raises(AssertionError, match="drawn again"):
        write_joints(tmp_path / "joints", sources[0], sources, PAIRS, SIZE, seed=1)


def test_too_little_concrete_says_how_much_was_drawn(sources: tuple[Manifest, ...], tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"data set joints: \d+ of 60 pairs were drawn, then no even"):
        write_joints(tmp_path / "joints", sources[0], sources, 60, SIZE)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def registered(sources: tuple[Manifest, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's set, small, from the two sources here."""
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    here = {manifest.dataset: manifest for manifest in sources}
    plain = registry.prepare
    entry = replace(registry.DATASETS["joints"], made_of=tuple(here))
    monkeypatch.setitem(registry.DATASETS, "joints", entry)
    monkeypatch.setattr(registry, "prepare", lambda name, *rest: here.get(name) or plain(name, *rest))
    monkeypatch.setattr(joint_tiles, "write_joints", partial(write_joints, pairs=16, size=SIZE))


@pytest.mark.usefixtures("registered")
def test_the_suite_asks_about_all_of_it_and_takes_no_twin_for_a_wrong_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (chosen,) = (chosen for chosen in sets.DOMAINS if chosen.label == "joints")
    tiles = sets.load_set(replace(chosen, side=SIZE))
    assert (len(tiles.labels), tiles.labels.sum(), tiles.split) == (32, 16, "all")
    assert "same picture" not in capsys.readouterr().err
    for learned, left_out in (("brick", True), ("tiles+brick", False)):
        path = tmp_path / f"{left_out}.tflite"
        write_dark_model(path, training={"dataset": learned, "policy": "grouped", "seed": 0})
        predictor = load_predictor(path)
        assert sets.is_left_out(predictor, chosen) is left_out
        assert sets.seen_by(predictor, chosen) == chosen
        assert sets.trained_tiles(predictor, chosen) == 0


def test_without_the_sets_it_is_drawn_from_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    (chosen,) = (chosen for chosen in sets.DOMAINS if chosen.label == "joints")
    with pytest.raises(CrackError, match="data set uav_concrete is not on this machine"):
        sets.load_set(chosen)


def test_no_recipe_trains_on_it() -> None:
    steps = real_scenes.steps(Path("data"))
    assert not [step for step in steps if "joints" in map(str, step.words)]
    assert "joints" not in (*real_scenes.OPEN, *real_scenes.RESEARCH, *real_scenes.DRAWN)
