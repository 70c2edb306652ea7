"""Flights that are nothing but geometry: cameras with noise before faces, and an own account of what each spot was seen like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.faces import CYLINDER, RECTANGLE, Face
from crack_tf.survey.findings import PhotoRecord
from tflite.place.fix import EARTH_M

WIDTH, HEIGHT, FOCAL = 4000, 3000, 8000.0
LAT, LON = 48.21, 16.42


@dataclass(frozen=True)
class Pose:
    """A true camera: metres east, north, up; radians; metres to what it looks at."""

    place: np.ndarray
    heading: float
    pitch: float
    distance: float


def record(
    number: int,
    pose: Pose,
    rng: np.random.Generator,
    position_m: float = 0.015,
    laser_m: float = 0.05,
    angle: float = 0.005,
) -> PhotoRecord:
    """What a drone with RTK and a laser would write of it; standard deviations in metres and radians as arguments."""
    east, north, up = pose.place + rng.normal(0, position_m, 3)
    distance = pose.distance + rng.normal(0, laser_m)
    return PhotoRecord(
        name=f"{number:04d}.jpg",
        sha256="0" * 64,
        width=WIDTH,
        height=HEIGHT,
        time=None,
        latitude=LAT + math.degrees(north / EARTH_M),
        longitude=LON + math.degrees(east / (EARTH_M * math.cos(math.radians(LAT)))),
        altitude_m=up,
        heading_deg=math.degrees(pose.heading + rng.normal(0, angle)) % 360,
        mm_per_pixel=1000 * distance / FOCAL,
        tiles=1,
        positives=0,
        findings=0,
        scale_source="laser",
        scale_error=0.1,
        distance_m=distance,
        pitch_deg=math.degrees(pose.pitch + rng.normal(0, angle)),
    )


def seen_as(points: np.ndarray, right: np.ndarray, normals: np.ndarray, pose: Pose) -> np.ndarray:
    """How a camera sees points of a surface: float (n, 2), millimetres a pixel where it shows most, and degrees off square; NaN unseen."""
    ahead = np.array([
        math.sin(pose.heading) * math.cos(pose.pitch), math.cos(pose.heading) * math.cos(pose.pitch), math.sin(pose.pitch)
    ])  # fmt: skip
    side = np.array([math.cos(pose.heading), -math.sin(pose.heading), 0.0])
    down = np.cross(ahead, side)

    def pixel(spots: np.ndarray) -> np.ndarray:
        rays = spots - pose.place
        depth = rays @ ahead
        depth = np.where(depth > 0, depth, np.nan)
        return np.c_[rays @ side / depth, rays @ down / depth] * FOCAL + (WIDTH / 2, HEIGHT / 2)

    here, step = pixel(points), 1e-4
    turns = np.stack([pixel(points + step * right) - here, pixel(points + step * np.array([0, 0, 1.0])) - here], axis=2)
    rays = points - pose.place
    cosine = -np.einsum("ni,ni->n", rays, normals) / np.linalg.norm(rays, axis=1)
    inside = ((here >= 0) & (here < (WIDTH, HEIGHT))).all(axis=1) & (cosine > 0)
    found = np.full((len(points), 2), np.nan)
    scales = np.linalg.svd(turns[inside], compute_uv=False)[:, 1]
    found[inside] = np.c_[1000 * step / scales, np.degrees(np.arccos(cosine[inside]))]
    return found


def wall_face(
    heading: float, width: float, height: float, corner: tuple[float, float] = (0.0, 0.0), name: str = "wall"
) -> Face:
    """A rectangle whose lower left corner lies at metres (east, north), at an altitude of 100 m."""
    latitude = LAT + math.degrees(corner[1] / EARTH_M)
    longitude = LON + math.degrees(corner[0] / (EARTH_M * math.cos(math.radians(LAT))))
    return Face(name, RECTANGLE, latitude, longitude, 100.0, math.degrees(heading) % 360, height, width_m=width)


def round_face(diameter: float, height: float) -> Face:
    """A cylinder about the origin."""
    return Face("pier", CYLINDER, LAT, LON, 100.0, 0.0, height, diameter_m=diameter)


def wall_points(
    rng: np.random.Generator,
    count: int,
    heading: float,
    width: float,
    height: float,
    corner: tuple[float, float] = (0.0, 0.0),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Random spots of `wall_face`: where along and up, points, their right, their normals."""
    spots = rng.uniform(0, 1, (count, 2)) * (width, height)
    side = np.array([math.cos(heading), -math.sin(heading), 0.0])
    points = spots[:, :1] * side + np.c_[np.tile(corner, (count, 1)), 100 + spots[:, 1]]
    normal = -np.array([math.sin(heading), math.cos(heading), 0.0])
    return spots, points, np.tile(side, (count, 1)), np.tile(normal, (count, 1))


def before_wall(
    heading: float,
    along: float,
    up: float,
    distance: float,
    pitch: float = 0.0,
    corner: tuple[float, float] = (0.0, 0.0),
) -> Pose:
    """A camera whose middle shows a spot of `wall_face`."""
    side, ahead = np.array([math.cos(heading), -math.sin(heading)]), np.array([math.sin(heading), math.cos(heading)])
    level = np.array(corner) + along * side - distance * math.cos(pitch) * ahead
    return Pose(np.array([*level, 100 + up - distance * math.sin(pitch)]), heading, pitch, distance)
