"""Synthetic tiles: the same from the same seed, exact masks, and no shortcut to the label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.synthetic import tiles as synthetic
from crack_tf.synthetic.tiles import render_tile, tile_confounders, write_dataset
from tflite.errors import CrackError
from tflite.files import sha256_file


def write(folder: Path, count: int = 6, size: int = 32, **options: Any) -> Path:
    return write_dataset(folder, count, size, progress=False, **options)


def hashes(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def tiles() -> list[synthetic.SyntheticTile]:
    """300 tiles of 128 px, every other one cracked."""
    return [render_tile(5, index, bool(index % 2)) for index in range(300)]


@pytest.mark.parametrize("size", [32, 100, 128, 227])
@pytest.mark.parametrize("cracked", [True, False])
def test_a_tile_has_the_promised_shapes_and_types(size: int, cracked: bool) -> None:
    tile = render_tile(0, 3, cracked, size)
    assert tile.image.shape == (size, size, 3)
    assert tile.image.dtype == np.uint8
    assert tile.mask.shape == (size, size)
    assert tile.mask.dtype == bool
    assert tile.label == int(cracked)
    assert tile.mask.any() == cracked


@pytest.mark.parametrize("cracked", [True, False])
def test_a_tile_depends_on_seed_and_index_alone(cracked: bool) -> None:
    first = render_tile(1, 7, cracked)
    render_tile(1, 8, cracked)
    again = render_tile(1, 7, cracked)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert first.confounders == again.confounders == tile_confounders(1, 7)
    for other in (render_tile(2, 7, cracked), render_tile(1, 8, cracked)):
        assert np.abs(other.image.astype(int) - first.image).mean() > 1


@pytest.mark.parametrize("index", range(12))
def test_the_crack_is_all_that_differs_between_the_classes(index: int) -> None:
    clean, cracked = render_tile(3, index, False), render_tile(3, index, True)
    assert clean.confounders == cracked.confounders
    change = np.abs(cracked.image.astype(int) - clean.image).max(axis=2)
    # Dirt and chipped edges reach a few pixels beyond the crack; further away not one pixel may change.
    near = np.zeros_like(cracked.mask)
    rows, columns = np.nonzero(cracked.mask)
    for row, column in zip(rows, columns, strict=True):
        near[max(0, row - 16) : row + 17, max(0, column - 16) : column + 17] = True
    assert change[~near].max(initial=0) == 0
    inside = clean.image[cracked.mask].astype(int) - cracked.image[cracked.mask]
    assert inside.mean() > 5, "a crack is darker than the surface it runs through"


def test_masks_cover_what_a_crack_covers(tiles: list[synthetic.SyntheticTile]) -> None:
    share = np.array([tile.mask.mean() for tile in tiles if tile.label])
    assert share.min() > 0.002, "every crack is in the picture"
    assert share.max() < 0.25
    assert not any(tile.mask.any() for tile in tiles if not tile.label)


def test_cracks_reach_from_hairline_to_wide(tiles: list[synthetic.SyntheticTile]) -> None:
    from scipy.ndimage import distance_transform_edt

    widths = np.array([2 * distance_transform_edt(tile.mask).max() for tile in tiles if tile.label])
    assert np.percentile(widths, 10) <= 4
    assert np.percentile(widths, 90) >= 8


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a cracked tile scores above a clean one."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    pairs = positive[:, None] - negative[None, :]
    return float(np.mean(pairs > 0) + 0.5 * np.mean(pairs == 0))


@pytest.mark.parametrize(
    "statistic",
    ["mean", "darkest", "std", "brightest", "dark share", "sharpness", "saturation"],
)
def test_no_simple_statistic_separates_the_classes(tiles: list[synthetic.SyntheticTile], statistic: str) -> None:
    functions: dict[str, Any] = {
        "mean": lambda image: image.mean(),
        "darkest": lambda image: -image.mean(axis=2).min(),
        "std": lambda image: image.mean(axis=2).std(),
        "brightest": lambda image: image.mean(axis=2).max(),
        "dark share": lambda image: (image.mean(axis=2) < 60).mean(),
        "sharpness": lambda image: np.abs(np.diff(image.mean(axis=2), axis=0)).mean(),
        "saturation": lambda image: (image.max(axis=2) - image.min(axis=2)).mean(),
    }
    labels = np.array([tile.label for tile in tiles])
    scores = np.array([functions[statistic](tile.image.astype(float)) for tile in tiles])
    assert 0.35 < auc(scores, labels) < 0.8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"index": -1}, "index"),
        ({"size": 31}, "size"),
        ({"size": 1025}, "size"),
        ({"size": "128"}, "size"),
        ({"size": True}, "size"),
    ],
)
def test_render_refuses_bad_arguments_by_name(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(CrackError, match=f"^{named} is "):
        render_tile(**({"seed": 0, "index": 0, "cracked": True, "size": 64} | arguments))


def test_a_set_has_both_classes_masks_and_a_record(tmp_path: Path) -> None:
    images = write(tmp_path / "set", count=7)
    assert images == tmp_path / "set" / "images"
    assert sorted(p.name for p in (images / "crack").iterdir()) == [f"0000{i}.png" for i in (1, 3, 5, 7)]
    assert sorted(p.name for p in (images / "no_crack").iterdir()) == [f"0000{i}.png" for i in (2, 4, 6)]
    assert sorted(p.name for p in images.iterdir()) == ["crack", "no_crack"], "nothing else may look like a class"
    for number in range(1, 8):
        mask = Image.open(tmp_path / "set" / "masks" / f"0000{number}.png")
        tile = render_tile(0, number, bool(number % 2), 32)
        np.testing.assert_array_equal(np.asarray(mask), tile.mask * np.uint8(255))
        name = ("no_crack", "crack")[number % 2]
        np.testing.assert_array_equal(np.asarray(Image.open(images / name / f"0000{number}.png")), tile.image)
    record = json.loads((tmp_path / "set" / "synthetic.json").read_text())
    assert (record["count"], record["size"], record["seed"], record["complete"]) == (7, 32, 0, True)
    assert record["generator_version"] == synthetic.GENERATOR_VERSION
    assert record["classes"] == {"no_crack": 3, "crack": 4}
    joints = sum("joint" in tile_confounders(0, number) for number in (1, 3, 5, 7))
    assert record["confounders"]["crack"]["joint"] == joints


def test_a_larger_count_adds_tiles_and_keeps_the_others(tmp_path: Path) -> None:
    write(tmp_path / "grown", count=4)
    before = hashes(tmp_path / "grown")
    write(tmp_path / "grown", count=8)
    write(tmp_path / "at_once", count=8)
    after = hashes(tmp_path / "grown")
    assert before.items() <= after.items()
    assert after == hashes(tmp_path / "at_once")
    assert (tmp_path / "grown/synthetic.json").read_text() == (tmp_path / "at_once/synthetic.json").read_text()


def test_an_interrupted_set_is_recorded_as_incomplete_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[int] = []

    def interrupted(seed: int, index: int, cracked: bool, size: int = 128) -> synthetic.SyntheticTile:
        if index == 4 and len(rendered) == 3:
            raise KeyboardInterrupt
        rendered.append(index)
        return render_tile(seed, index, cracked, size)

    monkeypatch.setattr(synthetic, "render_tile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set")
    assert json.loads((tmp_path / "set/synthetic.json").read_text())["complete"] is False
    assert not [p for p in (tmp_path / "set").rglob("*") if "partial" in p.name]
    rendered.append(0)
    write(tmp_path / "set")
    assert rendered == [1, 2, 3, 0, 4, 5, 6], "whole tiles are kept"
    monkeypatch.undo()
    write(tmp_path / "whole")
    assert hashes(tmp_path / "set") == hashes(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["truncated", "empty", "mask lost", "wrong size"])
def test_a_damaged_tile_is_made_again(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "set")
    before = hashes(tmp_path / "set")
    path = tmp_path / "set/images/crack/00003.png"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "mask lost":
        (tmp_path / "set/masks/00003.png").unlink()
    else:
        Image.new("RGB", (16, 16)).save(path)
    write(tmp_path / "set")
    assert hashes(tmp_path / "set") == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"seed": 1}, "seed 0, not 1"), ({"size": 48}, "size 32, not 48"), ({"count": 4}, "count 6")],
)
def test_other_settings_are_refused_and_replace_the_set_when_told(
    tmp_path: Path, options: dict[str, int], problem: str
) -> None:
    write(tmp_path / "set")
    before = hashes(tmp_path / "set")
    with pytest.raises(CrackError, match=problem):
        write(tmp_path / "set", **options)
    assert hashes(tmp_path / "set") == before
    write(tmp_path / "set", overwrite=True, **options)
    write(tmp_path / "fresh", **options)
    assert hashes(tmp_path / "set") == hashes(tmp_path / "fresh")


@pytest.mark.parametrize("overwrite", [True, False])
def test_somebody_elses_folder_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    photo = tmp_path / "images" / "crack" / "00001.png"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"mine")
    with pytest.raises(CrackError, match="left alone"):
        write(tmp_path, overwrite=overwrite)
    assert photo.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_overwriting_removes_only_tiles(tmp_path: Path) -> None:
    write(tmp_path / "set")
    note = tmp_path / "set/images/crack/note.png"
    note.write_bytes(b"mine")
    write(tmp_path / "set", seed=1, overwrite=True)
    assert note.read_bytes() == b"mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("x")
    with pytest.raises(CrackError, match="is a file"):
        write(tmp_path / "set")


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "set")
    (tmp_path / "set/synthetic.json").write_text('{"seed": ')
    with pytest.raises(CrackError, match="not valid JSON"):
        write(tmp_path / "set")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"count": 1}, "count"),
        ({"count": 100_000}, "count"),
        ({"count": 2.0}, "count"),
        ({"size": 8}, "size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_write_refuses_bad_arguments_and_makes_no_folder(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(CrackError, match=f"^{named} is "):
        write(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_pairs_hold_the_tiles_and_their_exact_masks(tmp_path: Path) -> None:
    folder = synthetic.write_pairs(tmp_path / "pairs", 4, 64, seed=3, progress=False)
    for number in range(1, 5):
        tile = synthetic.render_tile(3, number, bool(number % 2), 64)
        np.testing.assert_array_equal(np.asarray(Image.open(folder / f"images/{number:05d}.png")), tile.image)
        mask = np.asarray(Image.open(folder / f"masks/{number:05d}.png"))
        np.testing.assert_array_equal(mask, tile.mask.astype(np.uint8) * 255)


def test_a_set_of_one_layout_is_not_taken_for_the_other(tmp_path: Path) -> None:
    synthetic.write_pairs(tmp_path / "made", 2, 32, progress=False)
    with pytest.raises(CrackError, match="layout 'pairs', not None"):
        synthetic.write_dataset(tmp_path / "made", 2, 32, progress=False)
    synthetic.write_dataset(tmp_path / "made", 2, 32, overwrite=True, progress=False)
    assert not list((tmp_path / "made/images").glob("*.png"))
    with pytest.raises(CrackError, match="layout None, not 'pairs'"):
        synthetic.write_pairs(tmp_path / "made", 2, 32, progress=False)
