"""Wide cracks are drawn from the reduced photograph; all else is what the photograph itself says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from crack_tf.inference.maps import segment
from crack_tf.inference.scales import LONGER, REDUCED, WIDE, segment_at_scales, wide_parts
from tflite.errors import CrackError

HEIGHT, WIDTH = 251, 330  # neither is a multiple of `REDUCED`


class Edges:
    """A model as blind as the real one: it calls dark pixels crack that have a light one within seven pixels."""

    image_size = 64

    def __init__(self) -> None:
        self.asked = 0

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        self.asked += tiles[..., 0].size
        dark = tiles[..., 0] < 100
        light_near = ndimage.minimum_filter(dark, (1, 15, 15)) == 0
        return np.asarray(dark & light_near, np.float32)


def photo_with(*bands: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    for band in bands:
        photo[band] = 40
    return photo, photo[..., 0] < 100


def test_a_wide_crack_is_drawn_whole_and_the_photograph_alone_shows_its_edges_only() -> None:
    photo, crack = photo_with((slice(100, 140), slice(0, WIDTH)))
    alone, both = segment(photo, Edges()) >= 0.5, segment_at_scales(photo, Edges(), 0.5) >= 0.5
    assert (alone & crack).sum() < 0.5 * crack.sum()
    assert (both & crack).sum() == crack.sum()
    assert (both & ~crack).sum() <= REDUCED * WIDTH


def test_finer_cracks_and_holes_are_left_to_the_photograph_itself() -> None:
    fine, hole = (slice(40, 52), slice(0, WIDTH)), (slice(120, 165), slice(60, 105))
    photo, _ = photo_with(fine, hole)
    np.testing.assert_array_equal(segment_at_scales(photo, Edges(), 0.5), segment(photo, Edges()))


def test_outside_the_foreground_nothing_is_drawn_at_either_scale() -> None:
    photo, _ = photo_with((slice(100, 140), slice(0, WIDTH)))
    foreground = np.zeros((HEIGHT, WIDTH), bool)
    foreground[:, 51:] = True
    found = segment_at_scales(photo, Edges(), 0.5, foreground=foreground)
    assert (found[~foreground] == 0).all()
    assert found[102:138, 60:].all()


def test_it_costs_a_sixteenth_more_than_the_photograph_alone() -> None:
    photo = np.full((1024, 1024, 3), 200, np.uint8)
    alone, both = Edges(), Edges()
    segment(photo, alone)
    segment_at_scales(photo, both, 0.5)
    assert alone.asked < both.asked < 1.12 * alone.asked


@pytest.mark.parametrize("side", [1, 2, 3, 127])
def test_a_small_photograph_is_looked_at_once(side: int) -> None:
    photo = np.full((side, 300, 3), 40, np.uint8)
    np.testing.assert_array_equal(segment_at_scales(photo, Edges(), 0.5), segment(photo, Edges()))


def test_a_photograph_that_is_none_is_refused() -> None:
    with pytest.raises(CrackError, match="photo"):
        segment_at_scales(np.zeros((300, 300), np.uint8), Edges(), 0.5)


@settings(max_examples=40, deadline=None)
@given(
    wide=st.integers(1, 40),
    long=st.integers(1, 120),
    turned=st.booleans(),
    at=st.tuples(st.integers(0, 80), st.integers(0, 80)),
)
def test_what_is_kept_is_wide_and_longer_than_wide(wide: int, long: int, turned: bool, at: tuple[int, int]) -> None:
    drawn = np.zeros((200, 200), np.float32)
    h, w = (long, wide) if turned else (wide, long)
    drawn[at[0] : at[0] + h, at[1] : at[1] + w] = 0.9
    kept = wide_parts(drawn, 0.5, WIDE / REDUCED)
    assert kept.shape == drawn.shape
    assert kept.dtype == np.float32
    assert not kept[drawn == 0].any()
    thin = min(wide, long)
    if thin <= WIDE / REDUCED - 1:
        assert not kept.any()
    elif thin >= WIDE / REDUCED + 1 and max(wide, long) >= (LONGER + 1) * thin:
        np.testing.assert_array_equal(kept, drawn)


def test_a_thin_crack_beside_a_wide_one_is_not_kept_with_it() -> None:
    drawn = np.zeros((100, 100), np.float32)
    drawn[20:32] = drawn[60:63] = 0.8
    kept = wide_parts(drawn, 0.5, 7.0)
    assert kept[20:32].all()
    assert not kept[60:63].any()


def test_a_part_that_the_photograph_itself_shows_is_left_as_it_is() -> None:
    drawn = np.zeros((60, 100), np.float32)
    drawn[20:32] = 0.8
    shown = np.zeros_like(drawn)
    shown[20:32, :80] = 1.0
    assert not wide_parts(drawn, 0.5, 7.0, shown).any()
    shown[20:32, 40:] = 0.0
    assert wide_parts(drawn, 0.5, 7.0, shown)[20:32].all()
