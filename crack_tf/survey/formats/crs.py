"""Coordinate reference systems of what is handed over: from WGS84 degrees to the one that a user names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite.errors import CrackError

WGS84 = "EPSG:4326"
UTM = "utm"  # the zone that the places lie in
_WITHOUT_AREA = (-180.0, -90.0, 180.0, 90.0)


@dataclass(frozen=True)
class Projection:
    """A reference system, ready to be used.

    Attributes:
        code: as GIS programs know it, such as "EPSG:2056".
        name: in words.
        accuracy_m: of going there from WGS84, None where PROJ does not say.
        transformer: pyproj's, longitude and latitude in, east and north (or longitude and latitude) out.
    """

    code: str
    name: str
    accuracy_m: float | None
    transformer: Any

    def __call__(self, longitudes: np.ndarray, latitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places in this system.

        Raises:
            CrackError: if one has no coordinates in it.
        """
        x, y = self.transformer.transform(np.asarray(longitudes, float), np.asarray(latitudes, float))
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise CrackError(f"--crs {self.code}: some places have no coordinates in {self.name}. Choose another one.")
        return np.asarray(x), np.asarray(y)


def projection(text: str, places: Sequence[tuple[float, float]]) -> Projection:
    """The reference system that a user names, if it fits.

    Args:
        text: such as "EPSG:2056", or "utm" for the zone that the places lie in.
        places: longitude and latitude in degrees of what is to be written; may be empty.

    Raises:
        CrackError: if there is none of that name, it is of a kind that maps do not have, or places lie outside of its area of use.
    """
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    name = _utm_zone(places) if text.casefold() == UTM else text
    try:
        crs = CRS.from_user_input(name)
    except CRSError:
        raise CrackError(
            f"--crs {text}: there is no reference system of that name. Give a code such as EPSG:2056 (Switzerland), EPSG:25832 "
            f"(Europe), {UTM}, or leave it out for {WGS84}."
        ) from None
    if not (crs.is_projected or crs.is_geographic) or len(crs.axis_info) != 2:
        raise CrackError(
            f"--crs {text} is {crs.name}, which is no system of a map (two coordinates, projected or in degrees). Altitudes are "
            "written as they are, beside it."
        )
    area = crs.area_of_use
    west, south, east, north = _WITHOUT_AREA if area is None else area.bounds
    outside = [place for place in places if not _within(place, west, south, east, north)]
    if outside:
        longitude, latitude = outside[0]
        raise CrackError(
            f"--crs {text} is {crs.name}, for {'the whole world' if area is None else area.name.rstrip('.')}: {len(outside)} of "
            f"{len(places)} places lie outside, the first at {latitude:.5f}, {longitude:.5f}. Choose another one, such as {UTM}."
        )
    transformer = Transformer.from_crs(WGS84, crs, always_xy=True)
    authority = crs.to_authority()
    code = crs.to_string() if authority is None else ":".join(authority)
    accuracy = transformer.accuracy
    return Projection(code, crs.name, accuracy if accuracy is not None and accuracy >= 0 else None, transformer)


def _within(place: tuple[float, float], west: float, south: float, east: float, north: float) -> bool:
    longitude, latitude = place
    # An area may reach across the antimeridian.
    across = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return across and south <= latitude <= north


def _utm_zone(places: Sequence[tuple[float, float]]) -> str:
    """Code of the UTM zone of the first place; near a border the others may lie in the next, which is no harm."""
    if not places:
        return WGS84
    longitude, latitude = places[0]
    zone = min(60, math.floor((longitude + 180) / 6) + 1)
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"
