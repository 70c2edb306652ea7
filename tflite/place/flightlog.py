"""Where the camera was at a given time, from a flight log: CSV, GPX, NMEA, a drone's .SRT or .MRK, a flight controller's .tlog or
.bin or .ulg, told apart by what the file holds.

* CSV: `tflite.place.csvlog`. Times are ISO 8601 and what exporters write.
* GPX: the track points. Their times are UTC, as GPX demands, also where the "Z" is missing.
* NMEA: what `tflite.place.nmea` reads.
* SRT: the subtitles of a drone's video, `tflite.place.srt`.
* MRK: the exposures of a drone with RTK, `tflite.place.mrk`; its photographs are found by their numbers too.
* MAVLink: a recorded link (.tlog), `tflite.place.mavlink`, or what ArduPilot writes on board (.bin), `tflite.place.dataflash`,
  or PX4 (.ulg), `tflite.place.ulog`.

A line that cannot be used is left out and counted, by reason. Between two fixes a position is interpolated; where the log has
a hole, and before and after it, there is no position: none is better than a wrong one.

Example:
    log = read_flight_log("flight.gpx")
    position = log.fix_at(datetime(2025, 6, 1, 12, 0, 0, tzinfo=timezone.utc).timestamp())
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import cached_property
from pathlib import Path

from tflite.errors import CrackError
from tflite.place.clock import CameraClock, parse_timezone, utc_text
from tflite.place.csvlog import read_csv
from tflite.place.dataflash import is_dataflash, read_dataflash
from tflite.place.fix import Fix, real_altitude, real_place
from tflite.place.gpx import read_gpx
from tflite.place.logcontent import DAMAGED, DUPLICATE, LONGEST_LINE, NO_FIX, NO_TIME, LogContent
from tflite.place.mavlink import is_tlog, read_tlog
from tflite.place.mrk import exposure_of, is_mrk, read_mrk
from tflite.place.nmea import NmeaParser, is_nmea
from tflite.place.srt import dated_fixes, is_srt, read_srt
from tflite.place.ulog import is_ulog, read_ulog
from tflite.place.vehicle import KEPT_S
from tflite.words import counted

MAX_GAP_S = 10.0  # a drone that searches flies a few metres a second, and logs once a second or oftener


@dataclass(frozen=True)
class FlightLog:
    """Fixes in order of time, no two at the same moment.

    Attributes:
        fixes: each with its time.
        skipped: reason -> number of lines or points that were left out.
        problems: the first of those in words.
        above_takeoff: whether altitudes count from the place of take-off, since the log knows no others.
        exposures: fixes by the number of the exposure, where the log is of exposures; without numbers that come twice.
        name: of the file.
    """

    fixes: tuple[Fix, ...]
    skipped: Mapping[str, int]
    problems: tuple[str, ...] = ()
    above_takeoff: bool = False
    exposures: Mapping[int, Fix] = field(default_factory=dict)
    name: str = ""

    @cached_property
    def times(self) -> list[float]:
        """The fixes', seconds since 1970 UTC."""
        return [fix.time for fix in self.fixes if fix.time is not None]

    @property
    def span(self) -> tuple[float, float]:
        """Times of the first and the last fix, seconds since 1970 UTC."""
        return self.times[0], self.times[-1]

    def fix_at(self, moment: float, max_gap_s: float = MAX_GAP_S) -> Fix | None:
        """The position at a moment, interpolated between the fixes before and after it, with the camera's angles at the nearest one.

        Args:
            moment: seconds since 1970 UTC.
            max_gap_s: longest time in seconds between those two fixes.

        Returns:
            None before the first fix, after the last one, and in a hole of the log.
        """
        after = bisect.bisect_left(self.times, moment)
        if after == len(self.times):
            return None
        second, until = self.fixes[after], self.times[after] - moment
        if until == 0:
            return second
        if after == 0 or self.times[after] - self.times[after - 1] > max_gap_s:
            return None
        return _between(self.fixes[after - 1], second, moment - self.times[after - 1], until)

    def fix_of(self, photo: str, moment: float | None, local: float | None = None) -> Fix | None:
        """The exposure that a photograph is of, by its number; None where the log has no numbers, or that is another photograph's.

        Args:
            photo: the photograph's name, with or without folders.
            moment: when it was taken, seconds since 1970 UTC; None where that is not known.
            local: by its camera's clock without a zone, counted as if it were UTC; or None.
        """
        if not self.exposures:
            return None
        return exposure_of(photo.rpartition("/")[2], self.name, self.exposures, moment, local)

    def describe(self) -> str:
        """One line: how many fixes, from when to when, and what was left out."""
        first, last = (utc_text(time).removesuffix(" UTC") for time in self.span)
        text = f"{counted(len(self.fixes), 'position')} from {first} to {last} UTC"
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        return f"{text}; left out: {left_out}" if left_out else text


