"""When and where a photograph was taken and where its camera looked, from its EXIF and XMP data.

Position: EXIF, else what the drone wrote as XMP. Where both are there and farther apart than their accuracy, EXIF is taken and a
note says so: corrections made after the flight are written there, and every other program shows it. Time: of satellites at the
exposure (XMP), else the camera's clock with its zone (EXIF), else the position's own time (EXIF), else the camera's clock in the
zone that the user states; where nobody states one, none.

Everything here may be missing, damaged or absurd, and a photograph is worth searching without it: nothing in this module raises. A
value that cannot be is left out with a note.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tflite.formats import FORMATS, HEAD, recognise
from tflite.heic import open_heic
from tflite.place.clock import PLAIN_CLOCK, CameraClock, civil_seconds, parse_offset, parse_time
from tflite.place.fix import (
    HIGHEST_M,
    LOWEST_M,
    NO_ANGLES,
    Angles,
    Fix,
    known_angles,
    metres_apart,
    real_place,
)
from tflite.place.xmp import find_packet, read_properties

ACCURACY_M = 5.0  # of a position that does not state its own: a satellite receiver's under open sky
ACCURACY_ALT_M = 15.0  # likewise of an altitude; one may be a barometer's
_GPS_IFD, _EXIF_IFD, _XMP = 0x8825, 0x8769, 700
_DATE_TIME, _ORIGINAL, _SUBSECONDS, _DISTANCE = 0x0132, 0x9003, 0x9291, 0x9206
_OFFSETS = (0x9011, 0x9010, 0x9012)  # of the original time, of any, of the digitised
# Tags of the GPS directory, EXIF 2.32 table 15.
_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT, _TIME, _SATELLITES = 1, 2, 3, 4, 5, 6, 7, 8
_STATUS, _DOP, _DIRECTION_REF, _DIRECTION, _DATE, _ERROR = 9, 11, 16, 17, 29, 31
_BELOW = (b"\1", b"\3", 1, 3)  # altitude references that turn the sign; EXIF 3.0 added 2 and 3
_RTK = {"16": "gps", "34": "float rtk", "50": "rtk"}  # DJI's RtkFlag, named as in `tflite.place.nmea`
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)(?:/(\d+(?:\.\d*)?))?")
_DMS = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")

Value = TypeVar("Value")
_Tags = dict[int, Any]


@dataclass(frozen=True)
class Exposure:
    """What a photograph says about its exposure. None where it says nothing, or nothing that can be.

    Attributes:
        time: seconds since 1970 UTC.
        time_source: how that is known: "xmp utc", "exif", "exif gps" (of the position, which may be a little older) or "exif no
            zone" (the camera's clock in the zone that the user stated).
        local: by the camera's clock, counted as if it were UTC.
        fix: position, with altitude and accuracy; its source is "exif" or "xmp".
        relative_altitude_m: above the place of take-off.
        angles: where the camera looked.
        distance_m: to the surface.
        distance_source: "laser" or "exif".
        focal_px: calibrated focal length in pixels of the whole photograph.
        notes: what was left out, and why; for a person.
    """

    time: float | None = None
    time_source: str | None = None
    local: float | None = None
    fix: Fix | None = None
    relative_altitude_m: float | None = None
    angles: Angles = NO_ANGLES
    distance_m: float | None = None
    distance_source: str | None = None
    focal_px: float | None = None
    notes: tuple[str, ...] = ()


def read_exposure(data: bytes, clock: CameraClock = PLAIN_CLOCK) -> Exposure:
    """Read a photograph's EXIF and XMP data.

    Args:
        data: the file's bytes.
        clock: the camera's.

    Example:
        exposure = read_exposure(Path("DJI_0001.JPG").read_bytes(), CameraClock(offset_s=73))
        print(exposure.fix, exposure.angles, *exposure.notes)
    """
    tags, taken, gps, packet = _open(data)
    notes: list[str] = []
    properties, damage = read_properties(packet) if packet else ({}, None)
    if damage is not None:
        notes.append(damage)
    exif, xmp = _Fields("EXIF", {**tags, **taken}, notes), _Fields("XMP", properties, notes)
    place = _Fields("EXIF", gps, notes)
    gps_time = _gps_time(place)
    local, offset = _camera_time(exif)
    time, source = _choose_time(xmp, local, offset, gps_time, clock)
    distance, distance_source = _distance(exif, xmp)
    fix = _choose_fix(_exif_fix(place, gps_time), _xmp_fix(xmp), notes)
    if fix is not None and fix.accuracy_m is None:
        fix = replace(fix, accuracy_m=xmp.first(("Camera:GPSXYAccuracy",), _bounded(0, 1e6)))
    return Exposure(
        time=time,
        time_source=source,
        local=local,
        fix=fix,
        relative_altitude_m=xmp.first(_maker("RelativeAltitude"), _metres),
        angles=_angles(place, xmp),
        distance_m=distance,
        distance_source=distance_source,
        focal_px=xmp.first(_maker("CalibratedFocalLength"), _bounded(1, 1e6)),
        notes=tuple(notes),
    )


class _Fields:
    """Values by tag or name, converted one at a time; what cannot be converted becomes a note."""

    def __init__(self, kind: str, values: Mapping[Any, Any], notes: list[str]) -> None:
        self.values = values
        self._kind, self._notes = kind, notes

    def take(self, key: Any, what: str, convert: Callable[[Any], Value]) -> Value | None:
        """A value, or None where it is missing or cannot be.

        Args:
            key: its tag or name.
            what: it is, for a note.
            convert: raises ValueError with a reason, or any error of arithmetic.
        """
        value = self.values.get(key)
        if value is None or (isinstance(value, (str, bytes)) and not _text(value)):
            return None  # missing, or blank where a field is reserved
        try:
            return convert(value)
        except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError):
            self.note(f"{what} {_short(value)} cannot be and was left out")
            return None

    def first(self, keys: tuple[str, ...], convert: Callable[[Any], Value]) -> Value | None:
        """The first of several names that has a value that can be."""
        for key in keys:
            value = self.take(key, key.rpartition(":")[2], convert)
            if value is not None:
                return value
        return None

    def note(self, text: str) -> None:
        self._notes.append(f"{self._kind}: {text}")


def _open(data: bytes) -> tuple[_Tags, _Tags, _Tags, bytes | None]:
    """The tags of the picture, of the exposure and of the position, and the XMP packet."""
    from PIL import Image

    found: list[_Tags] = [{}, {}, {}]
    packet: Any = None
    try:
        if recognise(data[:HEAD]) == "HEIC":
            info: Mapping[Any, Any] = open_heic(data, "the photograph").info
            exif = Image.Exif()
            exif.load(info.get("exif") or b"")
            packet = info.get("xmp")
            _collect(exif, found)
        else:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
                _collect(image.getexif(), found)  # while the file is open: a TIFF's directories are read when asked for
    except Exception:  # parsers of damaged files raise anything, and decoding is where damage is reported
        pass
    packet = packet or found[0].get(_XMP)
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return found[0], found[1], found[2], packet if isinstance(packet, bytes) and packet else find_packet(data)


def _collect(exif: Any, found: list[_Tags]) -> None:
    """The picture's directory, that of the exposure and that of the position; those before a damaged one are kept."""
    found[0] = dict(exif)
    for number, directory in enumerate((_EXIF_IFD, _GPS_IFD), 1):
        found[number] = dict(exif.get_ifd(directory))


