"""Where a drawn flight's cameras are: photographs and walls map onto each other, and surveys agree that read the photographs alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.data.__main__ import main
from crack_tf.photo.faces import Frame, read_faces, spots_on
from crack_tf.survey.ledger import STATES, measure_coverage
from crack_tf.synthetic.flight import blank_photo
from crack_tf.synthetic.flight_geometry import homography, move, shots, surfaces, to_photo, to_wall
from crack_tf.synthetic.flight_plan import SHAPES, Plan
from crack_tf.synthetic.flight_truth import CLASSES, declared, true_coverage
from studies.coverage import record_of
from tflite.errors import CrackError
from tflite.images import load_rgb

FLIGHT = Plan(
    seed=1,
    piers=1,
    rows=3,
    columns=8,
    width=1000,
    height=750,
    mm_per_pixel=0.5,
    distance_m=4.0,
    gps_noise_m=0.003,
    laser_noise_m=0.01,
    pitch_deg=6.0,
    facing_deg=3.0,
    missed=2,
    blurred=1,
    far=2,
)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_photographs_pixels_and_the_walls_map_onto_each_other(shape):
    plan = replace(FLIGHT, shape=shape)
    rng = np.random.default_rng(0)
    for shot in shots(plan)[1]:
        pixels = rng.uniform((0, 0), (plan.width, plan.height), (50, 2))
        places = to_wall(plan, shot, pixels)
        seen = np.isfinite(places).all(axis=1)
        assert seen.any()
        back, cosine = to_photo(plan, shot, places[seen])
        assert np.abs(back - pixels[seen]).max() < 1e-6
        assert (cosine > 0).all()
        middle = np.array([[(plan.width - 1) / 2, (plan.height - 1) / 2]])
        assert to_wall(plan, shot, middle)[0] == pytest.approx(shot.centre, abs=1e-6)
        known = homography(plan, shot)
        if known is not None:
            there = np.c_[pixels, np.ones(50)] @ known.T
            assert there[:, :2] / there[:, 2:] == pytest.approx(places, abs=1e-6)


def test_the_faces_of_a_corner_share_an_edge_and_the_map_of_a_cylinder_closes():
    plan = replace(FLIGHT, shape="corner", piers=2)
    for front, side in np.array(surfaces(plan, 37.0)).reshape(2, 2):
        one, other = declared(plan, front), declared(plan, side)
        frame = Frame(one.latitude, one.longitude)
        edge = spots_on(one, frame, np.array([one.length_m]), np.array([0.5])).points
        assert spots_on(other, frame, np.array([0.0]), np.array([0.5])).points == pytest.approx(edge, abs=1e-5)
    plan = replace(FLIGHT, shape="round")
    face = declared(plan, surfaces(plan, 200.0)[0])
    frame = Frame(face.latitude, face.longitude)
    ends = spots_on(face, frame, np.array([0.0, face.length_m]), np.array([0.1, 0.1])).points
    assert ends[0] == pytest.approx(ends[1], abs=1e-6)
    assert face.length_m == pytest.approx(plan.columns * plan.stride[0] * plan.mm_per_pixel / 1000)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_survey_comes_to_the_true_areas_and_finds_every_hole(shape):
    plan = replace(FLIGHT, shape=shape)
    surfaces_, taken = shots(plan)
    truth = true_coverage(plan, surfaces_, taken)
    faces = [declared(plan, surface) for surface in surfaces_]
    records = [record_of(plan, shot) for shot in taken]
    coverage = measure_coverage(records, [], faces, plan.needed_mm, 0.1)
    assert coverage is not None
    assert coverage.unplaced == 0
    lacking = 0
    for known, found in zip(truth, coverage.faces, strict=True):
        assert sum(known.areas_m2.values()) == pytest.approx(known.face.area_m2, rel=1e-4)
        for name, state in zip(CLASSES, ("clean", *CLASSES[1:]), strict=True):
            assert found.areas_m2[state] == pytest.approx(known.areas_m2[name], abs=0.02 * known.face.area_m2), name
        for hole in known.holes:
            if hole.depth_m > 0.03:
                lacking += 1
                row = int((1 - hole.up_m / known.face.height_m) * len(found.cells))
                column = int(hole.along_m / known.face.length_m * found.cells.shape[1])
                assert found.cells[row, column] > STATES.index("clean")
    assert lacking >= 1
    assert coverage.holes


def test_a_missed_photograph_is_a_hole_and_none_without():
    plan = replace(FLIGHT, missed=0, blurred=0, far=0, pitch_deg=0.0, facing_deg=0.0)
    (whole,) = true_coverage(plan, *shots(plan))
    assert whole.areas_m2["seen"] == pytest.approx(whole.face.area_m2)
    assert whole.holes == ()
    faces, taken = shots(plan)
    lost = taken.pop(12)
    (pierced,) = true_coverage(plan, faces, taken)
    (hole,) = pierced.holes
    assert hole.state == "not seen"
    scale = plan.mm_per_pixel / 1000
    assert hole.along_m == pytest.approx((lost.centre[0] - plan.pier.x) * scale, abs=0.02)
    assert hole.area_m2 == pytest.approx(pierced.areas_m2["not seen"])


def test_the_command_draws_a_cylinder_and_declares_its_face(tmp_path: Path, capsys):
    options = "--piers 1 --rows 1 --columns 6 --size 400x400 --shape round --cracks 4 --laser-noise-m 0.01 --missed 3 --needs-mm 2"
    assert main(["flight", "--out", str(tmp_path / "f"), *options.split()]) == 0
    assert "3 photographs of 1 pier with" in capsys.readouterr().out
    (face,) = read_faces(tmp_path / "f/faces.json")
    assert (face.kind, face.name) == ("cylinder", "pier 1")
    truth = json.loads((tmp_path / "f/truth.json").read_text())
    assert truth["needs_mm"] == 2
    assert sum(truth["faces"][0]["areas_m2"].values()) == pytest.approx(face.area_m2, rel=1e-4)
    assert truth["photos"][0]["to_wall_mm"] is None
    crack = truth["cracks"][0]
    assert crack["face"] == "pier 1"
    assert 0.55 <= crack["darkness"] <= 0.82
    assert any(other["photos"] for other in truth["cracks"])
    for name, seen in ((name, seen) for other in truth["cracks"] for name, seen in other["photos"].items()):
        pixels = load_rgb(tmp_path / "f/photos" / name).mean(axis=2)
        x, y = np.array(seen["points"])[3:-3].round().astype(int).T
        assert pixels[y, x].mean() < 0.8 * np.median(pixels)


def test_photographs_say_what_the_gimbal_says_and_the_truth_what_is():
    plan = replace(FLIGHT, gimbal_noise_deg=1.0)
    faces, taken = shots(plan)
    off = []
    for shot in taken:
        record = record_of(plan, shot)
        assert record.scale_source == "laser"
        assert record.pitch_deg == pytest.approx(math.degrees(shot.said_pitch), abs=0.006)
        off.append((record.pitch_deg or 0) - math.degrees(shot.pitch))
    assert 0.4 < np.std(off) < 2
    latitude, longitude = move(plan.latitude, plan.longitude, faces[0].heading_deg, -4.0, 0.5)
    assert abs(taken[0].latitude - latitude) < 1e-4
    assert abs(taken[0].longitude - longitude) < 1e-4
    assert blank_photo(plan, taken[0])[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"shape": "oval"}, "--shape"),
        ({"shape": "round", "columns": 3}, "--columns"),
        ({"facing_deg": 40.0}, "--facing-deg"),
        ({"gimbal_noise_deg": -1.0}, "--gimbal-noise-deg"),
        ({"distance_m": 0.1}, "--distance-m"),
        ({"widths_px": (5.0, 3.0)}, "--widths-px"),
        ({"darkness": (0.0, 2.0)}, "--darkness"),
        ({"far": 30}, "--far"),
        ({"gps_noise_m": math.nan}, "--gps-noise-m nan: choose from 0 to 100 m"),
        ({"mm_per_pixel": 1e-30}, "--mm-per-pixel 1e-30 at --distance-m .*: no lens draws that"),
        ({"mm_per_pixel": 9000.0, "distance_m": 100.0}, "--mm-per-pixel 9000 at --distance-m 100: no lens"),
    ],
)
def test_a_flight_that_cannot_be_flown_is_refused(change, option):
    with pytest.raises(CrackError, match=option):
        replace(FLIGHT, **change).check()


def test_a_later_flight_shows_the_same_walls_from_elsewhere_with_wider_cracks(tmp_path: Path) -> None:
    small = ["--piers", "1", "--rows", "1", "--columns", "1", "--size", "400x300", "--cracks", "2", "--seed", "5"]
    truths = []
    for name, more in (("old", []), ("same", []), ("new", ["--epoch", "1", "--grown-mm", "0,0.3"])):
        assert main(["flight", *small, *more, "--out", str(tmp_path / name)]) == 0
        truths.append(json.loads((tmp_path / name / "truth.json").read_text()))
    old, same, new = truths
    assert old == same
    assert "epoch" not in old
    assert new["epoch"] == 1
    for before, now, grown in zip(old["cracks"], new["cracks"], (0.0, 0.3), strict=False):
        assert now["on_face_m"] == before["on_face_m"]
        assert now["grown_mm"] == grown
        assert now["mean_width_mm"] - before["mean_width_mm"] == pytest.approx(grown, abs=0.002)
        assert now["darkness"] != before["darkness"]
    (one,), (other,) = old["photos"], new["photos"]
    assert one["mm_per_pixel"] != other["mm_per_pixel"]
    assert one["to_wall_mm"] != other["to_wall_mm"]
    assert (one["time"][:4], other["time"][:4]) == ("2025", "2026")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--grown-mm", "0.2"], "--grown-mm needs --epoch 1 or more"),
        (["--epoch", "1", "--longer-mm", "20"], "--longer-mm 20: give millimetres from 0 to 15"),
        (["--epoch", "1", "--grown-mm", "-1"], "--grown-mm -1: give millimetres from 0 to 9"),
        (["--epoch", "1", "--grown-mm", "nan"], "--grown-mm nan: give millimetres"),
    ],
)
def test_growth_that_cannot_be_drawn_is_named(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flight", *more, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_crack_that_runs_on_keeps_its_course_and_its_tip_opens(tmp_path: Path) -> None:
    small = ["--piers", "1", "--rows", "1", "--columns", "1", "--size", "400x300", "--cracks", "1", "--seed", "5"]
    for name, more in (("old", []), ("new", ["--epoch", "1", "--longer-mm", "6"])):
        assert main(["flight", *small, *more, "--out", str(tmp_path / name)]) == 0
    (old,), (new,) = (json.loads((tmp_path / name / "truth.json").read_text())["cracks"] for name in ("old", "new"))
    assert new["on_face_m"][: len(old["on_face_m"])] == old["on_face_m"]
    assert new["length_mm"] - old["length_mm"] == pytest.approx(6, abs=0.05)
    assert (new["longer_mm"], new["grown_mm"]) == (6, 0)
    assert new["mean_width_mm"] == pytest.approx(old["mean_width_mm"], rel=0.25)
