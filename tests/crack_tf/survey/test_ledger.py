"""Square metres that were seen are those that were seen: held against random spots and the cameras' true places."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.photo.faces import Face, read_faces, where_on
from crack_tf.photo.gsd import needed_mm_per_pixel
from crack_tf.photo.view import MAX_OBLIQUE_DEG
from crack_tf.survey.findings import Finding, PhotoRecord, Survey
from crack_tf.survey.ledger import STATES, Coverage, coverage_of, measure_coverage
from crack_tf.survey.report.page_coverage import COLOURS, coverage_section
from crack_tf.survey.reviews.review import Decision, Review
from tests.crack_tf.survey.geometric_flight import (
    Pose,
    before_wall,
    record,
    round_face,
    seen_as,
    wall_face,
    wall_points,
)
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box
from tflite.errors import CrackError

NEEDS = 1.0  # a third of a millimetre per pixel; 0.25 at two metres
SPOTS = 10_000


def true_states(poses: list[Pose], points: np.ndarray, right: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """The best state of each spot, places in STATES."""
    best = np.full(len(points), STATES.index("not seen"))
    for pose in poses:
        scale, oblique = seen_as(points, right, normals, pose).T
        state = np.where(scale > needed_mm_per_pixel(NEEDS), 2, np.where(oblique > MAX_OBLIQUE_DEG, 4, 1))
        best = np.minimum(best, np.where(np.isnan(scale), 7, state))
    return best


def covered(photos: list[PhotoRecord], faces: tuple[Face, ...] = ()) -> Coverage:
    coverage = measure_coverage(photos, [], faces, NEEDS)
    assert coverage is not None
    return coverage


@pytest.mark.parametrize("seed", range(20))
def test_areas_are_right_within_two_percent_and_every_hole_is_found(seed: int):
    rng = np.random.default_rng(seed)
    heading, width, height = rng.uniform(0, 2 * math.pi), 5.0, 4.0
    rows, columns = 7, 7
    missed = {tuple(spot) for spot in rng.integers(1, 6, (2, 2))}
    poses, gone = [], []
    for row in range(rows):
        for column in range(columns):
            along, up = 0.4 + 0.7 * column, 0.3 + 0.56 * row
            if (row, column) in missed:
                gone.append((along, up))
                continue
            far = rng.uniform() < 0.05
            poses.append(
                before_wall(
                    heading, along, up, 2.0 + 1.5 * far + rng.normal(0, 0.03), math.radians(rng.uniform(-12, 12))
                )
            )
    photos = [record(number, pose, rng) for number, pose in enumerate(poses)]
    spots, *surface = wall_points(rng, SPOTS, heading, width, height)
    truth = true_states(poses, *surface)
    coverage = covered(photos, (wall_face(heading, width, height),))
    for number, (state, area) in enumerate(coverage.areas_m2.items()):
        assert area == pytest.approx((truth == number).mean() * width * height, abs=0.02 * width * height), state
    assert sum(coverage.areas_m2.values()) == pytest.approx(width * height, rel=1e-6)
    cells = coverage.faces[0].cells
    for along, up in gone:
        # What nobody photographed is a hole on the map and in the list.
        near = (np.abs(spots - (along, up)) <= (0.15, 0.1)).all(axis=1)
        if (truth[near] == STATES.index("not seen")).all():
            y, x = int((1 - up / height) * cells.shape[0]), int(along / width * cells.shape[1])
            assert cells[y, x] == STATES.index("not seen")
            altitude = 100 + up
            assert any(abs(hole.altitude_m - altitude) < 0.4 for hole in coverage.holes if hole.state == "not seen")


def test_a_hole_says_where_to_fly_and_a_photograph_from_there_closes_it():
    rng = np.random.default_rng(3)
    face = wall_face(math.pi / 2, 3.0, 2.0, name="pier 2, west")
    poses = [
        before_wall(math.pi / 2, 0.45 + 0.7 * column, 0.35 + 0.6 * row, 2.0) for row in range(3) for column in range(4)
    ]
    lost = poses.pop(5)
    photos = [record(number, pose, rng, 0.0, 0.0, 0.0) for number, pose in enumerate(poses)]
    before = covered(photos, (face,))
    hole = next(hole for hole in before.holes if hole.where == "middle")
    assert hole.face == "pier 2, west"
    assert hole.heading_deg == pytest.approx(90.0)
    assert hole.altitude_m == pytest.approx(lost.place[2], abs=0.05)
    assert "towards 90 degrees" in hole.describe()
    again = replace(
        photos[0], name="again.jpg", latitude=hole.latitude, longitude=hole.longitude, altitude_m=hole.altitude_m,
        heading_deg=hole.heading_deg, pitch_deg=0.0, distance_m=hole.distance_m, mm_per_pixel=1000 * hole.distance_m / 8000,
    )  # fmt: skip
    after = covered([*photos, again], (face,))
    assert not any(found.where == "middle" for found in after.holes)
    assert after.areas_m2["not seen"] < before.areas_m2["not seen"]


def test_a_round_pier_is_seen_all_around_but_for_a_sector():
    rng = np.random.default_rng(1)
    radius, height, distance = 1.0, 1.1, 1.6
    poses = []
    for turn in range(14):
        heading = 2 * math.pi * turn / 16
        for up in (0.28, 0.82):
            place = -(radius + distance) * np.array([math.sin(heading), math.cos(heading)])
            poses.append(Pose(np.array([*place, 100 + up]), heading, 0.0, distance))
    photos = [record(number, pose, rng) for number, pose in enumerate(poses)]
    angle, heights = rng.uniform(0, 2 * math.pi, SPOTS), rng.uniform(0, height, SPOTS)
    normals = np.c_[np.sin(angle), np.cos(angle), np.zeros(SPOTS)]
    right = np.c_[-np.cos(angle), np.sin(angle), np.zeros(SPOTS)]
    truth = true_states(poses, radius * normals + np.c_[np.zeros((SPOTS, 2)), 100 + heights], right, normals)
    coverage = covered(photos, (round_face(2 * radius, height),))
    total = math.pi * 2 * radius * height
    assert sum(coverage.areas_m2.values()) == pytest.approx(total, rel=1e-6)
    for number, (state, area) in enumerate(coverage.areas_m2.items()):
        assert area == pytest.approx((truth == number).mean() * total, abs=0.02 * total), state
    largest = coverage.holes[0]
    assert largest.state == "not seen"
    # Headings of 315 and 337.5 degrees were not flown: what faces south-east was not seen.
    assert largest.where in ("middle part, south side", "middle part, south-east side")
    assert largest.heading_deg == pytest.approx(326, abs=8)


def test_walls_are_found_where_nobody_declared_them_and_enclosed_holes_with_them():
    rng = np.random.default_rng(2)
    poses, surfaces = [], []
    for heading, corner in ((0.0, (0.0, 0.0)), (math.pi / 2, (20.0, 20.0))):
        grid = [(0.5 + 0.7 * column, 0.4 + 0.55 * row) for row in range(3) for column in range(4)]
        grid.pop(5)
        poses += [before_wall(heading, along, up, 2.0, corner=corner) for along, up in grid]
        surfaces.append(grid)
    photos = [record(number, pose, rng, 0.0, 0.0, 0.0) for number, pose in enumerate(poses)]
    coverage = covered(photos)
    assert not coverage.declared
    assert len(coverage.faces) == 2
    for face, grid in zip(coverage.faces, surfaces, strict=True):
        spots = rng.uniform((0, 0), (3.1, 1.9), (SPOTS, 2))
        shown = [(np.abs(spots - spot) < (0.5, 0.375)).all(axis=1) for spot in grid]
        seen = np.any(shown, axis=0).mean() * 3.1 * 1.9
        assert face.areas_m2["clean"] == pytest.approx(seen, rel=0.02)
        assert face.areas_m2["not seen"] == pytest.approx(0.4 * 0.35, rel=0.15)
        assert len(face.holes) == 1
    assert "m2 that the photographs span" in coverage.describe()


def test_a_finding_counts_once_and_a_refuted_or_rejected_one_not_at_all(finding: Finding):
    rng = np.random.default_rng(0)
    face = wall_face(0.0, 1.0, 0.75)
    poses = [before_wall(0.0, 0.5, 0.375, 2.0)] * 2
    photos = [record(number, pose, rng, 0.0, 0.0, 0.0) for number, pose in enumerate(poses)]
    there = replace(finding, photo="0000.jpg", box=Box(0, 0, 1500, 2000))
    found = measure_coverage(photos, [there], (face,), NEEDS)
    assert found is not None
    assert found.areas_m2["findings"] == pytest.approx(0.75 / 4, rel=0.05)
    assert found.areas_m2["clean"] == pytest.approx(0.75 * 3 / 4, rel=0.05)
    settings = {"needs_mm": NEEDS, "faces": [asdict(face)]}
    for validation, decision, counts in (
        ("refuted", "", False),
        ("refuted", "accepted", True),
        ("confirmed", "accepted", True),
        ("confirmed", "rejected", False),
    ):
        told = replace(there, validation=validation)
        survey = Survey("s", "2026-11-29T10:00:00Z", {}, settings, tuple(photos), (told,), ())
        review = Review("", "", "", "", {there.id: Decision(decision)})
        reviewed = coverage_of(survey, review)
        assert reviewed is not None
        assert reviewed.areas_m2["findings"] == (found.areas_m2["findings"] if counts else 0)
        assert reviewed.areas_m2["clean"] == pytest.approx(0.75 * (3 / 4 if counts else 1), rel=0.05)


def test_a_finding_does_not_make_what_was_seen_badly_seen_well(finding: Finding):
    rng = np.random.default_rng(0)
    face = wall_face(0.0, 1.0, 0.75)
    near, far = (before_wall(0.0, 0.5, 0.375, metres) for metres in (2.0, 8.0))
    photos = [record(number, pose, rng, 0.0, 0.0, 0.0) for number, pose in enumerate((near, far))]
    everywhere = Box(0, 0, 3000, 4000)
    for shown, states in (
        (photos[1:], {"too coarse": 0.75}),
        (
            [replace(photos[0], patches="bg/dn")],
            {"blurred": 0.75 / 4, "too dark or burnt out": 0.75 / 4, "findings": 0.75 / 2},
        ),
        (photos, {"findings": 0.75}),  # the nearer photograph sees well what the farther one found
    ):
        found = measure_coverage(shown, [replace(finding, photo=shown[-1].name, box=everywhere)], (face,), NEEDS)
        assert found is not None
        areas = {state: area for state, area in found.areas_m2.items() if area}
        assert areas == {state: pytest.approx(area, rel=0.05) for state, area in states.items()}
        assert bool(found.holes) == ("findings" not in areas or len(areas) > 1)


def test_a_hole_before_a_short_lens_is_seen_from_as_near_as_it_takes():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    coverage = measure_coverage([photo], [], (wall_face(0.0, 1.0, 0.75),), needs_mm=0.1)
    assert coverage is not None
    (hole,) = coverage.holes
    assert hole.distance_m == pytest.approx(0.9 * 8 / 30)  # 8 m show a millimetre a pixel
    assert hole.describe().endswith("0.24 m before it; from 2 m it would take a lens 8.3 times as long")


@pytest.fixture
def finding() -> Finding:
    return some_finding("0000.jpg", validation_score=None)


def test_patches_that_show_nothing_are_not_seen():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    face = wall_face(0.0, 1.0, 0.75)
    areas = covered([replace(photo, patches="bg/dn")], (face,)).areas_m2
    for state in ("blurred", "clean", "too dark or burnt out", "not concrete"):
        assert areas[state] == pytest.approx(0.75 / 4, rel=0.05), state


@pytest.mark.parametrize(
    "unknown",
    [
        {"latitude": None, "longitude": None},
        {"altitude_m": None},
        {"heading_deg": None},
        {"mm_per_pixel": None},
        {"pitch_deg": -80.0},
    ],
)
def test_photographs_that_show_nobody_knows_what_are_counted(unknown: dict[str, Any]):
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    coverage = covered([photo, replace(photo, name="x.jpg", **unknown)], (wall_face(0.0, 1.0, 0.75),))
    assert coverage.unplaced == 1
    assert "1 of 2 photographs is not counted, since it is not known what it shows" in coverage.describe()
    assert measure_coverage([replace(photo, **unknown)], []) is None


def test_a_camera_that_stands_elsewhere_looks_at_something_else():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    elsewhere = wall_face(0.0, 1.0, 0.75, corner=(0.0, 40.0))
    assert covered([photo], (elsewhere,)).areas_m2["clean"] == 0
    behind = wall_face(math.pi, 1.0, 0.75, corner=(1.0, 0.0))
    assert covered([photo], (behind,)).areas_m2["clean"] == 0


def test_a_rough_range_is_no_other_wall_where_positions_are_fine():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    # RTK to two centimetres, and a laser that is off by fifteen, which its ten percent allow.
    off = replace(photo, name="1.jpg", distance_m=2.15, mm_per_pixel=1000 * 2.15 / 8000)
    face = wall_face(0.0, 1.0, 0.75)
    seen = measure_coverage([off], [], (face,), NEEDS, 0.02)
    assert seen is not None
    assert seen.unplaced == 0
    assert seen.areas_m2["clean"] == pytest.approx(0.75, rel=0.02)
    found = measure_coverage([photo, off], [], (), NEEDS, 0.02)
    assert found is not None
    assert len(found.faces) == 1
    lost = measure_coverage([replace(off, distance_m=2.5)], [], (face,), NEEDS, 0.02)
    assert lost is not None
    assert lost.areas_m2["clean"] == 0


def test_spots_have_names():
    face = wall_face(math.pi / 2, 9.0, 9.0)  # looked at eastwards: north is on the left
    assert where_on(face, 1, 1) == "lower north corner"
    assert where_on(face, 8, 8) == "upper south corner"
    assert where_on(face, 4.5, 8) == "upper edge"
    assert where_on(face, 8, 4.5) == "south edge"
    assert where_on(face, 4.5, 4.5) == "middle"


GOOD = {
    "name": "a", "kind": "rectangle", "latitude": 48.0, "longitude": 16.0, "bottom_m": 1, "heading_deg": 90, "width_m": 6, "height_m": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"format": "x"}, '"format" must be'),
        ({"format": "crack_tf.faces/1"}, "docs/coverage.md"),
        ({"format": "crack_tf.faces/1", "faces": []}, "0 faces"),
        ({"format": "crack_tf.faces/1", "faces": [GOOD, GOOD]}, "two faces are named 'a'"),
        ({"format": "crack_tf.faces/1", "faces": [{**GOOD, "width_m": None}]}, "needs width_m"),
        ({"format": "crack_tf.faces/1", "faces": [{**GOOD, "kind": "cylinder"}]}, "needs diameter_m"),
        ({"format": "crack_tf.faces/1", "faces": [{**GOOD, "height_m": -1}]}, "height_m"),
        ({"format": "crack_tf.faces/1", "faces": [{**GOOD, "latitude": 99}]}, "latitude"),
        ({"format": "crack_tf.faces/1", "faces": [{**GOOD, "colour": 1}]}, "colour"),
    ],
)
def test_a_file_of_faces_that_is_none_is_refused_by_name(value: object, problem: str, tmp_path: Path):
    path = tmp_path / "faces.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CrackError, match="--faces") as refused:
        read_faces(path)
    assert problem in str(refused.value)


def test_declared_faces_are_read(tmp_path: Path):
    path = tmp_path / "faces.json"
    path.write_text(json.dumps({"format": "crack_tf.faces/1", "faces": [GOOD]}))
    (face,) = read_faces(path)
    assert (face.length_m, face.area_m2) == (6, 30)


def test_the_report_has_the_sentence_a_map_and_where_to_fly():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    coverage = covered([photo], (wall_face(0.0, 2.0, 0.75, name="pier <2>"),))
    html = coverage_section(coverage)
    assert re.search(r"Of 1\.5\xa0m² declared, 0\.7[45]\xa0m² were seen at 0\.333\xa0mm per pixel or better", html)
    assert "pier &lt;2&gt;" in html
    assert "<2>" not in html
    assert html.count('<svg class="cells"') == 1
    assert "Where to fly next" in html
    assert "Coverage is not known, since no photograph says" in coverage_section(None)


def test_a_map_of_few_cells_still_shows_every_hole_and_finding():
    rng = np.random.default_rng(0)
    photo = record(0, before_wall(0.0, 0.5, 0.375, 2.0), rng, 0.0, 0.0, 0.0)
    (face,) = covered([photo], (wall_face(0.0, 1.0, 0.75),)).faces
    cells = np.full((700, 1000), STATES.index("clean"), np.uint8)
    cells[333, 777], cells[10, 20], cells[690:] = STATES.index("not seen"), STATES.index("findings"), 255
    html = coverage_section(Coverage((replace(face, cells=cells),), True, NEEDS, 0, 1))
    shown = re.findall(r'<path fill="([^"]+)" d="([^"]+)"', html)
    assert [colour for colour, _ in shown] == [COLOURS[0], COLOURS[1], COLOURS[7]]
    assert [path.count("M") for colour, path in shown if colour != COLOURS[1]] == [1, 1]
    assert len(html) < 20_000
