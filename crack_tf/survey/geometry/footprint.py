"""What a photograph shows of an upright face: for every spot its pixel, how coarse a pixel is there, and how obliquely it is seen.

The camera is a pinhole. Its place along its line of sight is put right by its range, which is known better than a
satellite's position is: before the face it looks at, it stands as far away as the laser or the user says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crack_tf.photo.faces import RECTANGLE, Face, Frame, Spots, ahead_of, right_of
from crack_tf.photo.view import MAX_WALL_PITCH_DEG
from crack_tf.survey.findings import PhotoRecord

ASSUMED_FOCAL = 1.0  # of a photograph's longer side, where only the scale is known: a usual wide angle
MAX_DISTANCE_M, MAX_MM_PER_PIXEL = 5000.0, 1000.0  # beyond, a photograph shows no crack, and its data are damaged
_CLOSEST_M = 0.2  # of a position that may say how far away a face is
MAX_FACING_DEG = 75.0  # between heading and a face; beyond, the camera looks past it


def distance_of(photo: PhotoRecord) -> float | None:
    """Metres to the surface along the line of sight; by a usual lens where only the scale is known, None without one."""
    if photo.mm_per_pixel is None:
        return None
    if _has_distance(photo):
        return photo.distance_m
    return ASSUMED_FOCAL * max(photo.width, photo.height) * photo.mm_per_pixel / 1000


def _has_distance(photo: PhotoRecord) -> bool:
    return photo.distance_m is not None and photo.scale_source != "given"


def distance_error_of(photo: PhotoRecord) -> float:
    """Half the width of the interval around `distance_of` that holds 95 %, metres; 0 where nobody knows."""
    return (distance_of(photo) or 0.0) * (photo.scale_error or 0.0)


def is_placed(photo: PhotoRecord) -> bool:
    """Whether it is known what a photograph shows of an upright surface: position, altitude, direction and scale."""
    known = (photo.latitude, photo.longitude, photo.altitude_m, photo.heading_deg, photo.mm_per_pixel)
    if None in known or not 1e-6 <= (photo.mm_per_pixel or 0.0) <= MAX_MM_PER_PIXEL:
        return False
    return 0 < (distance_of(photo) or 0.0) <= MAX_DISTANCE_M and abs(photo.pitch_deg or 0.0) <= MAX_WALL_PITCH_DEG


def upright_roll(roll_deg: float) -> float:
    """The roll that is left once a photograph is upright, in [-45, 45): its orientation has turned it by quarters."""
    return (roll_deg + 45) % 90 - 45


@dataclass(frozen=True)
class Camera:
    """A photograph's camera in a frame.

    Attributes:
        place: metres east, north and up.
        ahead, right, down: unit vectors of its axes.
        focal_px: focal length in pixels.
        width, height: of the photograph in pixels.
        distance_m: along its line of sight to what it shows.
        measured: whether the distance is known, not only the scale.
        distance_error_m: half the width of the interval around the distance that holds 95 %.
    """

    place: np.ndarray
    ahead: np.ndarray
    right: np.ndarray
    down: np.ndarray
    focal_px: float
    width: int
    height: int
    distance_m: float
    measured: bool
    distance_error_m: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What a camera shows of spots, arrays (n,).

    Attributes:
        inside: bool, whether the spot is on the photograph, and seen from outside.
        x, y: its pixel, where it is inside.
        mm_per_pixel: in the direction in which a pixel shows most.
        oblique_deg: between the line of sight and the face's normal.
    """

    inside: np.ndarray
    x: np.ndarray
    y: np.ndarray
    mm_per_pixel: np.ndarray
    oblique_deg: np.ndarray


def camera_of(photo: PhotoRecord, frame: Frame) -> Camera | None:
    """The camera of a placed photograph (`crack_tf.photo.faces.is_placed`), else None."""
    distance = distance_of(photo)
    if distance is None or not photo.mm_per_pixel or not is_placed(photo):
        return None
    heading, pitch = math.radians(photo.heading_deg or 0.0), math.radians(photo.pitch_deg or 0.0)
    level = ahead_of(np.array([heading]))[0]
    ahead = math.cos(pitch) * level + (0, 0, math.sin(pitch))
    level_right = right_of(np.array([heading]))[0]
    level_down = np.cross(ahead, level_right)
    roll = math.radians(photo.roll_deg or 0.0)
    right = math.cos(roll) * level_right + math.sin(roll) * level_down
    east, north = frame.east_north(photo.latitude or 0.0, photo.longitude or 0.0)
    return Camera(
        place=np.array([east, north, photo.altitude_m or 0.0]),
        ahead=ahead,
        right=right,
        down=np.cross(ahead, right),
        focal_px=1000 * distance / photo.mm_per_pixel,
        width=photo.width,
        height=photo.height,
        distance_m=distance,
        measured=_has_distance(photo),
        distance_error_m=distance_error_of(photo),
    )


