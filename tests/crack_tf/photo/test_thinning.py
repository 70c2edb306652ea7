"""A mask is thinned to the very pixels that scikit-image leaves, of which every length and width was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.morphology import thin as by_skimage

from crack_tf.photo.thinning import thin


@given(mask=arrays.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_any_mask_is_thinned_as_by_scikit_image(mask: np.ndarray) -> None:
    before = mask.copy()
    np.testing.assert_array_equal(thin(mask), by_skimage(mask))
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 1.0])
def test_large_and_dense_masks_are_thinned_as_by_scikit_image(share: float) -> None:
    rows, columns = np.indices((200, 300))
    bent = np.abs(rows - 100 - 40 * np.sin(columns / 40)) < 3 + columns % 50 / 5
    mask = bent & (np.random.default_rng(0).uniform(size=bent.shape) < share)
    np.testing.assert_array_equal(thin(mask), by_skimage(mask))
    np.testing.assert_array_equal(thin(mask[::-1, ::2]), by_skimage(mask[::-1, ::2]))


def test_a_band_becomes_a_line_and_nothing_stays_nothing() -> None:
    band = np.zeros((20, 60), bool)
    assert not thin(band).any()
    band[8:13, 5:55] = True
    line = thin(band)
    assert (line.sum(axis=0) <= 1).all()
    assert line.sum() > 40
