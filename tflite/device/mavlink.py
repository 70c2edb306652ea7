"""A flight controller that speaks MAVLink, as a source of positions: `--gps mavlink://...`

    mavlink://udp:14550                 packets that are sent to this port of this machine (as by mavlink-router or MAVProxy)
    mavlink://udp:0.0.0.0:14550         the same, also from other machines
    mavlink://tcp:localhost:5760        a connection to a server, such as a simulator's
    mavlink:///dev/ttyAMA0@57600        a serial port and its baud rate

It only listens. What the controller sends of itself is set there: positions, attitude and range finder, with ArduPilot the streams
POSITION, EXTRA1 and EXTRA3. `tflite.place.mavlink` has what is made of the messages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tflite.device.ports import Port, SerialPort, TcpPort, UdpPort, wait
from tflite.errors import CrackError
from tflite.place.fix import Fix
from tflite.place.mavlink import MavlinkFixes, MavlinkParser

PREFIX = "mavlink://"
BAUD = 57600  # of a controller's telemetry port until told otherwise
RETRY_SECONDS = 2.0
_PORTS = {"udp": 14550, "tcp": 5760}  # as ground stations and simulators use them
_NETWORK = re.compile(r"(udp|tcp)(?::(\[[0-9a-fA-F:.]+\]|[^:\[\]/]*[^:\[\]/\d][^:\[\]/]*))?(?::(\d{1,5}))?/?")
_SPELLINGS = (
    "Give mavlink://udp:14550 (packets sent to this port), mavlink://udp:0.0.0.0:14550 (also from other machines), "
    "mavlink://tcp:localhost:5760 or mavlink:///dev/ttyAMA0@57600."
)


class MavlinkReader:
    """Fixes of a link, see `tflite.device.gps.LiveGps`.

    Args:
        spec: as --gps names it.

    Raises:
        CrackError: if it names no link, the link cannot be opened, or pymavlink is not installed.
    """

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._parser = MavlinkParser(f"--gps {spec}")
        self._port = open_link(spec)
        self._fixes = MavlinkFixes()
        self._bytes = 0

    def fixes(self, stopped: Callable[[], bool]) -> Iterator[tuple[Fix, bool]]:
        """Fixes as they come, none of which replaces the one before."""
        while not stopped():
            data = self._port.read()
            if data is None:
                self._port.close()
                wait(stopped, RETRY_SECONDS)
                continue
            self._bytes += len(data)
            for message in self._parser.feed(data):
                fix = self._fixes.feed(message, time.monotonic())
                if fix is not None:
                    yield fix, False

    @property
    def warnings(self) -> list[str]:
        """What a person should know, when all is over."""
        if self._fixes.heard:
            return []
        what = f"{self._bytes:,} bytes came, and no vehicle's heartbeat" if self._bytes else "nothing came"
        return [f"--gps {self._spec}: {what}. Is the controller set to speak MAVLink there, at this rate?"]

    def close(self) -> None:
        """Let go of the link."""
        self._port.close()


def open_link(spec: str) -> Port:
    """Open the link that --gps names.

    Raises:
        CrackError: if it names none, or the link cannot be opened.
    """
    where = spec.removeprefix(PREFIX)
    if where.startswith("/"):
        path, _, baud = where.partition("@")
        try:
            return SerialPort(Path(path), baud or str(BAUD))
        except OSError as error:
            raise CrackError(
                f"--gps {spec} cannot be opened: {error.strerror}. Is this user in the dialout group? {_SPELLINGS}"
            ) from None
    match = _NETWORK.fullmatch(where)
    port = 0 if match is None else int(match[3] or _PORTS[match[1]])
    if match is None or not 0 < port < 65536:
        raise CrackError(f"--gps {spec} names no MAVLink link. {_SPELLINGS}")
    host = (match[2] or "localhost").strip("[]")
    try:
        return UdpPort(host, port) if match[1] == "udp" else TcpPort(host, port)
    except OSError as error:
        told = "cannot be listened on" if match[1] == "udp" else "no connection"
        raise CrackError(f"--gps {spec}: {told} ({error.strerror or error}). {_SPELLINGS}") from None
