"""Drawn structures: the same with and without a crack, and cracks that follow joints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from crack_tf.synthetic.grounds import GROUNDS, Draw, crack_along, masonry


def wall(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(120, 180, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("draw", GROUNDS.values(), ids=GROUNDS)
@settings(max_examples=15, deadline=None)
@given(size=st.integers(32, 160), seed=st.integers(0, 10**6))
def test_a_ground_is_a_picture_of_the_same_size_with_something_on_it(draw: Draw, size: int, seed: int) -> None:
    pixels = wall(size)
    before = pixels.copy()
    ground = draw(pixels, np.random.default_rng(seed))
    assert ground.pixels.shape == pixels.shape
    assert ground.pixels.dtype == np.uint8
    assert (ground.pixels != pixels).any()
    assert (pixels == before).all()
    again = draw(pixels, np.random.default_rng(seed))
    np.testing.assert_array_equal(again.pixels, ground.pixels)


def test_grounds_differ_from_draw_to_draw() -> None:
    rng = np.random.default_rng(3)
    for draw in GROUNDS.values():
        one, other = draw(wall(64), rng), draw(wall(64), rng)
        assert (one.pixels != other.pixels).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_way_of_a_crack_in_brickwork_leads_through_the_wall(seed: int) -> None:
    path = masonry(wall(96), np.random.default_rng(seed)).path
    assert path is not None
    assert path.shape[1] == 2
    assert np.isfinite(path).all()
    assert max(np.ptp(path[:, 0]), np.ptp(path[:, 1])) > 90


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_crack_along_a_way_darkens_its_surroundings_and_nothing_else(seed: int) -> None:
    path = np.array([[50.0, -10.0], [50.0, 110.0]])
    factor = crack_along(path, 100, np.random.default_rng(seed))
    assert factor.shape == (100, 100)
    assert factor.max() == pytest.approx(1)
    assert (factor > 0).all()
    far = np.abs(np.arange(100) - 50) > 45
    np.testing.assert_allclose(factor[:, far], 1, atol=0.02)


def test_a_way_without_length_has_no_crack() -> None:
    assert (crack_along(np.array([[5.0, 5.0]]), 20, np.random.default_rng(0)) == 1).all()