# ------------------------------------------------------------------------------------------------------------ time


def _choose_time(
    xmp: _Fields, local: float | None, offset: float | None, gps_time: float | None, clock: CameraClock
) -> tuple[float | None, str | None]:
    exact = xmp.first(_maker("UTCAtExposure"), _utc)
    if exact is not None:
        return exact, "xmp utc"
    if local is not None and offset is not None:
        return clock.correct(local - offset), "exif"
    if gps_time is not None:
        return gps_time, "exif gps"
    moment = None if local is None else clock.settle(local)
    return (moment, "exif no zone") if moment is not None else (None, None)


def _camera_time(exif: _Fields) -> tuple[float | None, float | None]:
    """The time by the camera's clock, counted as if it were UTC, and how many seconds that is ahead of UTC."""
    local = exif.take(_ORIGINAL, "the time", _local_time)
    if local is not None:
        local += exif.take(_SUBSECONDS, "the fraction of a second", _fraction) or 0.0
    else:
        local = exif.take(_DATE_TIME, "the time", _local_time)
    for tag in _OFFSETS:
        offset = exif.take(tag, "the time zone", _offset_seconds)
        if offset is not None:
            return local, offset
    return local, None


def _gps_time(gps: _Fields) -> float | None:
    midnight = gps.take(_DATE, "the position's date", _midnight)
    time_of_day = gps.take(_TIME, "the position's time", _time_of_day)
    return None if midnight is None or time_of_day is None else midnight + time_of_day


def _local_time(text: str) -> float | None:
    match = re.fullmatch(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.\d+)?", _text(text))
    if match is None:
        if re.fullmatch(r"[0: \-]*", _text(text)):  # what cameras write whose clock was never set
            return None
        raise ValueError("no time")
    if not any(int(match[number]) for number in (1, 2, 3)):
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    return civil_seconds(year, month, day, hour, minute, second)


def _fraction(value: Any) -> float:
    digits = _text(value)
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError("no digits")
    return float(f"0.{digits[:9]}")


def _offset_seconds(value: Any) -> float:
    offset = parse_offset(_text(value)).utcoffset(None)
    assert offset is not None
    return offset.total_seconds()


