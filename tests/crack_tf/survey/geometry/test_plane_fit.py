"""A wall is as far away as photographs and positions together say, and how sure that is holds; without a baseline nothing is claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crack_tf.survey.geometry.plane_fit import Match, fit_plane
from crack_tf.synthetic.flight_geometry import shots
from crack_tf.synthetic.flight_plan import ROUND, Plan
from studies.positions import TWO_SIDED, fit_of, matches_of, plan_of, poses_of, scale_errors

EXACT = replace(plan_of(0), rows=2, columns=3, gps_noise_m=0.0, gimbal_noise_deg=0.0)


def test_without_errors_the_distance_is_the_true_one() -> None:
    fit, true = fit_of(replace(EXACT, gps_noise_m=1e-4), 0)
    assert fit is not None
    assert fit.distance_m == pytest.approx(true, rel=2e-3)
    assert (fit.error_m < 0.01 * true).all()
    assert fit.is_flat


@pytest.mark.slow
def test_the_scale_is_in_its_stated_interval_on_95_percent_of_flights() -> None:
    inside = tried = 0
    for seed in range(200, 227):  # other flights than those of the study
        fit, true = fit_of(plan_of(seed), seed)
        assert fit is not None
        assert fit.is_flat
        inside += int((np.abs(fit.distance_m - true) <= TWO_SIDED * scale_errors(fit.distance_m, fit.error_m)).sum())
        tried += len(true)
    assert tried > 250
    assert inside >= 0.95 * tried


def test_poorer_positions_make_it_less_sure() -> None:
    plan = replace(plan_of(1), rows=2, columns=3)
    rng = np.random.default_rng(0)
    _, taken = shots(plan)
    poses, matches = poses_of(plan, taken), matches_of(plan, taken, rng)
    good, poor = (fit_plane(poses, matches, error) for error in (0.01, 0.1))
    assert good is not None
    assert poor is not None
    assert (poor.error_m > 3 * good.error_m).all()


def test_from_one_place_nothing_is_known() -> None:
    plan = EXACT
    _, taken = shots(plan)
    rng = np.random.default_rng(0)
    poses = [replace(pose, east=0.0, north=0.0, up=100.0) for pose in poses_of(plan, taken)]
    spots = rng.uniform(-400, 400, (40, 2))
    turned = [Match(0, number, spots, spots + np.array([0.3 * number, 0.2])) for number in range(1, len(poses))]
    fit = fit_plane(poses, turned, 0.02)
    assert fit is None or (fit.error_m > 0.1 * fit.distance_m).all()


def test_a_round_pier_is_told_from_a_wall() -> None:
    plan = Plan(
        seed=3, piers=1, rows=3, columns=12, width=1200, height=900, cracks=0, mm_per_pixel=0.5, distance_m=1.5,
        laser_noise_m=0.1, shape=ROUND, gps_noise_m=0.01,
    )  # fmt: skip
    _, taken = shots(plan)
    column = taken[::12]
    fit = fit_plane(poses_of(plan, column), matches_of(plan, column, np.random.default_rng(0)), 0.01)
    assert fit is not None
    assert not fit.is_flat
