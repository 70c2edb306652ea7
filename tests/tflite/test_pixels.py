"""Pixel counts add up to the pixels, and rates follow from them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tflite.errors import ImageError
from tflite.pixels import NO_PIXELS, add_counts, count_pixels, decode_mask, iou, pixel_rates

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


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return stream.getvalue()


@given(st.integers(0, 2**16))
def test_a_mask_file_gives_its_mask_back(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < 0.3
    assert (decode_mask(png(mask.astype(np.uint8) * 255), (7, 9)) == mask).all()


def test_masks_of_ones_and_soft_masks_are_cut() -> None:
    ones = np.array([[0, 1], [1, 0]], np.uint8)
    assert (decode_mask(png(ones), (2, 2)) == (ones == 1)).all()
    assert decode_mask(png(np.array([[0, 127], [128, 255]], np.uint8)), (2, 2)).tolist() == [
        [False, False],
        [True, True],
    ]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="4x3 pixels, its photograph 5x3"):
        decode_mask(png(np.zeros((3, 4), np.uint8)), (3, 5))
