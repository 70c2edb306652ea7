"""Other programs read the same: geographiclib distances, pynmeagps sentences, gpxpy tracks; skipped where not installed.

exiftool (libimage-exiftool-perl) is asked about a photograph of each maker.
"""

from __future__ import annotations

import functools
import json
import operator
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite.place.photographs import packet, photograph, position
from tflite.place.exposure import read_exposure
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


EVERYTHING = position(_5=b"\1", _6=20.5, _29="2025:06:01", _7=(12.0, 0.0, 4.5))
MAKERS = {
    "DJI": ("drone-dji", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongitude"),
    "DJI of some years": ("drone-dji", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongtitude"),
    "Autel": ("drone", "http://www.autelrobotics.com/drone/1.0/", "GpsLatitude", "GpsLongtitude"),
    "Skydio": ("drone-skydio", "https://www.skydio.com/drone-skydio/1.0/", "Latitude", "Longitude"),
    "Parrot": ("drone-parrot", "http://www.parrot.com/drone-parrot/1.0/", "GPSLatitude", "GPSLongitude"),
}


def exiftool(path: Path) -> dict[str, object]:
    """What exiftool reads: numbers as numbers, each with its group."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed")
    done = subprocess.run([program, "-json", "-n", "-G1", str(path)], capture_output=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)[0]
    return found


def test_an_exif_position_is_read_as_exiftool_reads_it(tmp_path: Path) -> None:
    data = photograph(EVERYTHING, {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00", 0x9206: 2.5})
    (tmp_path / "x.jpg").write_bytes(data)
    theirs, ours = exiftool(tmp_path / "x.jpg"), read_exposure(data)
    assert ours.fix is not None
    composite = theirs["Composite:GPSLatitude"], theirs["Composite:GPSLongitude"], theirs["Composite:GPSAltitude"]
    assert (ours.fix.lat, ours.fix.lon, ours.fix.alt) == pytest.approx(composite, abs=1e-9)
    assert ours.distance_m == theirs["ExifIFD:SubjectDistance"]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_makers_properties_are_read_as_exiftool_reads_them(tmp_path: Path, maker: str) -> None:
    prefix, uri, lat, lon = MAKERS[maker]
    values = {lat: "-33.86051234", lon: "151.21", "AbsoluteAltitude": "+58.2", "RelativeAltitude": "-2.5"}
    data = photograph(
        xmp=packet(" ".join(f'{prefix}:{k}="{v}"' for k, v in values.items()), "", f'xmlns:{prefix}="{uri}"')
    )
    (tmp_path / "x.jpg").write_bytes(data)
    theirs = {name.rpartition(":")[2].lower(): value for name, value in exiftool(tmp_path / "x.jpg").items()}
    ours = read_exposure(data)
    assert ours.fix is not None
    found = ours.fix.lat, ours.fix.lon, ours.fix.alt, ours.relative_altitude_m
    names = (lat.replace("GPS", "Gps"), lon.replace("GPS", "Gps"), "AbsoluteAltitude", "RelativeAltitude")
    expected = [theirs[name.lower()] for name in names]
    assert found == pytest.approx([float(str(value)) for value in expected], abs=1e-9)
