"""Stitched maps equal those of the whole photograph, seams do not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from crack_tf.photo.stitch import seam_steps, stitch
from tflite.errors import CrackError

RADIUS = 3


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def local(tiles: np.ndarray) -> np.ndarray:
    """A 7x7 convolution with zeros around each tile, as a network with 'same' padding has them."""
    grey = tiles.astype(np.float64).mean(axis=-1) / 255
    kernel = np.random.default_rng(1).normal(size=(2 * RADIUS + 1, 2 * RADIUS + 1))
    return np.stack([ndimage.convolve(tile, kernel, mode="constant") for tile in grey])


def pointwise(tiles: np.ndarray) -> np.ndarray:
    return tiles.astype(np.float32).mean(axis=-1)


@pytest.mark.parametrize(
    ("height", "width"),
    [(64, 96), (65, 97), (33, 200), (32, 32), (33, 32), (70, 121)],
    ids=["multiples", "one pixel more", "flat", "one tile", "one row more", "odd"],
)
def test_a_local_operator_gives_what_it_gives_on_the_whole_photograph(height: int, width: int) -> None:
    photo = photograph(height, width)
    whole = local(photo[np.newaxis])[0]
    stitched = stitch(photo, local, tile=32, overlap=0.25, margin=RADIUS)
    assert stitched.dtype == np.float32
    np.testing.assert_allclose(stitched, whole, atol=1e-4)


def test_without_a_margin_only_what_lies_near_tile_edges_differs() -> None:
    photo = photograph(80, 140)
    whole, stitched = local(photo[np.newaxis])[0], stitch(photo, local, tile=32, overlap=0.25)
    wrong = np.abs(stitched - whole) > 1e-4
    assert wrong.any()
    near = np.zeros(wrong.shape, bool)
    from tflite.device.tiles import tile_boxes

    for box in tile_boxes(140, 80, 32, 0.25):
        inner = np.zeros(wrong.shape, bool)
        inner[box.y : box.y + box.h, box.x : box.x + box.w] = True
        near |= inner & ~ndimage.binary_erosion(inner, iterations=RADIUS, structure=np.ones((3, 3)), border_value=1)
    assert not wrong[~near].any()


@pytest.mark.parametrize(("height", "width"), [(10, 12), (1, 1), (1, 50), (5, 100), (31, 33)])
def test_photographs_smaller_than_a_tile_are_padded_by_reflection_and_cut_back(height: int, width: int) -> None:
    photo = photograph(height, width)
    seen: list[np.ndarray] = []

    def predict(tiles: np.ndarray) -> np.ndarray:
        seen.append(tiles)
        return pointwise(tiles)

    stitched = stitch(photo, predict, tile=32)
    np.testing.assert_allclose(stitched, photo.mean(axis=-1), atol=1e-3)
    assert all(tiles.shape[1:] == (32, 32, 3) for tiles in seen)
    if (height, width) == (10, 12):
        expected = np.pad(photo, ((11, 11), (10, 10), (0, 0)), mode="reflect")
        np.testing.assert_array_equal(seen[0][0], expected)


@settings(max_examples=60)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    tile=st.integers(1, 40),
    overlap=st.floats(0, 0.9),
    batch=st.integers(1, 5),
)
def test_weights_add_up_to_one_everywhere(height: int, width: int, tile: int, overlap: float, batch: int) -> None:
    result = stitch(np.zeros((height, width)), lambda tiles: np.ones(tiles.shape), tile, overlap, batch=batch)
    np.testing.assert_allclose(result, 1, atol=1e-5)


def test_blending_hides_the_seams_of_a_model_that_sees_every_tile_differently() -> None:
    photo = photograph(300, 400)
    numbers = iter(range(1000))

    def uneven(tiles: np.ndarray) -> np.ndarray:
        """Each tile with an offset of its own: the worst seams there can be."""
        return np.stack([np.full(tile.shape[:2], next(numbers) % 3 / 3) for tile in tiles])

    hard = stitch(photo, uneven, tile=64, overlap=0.25, margin=8)
    blended = stitch(photo, uneven, tile=64, overlap=0.25)
    assert np.abs(np.diff(hard, axis=1)).max() > 0.3
    assert np.abs(np.diff(blended, axis=1)).max() < 0.1
    assert seam_steps(blended, 64, 0.25).ratio < 1.5


def test_seam_steps_find_a_seam_and_find_none_in_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((64, 128))
    assert seam_steps(noise, 64, 0.0).ratio == pytest.approx(1, abs=0.3)
    noise[:, 64:] += 5
    assert seam_steps(noise, 64, 0.0).ratio > 10
    assert seam_steps(np.zeros((64, 128)), 64, 0.0).ratio == 1
    with pytest.raises(CrackError, match="no seam"):
        seam_steps(np.zeros((64, 64)), 64)


def test_tiles_without_foreground_are_skipped_and_outside_is_zero() -> None:
    photo = photograph(64, 128) // 2 + 100
    foreground = np.zeros((64, 128), bool)
    foreground[:, :40] = True
    calls: list[int] = []

    def predict(tiles: np.ndarray) -> np.ndarray:
        calls.append(len(tiles))
        return pointwise(tiles)

    told: list[tuple[int, int]] = []
    result = stitch(photo, predict, 32, 0.0, foreground=foreground, progress=lambda *now: told.append(now))
    assert sum(calls) == 4
    assert told[-1] == (8, 8)
    assert (result[~foreground] == 0).all()
    np.testing.assert_allclose(result[foreground], photo.mean(axis=-1)[foreground], atol=1e-3)


@given(
    st.integers(0, 99), st.integers(0, 149), st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.25, 0.5, 0.75])
)
@settings(max_examples=40, deadline=None)
def test_a_map_of_a_part_is_that_of_the_whole_there(y: int, x: int, h: int, w: int, overlap: float) -> None:
    photo = photograph(100, 150)
    foreground = np.zeros((100, 150), bool)
    foreground[y : y + h, x : x + w] = True
    asked: list[int] = []

    def predict(tiles: np.ndarray) -> np.ndarray:
        asked.append(len(tiles))
        return pointwise(tiles) + tiles.mean(axis=(1, 2, 3))[:, np.newaxis, np.newaxis]  # depends on all of the tile

    whole = stitch(photo, predict, 32, overlap, margin=4)
    tiles = sum(asked)
    asked.clear()
    part = stitch(photo, predict, 32, overlap, margin=4, foreground=foreground)
    np.testing.assert_array_equal(part, np.where(foreground, whole, 0))
    assert 0 < sum(asked) <= tiles


def test_a_tile_that_sees_foreground_only_where_it_does_not_count_is_not_asked() -> None:
    foreground = np.zeros((32, 56), bool)
    foreground[:, 27:] = True  # the first tile of two, at 0 and 24, has a margin from 28 on, and counts at 27
    asked: list[int] = []

    def predict(tiles: np.ndarray) -> np.ndarray:
        asked.append(len(tiles))
        return pointwise(tiles)

    for first, expected in ((27, 2), (28, 1)):
        asked.clear()
        foreground[:, 27] = first == 27
        stitch(photograph(32, 56), predict, 32, 0.25, margin=4, foreground=foreground)
        assert sum(asked) == expected


def test_progress_rises_to_the_number_of_tiles_and_batches_are_kept() -> None:
    told: list[tuple[int, int]] = []
    sizes: list[int] = []

    def predict(tiles: np.ndarray) -> np.ndarray:
        sizes.append(len(tiles))
        return pointwise(tiles)[..., np.newaxis]

    stitch(photograph(64, 160), predict, 32, 0.0, batch=3, progress=lambda *now: told.append(now))
    assert max(sizes) == 3
    assert told == [(3, 10), (5, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 0}, "tile 0"),
        ({"batch": 0}, "batch 0"),
        ({"overlap": 0.95}, "overlap must lie"),
        ({"margin": 10}, "margin 10 needs tiles that overlap by 20"),
        ({"margin": -1}, "margin must be"),
        ({"foreground": np.ones((3, 3), bool)}, "foreground is"),
        ({"foreground": np.ones((64, 64), np.uint8)}, "foreground is uint8"),
        ({"predict": lambda tiles: tiles}, "predict gave an array of shape"),
        ({"photo": np.zeros((0, 5, 3), np.uint8)}, "photo has shape"),
        ({"photo": np.zeros(5, np.uint8)}, "photo has shape"),
    ],
)
def test_bad_arguments_are_named(arguments, message: str) -> None:
    given_ = {"photo": photograph(64, 64), "predict": pointwise, "tile": 32, **arguments}
    with pytest.raises(CrackError, match=message):
        stitch(**given_)
