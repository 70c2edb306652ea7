"""Another camera changes colours and sharpness as drawn, leaves the rest alone, and changes no older run's draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras")

from crack_tf.data import adverse
from crack_tf.data.augment import PARAMETERS, Augment, Augmentation, recolour
from crack_tf.data.camera import NUMBERS, draw_camera, through_camera
from crack_tf.data.patch_pipeline import PatchAugmentation, augment_pairs

SIZE = 32
NEUTRAL = np.array([[1, 1, 1, 1, 0]], np.float32)  # gains, colour, blur
EITHER = pytest.mark.parametrize("augmentation", [Augmentation(), PatchAugmentation()], ids=["tiles", "patches"])


def noise(count: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.float32)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_neutral_numbers_leave_pixels_alone(seed: int) -> None:
    images = noise(seed=seed)
    np.testing.assert_allclose(np.asarray(through_camera(images, NEUTRAL)), images, atol=1e-3)


def test_no_share_draws_neutral_numbers() -> None:
    numbers = draw_camera(50, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(numbers, np.repeat(NEUTRAL, 50, 0))


@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
@settings(max_examples=20)
def test_pixels_stay_pixels(seed: int, share: float) -> None:
    numbers = draw_camera(4, share, np.random.default_rng(seed))
    assert numbers.shape == (4, NUMBERS)
    assert np.isfinite(numbers).all()
    out = np.asarray(through_camera(noise(4, seed), numbers))
    assert out.min() >= 0
    assert out.max() <= 255


def test_as_many_tiles_are_changed_as_asked_for() -> None:
    numbers = draw_camera(4000, 0.4, np.random.default_rng(0))
    cast, grey, blurred = (numbers[:, :3] != 1).any(1), numbers[:, 3] == 0, numbers[:, 4] > 0
    np.testing.assert_allclose([cast.mean(), grey.mean(), blurred.mean()], [0.4, 0.12, 0.4], atol=0.03)


def test_gains_colour_and_blur_do_what_their_names_say() -> None:
    images = np.full((3, SIZE, SIZE, 3), [60, 120, 180], np.float32)
    images[2, :, : SIZE // 2] = 0  # an edge, for the blur
    numbers = np.repeat(NEUTRAL, 3, 0)
    numbers[0, :3], numbers[1, 3], numbers[2, 4] = (1.5, 1.0, 0.5), 0, 1
    cast, grey, blurred = np.asarray(through_camera(images, numbers))
    np.testing.assert_allclose(cast[0, 0], [90, 120, 90], atol=1e-3)
    np.testing.assert_allclose(grey, 120, atol=1e-3)
    step = np.abs(np.diff(blurred[SIZE // 2, :, 1])).max()
    assert step < 40  # 120 before
    np.testing.assert_allclose(blurred[SIZE // 2, [0, -1], 1], [0, 120], atol=1e-3)  # far from the edge nothing changes


@EITHER
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_older_runs_drew_is_drawn_as_ever(augmentation: Augmentation | PatchAugmentation, share: float) -> None:
    older = replace(augmentation, adverse=share)
    plain = older.draw(6, SIZE, np.random.default_rng(7))
    assert plain.shape == (6, PARAMETERS + (adverse.NUMBERS if share else 0))
    seen = replace(older, camera=1.0).draw(6, SIZE, np.random.default_rng(7))
    assert seen.shape == (6, plain.shape[1] + NUMBERS)
    np.testing.assert_array_equal(seen[:, : plain.shape[1]], plain)  # a camera's numbers come last


def test_a_tile_that_is_not_reduced_is_cropped_as_ever() -> None:
    plain, same = (each.draw(6, SIZE, np.random.default_rng(7)) for each in (Augmentation(), Augmentation(zoom_out=1)))
    np.testing.assert_array_equal(plain, same)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_rows_numbers_go_to_the_conditions_they_were_drawn_for(share: float) -> None:
    """Rows of every length: neutral numbers of either kind change nothing, whatever stands beside them."""
    images = noise(2)
    rows = Augmentation(adverse=share, camera=1.0).scaled(0).draw(2, SIZE, np.random.default_rng(0))
    without = np.asarray(recolour(images, rows[:, :-NUMBERS]))
    rows[:, -NUMBERS:] = NEUTRAL
    np.testing.assert_allclose(np.asarray(recolour(images, rows)), without, atol=1e-3)
    rows[:, -NUMBERS:] = (0, 0, 0, 1, 0)
    assert np.asarray(recolour(images, rows)).max() == 0


def test_the_number_of_numbers_tells_the_conditions_apart() -> None:
    assert 0 < NUMBERS < adverse.NUMBERS  # a row's length is all that `recolour` goes by


def test_tiles_go_through_a_camera_and_masks_do_not() -> None:
    tiles = np.full((8, SIZE, SIZE, 3), 120, np.uint8)
    out = np.asarray(Augment()(tiles, Augmentation(camera=1.0).scaled(0).draw(8, SIZE, np.random.default_rng(0))))
    assert np.ptp(out[:, 0, 0], axis=1).max() > 5  # a cast on grey
    masks = np.ones((8, SIZE, SIZE, 1), np.uint8)
    numbers = PatchAugmentation(camera=1.0).draw(8, SIZE, np.random.default_rng(0))
    assert (np.asarray(augment_pairs(tiles, masks, numbers)[1]) == 1).all()


@given(seed=st.integers(0, 2**31), most=st.floats(1.01, 4))
@settings(max_examples=30)
def test_a_reduced_tile_is_never_cut_more_than_before(seed: int, most: float) -> None:
    """Sides of the view in tiles: at least the least crop's, at most `zoom_out`; a view larger than the tile holds all of it."""
    upright = Augmentation(rotation=0, flip=False, zoom_out=most)
    rows = upright.draw(20, SIZE, np.random.default_rng(seed))
    width, height = rows[:, 0], rows[:, 4]
    assert max(width.max(), height.max()) <= most + 1e-5
    for extent, start in ((width, rows[:, 2]), (height, rows[:, 5])):
        left = (start + 0.5 - 0.5 * extent) / SIZE  # of the view, in tiles
        wide = extent > 1
        assert (left[wide] <= 1e-4).all()
        assert ((left + extent)[wide] >= 1 - 1e-4).all()
        assert (left[~wide] >= -1e-4).all()
        assert ((left + extent)[~wide] <= 1 + 1e-4).all()
