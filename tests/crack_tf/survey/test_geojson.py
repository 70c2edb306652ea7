"""GeoJSON as RFC 7946 wants it: longitude first, no geometry where there is no place, lines cut at the antimeridian."""

from __future__ import annotations

import csv
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey
from crack_tf.survey.geojson import COLUMNS, coverage_geojson, findings_geojson, write_tables
from tflite.device.tiles import Box


def finding(latitude: float | None = -33.5, longitude: float | None = -70.6, altitude: float | None = 12.0) -> Finding:
    ring = ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0))
    place = (latitude, longitude, altitude)
    numbers = (0.1, 400.0, 4.0, 6.0, 40.0, 0.4, 0.6)
    return Finding(
        "abc",
        "a.jpg",
        ("a.jpg", "b.jpg"),
        Box(2, 1, 2, 2),
        (ring,),
        *place,
        None,
        0.9,
        2,
        "confirmed",
        0.8,
        *numbers,
        5.0,
        "p",
        "o",
    )


def photo(name: str, longitude: float | None, latitude: float = 10.0, time: str | None = None) -> PhotoRecord:
    place = (None if longitude is None else latitude, longitude)
    return PhotoRecord(name, "0" * 64, 10, 10, time, *place, 5.0, None, None, 4, 0, 0)


def check(collection: dict) -> None:
    """The parts of RFC 7946 that readers stumble over."""
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        assert {"geometry", "properties"} <= set(feature)
        if feature["geometry"] is None:
            continue
        coordinates = feature["geometry"]["coordinates"]
        places = (
            [coordinates]
            if feature["geometry"]["type"] == "Point"
            else [place for line in coordinates for place in line]
        )
        for place in places:
            assert -180 <= place[0] <= 180
            assert -90 <= place[1] <= 90


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
def test_no_part_of_a_way_runs_round_the_world(way):
    collection = coverage_geojson([photo(f"{number:03d}", longitude) for number, longitude in enumerate(way)], [])
    check(collection)
    for line in collection["features"][0]["geometry"]["coordinates"]:
        assert len(line) >= 2
        assert all(abs(one[0] - other[0]) <= 180 for one, other in itertools.pairwise(line))


def test_the_table_has_a_row_per_finding(tmp_path):
    write_tables(
        tmp_path, Survey("DCIM", "2025-06-01T09:30:00Z", {}, {}, findings=(finding(), finding(None, None, None)))
    )
    rows = list(csv.DictReader((tmp_path / "findings.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["latitude"] for row in rows] == ["-33.5", ""]
    assert json.loads((tmp_path / "findings.geojson").read_text())["features"][0]["id"] == "abc"
