"""Where the camera was at a given time, from a flight log: CSV, GPX or NMEA, told apart by what the file holds.

* CSV: a header with a time ("datetime", "timestamp" or "time", or "date" and "time"), "lat" and "lon", and if there is one "alt";
  common longer names and units in brackets are understood. Times are ISO 8601, or seconds or milliseconds since 1970.
* GPX: the track points. Their times are UTC, as GPX demands, also where the "Z" is missing.
* NMEA: what `tflite.device.nmea` reads.

A line that cannot be used is left out and counted, by reason. Between two fixes a position is interpolated; where the log has
a hole, and before and after it, there is no position: none is better than a wrong one.

Example:
    log = read_flight_log("flight.gpx")
    position = log.at(datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC))
"""

from __future__ import annotations

import bisect
import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from xml.parsers import expat

from crack_tf.survey.timezones import parse_timezone, sequence_to_utc
from tflite.device.nmea import Fix, NmeaParser
from tflite.errors import CrackError

MAX_GAP_S = 10.0  # a drone that searches flies a few metres a second, and logs once a second or oftener
DAMAGED, DUPLICATE, NO_FIX, NO_TIME, NO_MOMENT = (
    "damaged", "same time as another", "no fix (0, 0)", "no date or time", "local time that is no moment, or two",
)  # fmt: skip

# Column names as `_normalise` leaves them, the best first.
_DATE_TIMES = ("datetime", "dateandtime", "gpsdatetime", "timestamp", "gpstimestamp")
_DATES, _TIMES = ("date", "gpsdate"), ("time", "gpstime", "timeofday", "utc")
_LATITUDES = ("lat", "latitude", "latitudens", "gpslat", "gpslatitude")
_LONGITUDES = ("lon", "lng", "long", "longitude", "longitudeew", "gpslon", "gpslong", "gpslongitude")
_NORTH_SOUTH = ("ns", "latref", "latituderef", "gpslatituderef", "lathemisphere", "latitudehemisphere")
_EAST_WEST = ("ew", "lonref", "longituderef", "gpslongituderef", "lonhemisphere", "longitudehemisphere")
_ALTITUDES = (
    *("alt", "altitude", "altitudeabovesealevel", "altitudemsl", "altmsl", "ele", "elevation"),
    *("gpsalt", "gpsaltitude"),
)
_NUMBER = re.compile(r"([NSEW]?)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*°?\s*([NSEW]?)")
_METRES_PER_FOOT = 0.3048
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Position:
    """A place at a moment.

    Attributes:
        latitude, longitude: degrees, WGS84; south and west are negative.
        altitude_m: in the log's own system, or None.
        nearest_s: seconds to the nearest fix; 0 on a fix.
    """

    latitude: float
    longitude: float
    altitude_m: float | None
    nearest_s: float


@dataclass(frozen=True)
class FlightLog:
    """Fixes in order of time, no two at the same moment.

    Attributes:
        fixes: each with its time.
        skipped: reason -> number of lines or points that were left out.
    """

    fixes: tuple[Fix, ...]
    skipped: Mapping[str, int]

    @cached_property
    def times(self) -> list[float]:
        """Of the fixes, seconds since 1970 UTC."""
        return [fix.time for fix in self.fixes if fix.time is not None]

    def at(self, time: datetime, max_gap_s: float = MAX_GAP_S) -> Position | None:
        """The position at a moment, interpolated between the fixes before and after it.

        Args:
            time: with a time zone.
            max_gap_s: longest time in seconds between those two fixes.

        Returns:
            None before the first fix, after the last one, and in a hole of the log.

        Raises:
            CrackError: if the time has no time zone or `max_gap_s` is negative.
        """
        if time.tzinfo is None:
            raise CrackError(f"time {time.isoformat()} has no time zone: which moment it was is not known.")
        if not max_gap_s >= 0:
            raise CrackError(f"max_gap_s must be a number of at least 0, got {max_gap_s!r}.")
        moment = time.timestamp()
        after = bisect.bisect_left(self.times, moment)
        if after == len(self.times):
            return None
        second, until = self.fixes[after], self.times[after] - moment
        if until == 0:
            return Position(second.lat, second.lon, second.alt, 0.0)
        if after == 0 or self.times[after] - self.times[after - 1] > max_gap_s:
            return None
        return _between(self.fixes[after - 1], second, moment - self.times[after - 1], until)

    def describe(self) -> str:
        """One line: how many fixes, from when to when, and what was left out."""
        first, last = (datetime.fromtimestamp(time, UTC) for time in (self.times[0], self.times[-1]))
        text = f"{len(self.fixes):,} positions from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        return f"{text}; left out: {left_out}" if left_out else text


