"""Flight logs that PX4 writes on board (.ulg): read here, since the file describes itself.

After a head, messages of a length and a kind: F says how a topic's values are laid out, A gives a topic a number, D holds its values.
Read are vehicle_global_position (the controller's own position), sensor_gps or vehicle_gps_position (the receiver's), vehicle_attitude,
gimbal_device_attitude_status, distance_sensor and camera_capture; of several instances the first. Microseconds since the controller
started become a date by the first position of the receiver that has one. Source: PX4's documentation of the ULog file format.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tflite.place.fix import Angles, Fix
from tflite.place.logcontent import DAMAGED, NO_FIX, LogContent
from tflite.place.mavlink import EARLIEST, LATEST, quaternion_angles
from tflite.place.vehicle import AHEAD, DOWN, UP, Receiver, Vehicle

_MAGIC, _HEAD = b"ULog\x01\x12\x35", 16
_SYNC = b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"
_KINDS = frozenset(b"ABCDFILMOPQRS")
_TYPES = {
    "int8_t": "b",
    "uint8_t": "B",
    "int16_t": "h",
    "uint16_t": "H",
    "int32_t": "i",
    "uint32_t": "I",
    "int64_t": "q",
    "uint64_t": "Q",
    "float": "f",
    "double": "d",
    "bool": "?",
    "char": "c",
}
_FIELD = re.compile(r"(\w+)(?:\[(\d{1,4})\])? (\w+)")
_QUALITY = {2: "2d", 3: "3d", 4: "dgps", 5: "float rtk", 6: "rtk"}
_LOOKS = {0: AHEAD, 24: UP, 25: DOWN}
_LOCK, _IN_VEHICLE_FRAME, _IN_EARTH_FRAME = 16, 32, 64  # flags of a gimbal's yaw
_REPLACED_S = 2.0

Values = Mapping[str, Any]


@dataclass(frozen=True)
class _Layout:
    """How a topic's values are laid out: arrays are tuples."""

    packed: struct.Struct
    fields: tuple[tuple[str, int], ...]

    def read(self, data: bytes) -> dict[str, Any]:
        numbers = self.packed.unpack_from(data)
        values: dict[str, Any] = {}
        at = 0
        for name, count in self.fields:
            values[name] = numbers[at] if count == 1 else numbers[at : at + count]
            at += count
        return values


def is_ulog(data: bytes) -> bool:
    """Whether a file looks like a log that PX4 writes on board."""
    return data.startswith(_MAGIC)


def read_ulog(data: bytes) -> LogContent:
    """Read a log that PX4 wrote on board.

    Args:
        data: the file's bytes.
    """
    content, reader = LogContent(), _Reader()
    found: list[tuple[float, Fix, int | None]] = []
    for topic, values in _messages(data, content):
        try:
            moment = float(values["timestamp"]) / 1e6
            fix, number = reader.feed(topic, values, moment)
        except (KeyError, TypeError, ValueError, OverflowError):
            content.skip(DAMAGED, f"a {topic} lacks values, or has such as cannot be")
            continue
        if fix is not None:
            found.append((moment, fix, number))
    content.date(found, reader.started, EARLIEST, LATEST)
    if reader.vehicle.void:
        content.skipped[NO_FIX] += reader.vehicle.void
    return content


