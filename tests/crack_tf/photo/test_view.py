"""What a pixel shows of a surface that the camera does not face squarely, held against rays that are followed to it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.photo.gsd import LASER, STATED, distance_error
from crack_tf.photo.view import FACING_ERROR_DEG, GIMBAL_ERROR_DEG, View, surface_tilt

WIDTH, HEIGHT, FOCAL = 4000, 3000, 3200.0


def hit(spot: tuple[float, float], distance: float, focal: float, tilt: float, pan: float) -> np.ndarray:
    """Where a pixel's ray meets the wall z = 0, millimetres; the camera stands before it and looks at the wall's origin.

    The axes: x to the right, y up, z out of the wall.
    """
    t, p = math.radians(tilt), math.radians(pan)
    ahead = np.array([math.sin(p) * math.cos(t), math.sin(t), -math.cos(p) * math.cos(t)])
    right = np.array([math.cos(p), 0.0, math.sin(p)])
    up = np.cross(right, ahead)
    camera = -distance * ahead
    ray = ahead + (spot[0] - WIDTH / 2) / focal * right - (spot[1] - HEIGHT / 2) / focal * up
    return 1000 * (camera + ray * (-camera[2] / ray[2]))[:2] * (1, -1)


@settings(deadline=None)
@given(
    x=st.floats(0, WIDTH), y=st.floats(0, HEIGHT), tilt=st.floats(-40, 40), pan=st.floats(-20, 20),
    distance=st.floats(0.5, 30),
)  # fmt: skip
def test_a_pixel_lies_where_its_ray_meets_the_wall(x: float, y: float, tilt: float, pan: float, distance: float):
    view = View(WIDTH, HEIGHT, 1000 * distance / FOCAL, FOCAL, tilt, pan)
    middle = WIDTH / 2, HEIGHT / 2
    there, here = view.to_surface(np.array([(x, y), middle]))
    expected = hit((x, y), distance, FOCAL, tilt, pan) - hit(middle, distance, FOCAL, tilt, pan)
    assert there - here == pytest.approx(expected, abs=1e-6 * distance * 1000)
    step = 0.01
    for number, (dx, dy) in enumerate([(step, 0), (0, step)]):
        ends = view.to_surface(np.array([(x - dx, y - dy), (x + dx, y + dy)]))
        slope = (ends[1] - ends[0]) / (2 * step)
        assert view.derivative(np.array([(x, y)]))[0][:, number] == pytest.approx(slope, rel=1e-4, abs=1e-6)


@settings(deadline=None)
@given(
    x=st.floats(0, WIDTH), y=st.floats(0, HEIGHT), tilt=st.floats(-30, 30), pan=st.floats(-20, 20),
    distance=st.floats(0.8, 10), radius=st.floats(0.3, 20),
)  # fmt: skip
def test_a_pixel_lies_where_its_ray_meets_the_cylinder(
    x: float, y: float, tilt: float, pan: float, distance: float, radius: float
):
    view = View(WIDTH, HEIGHT, 1000 * distance / FOCAL, FOCAL, tilt, pan, radius_mm=1000 * radius)
    here = view.to_surface(np.array([(x, y)]))[0]
    if not np.isfinite(here).all():
        return
    # The same spot in space, from the arc and back through the lens.
    t, p = math.radians(tilt), math.radians(pan)
    ahead = np.array([math.sin(p) * math.cos(t), -math.sin(t), math.cos(p) * math.cos(t)])
    right = np.array([math.cos(p), 0.0, -math.sin(p)])
    down = np.cross(ahead, right)
    turned = here[0] / (1000 * radius)
    spot = np.array([radius * math.sin(turned), here[1] / 1000, radius * (1 - math.cos(turned))])
    ray = spot + distance * ahead
    pixel = WIDTH / 2 + FOCAL * ray @ right / (ray @ ahead), HEIGHT / 2 + FOCAL * ray @ down / (ray @ ahead)
    assert pixel == pytest.approx((x, y), abs=1e-3)
    if view.obliqueness(np.array([(x, y)]))[0] > 70:  # where differences of nearby pixels say little
        return
    step = 0.01
    for number, (dx, dy) in enumerate([(step, 0), (0, step)]):
        ends = view.to_surface(np.array([(x - dx, y - dy), (x + dx, y + dy)]))
        slope = (ends[1] - ends[0]) / (2 * step)
        assert view.derivative(np.array([(x, y)]))[0][:, number] == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_a_wide_cylinder_is_a_wall_and_beside_a_narrow_one_is_nothing():
    spots = np.array([(0.0, 0.0), (2000.0, 1500.0), (3999.0, 2500.0)])
    wall = View(WIDTH, HEIGHT, 0.2, FOCAL, 10.0, -5.0)
    wide = replace(wall, radius_mm=1e9)
    assert wide.derivative(spots) == pytest.approx(wall.derivative(spots), rel=1e-5, abs=1e-6)
    assert wide.obliqueness(spots) == pytest.approx(wall.obliqueness(spots), abs=1e-3)
    beside = replace(wall, pan_deg=0.0, radius_mm=50.0)
    assert np.isnan(beside.to_surface(spots[:1])).all()
    assert beside.measure([[(0, 0), (10, 0)]]) is None
    scales = beside.measure([[(1990, 1500), (2010, 1500)]])
    assert scales is not None
    assert scales.length == pytest.approx(0.2, rel=1e-3)


def test_looked_at_squarely_every_pixel_shows_the_same():
    view = View(WIDTH, HEIGHT, 0.2, FOCAL)
    scales = view.measure([[(10, 10), (500, 900)]])
    assert scales is not None
    assert (scales.length, scales.width) == pytest.approx((0.2, 0.2))
    flat = View(WIDTH, HEIGHT, 0.2).measure([[(10, 10), (500, 900)]])
    assert flat is not None
    assert (flat.length, flat.width, flat.error) == (0.2, 0.2, None)


def test_a_camera_that_looks_up_shows_more_of_what_is_higher():
    view = View(WIDTH, HEIGHT, 0.2, FOCAL, tilt_deg=30)
    upright, level = [(2000, 1490), (2000, 1510)], [(1990, 1500), (2010, 1500)]
    along, across = view.measure([upright]), view.measure([level])
    assert along is not None
    assert across is not None
    assert (along.length, along.width) == pytest.approx((0.2 / math.cos(math.radians(30)), 0.2), rel=1e-4)
    assert (across.length, across.width) == pytest.approx((along.width, along.length), rel=1e-4)
    top, bottom = view.coarsest(np.array([(2000, 0), (2000, 3000)]))
    assert top > along.length > bottom
    assert view.obliqueness(np.array([(2000, 1500)]))[0] == pytest.approx(30)


def test_what_lies_beyond_the_horizon_has_no_scale():
    view = View(WIDTH, HEIGHT, 0.2, 1000.0, tilt_deg=44)
    assert np.isnan(view.to_surface(np.array([(2000, 0)]))).all()
    assert np.isnan(view.coarsest(np.array([(2000, 0)]))).all()
    assert view.measure([[(2000, 0), (2100, 0)]]) is None


def test_a_wide_place_is_scaled_by_where_it_is():
    view = View(WIDTH, HEIGHT, 0.2, FOCAL, tilt_deg=-30)
    crack = [(2000.0, 100.0 * step) for step in range(30)]
    top, bottom = view.measure([crack], (2000, 50)), view.measure([crack], (2000, 2850))
    whole = view.measure([crack])
    assert top is not None
    assert bottom is not None
    assert whole is not None
    assert top.width < whole.width < bottom.width


@pytest.mark.parametrize(
    ("pitch", "tilt"), [(0, 0), (-20, -20), (45, 45), (-90, 0), (-60, 30), (60, -30), (90, 0), (350, -10)]
)
def test_what_is_looked_at_steeply_is_a_deck(pitch: float, tilt: float):
    assert surface_tilt(pitch) == tilt


@pytest.mark.parametrize("distance_from", [LASER, STATED])
@pytest.mark.parametrize("gimbal", [True, False])
def test_lengths_and_widths_lie_in_their_interval_as_often_as_it_says(distance_from: str, gimbal: bool):
    rng = np.random.default_rng(17)
    inside, count = 0, 1000
    for _ in range(count):
        distance, tilt, pan = rng.uniform(1.5, 8), rng.uniform(-25, 25), rng.normal(0, FACING_ERROR_DEG)
        spread = GIMBAL_ERROR_DEG if gimbal else FACING_ERROR_DEG
        tilt = tilt if gimbal else rng.normal(0, spread)
        error = distance_error(distance, distance_from)
        measured = distance * (1 + rng.normal(0, error))
        focal = FOCAL * (1 + rng.normal(0, 0.01))
        view = View(
            WIDTH, HEIGHT, 1000 * measured / focal, focal, tilt + rng.normal(0, spread) if gimbal else 0.0,
            error=math.hypot(distance_error(measured, distance_from), 0.01), tilt_error_deg=spread,
        )  # fmt: skip
        true = replace(view, mm_per_pixel=1000 * distance / FOCAL, focal_px=FOCAL, tilt_deg=tilt, pan_deg=pan)
        start, angle = rng.uniform((300, 300), (WIDTH - 300, HEIGHT - 300)), rng.uniform(0, 2 * math.pi)
        line = [tuple(start + reach * np.array([math.cos(angle), math.sin(angle)])) for reach in (-200, 0, 200)]
        found, real = view.measure([line]), true.measure([line])
        assert found is not None
        assert real is not None
        assert found.error is not None
        inside += abs(real.length - found.length) <= found.error * found.length
        inside += abs(real.width - found.width) <= found.error * found.width
    assert inside / (2 * count) >= 0.95
