"""When and where a photograph was taken, where the camera looked, and how many millimetres a pixel shows.

Position, time and direction: what `tflite.place` finds in the photograph's own data, the same as on the device; else the flight
log at the time of the exposure. Scale: what the user gives, else focal length and distance by the order of `crack_tf.photo.gsd`, corrected
across the photograph by the gimbal's pitch (`crack_tf.photo.view`). Whatever is not known stays None, and `Shot.unplaced` says why
there is no position.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crack_tf.photo.faces import Frame
from crack_tf.photo.gsd import (
    BY_FACES,
    LASER,
    STATED,
    GroundSampling,
    ScaleRefusedError,
    check_derived,
    check_whole,
    distance_error,
    from_camera,
    from_photo,
    from_value,
)
from crack_tf.photo.view import MAX_WALL_PITCH_DEG, View, view_of
from crack_tf.survey.geometry.footprint import upright_roll
from tflite.errors import CrackError, ImageError
from tflite.place.clock import PLAIN_CLOCK, CameraClock
from tflite.place.exposure import read_exposure
from tflite.place.fix import Fix, real_place
from tflite.place.flightlog import FlightLog
from tflite.place.missing import why_unplaced

GIVEN = "given"  # where a scale comes from, beside those of distances in `crack_tf.photo.gsd`
NO_SCALE = "no scale: "  # begins a note that says why a photograph can have none


@dataclass(frozen=True)
class Shot:
    """What is known about an exposure.

    Attributes:
        time: seconds since 1970 UTC.
        latitude, longitude, altitude_m: of the camera, WGS84.
        heading_deg: where it looked, clockwise from true north, in [0, 360).
        pitch_deg: above the horizon.
        roll_deg: about its axis, clockwise as seen from behind it.
        distance_m: to the surface.
        mm_per_pixel: on the surface, in the middle of the photograph.
        scale_source: what the scale comes from: GIVEN, or where the distance is from (`crack_tf.photo.gsd`); None without scale.
        scale_error: standard deviation of the scale as a share, by distance and focal length; None where nobody knows.
        unplaced: why there is no position, in words; None where there is one.
        notes: what the photograph's data say that cannot be and was left out, and why it has no scale; for a person.
    """

    time: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    distance_m: float | None = None
    mm_per_pixel: float | None = None
    unplaced: str | None = None
    notes: tuple[str, ...] = ()
    scale_source: str | None = None
    scale_error: float | None = None
    roll_deg: float | None = None

    def view(self, width: int, height: int) -> View | None:
        """How a photograph of that size, in pixels, shows the surface; None where the scale is not known."""
        if self.mm_per_pixel is None:
            return None
        return view_of((width, height), self.mm_per_pixel, self.scale_error, self.distance_m, self.pitch_deg)

    def place(self, right_px: float, down_px: float) -> tuple[float | None, float | None, float | None]:
        """Where a spot of a wall is, if the camera faces it.

        Args:
            right_px, down_px: from the middle of the photograph.

        Returns:
            Latitude, longitude and altitude; the camera's own where direction or scale are not known or the camera rather looks at a
            deck, None where it has none.
        """
        if self.latitude is None or self.longitude is None:
            return None, None, None
        pitch = self.pitch_deg or 0.0
        if self.heading_deg is None or self.mm_per_pixel is None or abs(pitch) > MAX_WALL_PITCH_DEG:
            return self.latitude, self.longitude, self.altitude_m
        view = self.view(0, 0)
        assert view is not None
        roll = math.radians(upright_roll(self.roll_deg or 0.0))
        spot = (
            right_px * math.cos(roll) - down_px * math.sin(roll),
            right_px * math.sin(roll) + down_px * math.cos(roll),
        )
        right, down = (float(value) / 1000 for value in view.to_surface(np.array([spot]))[0])
        if not math.isfinite(right + down):
            return self.latitude, self.longitude, self.altitude_m
        ahead, angle = (self.distance_m or 0.0) * math.cos(math.radians(pitch)), math.radians(self.heading_deg)
        north = ahead * math.cos(angle) - right * math.sin(angle)
        east = ahead * math.sin(angle) + right * math.cos(angle)
        latitude, longitude = Frame(self.latitude, self.longitude).place(east, north)
        altitude = None if self.altitude_m is None else round(self.altitude_m - down, 3)
        if real_place(latitude, longitude) is None:  # over a pole
            return self.latitude, self.longitude, self.altitude_m
        # Nine decimals are a tenth of a millimetre.
        return round(latitude, 9), round(longitude, 9), altitude


@dataclass(frozen=True)
class Scale:
    """What the user says about the scale; all None leaves it to the EXIF data."""

    mm_per_pixel: float | None = None
    distance_m: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None

    def check(self) -> None:
        """Raise if the parts do not go together.

        Raises:
            CrackError: naming the options.
        """
        if self.mm_per_pixel is not None and (self.distance_m, self.focal_mm, self.sensor_width_mm) != (None,) * 3:
            raise CrackError(
                "--mm-per-pixel says everything. Leave --distance-m, --focal-mm and --sensor-width-mm out."
            )
        if self.focal_mm is not None and self.sensor_width_mm is None:
            raise CrackError(f"--focal-mm {self.focal_mm:g} needs --sensor-width-mm beside it.")

    def find(
        self, data: bytes | None, width: int, height: int, measured_m: float | None = None
    ) -> tuple[GroundSampling | None, str | None]:
        """The scale of a photograph, or None, and why it was refused: its picture is not what its lens drew, or no photograph has it.

        Args:
            data: the file's bytes, or None where there is no file.
            width, height: in pixels.
            measured_m: distance by the drone's laser or range finder, which goes before what the user states.
        """
        if self.mm_per_pixel is not None:
            return from_value(self.mm_per_pixel), None
        try:
            distance, origin = (self.distance_m, STATED) if measured_m is None else (measured_m, LASER)
            if self.focal_mm is not None and self.sensor_width_mm is not None:
                if distance is None:
                    return None, None
                note = None
                if data is not None:
                    with contextlib.suppress(ImageError):  # of a format whose data are not read here
                        note = check_whole(data)
                longer = max(width, height)
                return _possible(from_camera(self.focal_mm, distance, self.sensor_width_mm, longer, origin), note)
            if data is None:
                return None, None
            found = from_photo(data, self.distance_m, self.sensor_width_mm, measured_m)
        except ScaleRefusedError as error:
            return None, f"{NO_SCALE}{error}"
        except CrackError:  # what is missing is counted and told once for the whole survey
            return None, None
        return _possible(found, found.note)


def _possible(found: GroundSampling, note: str | None) -> tuple[GroundSampling | None, str | None]:
    """A scale and its note; for one that no photograph has None and why, since its data may be damaged."""
    try:
        return check_derived(found), note
    except CrackError as error:
        return None, f"{NO_SCALE}{error}"


@dataclass(frozen=True)
class Locator:
    """Finds out about exposures.

    Attributes:
        scale: what the user says.
        log: of the flight, or None.
        clock: of cameras, as far as the user says.
        ranges: finds metres to the surface and their standard deviation, where no laser measured it; None where nobody asked for it.
        ranges_from: what these are told to come from, BY_FACES or BY_POSITIONS of `crack_tf.photo.gsd`.
    """

    scale: Scale = Scale()
    log: FlightLog | None = None
    clock: CameraClock = PLAIN_CLOCK
    ranges: Callable[[Shot], tuple[float, float] | None] | None = None
    ranges_from: str = BY_FACES

    def of_file(self, data: bytes, width: int, height: int, name: str = "") -> Shot:
        """What a photograph's bytes say.

        Args:
            data: the file's.
            width, height: of the upright picture.
            name: of the file, by which a log of exposures may know it.
        """
        found = read_exposure(data, self.clock)
        numbered = None if self.log is None else self.log.fix_of(name, found.time, found.local)
        seconds = found.time if found.time is not None or numbered is None else numbered.time
        fix, unplaced = self._placed(seconds, found.fix or numbered, found.local)
        # A photograph that knows its place may leave it to the log how far and where it looked.
        logged = numbered or self._logged(seconds)
        shot = _shot(seconds, fix, unplaced)
        if logged is not None and fix is not logged:
            shot = replace(shot, heading_deg=logged.heading_deg, pitch_deg=logged.pitch_deg)
        angles = found.angles
        by_log = None if logged is None else logged.distance_m
        measured = found.distance_m if found.distance_source == "laser" else by_log
        shot = replace(
            shot,
            heading_deg=shot.heading_deg if angles.heading is None else angles.heading,
            pitch_deg=shot.pitch_deg if angles.pitch is None else angles.pitch,
            roll_deg=shot.roll_deg if angles.roll is None else angles.roll,
        )
        near, scale, refused = self._scaled(shot, data, width, height, measured)
        return replace(
            shot,
            distance_m=near or found.distance_m,
            notes=found.notes if refused is None else (*found.notes, refused),
            **_scale_fields(scale),
        )

    def of_moment(self, seconds: float | None, fix: Fix | None, width: int, height: int) -> Shot:
        """What is known of a frame without data of its own.

        Args:
            seconds: since 1970 UTC, or None.
            fix: its position where something else than the flight log knows it.
            width, height: in pixels.
        """
        placed, unplaced = self._placed(seconds, fix, None)
        shot = _shot(seconds, placed, unplaced)
        logged = self._logged(seconds)
        measured = next((found.distance_m for found in (placed, logged) if found and found.distance_m), None)
        near, scale, _ = self._scaled(shot, None, width, height, measured)
        return replace(shot, distance_m=near, **_scale_fields(scale))

    def _scaled(
        self, shot: Shot, data: bytes | None, width: int, height: int, measured: float | None
    ) -> tuple[float | None, GroundSampling | None, str | None]:
        """The distance but for what EXIF data say, the scale, and why that was refused."""
        if measured is None and self.scale.distance_m is None and self.ranges is not None:
            found = self.ranges(shot)
            if found is not None:
                scale, refused = self.scale.find(data, width, height, found[0])
                return found[0], None if scale is None else _ranged(scale, *found, self.ranges_from), refused
        scale, refused = self.scale.find(data, width, height, measured)
        return measured or self.scale.distance_m, scale, refused

    def _placed(self, seconds: float | None, fix: Fix | None, local: float | None) -> tuple[Fix | None, str | None]:
        """The fix itself, else the log's; and why there is none."""
        fix = fix or self._logged(seconds)
        if fix is not None:
            return fix, None
        return None, why_unplaced(seconds, local, self.clock, None if self.log is None else self.log.span)

    def _logged(self, seconds: float | None) -> Fix | None:
        """What the flight log says of a moment."""
        return None if seconds is None or self.log is None else self.log.fix_at(seconds)


def _shot(seconds: float | None, fix: Fix | None, unplaced: str | None) -> Shot:
    if fix is None:
        return Shot(time=seconds, unplaced=unplaced)
    return Shot(seconds, fix.lat, fix.lon, fix.alt, fix.heading_deg, fix.pitch_deg, roll_deg=fix.roll_deg)


def _ranged(scale: GroundSampling, distance_m: float, error_m: float, origin: str) -> GroundSampling:
    """A scale that was found as if a laser had measured the distance."""
    if scale.error is None or scale.distance_from != LASER:
        return scale
    focal = math.sqrt(max(0.0, scale.error**2 - distance_error(distance_m, LASER) ** 2))
    return replace(scale, distance_from=origin, error=math.hypot(focal, error_m / distance_m))


def _scale_fields(found: GroundSampling | None) -> dict[str, Any]:
    """A `Shot`'s fields."""
    if found is None:
        return {}
    return {
        "mm_per_pixel": found.mm_per_pixel,
        "scale_source": found.distance_from or GIVEN,
        "scale_error": found.error,
    }
