"""The walls that a flight looked at, where nobody declared them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crack_tf.photo.faces import COMPASS, RECTANGLE, Face, Frame, ahead_of, right_of
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.footprint import corners_on_wall, distance_error_of, distance_of, is_placed

SAME_HEADING_DEG = 15.0  # of cameras before one wall


@dataclass
class _Group:
    """Photographs that look at one wall. What follows from them is kept: every later photograph is compared with it.

    Attributes:
        photos: so far.
        directions, spots: sums of their directions (sine, cosine), and of the spots (east, north) that they look at.
        heading: in radians.
        ahead: unit vector (east, north).
        beyond: metres of the wall from the frame's middle, in that direction.
    """

    photos: list[PhotoRecord] = field(default_factory=list)
    directions: np.ndarray = field(default_factory=lambda: np.zeros(2))
    spots: np.ndarray = field(default_factory=lambda: np.zeros(2))
    heading: float = 0.0
    ahead: np.ndarray = field(default_factory=lambda: np.zeros(2))
    beyond: float = 0.0

    def add(self, photo: PhotoRecord, heading: float, spot: np.ndarray) -> None:
        self.photos.append(photo)
        self.directions += (math.sin(heading), math.cos(heading))
        self.spots += spot
        self.heading = math.atan2(*self.directions)
        self.ahead = np.asarray(ahead_of(np.array([self.heading]))[0, :2])
        self.beyond = float(self.spots @ self.ahead) / len(self.photos)


def find_faces(
    photos: Sequence[PhotoRecord], frame: Frame, position_error_m: float
) -> list[tuple[Face, list[PhotoRecord]]]:
    """Upright walls that explain what placed photographs look at, and the photographs before each.

    Cameras that look the same way, within `SAME_HEADING_DEG`, at walls as far in that direction, within twice the position error and the
    error of the range, look at one wall. It is as large as what they show of it.
    """
    groups: list[_Group] = []
    for photo in photos:
        distance = distance_of(photo)
        if distance is None or not is_placed(photo):
            continue
        heading = math.radians(photo.heading_deg or 0.0)
        level = distance * math.cos(math.radians(photo.pitch_deg or 0.0))
        spot = (
            frame.east_north(photo.latitude or 0.0, photo.longitude or 0.0)
            + level * ahead_of(np.array([heading]))[0, :2]
        )
        reach = 2 * position_error_m + distance_error_of(photo)
        for group in groups:
            turned = abs((math.degrees(heading - group.heading) + 180) % 360 - 180)
            if turned <= SAME_HEADING_DEG and abs(float(spot @ group.ahead) - group.beyond) <= reach:
                break
        else:
            group = _Group()
            groups.append(group)
        group.add(photo, heading, spot)
    return [(_wall(group, frame, number), group.photos) for number, group in enumerate(groups, 1)]


def _wall(group: _Group, frame: Frame, number: int) -> Face:
    """The rectangle around what a group of photographs shows."""
    looks, beyond = group.heading, group.beyond
    corners = np.concatenate([corners_on_wall(photo, frame, looks, beyond) for photo in group.photos])
    low, high = corners.min(axis=0), corners.max(axis=0)
    latitude, longitude = frame.place(*(low[0] * right_of(np.array([looks]))[0, :2] + beyond * group.ahead))
    return Face(
        name=f"wall {number}, seen looking {COMPASS[round(math.degrees(looks) / 45) % 8]}",
        kind=RECTANGLE,
        latitude=latitude,
        longitude=longitude,
        bottom_m=float(low[1]),
        heading_deg=math.degrees(looks) % 360,
        height_m=max(0.01, float(high[1] - low[1])),
        width_m=max(0.01, float(high[0] - low[0])),
    )
