"""Positions, angles and distances from MAVLink: messages of a link, and its recordings (.tlog).

pymavlink decodes (extra mavlink); what is made of the messages is said here and in docs/place.md. Everything is taken from one vehicle,
the first whose autopilot sends a heartbeat: others on the link are ground stations, or other aircraft.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tflite.errors import CrackError
from tflite.extras import advice
from tflite.place.fix import NO_ANGLES, Angles, Fix
from tflite.place.logcontent import DAMAGED, NO_FIX, LogContent
from tflite.place.vehicle import AHEAD, DOWN, UP, Receiver, Vehicle, angles_of

_NO_AUTOPILOT, _GIMBAL = 8, 26  # MAV_AUTOPILOT_INVALID, MAV_TYPE_GIMBAL
_LOOKS = {0: AHEAD, 24: UP, 25: DOWN}  # MAV_SENSOR_ROTATION_NONE, _PITCH_90, _PITCH_270
_INVALID_SIGNAL = 1
_QUALITY = {2: "2d", 3: "3d", 4: "dgps", 5: "float rtk", 6: "rtk", 7: "3d", 8: "3d"}  # GPS_FIX_TYPE
_LOCK, _IN_VEHICLE_FRAME, _IN_EARTH_FRAME = 16, 32, 64  # GIMBAL_DEVICE_FLAGS of the yaw
_REPLACED_S = 2.0  # the receiver's own position is taken where the controller has not told its for so long
EARLIEST, LATEST = 1e9, 4e9  # seconds since 1970: a clock that was never set counts from its start
_MARKER = re.compile(rb"\x00[\x03-\x0e].{6}[\xfd\xfe]", re.DOTALL)  # microseconds since 1970, and how a message begins
_TIME = 8
_LONGEST = 280  # bytes of a message


class MavlinkFixes:
    """Messages in their order to fixes.

    Attributes:
        heard: whether a vehicle has sent a heartbeat.
        vehicle: what is known of it.
        exposures: fixes by the number of the photograph, as far as the camera or its trigger tell.
    """

    def __init__(self) -> None:
        self.vehicle = Vehicle()
        self.exposures: dict[int, list[Fix]] = {}
        self._system: int | None = None
        self._booted: float | None = None  # when the vehicle's clock was 0, seconds since 1970
        self._controller: float | None = None  # when its position came last

    @property
    def heard(self) -> bool:
        return self._system is not None

    def feed(self, message: Any, moment: float) -> Fix | None:
        """Take a message.

        Args:
            message: of pymavlink.
            moment: when it arrived, or was written: seconds, of any clock that goes on.

        Returns:
            A fix where the message brings a position, or tells of an exposure; its time is None while the vehicle's clock has no date.
        """
        kind = message.get_type()
        if kind == "HEARTBEAT":
            self._heartbeat(message, moment)
        handler = HANDLERS.get(kind)
        if handler is None or self._system is None or message.get_srcSystem() != self._system:
            return None
        return handler(self, message, moment)

    def _heartbeat(self, message: Any, moment: float) -> None:
        if self._system is None and message.autopilot != _NO_AUTOPILOT:
            self._system = message.get_srcSystem()
        if message.get_srcSystem() == self._system and message.type == _GIMBAL:
            self.vehicle.gimbal(moment)

    def _system_time(self, message: Any, moment: float) -> None:
        seconds = message.time_unix_usec / 1e6
        if EARLIEST < seconds < LATEST:
            self._booted = seconds - message.time_boot_ms / 1e3

    def _attitude(self, message: Any, moment: float) -> None:
        self.vehicle.turned(moment, angles_of(*map(math.degrees, (message.yaw, message.pitch, message.roll))))

    def _mount(self, message: Any, moment: float) -> None:
        found = angles_of(message.yaw_absolute, message.pitch, message.roll)
        if not message.yaw_absolute:  # of version 1, which has no such field
            found = replace(found, heading=self._ahead(moment, message.yaw))
        self.vehicle.gimbal(moment, found)

    def _gimbal_device(self, message: Any, moment: float) -> None:
        found, flags = quaternion_angles(message.q), message.flags
        absolute = flags & _IN_EARTH_FRAME or (flags & _LOCK and not flags & _IN_VEHICLE_FRAME)
        if found != NO_ANGLES and not absolute:
            found = replace(found, heading=self._ahead(moment, found.heading))
        self.vehicle.gimbal(moment, found)

    def _ahead(self, moment: float, yaw: float | None) -> float | None:
        """A heading from a yaw against the vehicle's own."""
        own = self.vehicle.vehicle_angles(moment).heading
        return None if own is None or yaw is None or not math.isfinite(yaw) else (own + yaw) % 360

    def _distance(self, message: Any, moment: float) -> None:
        pitch = _LOOKS.get(message.orientation)
        if pitch is None:
            return
        low, distance, high = message.min_distance, message.current_distance, message.max_distance
        measured = low < distance < high and message.signal_quality != _INVALID_SIGNAL
        self.vehicle.ranged(moment, distance / 100 if measured else math.nan, pitch)

    def _global_position(self, message: Any, moment: float) -> Fix | None:
        self._controller = moment
        heading = message.hdg / 100 if message.hdg <= 36000 else None
        time = self._time(message.time_boot_ms / 1e3)
        return self.vehicle.placed(moment, message.lat / 1e7, message.lon / 1e7, message.alt / 1e3, time, heading)

    def _gps_raw(self, message: Any, moment: float) -> Fix | None:
        fixed = message.fix_type >= 2
        self.vehicle.received(
            moment,
            Receiver(
                # The controller may go on without satellites: by its accelerometers, or by a camera.
                _QUALITY.get(message.fix_type) if fixed else "estimated",
                message.satellites_visible if fixed and message.satellites_visible != 255 else None,
                message.eph / 100 if fixed and 0 < message.eph < 65535 else None,
                message.h_acc / 1000 if fixed and 0 < message.h_acc < 1e9 else None,
            ),
        )
        if not fixed or (self._controller is not None and moment - self._controller <= _REPLACED_S):
            return None
        seconds = message.time_usec / 1e6
        time = seconds if EARLIEST < seconds < LATEST else self._time(seconds)
        return self.vehicle.placed(moment, message.lat / 1e7, message.lon / 1e7, message.alt / 1e3, time)

    def _triggered(self, message: Any, moment: float) -> Fix | None:
        seconds = message.time_usec / 1e6
        return self._exposure(
            message.seq, self.vehicle.exposed(moment, seconds if EARLIEST < seconds < LATEST else self._time(seconds))
        )

    def _captured(self, message: Any, moment: float) -> Fix | None:
        if message.capture_result != 1:
            return None
        seconds = message.time_utc / 1e6
        time = seconds if EARLIEST < seconds < LATEST else self._time(message.time_boot_ms / 1e3)
        if not (message.lat or message.lon):  # cameras that do not know their place
            return self._exposure(message.image_index, self.vehicle.exposed(moment, time))
        fix = self.vehicle.placed(moment, message.lat / 1e7, message.lon / 1e7, message.alt / 1e3, time)
        looks = quaternion_angles(message.q)
        if fix is not None and looks != NO_ANGLES:
            fix = replace(fix, heading_deg=looks.heading, pitch_deg=looks.pitch, roll_deg=looks.roll)
        return self._exposure(message.image_index, fix)

    def _fed_back(self, message: Any, moment: float) -> Fix | None:
        """ArduPilot's own message of an exposure."""
        seconds = message.time_usec / 1e6
        time = seconds if EARLIEST < seconds < LATEST else self._time(seconds)
        place = message.lat / 1e7, message.lng / 1e7, message.alt_msl
        return self._exposure(message.img_idx, self.vehicle.placed(moment, *place, time))

    def _exposure(self, number: int, fix: Fix | None) -> Fix | None:
        if fix is not None:
            self.exposures.setdefault(number, []).append(fix)
        return fix

    def _time(self, since_boot: float) -> float | None:
        return None if self._booted is None else self._booted + since_boot


