"""Flight logs in CSV, as people and exporters write them (Airdata, Litchi, Flight Reader, PhantomHelp and others).

A header names the columns: a time ("datetime", "timestamp" or "time", or "date" and "time"), "lat" and "lon", and if there are any
"alt" and the camera's angles. Common longer names and units in brackets are understood. A first line "sep=;" states the delimiter.
Times are as in `tflite.place.clock.UNDERSTOOD`. What is not understood is named with its line.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from tflite.errors import CrackError
from tflite.place.clock import UNDERSTOOD, UTC, date_order, parse_time, sequence_to_utc
from tflite.place.fix import Angles, Fix, known_angles
from tflite.place.logcontent import DAMAGED, LONGEST_LINE, NO_MOMENT, LogContent, shown
from tflite.place.values import degrees, finite

# Column names as `_normalise` leaves them, the best first.
_DATE_TIMES = ("datetime", "dateandtime", "gpsdatetime", "timestamp", "gpstimestamp")
_DATES, _TIMES = ("date", "gpsdate"), ("time", "gpstime", "timeofday", "updatetime", "utc")
_LATITUDES = ("lat", "latitude", "latitudens", "gpslat", "gpslatitude")
_LONGITUDES = ("lon", "lng", "long", "longitude", "longitudeew", "gpslon", "gpslong", "gpslongitude")
_NORTH_SOUTH = ("ns", "latref", "latituderef", "gpslatituderef", "lathemisphere", "latitudehemisphere")
_EAST_WEST = ("ew", "lonref", "longituderef", "gpslongituderef", "lonhemisphere", "longitudehemisphere")
_ALTITUDES = (
    *("alt", "altitude", "altitudeabovesealevel", "altitudemsl", "altmsl", "ele", "elevation"),
    *("gpsalt", "gpsaltitude", "altm", "altitudem", "altmeters", "altitudemeters", "altmetres", "altitudemetres"),
    *("altft", "altitudeft", "altfeet", "altitudefeet"),
)
_HEIGHTS = ("heightabovetakeoff", "relativealtitude", "relalt", "height", "ascent")
_YAWS, _PITCHES, _ROLLS = ("gimbalheading", "gimbalyaw"), ("gimbalpitch",), ("gimbalroll",)
_SECTIONS = (
    "osd.",
    "custom.",
)  # what Flight Reader and others put before the names; other sections have other positions
_METRES_PER_FOOT = 0.3048
_FEET = re.compile(r"\b(feet|ft)\b|(feet|ft)\s*$")  # "[ft]", and "altitude_ft"
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DELIMITERS = ",;\t|"
_HEADER_LINES = 10  # within which the header is looked for: some exporters write a title first


@dataclass(frozen=True)
class _Columns:
    """Where to look in a row: numbers of columns, those of a text that is put together one after the other."""

    time: tuple[int, ...]
    lat: tuple[int, ...]
    lon: tuple[int, ...]
    alt: int | None
    utc: bool  # whether the time column says so
    feet: bool
    above_takeoff: bool
    angles: tuple[int | None, int | None, int | None]  # yaw, pitch, roll


@dataclass(frozen=True)
class _Row:
    number: int  # of its line
    lat: float
    lon: float
    alt: float | None
    angles: Angles
    time: str


def read_csv(data: bytes, name: str, zone: tzinfo | None) -> LogContent:
    """Read a CSV file.

    Args:
        data: its bytes.
        name: for errors.
        zone: of times that do not say theirs, or None.

    Raises:
        CrackError: if a column is missing, most lines cannot be read (with the first value that was not understood), or its times
            need a zone.
    """
    content = LogContent()
    lines, delimiter = _lines(data)
    columns, first = _header(lines, delimiter, name)
    content.above_takeoff = columns.above_takeoff
    rows = []
    for number, line in lines[first:]:
        try:
            rows.append(_row(number, _cells(line, delimiter), columns))
        except (ValueError, IndexError, csv.Error) as error:
            told = "too few cells" if isinstance(error, IndexError) else str(error)
            content.skip(DAMAGED, f"line {number}: {told}")
    moments = _moments(rows, columns, name, zone, content)
    for row, moment in zip(rows, moments, strict=True):
        if moment is None:
            continue
        try:
            angles = row.angles
            content.fixes.append(
                Fix(
                    *(row.lat, row.lon, row.alt, moment.timestamp()),
                    heading_deg=angles.heading,
                    pitch_deg=angles.pitch,
                    roll_deg=angles.roll,
                )
            )
        except ValueError as error:  # no place on earth
            content.skip(DAMAGED, f"line {row.number}: {error}")
    damaged = content.skipped[DAMAGED]
    if damaged > len(lines[first:]) / 2 and content.problems:
        raise CrackError(
            f"flight log {name}: {damaged:,} of {len(lines[first:]):,} lines cannot be read. {_sentence(content.problems[0])} "
            "Understood are latitude and longitude in degrees, and times such as " + UNDERSTOOD + "."
        )
    return content


def _lines(data: bytes) -> tuple[list[tuple[int, str]], str]:
    """Lines that are not blank with their numbers, and the delimiter."""
    lines = [
        (number, line)
        for number, line in enumerate(data.decode(_encoding(data), "replace").splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    stated = re.fullmatch(r'"?sep=(.|\\t)"?\s*', lines[0][1], re.IGNORECASE | re.DOTALL) if lines else None
    if stated is not None:  # for spreadsheets, which guess wrong otherwise
        return lines[1:], "\t" if stated[1] == "\\t" else stated[1]
    header = max(
        (line for _, line in lines[:_HEADER_LINES]), key=lambda line: max(map(line.count, _DELIMITERS)), default=""
    )
    return lines, max(_DELIMITERS, key=header.count)


def _encoding(data: bytes) -> str:
    """UTF-8, or UTF-16 by its mark, or by every second byte being 0, as programs write it that leave the mark out."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:200]
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(start) > 20 and start[first::2].count(0) > 0.8 * len(start[first::2]):
            return name
    return "utf-8-sig"


