"""Whole photographs: what comes out is what the model says about the photograph at once, whatever its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.photo.stitch import stitch
from crack_tf.segmentation.photos import SegmenterPool, seams, segment, time_photograph
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
    monkeypatch.setattr("crack_tf.segmentation.photos.BENCHMARK_WIDTH", 300)
    monkeypatch.setattr("crack_tf.segmentation.photos.BENCHMARK_HEIGHT", 200)
    row = time_photograph(segmenter, jobs=2)
    assert row["photo_s"] > 0
    assert row["photo_megapixels"] == 0.06
    assert row["photo_tiles"] == 13 * 8
    assert row["photo_jobs"] == 2