# The messages that are read beside HEARTBEAT, each with what takes it.
HANDLERS: dict[str, Callable[[MavlinkFixes, Any, float], Fix | None]] = {
    "SYSTEM_TIME": MavlinkFixes._system_time,
    "ATTITUDE": MavlinkFixes._attitude,
    "MOUNT_ORIENTATION": MavlinkFixes._mount,
    "GIMBAL_DEVICE_ATTITUDE_STATUS": MavlinkFixes._gimbal_device,
    "DISTANCE_SENSOR": MavlinkFixes._distance,
    "GLOBAL_POSITION_INT": MavlinkFixes._global_position,
    "GPS_RAW_INT": MavlinkFixes._gps_raw,
    "CAMERA_TRIGGER": MavlinkFixes._triggered,
    "CAMERA_IMAGE_CAPTURED": MavlinkFixes._captured,
    "CAMERA_FEEDBACK": MavlinkFixes._fed_back,
}


class MavlinkParser:
    """Bytes of a link to messages; noise between them and messages that are damaged are passed over.

    Raises:
        CrackError: if pymavlink is not installed.
    """

    def __init__(self, asked: str) -> None:
        self._dialect = _dialect(asked)
        self._mavlink = self._fresh()

    def feed(self, data: bytes) -> Sequence[Any]:
        """The messages that are complete with these bytes."""
        try:
            return self._mavlink.parse_buffer(data) or ()
        except Exception:  # what a parser of foreign bytes raises is not known; the next message begins anew
            self._mavlink = self._fresh()
            return ()

    def decode(self, data: bytes) -> Any:
        """One whole message, or None where it is damaged or of an unknown kind."""
        try:
            return self._mavlink.decode(bytearray(data))
        except Exception:  # see above
            return None

    def _fresh(self) -> Any:
        parser = self._dialect.MAVLink(None)
        parser.robust_parsing = True  # noise becomes a message of its own kind
        return parser


