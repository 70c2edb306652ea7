"""Tiles cover every pixel of a frame, none lies outside, neighbours overlap as asked."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dark_model import SIZE, write_dark_model
from tflite.device.tiles import MAX_OVERLAP, Box, tile_boxes, training_side
from tflite.errors import CrackError

SIDES = st.integers(1, 90)


@settings(max_examples=300)
@given(width=SIDES, height=SIDES, side=SIDES, overlap=st.floats(0, MAX_OVERLAP))
def test_every_pixel_is_covered_and_no_tile_lies_outside(width: int, height: int, side: int, overlap: float) -> None:
    boxes = tile_boxes(width, height, side, overlap)
    covered = np.zeros((height, width), bool)
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.w <= width
        assert box.y + box.h <= height
        assert box.w == box.h == min(side, width, height)
        covered[box.y : box.y + box.h, box.x : box.x + box.w] = True
    assert covered.all()
    assert boxes == sorted(set(boxes))


@settings(max_examples=300)
@given(width=st.integers(1, 5000), side=st.integers(1, 700), overlap=st.floats(0, MAX_OVERLAP))
def test_neighbours_overlap_by_at_least_the_share_asked_for(width: int, side: int, overlap: float) -> None:
    side = min(side, width)
    starts = [box.x for box in tile_boxes(width, side, side, overlap)]
    for left, right in itertools.pairwise(starts):
        assert left + side - right >= min(side * overlap - 1e-9, side - 1)


def test_a_frame_of_exact_multiples_has_no_tile_too_many() -> None:
    assert tile_boxes(448, 224, 224) == [Box(0, 0, 224, 224), Box(0, 224, 224, 224)]
    assert len(tile_boxes(4032, 3024, 224)) == 18 * 14


def test_a_frame_smaller_than_a_tile_gives_square_tiles_of_its_shorter_side() -> None:
    assert tile_boxes(100, 60, 224) == [Box(0, 0, 60, 60), Box(0, 40, 60, 60)]


@pytest.mark.parametrize("arguments", [(0, 5, 5), (5, 0, 5), (5, 5, 0), (5, 5, 5, -0.1), (5, 5, 5, 0.95)])
def test_sizes_and_overlaps_out_of_range_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(CrackError, match=r"at least 1 pixel|overlap must lie"):
        tile_boxes(*arguments)


@pytest.mark.parametrize(
    ("dataset", "side"),
    [("metu", 227), ("sdnet2018", 256), ("metu+sdnet2018", 227), ("mine+sdnet2018", 256), ("mine", SIZE)],
)
def test_the_side_is_that_of_the_training_tiles(dataset: str, side: int, tmp_path: Path) -> None:
    sidecar = write_dark_model(tmp_path / "model.tflite", training={"dataset": dataset})
    assert training_side(sidecar) == side
