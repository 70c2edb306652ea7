"""Other programs read the same: geographiclib distances, pynmeagps sentences, gpxpy tracks; skipped where not installed."""

from __future__ import annotations

import functools
import operator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.place.fix import metres_apart
from tflite.place.gpx import read_gpx
from tflite.place.nmea import NmeaParser

LATITUDES, LONGITUDES = (
    st.floats(-80, 80).map(lambda v: round(v, 6)),
    st.floats(-179.9, 179.9).map(lambda v: round(v, 6)),
)
FEW = settings(max_examples=40, deadline=None)


@FEW
@given(lat=LATITUDES, lon=LONGITUDES, north=st.floats(-0.02, 0.02), east=st.floats(-0.02, 0.02))
def test_distances_are_those_of_the_ellipsoid_within_a_hundredth(lat: float, lon: float, north: float, east: float):
    geodesic = pytest.importorskip("geographiclib.geodesic").Geodesic.WGS84
    expected = geodesic.Inverse(lat, lon, lat + north, lon + east)["s12"]
    assert metres_apart((lat, lon), (lat + north, lon + east)) == pytest.approx(expected, rel=0.01, abs=1e-3)


@FEW
@given(
    lat=LATITUDES, lon=LONGITUDES, alt=st.floats(-100, 4000).map(lambda v: round(v, 1)), satellites=st.integers(4, 30)
)
def test_sentences_are_read_as_pynmeagps_reads_them(lat: float, lon: float, alt: float, satellites: int):
    reader = pytest.importorskip("pynmeagps").NMEAReader

    def angle(value: float, digits: int) -> str:
        return f"{int(value):0{digits}d}{value % 1 * 60:09.6f}"

    if any(angle(abs(value), 3).endswith("60.000000") for value in (lat, lon)):
        return
    body = f"GNGGA,101530.00,{angle(abs(lat), 2)},{'NS'[lat < 0]},{angle(abs(lon), 3)},{'EW'[lon < 0]},4,{satellites},0.7,{alt},M,44.2,M,,"
    line = f"${body}*{functools.reduce(operator.xor, body.encode()):02X}\r\n".encode()
    theirs, ours = reader.parse(line), NmeaParser().feed(line)
    assert ours is not None
    assert (ours.lat, ours.lon) == pytest.approx((theirs.lat, theirs.lon), abs=1e-8)
    assert (ours.alt, ours.satellites, ours.hdop) == (theirs.alt, theirs.numSV, theirs.HDOP)


@FEW
@given(points=st.lists(st.tuples(LATITUDES, LONGITUDES, st.integers(0, 3600)), min_size=1, max_size=5))
def test_tracks_are_read_as_gpxpy_writes_them(points: list[tuple[float, float, int]]):
    gpx = pytest.importorskip("gpxpy.gpx")
    track, segment = gpx.GPXTrack(), gpx.GPXTrackSegment()
    start = datetime(2025, 6, 1, 9, 30, tzinfo=UTC)
    for lat, lon, second in points:
        moment = datetime.fromtimestamp(start.timestamp() + second, UTC)
        segment.points.append(gpx.GPXTrackPoint(lat, lon, elevation=100.5, time=moment))
    track.segments.append(segment)
    written = gpx.GPX()
    written.tracks.append(track)
    found = read_gpx(written.to_xml().encode(), "track.gpx").fixes
    assert len(found) == len(points)
    for fix, (lat, lon, second) in zip(found, points, strict=True):
        assert (fix.lat, fix.lon, fix.alt, fix.time) == pytest.approx((lat, lon, 100.5, start.timestamp() + second))
