"""Where a frame was taken: from its EXIF data, a recorded track, a receiver on a serial port, gpsd, or a flight controller.

Every position comes with its source and its age, so that a reader can judge it. A position that is older or newer than
allowed is left out: no position is better than a wrong one.
"""

from __future__ import annotations

import bisect
import calendar
import json
import math
import re
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tflite.device.journal import iso_time
from tflite.device.mavlink import PREFIX as MAVLINK
from tflite.device.mavlink import MavlinkReader
from tflite.device.ports import Port, SerialPort, TcpPort, wait
from tflite.errors import CrackError
from tflite.place.fix import Fix, real_altitude, real_place
from tflite.place.flightlog import FlightLog, read_flight_log
from tflite.place.logcontent import describe_left_out
from tflite.place.nmea import NmeaParser, is_nmea

MAX_AGE = 5.0  # seconds; a receiver tells once a second, a drone that searches flies a few metres a second
BAUD = 9600  # what most receivers speak until told otherwise
GPSD_PORT = 2947
_KEPT = 6000  # fixes of a live source kept for frames that wait: ten minutes at 10 Hz
_RETRY_SECONDS = 2.0  # before a lost receiver or gpsd is opened again
_LONGEST_LINE = 1 << 16
_CHOICES = "Give exif, a recorded track, a serial port, gpsd://host:port or mavlink://udp:14550."
# TPV "status". Source: gpsd's JSON protocol, https://gpsd.gitlab.io/gpsd/gpsd_json.html
_STATUS = {
    2: "dgps",
    3: "rtk",
    4: "float rtk",
    5: "estimated",
    6: "estimated",
    7: "time only",
    8: "simulated",
    9: "pps",
}


@dataclass(frozen=True)
class Placed:
    """A frame's position.

    Attributes:
        fix: the position.
        source: "exif", "xmp", "srt", "nmea file" or another kind of file, "nmea serial", "gpsd" or "mavlink".
        age: seconds from the fix to the frame, negative when the fix is the later one; None when unknown.
    """

    fix: Fix
    source: str
    age: float | None

    def as_json(self) -> dict[str, Any]:
        """As the journal has it."""
        fix, age = self.fix, self.age
        looks = {
            "heading_deg": fix.heading_deg,
            "pitch_deg": fix.pitch_deg,
            "roll_deg": fix.roll_deg,
            "distance_m": fix.distance_m,
        }
        return {
            "lat": round(fix.lat, 9),
            "lon": round(fix.lon, 9),
            "alt": real_altitude(fix.alt),
            "time": None if fix.time is None else iso_time(fix.time),
            "age_s": None if age is None else round(age, 3),
            "source": self.source,
            "quality": fix.quality,
            "satellites": fix.satellites,
            "hdop": fix.hdop,
            "accuracy_m": fix.accuracy_m,
            # Only what is known: most receivers know none of it.
            **{name: round(value, 4) for name, value in looks.items() if value is not None},
        }


class Gps(Protocol):
    """A source of positions.

    Attributes:
        asked: "exif", "track" or "live"; None where none was.
        warnings: for a person, complete when all frames were taken.
    """

    asked: str | None

    @property
    def warnings(self) -> Sequence[str]: ...

    def at(self, moment: float | None, exif: Fix | None, photo: str = "", local: float | None = None) -> Placed | None:
        """The position of a frame, or None.

        Args:
            moment: when the frame was taken, seconds since 1970 UTC; None where that is not known.
            exif: the position that the frame itself carries.
            photo: the photograph's name, by which a log of exposures may know it.
            local: by its camera's clock without a zone, counted as if it were UTC; or None.
        """

    @property
    def span(self) -> tuple[float, float] | None:
        """First and last moment of a recorded track, seconds since 1970 UTC; None of other sources."""

    def close(self) -> None:
        """Let go of ports and threads."""


def open_gps(spec: str | None, max_age: float = MAX_AGE, timezone: str | None = None) -> Gps:
    """Open what --gps names.

    Args:
        spec: "exif", a recorded track (NMEA, or any other that `tflite.place.flightlog` reads), a serial port such as
            /dev/ttyUSB0 or /dev/ttyUSB0@38400 (baud), "gpsd://host:port", "mavlink://..." (`tflite.device.mavlink`), or None for
            no positions.
        max_age: largest difference in seconds between frame and position; EXIF positions are exempt, they have no other.
        timezone: of times in a track that do not say theirs; see `read_flight_log`.

    Raises:
        CrackError: if there is no such source, it cannot be opened, or the file holds no dated position.
    """
    if spec is None:
        return NoGps()
    if spec == "exif":
        return ExifGps()
    if spec.startswith("gpsd://"):
        host, port = _address(spec)
        return LiveGps("gpsd", GpsdReader(host, port), max_age)
    if spec.startswith(MAVLINK):
        return LiveGps("mavlink", MavlinkReader(spec), max_age)
    name, _, baud = spec.partition("@")
    path = Path(spec if Path(spec).exists() else name)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CrackError(f"--gps {spec}: {error.strerror}. {_CHOICES}") from None
    if stat.S_ISREG(mode):
        return TrackGps(path, max_age, timezone)
    if stat.S_ISDIR(mode):
        raise CrackError(f"--gps {spec} is a folder. {_CHOICES}")
    return LiveGps("nmea serial", SerialReader(path, baud or str(BAUD)), max_age)


