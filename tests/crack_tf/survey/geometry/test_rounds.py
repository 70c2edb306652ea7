"""Where a round pier is declared, lengths on its photographs are those around it, not those on a wall before it."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.photo.faces import CYLINDER, RECTANGLE, Face
from crack_tf.survey.findings import Finding, PhotoRecord
from crack_tf.survey.geometry.rounds import on_cylinders
from tests.crack_tf.survey.geometric_flight import FOCAL, HEIGHT, LAT, LON, WIDTH, Pose, record
from tflite.device.tiles import Box

RADIUS, DISTANCE = 0.85, 2.5
PIER = Face("pier", CYLINDER, LAT, LON, 98.0, 0.0, 4.0, diameter_m=2 * RADIUS)


def photo_of(heading_deg: float, turned_deg: float = 0.0) -> PhotoRecord:
    """A camera that looks at the pier; turned away from its axis by so much to the right."""
    heading = math.radians(heading_deg)
    reach = RADIUS + DISTANCE
    place = np.array([-reach * math.sin(heading), -reach * math.cos(heading), 100.0])
    aside = reach * math.sin(math.radians(turned_deg))
    distance = reach * math.cos(math.radians(turned_deg)) - math.sqrt(RADIUS**2 - aside**2)
    pose = Pose(place, heading + math.radians(turned_deg), 0.0, distance)
    return record(0, pose, np.random.default_rng(0), 0.0, 0.0, 0.0)


def drawn_on(photo: PhotoRecord, ends: np.ndarray) -> Finding:
    """A crack between pixels, measured as on a wall."""
    scale = photo.mm_per_pixel or 0.0
    length = float(np.hypot(*(ends[1] - ends[0])))
    line = [tuple(point) for point in np.linspace(ends[0], ends[1], 60)]
    return Finding(
        id="0" * 12, photo=photo.name, seen_on=(photo.name,), box=Box(0, 0, 10, 10), outline=(tuple(line + line[::-1]),),
        latitude=None, longitude=None, altitude_m=None, time=None, probability=1.0, tiles=1, validation="confirmed",
        validation_score=1.0, mm_per_pixel=scale, length_px=length, mean_width_px=4.0, max_width_px=5.0, length_mm=length * scale,
        mean_width_mm=4 * scale, max_width_mm=5 * scale, severity=1.0, picture="p.jpg", overlay="o.jpg", length_error_mm=1.0,
        mean_width_error_mm=0.1, max_width_error_mm=0.1, length_low_mm=0.9 * length * scale, length_high_mm=1.1 * length * scale,
        max_width_low_mm=4 * scale, max_width_high_mm=6 * scale,
    )  # fmt: skip


def spot(photo: PhotoRecord, around_deg: float, up: float) -> np.ndarray:
    """The pixel of a spot of the pier: degrees around it to the right as the camera's place sees it, metres above the camera."""
    heading = math.radians(photo.heading_deg or 0.0)
    ahead, right = np.array([math.sin(heading), math.cos(heading)]), np.array([math.cos(heading), -math.sin(heading)])
    from tflite.place.fix import EARTH_M

    north = math.radians((photo.latitude or 0.0) - LAT) * EARTH_M
    east = math.radians((photo.longitude or 0.0) - LON) * EARTH_M * math.cos(math.radians(LAT))
    place = np.array([east, north])
    towards = -place / np.linalg.norm(place)
    side = np.array([towards[1], -towards[0]])
    turned = math.radians(around_deg)
    there = RADIUS * (math.sin(turned) * side - math.cos(turned) * towards) - place
    depth = float(there @ ahead)
    return np.array([WIDTH / 2 + FOCAL * float(there @ right) / depth, HEIGHT / 2 - FOCAL * up / depth])


def depth_of(photo: PhotoRecord, around_deg: float) -> float:
    """Metres before the camera of a spot of the pier, along its line of sight."""
    one, other = spot(photo, around_deg, 0.0), spot(photo, around_deg, 1.0)
    return FOCAL / float(one[1] - other[1])


