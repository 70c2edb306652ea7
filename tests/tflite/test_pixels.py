"""Pixel counts add up to the pixels, and rates follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from tflite.pixels import NO_PIXELS, add_counts, count_pixels, iou, pixel_rates

masks = hnp.arrays(bool, (2, 6, 5))


@given(masks, masks)
def test_counts_add_up_to_all_pixels_and_give_f1_and_iou(called: np.ndarray, truth: np.ndarray) -> None:
    counts = count_pixels(called, truth)
    assert counts.positives == truth.sum()
    assert counts.positives + counts.negatives == truth.size
    rates = pixel_rates(counts)
    if (called | truth).any():
        assert rates["iou"] == pytest.approx((called & truth).sum() / (called | truth).sum())
        assert rates["f1"] == pytest.approx(2 * iou(counts) / (1 + iou(counts)))
    else:
        assert rates["iou"] is None


@given(masks, masks)
def test_parts_add_up_to_the_whole(called: np.ndarray, truth: np.ndarray) -> None:
    parts = NO_PIXELS
    for number in range(2):
        parts = add_counts(parts, count_pixels(called[number], truth[number]))
    assert parts == count_pixels(called, truth)


def test_masks_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        count_pixels(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
