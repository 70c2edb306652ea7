"""Surfaces of a structure, on which a survey's photographs are put together, as a file declares them.

    {"format": "crack_tf.faces/1", "faces": [
      {"name": "pier 2, west", "kind": "rectangle", "latitude": 48.2102, "longitude": 16.4203, "bottom_m": 158.0,
       "heading_deg": 90, "width_m": 6.0, "height_m": 12.5},
      {"name": "pier 3", "kind": "cylinder", "latitude": 48.2104, "longitude": 16.4206, "bottom_m": 158.0,
       "heading_deg": 0, "diameter_m": 2.4, "height_m": 12.5}]}

A rectangle is upright. Its place is its lower left corner as one sees it who faces it; `heading_deg` is where that person looks, clockwise
from true north. A cylinder is upright, and its place is its axis; its map is cut open at the back of who looks that way. `bottom_m` is
the altitude of the lower edge, in the system of the photographs' own altitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from tflite.checked import Between, CheckError, Latitude, Longitude, OneOf, Text, checked
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.place.fix import EARTH_M

FORMAT = "crack_tf.faces/1"
RECTANGLE, CYLINDER = "rectangle", "cylinder"
MAX_FACES = 1000
COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")

_Length = Annotated[float, Between(0.01, 10_000)]


@dataclass(frozen=True)
class Face:
    """An upright surface. Attributes as in the module's description; `width_m` of a rectangle, `diameter_m` of a cylinder."""

    name: Annotated[str, Text(200)]
    kind: Annotated[str, OneOf((RECTANGLE, CYLINDER))]
    latitude: Latitude
    longitude: Longitude
    bottom_m: Annotated[float, Between(-12_000, 100_000)]
    heading_deg: Annotated[float, Between(0, 360)]
    height_m: _Length
    width_m: _Length | None = None
    diameter_m: _Length | None = None

    def __post_init__(self) -> None:
        wanted, other = ("width_m", "diameter_m") if self.kind == RECTANGLE else ("diameter_m", "width_m")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise CheckError(f"is a {self.kind}: it needs {wanted}, and no {other}")

    @property
    def length_m(self) -> float:
        """Along the surface: a rectangle's width, a cylinder's circumference."""
        return self.width_m if self.width_m is not None else math.pi * (self.diameter_m or 0.0)

    @property
    def area_m2(self) -> float:
        """The surface's."""
        return self.length_m * self.height_m


@dataclass(frozen=True)
class Frame:
    """Metres east and north of a place, on a sphere that is flat that near."""

    latitude: float
    longitude: float

    def east_north(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Metres of a place."""
        east = math.radians((longitude - self.longitude + 180) % 360 - 180) * self._across
        return east, math.radians(latitude - self.latitude) * EARTH_M

    def place(self, east: float, north: float) -> tuple[float, float]:
        """Latitude and longitude in degrees of a place in metres."""
        longitude = (self.longitude + math.degrees(east / self._across) + 180) % 360 - 180
        return self.latitude + math.degrees(north / EARTH_M), longitude

    @property
    def _across(self) -> float:
        return EARTH_M * max(1e-6, math.cos(math.radians(self.latitude)))


@dataclass(frozen=True)
class Spots:
    """Places on a face: float (n, 3) metres east, north and up each.

    Attributes:
        points: where they are.
        right: unit vectors along the surface, to the right of who faces it; up is up.
        normals: unit vectors out of it.
    """

    points: np.ndarray
    right: np.ndarray
    normals: np.ndarray


def spots_on(face: Face, frame: Frame, along: np.ndarray, up: np.ndarray) -> Spots:
    """Places on a face.

    Args:
        face: of the structure.
        frame: for the result.
        along, up: float (n,), metres to the right of its left edge and above its lower one.
    """
    east, north = frame.east_north(face.latitude, face.longitude)
    heights = face.bottom_m + np.asarray(up, float)
    if face.kind == RECTANGLE:
        looks = np.array([math.radians(face.heading_deg)])
        right, ahead = (np.repeat(axis(looks), len(along), axis=0) for axis in (right_of, ahead_of))
        out = np.asarray(along, float)[:, None] * right[:, :2]
    else:
        radius = (face.diameter_m or 0.0) / 2
        looks = math.radians(face.heading_deg) - (np.asarray(along, float) / radius - math.pi)
        right, ahead = right_of(looks), ahead_of(looks)
        out = -radius * ahead[:, :2]
    return Spots(np.c_[out + np.array([east, north]), heights], right, -ahead)


def ahead_of(heading: np.ndarray) -> np.ndarray:
    """Unit vectors (east, north, up) of level headings in radians: float (n, 3)."""
    return np.stack([np.sin(heading), np.cos(heading), np.zeros(len(heading))], axis=1)


def right_of(heading: np.ndarray) -> np.ndarray:
    """Unit vectors to the right of who looks that way: float (n, 3)."""
    return np.stack([np.cos(heading), -np.sin(heading), np.zeros(len(heading))], axis=1)


def read_faces(path: Path) -> tuple[Face, ...]:
    """Read a file of declared faces.

    Raises:
        CrackError: if it is none, naming the face and what is wrong.
    """
    try:
        value = read_json(path)
    except CrackError as error:
        raise CrackError(f"--faces {error}") from None
    if value.get("format") != FORMAT:
        raise CrackError(
            f'--faces {path} is no list of faces: its "format" must be "{FORMAT}". docs/coverage.md has an example.'
        )
    try:
        faces: tuple[Face, ...] = checked(tuple[Face, ...], value.get("faces"))
    except CheckError as error:
        raise CrackError(f"--faces {path}: {error}. docs/coverage.md has an example.") from None
    if not 1 <= len(faces) <= MAX_FACES:
        raise CrackError(f"--faces {path} has {len(faces)} faces; give 1 to {MAX_FACES}.")
    names = [face.name for face in faces]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CrackError(f"--faces {path}: two faces are named {twice[0]!r}. Give each a name of its own.")
    return faces


def where_on(face: Face, along: float, up: float) -> str:
    """A spot of a face in words: "lower west corner", "upper edge", "middle"."""
    level = "lower" if up < face.height_m / 3 else "upper" if up > 2 * face.height_m / 3 else ""
    if face.kind == CYLINDER:
        out = face.heading_deg - math.degrees(along / face.length_m * 2 * math.pi - math.pi) + 180
        return f"{level or 'middle'} part, {COMPASS[round(out / 45) % 8]} side"
    left, right = ((face.heading_deg + turn) / 45 for turn in (-90, 90))
    side = ""
    if along < face.length_m / 3:
        side = COMPASS[round(left) % 8]
    elif along > 2 * face.length_m / 3:
        side = COMPASS[round(right) % 8]
    if level and side:
        return f"{level} {side} corner"
    return f"{level or side} edge" if level or side else "middle"
