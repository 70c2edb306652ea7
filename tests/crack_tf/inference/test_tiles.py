"""Photographs are looked at whole or in tiles that cover them, on any number of threads with the same answers."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crack_tf.inference.tiles import PhotoClassifier, _PixelBudget, photo_boxes
from tests.dark_model import SIZE, logit_of, write_dark_model
from tflite.device.tiles import Box, training_mm
from tflite.errors import CrackError, ImageError, ModelFileError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model that calls dark tiles cracked, 32 pixels."""
    path = tmp_path / "dark.tflite"
    write_dark_model(path)
    return path


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def bright(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


@settings(max_examples=200)
@given(width=st.integers(1, 900), height=st.integers(1, 900), side=st.integers(16, 300), overlap=st.floats(0, 0.9))
def test_every_pixel_is_looked_at(width: int, height: int, side: int, overlap: float) -> None:
    covered = np.zeros((height, width), bool)
    for box in photo_boxes(width, height, side, overlap):
        assert box.y + box.h <= height
        assert box.x + box.w <= width
        covered[box.y : box.y + box.h, box.x : box.x + box.w] = True
    assert covered.all()


@pytest.mark.parametrize(("width", "height"), [(227, 227), (150, 100), (340, 340), (340, 227), (40, 40)])
def test_a_picture_about_as_large_as_a_tile_is_looked_at_whole(width: int, height: int) -> None:
    assert photo_boxes(width, height, 227, 0.25) == [Box(0, 0, height, width)]


@pytest.mark.parametrize(("width", "height"), [(341, 341), (341, 227), (200, 100), (4000, 3000)])
def test_a_larger_or_longer_picture_is_cut_into_squares(width: int, height: int) -> None:
    boxes = photo_boxes(width, height, 227, 0.25)
    assert len(boxes) > 1
    assert {(box.w, box.h) for box in boxes} == {(min(227, height), min(227, height))}


def test_a_photograph_of_12_megapixels_has_432_tiles() -> None:
    assert len(photo_boxes(4000, 3000, 227, 0.25)) == 432


@pytest.mark.parametrize("jobs", [1, 3])
def test_dark_spots_are_found_where_they_are(model: Path, tmp_path: Path, jobs: int) -> None:
    pixels = bright(200, 300)
    pixels[100:132, 250:282] = 20
    path = save(tmp_path / "a.png", pixels)
    with PhotoClassifier(model, jobs=jobs, overlap=0.5) as classifier, classifier.photo(path) as photo:
        boxes = photo_boxes(300, 200, SIZE, 0.5)
        assert [tile.box for tile in photo.tiles] == boxes
        for tile in photo.tiles:
            box = tile.box
            mean = float(pixels[box.y : box.y + box.h, box.x : box.x + box.w].mean())
            assert tile.logit == pytest.approx(logit_of(mean), abs=1 / 16)
            assert tile.crack == (tile.logit >= 0)
            assert tile.probability == pytest.approx(1 / (1 + np.exp(-tile.logit)))
        assert photo.crack
        assert photo.highest.box.x == pytest.approx(250, abs=16)
        assert photo.highest.box.y == pytest.approx(100, abs=16)


def test_a_clean_photograph_has_no_crack(model: Path, tmp_path: Path) -> None:
    with (
        PhotoClassifier(model, jobs=2) as classifier,
        classifier.photo(save(tmp_path / "a.png", bright(99, 99))) as photo,
    ):
        assert not photo.crack
        assert {tile.crack for tile in photo.tiles} == {False}


def test_the_progress_of_a_photograph_adds_up_to_its_tiles(model: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = save(tmp_path / "a.png", bright(200, 200))
    with PhotoClassifier(model, jobs=2) as classifier:
        with classifier.photo(path, lambda tiles, of: steps.append((tiles, of))) as photo:
            pass
        assert sum(tiles for tiles, _ in steps) == len(photo.tiles)
        assert {of for _, of in steps} == {len(photo.tiles)}


def test_pixels_in_memory_are_scored_like_a_file_and_chosen_tiles_alone(model: Path, tmp_path: Path) -> None:
    pixels = bright(200, 300)
    pixels[100:132, 250:282] = 20
    with PhotoClassifier(model, jobs=2) as classifier:
        with classifier.photo(save(tmp_path / "a.png", pixels)) as photo:
            assert tuple(classifier.score(pixels)) == photo.tiles
        chosen = [photo.tiles[3].box, photo.tiles[1].box]
        assert classifier.score(pixels, chosen) == [photo.tiles[3], photo.tiles[1]]
        assert classifier.score(pixels, []) == []


def test_orientation_in_exif_is_applied_before_cutting(model: Path, tmp_path: Path) -> None:
    pixels = bright(64, 128)
    pixels[:, :32] = 20  # on the left; turned a quarter clockwise it is at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with PhotoClassifier(model, jobs=1, overlap=0) as classifier, classifier.photo(tmp_path / "a.png") as photo:
        assert photo.image.shape == (128, 64, 3)
        assert {tile.box.y for tile in photo.tiles if tile.crack} == {0}


def test_tile_side_is_that_of_the_training_tiles(model: Path, tmp_path: Path) -> None:
    write_dark_model(tmp_path / "metu.tflite", training={"dataset": "metu"})
    with PhotoClassifier(tmp_path / "metu.tflite", jobs=1) as classifier:
        assert classifier.side == 227
    with PhotoClassifier(model, jobs=1) as classifier:
        assert classifier.side == SIZE
    with PhotoClassifier(model, jobs=1, side=50) as classifier:
        assert classifier.side == 50


def test_tiles_show_as_much_as_in_training_where_both_scales_are_known(model: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.tflite"
    write_dark_model(known, training={"dataset": "own", "tile_side": 50, "training_mm": 20.0})
    with PhotoClassifier(known, jobs=1, scaled=True, overlap=0) as classifier:
        assert (classifier.tile_mm, classifier.side) == (20.0, 50)
        assert [classifier.side_for(scale) for scale in (0.2, 0.5, None, 100.0, 1e-9)] == [100, 40, 50, 16, 200]
        with classifier.photo(save(tmp_path / "a.png", bright(120, 160)), mm_per_pixel=0.5) as photo:
            assert {(tile.box.w, tile.box.h) for tile in photo.tiles} == {(40, 40)}
        with classifier.photo(tmp_path / "a.png") as photo:
            assert {(tile.box.w, tile.box.h) for tile in photo.tiles} == {(50, 50)}
    with PhotoClassifier(known, jobs=1, side=60) as classifier:
        assert classifier.side_for(0.2) == 60
    with PhotoClassifier(model, jobs=1, scaled=True) as classifier:
        assert (classifier.tile_mm, classifier.side_for(0.2)) == (None, SIZE)


@pytest.mark.parametrize("stated", ["70", -1.0, 0, True, None, float("nan"), 1e9])
def test_millimetres_that_cannot_be_are_unknown(tmp_path: Path, stated: object) -> None:
    sidecar = write_dark_model(tmp_path / "m.tflite")
    assert training_mm(replace(sidecar, training={"training_mm": stated})) is None


def test_a_damaged_photograph_and_a_speck_are_errors_and_the_next_one_is_read(model: Path, tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", bright(60, 60))
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:90])
    speck = save(tmp_path / "speck.png", bright(8, 60))
    with PhotoClassifier(model, jobs=1) as classifier:
        with pytest.raises(ImageError, match="damaged or truncated"), classifier.photo(tmp_path / "half.png"):
            pass
        with pytest.raises(ImageError, match="60x8 pixels: too small"), classifier.photo(speck):
            pass
        with pytest.raises(ImageError, match="cannot read"), classifier.photo(tmp_path / "none.png"):
            pass
        with classifier.photo(whole) as photo:
            assert len(photo.tiles) == 9


def test_a_model_that_is_not_its_sidecars_is_refused(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        PhotoClassifier(model, jobs=1)


def test_an_overlap_out_of_range_is_refused(model: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", bright(99, 99))
    with (
        PhotoClassifier(model, jobs=1, overlap=0.95) as classifier,
        pytest.raises(CrackError, match="overlap"),
        classifier.photo(path),
    ):
        pass


def test_pixels_in_memory_stay_within_the_budget_and_a_huge_photograph_still_enters() -> None:
    budget, inside, most = _PixelBudget(100), [0], [0]
    lock = threading.Lock()

    def hold(pixels: int) -> None:
        with budget.taken(pixels):
            with lock:
                inside[0] += pixels
                most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            with lock:
                inside[0] -= pixels

    threads = [threading.Thread(target=hold, args=(pixels,)) for pixels in [40] * 12]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert most[0] == 80
    huge = threading.Thread(target=hold, args=(1000,))
    huge.start()
    huge.join(timeout=30)
    assert not huge.is_alive()
    assert most[0] == 1000