def _utc(value: Any) -> float:
    moment = parse_time(_text(value))
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=parse_offset("Z"))).timestamp()


def _midnight(value: Any) -> float:
    year, month, day = (int(part) for part in re.split(r"[:\-]", _text(value)))
    return civil_seconds(year, month, day)


def _time_of_day(value: Any) -> float:
    hours, minutes, seconds = (_finite(part) for part in value)
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        raise ValueError("no time of day")
    return hours * 3600 + minutes * 60 + seconds


# ------------------------------------------------------------------------------------------------------------ place


def _exif_fix(gps: _Fields, gps_time: float | None) -> Fix | None:
    lat, lon = gps.take(_LAT, "the latitude", _degrees), gps.take(_LON, "the longitude", _degrees)
    if lat is None or lon is None:
        return None
    north = gps.take(_LAT_REF, "the latitude's letter", lambda value: _sign(value, "NS"))
    east = gps.take(_LON_REF, "the longitude's letter", lambda value: _sign(value, "EW"))
    if north is None or east is None:
        gps.note("a position that does not say whether it is north or south, east or west, was left out")
        return None
    if str(gps.take(_STATUS, "the state of the position", _text) or "A").upper() == "V":
        gps.note("a position that its receiver calls void was left out")
        return None
    place = real_place(lat * north, lon * east)
    if place is None:
        gps.note(f"the position {lat * north:g}, {lon * east:g} is no place a picture was taken at and was left out")
        return None
    alt = gps.take(_ALT, "the altitude", _metres)
    if alt is not None and gps.values.get(_ALT_REF, b"\0") in _BELOW:
        alt = -alt
    return Fix(
        *place,
        alt=alt,
        time=gps_time,
        satellites=gps.take(_SATELLITES, "the number of satellites", lambda value: int(_bounded(0, 999)(value))),
        hdop=gps.take(_DOP, "the dilution", _bounded(0, 1e4)),
        accuracy_m=gps.take(_ERROR, "the accuracy", _bounded(0, 1e6)),
        source="exif",
    )


def _xmp_fix(xmp: _Fields) -> Fix | None:
    """The first of the makers' positions that can be one."""
    for lat_names, lon_names in _PLACES:
        lat, lon = xmp.first(lat_names, _coordinate), xmp.first(lon_names, _coordinate)
        if lat is None or lon is None:
            continue
        place = real_place(lat, lon)
        if place is None:
            xmp.note(f"the position {lat:g}, {lon:g} is no place a picture was taken at and was left out")
            continue
        errors = [xmp.first(_maker(name), _bounded(0, 1e6)) for name in ("RtkStdLat", "RtkStdLon")]
        known = [error for error in errors if error is not None]
        return Fix(
            *place,
            alt=xmp.first(_maker("AbsoluteAltitude"), _metres),
            quality=xmp.first(_maker("RtkFlag"), lambda value: _RTK.get(_text(value))),
            accuracy_m=math.hypot(*known) if len(known) == 2 and any(known) else None,
            source="xmp",
        )
    return None


def _choose_fix(exif: Fix | None, xmp: Fix | None, notes: list[str]) -> Fix | None:
    if exif is None or xmp is None:
        return exif or xmp
    apart = metres_apart((exif.lat, exif.lon), (xmp.lat, xmp.lon))
    accuracy = (exif.accuracy_m or ACCURACY_M) + (xmp.accuracy_m or 0.0)
    if apart > accuracy:
        notes.append(
            f"EXIF and XMP positions are {apart:,.0f} m apart: that of EXIF was taken ({exif.lat:.6f}, {exif.lon:.6f})"
        )
        return replace(exif, alt=exif.alt if exif.alt is not None else xmp.alt)
    if exif.alt is not None and xmp.alt is not None and abs(exif.alt - xmp.alt) > ACCURACY_ALT_M:
        notes.append(f"EXIF and XMP altitudes differ ({exif.alt:g} m, {xmp.alt:g} m): that of EXIF was taken")
    # The same position: XMP knows how good it is.
    return replace(
        exif,
        alt=exif.alt if exif.alt is not None else xmp.alt,
        quality=exif.quality or xmp.quality,
        accuracy_m=exif.accuracy_m if exif.accuracy_m is not None else xmp.accuracy_m,
    )


def _angles(gps: _Fields, xmp: _Fields) -> Angles:
    """The gimbal's; else the heading that EXIF states, where it refers to true north."""
    for names, down in _ANGLES:
        yaw, pitch, roll = (xmp.first((name,), _bounded(-360, 360)) for name in names)
        found = known_angles(yaw, pitch, roll)
        if found != NO_ANGLES:
            # Pix4D's convention counts from straight down.
            pitch = None if found.pitch is None else found.pitch + down
            return replace(found, pitch=pitch if pitch is None or abs(pitch) <= 180 else None)
    if str(gps.take(_DIRECTION_REF, "the direction's reference", _text) or "T").upper() == "T":
        heading = gps.take(_DIRECTION, "the direction", _bounded(0, 360))
        return Angles(None if heading is None else heading % 360)
    return NO_ANGLES


