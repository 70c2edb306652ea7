from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras")

from crack_tf.data.augment import PARAMETERS, Augment, Augmentation
from crack_tf.data.shading import LIGHT, NUMBERS, draw_shading, shade
from crack_tf.segmentation.pipeline import PatchAugmentation, augment_pairs

SIZE = 32


def light_maps(count: int, share: float, seed: int = 0) -> np.ndarray:
    """What white tiles become: (count, SIZE, SIZE)."""
    numbers = draw_shading(count, SIZE, share, np.random.default_rng(seed))
    return np.asarray(shade(np.ones((count, SIZE, SIZE, 3), np.float32), numbers))[..., 0]


def test_no_share_leaves_pixels_alone() -> None:
    assert (light_maps(50, 0) == 1).all()
    assert Augmentation().draw(2, SIZE, np.random.default_rng(0)).shape == (2, PARAMETERS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_light_is_taken_never_added(seed: int, share: float) -> None:
    maps = light_maps(4, share, seed)
    assert maps.max() <= 1
    assert maps.min() >= LIGHT[0] ** 2 - 1e-6  # a stain in a shadow


def test_shares_are_kept_apart_for_shadows_and_stains() -> None:
    numbers = draw_shading(4000, SIZE, 0.3, np.random.default_rng(0))
    shadow, stain = numbers[:, 0] < 1, numbers[:, 5] < 1
    assert abs(shadow.mean() - 0.3) < 0.03
    assert abs(stain.mean() - 0.3) < 0.03
    assert abs((shadow & stain).mean() - 0.09) < 0.02


def test_a_shadow_has_one_straight_edge() -> None:
    numbers = draw_shading(1, SIZE, 1.0, np.random.default_rng(0))
    numbers[0, :5] = 0.5, 1, 0, 0, 1000  # half of the light left of the middle, and a sharp edge
    numbers[0, 5] = 1  # no stain
    (light,) = np.asarray(shade(np.full((1, SIZE, SIZE, 3), 200, np.float32), numbers))[..., 0]
    np.testing.assert_allclose(light[:, : SIZE // 2], 100, atol=0.01)
    np.testing.assert_allclose(light[:, SIZE // 2 :], 200, atol=0.01)


def test_edges_are_as_soft_as_drawn_at_any_size() -> None:
    for size in (SIZE, 4 * SIZE):
        numbers = draw_shading(1, size, 1.0, np.random.default_rng(0))
        numbers[0, :4], numbers[0, 5] = (0.0, 1, 0, 0), 1
        softness = 4 * size / numbers[0, 4]
        (light,) = np.asarray(shade(np.ones((1, size, size, 3), np.float32), numbers))[..., 0]
        inside = ((light[0] > 0.12) & (light[0] < 0.88)).sum()
        assert inside == pytest.approx(softness, abs=1.1)


def test_stains_cover_a_part_of_most_tiles() -> None:
    numbers = draw_shading(200, SIZE, 1.0, np.random.default_rng(0))
    numbers[:, 0], numbers[:, 5] = 1, 0
    covered = (np.asarray(shade(np.ones((200, SIZE, SIZE, 3), np.float32), numbers))[..., 0] < 0.5).mean((1, 2))
    assert 0.2 < covered.mean() < 0.6
    assert ((covered > 0.02) & (covered < 0.98)).mean() > 0.9


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_shaded_tiles_are_as_drawn_and_then_recoloured(strength: float) -> None:
    augmentation = Augmentation(shade=1.0).scaled(strength)
    tiles = np.full((3, SIZE, SIZE, 3), 120, np.uint8)
    parameters = augmentation.draw(3, SIZE, np.random.default_rng(0))
    assert parameters.shape == (3, PARAMETERS + NUMBERS)
    out = np.asarray(Augment()(tiles, parameters))
    assert out.std(axis=(1, 2)).min() > 1  # every even tile has got an edge
    plain = Augmentation().scaled(strength).draw(3, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(parameters[:, :PARAMETERS], plain)  # the rest is drawn as ever


def test_masks_are_not_shaded() -> None:
    patches, masks = np.full((2, SIZE, SIZE, 3), 200, np.uint8), np.ones((2, SIZE, SIZE, 1), np.uint8)
    drawn = PatchAugmentation(shade=1.0).draw(2, SIZE, np.random.default_rng(0))
    images, found = augment_pairs(patches, masks, drawn)
    assert np.asarray(images).std() > 1
    assert (np.asarray(found) == 1).all()