def read_flight_log(path: str | Path, timezone: str | None = None) -> FlightLog:
    """Read a flight log.

    Args:
        path: a CSV, GPX or NMEA file.
        timezone: of times in a CSV that do not say theirs: an IANA name such as "Europe/Vienna", or an offset such as "+02:00".

    Raises:
        CrackError: if the file cannot be read, is of no known kind, needs a time zone, or holds no usable position.
    """
    zone = None if timezone is None else parse_timezone(timezone)
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CrackError(f"flight log {path} cannot be read: {error.strerror}.") from None
    skipped: Counter[str] = Counter()
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        fixes = _read_gpx(data, path, skipped)
    elif start == b"$":
        fixes = _read_nmea(data, skipped)
    else:
        fixes = _read_csv(data, path, zone, skipped)
    return _sorted_log(fixes, path, skipped)


def _sorted_log(fixes: Iterable[Fix], path: Path, skipped: Counter[str]) -> FlightLog:
    kept: dict[float, Fix] = {}
    for fix in fixes:
        if fix.time is None:
            skipped[NO_TIME] += 1
        elif fix.lat == fix.lon == 0:  # what receivers write before they know their place
            skipped[NO_FIX] += 1
        elif fix.time in kept:
            # The first one: logs that write ten lines a second with times in whole seconds have cut off the fraction.
            skipped[DUPLICATE] += 1
        else:
            kept[fix.time] = fix
    if not kept:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "it is empty"
        raise CrackError(
            f"flight log {path} holds no position with a time ({left_out}). Is it a CSV, GPX or NMEA file of the flight?"
        )
    return FlightLog(tuple(kept[time] for time in sorted(kept)), dict(skipped))


def _between(first: Fix, second: Fix, since: float, until: float) -> Position:
    """The shorter way from one fix to the next, across the antimeridian where that is shorter."""
    share = since / (since + until)
    east = (second.lon - first.lon + 180) % 360 - 180
    longitude = (first.lon + share * east + 180) % 360 - 180
    altitude = None if first.alt is None or second.alt is None else first.alt + share * (second.alt - first.alt)
    return Position(first.lat + share * (second.lat - first.lat), longitude, altitude, min(since, until))


# ------------------------------------------------------------------------------------------------------------ CSV


@dataclass(frozen=True)
class _Columns:
    """Where to look in a row: numbers of columns, those of a text that is put together one after the other."""

    time: tuple[int, ...]
    lat: tuple[int, ...]
    lon: tuple[int, ...]
    alt: int | None
    utc: bool  # whether the time column says so
    feet: bool