def _distance(exif: _Fields, xmp: _Fields) -> tuple[float | None, str | None]:
    """By the laser where it measured, else what EXIF states."""
    state = xmp.first(_maker("LRFStatus"), _text) or "Normal"
    laser = xmp.first(_maker("LRFTargetDistance"), _bounded(0, 5000))
    if laser and state == "Normal":
        return laser, "laser"
    value = exif.values.get(_DISTANCE)
    try:
        stated = _finite(value) if value is not None else 0.0
    except (ValueError, TypeError, ArithmeticError):  # cameras that know none write anything: not worth a note
        stated = 0.0
    return (stated, "exif") if 1e-3 <= stated <= 1000 else (None, None)


def _maker(name: str) -> tuple[str, ...]:
    """A property's names, maker by maker."""
    return tuple(f"{prefix}:{name}" for prefix in ("drone-dji", "drone", "drone-skydio", "drone-parrot"))


_PLACES = (
    *(
        (
            (f"{prefix}:GpsLatitude", f"{prefix}:GPSLatitude", f"{prefix}:Latitude"),
            # DJI's own spelling of some years, and Autel's.
            tuple(f"{prefix}:{name}" for name in ("GpsLongitude", "GpsLongtitude", "GPSLongitude", "Longitude")),
        )
        for prefix in ("drone-dji", "drone", "drone-skydio", "drone-parrot")
    ),
    (("exif:GPSLatitude",), ("exif:GPSLongitude",)),
)
# Yaw, pitch and roll, and what to add to the pitch for degrees above the horizon.
_NED = "drone-skydio:CameraOrientationNED"
_ANGLES: tuple[tuple[tuple[str, str, str], float], ...] = (
    (("drone-dji:GimbalYawDegree", "drone-dji:GimbalPitchDegree", "drone-dji:GimbalRollDegree"), 0.0),
    (("drone:GimbalYawDegree", "drone:GimbalPitchDegree", "drone:GimbalRollDegree"), 0.0),
    ((f"{_NED}/drone-skydio:Yaw", f"{_NED}/drone-skydio:Pitch", f"{_NED}/drone-skydio:Roll"), 0.0),
    (("drone-skydio:GimbalYawDegree", "drone-skydio:GimbalPitchDegree", "drone-skydio:GimbalRollDegree"), 0.0),
    (("drone-parrot:CameraYawDegree", "drone-parrot:CameraPitchDegree", "drone-parrot:CameraRollDegree"), 0.0),
    (("Camera:Yaw", "Camera:Pitch", "Camera:Roll"), -90.0),
)


# ------------------------------------------------------------------------------------------------------------ values


def _degrees(parts: Any) -> float:
    """Degrees, minutes and seconds, the later ones optional, as degrees."""
    values = [_finite(part) for part in (parts if isinstance(parts, (tuple, list)) else (parts,))]
    degrees, minutes, seconds = [*values, 0.0, 0.0][:3] if 1 <= len(values) <= 3 else [-1.0] * 3
    if min(degrees, minutes, seconds) < 0 or minutes > 60 or seconds > 60:
        raise ValueError("no angle")
    return degrees + minutes / 60 + seconds / 3600


def _sign(reference: Any, letters: str) -> int:
    return (1, -1)[letters.index(_text(reference).upper()[0])]


def _coordinate(value: Any) -> float:
    """Degrees from "+48.2", or from XMP's own "48,12.0N" and "48,12,0N"."""
    text = _text(value)
    match = _DMS.fullmatch(text)
    if match is None:
        return _bounded(-180, 180)(text)
    degrees = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
    return -degrees if match[4] in "SW" else degrees


def _metres(value: Any) -> float:
    return _bounded(LOWEST_M, HIGHEST_M)(value)


def _bounded(low: float, high: float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        number = _finite(value)
        if not low <= number <= high:
            raise ValueError("out of range")
        return number

    return convert


def _finite(value: Any) -> float:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value) if len(value) <= 64 else None
        if match is None:
            raise ValueError("no number")
        value = float(match[1]) / float(match[2] or 1)
    number = float(value)
    if not math.isfinite(number):  # Pillow's rationals with denominator 0
        raise ValueError("not finite")
    return number


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise ValueError("no text")
    return text.strip("\0 \t\r\n")


def _short(value: Any) -> str:
    text = ascii(value.strip("\0 ") if isinstance(value, str) else value)
    return text if len(text) <= 40 else f"{text[:36]} ..."
