"""Flight logs that ArduPilot writes on board (.bin, "dataflash"): read here, since the file describes itself.

A message is A3 95, its type, and numbers in the layout that a message of type FMT gave for it. Read are POS (the controller's own
position), GPS with GPA (the receiver's), ATT, RFND, CAM and TRIG; of several receivers the first. Microseconds since the controller
started become a date by the first GPS message that has one: weeks since 6 January 1980, less the leap seconds since.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tflite.place.fix import Fix
from tflite.place.logcontent import DAMAGED, NO_FIX, LogContent
from tflite.place.vehicle import AHEAD, DOWN, UP, Receiver, Vehicle, angles_of

_HEAD, _FMT = b"\xa3\x95", 128
_FMT_LENGTH = 89
# Letters of a layout: the struct of Python, and what the number is divided by. Source: ArduPilot's Logger library documentation.
_LETTERS: dict[str, tuple[str, float]] = {
    **{letter: (letter, 1) for letter in "bBhHiIfdqQ"},
    "M": ("B", 1),
    "n": ("4s", 1),
    "N": ("16s", 1),
    "Z": ("64s", 1),
    "a": ("64s", 1),
    "g": ("e", 1),
    "c": ("h", 100),
    "C": ("H", 100),
    "e": ("i", 100),
    "E": ("I", 100),
    "L": ("i", 1e7),
}
_READ = frozenset({"POS", "GPS", "GPA", "ATT", "RFND", "CAM", "TRIG", "MNT"})
_GPS_EPOCH, _WEEK_S = 315964800.0, 604800.0  # 6 January 1980
_LEAP_S = 18.0  # since 2017
_QUALITY = {2: "2d", 3: "3d", 4: "dgps", 5: "float rtk", 6: "rtk"}
_LOOKS = {0: AHEAD, 24: UP, 25: DOWN}
_MEASURED = 4  # state of a range finder within its limits
_REPLACED_S = 2.0


@dataclass(frozen=True)
class _Layout:
    name: str
    packed: struct.Struct
    columns: tuple[str, ...]
    divisors: tuple[float, ...]

    def read(self, data: bytes) -> dict[str, float]:
        """The numbers by their column; texts, and what is not finite, are left out."""
        values = zip(self.columns, self.packed.unpack(data), self.divisors, strict=True)
        return {
            column: value / by if by != 1 else value
            for column, value, by in values
            if not isinstance(value, bytes) and math.isfinite(value)
        }


def is_dataflash(data: bytes) -> bool:
    """Whether a file looks like a log that ArduPilot writes on board: it begins with the layout of a message."""
    return data[:3] == _HEAD + bytes([_FMT])


def read_dataflash(data: bytes) -> LogContent:
    """Read a log that ArduPilot wrote on board.

    Args:
        data: the file's bytes.
    """
    content, reader = LogContent(), _Reader()
    found: list[tuple[float, Fix, int | None]] = []
    for name, values in _messages(data, content):
        try:
            moment = float(values["TimeUS"]) / 1e6
            fix, number = reader.feed(name, values, moment)
        except KeyError as error:
            content.skip(DAMAGED, f"a {name} message has no {error.args[0]}")
            continue
        if fix is not None:
            found.append((moment, fix, number))
    content.date(found, reader.started)
    if reader.vehicle.void:
        content.skipped[NO_FIX] += reader.vehicle.void
    return content


class _Reader:
    """Messages in their order to fixes.

    Attributes:
        vehicle: what is known of it.
        started: when the controller's clock was 0, seconds since 1970 UTC; None where no message tells.
    """

    def __init__(self) -> None:
        self.vehicle = Vehicle()
        self.started: float | None = None
        self._controller: float | None = None  # when its own position came last
        self._accuracy: tuple[float, float] | None = None

    def feed(self, name: str, values: Mapping[str, float], moment: float) -> tuple[Fix | None, int | None]:
        """A fix, and the number of the exposure that it is of, or None."""
        if name == "ATT":
            self.vehicle.turned(moment, angles_of(values["Yaw"], values["Pitch"], values["Roll"]))
        elif name == "MNT":
            self.vehicle.gimbal(moment, angles_of(values.get("YawE"), values.get("Pitch"), values.get("Roll")))
        elif name == "RFND":
            looks = _LOOKS.get(int(values.get("Orient", 0)))
            measured = values.get("Stat", _MEASURED) == _MEASURED
            if looks is not None:
                self.vehicle.ranged(moment, values["Dist"] if measured else math.nan, looks)
        elif name == "GPA" and values.get("I", 0) == 0:
            self._accuracy = moment, float(values["HAcc"])
        elif name == "GPS" and values.get("I", 0) == 0:
            return self._received(values, moment), None
        elif name == "POS":
            self._controller = moment
            return self.vehicle.placed(moment, values["Lat"], values["Lng"], values["Alt"], None), None
        elif name in ("CAM", "TRIG") and values.get("I", 0) == 0:
            self._date(values.get("GPSWeek", 0), values.get("GPSTime", 0), moment)
            fix = self.vehicle.placed(moment, values["Lat"], values["Lng"], values["Alt"], None)
            return fix, int(values["Img"]) if "Img" in values else None
        return None, None

    def _received(self, values: Mapping[str, float], moment: float) -> Fix | None:
        status = values["Status"]
        if status < 2:
            self.vehicle.received(moment, Receiver("estimated"))
            return None
        self._date(values["GWk"], values["GMS"], moment)
        near = self._accuracy is not None and abs(moment - self._accuracy[0]) <= 1
        accuracy = self._accuracy[1] if near and self._accuracy is not None else None
        self.vehicle.received(
            moment,
            Receiver(
                _QUALITY.get(int(status)),
                int(values["NSats"]) if "NSats" in values else None,
                values.get("HDop"),
                accuracy if accuracy is not None and 0 < accuracy < 1e6 else None,
            ),
        )
        if self._controller is not None and moment - self._controller <= _REPLACED_S:
            return None
        return self.vehicle.placed(moment, values["Lat"], values["Lng"], values["Alt"], None)

    def _date(self, week: float, milliseconds: float, moment: float) -> None:
        """Take the date of the first message that has one; nobody's clock runs off by much within a flight."""
        if self.started is None and 1042 < week < 5000 and 0 <= milliseconds < _WEEK_S * 1000:
            self.started = _GPS_EPOCH + week * _WEEK_S + milliseconds / 1e3 - _LEAP_S - moment