def _read_csv(data: bytes, path: Path, zone: tzinfo | None, skipped: Counter[str]) -> list[Fix]:
    lines = [line for line in data.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    columns = _find_columns(_cells(header, delimiter) or [], path)
    naive: list[datetime | None] = []
    rows: list[tuple[float, float, float | None, datetime | None]] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            cells = _cells(line, delimiter)
            north, east, text = (
                " ".join(cells[at].strip() for at in numbers) for numbers in (columns.lat, columns.lon, columns.time)
            )
            place = _coordinate(north, "NS"), _coordinate(east, "EW")
            time = _parse_time(text)
            altitude = _altitude(cells, columns)
        except (ValueError, IndexError, OverflowError, csv.Error):
            skipped[DAMAGED] += 1
            continue
        if time.tzinfo is None and columns.utc:
            time = time.replace(tzinfo=UTC)
        if time.tzinfo is None and zone is None:
            raise CrackError(
                f"flight log {path}, line {number}: the time {text!r} has no time zone. "
                "Give it, such as --timezone Europe/Vienna or --timezone +02:00."
            )
        rows.append((*place, altitude, time if time.tzinfo else None))
        naive.append(None if time.tzinfo else time)
    settled = [None] * len(naive) if zone is None else sequence_to_utc(naive, zone)
    if zone is not None and any(naive) and not any(settled) and not any(row[3] for row in rows):
        raise CrackError(
            f"flight log {path}: all its times lie in an hour that {zone} has twice or never, when the clocks change. "
            "Give the offset instead, such as --timezone +02:00."
        )
    fixes = []
    for (lat, lon, altitude, aware), local in zip(rows, settled, strict=True):
        moment = aware or local
        if moment is None:
            skipped[NO_MOMENT] += 1
            continue
        try:
            fixes.append(Fix(lat, lon, altitude, moment.timestamp()))
        except ValueError:  # no place on earth
            skipped[DAMAGED] += 1
    return fixes


def _cells(line: str, delimiter: str) -> list[str]:
    # Line by line: a quote that is never closed then costs one line, not the rest of the file.
    return next(csv.reader([line[:_LONGEST_LINE]], delimiter=delimiter))


def _find_columns(header: list[str], path: Path) -> _Columns:
    names: dict[str, int] = {}
    for number, name in enumerate(header):
        names.setdefault(_normalise(name), number)

    def first(*wanted: str) -> tuple[int, ...]:
        return next(((names[name],) for name in wanted if name in names), ())

    lat, lon, alt = first(*_LATITUDES), first(*_LONGITUDES), first(*_ALTITUDES)
    time_of_day = first(*_TIMES)
    time = first(*_DATE_TIMES) or (time_of_day and first(*_DATES) + time_of_day)
    missing = [name for name, at in (("time", time), ("lat", lat), ("lon", lon)) if not at]
    if missing:
        seen = ", ".join(repr(name.strip()[:40]) for name in header[:30]) or "none"
        raise CrackError(
            f"flight log {path} has no column for {', '.join(missing)}. Columns seen: {seen}. "
            "Expected time (or timestamp, datetime), lat and lon, and if there is one alt."
        )
    return _Columns(
        time=time,
        lat=lat + first(*_NORTH_SOUTH),
        lon=lon + first(*_EAST_WEST),
        alt=alt[0] if alt else None,
        utc=any("utc" in header[at].lower() for at in time),
        feet=bool(alt) and re.search(r"\b(feet|ft)\b", header[alt[0]].lower()) is not None,
    )


def _normalise(name: str) -> str:
    """ "GPS Latitude [deg]" -> "gpslatitude", "datetime(utc)" -> "datetime"."""
    name = re.sub(r"[(\[].*?[)\]]", "", name.lower())
    name = re.sub(r"[^a-z]", "", name)
    return name if name == "utc" else name.removesuffix("utc")


def _coordinate(text: str, letters: str) -> float:
    """Degrees from "-33.9", "33.9 S" or "33,9"."""
    match = _NUMBER.fullmatch(text.strip().upper().replace(",", "."))
    letter = "" if match is None else match[1] + match[3]
    if match is None or len(letter) > 1 or (letter and letter not in letters):
        raise ValueError(f"coordinate {text!r}")
    value = float(match[2])
    if letter and value < 0:
        raise ValueError(f"coordinate {text!r} has two signs")
    return -value if letter == letters[1] else value


def _altitude(cells: list[str], columns: _Columns) -> float | None:
    if columns.alt is None or len(cells) <= columns.alt or not cells[columns.alt].strip():
        return None
    value = float(cells[columns.alt].strip().replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(f"altitude {value}")
    return value * _METRES_PER_FOOT if columns.feet else value


def _parse_time(text: str) -> datetime:
    """ISO 8601, with "/" or EXIF's ":" in the date too; or seconds, or milliseconds, since 1970 UTC."""
    if re.fullmatch(r"\d{9,13}(\.\d*)?", text):
        seconds = float(text)
        # Seconds have ten digits from 2001 until 2286, milliseconds thirteen.
        return datetime.fromtimestamp(seconds / 1000 if seconds >= 1e11 else seconds, UTC)
    match = re.fullmatch(r"(\d{4})[-/:](\d\d)[-/:](\d\d)([T ].+)", text)
    if match is None:
        raise ValueError(f"time {text!r}")
    return datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]}{match[4]}")


