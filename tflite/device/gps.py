"""Where a frame was taken: from its EXIF data, a recorded NMEA file, a receiver on a serial port, or gpsd.

Every position comes with its source and its age, so that a reader can judge it. A position that is older or newer than
allowed is left out: no position is better than a wrong one.
"""

from __future__ import annotations

import bisect
import calendar
import json
import math
import os
import re
import select
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tflite.device.journal import iso_time
from tflite.device.nmea import Fix, NmeaParser
from tflite.errors import CrackError

MAX_AGE = 5.0  # seconds; a receiver tells once a second, a drone that searches flies a few metres a second
BAUD = 9600  # what most receivers speak until told otherwise
GPSD_PORT = 2947
_KEPT = 6000  # fixes of a live source kept for frames that wait: ten minutes at 10 Hz
_RETRY_SECONDS = 2.0  # before a lost receiver or gpsd is opened again
_POLL_SECONDS = 0.5
_LONGEST_LINE = 1 << 16
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


class Gps(Protocol):
    """A source of positions."""

    def at(self, moment: float, exif: Fix | None) -> dict[str, Any] | None:
        """The position of a frame in the journal's form, or None.

        Args:
            moment: when the frame was taken, seconds since 1970 UTC.
            exif: the position that the frame itself carries.
        """

    def close(self) -> None:
        """Let go of ports and threads."""


