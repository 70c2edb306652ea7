"""A drawn wall is the same from wherever it is looked at, and its cracks are where they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.synthetic.wall import Wall, WallCrack, crack_light, draw_walk
from tflite.device.tiles import Box

PIER = Box(0, 0, 3000, 3000)


@pytest.fixture(scope="module")
def wall() -> Wall:
    return Wall(4, PIER, (draw_walk(np.random.default_rng(1), (400, 400), 0.4, 400, 8),))


@settings(max_examples=6)
@given(x=st.integers(-200, 700), y=st.integers(-200, 700))
def test_two_views_of_one_place_show_the_same(wall, x, y):
    whole, cover = wall.view(x, y, 320, 260)
    part, part_cover = wall.view(x + 97, y + 61, 180, 150)
    # Blurs, lips and runs reach over a view's edge.
    inner = (slice(20, -20), slice(20, -20))
    difference = np.abs(whole[61:211, 97:277].astype(int) - part)[inner]
    assert difference.mean() < 0.6
    assert np.quantile(difference, 0.999) <= 12
    assert np.abs(cover[61:211, 97:277] - part_cover)[inner].max() <= 0.1


def test_cracks_are_dark_and_where_their_centreline_is(wall):
    pixels, cover = wall.view(0, 0, 900, 900)
    crack = wall.cracks[0]
    x, y = crack.points[10:-10].round().astype(int).T
    assert (cover[y, x] > 0.5).mean() > 0.95
    grey = pixels.mean(axis=2)
    assert grey[cover > 0.9].mean() < 0.6 * grey[cover == 0].mean()


def test_what_cracks_cover_is_length_times_width(wall):
    crack = wall.cracks[0]
    area = wall.view(0, 0, 900, 900)[1].sum()
    assert area == pytest.approx(crack.length * crack.mean_width, rel=0.02)


@pytest.mark.parametrize("degrees", [3, 17, 44, 88])  # exactly along rows it is whole samples wide
@pytest.mark.parametrize("width", [0.6, 2.0, 5.0])
def test_a_straight_crack_is_drawn_as_wide_as_it_is_said_to_be(width, degrees):
    angle = np.radians(degrees)
    points = 150.3 + 4.0 * np.arange(-25, 26)[:, np.newaxis] * np.array([np.cos(angle), np.sin(angle)])
    crack = WallCrack(points, np.full((2, len(points)), width / 2), 0.7)
    area = crack_light(crack, 300, 300)[1].sum() - np.pi / 8 * width**2  # its first end is round
    assert area / crack.length == pytest.approx(width, abs=0.04)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), length=st.floats(80, 900), width=st.floats(2, 16))
def test_a_walk_is_as_long_and_wide_as_asked_for(seed, length, width):
    crack = draw_walk(np.random.default_rng(seed), (0, 0), 1.0, length, width)
    assert crack.length == pytest.approx(length, abs=6)
    assert crack.mean_width == pytest.approx(width)
    assert crack.widths.min() > 0


def test_beside_the_pier_is_no_concrete_and_no_crack():
    crack = WallCrack(np.array([[-50.0, 100.0], [50.0, 100.0]]), np.full((2, 2), 4.0), 0.7)
    pixels, cover = Wall(1, PIER, (crack,)).view(-100, 0, 200, 200)
    assert cover[:, :95].max() == 0
    assert cover[:, 105:].max() == 1
    assert np.abs(pixels[:, :90].mean(axis=(0, 1)) - pixels[:, 110:].mean(axis=(0, 1))).max() > 20