class _Reader:
    """Values in their order to fixes.

    Attributes:
        vehicle: what is known of it.
        started: when the controller's clock was 0, seconds since 1970 UTC; None where nothing tells.
    """

    def __init__(self) -> None:
        self.vehicle = Vehicle()
        self.started: float | None = None
        self._controller: float | None = None  # when its own position came last

    def feed(self, topic: str, values: Values, moment: float) -> tuple[Fix | None, int | None]:
        """A fix, and the number of the exposure that it is of, or None."""
        if topic == "camera_capture":
            fix = self.vehicle.placed(moment, values["lat"], values["lon"], values["alt"], None)
            return fix, int(values["seq"])
        handler = _HANDLERS.get(topic)
        return (None if handler is None else handler(self, values, moment)), None

    def _attitude(self, values: Values, moment: float) -> None:
        self.vehicle.turned(moment, quaternion_angles(values["q"]))

    def _gimbal(self, values: Values, moment: float) -> None:
        found, flags = quaternion_angles(values["q"]), int(values.get("device_flags", 0))
        earth = flags & _IN_EARTH_FRAME or (flags & _LOCK and not flags & _IN_VEHICLE_FRAME)
        heading = found.heading
        if heading is not None and not earth:
            own = self.vehicle.vehicle_angles(moment).heading
            heading = None if own is None else (own + heading) % 360
        self.vehicle.gimbal(moment, Angles(heading, found.pitch, found.roll))

    def _distance(self, values: Values, moment: float) -> None:
        looks = _LOOKS.get(int(values.get("orientation", 0)))
        if looks is None:
            return
        metres = float(values["current_distance"])
        inside = values.get("min_distance", 0.0) <= metres <= values.get("max_distance", math.inf)
        self.vehicle.ranged(moment, metres if inside and values.get("signal_quality", -1) != 0 else math.nan, looks)

    def _global(self, values: Values, moment: float) -> Fix | None:
        self._controller = moment
        return self.vehicle.placed(moment, values["lat"], values["lon"], values.get("alt"), None)

    def _received(self, values: Values, moment: float) -> Fix | None:
        status = int(values["fix_type"])
        if status < 2:
            self.vehicle.received(moment, Receiver("estimated"))
            return None
        utc = float(values.get("time_utc_usec", 0)) / 1e6
        if self.started is None and EARLIEST < utc < LATEST:
            self.started = utc - moment
        accuracy, hdop = (float(values.get(name, math.nan)) for name in ("eph", "hdop"))
        self.vehicle.received(
            moment,
            Receiver(
                _QUALITY.get(status),
                int(values["satellites_used"]) if "satellites_used" in values else None,
                hdop if 0 < hdop < 100 else None,
                accuracy if 0 < accuracy < 1e6 else None,
            ),
        )
        if self._controller is not None and moment - self._controller <= _REPLACED_S:
            return None
        if "latitude_deg" in values:
            place = values["latitude_deg"], values["longitude_deg"], values.get("altitude_msl_m")
        else:  # before PX4 1.14
            place = values["lat"] / 1e7, values["lon"] / 1e7, values["alt"] / 1e3
        return self.vehicle.placed(moment, *place, None)


_HANDLERS: dict[str, Callable[[_Reader, Values, float], Fix | None]] = {
    "vehicle_attitude": _Reader._attitude,
    "gimbal_device_attitude_status": _Reader._gimbal,
    "distance_sensor": _Reader._distance,
    "vehicle_global_position": _Reader._global,
    "sensor_gps": _Reader._received,
    "vehicle_gps_position": _Reader._received,
}
TOPICS = (*_HANDLERS, "camera_capture")


def _messages(data: bytes, content: LogContent) -> Iterator[tuple[str, dict[str, Any]]]:
    """Values of topics that are read; what is damaged is counted once for each stretch, and the next mark in the file is looked for."""
    formats: dict[str, str] = {}
    topics: dict[int, tuple[str, _Layout]] = {}
    at, end = _HEAD, len(data)
    while at + 3 <= end:
        length, kind = struct.unpack_from("<HB", data, at)
        if kind not in _KINDS or at + 3 + length > end:
            content.skip(DAMAGED, f"byte {at}: no message of a log, or one that is cut off")
            at = data.find(_SYNC, at + 1)
            if at < 0:
                return
            at += len(_SYNC)
            continue
        body = data[at + 3 : at + 3 + length]
        at += 3 + length
        if kind == ord("F"):
            name, _, layout = body.decode("ascii", "replace").partition(":")
            formats[name] = layout
        elif kind == ord("A") and length > 3:
            number, name = struct.unpack_from("<H", body, 1)[0], body[3:].decode("ascii", "replace")
            topics.pop(number, None)
            layout_of = _layout(formats.get(name, "")) if name in TOPICS and body[0] == 0 else None
            if layout_of is not None:
                topics[number] = name, layout_of
        elif kind == ord("D") and length >= 2:
            name, layout_here = topics.get(struct.unpack_from("<H", body)[0], ("", None))
            if layout_here is None:
                continue
            if length - 2 < layout_here.packed.size:
                content.skip(DAMAGED, f"byte {at}: a {name} that is too short")
                continue
            yield name, layout_here.read(body[2:])


def _layout(text: str) -> _Layout | None:
    """A topic's layout; None where it is none, or holds other topics. Padding at the end is not written."""
    letters, fields = "<", []
    for part in text.strip("\0").rstrip(";").split(";"):
        found = _FIELD.fullmatch(part)
        if found is None or found[1] not in _TYPES:
            return None
        count = int(found[2] or 1)
        letters += f"{count}{_TYPES[found[1]]}"
        fields.append((found[3], count))
    while fields and fields[-1][0].startswith("_padding"):
        fields.pop()
        letters = re.sub(r"\d+.$", "", letters)
    return _Layout(struct.Struct(letters), tuple(fields)) if fields else None
