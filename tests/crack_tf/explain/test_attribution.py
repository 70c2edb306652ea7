"""Grad-CAM, Integrated Gradients and occlusion on functions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.explain.attribution import (
    BASELINES,
    FIRST_STEPS,
    TOLERANCE,
    baseline_of,
    grad_cam,
    integrated_gradients,
    local_mean,
    occlusion,
    rank_correlation,
)
from tflite.errors import CrackError

SIZE = 8


def tile(seed: int = 0, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def kinked(bends: np.ndarray) -> object:
    """Gradients of the sum of max(0, mean - bend): a line that bends at each of these grey levels."""

    def gradients(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = pixels.mean(axis=(1, 2, 3), dtype=np.float64)
        above = mean[:, None] > bends
        logits = np.where(above, mean[:, None] - bends, 0).sum(axis=1)
        slopes = above.sum(axis=1) / pixels[0].size
        return logits, np.broadcast_to(slopes[:, None, None, None], pixels.shape).astype(np.float32)

    return gradients


def test_grad_cam_weights_maps_by_their_mean_gradient_and_drops_what_is_negative() -> None:
    maps = np.zeros((2, 2, 2), np.float32)
    maps[0, 0, 0], maps[1, 1, 1] = 3, 5
    gradients = np.zeros_like(maps)
    gradients[..., 0], gradients[..., 1] = 0.5, -1
    assert grad_cam(maps, gradients, 2).tolist() == [[1.5, 0], [0, 0]]


def test_grad_cam_has_the_tiles_size_and_its_strongest_place() -> None:
    maps = np.zeros((4, 4, 1), np.float32)
    maps[3, 0] = 1
    heat = grad_cam(maps, np.ones_like(maps), 32)
    assert heat.shape == (32, 32)
    assert heat.dtype == np.float32
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row >= 24
    assert column < 8


def test_integrated_gradients_of_a_linear_model_are_weights_times_differences() -> None:
    weights = np.random.default_rng(1).normal(size=(SIZE, SIZE, 3)).astype(np.float32)

    def gradients(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.einsum("nyxc,yxc->n", pixels, weights).astype(np.float64), np.repeat(weights[None], len(pixels), 0)

    image = tile()
    baseline = baseline_of(image, "mean")
    found = integrated_gradients(gradients, image, baseline)
    assert found.steps == FIRST_STEPS
    assert found.complete
    np.testing.assert_allclose(found.map, (weights * (image - baseline)).sum(axis=2), rtol=1e-3, atol=1e-2)


@given(st.lists(st.floats(1, 120), min_size=1, max_size=6))
def test_attributions_sum_to_the_logit_difference(bends: list[float]) -> None:
    gradients = kinked(np.array(bends))
    found = integrated_gradients(gradients, np.full((4, 4, 3), 128, np.uint8), np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]
    difference = found.logit - found.baseline_logit
    assert found.complete
    assert abs(float(found.map.sum(dtype=np.float64)) - difference) <= (TOLERANCE + 1e-4) * abs(difference)
    assert found.error == pytest.approx(float(found.map.sum(dtype=np.float64)) - difference, abs=1e-3)


def test_too_few_steps_are_said_to_be_too_few() -> None:
    bend = np.array([127.9])  # all that happens, happens in the last thousandth of the way
    image, black = np.full((4, 4, 3), 128, np.uint8), np.zeros((4, 4, 3), np.float32)
    few = integrated_gradients(kinked(bend), image, black, max_steps=FIRST_STEPS)  # type: ignore[arg-type]
    many = integrated_gradients(kinked(bend), image, black)  # type: ignore[arg-type]
    assert not few.complete
    assert few.steps == FIRST_STEPS
    assert many.complete
    assert many.steps < 64  # halving goes where the bend is


def test_a_flat_model_is_not_asked_again_and_again() -> None:
    def gradients(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(pixels)) * 1e-7, np.zeros_like(pixels)

    found = integrated_gradients(gradients, tile(), baseline_of(tile(), "black"))
    assert found.steps == FIRST_STEPS
    assert not found.complete


def test_max_steps_below_the_first_ones_are_refused() -> None:
    with pytest.raises(CrackError, match="max_steps must be at least 16, got 15"):
        integrated_gradients(kinked(np.array([1.0])), tile(), tile().astype(np.float32), max_steps=15)  # type: ignore[arg-type]


def test_baselines_know_nothing_of_a_thin_dark_line() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    image[:, 31:33] = 20
    black, blurred, mean = (baseline_of(image, kind) for kind in BASELINES)
    assert (black == 0).all()
    assert blurred.min() > 150
    assert np.ptp(mean.reshape(-1, 3), axis=0).max() == 0
    with pytest.raises(CrackError, match="baseline 'white': choose one of black, blurred, mean"):
        baseline_of(image, "white")


def test_occlusion_finds_the_place_that_the_model_needs() -> None:
    image = np.full((32, 32, 3), 200, np.uint8)
    image[4:8, 20:24] = 0

    def logits(tiles: np.ndarray) -> np.ndarray:
        return 10 - tiles[:, 4:8, 20:24].mean(axis=(1, 2, 3)) / 20

    heat = occlusion(logits, image, 8)
    assert heat.shape == (32, 32)
    assert heat[5, 21] == heat.max() > 3
    assert not heat[16:].any()
    assert not heat[:, :8].any()


@given(size=st.integers(4, 20), patch=st.integers(2, 20), value=st.integers(0, 255))
def test_occlusion_of_a_flat_tile_is_flat(size: int, patch: int, value: int) -> None:
    image = np.full((size, size, 3), value, np.uint8)

    def logits(tiles: np.ndarray) -> np.ndarray:
        return tiles.mean(axis=(1, 2, 3))

    if patch > size:
        with pytest.raises(CrackError, match=f"--patch must lie between 2 and the tile's {size} pixels"):
            occlusion(logits, image, patch)
    else:
        assert not occlusion(logits, image, patch).any()


def test_the_local_mean_of_a_flat_tile_is_the_tile() -> None:
    image = np.full((9, 9, 3), 77, np.uint8)
    assert np.array_equal(local_mean(image, 3), image)


def test_rank_correlation_sees_order_alone_and_says_nothing_about_flat_maps() -> None:
    one = np.random.default_rng(0).random((5, 5))
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, np.ones((5, 5))) is None
