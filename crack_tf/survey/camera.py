"""When and where a photograph was taken, where the camera looked, and how many millimetres a pixel shows.

Position: the photograph's own EXIF data, else the flight log at the time of the exposure. Heading: the gimbal's yaw of DJI's XMP
data, else EXIF GPSImgDirection where it refers to true north. Scale: what the user gives, else focal length and distance of the
EXIF data. Whatever is not known stays None.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from crack_tf.photo.gsd import from_camera, from_photo
from crack_tf.survey.timezones import to_utc
from tflite.device.exif import read_exif
from tflite.errors import CrackError
from tflite.images import FORMATS

if TYPE_CHECKING:
    from crack_tf.survey.flightlog import FlightLog

EARTH_M = 6_371_008.8  # mean radius (IUGG)
MAX_PITCH_DEG = 30.0  # steeper, the camera does not look at a wall, and a shift on the picture is none along it
_EXIF_IFD, _GPS_IFD, _DISTANCE, _DIRECTION_REF, _DIRECTION = 0x8769, 0x8825, 0x9206, 16, 17
_XMP_BYTES = 1 << 17  # XMP stands at a file's beginning
_ANGLE = rb'drone-dji:Gimbal%sDegree\s*[=>]\s*"?([+-]?\d+(?:\.\d+)?)'


@dataclass(frozen=True)
class Shot:
    """What is known about an exposure.

    Attributes:
        time: seconds since 1970 UTC.
        latitude, longitude, altitude_m: of the camera, WGS84.
        heading_deg: where it looked, clockwise from true north, in [0, 360).
        pitch_deg: above the horizon.
        distance_m: to the surface.
        mm_per_pixel: on the surface.
    """

    time: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    distance_m: float | None = None
    mm_per_pixel: float | None = None

    def place(self, right_px: float, down_px: float) -> tuple[float | None, float | None, float | None]:
        """Where a spot of the surface is, if the camera looks straight at a wall.

        Args:
            right_px, down_px: from the middle of the photograph.

        Returns:
            Latitude, longitude and altitude; the camera's own where direction or scale are not known, None where it has none.
        """
        if self.latitude is None or self.longitude is None:
            return None, None, None
        level = self.pitch_deg is None or abs(self.pitch_deg) <= MAX_PITCH_DEG
        if self.heading_deg is None or self.mm_per_pixel is None or not level:
            return self.latitude, self.longitude, self.altitude_m
        right, down = right_px * self.mm_per_pixel / 1000, down_px * self.mm_per_pixel / 1000
        ahead, angle = self.distance_m or 0.0, math.radians(self.heading_deg)
        north = ahead * math.cos(angle) - right * math.sin(angle)
        east = ahead * math.sin(angle) + right * math.cos(angle)
        latitude = self.latitude + math.degrees(north / EARTH_M)
        across = EARTH_M * max(1e-6, math.cos(math.radians(self.latitude)))
        longitude = (self.longitude + math.degrees(east / across) + 180) % 360 - 180
        altitude = None if self.altitude_m is None else round(self.altitude_m - down, 3)
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
        if self.focal_mm is not None and (self.distance_m is None or self.sensor_width_mm is None):
            raise CrackError(f"--focal-mm {self.focal_mm:g} needs --distance-m and --sensor-width-mm beside it.")

    def of(self, data: bytes | None, width: int, height: int) -> float | None:
        """Millimetres per pixel of a photograph, or None.

        Args:
            data: the file's bytes, or None where there is no file.
            width, height: in pixels.
        """
        if self.mm_per_pixel is not None:
            return self.mm_per_pixel
        if self.focal_mm is not None and self.distance_m is not None and self.sensor_width_mm is not None:
            return from_camera(self.focal_mm, self.distance_m, self.sensor_width_mm, max(width, height)).mm_per_pixel
        if data is None:
            return None
        try:
            return from_photo(data, self.distance_m, self.sensor_width_mm).mm_per_pixel
        except CrackError:  # what is missing is counted and told once for the whole survey
            return None


@dataclass(frozen=True)
class Locator:
    """Finds out about exposures.

    Attributes:
        scale: what the user says.
        log: of the flight, or None.
        zone: of camera clocks that do not say theirs, or None.
    """

    scale: Scale = Scale()
    log: FlightLog | None = None
    zone: tzinfo | None = None

    def of_file(self, data: bytes, width: int, height: int) -> Shot:
        """Of a photograph's bytes; `width` and `height` are those of the upright picture."""
        seconds, source, fix = read_exif(data)
        if seconds is not None and source == "exif no zone":
            seconds = self._settle(seconds)
        if fix is not None and fix.lat == fix.lon == 0:  # what cameras write before they know their place
            fix = None
        heading, pitch, distance = _direction_and_distance(data)
        place = (None, None, None) if fix is None else (fix.lat, fix.lon, fix.alt)
        distance = self.scale.distance_m or distance
        return self._shot(seconds, place, heading, pitch, distance, self.scale.of(data, width, height))

    def of_moment(
        self, seconds: float | None, place: tuple[float | None, float | None, float | None], width: int, height: int
    ) -> Shot:
        """Of a frame without EXIF data."""
        return self._shot(seconds, place, None, None, self.scale.distance_m, self.scale.of(None, width, height))

    def _shot(
        self,
        seconds: float | None,
        place: tuple[float | None, float | None, float | None],
        heading: float | None,
        pitch: float | None,
        distance: float | None,
        mm_per_pixel: float | None,
    ) -> Shot:
        if place[0] is None and seconds is not None and self.log is not None:
            position = self.log.at(datetime.fromtimestamp(seconds, UTC))
            if position is not None:
                place = (position.latitude, position.longitude, position.altitude_m)
        return Shot(seconds, *place, heading, pitch, distance, mm_per_pixel)

    def _settle(self, local: float) -> float | None:
        """A camera's clock in UTC; None where its zone is not known or the time happened twice or never."""
        if self.zone is None:
            return None
        moment = to_utc(datetime.fromtimestamp(local, UTC).replace(tzinfo=None), self.zone)
        return None if moment is None else moment.timestamp()


def _direction_and_distance(data: bytes) -> tuple[float | None, float | None, float | None]:
    """Heading, pitch and distance by the photograph's own data, each None where it is missing or absurd."""
    from PIL import Image

    start = data[:_XMP_BYTES]
    yaw, pitch = (re.search(_ANGLE % name, start) for name in (b"Yaw", b"Pitch"))
    heading = float(yaw[1]) % 360 if yaw is not None else None
    distance = None
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            exif = image.getexif()
            taken, gps = dict(exif.get_ifd(_EXIF_IFD)), dict(exif.get_ifd(_GPS_IFD))
    except Exception:  # parsers of damaged files raise anything, and decoding is where damage is reported
        return heading, None, None
    if heading is None and str(gps.get(_DIRECTION_REF, "T")).strip("\0 ").upper() == "T":
        heading = _number(gps.get(_DIRECTION), 0, 360)
        heading = None if heading is None else heading % 360
    distance = _number(taken.get(_DISTANCE), 1e-3, 1000)
    return heading, float(pitch[1]) if pitch is not None else None, distance


def _number(value: Any, low: float, high: float) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if low <= number <= high else None  # NaN is not
