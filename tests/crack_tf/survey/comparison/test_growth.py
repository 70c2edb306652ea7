"""A crack compared with itself on two photographs: what blur, scale and darkness cannot feign, and what can be shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.photo.ranges import Range
from crack_tf.survey.comparison.growth import (
    MIN_PLACES,
    Compared,
    Growth,
    compare_places,
    difference,
    length_growth,
    width_growth,
)
from crack_tf.survey.profiles import Profile

SHARES = (Range(0.8, 1.2), Range(0.7, 1.4))


def profile(points: np.ndarray, width: float, factor: float = 2.0, mm: float = 0.1) -> Profile:
    """A crack of one width, with a little unevenness, that takes light as `factor` says."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    widths = width * (1 + 0.1 * np.sin(np.arange(len(points)) / 5))
    return Profile(points, along, widths, np.full(len(points), mm), widths / factor, np.hypot(widths, 1.0))


def line(places: int = 120) -> np.ndarray:
    x = 100 + 2.0 * np.arange(places)
    return np.stack([x, 80 + 12 * np.sin(x / 40)], axis=1)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    there = np.c_[points, np.ones(len(points))] @ matrix.T
    return np.asarray(there[:, :2] / there[:, 2:])


def turned(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [0, 0, 1.0]])


@given(st.floats(0.6, 1.7), st.floats(-30, 30), st.floats(1, 8), st.floats(0, 3))
def test_a_photograph_from_elsewhere_shows_the_growth_in_pixels_of_the_old_one(
    scale: float, degrees: float, width: float, grown: float
) -> None:
    matrix = turned(scale, degrees, (40.0, -20.0))
    new = profile(moved(line(), matrix), scale * (width + grown), mm=0.1 / scale)
    found = compare_places(profile(line(), width), new, matrix, 10.0)
    assert found is not None
    assert found.places > 100
    assert found.missing_light == pytest.approx((width / 2, (width + grown) / 2), rel=0.02)
    assert found.across_mm == pytest.approx((0.1, 0.1), rel=0.01)
    growth = width_growth(found, SHARES)
    assert growth.range.low <= grown <= growth.range.high
    assert growth.value == pytest.approx(grown, abs=0.03 * (width + grown) + 0.25)


def test_a_homography_that_is_off_is_put_right_on_the_crack_itself() -> None:
    matrix = turned(1.1, 4, (30, 10))
    off = turned(1.0, 1.0, (5.0, -6.0)) @ matrix
    found = compare_places(profile(line(), 3.0), profile(moved(line(), matrix), 3.3, mm=0.1 / 1.1), off, 20.0)
    assert found is not None
    assert found.places > 80
    assert found.missing_light[0] == pytest.approx(found.missing_light[1], rel=0.02)


def test_too_few_places_or_another_crack_are_not_compared() -> None:
    assert compare_places(profile(line(MIN_PLACES - 1), 3.0), profile(line(), 3.0), np.eye(3), 10.0) is None
    assert compare_places(profile(line() + np.array([0, 60]), 3.0), profile(line(), 3.0), np.eye(3), 10.0) is None
    behind = np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1.0]])
    assert compare_places(profile(line(), 3.0), profile(line(), 3.0), behind, 10.0) is None


def compared(old: float, new: float, half: tuple[float, float] = (2.5, 2.5)) -> Compared:
    return Compared(80, (old, new), half, (0.01, 0.01), (2.0, 2.0), (0.1, 0.1))


def test_a_little_more_light_missing_is_not_growth_and_much_more_is() -> None:
    assert width_growth(compared(0.8, 0.84), SHARES).range.low < 0
    grown = width_growth(compared(0.8, 1.2), SHARES)
    assert 0 < grown.range.low < 0.8 < grown.range.high
    shrunk = width_growth(compared(1.2, 0.8), SHARES)
    assert shrunk.range.low < -0.8 < shrunk.range.high < 0


def test_walls_of_a_wide_crack_say_more_than_its_darkness() -> None:
    light_alone = width_growth(compared(4.0, 4.2), SHARES).range
    with_walls = width_growth(compared(4.0, 4.2, (8.0, 8.0)), SHARES).range
    assert with_walls.high - with_walls.low < 0.7 * (light_alone.high - light_alone.low)
    assert with_walls.low < 0 < with_walls.high


@given(st.floats(0.05, 20), st.floats(0.05, 20), st.floats(0.0, 1.0), st.floats(1.0, 5.0))
def test_an_unknown_darkness_never_decides_whether_a_crack_has_grown(
    old: float, new: float, low: float, high: float
) -> None:
    known = width_growth(compared(old, new), (Range(1.0, 1.0), Range(1.0, 1.0))).range
    growth = width_growth(compared(old, new), (Range(low, high), Range(low, high)))
    assert growth.range.low <= growth.value <= growth.range.high
    if known.low > 0:
        assert growth.range.low >= 0
    if known.low < 0:
        assert growth.range.low < 0


def test_two_ranges_are_further_apart_than_either_is_wide() -> None:
    growth = difference(0.3, Range(0.2, 0.45), 0.5, Range(0.4, 0.6))
    assert growth.value == pytest.approx(0.2)
    assert growth.range.low == pytest.approx(0.2 - math.hypot(0.1, 0.15))
    assert growth.range.high == pytest.approx(0.2 + math.hypot(0.1, 0.1))


def test_a_faint_crack_has_to_be_much_longer_to_have_grown() -> None:
    assert length_growth(400, 520, 5.0).range.low > 0
    assert length_growth(400, 520, 0.5).range.low < 0
    assert length_growth(400, 400, 0.0).range.high > length_growth(400, 400, 5.0).range.high > 0


def test_no_growth_is_stated_as_minus_zero() -> None:
    stated = Growth(-0.0004, Range(-0.0004, -0.0)).rounded(3)
    assert [str(value) for value in (stated.value, stated.range.low, stated.range.high)] == ["0.0", "0.0", "0.0"]
