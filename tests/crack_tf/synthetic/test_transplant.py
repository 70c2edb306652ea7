"""Cracks are lifted off and laid down where they belong, and twins are drawn on the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from crack_tf.synthetic.transplant import TWINS, Shape, lay, lift

SIZE = 48
IDENTITY = np.eye(2, 3)


@given(seed=st.integers(0, 99), contrast=st.floats(0.3, 1.3), width=st.integers(3, 7))
@settings(max_examples=20)
def test_a_lifted_crack_lies_dark_under_its_own_mask_and_leaves_the_rest_alone(
    seed: int, contrast: float, width: int
) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(170, 190, (60, 80, 1)).repeat(3, axis=2).astype(np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[:, 30 : 30 + width] = True
    photo[mask] = 40
    shape = lift(photo, mask)
    assert shape.factor.shape[:2] == shape.mask.shape
    assert shape.factor[shape.mask > 0].mean() < 0.5
    flat = np.full((60, 80, 3), 200, np.uint8)
    laid, where = lay(flat, shape, IDENTITY, contrast)
    assert where.any()
    assert laid[where].mean() < 200 * 0.5**contrast + 20
    far = np.ones(where.shape, bool)
    columns = np.flatnonzero(where.any(0))
    far[:, max(0, columns[0] - 12) : columns[-1] + 13] = False
    np.testing.assert_allclose(laid[far].mean(), 200, atol=6)


@given(dx=st.integers(0, 20), dy=st.integers(0, 20))
@settings(max_examples=20)
def test_a_crack_lies_where_the_matrix_puts_it(dx: int, dy: int) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 9:12] = 255
    factor = np.where(mask[..., None] > 0, 0.5, 1.0).astype(np.float32).repeat(3, axis=2)
    laid, where = lay(np.full((48, 48, 3), 200, np.uint8), Shape(factor, mask), np.array([[1.0, 0, dx], [0, 1, dy]]), 1)
    expected = np.zeros((48, 48), bool)
    expected[5 + dy : 15 + dy, 9 + dx : 12 + dx] = True
    np.testing.assert_array_equal(where, expected)
    np.testing.assert_array_equal(laid[..., 0], np.where(expected, 100, 200))


@pytest.mark.parametrize("twin", TWINS, ids=[twin.__name__.strip("_") for twin in TWINS])
def test_twins_are_drawn_on_the_picture_and_stay_pixels(twin: Callable[..., np.ndarray]) -> None:
    pixels = np.full((SIZE, SIZE, 3), 150, np.uint8)
    drawn = [twin(pixels, np.random.default_rng(seed)) for seed in range(10)]
    assert all(each.shape == pixels.shape and each.dtype == np.uint8 for each in drawn)
    assert sum((each != pixels).any() for each in drawn) >= 8
    np.testing.assert_array_equal(twin(pixels, np.random.default_rng(3)), drawn[3])
    assert (pixels == 150).all()
