"""Positions from NMEA 0183 sentences, the text that GPS receivers send. Standard library only.

Read: GGA (position, altitude, quality), RMC (position, date), GST (error estimate) and ZDA (date), of any talker. Field
order is that of the published descriptions, https://gpsd.gitlab.io/gpsd/NMEA.html
"""

from __future__ import annotations

import calendar
import math
import re
import time
from dataclasses import replace
from typing import Any

from tflite.place.fix import Fix

DAY = 86400.0
# GGA field 6. Source: https://gpsd.gitlab.io/gpsd/NMEA.html#_gga_global_positioning_system_fix_data
QUALITIES = {1: "gps", 2: "dgps", 3: "pps", 4: "rtk", 5: "float rtk", 6: "estimated", 7: "manual", 8: "simulated"}
_SENTENCE = re.compile(r"\$([A-Z0-9]{2})([A-Z]{3}),([ -)+-~]*)\*([0-9A-Fa-f]{2})")  # no "*" inside
_CENTURY = 80  # RMC has two digits of the year: 80 to 99 belong to the last century
_LONGEST = 256  # the standard allows 82 characters; receivers with high precision exceed it a little


class NmeaParser:
    """Turns sentences, line by line, into fixes. Lines that are damaged or say nothing about a position are passed over.

    A receiver describes one moment in several sentences. Each call returns what is known of the moment so far; a later fix
    of the same moment completes the earlier one (see `same_moment`).

    Attributes:
        sentences: seen with a right checksum.
        rejected: lines that started like a sentence and were damaged, or had no checksum.
        same_moment: whether the fix just returned replaces the one before it.
    """

    def __init__(self) -> None:
        self.sentences = 0
        self.rejected = 0
        self.same_moment = False
        self._midnight: float | None = None  # of the last date seen, seconds since 1970
        self._dated_at = 0.0  # time of day of the sentence that brought the date
        self._moment: float | None = None  # time of day that `_known` belongs to
        self._known: dict[str, Any] = {}
        self._told = False  # whether a fix of this moment was returned

    def feed(self, line: str | bytes) -> Fix | None:
        """Read one line.

        Returns:
            A fix, or None when the line adds none: another sentence, no satellites yet, or damage.
        """
        text = line.decode("ascii", "replace") if isinstance(line, bytes) else line
        text = text.strip()
        if not text.startswith("$") or text.startswith("$P"):  # "$P...": a maker's own sentence, in a form of its own
            return None
        match = _SENTENCE.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None or checksum(text[1:-3]) != int(match[4], 16):
            self.rejected += 1
            return None
        self.sentences += 1
        reader = _READERS.get(match[2])
        if reader is None:
            return None
        try:
            found = reader(match[3].split(","))
        except (ValueError, IndexError):
            self.rejected += 1
            return None
        return self._take(found)

    def _take(self, found: dict[str, Any]) -> Fix | None:
        moment, midnight = found.pop("time_of_day", None), found.pop("midnight", None)
        if moment is None:
            return None
        if midnight is not None:
            self._midnight, self._dated_at = midnight, moment
        if moment != self._moment:
            self._moment, self._known, self._told = moment, {}, False
        # After an RMC that says "void" or a GGA of quality 0 nothing more is told of this moment.
        valid = found.pop("valid", True) and self._known.get("valid", True)
        self._known |= {name: value for name, value in found.items() if value is not None} | {"valid": valid}
        if not valid or "lat" not in self._known:
            return None
        fields = {name: value for name, value in self._known.items() if name != "valid"}
        fix = replace(Fix(**fields), time=self._utc(moment))
        self.same_moment, self._told = self._told, True
        return fix

    def _utc(self, moment: float) -> float | None:
        if self._midnight is None:
            return None
        # A GGA just after midnight comes before the RMC that brings the new date; one just before may come late.
        days = round((self._dated_at - moment) / DAY)
        return self._midnight + days * DAY + moment


