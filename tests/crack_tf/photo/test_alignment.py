"""A mask that was shifted off its crack is noticed, and the move back is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.photo.alignment import MIN_SHIFT, REACH, alignment
from crack_tf.synthetic.tiles import render_tile
from tests.crack_tf.data.drawn_pairs import draw_pair


def grey_and_mask(seed: int) -> tuple[np.ndarray, np.ndarray]:
    photo, mask = draw_pair(seed, 160, 120)
    return np.asarray(photo.convert("L")), np.asarray(mask) > 0


@settings(max_examples=25)
@given(seed=st.integers(0, 50), x=st.integers(-8, 8), y=st.integers(-8, 8))
def test_the_move_back_is_found_across_the_crack(seed: int, x: int, y: int) -> None:
    grey, mask = grey_and_mask(seed)
    home = alignment(grey, mask)
    assert not home.misaligned
    moved = np.zeros_like(mask)
    moved[max(0, y) : 120 + min(0, y), max(0, x) : 160 + min(0, x)] = mask[
        max(0, -y) : 120 + min(0, -y), max(0, -x) : 160 + min(0, -x)
    ]
    found = alignment(grey, moved)
    # Along a straight crack any move fits, so it is the contrast that must come back.
    assert found.shifted_contrast >= 0.75 * home.contrast
    if found.contrast < home.contrast / 2 and np.hypot(found.x, found.y) >= MIN_SHIFT:
        assert found.misaligned
    if x == 0 and abs(y) >= 6:
        assert found.misaligned
        assert found.y * y < 0


def test_exact_masks_of_synthetic_cracks_raise_no_alarm() -> None:
    for index in range(12):
        tile = render_tile(1, index, True, 256)
        grey = np.asarray(tile.image.mean(axis=2)).astype(np.uint8)
        fit = alignment(grey, tile.mask)
        assert not fit.misaligned
        assert fit.contrast > 0


def test_a_wide_mask_around_a_thin_crack_is_not_misaligned() -> None:
    grey = np.full((100, 100), 160, np.uint8)
    grey[49:51] = 40
    mask = np.zeros((100, 100), bool)
    mask[40:58] = True
    assert not alignment(grey, mask).misaligned


@pytest.mark.parametrize("level", [0, 160])
def test_a_flat_photograph_has_nothing_to_align(level: int) -> None:
    mask = np.zeros((50, 60), bool)
    mask[20] = True
    fit = alignment(np.full((50, 60), level, np.uint8), mask)
    assert (fit.contrast, fit.x, fit.y, fit.misaligned) == (0, 0, 0, False)


def test_a_mask_without_a_crack_is_in_place() -> None:
    fit = alignment(np.zeros((20, 20), np.uint8), np.zeros((20, 20), bool))
    assert (fit.x, fit.y, fit.contrast, fit.misaligned) == (0, 0, 0.0, False)


def test_the_reach_exceeds_the_least_move_that_is_reported() -> None:
    assert REACH > MIN_SHIFT > 2