def read_flight_log(path: str | Path, timezone: str | None = None, video_start: float | None = None) -> FlightLog:
    """Read a flight log.

    Args:
        path: a CSV, GPX, NMEA, SRT, MRK, .tlog, .bin or .ulg file.
        timezone: of times that do not say theirs: an IANA name such as "Europe/Vienna", or an offset such as "+02:00".
        video_start: when the video of an SRT file began, seconds since 1970 UTC: its blocks are dated by it.

    Raises:
        CrackError: if the file cannot be read, is of no known kind, needs a time zone, or holds no usable position; with the first
            value that was not understood.
    """
    zone = None if timezone is None else parse_timezone(timezone)
    path = Path(path)
    data = read_log_bytes(path)
    return _sorted_log(_read(data, path, zone, video_start), path)


def read_log_bytes(path: Path) -> bytes:
    """The bytes of a log.

    Raises:
        CrackError: if the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CrackError(f"flight log {path} cannot be read: {error.strerror}.") from None


def _read(data: bytes, path: Path, zone: tzinfo | None, video_start: float | None) -> LogContent:
    if is_dataflash(data):
        return read_dataflash(data)
    if is_ulog(data):
        return read_ulog(data)
    if is_tlog(data):
        return read_tlog(data, str(path))
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        return read_gpx(data, str(path))
    if start == b"$" or is_nmea(data):
        return read_nmea(data)
    if is_mrk(data):
        return read_mrk(data)
    if is_srt(data) or path.suffix.lower() == ".srt":
        return dated_fixes(read_srt(data), str(path), CameraClock(zone), video_start)
    return read_csv(data, str(path), zone)


def read_nmea(data: bytes) -> LogContent:
    """Read a file of NMEA sentences; of several sentences about one moment the last, which knows most."""
    content = LogContent()
    parser = NmeaParser()
    for line in data.splitlines():
        fix = parser.feed(line[:LONGEST_LINE])
        if fix is not None and parser.same_moment and content.fixes:
            content.fixes[-1] = fix
        elif fix is not None:
            content.fixes.append(fix)
    if parser.rejected:
        content.skipped[DAMAGED] += parser.rejected
    return content


def _sorted_log(content: LogContent, path: Path) -> FlightLog:
    kept: dict[float, Fix] = {}
    skipped = Counter(content.skipped)
    for fix in content.fixes:
        if fix.time is None:
            skipped[NO_TIME] += 1
        elif real_place(fix.lat, fix.lon) is None:
            skipped[NO_FIX] += 1
        elif fix.time in kept:
            # The first one: logs that write ten lines a second with times in whole seconds have cut off the fraction.
            skipped[DUPLICATE] += 1
        else:
            kept[fix.time] = replace(fix, alt=real_altitude(fix.alt))
    if not kept:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "it is empty"
        told = f" {content.problems[0][0].upper()}{content.problems[0][1:]}." if content.problems else ""
        raise CrackError(
            f"flight log {path} holds no position with a time ({left_out}).{told} Is it a CSV, GPX, NMEA, SRT, MRK, .tlog, .bin "
            "or .ulg file of the flight?"
        )
    fixes = tuple(kept[time] for time in sorted(kept))
    known = set(kept.values())
    numbered = {
        number: replace(found[0], alt=real_altitude(found[0].alt))
        for number, found in content.exposures.items()
        if len(found) == 1
    }
    exposures = {number: fix for number, fix in numbered.items() if fix in known}
    return FlightLog(fixes, dict(skipped), tuple(content.problems), content.above_takeoff, exposures, path.name)


def _between(first: Fix, second: Fix, since: float, until: float) -> Fix:
    """The shorter way from one fix to the next, across the antimeridian where that is shorter."""
    share = since / (since + until)
    east = (second.lon - first.lon + 180) % 360 - 180
    longitude = (first.lon + share * east + 180) % 360 - 180
    altitude = None if first.alt is None or second.alt is None else first.alt + share * (second.alt - first.alt)
    time = None if first.time is None else first.time + since
    nearest = first if since <= until else second
    distance = nearest.distance_m if min(since, until) <= KEPT_S else None
    return replace(
        nearest,
        lat=first.lat + share * (second.lat - first.lat),
        lon=longitude,
        alt=altitude,
        time=time,
        distance_m=distance,
    )
