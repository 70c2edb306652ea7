"""A position, and the one rule that says what is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

EARTH_M = 6_371_008.8  # mean radius (IUGG)
LOWEST_M, HIGHEST_M = -12_000, 100_000
_NOWHERE = 1e-4  # degrees, ten metres: receivers also write rounding errors around 0, 0


@dataclass(frozen=True)
class Fix:
    """One position.

    Attributes:
        lat, lon: degrees, WGS 84; south and west are negative.
        alt: metres above sea level, or in the source's own system; None where unknown.
        time: of the fix by the receiver, seconds since 1970 UTC, or None while the date is unknown.
        quality: such as "gps", "dgps", "rtk", "3d", or None where the source does not tell.
        satellites: used, or None.
        hdop: horizontal dilution of precision, or None.
        accuracy_m: estimated horizontal error in metres, or None.
        source: what it was read from where that is not plain: "exif", "xmp", "srt"; else None.
        heading_deg, pitch_deg, roll_deg: of the camera, clockwise from true north in [0, 360), above the horizon, and about its
            axis; None where unknown.
        distance_m: to what the camera looks at, by a range finder, or None.
    """

    lat: float
    lon: float
    alt: float | None = None
    time: float | None = None
    quality: str | None = None
    satellites: int | None = None
    hdop: float | None = None
    accuracy_m: float | None = None
    source: str | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    distance_m: float | None = None

    def __post_init__(self) -> None:
        if not (-90 <= self.lat <= 90 and -180 <= self.lon <= 180):  # NaN fails too
            raise ValueError(f"latitude {self.lat}, longitude {self.lon} is no place on earth")


@dataclass(frozen=True)
class Angles:
    """Where a camera looks, in degrees; None where unknown.

    Attributes:
        heading: clockwise from true north, in [0, 360).
        pitch: above the horizon; -90 looks straight down.
        roll: about the camera's axis.
    """

    heading: float | None = None
    pitch: float | None = None
    roll: float | None = None


NO_ANGLES = Angles()


def real_place(lat: Any, lon: Any) -> tuple[float, float] | None:
    """A latitude and a longitude if they are a place where a picture may have been taken, else None.

    0, 0, or a hair beside it, is what receivers and cameras write before they know their place. It lies in the open Atlantic.

    Args:
        lat, lon: degrees; anything, such as a value read from a JSON file.
    """
    if not (_is_number(lat) and _is_number(lon)):
        return None
    if not (-90 <= lat <= 90 and -180 <= lon <= 180) or max(abs(lat), abs(lon)) < _NOWHERE:
        return None
    return float(lat), float(lon)


def real_altitude(metres: Any) -> float | None:
    """An altitude in metres if a picture may have been taken there, from the deepest sea to space, else None."""
    return float(metres) if _is_number(metres) and LOWEST_M <= metres <= HIGHEST_M else None


def known_angles(yaw: float | None, pitch: float | None, roll: float | None) -> Angles:
    """Angles of a camera in degrees; all unknown where every one that is given is 0: what drones write that do not know them."""
    if not any((yaw, pitch, roll)):
        return NO_ANGLES
    return Angles(None if yaw is None else yaw % 360, pitch, roll)


def metres_apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Distance of two places (latitude, longitude) on a sphere of the earth's mean radius."""
    north_1, north_2 = math.radians(one[0]), math.radians(other[0])
    across = math.sin(math.radians(other[1] - one[1]) / 2) ** 2 * math.cos(north_1) * math.cos(north_2)
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(math.sin((north_2 - north_1) / 2) ** 2 + across)))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False