def is_tlog(data: bytes) -> bool:
    """Whether a file looks like a recording of a MAVLink link: each message behind its time."""
    return _MARKER.match(data) is not None


def read_tlog(data: bytes, name: str) -> LogContent:
    """Read a recording of a MAVLink link (.tlog).

    Times are the vehicle's, which satellites set; where it never told them, those of the ground station that wrote the file.

    Args:
        data: the file's bytes.
        name: for errors.

    Raises:
        CrackError: if pymavlink is not installed.
    """
    content, fixes = LogContent(), MavlinkFixes()
    found: list[tuple[float, Fix]] = []
    for message, moment in _recorded(data, MavlinkParser(f"flight log {name}"), content):
        fix = fixes.feed(message, moment)
        if fix is not None:
            found.append((moment, fix))
    ahead = [fix.time - moment for moment, fix in found if fix.time is not None]
    offset = statistics.median(ahead) if ahead else 0.0
    dated = {id(fix): fix if fix.time is not None else replace(fix, time=moment + offset) for moment, fix in found}
    content.fixes = list(dated.values())
    content.exposures = {number: [dated[id(fix)] for fix in taken] for number, taken in fixes.exposures.items()}
    if fixes.vehicle.void:
        content.skipped[NO_FIX] += fixes.vehicle.void
    if not fixes.heard:
        content.problems.append("no vehicle's heartbeat is in it")
    return content


def _recorded(data: bytes, parser: MavlinkParser, content: LogContent) -> Iterator[tuple[Any, float]]:
    """Messages with their times, seconds since 1970; what is damaged is counted once for each stretch."""
    at, damaged = 0, False
    while at < len(data):
        match = _MARKER.search(data, at)
        start = len(data) if match is None else match.start()
        begins = start + _TIME
        length = _message_length(data[begins : begins + 3])
        message = parser.decode(data[begins : begins + length]) if begins + length <= len(data) else None
        if (message is None or start > at) and not damaged:
            content.skip(DAMAGED, f"byte {at}: a message is damaged or cut off")
        damaged = message is None
        if message is None:
            at = start + 1
        else:
            at = begins + length
            yield message, int.from_bytes(data[start:begins], "big") / 1e6


def _message_length(head: bytes) -> int:
    """How long a message is, by its first three bytes."""
    if len(head) < 3:
        return _LONGEST
    if head[0] == 0xFE:
        return head[1] + 8
    return head[1] + 12 + (13 if head[2] & 1 else 0)  # signed


def quaternion_angles(q: Sequence[float]) -> Angles:
    """Angles of a rotation (w, x, y, z) from north, east, down; unknown where it is none, or none was made."""
    w, x, y, z = (float(part) for part in q)
    if not abs(math.hypot(w, x, y, z) - 1) <= 0.01 or (x == y == z == 0):  # NaN fails too
        return NO_ANGLES
    return angles_of(
        math.degrees(math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))),
        math.degrees(math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))),
        math.degrees(math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))),
    )


def _dialect(asked: str) -> Any:
    try:
        from pymavlink.dialects.v20 import ardupilotmega
    except ImportError:
        raise CrackError(
            f"{asked}: {advice('pymavlink')}. On a board: pip install pymavlink (requirements-mavlink.txt)."
        ) from None
    return ardupilotmega