def is_nmea(data: bytes) -> bool:
    """Whether a file looks like sentences, noise between them allowed."""
    return re.search(rb"(?:^|[\r\n])\$[A-Z0-9]{2}[A-Z]{3},", data[: 1 << 14].lstrip(b"\xef\xbb\xbf\0 \t")) is not None


def checksum(body: str) -> int:
    """Exclusive or of the characters between "$" and "*"."""
    value = 0
    for character in body:
        value ^= ord(character)
    return value


def _gga(fields: list[str]) -> dict[str, Any]:
    quality = int(fields[5] or 0)
    if quality == 0:
        return {"time_of_day": _time_of_day(fields[0]), "valid": False}
    return {
        "time_of_day": _time_of_day(fields[0]),
        **_position(fields[1:5]),
        "quality": QUALITIES.get(quality, f"quality {quality}"),
        "satellites": int(fields[6]) if fields[6] else None,
        "hdop": _number(fields[7]),
        "alt": _number(fields[8]),
    }


def _rmc(fields: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"time_of_day": _time_of_day(fields[0])}
    mode = fields[11] if len(fields) > 11 else ""  # from version 2.3 on
    if fields[1] != "A" or mode == "N":  # void: the date is not to be trusted either
        return found | {"valid": False}
    day, month, year = _pairs(fields[8])
    found["midnight"] = _midnight(year + (1900 if year >= _CENTURY else 2000), month, day)
    return found | _position(fields[2:6])


def _gst(fields: list[str]) -> dict[str, Any]:
    errors = [_number(text) for text in fields[5:7]]  # standard deviations of latitude and longitude, metres
    both = None if None in errors else math.hypot(*(error for error in errors if error is not None))
    return {"time_of_day": _time_of_day(fields[0]), "accuracy_m": both}


def _zda(fields: list[str]) -> dict[str, Any]:
    if not all(fields[:4]):
        return {}
    midnight = _midnight(int(fields[3]), int(fields[2]), int(fields[1]))
    return {"time_of_day": _time_of_day(fields[0]), "midnight": midnight}


_READERS = {"GGA": _gga, "RMC": _rmc, "GST": _gst, "ZDA": _zda}


def _position(fields: list[str]) -> dict[str, float]:
    """From ddmm.mmmm, N or S, dddmm.mmmm, E or W."""
    values = {}
    for name, text, sign, letters, most in (
        ("lat", fields[0], fields[1], "NS", 90),
        ("lon", fields[2], fields[3], "EW", 180),
    ):
        if len(sign) != 1 or sign not in letters:
            raise ValueError(f"hemisphere {sign!r}")
        number = _number(text)
        degrees, minutes = divmod(math.nan if number is None else number, 100)
        value = degrees + minutes / 60
        if not (0 <= minutes < 60 and 0 <= value <= most):
            raise ValueError(f"{name} {text!r}")
        values[name] = -value if sign == letters[1] else value
    return values


def _time_of_day(text: str) -> float | None:
    """Seconds since midnight from hhmmss.ss, or None from an empty field."""
    if not text:
        return None
    hours, minutes, seconds = int(text[:2]), int(text[2:4]), float(text[4:])
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):  # 60 is a leap second
        raise ValueError(f"time {text!r}")
    return hours * 3600 + minutes * 60 + seconds


def _pairs(text: str) -> tuple[int, int, int]:
    if len(text) != 6:
        raise ValueError(f"date {text!r}")
    return int(text[:2]), int(text[2:4]), int(text[4:])


def _midnight(year: int, month: int, day: int) -> float:
    parsed = time.strptime(f"{year:04d}-{month:02d}-{day:02d}", "%Y-%m-%d")  # refuses the 31st of April
    return float(calendar.timegm(parsed))


def _number(text: str) -> float | None:
    """A finite number, or None from an empty field."""
    value = float(text) if text else None
    if value is not None and not math.isfinite(value):
        raise ValueError(f"number {text!r}")
    return value