# ------------------------------------------------------------------------------------------------------------ GPX


def _read_gpx(data: bytes, path: Path, skipped: Counter[str]) -> list[Fix]:
    """Track points of any version of GPX, with a name space or without.

    With expat itself, since it lets document types be refused: they can hold entities that expand without end.
    """
    reader = _GpxReader(skipped)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text

    def refuse(*_: object) -> None:
        raise CrackError(
            f"flight log {path} holds a document type (DOCTYPE), which no GPX file needs. It is not read, for safety."
        )

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        skipped[DAMAGED] += 1  # what came before the damage is whole: a logger that lost its power leaves such files
    except (LookupError, ValueError):  # an encoding that does not exist
        skipped[DAMAGED] += 1
    if not reader.root_is_gpx:
        raise CrackError(f"flight log {path} is XML but not GPX. Export the flight as GPX, CSV or NMEA.")
    return reader.fixes


class _GpxReader:
    """Handlers that collect track points."""

    def __init__(self, skipped: Counter[str]) -> None:
        self.fixes: list[Fix] = []
        self.root_is_gpx = False
        self._skipped = skipped
        self._path: list[str] = []
        self._attributes: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        if len(self._path) == 1:
            self.root_is_gpx = self._path[0] == "gpx"
        if self._path[-1] == "trkpt":
            self._attributes, self._texts = attributes, {}

    def text(self, text: str) -> None:
        # Direct children only: extensions may hold times of their own.
        if len(self._path) > 1 and self._path[-2] == "trkpt":
            self._texts[self._path[-1]] = self._texts.get(self._path[-1], "") + text

    def end(self, name: str) -> None:
        if self._path.pop() == "trkpt":
            try:
                self.fixes.append(self._fix())
            except (ValueError, KeyError, OverflowError):
                self._skipped[DAMAGED] += 1

    def _fix(self) -> Fix:
        lat, lon = (_coordinate(self._attributes[name], letters) for name, letters in (("lat", "NS"), ("lon", "EW")))
        elevation = self._texts.get("ele", "").strip()
        altitude = float(elevation) if elevation else None
        if altitude is not None and not math.isfinite(altitude):
            raise ValueError(f"elevation {elevation}")
        text = self._texts.get("time", "").strip()
        if not text:
            return Fix(lat, lon, altitude)
        time = datetime.fromisoformat(text)
        return Fix(lat, lon, altitude, (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


# ----------------------------------------------------------------------------------------------------------- NMEA


def _read_nmea(data: bytes, skipped: Counter[str]) -> list[Fix]:
    parser = NmeaParser()
    fixes: list[Fix] = []
    for line in data.splitlines():
        fix = parser.feed(line[:_LONGEST_LINE])
        if fix is not None and parser.same_moment:
            fixes[-1] = fix  # a later sentence of the same moment knows more
        elif fix is not None:
            fixes.append(fix)
    if parser.rejected:
        skipped[DAMAGED] += parser.rejected
    return fixes
