"""A round pier that nobody declares is told from walls and corners by where cameras look, and lengths on it get a ± that holds both."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crack_tf.survey.geometry.curved import NOTE, holding_both, radii_of, warn_of_curves
from crack_tf.synthetic.flight_geometry import shots
from crack_tf.synthetic.flight_plan import CORNER, FLAT, ROUND, Plan
from crack_tf.synthetic.flight_truth import declared
from studies.coverage import record_of
from tests.crack_tf.survey.geometry.test_rounds import PIER, RADIUS, drawn_on, photo_of, spot

FLIGHT = Plan(
    piers=1, rows=2, columns=8, width=1000, height=750, cracks=0, mm_per_pixel=1.0, distance_m=2.5, gps_noise_m=0.02,
    laser_noise_m=0.1, pitch_deg=8.0, facing_deg=5.0, gimbal_noise_deg=2.0,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_round_pier_is_recognised_with_its_size_and_walls_and_corners_are_not(seed: int) -> None:
    for shape in (FLAT, CORNER):
        plan = replace(FLIGHT, seed=seed, shape=shape)
        assert radii_of([record_of(plan, shot) for shot in shots(plan)[1]]) == {}
    plan = replace(FLIGHT, seed=seed, shape=ROUND)
    surfaces, taken = shots(plan)
    records = [record_of(plan, shot) for shot in taken]
    found = radii_of(records)
    assert len(found) >= 0.9 * len(taken)
    assert np.median(list(found.values())) == pytest.approx(plan.radius_m, rel=0.2)
    (warning,) = warn_of_curves(found)
    assert f"about {2 * np.median(list(found.values())):.1f} m across" in warning
    assert "--faces" in warning
    # Who declares it is asked no more.
    faces = [declared(plan, surface) for surface in surfaces]
    assert len(radii_of(records, faces, 0.06)) < 0.2 * len(taken)


def test_one_place_from_several_sides_and_a_camera_that_pans_show_nothing_round() -> None:
    photo = replace(photo_of(0.0), mm_per_pixel=0.5)
    panned = [replace(photo, name=f"{turn}.jpg", heading_deg=turn % 360) for turn in (-30, -15, 0, 15, 30)]
    assert radii_of(panned) == {}
    around = [
        replace(photo_of(heading, 0.0), name=f"{heading}.jpg", distance_m=RADIUS + 2.5)
        for heading in (-20.0, 0.0, 20.0)
    ]
    assert radii_of(around) == {}
    assert warn_of_curves({}) == []


def test_the_interval_of_a_length_holds_the_wall_and_the_pier() -> None:
    photo = photo_of(0.0)
    finding = replace(drawn_on(photo, np.array([spot(photo, 15.0, 0.1), spot(photo, 30.0, 0.1)])), length_error_mm=1.0)
    arc = 1000 * RADIUS * math.radians(15)
    assert finding.length_mm is not None
    assert finding.length_mm < 0.95 * arc
    (found,) = holding_both([photo], [finding], {photo.name: RADIUS})
    assert found.length_mm is not None
    assert found.length_mm == finding.length_mm
    assert found.length_error_mm is not None
    assert found.length_mm + found.length_error_mm > arc
    assert found.length_high_mm is not None
    assert found.length_high_mm > 1.1 * arc
    assert found.note == NOTE
    assert found.length_low_mm is not None
    assert found.length_low_mm <= 0.9 * finding.length_mm
    assert found.max_width_error_mm is not None
    assert found.max_width_error_mm > 0.1
    doubtful = replace(finding, note="too short")
    assert holding_both([photo], [doubtful], {photo.name: RADIUS})[0].note == f"too short; {NOTE}"
    # What has no ± gets none, and others stay as they are.
    assert holding_both([photo], [replace(finding, length_error_mm=None)], {photo.name: RADIUS})[0].note is None
    assert holding_both([photo], [finding], {"other.jpg": PIER.diameter_m or 0.0}) == [finding]
