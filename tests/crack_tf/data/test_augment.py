from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras")

from crack_tf.data.augment import PARAMETERS, Augment, Augmentation

NONE = Augmentation().scaled(0)


def smooth_tiles(count: int = 2, size: int = 32) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    base = 120 + 60 * np.sin(4 * x + 1) + 40 * np.cos(3 * y)
    return np.repeat(np.stack([base, base * 0.9, base * 0.8], -1)[None], count, 0).astype(np.uint8)


def test_zero_strength_leaves_pixels_alone() -> None:
    tiles = smooth_tiles()
    out = np.asarray(Augment()(tiles, NONE.draw(2, 32, np.random.default_rng(0))))
    np.testing.assert_allclose(out, tiles, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), strength=st.floats(0, 4))
def test_pixels_stay_in_range_and_parameters_finite(seed: int, strength: float) -> None:
    parameters = Augmentation().scaled(strength).draw(2, 32, np.random.default_rng(seed))
    assert parameters.shape == (2, PARAMETERS)
    assert np.isfinite(parameters).all()
    out = np.asarray(Augment()(smooth_tiles(), parameters))
    assert out.min() >= 0
    assert out.max() <= 255


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_without_rotation_every_sampled_point_lies_inside_the_tile(seed: int) -> None:
    size = 64
    parameters = Augmentation(rotation=0).draw(4, size, np.random.default_rng(seed))
    corners = np.array([(x, y, 1) for x in (0, size - 1) for y in (0, size - 1)], float).T
    for row in parameters:
        points = np.stack([row[0:3], row[3:6]]) @ corners
        assert points.min() >= -0.51
        assert points.max() <= size - 0.49


def test_crop_keeps_at_least_the_stated_area() -> None:
    parameters = Augmentation(rotation=0, crop_ratio=1.0).draw(200, 64, np.random.default_rng(0))
    area = np.abs(parameters[:, 0] * parameters[:, 4])
    assert area.min() >= 0.8 - 1e-6
    assert area.max() <= 1 + 1e-6
    assert area.min() < 0.83


def test_flips_mirror_the_tile_exactly() -> None:
    tiles = smooth_tiles(64)
    only_flips = Augmentation(crop_scale=1, crop_ratio=1, rotation=0, brightness=0, contrast=0, saturation=0)
    out = np.asarray(Augment()(tiles, only_flips.draw(64, 32, np.random.default_rng(0))))
    variants = [tiles[0], tiles[0][:, ::-1], tiles[0][::-1], tiles[0][::-1, ::-1]]
    seen = set()
    for tile in out:
        errors = [np.abs(tile - v).max() for v in variants]
        assert min(errors) < 1e-2
        seen.add(int(np.argmin(errors)))
    assert seen == {0, 1, 2, 3}


def test_rotation_turns_about_the_centre() -> None:
    tile = np.zeros((1, 33, 33, 3), np.uint8)
    tile[:, 16, 16] = 255  # the centre pixel stays where it is
    rotated = Augmentation(crop_scale=1, crop_ratio=1, flip=False, brightness=0, contrast=0, saturation=0)
    out = np.asarray(Augment()(tile, rotated.draw(1, 33, np.random.default_rng(3))))
    assert out[0, ..., 0].argmax() == 16 * 33 + 16


def test_brightness_and_saturation_do_what_their_names_say() -> None:
    tiles = smooth_tiles()
    parameters = NONE.draw(2, 32, np.random.default_rng(0))
    parameters[:, 8] = 0.5
    np.testing.assert_allclose(np.asarray(Augment()(tiles, parameters)), tiles * 0.5, atol=0.01)
    parameters[:, 8], parameters[:, 10] = 1, 0
    grey = np.asarray(Augment()(tiles, parameters))
    np.testing.assert_allclose(grey[..., 0], grey[..., 2], atol=0.01)