@pytest.mark.parametrize("heading", [0.0, 130.0])
@pytest.mark.parametrize("turned", [0.0, 6.0, -6.0])
@pytest.mark.parametrize(("start", "end"), [(5.0, 20.0), (-22.0, -8.0)])
def test_a_crack_around_a_pier_is_as_long_as_its_arc(heading: float, turned: float, start: float, end: float) -> None:
    photo = photo_of(heading, turned)
    finding = drawn_on(photo, np.array([spot(photo, start, 0.1), spot(photo, end, 0.1)]))
    arc = 1000 * RADIUS * math.radians(end - start)
    (found,) = on_cylinders([photo], [finding], [PIER], 0.1)
    assert finding.length_mm is not None
    assert found.length_mm == pytest.approx(arc, rel=0.01)
    assert abs(finding.length_mm / arc - 1) > 0.01 or turned
    # Its width runs up the pier, where a pixel shows more the farther away it is than what the camera looks at.
    assert found.mean_width_mm is not None
    assert finding.mean_width_mm is not None
    assert found.mean_width_mm / finding.mean_width_mm == pytest.approx(
        depth_of(photo, (start + end) / 2) / (photo.distance_m or 0), rel=0.02
    )
    assert found.length_error_mm is not None
    assert found.length_error_mm > 0.02 * arc
    assert found.length_low_mm == pytest.approx(0.9 * arc, rel=0.01)
    assert found.max_width_high_mm == pytest.approx(6 / 5 * (found.max_width_mm or 0), rel=0.01)


def test_what_is_on_no_cylinder_stays_as_it_was() -> None:
    photo = photo_of(0.0)
    finding = drawn_on(photo, np.array([spot(photo, 5.0, 0.0), spot(photo, 20.0, 0.0)]))
    wall = Face("wall", RECTANGLE, LAT, LON, 98.0, 0.0, 4.0, width_m=3.0)
    for faces in ((), (wall,), (replace(PIER, latitude=LAT + 0.01),)):
        assert on_cylinders([photo], [finding], faces, 0.1) == [finding]
    given = replace(photo, scale_error=None)
    assert on_cylinders([given], [finding], [PIER], 0.1) == [finding]
    tiles = replace(finding, length_mm=None, mean_width_mm=None, max_width_mm=None, length_error_mm=None)
    (found,) = on_cylinders([photo], [tiles], [PIER], 0.1)
    assert (found.length_mm, found.mean_width_mm, found.length_error_mm) == (None, None, None)


def test_the_survey_of_a_finished_folder_is_put_right_when_the_pier_is_declared(tmp_path: Path) -> None:
    import crack_tf
    from tests.crack_tf.survey.small_flight import exif, wall, write_models

    models = write_models(tmp_path)
    (tmp_path / "DCIM").mkdir()
    tags = exif(0)
    gps = tags.get_ifd(0x8825)
    gps[5], gps[6], gps[16], gps[17] = b"\0", 100.0, "T", 0.0
    tags.get_ifd(0x8769)[0xA405] = 24
    photo = wall(0, [[(150, 30), (200, 60)]])
    photo.save(tmp_path / "DCIM" / "0.jpg", exif=tags, quality=95)
    settings: dict[str, Any] = {
        "model": str(models.classifier),
        "segmenter": str(models.segmenter),
        "foreground": "none",
        "distance_m": 1.0,
    }
    flat = crack_tf.survey(tmp_path / "DCIM", tmp_path / "out", **settings)
    assert flat.findings[0].length_mm is not None
    assert flat.findings[0].profile is not None
    table = tmp_path / "out" / flat.findings[0].profile
    as_searched = table.read_bytes()
    here = {"latitude": 48.2, "longitude": 16.4, "bottom_m": 90.0, "height_m": 20.0, "heading_deg": 0.0}
    # The axis 1.8 m north of the camera.
    pier = {
        "name": "pier",
        "kind": "cylinder",
        "diameter_m": 1.6,
        **here,
        "latitude": 48.2 + math.degrees(1.8 / 6371008.8),
    }
    (tmp_path / "faces.json").write_text(json.dumps({"format": "crack_tf.faces/1", "faces": [pier]}))
    again = crack_tf.survey(tmp_path / "DCIM", tmp_path / "out", faces=tmp_path / "faces.json", **settings)
    assert again.handled == 0
    assert again.findings[0].length_mm is not None
    assert 1.02 < again.findings[0].length_mm / flat.findings[0].length_mm < 2
    assert again.findings[0].length_px == flat.findings[0].length_px
    # The table along the crack says the same, in the same pixels.
    grown = again.findings[0].length_mm / flat.findings[0].length_mm
    rows = [list(csv.DictReader(io.StringIO(data.decode()))) for data in (as_searched, table.read_bytes())]
    longest = [max(float(row["along_mm"]) for row in some if row["along_mm"]) for some in rows]
    assert longest[1] / longest[0] == pytest.approx(grown, rel=0.05)
    assert [row["width_px"] for row in rows[0]] == [row["width_px"] for row in rows[1]]
    assert rows[0][0]["width_mm"] != rows[1][0]["width_mm"]
    crack_tf.survey(tmp_path / "DCIM", tmp_path / "out", **settings)  # no longer declared
    assert table.read_bytes() == as_searched
