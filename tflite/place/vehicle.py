"""What a flight controller says piece by piece, put together to fixes: its place, its receiver, its angles, its range finders.

The angles of a fix are the camera's. A camera that is fixed to the vehicle looks where it does. Where there is a gimbal, its own angles
are taken, and where it does not tell them the camera's pitch is unknown; the heading is the vehicle's then, since gimbals follow it.

A range finder measures the distance to what the camera shows where both look the same way, ahead, up or down. Pieces that are older
than `KEPT_S` are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflite.place.fix import NO_ANGLES, Angles, Fix, real_altitude, real_place

KEPT_S = 1.0
AHEAD, UP, DOWN = 0.0, 90.0, -90.0  # where range finders look, degrees above the vehicle's axis
_SAME_WAY_DEG = 10.0  # a range that is measured farther off than this is 1.5 % too short or more
_MAX_RANGE_M = 1000.0


@dataclass(frozen=True)
class Receiver:
    """How good the satellites' position is; see `tflite.place.fix.Fix`."""

    quality: str | None = None
    satellites: int | None = None
    hdop: float | None = None
    accuracy_m: float | None = None


class Vehicle:
    """Collects the pieces. A moment is in seconds of any clock that goes on, the same for all of them.

    Attributes:
        void: positions that were none.
    """

    def __init__(self) -> None:
        self.void = 0
        self._angles: tuple[float, Angles] | None = None
        self._gimbal: tuple[float, Angles] | None = None
        self._has_gimbal = False
        self._ranges: dict[float, tuple[float, float]] = {}
        self._receiver: tuple[float, Receiver] | None = None
        self._place: tuple[float, tuple[float, float], float | None] | None = None

    def turned(self, moment: float, angles: Angles) -> None:
        """The vehicle's own angles."""
        self._angles = moment, angles

    def gimbal(self, moment: float, angles: Angles = NO_ANGLES) -> None:
        """There is a gimbal, with these angles as far as it tells them."""
        self._has_gimbal = True
        if angles != NO_ANGLES:
            self._gimbal = moment, angles

    def ranged(self, moment: float, metres: float, pitch: float) -> None:
        """A range finder measured a distance.

        Args:
            moment: when.
            metres: the distance; anything.
            pitch: where it looks: AHEAD, UP or DOWN.
        """
        if 0 < metres <= _MAX_RANGE_M:  # NaN fails too
            self._ranges[pitch] = moment, float(metres)
        else:
            self._ranges.pop(pitch, None)

    def received(self, moment: float, receiver: Receiver) -> None:
        """How good the receiver's position is."""
        self._receiver = moment, receiver

    def placed(
        self, moment: float, lat: float, lon: float, alt: float | None, time: float | None, heading: float | None = None
    ) -> Fix | None:
        """The vehicle is somewhere.

        Args:
            moment: when.
            lat, lon, alt: degrees and metres; anything.
            time: the same in seconds since 1970 UTC, or None.
            heading: where no angles tell it, or None.

        Returns:
            A fix with the pieces of that moment, or None where that is no place.
        """
        place = real_place(lat, lon)
        if place is None:
            self.void += 1
            return None
        self._place = moment, place, real_altitude(alt)
        return self._fix(moment, time, heading)

    def exposed(self, moment: float, time: float | None) -> Fix | None:
        """A photograph was taken: where the vehicle was last, with the pieces of now; None where that is too long ago."""
        return self._fix(moment, time, None)

    def _fix(self, moment: float, time: float | None, heading: float | None) -> Fix | None:
        if self._place is None or not _near(moment, self._place[0]):
            return None
        angles = self.camera(moment)
        known = self._receiver is not None and _near(moment, self._receiver[0])
        receiver = self._receiver[1] if known and self._receiver is not None else Receiver()
        return Fix(
            *self._place[1],
            alt=self._place[2],
            time=time,
            quality=receiver.quality,
            satellites=receiver.satellites,
            hdop=receiver.hdop,
            accuracy_m=receiver.accuracy_m,
            heading_deg=angles.heading if angles.heading is not None else heading,
            pitch_deg=angles.pitch,
            roll_deg=angles.roll,
            distance_m=self._distance(moment, angles),
        )

    def vehicle_angles(self, moment: float) -> Angles:
        """The vehicle's own angles, as far as they are known at a moment."""
        return self._angles[1] if self._angles is not None and _near(moment, self._angles[0]) else NO_ANGLES

    def camera(self, moment: float) -> Angles:
        """The camera's angles, as far as they are known at a moment."""
        own = self.vehicle_angles(moment)
        if not self._has_gimbal:
            return own
        if self._gimbal is None or not _near(moment, self._gimbal[0]):
            return Angles(heading=own.heading)
        found = self._gimbal[1]
        return Angles(own.heading if found.heading is None else found.heading, found.pitch, found.roll)

    def _distance(self, moment: float, camera: Angles) -> float | None:
        """By the range finder that looks where the camera does."""
        if not self._has_gimbal:
            looks = AHEAD
        elif camera.pitch is None:
            return None
        else:
            looks = camera.pitch - (self.vehicle_angles(moment).pitch or 0.0)
        for pitch, (when, metres) in self._ranges.items():
            if abs(looks - pitch) <= _SAME_WAY_DEG and _near(moment, when):
                return metres
        return None


def angles_of(yaw: float | None, pitch: float | None, roll: float | None) -> Angles:
    """Angles in degrees as controllers write them: yaw from north either way; what is not finite or beyond half a turn is unknown."""
    known = [value if value is not None and math.isfinite(value) else None for value in (yaw, pitch, roll)]
    heading, pitch, roll = known
    return Angles(
        None if heading is None or abs(heading) > 720 else heading % 360,
        pitch if pitch is not None and abs(pitch) <= 180 else None,
        roll if roll is not None and abs(roll) <= 180 else None,
    )


def _near(moment: float, other: float) -> bool:
    return abs(moment - other) <= KEPT_S
