"""When and where a photograph was taken, from its EXIF data. Pillow only.

Everything here may be missing or damaged, and a frame is worth classifying without it: nothing in this module raises.
"""

from __future__ import annotations

import calendar
import io
import math
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tflite.device.nmea import Fix

_GPS_IFD, _EXIF_IFD = 0x8825, 0x8769
_DATE_TIME, _ORIGINAL, _OFFSET, _SUBSECONDS = 0x0132, 0x9003, 0x9011, 0x9291
# Tags of the GPS directory, EXIF 2.32 table 15.
_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT, _TIME, _SATELLITES, _DOP, _DATE, _ERROR = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    11,
    29,
    31,
)

Value = TypeVar("Value")


def read_exif(data: bytes, utc_offset: float = 0.0) -> tuple[float | None, str | None, Fix | None]:
    """Time and position of a photograph.

    Args:
        data: the file's bytes.
        utc_offset: hours that the camera's clock is ahead of UTC; used where the photograph does not say so itself.

    Returns:
        Seconds since 1970 UTC, how they are known, and the position; None for what is not there. The time is that of the
        exposure where its time zone is stored ("exif"), else that of the position ("exif gps", which may be a little
        older), else the camera's clock less `utc_offset` ("exif no zone").
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            taken, gps = exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
    except Exception:  # parsers of damaged files raise anything, and decoding is where damage is reported
        return None, None, None
    gps_time = _attempt(lambda: _gps_time(gps))
    fix = _attempt(lambda: _fix(gps, gps_time))
    local = _attempt(lambda: _local_time(taken[_ORIGINAL], taken.get(_SUBSECONDS)))
    if local is None:
        local = _attempt(lambda: _local_time(exif[_DATE_TIME], None))
    offset = _attempt(lambda: _offset_seconds(taken[_OFFSET]))
    if local is not None and offset is not None:
        return local - offset, "exif", fix
    if gps_time is not None:
        return gps_time, "exif gps", fix
    if local is not None:
        return local - utc_offset * 3600, "exif no zone", fix
    return None, None, fix


def _attempt(read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except (KeyError, ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError, AttributeError):
        return None


def _fix(gps: dict[int, Any], gps_time: float | None) -> Fix:
    lat = _degrees(gps[_LAT]) * _sign(gps[_LAT_REF], "NS")
    lon = _degrees(gps[_LON]) * _sign(gps[_LON_REF], "EW")
    alt = _attempt(lambda: _finite(gps[_ALT]))
    if alt is not None and gps.get(_ALT_REF, b"\0") in (b"\1", 1):  # below sea level
        alt = -alt
    return Fix(
        lat=lat,
        lon=lon,
        alt=alt,
        time=gps_time,
        satellites=_attempt(lambda: int(gps[_SATELLITES])),
        hdop=_attempt(lambda: _finite(gps[_DOP])),
        accuracy_m=_attempt(lambda: _finite(gps[_ERROR])),
    )


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (_finite(part) for part in parts)
    if min(degrees, minutes, seconds) < 0 or minutes > 60 or seconds > 60:
        raise ValueError(f"angle {parts}")
    return degrees + minutes / 60 + seconds / 3600


def _sign(reference: Any, letters: str) -> int:
    text = reference.decode("ascii", "replace") if isinstance(reference, bytes) else reference
    return (1, -1)[letters.index(text.strip("\0 ").upper()[0])]


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):  # Pillow's rationals with denominator 0
        raise ValueError(f"number {value}")
    return number


def _gps_time(gps: dict[int, Any]) -> float:
    year, month, day = (int(part) for part in re.split(r"[:\-]", gps[_DATE].strip("\0 ")))
    hours, minutes, seconds = (_finite(part) for part in gps[_TIME])
    parsed = time.strptime(f"{year:04d}-{month:02d}-{day:02d}", "%Y-%m-%d")
    return calendar.timegm(parsed) + hours * 3600 + minutes * 60 + seconds


def _local_time(text: str, fraction: Any) -> float:
    seconds = calendar.timegm(time.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S"))
    digits = str(fraction or "").strip("\0 ")
    return seconds + (float(f"0.{digits}") if digits.isdecimal() else 0.0)


def _offset_seconds(text: str) -> float:
    match = re.fullmatch(r"([+-])(\d\d):(\d\d)", text.strip("\0 "))
    if match is None:
        raise ValueError(f"offset {text!r}")
    return (int(match[2]) * 3600 + int(match[3]) * 60) * (-1 if match[1] == "-" else 1)
