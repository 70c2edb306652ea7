"""A line that goes on between two places of a photograph is seen, wherever it bows; texture is no line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crack_tf.photo.between import darkness_between

SIZE = 240


def concrete(seed: int, noise: float = 6.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(160, noise, (SIZE, SIZE)).clip(0, 255).astype(np.float32)


def with_line(grey: np.ndarray, line: list[tuple[float, float]], depth: float, width: int = 3) -> np.ndarray:
    image = Image.new("1", (SIZE, SIZE))
    ImageDraw.Draw(image).line(line, fill=1, width=width)
    return grey - np.float32(depth) * np.asarray(image)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    degrees=st.floats(0, 360),
    gap=st.floats(12, 90),
    bow=st.floats(-0.2, 0.2),
    depth=st.floats(50, 100),
)
def test_a_line_is_as_dark_as_it_was_drawn_and_no_texture_is(
    seed: int, degrees: float, gap: float, bow: float, depth: float
) -> None:
    way = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    start, end = 120 - way * gap / 2, 120 + way * gap / 2
    middle = (start + end) / 2 + bow * gap * np.array([-way[1], way[0]])
    line = [(float(x), float(y)) for x, y in (start - 20 * way, start, middle, end, end + 20 * way)]
    seen, texture = darkness_between(with_line(concrete(seed), line, depth), start, end, 3.0)
    assert 0.7 * depth <= seen <= depth + 12
    assert texture < 0.4 * depth
    bare, texture = darkness_between(concrete(seed), start, end, 3.0)
    assert abs(bare - texture) < 10


def test_a_line_that_stops_half_way_does_not_go_on() -> None:
    grey = with_line(concrete(3), [(20, 120), (118, 120)], 80)
    seen, texture = darkness_between(grey, np.array([80.0, 120.0]), np.array([160.0, 120.0]), 3.0)
    assert seen - texture < 10


def test_a_line_that_is_too_faint_to_matter_is_no_line() -> None:
    grey = with_line(concrete(6), [(20, 120), (220, 120)], 60)
    ends = np.array([80.0, 120.0]), np.array([160.0, 120.0])
    assert darkness_between(grey, *ends, 3.0, 40.0) == darkness_between(grey, *ends, 3.0)
    assert darkness_between(grey, *ends, 3.0, 90.0) == (0.0, 0.0)


def test_another_crack_on_one_side_is_no_texture() -> None:
    grey = with_line(with_line(concrete(4), [(40, 120), (200, 120)], 70), [(40, 152), (200, 152)], 70)
    seen, texture = darkness_between(grey, np.array([95.0, 120.0]), np.array([145.0, 120.0]), 3.0)
    assert seen == pytest.approx(70, abs=12)
    assert texture < 25


def test_places_beside_each_other_or_at_the_border_have_answers() -> None:
    grey = concrete(5)
    assert darkness_between(grey, np.array([50.0, 50.0]), np.array([52.0, 50.0]), 3.0) == (0.0, 0.0)
    seen, texture = darkness_between(grey, np.array([0.0, 0.0]), np.array([0.0, 60.0]), 12.0)
    assert np.isfinite([seen, texture]).all()
