from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras")

from crack_tf.data.adverse import DARK, LIGHT, NOISE, NUMBERS, draw_adverse, shadow_map, spoil, stain_map
from crack_tf.data.augment import PARAMETERS, Augment, Augmentation
from crack_tf.data.patch_pipeline import PatchAugmentation, augment_pairs

SIZE = 32
SHADOW, STAIN, DIM, GRAINY = 0, 5, NUMBERS - 4, NUMBERS - 3  # the number of each condition; 1 (noise: 0) is none


def drawn(count: int, share: float = 1.0, seed: int = 0, *, but: tuple[int, ...] = ()) -> np.ndarray:
    """Numbers with all conditions taken out but the named ones."""
    numbers = draw_adverse(count, SIZE, share, np.random.default_rng(seed))
    for index in (SHADOW, STAIN, DIM, GRAINY):
        if index not in but:
            numbers[:, index] = index != GRAINY
    return numbers


def grey(count: int, value: float = 120) -> np.ndarray:
    return np.full((count, SIZE, SIZE, 3), value, np.float32)


def test_no_share_leaves_pixels_alone() -> None:
    numbers = draw_adverse(50, SIZE, 0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(spoil(grey(50), numbers)), grey(50))
    assert Augmentation().draw(2, SIZE, np.random.default_rng(0)).shape == (2, PARAMETERS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_pixels_stay_pixels_and_light_is_taken_never_added(seed: int, share: float) -> None:
    numbers = draw_adverse(4, SIZE, share, np.random.default_rng(seed))
    out = np.asarray(spoil(grey(4, 255), numbers))
    assert out.min() >= 0
    assert out.max() <= 255
    for light in (np.asarray(shadow_map(SIZE, numbers)), np.asarray(stain_map(SIZE, numbers))):
        assert light.max() <= 1
        assert light.min() >= LIGHT[0] - 1e-6


def test_shares_are_kept_apart() -> None:
    numbers = draw_adverse(4000, SIZE, 0.3, np.random.default_rng(0))
    found = np.stack([numbers[:, SHADOW] < 1, numbers[:, STAIN] < 1, numbers[:, DIM] < 1, numbers[:, GRAINY] > 0])
    np.testing.assert_allclose(found.mean(axis=1), 0.3, atol=0.03)
    together = found.astype(float) @ found.T / found.shape[1]
    np.testing.assert_allclose(together[~np.eye(4, dtype=bool)], 0.09, atol=0.02)


def test_a_shadow_has_one_straight_edge() -> None:
    numbers = drawn(1, but=(SHADOW,))
    numbers[0, :5] = 0.5, 1, 0, 0, 1000  # half of the light left of the middle, and a sharp edge
    (light,) = np.asarray(spoil(grey(1, 200), numbers))[..., 0]
    np.testing.assert_allclose(light[:, : SIZE // 2], 100, atol=0.01)
    np.testing.assert_allclose(light[:, SIZE // 2 :], 200, atol=0.01)


def test_edges_are_as_soft_as_drawn_at_any_size() -> None:
    for size in (SIZE, 4 * SIZE):
        numbers = draw_adverse(1, size, 1.0, np.random.default_rng(0))
        numbers[0, :4] = 0.0, 1, 0, 0
        softness = 4 * size / numbers[0, 4]
        (light,) = np.asarray(shadow_map(size, numbers))[..., 0]
        inside = ((light[0] > 0.12) & (light[0] < 0.88)).sum()
        assert inside == pytest.approx(softness, abs=1.1)


def test_stains_cover_a_part_of_most_tiles() -> None:
    numbers = drawn(200)
    numbers[:, STAIN] = 0
    covered = (np.asarray(stain_map(SIZE, numbers))[..., 0] < 0.5).mean((1, 2))
    assert 0.2 < covered.mean() < 0.6
    assert ((covered > 0.02) & (covered < 0.98)).mean() > 0.9


def test_little_light_darkens_the_whole_tile_evenly() -> None:
    numbers = drawn(500, but=(DIM,))
    out = np.asarray(spoil(grey(500, 200), numbers))
    assert np.ptp(out, axis=(1, 2, 3)).max() < 1e-3
    np.testing.assert_allclose(out[:, 0, 0, 0], 200 * numbers[:, DIM], rtol=1e-5)
    assert DARK[0] <= numbers[:, DIM].min() < 0.15
    assert 0.85 < numbers[:, DIM].max() <= DARK[1]


def test_noise_is_as_strong_as_drawn_in_the_dark_too() -> None:
    numbers = drawn(200, but=(DIM, GRAINY))
    numbers[:, DIM] = np.linspace(0.3, 1, 200)
    numbers[:, GRAINY] = np.minimum(numbers[:, GRAINY], 15)  # far enough from black and white to be whole
    out = np.asarray(spoil(grey(200, 180), numbers))
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), numbers[:, GRAINY], rtol=0.1, atol=0.01)
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 180 * numbers[:, DIM], atol=2)
    assert draw_adverse(500, SIZE, 1.0, np.random.default_rng(0))[:, GRAINY].max() <= NOISE


def test_tiles_and_channels_have_noise_of_their_own() -> None:
    numbers = drawn(8, but=(GRAINY,))
    numbers[:, GRAINY] = 10
    noise = np.asarray(spoil(grey(8), numbers)) - 120
    series = np.moveaxis(noise, 3, 1).reshape(24, -1)
    alike = np.corrcoef(series) - np.eye(24)
    assert np.abs(alike).max() < 0.2


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_tiles_are_spoilt_as_drawn_and_then_recoloured(strength: float) -> None:
    augmentation = Augmentation(adverse=1.0).scaled(strength)
    tiles = np.full((3, SIZE, SIZE, 3), 120, np.uint8)
    parameters = augmentation.draw(3, SIZE, np.random.default_rng(0))
    assert parameters.shape == (3, PARAMETERS + NUMBERS)
    out = np.asarray(Augment()(tiles, parameters))
    assert out.std(axis=(1, 2)).min() > 1  # every even tile has got an edge
    plain = Augmentation().scaled(strength).draw(3, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(parameters[:, :PARAMETERS], plain)  # the rest is drawn as ever


def test_masks_are_not_spoilt() -> None:
    patches, masks = np.full((2, SIZE, SIZE, 3), 200, np.uint8), np.ones((2, SIZE, SIZE, 1), np.uint8)
    numbers = PatchAugmentation(adverse=1.0).draw(2, SIZE, np.random.default_rng(0))
    images, found = augment_pairs(patches, masks, numbers)
    assert np.asarray(images).std() > 1
    assert (np.asarray(found) == 1).all()
