"""How far a photograph's camera is from the declared face that it looks at: by its position and angles, where no laser measured it.

Positions by RTK are known to centimetres, so are surveyed faces, and a gimbal tells where the camera looks. The error is that of the
position along the line of sight, and what two degrees of heading and pitch make of it: little where the camera faces a wall squarely,
much where it looks along one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crack_tf.photo.faces import CYLINDER, Face, Frame, ahead_of, right_of
from crack_tf.photo.view import GIMBAL_ERROR_DEG, MAX_WALL_PITCH_DEG
from crack_tf.survey.geometry.camera import Shot
from crack_tf.survey.geometry.footprint import MAX_DISTANCE_M, Camera, range_to

MOST_POSITION_ERROR_M = 0.5  # beyond, a position says too little of a distance of some metres
_CLOSEST_M = 0.2


@dataclass(frozen=True)
class FaceRanges:
    """Finds distances to declared faces.

    Attributes:
        faces: declared.
        position_error_m: how wrong positions may be, two standard deviations.
    """

    faces: tuple[Face, ...]
    position_error_m: float

    def __call__(self, shot: Shot) -> tuple[float, float] | None:
        """Metres along a camera's line of sight to the nearest face before it, and their standard deviation.

        Args:
            shot: of which position, altitude, heading and pitch are known.

        Returns:
            None where one of them is not, or the camera looks at no face.
        """
        known = (shot.latitude, shot.longitude, shot.altitude_m, shot.heading_deg, shot.pitch_deg)
        if None in known or abs(shot.pitch_deg or 0.0) > MAX_WALL_PITCH_DEG:
            return None
        reaches = [(reach, face) for face in self.faces if (reach := _reach(shot, face)) is not None]
        if not reaches:
            return None
        distance, face = min(reaches, key=lambda found: found[0])
        changes = [self.position_error_m / 2]
        for name in ("heading_deg", "pitch_deg"):
            turned = (
                _reach(replace(shot, **{name: getattr(shot, name) + sign * GIMBAL_ERROR_DEG}), face, anywhere=True)
                for sign in (-1, 1)
            )
            changes.append(max((abs(reach - distance) for reach in turned if reach is not None), default=distance))
        return distance, math.hypot(*changes)


def _reach(shot: Shot, face: Face, *, anywhere: bool = False) -> float | None:
    """Metres to a face; None where the camera looks past it, or, unless `anywhere`, beside what is declared."""
    frame = Frame(face.latitude, face.longitude)
    heading, pitch = math.radians(shot.heading_deg or 0.0), math.radians(shot.pitch_deg or 0.0)
    level, right = ahead_of(np.array([heading]))[0], right_of(np.array([heading]))[0]
    ahead = math.cos(pitch) * level + (0, 0, math.sin(pitch))
    place = np.array([*frame.east_north(shot.latitude or 0.0, shot.longitude or 0.0), shot.altitude_m or 0.0])
    camera = Camera(place, ahead, right, np.cross(ahead, right), 1.0, 1, 1, 1.0, False)
    reach = range_to(camera, face, frame)
    if reach is None or not _CLOSEST_M <= reach <= MAX_DISTANCE_M or anywhere:
        return reach if reach is not None and reach > 0 else None
    hit = place + reach * ahead
    if not 0 <= hit[2] - face.bottom_m <= face.height_m:
        return None
    along = float(hit @ right_of(np.array([math.radians(face.heading_deg)]))[0])
    return reach if face.kind == CYLINDER or 0 <= along <= face.length_m else None
