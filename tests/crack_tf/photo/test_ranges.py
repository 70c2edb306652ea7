"""Ranges of widths and lengths: wide where blur hides the width, narrow where it shows, and wider with the scale's error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from crack_tf.photo.crack import PHOTOGRAPH, Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.ranges import (
    Range,
    drawn_by_network,
    in_millimetres,
    inside,
    length_on_mask,
    of_parts,
    open_ended,
    widest,
    widest_by_network,
    width_in_photo,
    width_on_mask,
)
from crack_tf.photo.slit import Line, explain_line
from tests.crack_tf.photo.drawn_cracks import cover, wave

SHAPE = (160, 200)


def photographed(width: float, blur: float, depth: float = 0.6, noise: float = 2.0) -> Crack:
    """A crack of that width, drawn and photographed, measured with a mask two pixels too wide."""
    path = wave(120, 3, 70, 15.0, (80.0, 100.0))
    share = cover([path], [max(width, 1.0)], SHAPE) * min(width, 1.0)  # a finer one darkens its pixels by its share
    grey = gaussian_filter(170 * (1 - depth * share), blur) + np.random.default_rng(2).normal(0, noise, SHAPE)
    mask = cover([path], [max(width, 1.0) + 4], SHAPE) > 0.5
    (crack,) = measure_cracks(mask, photo=np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    return crack


@pytest.mark.parametrize(("width", "blur"), [(0.6, 0.8), (1.5, 1.2), (3.0, 1.0), (6.0, 0.6), (12.0, 1.0)])
def test_the_true_width_lies_in_the_range(width: float, blur: float) -> None:
    crack = photographed(width, blur)
    assert crack.width_from == PHOTOGRAPH
    _, mean, most = crack.ranges
    assert mean.low <= width <= mean.high
    assert mean.low <= crack.mean_width_px <= mean.high
    assert most.low <= crack.max_width_px <= most.high


def test_a_crack_finer_than_a_pixel_may_be_as_fine_as_can_be() -> None:
    mean = photographed(0.5, 0.8).ranges[1]
    assert mean.low == 0
    assert mean.high < 2


def test_blur_widens_the_range() -> None:
    sharp, soft = (photographed(2.5, blur).ranges[1] for blur in (0.5, 1.8))
    assert soft.high - soft.low > 1.5 * (sharp.high - sharp.low)


def test_a_mask_alone_is_taken_as_right_to_a_pixel() -> None:
    assert width_on_mask(4.0, seen=False) == Range(3.0, 5.0)
    assert width_on_mask(0.7, seen=False).low == 0
    assert width_on_mask(4.0, seen=True) == Range(0.0, 5.0)


def test_a_gaping_crack_that_only_its_mask_shows_is_wide_and_may_be_wider() -> None:
    assert width_on_mask(20.0, seen=True) == Range(10.0, 21.0)
    assert width_on_mask(60.0, seen=True) == Range(50.0, 90.0)


def test_a_crack_that_gapes_in_one_place_may_be_wider_there() -> None:
    mask = np.zeros((120, 400), bool)
    mask[52:68, 20:380] = True
    mask[42:78, 180:220] = True
    flat = np.full((*mask.shape, 3), 150, np.uint8)  # which does not show it
    (crack,) = measure_cracks(mask, photo=flat)
    assert crack.mean_width_px < 22
    assert crack.max_width_px > 30
    _, mean, most = crack.ranges
    assert mean.high < 23
    assert most.high == pytest.approx(1.5 * crack.max_width_px)
    (alone,) = measure_cracks(mask)
    assert alone.ranges[2].high < 1.2 * alone.max_width_px


lines = st.builds(
    Line,
    deficit=st.floats(0.05, 20),
    depth=st.floats(0.03, 0.95),
    quarter=st.floats(2, 30),
    at_half=st.floats(1, 25),
    three_quarters=st.floats(0.5, 20),
    noise=st.floats(0, 1),
)


@settings(max_examples=60, deadline=None)
@given(line=lines, share=st.floats(0.3, 0.7))
def test_whatever_is_seen_the_range_is_a_range_around_what_is_stated(line: Line, share: float) -> None:
    possible = explain_line(line)
    width = possible.at(share)
    found = width_in_photo(possible, width)
    assert 0 <= found.low <= width <= found.high < math.inf
    most = widest(found, width, 1.5 * width)
    assert 0 <= most.low <= 1.5 * width <= most.high
    assert most.high - most.low >= 1.5 * (found.high - found.low) - 1e-9


@given(
    value=st.floats(0.1, 1000),
    low=st.floats(0, 1),
    high=st.floats(1, 5),
    scale=st.floats(0.01, 10),
    error=st.floats(0, 0.5),
)
def test_the_scale_only_widens_a_range(value: float, low: float, high: float, scale: float, error: float) -> None:
    pixels = Range(low * value, high * value)
    known = in_millimetres(value, pixels, scale, 0.0)
    assert known.low == pytest.approx(pixels.low * scale, abs=1e-9)
    assert known.high == pytest.approx(pixels.high * scale)
    unsure = in_millimetres(value, pixels, scale, error)
    assert 0 <= unsure.low <= known.low + 1e-9
    assert unsure.high >= known.high - 1e-9


def test_what_a_network_may_have_left_out_counts_where_a_crack_is_faint() -> None:
    drawn = length_on_mask(100.0)
    strong, faint, unseen = (drawn_by_network(drawn, light) for light in (6.0, 0.5, 0.0))
    assert strong.high < 120
    assert 250 < faint.high <= unseen.high
    assert strong.low == faint.low == pytest.approx(0.9 * drawn.low)  # it draws on beyond a crack, too


def test_the_widest_place_of_a_faint_crack_may_be_finer_than_it_was_read() -> None:
    drawn, mean = Range(1.0, 2.0), Range(0.1, 1.5)
    strong, faint, unseen = (widest_by_network(drawn, mean, light) for light in (6.0, 0.6, 0.0))
    assert 0.98 < strong.low <= 1.0
    assert 0.6 < unseen.low <= faint.low < 0.9
    assert strong.high == faint.high == unseen.high == 2.0


def test_no_maximum_is_said_to_be_finer_than_the_mean() -> None:
    drawn = Range(1.0, 2.0)
    assert widest_by_network(drawn, Range(0.9, 1.5), 0.3) == Range(0.9, 2.0)
    assert widest_by_network(drawn, Range(1.1, 1.5), 0.3) == drawn


def test_parts_are_wrong_together_and_gaps_may_be_crack() -> None:
    part = (length_on_mask(100.0), Range(2.0, 4.0), Range(2.5, 5.0))
    other = (length_on_mask(50.0), Range(1.0, 3.0), Range(3.0, 4.0))
    length, mean, most = of_parts([100.0, 50.0], [part, other], [20.0])
    assert length.low == pytest.approx(part[0].low + other[0].low)
    assert length.high > part[0].high + other[0].high + 20
    assert mean.low == pytest.approx((2 * 2.0 + 1.0) / 3)
    assert most == Range(3.0, 5.0)


def test_a_length_ends_with_the_photograph_or_has_no_end() -> None:
    drawn = Range(90.0, 700.0)
    assert inside(drawn, 100.0, 80.0, 500.0) == Range(90.0, 520.0)
    assert inside(drawn, 100.0, 80.0, 5000.0) == drawn
    assert inside(drawn, 600.0, 500.0, 500.0).high == 600.0
    assert open_ended(drawn) == Range(90.0, math.inf)
    assert in_millimetres(100.0, open_ended(drawn), 0.5, 0.1).high == math.inf