def _cells(line: str, delimiter: str) -> list[str]:
    # Line by line: a quote that is never closed then costs one line, not the rest of the file.
    return next(csv.reader([line[:LONGEST_LINE]], delimiter=delimiter), [])


def _header(lines: Sequence[tuple[int, str]], delimiter: str, name: str) -> tuple[_Columns, int]:
    """The columns, and the index of the first line after the header."""
    missing: tuple[list[str], list[str]] | None = None
    for index, (_, line) in enumerate(lines[:_HEADER_LINES]):
        try:
            header = _cells(line, delimiter)
        except csv.Error:
            continue
        columns, lacking = _find_columns(header)
        if columns is not None:
            return columns, index + 1
        if missing is None or len(lacking) < len(missing[1]):
            missing = header, lacking
    header, lacking = missing or ([], ["time", "lat", "lon"])
    seen = ", ".join(shown(cell.strip()[:40]) for cell in header[:30]) or "none"
    raise CrackError(
        f"flight log {name} has no column for {', '.join(lacking)}. Columns seen: {seen}. "
        "Expected time (or timestamp, datetime), lat and lon, and if there is one alt."
    )


def _find_columns(header: Sequence[str]) -> tuple[_Columns | None, list[str]]:
    """The columns, or None and the names of what is missing."""
    names: dict[str, int] = {}
    for number, title in enumerate(header):
        name = _normalise(title)
        # Of a local and a UTC column the latter: it needs no zone.
        if name not in names or (_says_utc(title) and not _says_utc(header[names[name]])):
            names[name] = number

    def first(*wanted: str) -> tuple[int, ...]:
        return next(((names[name],) for name in wanted if name in names), ())

    def one(*wanted: str) -> int | None:
        return next(iter(first(*wanted)), None)

    lat, lon = first(*_LATITUDES), first(*_LONGITUDES)
    time_of_day = first(*_TIMES)
    time = first(*_DATE_TIMES) or (time_of_day and first(*_DATES) + time_of_day)
    missing = [name for name, at in (("time", time), ("lat", lat), ("lon", lon)) if not at]
    if missing:
        return None, missing
    alt, height = one(*_ALTITUDES), one(*_HEIGHTS)
    level = height if alt is None else alt
    columns = _Columns(
        time=time,
        lat=lat + first(*_NORTH_SOUTH),
        lon=lon + first(*_EAST_WEST),
        alt=level,
        utc=any(_says_utc(header[at]) for at in time),
        feet=level is not None and _FEET.search(header[level].lower()) is not None,
        above_takeoff=alt is None and height is not None,
        angles=(one(*_YAWS), one(*_PITCHES), one(*_ROLLS)),
    )
    return columns, []


