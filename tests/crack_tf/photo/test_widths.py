"""Widths of drawn cracks come out of the grey values right: under blur and noise, turned and scaled, whatever their mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, gaussian_filter

from crack_tf.photo.crack import MASK, PHOTOGRAPH, Crack
from crack_tf.photo.cracks import measure_cracks
from tests.crack_tf.photo.drawn_cracks import cover, wave
from tflite.errors import CrackError

SHAPE = (200, 240)
CENTRE = (100.0, 120.0)


def photograph(share: np.ndarray, blur: float = 0.0, depth: float = 0.7, noise: float = 3.0) -> np.ndarray:
    """Concrete of grey 150 with cracks that cover a share of each pixel, through a lens and onto a sensor."""
    grey = 150 * (1 - depth * share)
    grey = gaussian_filter(grey, blur) if blur else grey
    grey = grey + np.random.default_rng(0).normal(0, noise, share.shape)
    return np.repeat(grey.round().clip(0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def measured(width: float, angle: float = 20.0, wider: int = 0, **light: float) -> Crack:
    """A wavy crack of that width, drawn, photographed, and measured with a mask that many pixels too wide on both sides."""
    share = cover([wave(130, 4, 60, angle, CENTRE)], [width], SHAPE)
    mask = share > 0.5
    mask = binary_dilation(mask, iterations=wider) if wider else mask
    (crack,) = measure_cracks(mask, photo=photograph(share, **light))
    return crack


@pytest.mark.parametrize("wider", [0, 2])
@pytest.mark.parametrize("blur", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("width", [3.0, 4.5, 8.0, 16.0])
def test_a_width_is_right_to_five_per_cent_whatever_mask_and_blur(width: float, blur: float, wider: int) -> None:
    crack = measured(width, blur=blur, wider=wider)
    assert crack.width_from == PHOTOGRAPH
    assert crack.mean_width_px == pytest.approx(width, rel=0.05)


@settings(max_examples=12, deadline=None)
@given(width=st.floats(3, 12), angle=st.floats(0, 180), blur=st.floats(0, 1))
def test_direction_does_not_change_a_width(width: float, angle: float, blur: float) -> None:
    assert measured(width, angle, wider=1, blur=blur).mean_width_px == pytest.approx(width, rel=0.05)


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(1, 3), angle=st.floats(0, 180))
def test_a_nearer_photograph_gives_the_same_millimetres(factor: float, angle: float) -> None:
    share = cover([wave(60 * factor, 2 * factor, 40 * factor, angle, CENTRE)], [3.5 * factor], SHAPE)
    mask = binary_dilation(share > 0.5)
    (crack,) = measure_cracks(mask, mm_per_pixel=0.3 / factor, photo=photograph(share, 0.5))
    assert crack.mean_width_mm == pytest.approx(1.05, rel=0.05)


def test_heavy_blur_is_told_from_the_slope_of_the_edges() -> None:
    assert measured(4.0, blur=1.5, wider=2).mean_width_px == pytest.approx(4, rel=0.1)


def test_the_widest_place_is_found_in_the_photograph() -> None:
    path = wave(150, 0, 60, 10, CENTRE)
    widths = np.where(np.arange(len(path)) > 0.6 * len(path), 9.0, 4.0)
    share = cover([path], [widths], SHAPE)
    (crack,) = measure_cracks(binary_dilation(share > 0.5, iterations=2), photo=photograph(share, 0.6))
    assert crack.max_width_px == pytest.approx(9, rel=0.05)
    assert crack.max_width_at[0] > CENTRE[1]


@pytest.mark.parametrize("width", [3.0, 6.0, 12.0])
def test_the_darkest_stretch_of_an_even_crack_is_not_its_widest(width: float) -> None:
    share = cover([wave(200, 4, 90, 20.0, CENTRE)], [width], SHAPE)
    uneven = gaussian_filter(np.random.default_rng(3).normal(0, 1, SHAPE), 9.0)
    photo = photograph(share * np.clip(1 + 0.1 * uneven / uneven.std(), 0.7, 1.2), blur=0.6, depth=0.6)
    (crack,) = measure_cracks(share > 0.5, photo=photo)
    assert crack.width_from == PHOTOGRAPH
    assert crack.max_width_px == pytest.approx(crack.mean_width_px, rel=0.05)


@pytest.mark.parametrize(
    "photo",
    [
        np.full((*SHAPE, 3), 120, np.uint8),
        np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), np.uint8),
        np.repeat(np.where(np.arange(SHAPE[0]) < 100, 60, 200)[:, None, None], SHAPE[1], 1)
        .repeat(3, 2)
        .astype(np.uint8),
    ],
    ids=["blank", "noise", "edge of a shadow"],
)
def test_without_a_dark_valley_the_mask_is_measured(photo: np.ndarray) -> None:
    mask = cover([wave(150, 0, 60, 0, CENTRE)], [6.0], SHAPE) > 0.5
    (crack,), (plain,) = measure_cracks(mask, photo=photo), measure_cracks(mask)
    assert (crack.in_photo, plain.in_photo) == (True, False)
    assert replace(crack, ranges=plain.ranges, in_photo=False) == plain
    assert crack.width_from == MASK
    assert crack.ranges[1].low == 0  # the mask is all there is, and the photograph does not bear it out


def test_where_a_part_is_not_clear_the_masks_width_is_corrected_by_the_rest() -> None:
    share = cover([wave(150, 3, 60, 0, CENTRE)], [5.0], SHAPE)
    photo = photograph(share, 0.5)
    photo[:, 90:120] = 150  # filled with mortar there
    (crack,) = measure_cracks(binary_dilation(share > 0.5, iterations=2), photo=photo)
    assert crack.width_from == PHOTOGRAPH
    assert crack.mean_width_px == pytest.approx(5, rel=0.07)


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_measured_without_complaint(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = gaussian_filter(rng.normal(size=(60, 70)), 2) > 0.08
    photo = rng.integers(0, 256, (60, 70, 3), np.uint8)
    for crack in measure_cracks(mask, photo=photo, min_area=1):
        assert np.isfinite(crack.mean_width_px)
        assert crack.max_width_px >= crack.mean_width_px > 0


@pytest.mark.parametrize("photo", [np.zeros((*SHAPE, 3)), np.zeros(SHAPE, np.uint8), np.zeros((9, 9, 3), np.uint8)])
def test_a_photograph_that_does_not_fit_is_refused(photo: np.ndarray) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[100:104, 20:200] = True
    with pytest.raises(CrackError, match="uint8 RGB of the mask's size"):
        measure_cracks(mask, photo=photo)
