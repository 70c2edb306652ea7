"""Time, place and direction of photographs, as far as their EXIF and XMP data tell; what cannot be is left out with a note."""

from __future__ import annotations

import calendar
import io
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tests.cases import case
from tests.tflite.place.photographs import packet, photograph, position
from tflite.place import exposure as module
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.exposure import read_exposure
from tflite.place.fix import Fix
from tflite.place.xmp import LARGEST, read_properties

NOON = calendar.timegm((2025, 6, 1, 12, 0, 0))


def read(data: bytes, zone: str | None = None) -> tuple[float | None, str | None, Fix | None]:
    """Time, how it is known, and position."""
    found = read_exposure(data, CameraClock(None if zone is None else parse_timezone(zone)))
    return found.time, found.time_source, found.fix


def test_position_and_time_are_read() -> None:
    time, source, fix = read(photograph(position(_11=0.9, _31=2.5)))
    assert (time, source) == (NOON, "exif gps")
    assert fix is not None
    assert fix.lat == pytest.approx(-33.86)
    assert fix.lon == pytest.approx(-70.125)
    assert fix.hdop == pytest.approx(0.9)
    assert (fix.alt, fix.accuracy_m, fix.time) == (520.5, 2.5, NOON)


def test_north_and_east_are_positive_and_depths_negative() -> None:
    fix = read(photograph(position(_1="N", _3="E", _5=b"\1")))[2]
    assert fix is not None
    assert fix.lat > 0
    assert fix.lon > 0
    assert fix.alt == -520.5


def test_the_exposures_own_time_with_its_zone_goes_before_that_of_the_position() -> None:
    taken = {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00", 0x9291: "25"}
    assert read(photograph(position(), taken))[:2] == (NOON + 5.25, "exif")


def test_a_time_without_zone_is_taken_with_the_offset_given() -> None:
    taken = {0x9003: "2025:06:01 14:00:00"}
    assert read(photograph(None, taken), "+02:00")[:2] == (NOON, "exif no zone")
    assert read(photograph(None, taken), "Europe/Vienna")[:2] == (NOON, "exif no zone")
    assert read(photograph(None, None, "2025:06:01 12:00:00"), "UTC")[:2] == (NOON, "exif no zone")
    assert read(photograph(position(), taken))[1] == "exif gps"


def test_a_time_without_zone_is_no_moment_until_somebody_says_where_the_clock_was() -> None:
    found = read_exposure(photograph(None, {0x9003: "2025:06:01 14:00:00"}))
    assert (found.time, found.time_source, found.local) == (None, None, NOON + 7200)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_read_too(format: str) -> None:
    assert read(photograph(None, None, "2025:06:01 12:00:00", format), "UTC")[0] == NOON
    data = photograph(position(), None, "2025:06:01 12:00:00", format)
    if format == "TIFF":  # Pillow writes its directories in another way
        out = io.BytesIO()
        Image.new("RGB", (32, 32)).save(out, "TIFF", tiffinfo={0x8825: position()})
        data = out.getvalue()
    fix = read(data)[2]
    assert fix is not None
    assert fix.lat == pytest.approx(-33.86)


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {1: "S", 2: (33.0, 51.0, 36.0)},
        position(_2=(99.0, 0.0, 0.0)),
        position(_4=(200.0, 0.0, 0.0)),
        position(_2=(IFDRational(1, 0), 0.0, 0.0)),
        position(_1="X"),
        position(_1=""),
    ],
)
def test_half_and_impossible_positions_are_none(gps: dict[int, Any]) -> None:
    assert read(photograph(gps))[2] is None


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2025:13:01 00:00:00", ""])
def test_empty_and_impossible_dates_are_none(text: str) -> None:
    assert read(photograph(None, {0x9003: text}))[:2] == (None, None)


def test_a_picture_without_exif_and_no_picture_say_nothing() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    for data in (out.getvalue(), b"", b"no picture"):
        assert read(data) == (None, None, None)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=200)
@given(data=st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content) - 1, 600)))] = data.draw(st.integers(0, 255))
    read(bytes(content[: data.draw(st.integers(0, len(content)))]))