def _normalise(title: str) -> str:
    """ "GPS Latitude [deg]" -> "gpslatitude", "datetime(utc)" -> "datetime", "OSD.latitude" -> "latitude"."""
    name = re.sub(r"[(\[].*?[)\]]", "", title.strip().lower())
    for section in _SECTIONS:
        name = name.removeprefix(section)
    name = re.sub(r"[^a-z]", "", name)
    return name if name == "utc" else name.removesuffix("utc")


def _says_utc(title: str) -> bool:
    return re.search(r"utc|\bgmt\b", title.lower()) is not None


def _row(number: int, cells: Sequence[str], columns: _Columns) -> _Row:
    north, east, time = (
        " ".join(cells[at].strip() for at in numbers) for numbers in (columns.lat, columns.lon, columns.time)
    )
    return _Row(
        number,
        degrees(north, "NS"),
        degrees(east, "EW"),
        _altitude(cells, columns, "." in north + east),
        known_angles(*(_angle(cells, at) for at in columns.angles)),
        time,
    )


def _moments(
    rows: Sequence[_Row], columns: _Columns, name: str, zone: tzinfo | None, content: LogContent
) -> list[datetime | None]:
    """A moment for each row, None for those that are left out, and counted."""
    try:
        order = date_order(row.time for row in rows)
    except ValueError as error:
        raise CrackError(f"flight log {name}: {error}. Understood are {UNDERSTOOD}.") from None
    times: list[datetime | None] = []
    for row in rows:
        try:
            time = parse_time(row.time, order)
        except ValueError as error:
            content.skip(DAMAGED, f"line {row.number}: the time {shown(row.time)} is not understood ({error})")
            times.append(None)
            continue
        if time.tzinfo is None and columns.utc:
            time = time.replace(tzinfo=UTC)
        if time.tzinfo is None and zone is None:
            raise CrackError(
                f"flight log {name}, line {row.number}: the time {row.time!r} has no time zone. "
                "Give it, such as --timezone Europe/Vienna or --timezone +02:00."
            )
        times.append(time)
    if zone is None:
        return times
    local = [time if time is not None and time.tzinfo is None else None for time in times]
    settled = sequence_to_utc(local, zone)
    if any(local) and not any(settled) and not any(time is not None and time.tzinfo is not None for time in times):
        raise CrackError(
            f"flight log {name}: all its times lie in an hour that {zone} has twice or never, when the clocks change. "
            "Give the offset instead, such as --timezone +02:00."
        )
    for naive, moment in zip(local, settled, strict=True):
        if naive is not None and moment is None:
            content.skip(NO_MOMENT)
    return [other if naive is not None else time for time, naive, other in zip(times, local, settled, strict=True)]


def _altitude(cells: Sequence[str], columns: _Columns, point: bool) -> float | None:
    """In metres; where degrees are written with a `point`, a comma in 1,234 stands between thousands."""
    text = "" if columns.alt is None or len(cells) <= columns.alt else cells[columns.alt].strip()
    if not text:
        return None
    value = finite(text.replace(",", "") if point and _THOUSANDS.fullmatch(text) else text)
    return value * _METRES_PER_FOOT if columns.feet else value


def _angle(cells: Sequence[str], at: int | None) -> float | None:
    """A camera's angle; a cell without one costs the angle, not the line."""
    if at is None or len(cells) <= at:
        return None
    try:
        value = finite(cells[at])
    except ValueError:
        return None
    return value if abs(value) <= 360 else None


def _sentence(problem: str) -> str:
    return f"{problem[0].upper()}{problem[1:]}."
