"""What a flight controller sends and logs, made with pymavlink."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest

NOON = 1748779200.0  # 2025-06-01T12:00:00Z
BOOTED = NOON - 100.0


class Controller:
    """Messages of a vehicle, as bytes."""

    def __init__(self, system: int = 1, component: int = 1) -> None:
        self.dialect = pytest.importorskip("pymavlink.dialects.v20.ardupilotmega", reason="pymavlink is not installed")
        self._mavlink = self.dialect.MAVLink(None, srcSystem=system, srcComponent=component)

    def pack(self, name: str, *values: Any) -> bytes:
        """A message."""
        return bytes(getattr(self._mavlink, f"{name}_encode")(*values).pack(self._mavlink))

    def heartbeat(self, kind: int = 2, autopilot: int = 3) -> bytes:
        return self.pack("heartbeat", kind, autopilot, 0, 0, 4)

    def clock(self, seconds: float) -> bytes:
        """That so many seconds after its start it is so many seconds after noon."""
        return self.pack("system_time", int((BOOTED + seconds) * 1e6), int(seconds * 1e3))

    def position(self, seconds: float, lat: float = 48.2, lon: float = 16.37, alt: float = 180.5) -> bytes:
        values = int(lat * 1e7), int(lon * 1e7), int(alt * 1e3), 12_500, 0, 0, 0, 27_050
        return self.pack("global_position_int", int(seconds * 1e3), *values)

    def receiver(self, seconds: float, fix: int = 6, lat: float = 48.3, accuracy_mm: int = 21) -> bytes:
        values = int(lat * 1e7), 163_700_000, 180_000, 70, 100, 0, 0, 17, 0, accuracy_mm
        return self.pack("gps_raw_int", int(seconds * 1e6), fix, *values)

    def attitude(self, seconds: float, yaw: float = -1.5, pitch: float = 0.1, roll: float = 0.02) -> bytes:
        return self.pack("attitude", int(seconds * 1e3), roll, pitch, yaw, 0, 0, 0)

    def range(self, seconds: float, centimetres: int = 512, looks: int = 0, quality: int = 0) -> bytes:
        values = 20, 4000, centimetres, 0, 0, looks, 255, 0, 0, (0, 0, 0, 0), quality
        return self.pack("distance_sensor", int(seconds * 1e3), *values)


def tlog(entries: Iterable[tuple[float, bytes]]) -> bytes:
    """A recording: each message behind the time by the ground station's clock."""
    return b"".join(int(time * 1e6).to_bytes(8, "big") + message for time, message in entries)


FORMATS = {
    "FMT": (128, "BBnNZ", "Type,Length,Name,Format,Columns"),
    "GPS": (130, "QBBIHBcLLeffffB", "TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs,VZ,Yaw,U"),
    "GPA": (131, "QBCCCCfBIH", "TimeUS,I,VDop,HAcc,VAcc,SAcc,YAcc,VV,SMS,Delta"),
    "ATT": (132, "QffffffB", "TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw,AEKF"),
    "RFND": (133, "QBfBBb", "TimeUS,Instance,Dist,Stat,Orient,Quality"),
    "POS": (134, "QLLfff", "TimeUS,Lat,Lng,Alt,RelHomeAlt,RelOriginAlt"),
    "CAM": (135, "QBHIHLLeeeccC", "TimeUS,I,Img,GPSTime,GPSWeek,Lat,Lng,Alt,RelAlt,GPSAlt,R,P,Y"),
    "MSG": (136, "QZ", "TimeUS,Message"),
}
_STRUCTS = {"L": "i", "c": "h", "C": "H", "e": "i", "E": "I", "n": "4s", "N": "16s", "Z": "64s"}


def layout(letters: str) -> struct.Struct:
    return struct.Struct("<" + "".join(_STRUCTS.get(letter, letter) for letter in letters))


def logged(name: str, *values: Any) -> bytes:
    """A message of a log that ArduPilot writes on board; values as they are packed."""
    kind, letters, _ = FORMATS[name]
    return b"\xa3\x95" + bytes([kind]) + layout(letters).pack(*values)


def described(*names: str) -> bytes:
    """What a log begins with: how its messages look."""
    text = b""
    for name in ("FMT", *(names or FORMATS)):
        kind, letters, columns = FORMATS[name]
        size = layout(letters).size + 3
        text += logged("FMT", kind, size, name.encode(), letters.encode(), columns.encode())
    return text


WEEK, MILLISECONDS = 2369, 43_218_000  # noon, 18 leap seconds later by the satellites' clock


def on_board(seconds: Iterable[int] = range(5)) -> bytes:
    """A short flight: a position, a distance and angles a second, from noon on."""
    data = described()
    for second in seconds:
        at = 100_000_000 + second * 1_000_000
        data += logged(
            "GPS", at, 0, 4, MILLISECONDS + second * 1000, WEEK, 17, 70, 483_000_000, 163_700_000, 18_000, 0, 0, 0, 0, 1
        )
        data += logged("GPA", at, 0, 100, 35, 100, 10, 0, 1, 0, 0)
        data += logged("ATT", at, 0, 1.0, 0, -2.5, 0, 270.0, 0)
        data += logged("RFND", at, 0, 5.125, 4, 0, 100)
        data += logged("MSG", at, b"ArduCopter")
        data += logged("POS", at + 1000, 482_000_000 + second * 100, 163_700_000, 180.5, 12.5, 12.5)
    return data + logged(
        "CAM", 102_500_000, 0, 7, MILLISECONDS + 2500, WEEK, 482_000_250, 163_700_000, 18_050, 1250, 18_000, 0, 0, 27000
    )