def open_gps(spec: str | None, max_age: float = MAX_AGE) -> Gps:
    """Open what --gps names.

    Args:
        spec: "exif", an NMEA file, a serial port such as /dev/ttyUSB0 or /dev/ttyUSB0@38400 (baud), "gpsd://host:port", or
            None for no positions.
        max_age: largest difference in seconds between frame and position; EXIF positions are exempt, they have no other.

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
    name, _, baud = spec.partition("@")
    path = Path(spec if Path(spec).exists() else name)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CrackError(
            f"--gps {spec}: {error.strerror}. Give exif, an NMEA file, a serial port or gpsd://host:port."
        ) from None
    if stat.S_ISREG(mode):
        return TrackGps(path, max_age)
    if stat.S_ISDIR(mode):
        raise CrackError(f"--gps {spec} is a folder. Give exif, an NMEA file, a serial port or gpsd://host:port.")
    return LiveGps("nmea serial", SerialReader(path, baud or str(BAUD)), max_age)


class NoGps:
    """No positions."""

    def at(self, moment: float, exif: Fix | None) -> dict[str, Any] | None:
        return None

    def close(self) -> None:
        pass


class ExifGps(NoGps):
    """The position that each photograph carries."""

    def at(self, moment: float, exif: Fix | None) -> dict[str, Any] | None:
        if exif is None:
            return None
        # Where the frame's time was taken from the position there is no age to know.
        age = None if exif.time is None or exif.time == moment else moment - exif.time
        return describe_fix(exif, "exif", age)


class TrackGps(NoGps):
    """A recorded NMEA file: the fix nearest in time, by the receiver's clock.

    Raises:
        CrackError: if the file cannot be read or holds no dated position.
    """

    def __init__(self, path: Path, max_age: float) -> None:
        self._max_age = max_age
        parser = NmeaParser()
        fixes: dict[float, Fix] = {}
        try:
            with path.open("rb") as stream:
                while line := stream.readline(_LONGEST_LINE):
                    fix = parser.feed(line)
                    if fix is not None and fix.time is not None:
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
        self._times = sorted(fixes)
        self._fixes = [fixes[moment] for moment in self._times]

    def at(self, moment: float, exif: Fix | None) -> dict[str, Any] | None:
        number = bisect.bisect_left(self._times, moment)
        nearest = min(
            range(max(number - 1, 0), min(number + 1, len(self._times))), key=lambda i: abs(self._times[i] - moment)
        )
        age = moment - self._times[nearest]
        return describe_fix(self._fixes[nearest], "nmea file", age) if abs(age) <= self._max_age else None


class LiveGps:
    """A receiver that is read in a thread: the fix that arrived nearest to the frame.

    Ages are told by this machine's monotonic clock, so that setting its date, as a Pi without a battery does during the
    flight, does no harm.

    Args:
        name: what the journal calls the source.
        reader: `reader.fixes(stop)` yields (fix, whether it replaces the one before); opened and checked already.
        max_age: see `open_gps`.
    """

    def __init__(self, name: str, reader: GpsdReader | SerialReader, max_age: float) -> None:
        self._name, self._reader, self._max_age = name, reader, max_age
        self._kept: deque[tuple[float, Fix]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True, name="gps")
        self._thread.start()

    def at(self, moment: float, exif: Fix | None) -> dict[str, Any] | None:
        wanted = time.monotonic() - (time.time() - moment)
        with self._lock:
            if not self._kept:
                return None
            arrived, fix = min(self._kept, key=lambda entry: abs(entry[0] - wanted))
        age = wanted - arrived
        return describe_fix(fix, self._name, age) if abs(age) <= self._max_age else None

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

    def __init__(self, path: Path, baud: str) -> None:
        self._path, self._baud = path, baud
        try:
            self._port: int | None = self._open()
        except OSError as error:
            raise CrackError(
                f"--gps {path} cannot be opened: {error.strerror}. Is this user in the dialout group?"
            ) from None

    def fixes(self, stopped: Callable[[], bool]) -> Iterator[tuple[Fix, bool]]:
        parser, rest = NmeaParser(), b""
        while not stopped():
            data = self._read()
            if data is None:
                self.close()
                rest = b""
                _wait(stopped)
                continue
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_LONGEST_LINE:]  # a wrong baud rate gives endless noise
            for line in lines:
                fix = parser.feed(line)
                if fix is not None:
                    yield fix, parser.same_moment

    def close(self) -> None:
        if self._port is not None:
            os.close(self._port)
            self._port = None

    def _read(self) -> bytes | None:
        """What has arrived, b"" when nothing has, None when the port is gone."""
        try:
            if self._port is None:
                self._port = self._open()
            if not select.select([self._port], [], [], _POLL_SECONDS)[0]:
                return b""
            return os.read(self._port, 4096) or None
        except OSError:
            return None

    def _open(self) -> int:
        import termios

        port = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            if os.isatty(port):
                speed = getattr(termios, f"B{self._baud}", None)
                if speed is None:
                    raise CrackError(
                        f"--gps {self._path}@{self._baud}: no such baud rate. Common ones are 4800, 9600, 38400, 115200."
                    )
                _make_raw(port, speed)
        except BaseException:
            os.close(port)
            raise
        return port


class GpsdReader:
    """Reports from gpsd's JSON protocol. Connected again when the connection is lost.

    Raises:
        CrackError: if nothing answers at first.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        try:
            self._socket = self._connect()
        except OSError as error:
            raise CrackError(
                f"--gps gpsd://{host}:{port}: no connection ({error.strerror or error}). Is gpsd running there?"
            ) from None

    def fixes(self, stopped: Callable[[], bool]) -> Iterator[tuple[Fix, bool]]:
        rest, sky = b"", {}
        last: float | None = None
        while not stopped():
            data = self._read()
            if data is None:
                self.close()
                rest = b""
                _wait(stopped)
                continue
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_LONGEST_LINE:]
            for line in lines:
                report = _json_object(line)
                if report.get("class") == "SKY":
                    sky = report
                fix = tpv_fix(report, sky)
                if fix is not None:
                    same, last = fix.time is not None and fix.time == last, fix.time
                    yield fix, same

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self) -> bytes | None:
        try:
            if self._socket is None:
                self._socket = self._connect()
            return self._socket.recv(4096) or None
        except TimeoutError:
            return b""
        except OSError:
            return None

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout=5)
        try:
            connection.sendall(b'?WATCH={"enable":true,"json":true};\n')
            connection.settimeout(_POLL_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection


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
    if lat is None or lon is None:
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


def describe_fix(fix: Fix, source: str, age: float | None) -> dict[str, Any]:
    """The journal's form of a position.

    Args:
        fix: the position.
        source: "exif", "nmea file", "nmea serial" or "gpsd".
        age: seconds from the fix to the frame, negative when the fix is the later one; None when unknown.
    """
    return {
        "lat": round(fix.lat, 9),
        "lon": round(fix.lon, 9),
        "alt": fix.alt,
        "time": None if fix.time is None else iso_time(fix.time),
        "age_s": None if age is None else round(age, 3),
        "source": source,
        "quality": fix.quality,
        "satellites": fix.satellites,
        "hdop": fix.hdop,
        "accuracy_m": fix.accuracy_m,
    }


def _address(spec: str) -> tuple[str, int]:
    match = re.fullmatch(r"gpsd://(\[[0-9a-fA-F:.]+\]|[^:/\[\]]*)(?::(\d{1,5}))?/?", spec)
    if match is None or not 0 < int(match[2] or GPSD_PORT) < 65536:
        raise CrackError(f"--gps {spec}: expected gpsd://host:port, such as gpsd://localhost:{GPSD_PORT}.")
    return match[1].strip("[]") or "localhost", int(match[2] or GPSD_PORT)


def _make_raw(port: int, speed: int) -> None:
    """8 bits, no parity, no echo, no translation of line ends, bytes as they come."""
    import termios

    control = termios.CS8 | termios.CREAD | termios.CLOCAL  # CLOCAL: receivers have no modem lines
    characters = termios.tcgetattr(port)[6]
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(port, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])


def _wait(stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + _RETRY_SECONDS
    while not stopped() and time.monotonic() < until:
        time.sleep(0.1)


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json_number(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _iso_seconds(text: Any) -> float | None:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text) if isinstance(text, str) else None
    if match is None:
        return None
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0)
