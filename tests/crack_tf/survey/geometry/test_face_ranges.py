"""Where a drone with RTK but no laser looks at a declared face, its position says how far away it is, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from crack_tf.photo.faces import RECTANGLE, Face
from crack_tf.photo.gsd import BY_FACES
from crack_tf.survey.config import SurveyConfig
from crack_tf.survey.geometry.camera import Locator, Scale, Shot
from crack_tf.survey.geometry.face_ranges import FaceRanges
from crack_tf.synthetic.flight import blank_photo
from crack_tf.synthetic.flight_geometry import shots
from crack_tf.synthetic.flight_plan import CORNER, FLAT, ROUND, Plan
from crack_tf.synthetic.flight_truth import declared, true_mm_per_pixel
from tflite.errors import CrackError

NOISE_M = 0.02
FLIGHT = Plan(
    piers=2, rows=3, columns=7, width=800, height=600, cracks=0, mm_per_pixel=1.0, distance_m=2.5, gps_noise_m=NOISE_M,
    laser_noise_m=0.1, pitch_deg=6.0, facing_deg=3.0, gimbal_noise_deg=1.5, far=3,
)  # fmt: skip


def without_laser(data: bytes) -> bytes:
    """The same photograph of a drone whose laser saw nothing."""
    assert b'LRFStatus="Normal"' in data
    return data.replace(b'LRFStatus="Normal"', b'LRFStatus="NoSig!"')


@pytest.mark.parametrize("shape", [FLAT, CORNER, ROUND])
def test_the_scale_is_in_its_stated_interval_on_95_percent_of_a_flight(shape: str) -> None:
    inside, tried, source = 0, 0, set()
    for seed in range(4):
        plan = replace(FLIGHT, seed=seed, shape=shape)
        surfaces, taken = shots(plan)
        faces = tuple(declared(plan, surface) for surface in surfaces)
        locator = Locator(ranges=FaceRanges(faces, 2 * NOISE_M))
        for shot in taken:
            data = without_laser(blank_photo(plan, shot))
            assert Locator().of_file(data, plan.width, plan.height).scale_source is None
            known = locator.of_file(data, plan.width, plan.height)
            if known.mm_per_pixel is None:
                continue
            source.add(known.scale_source)
            view = known.view(plan.width, plan.height)
            assert view is not None
            scales = view.measure([[(plan.width / 2, plan.height / 2)] * 2])
            assert scales is not None
            assert scales.error is not None
            tried += 1
            inside += abs(scales.length - true_mm_per_pixel(plan, shot)) <= scales.error * scales.length
    assert source == {BY_FACES}
    assert tried > 120
    assert inside >= 0.95 * tried


FACE = Face("wall", RECTANGLE, 48.2, 16.4, 100.0, 0.0, 5.0, width_m=8.0)  # to the east, seen from the south
SHOT = Shot(
    latitude=48.2 - math.degrees(3.0 / 6371008.8),
    longitude=16.4 + 5e-5,
    altitude_m=102.0,
    heading_deg=0.0,
    pitch_deg=0.0,
)


def test_a_squarely_seen_wall_is_as_far_as_the_position_says_and_an_oblique_one_is_less_sure() -> None:
    ranges = FaceRanges((FACE,), 0.04)
    found = ranges(SHOT)
    assert found is not None
    assert found[0] == pytest.approx(3.0, abs=0.01)
    assert found[1] == pytest.approx(0.02, abs=0.005)
    oblique = ranges(replace(SHOT, heading_deg=30.0))
    assert oblique is not None
    assert oblique[0] == pytest.approx(3 / math.cos(math.radians(30)), abs=0.01)
    assert oblique[1] > 3 * found[1]


@pytest.mark.parametrize(
    "changes", [
        {"heading_deg": 180.0}, {"heading_deg": 85.0}, {"heading_deg": None}, {"pitch_deg": None}, {"pitch_deg": 70.0},
        {"altitude_m": 120.0}, {"longitude": 16.401}, {"latitude": None}, {"altitude_m": None},
    ],
)  # fmt: skip
def test_who_looks_past_the_face_or_does_not_say_where_to_has_no_distance(changes: dict[str, float | None]) -> None:
    assert FaceRanges((FACE,), 0.04)(replace(SHOT, **changes)) is None  # type: ignore[arg-type]


def test_a_stated_distance_goes_before_it() -> None:
    plan = replace(FLIGHT, piers=1)
    surfaces, taken = shots(plan)
    ranges = FaceRanges(tuple(declared(plan, surface) for surface in surfaces), 0.04)
    data = without_laser(blank_photo(plan, taken[0]))
    stated = Locator(Scale(distance_m=7.0), ranges=ranges).of_file(data, plan.width, plan.height)
    assert (stated.distance_m, stated.scale_source) == (7.0, "stated")
    measured = Locator(ranges=ranges).of_file(blank_photo(plan, taken[0]), plan.width, plan.height)
    assert measured.scale_source == "laser"


@pytest.mark.parametrize("given", [{}, {"faces": Path("faces.json")}, {"position_error_m": 0.05}])
def test_without_faces_or_with_poor_positions_it_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(
        CrackError, match=r"--distance-from-faces needs --faces FILE and --position-error-m of at most 0\.5"
    ):
        SurveyConfig(distance_from_faces=True, **given)  # type: ignore[arg-type]
