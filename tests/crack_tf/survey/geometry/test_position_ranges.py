"""Drones with RTK, a gimbal and no laser: photographs that overlap say how far away the wall is, in a survey of the command line too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import crack_tf
from crack_tf.photo.gsd import BY_POSITIONS
from crack_tf.survey.config import SurveyConfig
from crack_tf.survey.findings import read_survey
from crack_tf.survey.geometry.camera import Locator, Shot
from crack_tf.survey.geometry.position_ranges import PositionRanges, lens_locator, measure_ranges
from crack_tf.survey.source import Source, open_source
from crack_tf.survey.store import RANGES
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan
from tests.crack_tf.survey.small_flight import write_models
from tflite.errors import CrackError
from tflite.place.flightlog import read_flight_log

NOISE_M = 0.01
FLIGHT = Plan(
    seed=5, piers=1, rows=2, columns=3, width=640, height=480, cracks=0, mm_per_pixel=4.0, distance_m=2.5, gps_noise_m=NOISE_M,
    laser_noise_m=0.1, pitch_deg=4.0, facing_deg=3.0, gimbal_noise_deg=0.5,
)  # fmt: skip


def without_lasers(folder: Path, keep: slice = slice(None)) -> Path:
    """The flight as one without a laser took it."""
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        if number not in range(100)[keep]:
            path.unlink()
            continue
        data = path.read_bytes()
        assert b'LRFStatus="Normal"' in data
        path.write_bytes(data.replace(b'LRFStatus="Normal"', b'LRFStatus="NoSig!"'))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("flight")
    write_flight(folder / "flight", FLIGHT)
    return without_lasers(folder / "flight" / "photos")


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict[str, Any]:
    models = write_models(tmp_path_factory.mktemp("models"))
    return {"model": str(models.classifier), "segmenter": "none", "foreground": "none", "jobs": 1}


@pytest.mark.slow
def test_a_survey_takes_its_scale_from_them_and_measures_once(photos: Path, settings, tmp_path: Path) -> None:
    told: list[str] = []
    # One photograph in seven has no position of its own.
    asked: dict[str, Any] = {
        "distance_from_positions": True,
        "position_error_m": 2 * NOISE_M,
        "flight_log": photos.parent / "flight.csv",
    }
    found = crack_tf.survey(photos, tmp_path / "out", say=told.append, **settings, **asked)
    assert {photo.scale_source for photo in found.survey.photos} == {BY_POSITIONS}
    truth = {photo["name"]: photo for photo in json.loads((photos.parent / "truth.json").read_text())["photos"]}
    for photo in found.survey.photos:
        assert photo.scale_error is not None
        assert photo.scale_error < 0.1
        assert photo.mm_per_pixel is not None
        true = truth[photo.name]["mm_per_pixel"]
        assert abs(photo.mm_per_pixel - true) <= 1.5 * photo.scale_error * photo.mm_per_pixel
    assert sum(line.startswith("distances from positions: 6 photographs, 2.") for line in told) == 1
    told.clear()
    again = crack_tf.survey(photos, tmp_path / "out", say=told.append, **settings, **asked)
    assert again.survey.photos == found.survey.photos
    assert not any("distances from positions" in line for line in told)
    # Damaged, it is measured again, and the same.
    before = (tmp_path / "out" / RANGES).read_bytes()
    (tmp_path / "out" / RANGES).write_bytes(before[:40])
    crack_tf.survey(photos, tmp_path / "out", say=told.append, **settings, **asked)
    assert (tmp_path / "out" / RANGES).read_bytes() == before
    # Other photographs are another plane: another survey, which is said before anything is measured.
    told.clear()
    (photos / "IMG_0001.jpg").rename(tmp_path / "IMG_0001.jpg")
    try:
        with pytest.raises(CrackError, match=r"other settings .*distance_from_positions was '6 photographs"):
            crack_tf.survey(photos, tmp_path / "out", say=told.append, **settings, **asked)
    finally:
        (tmp_path / "IMG_0001.jpg").rename(photos / "IMG_0001.jpg")
    assert not any("distances from positions" in line for line in told)
    assert len(read_survey(tmp_path / "out").photos) == 6


def source_of(photos: Path) -> Source:
    log = read_flight_log(photos.parent / "flight.csv")
    return open_source(photos, photos.parent / "nowhere", lens_locator(Locator(log=log)), 1.0, None)


@pytest.mark.slow
def test_photographs_that_do_not_overlap_are_refused_with_the_reason(tmp_path: Path) -> None:
    write_flight(tmp_path / "flight", replace(FLIGHT, rows=1, columns=5, seed=6))
    lonely = without_lasers(tmp_path / "flight" / "photos", slice(0, None, 4))
    with pytest.raises(CrackError, match=r"no distance could be measured \(2 that overlap with no other from another"):
        measure_ranges(source_of(lonely), 2 * NOISE_M, 1)


@pytest.mark.slow
def test_positions_too_poor_for_their_distances_are_refused_with_the_reason(photos: Path) -> None:
    with pytest.raises(CrackError, match=r"no distance could be measured \(6 (from places too near|that overlap)"):
        measure_ranges(source_of(photos), 1.0, 1)


def test_a_camera_that_was_not_measured_has_no_distance() -> None:
    ranges = PositionRanges("1 photograph", ((48.0, 16.0, 100.0, 90.0, 0.0, 2.5, 0.05),))
    shot = Shot(latitude=48.0, longitude=16.0, altitude_m=100.0, heading_deg=90.0, pitch_deg=0.0)
    assert ranges(shot) == (2.5, 0.05)
    assert ranges(replace(shot, altitude_m=101.0)) is None
    assert ranges(replace(shot, pitch_deg=None)) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"needs --position-error-m of at most 0.5 \(now 3\)"),
        ({"position_error_m": 0.04, "distance_m": 2.0}, "and --distance-m are two answers"),
        ({"position_error_m": 0.04, "mm_per_pixel": 0.2}, "and --mm-per-pixel are two answers"),
        (
            {"position_error_m": 0.04, "distance_from_faces": True, "faces": Path("faces.json")},
            "and --distance-from-faces are two answers",
        ),
    ],
)
def test_what_contradicts_it_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(CrackError, match=f"--distance-from-positions.*{message}"):
        SurveyConfig(distance_from_positions=True, **given)  # type: ignore[arg-type]


def test_a_video_is_refused(tmp_path: Path) -> None:
    from crack_tf.survey.geometry.position_ranges import ranges_of

    class Video:
        name, kind, count = "flight.mp4", "video", 3

    with pytest.raises(CrackError, match="takes a folder of photographs, not a video"):
        ranges_of(Video(), tmp_path, 0.04, {}, 1, print)  # type: ignore[arg-type]
