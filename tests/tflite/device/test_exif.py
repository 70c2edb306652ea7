"""Time and place of photographs, as far as their EXIF data tells; damage is silence."""

from __future__ import annotations

import calendar
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tflite.device.exif import read_exif

NOON = calendar.timegm((2025, 6, 1, 12, 0, 0))


def photograph(
    gps: dict[int, Any] | None = None,
    taken: dict[int, Any] | None = None,
    date: str | None = None,
    format: str = "JPEG",
) -> bytes:
    image = Image.new("RGB", (32, 24), (90, 90, 90))
    exif = Image.Exif()
    if date is not None:
        exif[0x0132] = date
    exif.get_ifd(0x8769).update(taken or {})
    exif.get_ifd(0x8825).update(gps or {})
    out = io.BytesIO()
    image.save(out, format, exif=exif)
    return out.getvalue()


def position(**changes: Any) -> dict[int, Any]:
    tags: dict[int, Any] = {
        1: "S",
        2: (33.0, 51.0, 36.0),
        3: "W",
        4: (70.0, 7.0, 30.0),
        5: b"\0",
        6: 520.5,
        7: (12.0, 0.0, 0.0),
        29: "2025:06:01",
    }
    return tags | {int(name[1:]): value for name, value in changes.items()}


def test_position_and_time_are_read() -> None:
    time, source, fix = read_exif(photograph(position(_11=0.9, _31=2.5)))
    assert (time, source) == (NOON, "exif gps")
    assert fix is not None
    assert fix.lat == pytest.approx(-33.86)
    assert fix.lon == pytest.approx(-70.125)
    assert fix.hdop == pytest.approx(0.9)
    assert (fix.alt, fix.accuracy_m, fix.time) == (520.5, 2.5, NOON)


def test_north_and_east_are_positive_and_depths_negative() -> None:
    fix = read_exif(photograph(position(_1="N", _3="E", _5=b"\1")))[2]
    assert fix is not None
    assert fix.lat > 0
    assert fix.lon > 0
    assert fix.alt == -520.5


def test_the_exposures_own_time_with_its_zone_goes_before_that_of_the_position() -> None:
    taken = {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00", 0x9291: "25"}
    assert read_exif(photograph(position(), taken))[:2] == (NOON + 5.25, "exif")


def test_a_time_without_zone_is_taken_with_the_offset_given() -> None:
    taken = {0x9003: "2025:06:01 14:00:00"}
    assert read_exif(photograph(None, taken), utc_offset=2)[:2] == (NOON, "exif no zone")
    assert read_exif(photograph(None, None, "2025:06:01 12:00:00"))[:2] == (NOON, "exif no zone")
    assert read_exif(photograph(position(), taken))[1] == "exif gps"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_read_too(format: str) -> None:
    assert read_exif(photograph(None, None, "2025:06:01 12:00:00", format))[0] == NOON


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
    assert read_exif(photograph(gps))[2] is None


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2025:13:01 00:00:00", ""])
def test_empty_and_impossible_dates_are_none(text: str) -> None:
    assert read_exif(photograph(None, {0x9003: text}))[:2] == (None, None)


def test_a_picture_without_exif_and_no_picture_say_nothing() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    for data in (out.getvalue(), b"", b"no picture"):
        assert read_exif(data) == (None, None, None)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=200)
@given(data=st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content) - 1, 600)))] = data.draw(st.integers(0, 255))
    read_exif(bytes(content[: data.draw(st.integers(0, len(content)))]))


WHOLE = photograph(position(), {0x9003: "2025:06:01 14:00:05", 0x9011: "+02:00"})
