"""Each row of the table of fields in docs/place.md is what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tflite
from tests.tflite.place.photographs import packet, photograph, position
from tflite.place.exposure import Exposure, read_exposure
from tflite.place.fix import Fix
from tflite.place.mavlink import HANDLERS

PAGE = Path(tflite.__file__).parents[1] / "docs" / "place.md"
NOON = 1748779200.0
PLACE = (48.2, 16.37)
Row = tuple[Callable[[], bytes], Callable[[Exposure], Any], Any]


def xmp(gps: Any = None, **values: str) -> Callable[[], bytes]:
    """A photograph with properties of one maker: `drone_dji__GpsLatitude="48.2"`."""
    names = {"drone_dji": "drone-dji", "drone_skydio": "drone-skydio", "drone_parrot": "drone-parrot"}
    text = ""
    for key, value in values.items():
        prefix, _, name = key.partition("__")
        text += f'{names.get(prefix, prefix)}:{name}="{value}" '
    spaces = " ".join(f'xmlns:{prefix}="urn:{prefix}"' for prefix in (*names.values(), "drone", "Camera", "exif"))
    return lambda: photograph(gps, xmp=packet(text, "", spaces))


def exif(gps: dict[int, Any] | None = None, **taken: Any) -> Callable[[], bytes]:
    return lambda: photograph(gps, {int(tag[1:], 16): value for tag, value in taken.items()})


def fix_of(found: Exposure) -> Fix:
    assert found.fix is not None
    return found.fix


def place(found: Exposure) -> tuple[float, float]:
    return round(fix_of(found).lat, 6), round(fix_of(found).lon, 6)


def angles(found: Exposure) -> tuple[float | None, float | None, float | None]:
    return found.angles.heading, found.angles.pitch, found.angles.roll


HERE = {"drone_dji__GpsLatitude": "48.2", "drone_dji__GpsLongitude": "16.37"}
AUTEL = {"drone__GpsLatitude": "48.2", "drone__GpsLongtitude": "16.37"}
LOOK = (270.0, -12.5, 0.5)
NED = '<drone-skydio:CameraOrientationNED drone-skydio:Yaw="-90" drone-skydio:Pitch="-12.5" drone-skydio:Roll="0.5"/>'
ROWS: dict[str, Row] = {
    "EXIF GPSLatitude, GPSLongitude": (exif(position()), place, (-33.86, -70.125)),
    "EXIF GPSAltitude, GPSAltitudeRef": (exif(position(_5=b"\3")), lambda e: fix_of(e).alt, -520.5),
    "EXIF GPSStatus": (exif(position(_9="V")), lambda e: e.fix, None),
    "EXIF GPSHPositioningError": (exif(position(_31=2.5)), lambda e: fix_of(e).accuracy_m, 2.5),
    "EXIF DateTimeOriginal, OffsetTimeOriginal": (
        exif(None, x9003="2025:06:01 14:00:00", x9011="+02:00"), lambda e: e.time, NOON,
    ),
    "EXIF GPSDateStamp, GPSTimeStamp": (exif(position(), x9003="2025:06:01 14:00:07"), lambda e: e.time, NOON),
    "EXIF GPSImgDirection, GPSImgDirectionRef": (exif({16: "T", 17: 271.5}), lambda e: e.angles.heading, 271.5),
    "EXIF SubjectDistance": (exif(None, x9206=2.5), lambda e: (e.distance_m, e.distance_source), (2.5, "exif")),
    "XMP exif:GPSLatitude, exif:GPSLongitude": (
        xmp(exif__GPSLatitude="48,12N", exif__GPSLongitude="16,22.2E"), place, PLACE,
    ),
    "drone-dji:GpsLatitude, GpsLongitude": (xmp(**HERE), place, PLACE),
    "drone-dji:GpsLatitude, GpsLongtitude": (
        xmp(drone_dji__GpsLatitude="48.2", drone_dji__GpsLongtitude="16.37"), place, PLACE,
    ),
    "drone-dji:Latitude, Longitude": (xmp(drone_dji__Latitude="48.2", drone_dji__Longitude="16.37"), place, PLACE),
    "drone-dji:AbsoluteAltitude": (xmp(**HERE, drone_dji__AbsoluteAltitude="+180.5"), lambda e: fix_of(e).alt, 180.5),
    "drone-dji:RelativeAltitude": (xmp(drone_dji__RelativeAltitude="+12.5"), lambda e: e.relative_altitude_m, 12.5),
    "drone-dji:GimbalYawDegree, GimbalPitchDegree, GimbalRollDegree": (
        xmp(drone_dji__GimbalYawDegree="-90", drone_dji__GimbalPitchDegree="-12.5", drone_dji__GimbalRollDegree="+0.5"),
        angles, LOOK,
    ),
    "drone-dji:LRFTargetDistance, LRFStatus": (
        xmp(drone_dji__LRFTargetDistance="5.1", drone_dji__LRFStatus="Normal"),
        lambda e: (e.distance_m, e.distance_source), (5.1, "laser"),
    ),
    "drone-dji:CalibratedFocalLength": (xmp(drone_dji__CalibratedFocalLength="3725.1"), lambda e: e.focal_px, 3725.1),
    "drone-dji:RtkFlag": (xmp(**HERE, drone_dji__RtkFlag="34"), lambda e: fix_of(e).quality, "float rtk"),
    "drone-dji:RtkStdLat, RtkStdLon": (
        xmp(**HERE, drone_dji__RtkStdLat="0.3", drone_dji__RtkStdLon="0.4"), lambda e: fix_of(e).accuracy_m, 0.5,
    ),
    "drone-dji:UTCAtExposure": (
        xmp(position(), drone_dji__UTCAtExposure="2025:06:01 12:00:04.5"), lambda e: e.time, NOON + 4.5,
    ),
    "drone:GpsLatitude, GpsLongtitude": (xmp(drone__GpsLatitude="48.2", drone__GpsLongtitude="16.37"), place, PLACE),
    "drone:AbsoluteAltitude": (xmp(**AUTEL, drone__AbsoluteAltitude="180.5"), lambda e: fix_of(e).alt, 180.5),
    "drone:RelativeAltitude": (xmp(drone__RelativeAltitude="-2.5"), lambda e: e.relative_altitude_m, -2.5),
    "drone:GimbalYawDegree, GimbalPitchDegree, GimbalRollDegree": (
        xmp(drone__GimbalYawDegree="-90", drone__GimbalPitchDegree="-12.5", drone__GimbalRollDegree="0.5"), angles, LOOK,
    ),
    "drone-skydio:Latitude, Longitude": (
        xmp(drone_skydio__Latitude="48.2", drone_skydio__Longitude="16.37"), place, PLACE,
    ),
    "drone-skydio:AbsoluteAltitude": (
        xmp(drone_skydio__Latitude="48.2", drone_skydio__Longitude="16.37", drone_skydio__AbsoluteAltitude="180.5"),
        lambda e: fix_of(e).alt, 180.5,
    ),
    "drone-skydio:RelativeAltitude": (xmp(drone_skydio__RelativeAltitude="12.5"), lambda e: e.relative_altitude_m, 12.5),
    "drone-skydio:GimbalYawDegree, GimbalPitchDegree, GimbalRollDegree": (
        xmp(drone_skydio__GimbalYawDegree="-90", drone_skydio__GimbalPitchDegree="-12.5", drone_skydio__GimbalRollDegree="0.5"),
        angles, LOOK,
    ),
    "drone-parrot:GPSLatitude, GPSLongitude": (
        xmp(drone_parrot__GPSLatitude="48.2", drone_parrot__GPSLongitude="16.37"), place, PLACE,
    ),
    "Camera:GPSXYAccuracy": (xmp(position(), Camera__GPSXYAccuracy="1.25"), lambda e: fix_of(e).accuracy_m, 1.25),
    "drone-skydio:CameraOrientationNED": (
        lambda: photograph(xmp=packet("", NED, 'xmlns:drone-skydio="urn:skydio"')), angles, LOOK,
    ),
    "drone-parrot:CameraYawDegree, CameraPitchDegree, CameraRollDegree": (
        xmp(drone_parrot__CameraYawDegree="270", drone_parrot__CameraPitchDegree="-12.5", drone_parrot__CameraRollDegree="0.5"),
        angles, LOOK,
    ),
    "Camera:Yaw, Camera:Pitch, Camera:Roll": (
        xmp(Camera__Yaw="270", Camera__Pitch="77.5", Camera__Roll="0.5"), angles, LOOK,
    ),
}  # fmt: skip


def documented() -> list[str]:
    """The fields of the page's first table."""
    table = PAGE.read_text(encoding="utf-8").partition("## Photographs")[2].partition("\n\nXMP of")[0]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    return [row for row in rows if row != "field"]


def test_every_message_of_a_controller_that_is_read_is_a_row() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| message | what")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([A-Z_, ]+) \|", table, re.MULTILINE)
    assert sorted(name for row in rows for name in row.split(", ")) == sorted(["HEARTBEAT", *HANDLERS])


def test_every_row_is_tested_and_every_test_is_a_row() -> None:
    assert sorted(documented()) == sorted(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_field_is_read_as_the_page_says(row: str) -> None:
    data, read, expected = ROWS[row]
    found = read_exposure(data())
    assert read(found) == pytest.approx(expected) if isinstance(expected, float) else read(found) == expected
    if row != "EXIF GPSStatus":
        assert found.notes == ()
