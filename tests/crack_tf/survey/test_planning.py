"""A plan that is flown as planned sees all of every face well enough; what a board must do is counted from the same numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.models.speeds import ModelSpeed
from crack_tf.photo.faces import CYLINDER, RECTANGLE, Face, Frame
from crack_tf.photo.lenses import CAMERAS, Lens, find_lens
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.ledger import NEARER, measure_coverage
from crack_tf.survey.planning import FacePlan, FlightPlan, PlanConfig, plan_face, plan_flight
from tests.crack_tf.survey.geometric_flight import LAT, LON
from tflite.errors import CrackError

LENS = Lens("test", 4000.0, 4000, 3000, "a test")


def no_models(board: str, table: Path | None) -> tuple[list[ModelSpeed], str]:
    return [], "a test"


def wall(length: float, height: float, name: str = "wall") -> Face:
    return Face(name, RECTANGLE, LAT, LON, 100.0, 30.0, height, width_m=length)


def pier(diameter: float, height: float) -> Face:
    return Face("pier", CYLINDER, LAT, LON, 100.0, 200.0, height, diameter_m=diameter)


def flown(face: Face, plan: FacePlan, lens: Lens) -> list[PhotoRecord]:
    """The photographs of a plan, taken exactly where it says."""
    frame = Frame(face.latitude, face.longitude)
    shown = plan.distance_m * lens.height / lens.focal_px
    first = min(shown, face.height_m) / 2 if plan.rows == 1 else shown / 2
    photos = []
    for row in range(plan.rows):
        for column in range(plan.columns):
            up = face.bottom_m + first + row * plan.down_m
            if face.kind == CYLINDER:
                heading = 2 * math.pi * column / plan.columns
                reach = (face.diameter_m or 0) / 2 + plan.distance_m
                east, north = -reach * math.sin(heading), -reach * math.cos(heading)
            else:
                heading = math.radians(face.heading_deg)
                width = plan.distance_m * lens.width / lens.focal_px
                along = min(width, face.length_m) / 2 + column * plan.across_m
                east = along * math.cos(heading) - plan.distance_m * math.sin(heading)
                north = -along * math.sin(heading) - plan.distance_m * math.cos(heading)
            latitude, longitude = frame.place(east, north)
            photos.append(
                PhotoRecord(
                    name=f"{row:03d}-{column:03d}.jpg", sha256="0" * 64, width=lens.width, height=lens.height, time=None,
                    latitude=latitude, longitude=longitude, altitude_m=up, heading_deg=math.degrees(heading) % 360,
                    mm_per_pixel=1000 * plan.distance_m / lens.focal_px, tiles=1, positives=0, findings=0,
                    scale_source="laser", scale_error=0.01, distance_m=plan.distance_m, pitch_deg=0.0,
                )
            )  # fmt: skip
    return photos


@settings(max_examples=8, deadline=None)
@given(
    face=st.one_of(
        st.builds(wall, st.floats(0.5, 4.0), st.floats(0.5, 3.0)),
        st.builds(pier, st.floats(0.8, 2.0), st.floats(0.5, 2.0)),
    ),
    needs=st.floats(0.6, 1.5),
    overlap=st.sampled_from([0.1, 0.3, 0.5]),
    focal=st.sampled_from([2500.0, 4000.0]),
)
def test_a_flight_as_planned_leaves_no_hole_and_nothing_too_coarse(
    face: Face, needs: float, overlap: float, focal: float
) -> None:
    lens = replace(LENS, focal_px=focal)
    plan = plan_face(face, lens, needs / 3 * focal / 1000 * NEARER, overlap, needs / 3)
    coverage = measure_coverage(flown(face, plan, lens), [], (face,), needs)
    assert coverage is not None
    (found,) = coverage.faces
    areas = found.areas_m2
    assert areas["clean"] >= 0.985 * face.area_m2, (plan, areas)


def test_one_photograph_less_around_a_pier_would_leave_a_gap() -> None:
    face, needs = pier(2.0, 1.0), 0.9
    plan = plan_face(face, LENS, needs / 3 * 4 * NEARER, 0.0, needs / 3)
    coverage = measure_coverage(flown(face, replace(plan, columns=plan.columns - 2), LENS), [], (face,), needs)
    assert coverage is not None
    assert coverage.faces[0].areas_m2["clean"] < 0.97 * face.area_m2


def test_the_numbers_are_those_of_the_geometry(tmp_path: Path) -> None:
    here = {"latitude": LAT, "longitude": LON, "bottom_m": 1.0, "heading_deg": 90, "height_m": 4.0}
    west = {"name": "west", "kind": "rectangle", "width_m": 6.0, **here}
    round_one = {"name": "pier", "kind": "cylinder", "diameter_m": 2.0, **here}
    faces = {"format": "crack_tf.faces/1", "faces": [west, round_one]}
    (tmp_path / "faces.json").write_text(json.dumps(faces))
    models = [ModelSpeed("slow", 300, 10.0), ModelSpeed("quick", 300, 1000.0)]
    config = PlanConfig(0.6, "pi-hq", faces=tmp_path / "faces.json", focal_mm=6.0, exposure_s=0.0005, overlap=0.25)
    told: list[str] = []
    plan = plan_flight(config, lambda board, table: (models, "a test"), told.append)
    focal = 6.0 * 4056 / 6.287
    assert plan.mm_per_pixel == pytest.approx(0.2)
    assert plan.farthest_m == pytest.approx(0.2 * focal / 1000)
    assert plan.distance_m == pytest.approx(plan.farthest_m * NEARER)
    assert plan.footprint_m == pytest.approx((4056 * 0.2 * NEARER / 1000, 3040 * 0.2 * NEARER / 1000))
    assert plan.spacing_m == pytest.approx(tuple(0.75 * side for side in plan.footprint_m))
    assert plan.fastest_m_s == pytest.approx(0.2 * NEARER / 1000 / 0.0005)
    assert plan.interval_s == pytest.approx(plan.spacing_m[0] / plan.fastest_m_s)
    assert [face.name for face in plan.faces] == ["west", "pier"]
    assert plan.faces[1].distance_m == pytest.approx(plan.distance_m * NEARER)
    assert [(model.speed.name, model.tiles) for model in plan.models] == [("quick", 14 * 11), ("slow", 14 * 11)]
    assert plan.models[0].needed_per_s == pytest.approx(154 / plan.interval_s)
    assert [model.keeps_up for model in plan.models] == [True, False]
    for words in (
        "0.2 mm per pixel or finer",
        "1/2000 s",
        "slow: 154 tiles a photograph",
        "does not keep up",
        "face        pier:",
    ):
        assert words in "\n".join(told)


def test_the_recommended_model_that_keeps_up_comes_first_and_a_verdict_that_hangs_on_the_rounds_is_none() -> None:
    config = PlanConfig(0.3, "pi-camera-3")
    sure, best = "mobilenet_v2_104_real", "mobilenet_v2_real"
    speeds = [
        ModelSpeed("opnet_lite_nano", 227, 1000.0),
        ModelSpeed("opnet", 227, 10.0, (9.0, 10.0, 11.0)),
        ModelSpeed(best, 256, 62.0, (55.0, 62.0, 70.0)),
        ModelSpeed("mobilenet_v2_035_64_real", 256, 800.0),
        ModelSpeed(sure, 256, 300.0, (250.0, 300.0, 350.0)),
    ]
    lines: list[str] = []
    plan = plan_flight(config, lambda board, table: (speeds, "a test"), lines.append)
    names = [model.speed.name for model in plan.models]
    assert names == [sure, "mobilenet_v2_035_64_real", "opnet_lite_nano", best, "opnet"]
    assert [model.keeps_up for model in plan.models] == [True, True, True, None, False]
    told = [line.strip() for line in lines][-5:]
    assert told[0].startswith(
        f"{sure}, recommended: 198 tiles a photograph, 61 a second needed, 300 (250 to 350) a second there: keeps up"
    )
    assert told[3].endswith("62 (55 to 70) a second there: nobody can tell, it keeps up in 2 of 3 rounds")
    plan_flight(config, lambda board, table: (speeds[:3], "a test"), lines.append)
    assert any("no recommended model surely keeps up" in line for line in lines[-4:])


def test_flying_faster_than_the_blur_allows_is_said() -> None:
    config = PlanConfig(0.3, "pi-camera-3", speed_m_s=1.0)
    told: list[str] = []
    plan = plan_flight(config, no_models, told.append)
    assert plan.interval_s == pytest.approx(plan.spacing_m[0])
    assert any(f"smeared by {1 / plan.fastest_m_s:.1f} pixels" in line for line in told)


def test_a_finer_crack_is_flown_nearer_and_slower_with_more_photographs() -> None:
    def planned(needs: float) -> tuple[FlightPlan, FacePlan]:
        plan = plan_flight(PlanConfig(needs, "pi-camera-3"), no_models)
        return plan, plan_face(wall(8, 12), plan.lens, plan.distance_m, 0.3, plan.mm_per_pixel)

    (coarse, few), (fine, many) = planned(0.6), planned(0.3)
    assert fine.distance_m == pytest.approx(coarse.distance_m / 2)
    assert fine.fastest_m_s == pytest.approx(coarse.fastest_m_s / 2)
    assert many.photos > 3 * few.photos


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlap": 0.95}, "--overlap 0.95"), ({"needs_mm": 0.0}, "--needs-mm 0"),
        ({"exposure_s": 2000.0}, "--exposure 2000: give seconds from 0.000001 to 1, such as 1/2000."),
        ({"camera": "no such"}, "no photograph and no name that is known .*pi-camera-3"), ({"camera": "pi-hq"}, "--focal-mm 16"),
        ({"needs_mm": math.nan}, "--needs-mm nan"), ({"speed_m_s": -1.0}, "--speed-m-s -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CrackError, match=message):
        plan_flight(replace(PlanConfig(0.3, "pi-camera-3"), **changes), no_models)  # type: ignore[arg-type]


def test_a_face_in_millimetres_is_refused() -> None:
    with pytest.raises(CrackError, match=r"face 'wall' would take [\d,]+ photographs\. Is its size in metres\?"):
        plan_face(wall(6000, 9000), LENS, 0.3, 0.3, 0.1)


@pytest.mark.parametrize("name", CAMERAS)
def test_every_camera_of_the_table_is_documented_with_its_numbers(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "plan.md").read_text(encoding="utf-8")
    camera = CAMERAS[name]
    focal = "any" if camera.focal_mm is None else f"{camera.focal_mm:g} mm"
    assert f"| {name} | {camera.width} x {camera.height} | {camera.sensor_mm:g} mm | {focal} |" in page
    assert camera.source in page


def test_the_field_of_view_of_a_named_camera_is_near_the_published_one() -> None:
    lens = find_lens("pi-camera-2")
    assert 2 * math.degrees(math.atan(lens.width / 2 / lens.focal_px)) == pytest.approx(62.2, abs=0.5)
    assert np.isclose(find_lens("pi-hq", focal_mm=16.0).focal_px, 16 / 6.287 * 4056)