class NoGps:
    """No positions."""

    asked: str | None = None
    warnings: Sequence[str] = ()

    def at(self, moment: float | None, exif: Fix | None, photo: str = "", local: float | None = None) -> Placed | None:
        return None

    @property
    def span(self) -> tuple[float, float] | None:
        return None

    def close(self) -> None:
        pass


class ExifGps(NoGps):
    """The position that each photograph carries, in its EXIF or XMP data; of a video's frame that of the drone's subtitles."""

    asked: str | None = "exif"

    def at(self, moment: float | None, exif: Fix | None, photo: str = "", local: float | None = None) -> Placed | None:
        if exif is None or real_place(exif.lat, exif.lon) is None:
            return None
        # Where the frame's time was taken from the position there is no age to know.
        age = None if exif.time is None or moment is None or exif.time == moment else moment - exif.time
        return Placed(exif, exif.source or "exif", age)


class TrackGps(NoGps):
    """A recorded track: the fix nearest in time, by the receiver's clock.

    Raises:
        CrackError: if the file cannot be read or holds no dated position.
    """

    asked: str | None = "track"
    warnings: Sequence[str] = ()

    def __init__(self, path: Path, max_age: float, timezone: str | None) -> None:
        self._max_age = max_age
        try:
            with path.open("rb") as stream:
                nmea = is_nmea(stream.read(1 << 14)) or path.suffix.lower() == ".nmea"
        except OSError as error:
            raise CrackError(f"--gps {path} cannot be read: {error.strerror}.") from None
        self._source = "nmea file" if nmea else f"{path.suffix.lower().lstrip('.') or 'track'} file"
        self._log = _read_nmea(path) if nmea else read_flight_log(path, timezone)
        if not nmea:
            left_out = describe_left_out(self._log.skipped, self._log.problems)
            if left_out:
                print(f"warning: --gps {path}: left out: {left_out}.", file=sys.stderr)

    def at(self, moment: float | None, exif: Fix | None, photo: str = "", local: float | None = None) -> Placed | None:
        numbered = self._log.fix_of(photo, moment, local)
        if numbered is not None and numbered.time is not None:
            return Placed(numbered, self._source, None if moment is None else moment - numbered.time)
        if moment is None:
            return None
        times = self._log.times
        number = bisect.bisect_left(times, moment)
        nearest = min(range(max(number - 1, 0), min(number + 1, len(times))), key=lambda i: abs(times[i] - moment))
        age = moment - times[nearest]
        return Placed(self._log.fixes[nearest], self._source, age) if abs(age) <= self._max_age else None

    @property
    def span(self) -> tuple[float, float] | None:
        return self._log.span


def _read_nmea(path: Path) -> FlightLog:
    parser = NmeaParser()
    fixes: dict[float, Fix] = {}
    try:
        with path.open("rb") as stream:
            while line := stream.readline(_LONGEST_LINE):
                fix = parser.feed(line)
                if fix is not None and fix.time is not None and real_place(fix.lat, fix.lon) is not None:
                    fixes[fix.time] = fix  # a later sentence of the same moment knows more
    except OSError as error:
        raise CrackError(f"--gps {path} cannot be read: {error.strerror}.") from None
    if not fixes:
        raise CrackError(
            f"--gps {path} holds no position with a date ({parser.sentences} good NMEA sentences, {parser.rejected} damaged). "
            "RMC sentences bring both: record them too."
        )
    if parser.rejected > parser.sentences // 10:
        print(f"warning: --gps {path}: {parser.rejected} NMEA sentences are damaged and left out.", file=sys.stderr)
    return FlightLog(tuple(fixes[moment] for moment in sorted(fixes)), {})


class LiveGps:
    """A receiver that is read in a thread: the fix that arrived nearest to the frame.

    Ages are told by this machine's monotonic clock, so that setting its date, as a Pi without a battery does during the
    flight, does no harm.

    Args:
        name: what the journal calls the source.
        reader: `reader.fixes(stop)` yields (fix, whether it replaces the one before); opened and checked already.
        max_age: see `open_gps`.
    """

    asked: str | None = "live"

    def __init__(self, name: str, reader: GpsdReader | SerialReader | MavlinkReader, max_age: float) -> None:
        self._name, self._reader, self._max_age = name, reader, max_age
        self._kept: deque[tuple[float, Fix]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True, name="gps")
        self._thread.start()

    def at(self, moment: float | None, exif: Fix | None, photo: str = "", local: float | None = None) -> Placed | None:
        if moment is None:
            return None
        wanted = time.monotonic() - (time.time() - moment)
        with self._lock:
            if not self._kept:
                return None
            arrived, fix = min(self._kept, key=lambda entry: abs(entry[0] - wanted))
        age = wanted - arrived
        return Placed(fix, self._name, age) if abs(age) <= self._max_age else None

    @property
    def span(self) -> tuple[float, float] | None:
        return None

    @property
    def warnings(self) -> Sequence[str]:
        return self._reader.warnings

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._reader.close()

    def _collect(self) -> None:
        for fix, same in self._reader.fixes(self._stop.is_set):
            with self._lock:
                arrived = time.monotonic()
                if same and self._kept:
                    arrived = self._kept.pop()[0]
                self._kept.append((arrived, fix))


