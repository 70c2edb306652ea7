"""What is made up for transparent pixels is like their surroundings, and tiles of nothing else are left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.tflite.drawn import rough
from tflite.device.tiles import Box
from tflite.errors import ImageError
from tflite.transparency import boxes_with_pixels, fill, opaque_where


@settings(max_examples=60, deadline=None)
@given(opaque=arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(lambda a: a.any()))
def test_opaque_pixels_stay_and_the_others_lie_between_them(opaque: np.ndarray) -> None:
    pixels = np.where(opaque[..., None], rough(*opaque.shape), 0).astype(np.uint8)
    filled = fill(pixels, opaque)
    assert filled.shape == pixels.shape
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[opaque], pixels[opaque])
    np.testing.assert_array_equal(filled, fill(pixels, opaque), "the same each time")


def test_a_filled_part_has_the_colour_and_the_roughness_of_its_surroundings() -> None:
    whole = rough(200, 300)
    opaque = np.ones(whole.shape[:2], bool)
    opaque[60:, 120:] = False
    filled = fill(np.where(opaque[..., None], whole, 0).astype(np.uint8), opaque)
    inside, outside = filled[60:, 120:], filled[opaque]
    assert np.abs(inside.mean(axis=(0, 1)) - outside.mean(axis=0)).max() < 15
    assert 0.5 < inside.std() / outside.std() < 1.5
    step = np.abs(np.diff(filled[100:, 110:130].astype(int), axis=1)).mean(axis=(0, 2))
    assert step.max() < 2 * np.median(step), "no edge where it begins"


def test_pixels_beside_transparent_ones_do_not_count() -> None:
    seen = np.ones((200, 300), bool)
    assert opaque_where(seen) is None
    seen[40:140, 60:160] = False
    opaque = opaque_where(seen)
    assert opaque is not None
    assert (~opaque).sum() == 104**2
    assert not opaque[38:142, 58:162].any()


def test_a_crack_that_is_called_transparent_stays_and_ground_that_tapers_does_not() -> None:
    """Black is nothing to programs that make mosaics, and black is the middle of a crack."""
    rows, columns = np.indices((400, 600))
    crack = np.abs(columns - 300 - 20 * np.sin(rows / 30)) < 6
    assert opaque_where(~crack) is None
    ground = columns > 500 - rows / 4
    opaque = opaque_where(~(crack | ground))
    assert opaque is not None
    assert opaque[crack].all()
    assert not opaque[ground].any()


def test_tiles_with_next_to_nothing_in_them_are_left_out() -> None:
    opaque = np.zeros((100, 200), bool)
    opaque[:, :25] = True
    boxes = [Box(0, 0, 100, 100), Box(0, 20, 100, 100), Box(0, 100, 100, 100)]
    assert boxes_with_pixels(boxes, opaque, "a.png") == boxes[:1]
    assert boxes_with_pixels(boxes, None, "a.png") == boxes
    with pytest.raises(ImageError, match=r"a\.png is transparent almost everywhere"):
        boxes_with_pixels(boxes[2:], opaque, "a.png")
