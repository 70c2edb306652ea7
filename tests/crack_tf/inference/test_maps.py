"""Whole photographs: what comes out is what the model says about the photograph at once, whatever its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.inference.maps import (
    SegmenterPool,
    parts_of,
    photo_seams,
    seams,
    segment,
    time_photograph,
    window_of,
)
from crack_tf.photo.stitch import stitch
from studies.seam_check import TilesOnly
from tests.dark_map_model import RADIUS, dark_photo, write_map_model
from tflite.errors import CrackError
from tflite.segmenter import Segmenter


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    path = tmp_path_factory.mktemp("map") / "dark.tflite"
    write_map_model(path)
    return Segmenter(path)


def test_a_stitched_photograph_equals_the_untiled_one_away_from_its_borders(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    side = 150
    photo = dark_photo(side, side)
    write_map_model(tmp_path / "whole.tflite", size=side)
    whole = Segmenter(tmp_path / "whole.tflite").probabilities(photo[np.newaxis])[0]
    tiled = segment(photo, segmenter)
    inner = slice(RADIUS, side - RADIUS)
    np.testing.assert_allclose(tiled[inner, inner], whole[inner, inner], atol=1e-5)
    steps = seams(tiled, segmenter.image_size)
    assert steps is not None
    assert steps.ratio < 1.2


def test_threads_change_nothing_but_the_time(segmenter: Segmenter) -> None:
    photo = dark_photo(70, 130)
    np.testing.assert_array_equal(segment(photo, segmenter, jobs=3), segment(photo, segmenter))


@settings(max_examples=15)
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_any_size_gives_a_map_of_that_size(segmenter: Segmenter, height: int, width: int) -> None:
    found = segment(dark_photo(height, width), segmenter)
    assert found.shape == (height, width)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_a_very_wide_photograph_is_one_row_of_tiles(segmenter: Segmenter) -> None:
    calls: list[tuple[int, int]] = []
    found = segment(dark_photo(10, 3000), segmenter, progress=lambda done, total: calls.append((done, total)))
    assert found.shape == (10, 3000)
    assert calls[-1][0] == calls[-1][1] == calls[0][1]
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_outside_the_foreground_nothing_is_computed(segmenter: Segmenter) -> None:
    photo = np.zeros((200, 200, 3), np.uint8)
    foreground = np.zeros((200, 200), bool)
    foreground[:20, :20] = True
    tiles = [0]

    class Counting:
        image_size = segmenter.image_size

        def probabilities(self, some: np.ndarray) -> np.ndarray:
            tiles[0] += len(some)
            return segmenter.probabilities(some)

    found = segment(photo, Counting(), foreground=foreground)
    assert tiles[0] == 1
    assert (found[:20, :20] > 0.9).all()
    assert (found[~foreground] == 0).all()


def test_windows_give_what_tiles_give_and_ask_for_fewer_pixels(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = dark_photo(150, 230)
    tiled = segment(photo, TilesOnly(segmenter))
    told: list[tuple[int, int]] = []
    for limit, count in ((150 * 230, 1), (150 * 80, 4)):
        monkeypatch.setattr("crack_tf.inference.maps.MAX_WINDOW", limit)
        found = segment(photo, segmenter, progress=lambda done, total: told.append((done, total)))
        np.testing.assert_allclose(found, tiled, atol=1e-5)
        assert told[-1] == (count, count)
        assert window_of((150, 230), segmenter) == ((150, 230) if count == 1 else (150, 64))
    steps = photo_seams(found, segmenter)
    assert steps is not None
    assert steps.ratio < 1.2
    np.testing.assert_array_equal(segment(photo, segmenter, jobs=3), found)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 399), st.integers(0, 299), st.integers(1, 60), st.integers(1, 60)), max_size=4)
)
def test_parts_of_a_photograph_are_those_of_the_whole(
    segmenter: Segmenter, marks: list[tuple[int, int, int, int]]
) -> None:
    photo = dark_photo(400, 300)
    foreground = np.zeros((400, 300), bool)
    for y, x, h, w in marks:
        foreground[y : y + h, x : x + w] = True
    whole = np.where(foreground, segment(photo, segmenter), 0)
    asked = [0]

    class Counting:
        image_size, window_step = segmenter.image_size, segmenter.window_step

        def probabilities(self, some: np.ndarray) -> np.ndarray:
            asked[0] += some[..., 0].size
            return segmenter.probabilities(some)

    np.testing.assert_allclose(segment(photo, Counting(), foreground=foreground), whole, atol=1e-5)
    parts = parts_of(foreground, 2, 68)
    if parts is None:
        return
    covered = np.zeros_like(foreground, int)
    for box in parts:
        assert box.y >= 0 <= box.x
        assert min(box.h, box.w) >= 68
        covered[box.y : box.y + box.h, box.x : box.x + box.w] += 1
    assert covered.max(initial=0) <= 1
    assert (covered[foreground] == 1).all()
    assert asked[0] <= 4 * covered.sum()
    if len(marks) == 1:
        assert len(parts) == 1


def test_what_is_left_of_a_part_of_the_photograph_at_its_corner_is_mirrored_as_in_the_whole(
    segmenter: Segmenter,
) -> None:
    foreground = np.zeros((400, 300), bool)
    foreground[395:, 290:] = True
    parts = parts_of(foreground, 2, 68)
    assert parts is not None
    (box,) = parts
    assert (box.y + box.h, box.x + box.w) == (400, 300)
    assert parts_of(np.ones((400, 300), bool), 2, 68) is None
    assert parts_of(np.zeros((400, 300), bool), 2, 68) == []


def test_a_photograph_of_12_megapixels_is_eight_strips(segmenter: Segmenter) -> None:
    class Large:
        image_size, window_step = 256, 32

        def probabilities(self, some: np.ndarray) -> np.ndarray:
            return np.zeros(some.shape[:3], np.float32)

    assert window_of((3000, 4000), Large()) == (3008, 576)
    assert window_of((400, 544), Large()) == (416, 544)
    assert window_of((100, 100), Large()) == (256, 256)
    assert window_of((3000, 4000), TilesOnly(Large())) == 256
    height, width = window_of((9000, 65000), Large())  # type: ignore[misc]
    assert height * width <= 1_800_000
    assert height % 32 == width % 32 == 0
    told: list[int] = []
    segment(np.zeros((3000, 4000, 3), np.uint8), Large(), progress=lambda done, total: told.append(total))
    assert told[-1] == 8


def test_seams_show_with_a_model_that_fades_at_its_edges() -> None:
    def bad(tiles: np.ndarray) -> np.ndarray:
        maps = np.ones(tiles.shape[:3])
        maps[:, 0] = maps[:, :, 0] = 0
        return maps

    found = seams(stitch(dark_photo(96, 96), bad, tile=32, overlap=0.0), 32, 0.0)
    assert found is not None
    assert found.ratio > 5
    assert seams(np.zeros((20, 32), np.float32), 32) is None


def test_bad_arguments_are_refused(segmenter: Segmenter) -> None:
    with pytest.raises(CrackError, match="photo is"):
        segment(np.zeros((40, 40), np.uint8), segmenter)
    with pytest.raises(CrackError, match="overlap"):
        segment(dark_photo(40, 40), segmenter, overlap=0.95)
    with pytest.raises(CrackError, match="foreground"):
        segment(dark_photo(40, 40), segmenter, foreground=np.ones((3, 3), bool))
    with pytest.raises(CrackError, match="jobs"):
        SegmenterPool(segmenter, 0)


def test_the_time_of_a_photograph_names_its_tiles(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crack_tf.inference.maps.BENCHMARK_WIDTH", 300)
    monkeypatch.setattr("crack_tf.inference.maps.BENCHMARK_HEIGHT", 200)
    row = time_photograph(segmenter, jobs=2)
    assert row.photo_s > 0
    assert row.photo_megapixels == 0.06
    assert row.photo_tiles == 1  # a window that holds all of it
    monkeypatch.setattr("tflite.segmenter.window_step", lambda path: None)
    assert time_photograph(segmenter.another(), jobs=2).photo_tiles == 13 * 8
    assert row.photo_jobs == 2