class SerialReader:
    """NMEA from a serial port, or any other stream that is not a plain file. Opened again when it was unplugged.

    Raises:
        CrackError: if the port cannot be opened or the baud rate is unknown.
    """

    warnings: Sequence[str] = ()

    def __init__(self, path: Path, baud: str) -> None:
        try:
            self._port = SerialPort(path, baud)
        except OSError as error:
            raise CrackError(
                f"--gps {path} cannot be opened: {error.strerror}. Is this user in the dialout group?"
            ) from None

    def fixes(self, stopped: Callable[[], bool]) -> Iterator[tuple[Fix, bool]]:
        parser = NmeaParser()
        for line in _lines(self._port, stopped):
            fix = parser.feed(line)
            if fix is not None and real_place(fix.lat, fix.lon) is not None:
                yield fix, parser.same_moment

    def close(self) -> None:
        self._port.close()


class GpsdReader:
    """Reports from gpsd's JSON protocol. Connected again when the connection is lost.

    Raises:
        CrackError: if nothing answers at first.
    """

    warnings: Sequence[str] = ()

    def __init__(self, host: str, port: int) -> None:
        try:
            self._port = TcpPort(host, port, b'?WATCH={"enable":true,"json":true};\n')
        except OSError as error:
            raise CrackError(
                f"--gps gpsd://{host}:{port}: no connection ({error.strerror or error}). Is gpsd running there?"
            ) from None

    def fixes(self, stopped: Callable[[], bool]) -> Iterator[tuple[Fix, bool]]:
        sky: dict[str, Any] = {}
        last: float | None = None
        for line in _lines(self._port, stopped):
            report = _json_object(line)
            if report.get("class") == "SKY":
                sky = report
            fix = tpv_fix(report, sky)
            if fix is not None:
                same, last = fix.time is not None and fix.time == last, fix.time
                yield fix, same

    def close(self) -> None:
        self._port.close()


def _lines(port: Port, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Whole lines of a port that is opened again when it was lost."""
    rest = b""
    while not stopped():
        data = port.read()
        if data is None:
            port.close()
            rest = b""
            wait(stopped, _RETRY_SECONDS)
            continue
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[-_LONGEST_LINE:]  # a wrong baud rate gives endless noise
        yield from lines


def tpv_fix(report: dict[str, Any], sky: dict[str, Any]) -> Fix | None:
    """The fix in one of gpsd's reports, or None when it is of another class or has no position.

    Args:
        report: a JSON object from gpsd.
        sky: the last report of class SKY, for satellites and dilution; may be empty.
    """
    mode = report.get("mode")
    if report.get("class") != "TPV" or mode not in (2, 3):  # 0 and 1: no fix
        return None
    lat, lon = _json_number(report.get("lat")), _json_number(report.get("lon"))
    if lat is None or lon is None or real_place(lat, lon) is None:
        return None
    altitudes = (_json_number(report.get(name)) for name in ("altMSL", "alt", "altHAE"))  # newest name first
    try:
        return Fix(
            lat=lat,
            lon=lon,
            alt=next((value for value in altitudes if value is not None), None),
            time=_iso_seconds(report.get("time")),
            quality=_STATUS.get(report.get("status", 0), f"{mode}d"),
            satellites=sky["uSat"] if isinstance(sky.get("uSat"), int) else None,
            hdop=_json_number(sky.get("hdop")),
            accuracy_m=_json_number(report.get("eph")),
        )
    except (ValueError, TypeError):
        return None


def _address(spec: str) -> tuple[str, int]:
    match = re.fullmatch(r"gpsd://(\[[0-9a-fA-F:.]+\]|[^:/\[\]]*)(?::(\d{1,5}))?/?", spec)
    if match is None or not 0 < int(match[2] or GPSD_PORT) < 65536:
        raise CrackError(f"--gps {spec}: expected gpsd://host:port, such as gpsd://localhost:{GPSD_PORT}.")
    return match[1].strip("[]") or "localhost", int(match[2] or GPSD_PORT)


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a number of hundreds of digits
        return None


def _iso_seconds(text: Any) -> float | None:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text) if isinstance(text, str) else None
    if match is None:
        return None
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0)
