"""GeoJSON as RFC 7946 wants it: longitude first, no geometry where there is no place, lines cut at the antimeridian."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crack_tf.photo.crack import range_row
from crack_tf.photo.cracks import measure_cracks
from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey
from crack_tf.survey.formats.geojson import COLUMNS, coverage_geojson, finding_row, findings_geojson, write_tables
from crack_tf.survey.reviews.review import Decision, Review
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box
from tflite.errors import CrackError


def finding(latitude: float | None = -33.5, longitude: float | None = -70.6, altitude: float | None = 12.0) -> Finding:
    ring = ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0))
    return some_finding(
        id="abc",
        seen_on=("a.jpg", "b.jpg"),
        box=Box(2, 1, 2, 2),
        outline=(ring,),
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude,
        tiles=2,
        mm_per_pixel=0.1,
        length_px=400.0,
        mean_width_px=4.0,
        max_width_px=6.0,
        length_mm=40.0,
        mean_width_mm=0.4,
        max_width_mm=0.6,
        severity=5.0,
        picture="p",
        overlay="o",
    )


def photo(name: str, longitude: float | None, latitude: float = 10.0, time: str | None = None) -> PhotoRecord:
    place = (None if longitude is None else latitude, longitude)
    return PhotoRecord(name, "0" * 64, 10, 10, time, *place, 5.0, None, None, 4, 0, 0)


LEVELS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def check(collection: dict) -> None:
    """What RFC 7946 demands of a collection of features, as it is written: sections 3.1 to 3.3, 4 and 7.1."""
    collection = json.loads(json.dumps(collection, allow_nan=False))
    assert collection["type"] == "FeatureCollection"
    assert isinstance(collection["features"], list)
    # 7.1: members of other types are not used in another sense; 4: no other system of coordinates.
    assert not {"crs", "coordinates", "geometries", "geometry", "properties"} & set(collection)
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        assert {"geometry", "properties"} <= set(feature) <= {"type", "geometry", "properties", "id"}
        assert isinstance(feature.get("id", ""), (str, int, float))
        assert feature["properties"] is None or isinstance(feature["properties"], dict)
        if feature["geometry"] is not None:
            check_geometry(feature["geometry"])


def check_geometry(geometry: dict) -> None:
    """Places longitude first, within the world; lines of two places and more; rings closed."""
    assert set(geometry) == {"type", "coordinates"}
    level = LEVELS[geometry["type"]]
    lines = [geometry["coordinates"]]
    for _ in range(level):
        lines = [part for line in lines for part in line]
    for place in lines:
        assert 2 <= len(place) <= 3
        assert all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in place)
        assert -180 <= place[0] <= 180
        assert -90 <= place[1] <= 90
    if "LineString" in geometry["type"]:
        parts = geometry["coordinates"] if level == 2 else [geometry["coordinates"]]
        assert all(len(line) >= 2 for line in parts)
    if "Polygon" in geometry["type"]:
        rings = geometry["coordinates"] if level == 2 else [ring for part in geometry["coordinates"] for ring in part]
        assert all(len(ring) >= 4 and ring[0] == ring[-1] for ring in rings)


def test_findings_are_points_with_longitude_first():
    collection = findings_geojson([finding()])
    check(collection)
    feature = collection["features"][0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-70.6, -33.5, 12.0]}
    assert feature["properties"]["length_mm"] == 40.0
    assert feature["properties"]["seen_on"] == ["a.jpg", "b.jpg"]


def test_a_finding_without_a_place_has_no_geometry():
    collection = findings_geojson([finding(None, None, None)])
    check(collection)
    assert collection["features"][0]["geometry"] is None


def test_coverage_tells_way_photographs_and_gaps_apart():
    photos = [
        photo("b.jpg", 16.2, time="2025-06-01T09:30:02Z"),
        photo("a.jpg", 16.1, time="2025-06-01T09:30:01Z"),
        photo("c.jpg", None),
    ]
    collection = coverage_geojson(photos, [Gap("d.jpg", "unreadable", "damaged")])
    check(collection)
    assert [feature["properties"]["kind"] for feature in collection["features"]] == [
        "path",
        "photo",
        "photo",
        "photo",
        "gap",
    ]
    assert collection["features"][0]["geometry"]["coordinates"] == [[[16.1, 10.0], [16.2, 10.0]]]
    assert collection["features"][3]["geometry"] is None


def test_a_way_across_the_antimeridian_is_cut_there():
    lines = coverage_geojson([photo("a", 179.9, 10.0), photo("b", -179.9, 12.0)], [])["features"][0]["geometry"][
        "coordinates"
    ]
    assert lines == [
        [[179.9, 10.0], [180.0, pytest.approx(11.0)]],
        [[-180.0, pytest.approx(11.0)], [-179.9, 12.0]],
    ]


@given(way=st.lists(st.floats(-180, 180), min_size=2, max_size=12))
@example(way=[180.0, -180.0])
def test_no_part_of_a_way_runs_round_the_world(way):
    collection = coverage_geojson([photo(f"{number:03d}", longitude) for number, longitude in enumerate(way)], [])
    check(collection)
    for line in collection["features"][0]["geometry"]["coordinates"]:
        assert len(line) >= 2
        assert all(abs(one[0] - other[0]) <= 180 for one, other in itertools.pairwise(line))


def test_the_table_has_a_row_per_finding(tmp_path):
    write_tables(
        tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, {}, (), (finding(), finding(None, None, None)), ())
    )
    rows = list(csv.DictReader((tmp_path / "findings.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["latitude"] for row in rows] == ["-33.5", ""]
    assert json.loads((tmp_path / "findings.geojson").read_text())["features"][0]["id"] == "abc"


def measured(low: float | None, high: float | None) -> Finding:
    return replace(finding(), max_width_low_mm=low, max_width_high_mm=high)


def test_limits_have_columns_and_say_no_more_than_the_range_does(tmp_path: Path) -> None:
    doubtful = replace(measured(0.31, 0.5), width_trusted=False)
    found = (measured(0.31, 0.5), measured(0.1, 0.19), measured(0.1, 0.5), measured(None, None), doubtful)
    settings = {"limits_mm": [0.2, 0.3]}
    write_tables(tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, settings, (), found, ()))
    rows = list(csv.DictReader((tmp_path / "findings.csv").open(encoding="utf-8")))
    assert list(rows[0])[-2:] == ["limit_0.2_mm", "limit_0.3_mm"]
    assert [(row["limit_0.2_mm"], row["limit_0.3_mm"]) for row in rows] == [
        ("exceeds", "exceeds"),
        ("below", "below"),
        ("cannot tell", "cannot tell"),
        ("cannot tell", "cannot tell"),
        ("cannot tell", "cannot tell"),  # its width is not trusted
    ]
    collection = json.loads((tmp_path / "findings.geojson").read_text())
    check(collection)
    assert collection["features"][0]["properties"]["limit_0.3_mm"] == "exceeds"


def test_what_is_no_crack_and_not_drawn_has_no_answer_unless_a_person_accepts_it() -> None:
    drawn = replace(measured(0.31, 0.5), validation="unclear", mean_width_px=5.0)
    undrawn = replace(measured(None, None), validation="unclear", mean_width_px=None)
    refuted = replace(undrawn, validation="refuted")
    answers = [finding_row(one, (0.3,))["limit_0.3_mm"] for one in (drawn, undrawn, refuted)]
    assert answers == ["cannot tell", None, None]
    accepted = Review("", "", "", "", {undrawn.id: Decision("accepted")})
    assert finding_row(undrawn, (0.3,), accepted)["limit_0.3_mm"] == "cannot tell"


def test_a_limit_is_answered_as_in_photo_segment() -> None:
    mask = np.zeros((120, 400), bool)
    mask[50:55, 20:380] = True
    for scale in np.arange(0.1, 0.2, 0.007):
        (crack,) = measure_cracks(mask, float(scale))
        row = range_row(crack.ranges, crack.ranges_mm)
        there = replace(measured(row["max_width_low_mm"], row["max_width_high_mm"]), width_trusted=crack.width_trusted)
        for limit in (row["max_width_low_mm"], row["max_width_high_mm"]):
            assert crack.judged(limit) == there.judged(limit)


def test_what_is_no_crack_exceeds_no_limit() -> None:
    assert measured(0.31, 0.5).judged(0.3) == "exceeds"
    for other in ("unclear", "refuted"):
        assert replace(measured(0.31, 0.5), validation=other).judged(0.3) == "cannot tell"
        assert replace(measured(0.31, 0.5), validation=other).judged(0.6) == "below"


@pytest.mark.parametrize("limits", [["wide"], [0], 0.0, [True], {"mm": 1}])
def test_limits_that_are_none_are_told(tmp_path: Path, limits: object) -> None:
    with pytest.raises(CrackError, match="--limit-mm"):
        write_tables(tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, {"limits_mm": limits}, (), (), ()))