WHOLE = photograph(position(), {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00"})


# What drones write


def test_a_position_in_xmp_stands_in_for_an_empty_gps_directory() -> None:
    found = read_exposure((case("03-xmp-only-position") / "DJI_0001.jpg").read_bytes())
    assert found.fix is not None
    assert (found.fix.lat, found.fix.lon, found.fix.alt, found.fix.source) == (48.2, 16.37, 180.0, "xmp")
    assert (found.relative_altitude_m, found.angles.heading, found.angles.pitch) == (12.0, 90.0, 0.0)
    assert found.time == NOON - 7200
    assert found.notes == ()


def test_the_photograph_of_a_public_test_flight_is_read_to_the_last_digit() -> None:
    found = read_exposure(case("drone_photo/DJI_0025.JPG").read_bytes(), CameraClock(parse_timezone("America/Chicago")))
    assert found.fix is not None
    assert (found.fix.lat, found.fix.lon) == pytest.approx((46.842774, -91.993826), abs=1e-6)
    assert (found.fix.alt, found.fix.source) == (198.509, "exif")
    assert found.relative_altitude_m == 40.0
    assert (found.angles.heading, found.angles.pitch, found.angles.roll) == (228.0, -89.9, 0.0)
    assert found.local == calendar.timegm((2016, 6, 23, 16, 32, 50))
    assert (found.time, found.time_source) == (calendar.timegm((2016, 6, 23, 21, 32, 50)), "exif no zone")
    assert read_exposure(case("drone_photo/DJI_0025.JPG").read_bytes()).time is None
    assert found.notes == ()


@pytest.mark.parametrize("missing", [1, 3])
def test_a_position_without_its_letter_is_taken_from_xmp(missing: int) -> None:
    gps = position()
    del gps[missing]
    xmp = packet('drone-dji:GpsLatitude="-33.86" drone-dji:GpsLongitude="-70.125" drone-dji:AbsoluteAltitude="+520.50"')
    found = read_exposure(photograph(gps, xmp=xmp))
    assert found.fix is not None
    assert (found.fix.lat, found.fix.lon, found.fix.alt, found.fix.source) == (-33.86, -70.125, 520.5, "xmp")
    assert "north or south" in found.notes[0]


SPELLINGS = [
    ("drone-dji", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongitude"),
    ("drone-dji", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongtitude"),
    ("drone-dji", "http://www.dji.com/drone-dji/1.0/", "Latitude", "Longitude"),
    ("other", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongitude"),
    ("drone", "http://www.dji.com/drone-dji/1.0/", "GpsLatitude", "GpsLongtitude"),
    ("drone", "http://www.autelrobotics.com/drone/1.0/", "GpsLatitude", "GpsLongtitude"),
    ("drone-skydio", "https://www.skydio.com/drone-skydio/1.0/", "Latitude", "Longitude"),
    ("drone-parrot", "http://www.parrot.com/drone-parrot/1.0/", "GPSLatitude", "GPSLongitude"),
]


@pytest.mark.parametrize(("prefix", "uri", "lat", "lon"), SPELLINGS)
@pytest.mark.parametrize("as_elements", [False, True])
def test_every_maker_and_spelling_of_a_position_is_read(
    prefix: str, uri: str, lat: str, lon: str, as_elements: bool
) -> None:
    values = {lat: "-33.86", lon: "+151.21", "AbsoluteAltitude": "+58.2", "RelativeAltitude": "+12.5"}
    if as_elements:
        xmp = packet(
            "", "".join(f"<{prefix}:{k}>{v}</{prefix}:{k}>" for k, v in values.items()), f'xmlns:{prefix}="{uri}"'
        )
    else:
        xmp = packet(" ".join(f'{prefix}:{k}="{v}"' for k, v in values.items()), "", f'xmlns:{prefix}="{uri}"')
    found = read_exposure(photograph(xmp=xmp))
    assert found.fix is not None
    assert (found.fix.lat, found.fix.lon, found.fix.alt) == (-33.86, 151.21, 58.2)
    assert found.relative_altitude_m == 12.5


def test_xmps_own_form_of_a_position_is_read() -> None:
    xmp = packet(
        'exif:GPSLatitude="33,51.6S" exif:GPSLongitude="70,7,30W"', "", 'xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    )
    fix = read_exposure(photograph(xmp=xmp)).fix
    assert fix is not None
    assert (fix.lat, fix.lon) == pytest.approx((-33.86, -70.125))


SKYDIO, PARROT, PIX4D = (
    'xmlns:drone-skydio="https://www.skydio.com/drone-skydio/1.0/"',
    'xmlns:drone-parrot="http://www.parrot.com/drone-parrot/1.0/"',
    'xmlns:Camera="http://pix4d.com/camera/1.0/"',
)
_NED = "drone-skydio:CameraOrientationNED"


@pytest.mark.parametrize(
    ("xmp", "angles"),
    [
        (packet('drone-dji:GimbalYawDegree="-132.00" drone-dji:GimbalPitchDegree="-89.90" drone-dji:GimbalRollDegree="+0.00"'),
         (228.0, -89.9, 0.0)),
        (packet('drone:GimbalYawDegree="10.5" drone:GimbalPitchDegree="-5"', "", 'xmlns:drone="urn:x"'), (10.5, -5.0, None)),
        (packet("", f'<{_NED} drone-skydio:Roll="1" drone-skydio:Pitch="-30" drone-skydio:Yaw="-90"/>', SKYDIO),
         (270.0, -30.0, 1.0)),
        (packet("", f'<{_NED} rdf:parseType="Resource"><drone-skydio:Roll>1</drone-skydio:Roll><drone-skydio:Pitch>-30'
                    f"</drone-skydio:Pitch><drone-skydio:Yaw>-90</drone-skydio:Yaw></{_NED}>", SKYDIO), (270.0, -30.0, 1.0)),
        (packet("", "<drone-parrot:CameraYawDegree>176.3</drone-parrot:CameraYawDegree><drone-parrot:CameraPitchDegree>-78.4"
                    "</drone-parrot:CameraPitchDegree>", PARROT), (176.3, -78.4, None)),
        (packet('Camera:Yaw="18.5" Camera:Pitch="90" Camera:Roll="0"', "", PIX4D), (18.5, 0.0, 0.0)),
        (packet('Camera:Yaw="1850/100" Camera:Pitch="100/10" Camera:Roll="0/1"', "", PIX4D), (18.5, -80.0, 0.0)),
    ],
)  # fmt: skip
def test_every_makers_angles_count_from_north_and_the_horizon(
    xmp: str, angles: tuple[float | None, float | None, float | None]
) -> None:
    found = read_exposure(photograph(xmp=xmp)).angles
    assert (found.heading, found.pitch, found.roll) == angles


def test_angles_that_are_all_zero_are_unknown() -> None:
    xmp = packet(
        'drone-dji:GimbalYawDegree="+0.00" drone-dji:GimbalPitchDegree="0.0" drone-dji:GimbalRollDegree="-0.00"'
    )
    found = read_exposure(photograph({16: "T", 17: 271.5}, xmp=xmp))
    assert (found.angles.heading, found.angles.pitch, found.angles.roll) == (271.5, None, None)


@pytest.mark.parametrize(("state", "distance"), [("Normal", 5.103), ("TooClose", 2.5), ("", 5.103)])
def test_the_lasers_distance_is_taken_where_it_measured(state: str, distance: float) -> None:
    xmp = packet(f'drone-dji:LRFStatus="{state}" drone-dji:LRFTargetDistance="5.103"')
    assert read_exposure(photograph(None, {0x9206: 2.5}, xmp=xmp)).distance_m == distance


def test_the_time_of_satellites_at_the_exposure_goes_before_the_cameras_clock() -> None:
    taken = {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00"}
    xmp = packet('drone-dji:UTCAtExposure="2025:06:01 12:00:04.019996" drone-dji:CalibratedFocalLength="3725.15"')
    found = read_exposure(photograph(position(), taken, xmp=xmp), CameraClock(offset_s=73))
    assert found.time == pytest.approx(NOON + 4.019996)
    assert found.time_source == "xmp utc"
    assert found.focal_px == 3725.15


def test_rtk_says_how_good_the_position_is() -> None:
    xmp = packet(
        'drone-dji:GpsLatitude="-33.86" drone-dji:GpsLongitude="-70.125" drone-dji:RtkFlag="50" drone-dji:RtkStdLat="0.03" '
        'drone-dji:RtkStdLon="0.04" drone-dji:RtkStdHgt="0.05"'
    )
    for gps in (position(), None):
        fix = read_exposure(photograph(gps, xmp=xmp)).fix
        assert fix is not None
        assert fix.accuracy_m == pytest.approx(0.05)
        assert fix.quality == "rtk"


def test_exif_is_taken_where_xmp_says_another_place_and_a_note_tells() -> None:
    found = read_exposure(
        photograph(position(), xmp=packet('drone-dji:GpsLatitude="-33.87" drone-dji:GpsLongitude="-70.125"'))
    )
    assert found.fix is not None
    assert found.fix.lat == pytest.approx(-33.86)
    assert found.fix.source == "exif"
    assert "1,112 m apart: that of EXIF was taken" in found.notes[0]
    near = packet(
        'drone-dji:GpsLatitude="-33.860001" drone-dji:GpsLongitude="-70.125" drone-dji:AbsoluteAltitude="600"'
    )
    found = read_exposure(photograph(position(), xmp=near))
    assert found.fix is not None
    assert found.fix.alt == 520.5
    assert found.notes == ("EXIF and XMP altitudes differ (520.5 m, 600 m): that of EXIF was taken",)


def test_a_clock_that_is_slow_is_set_right_and_satellites_are_left_alone() -> None:
    taken = {0x9003: "2025:06:01 14:00:00", 0x9011: "+02:00"}
    slow = CameraClock(parse_timezone("+02:00"), 73)
    assert read_exposure(photograph(None, taken), slow).time == NOON + 73
    assert read_exposure(photograph(None, {0x9003: "2025:06:01 14:00:00"}), slow).time == NOON + 73
    assert read_exposure(photograph(position()), slow).time == NOON


def test_a_telephones_heic_is_read_where_its_decoder_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(position())
    info = {"exif": exif.tobytes(), "xmp": packet('drone-dji:RelativeAltitude="+12.5"').encode()}
    monkeypatch.setattr(module, "open_heic", lambda data, name: types.SimpleNamespace(info=info))
    found = read_exposure(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert found.fix is not None
    assert (found.fix.alt, found.relative_altitude_m) == (520.5, 12.5)
    monkeypatch.undo()
    assert read_exposure(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").fix is None


# What cannot be


@pytest.mark.parametrize(
    ("gps", "note"),
    [
        (position(_2=(0.0, 0.0, 0.0), _4=(0.0, 0.0, 0.0)), "the position -0, -0 is no place"),
        (position(_9="V"), "calls void"),
        (position(_2=(91.0, 0.0, 0.0)), "is no place"),
        (position(_2=(IFDRational(0, 0), 0.0, 0.0)), "the latitude"),
    ],
)
def test_a_position_that_is_none_is_left_out_with_a_note_and_xmp_is_asked(gps: dict[int, Any], note: str) -> None:
    assert read_exposure(photograph(gps)).fix is None
    found = read_exposure(photograph(gps, xmp=packet('drone-dji:GpsLatitude="48.2" drone-dji:GpsLongitude="16.4"')))
    assert found.fix is not None
    assert (found.fix.lat, found.fix.source) == (48.2, "xmp")
    assert note in found.notes[0]


def test_null_island_in_a_camera_that_waits_for_satellites_is_no_position() -> None:
    found = read_exposure((case("05-null-island-device") / "DJI_0001.jpg").read_bytes())
    assert found.fix is None
    assert found.time == NOON - 7200
    assert "no place a picture was taken at" in found.notes[0]


@pytest.mark.parametrize(
    ("taken", "gps", "xmp", "note"),
    [
        ({0x9003: "0001:01:01 00:00:00"}, {}, None, "the time '0001:01:01 00:00:00' cannot be"),
        ({0x9003: "9999:12:31 23:59:59", 0x9011: "+14:00"}, {}, None, "the time '9999:12:31 23:59:59' cannot be"),
        ({0x9003: "2025:06:01 14:00:00", 0x9011: "+99:00"}, {}, None, "the time zone '+99:00' cannot be"),
        ({}, position(_7=(99.0, 0.0, 0.0)), None, "the position's time"),
        ({}, position(_7=(IFDRational(0, 0), 0.0, 0.0)), None, "the position's time"),
        ({}, position(_29="0000:00:00"), None, "the position's date"),
        ({}, position(_6=IFDRational(1, 0)), None, "the altitude"),
        (
            {},
            {},
            packet(f'drone-dji:GimbalYawDegree="{"1" * 400}" drone-dji:GimbalPitchDegree="3"'),
            "GimbalYawDegree '1111",
        ),
        ({}, {}, packet('drone-dji:GpsLatitude="nan" drone-dji:GpsLongitude="16"'), "GpsLatitude 'nan' cannot be"),
        ({}, {}, packet('drone-dji:RelativeAltitude="1e99"'), "RelativeAltitude '1e99' cannot be"),
        ({}, {}, packet('drone-dji:UTCAtExposure="0001:01:01 00:00:00"'), "UTCAtExposure"),
        ({}, {}, "<x:xmpmeta><rdf:RDF", "XMP data are damaged"),
        ({}, {}, '<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta a:b="&a;"/>', "hold a document type"),
    ],
)
def test_a_value_that_cannot_be_costs_that_field_only(
    taken: dict[int, Any], gps: dict[int, Any], xmp: str | None, note: str
) -> None:
    found = read_exposure(photograph(gps, taken, xmp=xmp), CameraClock(parse_timezone("Europe/Vienna"), 73.0))
    assert any(note in told for told in found.notes), found.notes
    assert found.time is None or found.time > 0
    assert all(len(told) < 200 for told in found.notes)
    if gps:
        assert found.fix is not None


def test_a_large_or_deep_packet_is_not_read() -> None:
    deep = b"<a:b>" * 100_000
    assert read_properties(deep) == ({}, "XMP data are nested too deeply and were not read, for safety")
    told = f"XMP data of {LARGEST + 3:,} bytes are too large and were not read"
    assert read_properties(b"<a>" + b" " * LARGEST) == ({}, told)