def _messages(data: bytes, content: LogContent) -> Iterator[tuple[str, dict[str, float]]]:
    """Messages that are read, by name; what is damaged is counted once for each stretch, and the next whole message is looked for."""
    layouts: dict[int, _Layout] = {}
    lengths = {_FMT: _FMT_LENGTH}
    at, whole, end = 0, True, len(data)
    while at + 3 <= end:
        kind = data[at + 2]
        length = lengths.get(kind, 0) if data[at : at + 2] == _HEAD else 0
        if not length or at + length > end:
            if whole:
                content.skip(DAMAGED, f"byte {at}: no message that the log describes, or one that is cut off")
            whole = False
            at = data.find(_HEAD, at + 1)
            if at < 0:
                return
            continue
        whole = True
        body = data[at + 3 : at + length]
        at += length
        if kind == _FMT:
            _describe(body, layouts, lengths)
        elif kind in layouts:
            yield layouts[kind].name, layouts[kind].read(body)


def _describe(body: bytes, layouts: dict[int, _Layout], lengths: dict[int, int]) -> None:
    """Take a message that says how others look."""
    kind, length = body[0], body[1]
    name, letters, columns = (
        part.split(b"\0", 1)[0].decode("ascii", "replace") for part in (body[2:6], body[6:22], body[22:86])
    )
    if kind == _FMT or length < 3:
        return
    lengths[kind] = length
    layouts.pop(kind, None)
    fields = tuple(columns.split(","))
    if name not in _READ or len(fields) != len(letters) or not set(letters) <= set(_LETTERS):
        return
    packed = struct.Struct("<" + "".join(_LETTERS[letter][0] for letter in letters))
    if packed.size == length - 3:
        layouts[kind] = _Layout(name, packed, fields, tuple(_LETTERS[letter][1] for letter in letters))