def before(camera: Camera, face: Face, frame: Frame, position_error_m: float) -> Camera | None:
    """The camera where its range puts it before a face; None if it does not look at the face.

    Where only the scale is known, the position has to say how far away the face is.

    Args:
        camera: as its position states.
        face: of the structure.
        frame: of both.
        position_error_m: of the camera; moved by more than twice that and the error of its range, it looks at something else.
    """
    reach = range_to(camera, face, frame)
    if reach is None:
        return None
    if not camera.measured:
        if not _CLOSEST_M <= reach <= MAX_DISTANCE_M:
            return None
        return replace(camera, focal_px=camera.focal_px * reach / camera.distance_m, distance_m=reach)
    move = (reach - camera.distance_m) * camera.ahead * (1, 1, 0)
    if np.linalg.norm(move) > 2 * position_error_m + camera.distance_error_m:
        return None
    return replace(camera, place=camera.place + move)


def range_to(camera: Camera, face: Face, frame: Frame) -> float | None:
    """Metres along the line of sight to a face, beyond its edges too; None where it looks past.

    Args:
        camera: of which place and axes count.
        face: of the structure.
        frame: of both.
    """
    east, north = frame.east_north(face.latitude, face.longitude)
    level = camera.ahead[:2] / np.linalg.norm(camera.ahead[:2])
    rise = float(np.linalg.norm(camera.ahead[:2]))
    there = np.array([east, north]) - camera.place[:2]
    if face.kind == RECTANGLE:
        normal = -ahead_of(np.array([math.radians(face.heading_deg)]))[0, :2]
        facing = -float(level @ normal)
        if facing < math.cos(math.radians(MAX_FACING_DEG)):
            return None
        return float(there @ normal / -facing) / rise
    radius = (face.diameter_m or 0.0) / 2
    along = float(there @ level)
    aside = float(np.hypot(*(there - along * level)))
    if aside >= radius * math.sin(math.radians(MAX_FACING_DEG)):
        return None
    return (along - math.sqrt(radius**2 - aside**2)) / rise


def see(camera: Camera, spots: Spots) -> Seen:
    """What the camera shows of spots of a face."""
    rays = spots.points - camera.place
    x, y, z = rays @ camera.right, rays @ camera.down, rays @ camera.ahead
    front = z > 1e-3
    z = np.where(front, z, 1.0)
    px, py = camera.width / 2 + camera.focal_px * x / z, camera.height / 2 + camera.focal_px * y / z
    cosine = -np.einsum("ni,ni->n", rays, spots.normals) / np.maximum(1e-9, np.linalg.norm(rays, axis=1))
    inside = front & (cosine > 1e-3) & (px >= 0) & (px < camera.width) & (py >= 0) & (py < camera.height)
    right, up = spots.right, np.array([0.0, 0.0, 1.0])
    # Pixels by metres along the face: x and y, each to the right and up.
    right_z, up_z = right @ camera.ahead, float(up @ camera.ahead)
    x_right, x_up = right @ camera.right * z - x * right_z, float(up @ camera.right) * z - x * up_z
    y_right, y_up = right @ camera.down * z - y * right_z, float(up @ camera.down) * z - y * up_z
    share = (camera.focal_px / z**2) ** 2
    total = (x_right**2 + x_up**2 + y_right**2 + y_up**2) * share
    area = (x_right * y_up - x_up * y_right) * share
    least = np.sqrt(np.maximum(1e-12, (total - np.sqrt(np.maximum(0.0, total**2 - 4 * area**2))) / 2))
    return Seen(inside, px, py, 1000 / least, np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def corners_on_wall(photo: PhotoRecord, frame: Frame, heading: float, beyond: float) -> np.ndarray:
    """Where the corners of a photograph lie on a wall: float (4, 2), metres to the right and altitude.

    Args:
        photo: that is placed.
        frame: of the wall.
        heading: in radians, of who faces the wall.
        beyond: metres of the wall from the frame's middle in that direction.
    """
    camera = camera_of(photo, frame)
    assert camera is not None
    ahead = ahead_of(np.array([heading]))[0]
    right = right_of(np.array([heading]))[0]
    x, y = camera.width / 2 / camera.focal_px, camera.height / 2 / camera.focal_px
    rays = np.array([camera.ahead + u * camera.right + v * camera.down for u in (-x, x) for v in (-y, y)])
    # As far before the wall as its range says.
    start = camera.place - ahead * (camera.place @ ahead - beyond) - ahead * camera.distance_m * (camera.ahead @ ahead)
    reach = np.maximum(rays @ ahead, 0.1)
    hits = start + rays * ((beyond - start @ ahead) / reach)[:, None]
    return np.c_[hits @ right, hits[:, 2]]
