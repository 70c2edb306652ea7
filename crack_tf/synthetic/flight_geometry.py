"""Where the cameras of a drawn flight really are, and what each shows of its face: the truth that a survey is held against.

A face is a wall (`crack_tf.synthetic.wall`) that is flat, or wound around a round pier. Its own axes, in metres: to the right of who
faces it, down, and ahead into it; a flat wall lies at ahead = 0, and so does the foremost line of a round one. Nothing here is shared with
the survey, which has to come to the same by what the photographs say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from crack_tf.synthetic.flight_plan import ROUND, Plan

_TILT_DEG = 0.6  # standard deviation
_SHAKE = 6.0  # pixels, standard deviation of where the camera really looks
_EARTH_M = 6_371_008.8  # mean radius
START = datetime(2025, 6, 1, 9, 30, tzinfo=UTC)
_SECONDS = 4  # between two photographs
_BETWEEN_PIERS_M = 30.0
_TOP_M = 165.0  # altitude of the wall's upper edge
_FARTHER = 2.0  # times the distance
_YEAR = timedelta(days=365)  # between two epochs
# A later flight is flown by another hand: times the distance, degrees beside square, and how many times less steadily.
_LATER_DISTANCES, _LATER_FACING_DEG, _LATER_SHAKE = (0.9, 1.25), 4.0, 6.0


@dataclass(frozen=True)
class Surface:
    """A face of a pier.

    Attributes:
        name: for people.
        pier: number of the pier, from 0.
        heading_deg: where one looks who faces it (its middle, where it is round).
        right_m, ahead_m: of its own origin from the flight's, along its own axes.
    """

    name: str
    pier: int
    heading_deg: float
    right_m: float
    ahead_m: float


@dataclass(frozen=True)
class Shot:
    """One photograph: where the camera is, and what it says about that.

    Attributes:
        name: of its file.
        face: number of the face that it looks at.
        pier: number of the pier, from 0.
        centre: (x, y) that the camera looks at, pixels of the wall.
        tilt: of the camera, radians, clockwise.
        time: of the exposure.
        latitude, longitude, altitude_m: of the camera, as measured.
        heading_deg: of the camera, as measured.
        pitch: of the camera above the horizon, radians.
        yaw: of the camera to the right of square, radians.
        distance_m: to the wall in the middle of the photograph.
        range_m: the same as a laser measured it; None without one.
        said_pitch: as measured, radians.
        smeared: whether the camera moved.
    """

    name: str
    face: int
    pier: int
    centre: tuple[float, float]
    tilt: float
    time: datetime
    latitude: float
    longitude: float
    altitude_m: float
    heading_deg: float
    pitch: float = 0.0
    yaw: float = 0.0
    distance_m: float = 2.0
    range_m: float | None = None
    said_pitch: float = 0.0
    smeared: bool = False

    def level_to_wall(self, width: int, height: int) -> np.ndarray:
        """Affine (2, 3): pixels of the photograph to pixels of a flat wall, if the camera looks at it squarely from the plan's distance."""
        c, s = math.cos(self.tilt), math.sin(self.tilt)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[c, -s, self.centre[0] - c * x + s * y], [s, c, self.centre[1] - s * x - c * y]])


@dataclass(frozen=True)
class Pose:
    """A camera before its face, in the face's axes.

    Attributes:
        place: float (3,), metres.
        turn: float (3, 3), columns are where the camera's right, down and ahead point.
    """

    place: np.ndarray
    turn: np.ndarray


def dice(plan: Plan, *key: int) -> np.random.Generator:
    """Random numbers of one kind, other ones in each epoch; those of the first flight are what they always were."""
    return np.random.default_rng([plan.seed, *key, *([plan.epoch] if plan.epoch else [])])


def focal_px(plan: Plan) -> float:
    """Focal length of the camera in pixels."""
    return 1000 * plan.distance_m / plan.mm_per_pixel


def surfaces(plan: Plan, heading_deg: float) -> list[Surface]:
    """The faces of a flight; the first of each pier is faced by who looks along the heading."""
    found = []
    for pier in range(plan.piers):
        name = f"pier {pier + 1}"
        if plan.sides == 1:
            found.append(Surface(name, pier, heading_deg, pier * _BETWEEN_PIERS_M, 0.0))
            continue
        found.append(Surface(f"{name}, front", pier, heading_deg, pier * _BETWEEN_PIERS_M, 0.0))
        # Round the corner one looks to the left, and what was ahead lies to the right. The two faces share an edge.
        left, right = (edge * plan.mm_per_pixel / 1000 for edge in (plan.pier.x, plan.pier.x + plan.pier.w))
        corner = pier * _BETWEEN_PIERS_M + right
        found.append(Surface(f"{name}, side", pier, (heading_deg - 90) % 360, -left, -corner))
    return found


def shots(plan: Plan) -> tuple[list[Surface], list[Shot]]:
    """The faces of a flight, and the photographs that were taken of them."""
    rng = np.random.default_rng([plan.seed, 2])
    heading = float(rng.uniform(0, 360))
    later = dice(plan, 8)
    if plan.epoch:  # the walls stay where they are
        rng = dice(plan, 2)
    nearer = float(later.uniform(*_LATER_DISTANCES)) if plan.epoch else 1.0
    shake = _SHAKE * (_LATER_SHAKE if plan.epoch else 1.0)
    # Of their own, so that a plan without a laser draws what it always drew.
    gimbal, angles = dice(plan, 4), dice(plan, 5)
    odd = dice(plan, 6).permutation(plan.photographs).tolist()
    missed, rest = set(odd[: plan.missed]), odd[plan.missed :]
    smeared, far = set(rest[: plan.blurred]), set(rest[plan.blurred : plan.blurred + plan.far])
    faces = surfaces(plan, heading)
    found: list[Shot] = []
    for number, (face, row, column) in enumerate(np.ndindex(len(faces), plan.rows, plan.columns)):
        surface = faces[face]
        left, top = plan.upper_left(row, column)
        x = left + plan.width / 2 + rng.normal(0, shake)
        y = top + plan.height / 2 + rng.normal(0, shake)
        pitch = math.radians(gimbal.normal(0, 1) * plan.pitch_deg)
        range_error = gimbal.normal(0, 1) * (plan.laser_noise_m or 0.0)
        yaw = math.radians(angles.normal(0, 1) * plan.facing_deg)
        if plan.epoch:
            yaw += math.radians(later.normal(0, _LATER_FACING_DEG))
        said_yaw, said_pitch = angles.normal(0, 1, 2) * plan.gimbal_noise_deg
        distance = plan.distance_m * nearer * (_FARTHER if number in far else 1.0)
        place = _place(plan, (x, y), yaw, pitch, distance)
        right = surface.right_m + float(place[0]) + rng.normal(0, plan.gps_noise_m)
        ahead = surface.ahead_m + float(place[2]) + rng.normal(0, plan.gps_noise_m)
        latitude, longitude = move(plan.latitude, plan.longitude, surface.heading_deg, ahead, right)
        shot = Shot(
            name=f"IMG_{number + 1:04d}.jpg",
            face=face,
            pier=surface.pier,
            centre=(x, y),
            tilt=math.radians(rng.normal(0, _TILT_DEG)),
            time=START + plan.epoch * _YEAR + timedelta(seconds=_SECONDS * number + 60 * surface.pier),
            latitude=latitude,
            longitude=longitude,
            altitude_m=_TOP_M - float(place[1]) + rng.normal(0, plan.gps_noise_m),
            heading_deg=(surface.heading_deg + math.degrees(_around(plan, x) + yaw) + said_yaw) % 360,
            pitch=pitch,
            yaw=yaw,
            distance_m=distance,
            range_m=None if plan.laser_noise_m is None else distance + range_error,
            said_pitch=pitch + math.radians(said_pitch),
            smeared=number in smeared,
        )
        if number not in missed:
            found.append(shot)
    return faces, found


def move(latitude: float, longitude: float, heading_deg: float, ahead_m: float, right_m: float) -> tuple[float, float]:
    """A place some metres away, on a sphere that is flat that near.

    Args:
        latitude, longitude: degrees, from where.
        heading_deg: of who looks ahead, clockwise from north.
        ahead_m, right_m: metres.

    Returns:
        Latitude, and longitude in [-180, 180).
    """
    c, s = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    north, east = ahead_m * c - right_m * s, ahead_m * s + right_m * c
    lat = latitude + math.degrees(north / _EARTH_M)
    lon = longitude + math.degrees(east / (_EARTH_M * math.cos(math.radians(latitude))))
    return lat, (lon + 180) % 360 - 180


def pose_of(plan: Plan, shot: Shot) -> Pose:
    """The true camera of a photograph."""
    theta = _around(plan, shot.centre[0]) + shot.yaw
    ahead = _ahead(theta, shot.pitch)
    right = np.array([math.cos(theta), 0.0, -math.sin(theta)])
    down = np.cross(ahead, right)
    c, s = math.cos(shot.tilt), math.sin(shot.tilt)
    turn = np.column_stack([c * right + s * down, c * down - s * right, ahead])
    return Pose(_place(plan, shot.centre, shot.yaw, shot.pitch, shot.distance_m), turn)


def is_square(plan: Plan, shot: Shot) -> bool:
    """Whether a camera looks squarely at a flat wall from the plan's distance: pixels of the photograph are pixels of the wall."""
    return plan.shape != ROUND and shot.pitch == shot.yaw == 0 and shot.distance_m == plan.distance_m


def on_surface(plan: Plan, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels of the wall, float (n, 2), are in the face's axes, and unit normals out of it: float (n, 3) each."""
    scale = plan.mm_per_pixel / 1000
    along, down = np.asarray(places, float).T * scale
    flat = np.zeros(len(along))
    radius = plan.radius_m
    if radius is None:
        return np.c_[along, down, flat], np.tile([0.0, 0.0, -1.0], (len(along), 1))
    middle = math.pi * radius
    angle = (along - middle) / radius
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.c_[middle + radius * sine, down, radius * (1 - cosine)], np.c_[sine, flat, -cosine]


def to_photo(plan: Plan, shot: Shot, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a photograph at which it shows pixels of the wall.

    Args:
        plan: of the flight.
        shot: the photograph.
        places: float (n, 2).

    Returns:
        float (n, 2), and the cosine of the angle between the line of sight and the face's normal, float (n,): at most 0 where the face
        turns its back. Both are NaN behind the camera.
    """
    pose = pose_of(plan, shot)
    points, normals = on_surface(plan, places)
    rays = points - pose.place
    x, y, depth = (rays @ pose.turn).T
    depth = np.where(depth > 1e-6, depth, np.nan)
    pixels = focal_px(plan) * np.c_[x / depth, y / depth] + ((plan.width - 1) / 2, (plan.height - 1) / 2)
    cosine = -np.einsum("ni,ni->n", rays, normals) / np.linalg.norm(rays, axis=1)
    return pixels, np.where(np.isnan(depth), np.nan, cosine)


def to_wall(plan: Plan, shot: Shot, pixels: np.ndarray) -> np.ndarray:
    """Pixels of the wall, float (n, 2), that pixels of a photograph, float (n, 2), show; NaN beside a round pier.

    Those of a round pier go on beyond its back: from less than 0 to more than its circumference.
    """
    pose, radius, scale = pose_of(plan, shot), plan.radius_m, plan.mm_per_pixel / 1000
    offsets = (np.asarray(pixels, float) - ((plan.width - 1) / 2, (plan.height - 1) / 2)) / focal_px(plan)
    rays = np.c_[offsets, np.ones(len(offsets))] @ pose.turn.T
    if radius is None:
        with np.errstate(divide="ignore"):
            reach = -pose.place[2] / rays[:, 2]
        reach = np.where(reach > 0, reach, np.nan)
        return np.asarray((pose.place + rays * reach[:, None])[:, :2] / scale)
    # The nearer of the two places where a ray meets the cylinder around (middle, radius).
    middle = math.pi * radius
    start = pose.place[[0, 2]] - (middle, radius)
    level = rays[:, [0, 2]]
    a, b, c = (level**2).sum(axis=1), level @ start, start @ start - radius**2
    root = b**2 - a * c
    with np.errstate(invalid="ignore"):
        reach = (-b - np.sqrt(np.where(root >= 0, root, np.nan))) / a
    x, z = (start + level * reach[:, None]).T
    angle = np.arctan2(x, -z)
    # Of the many windings, the one before the camera.
    here = (shot.centre[0] * scale - middle) / radius
    angle = here + (angle - here + math.pi) % (2 * math.pi) - math.pi
    return np.c_[(middle + radius * angle) / scale, (pose.place[1] + rays[:, 1] * reach) / scale]


def homography(plan: Plan, shot: Shot) -> np.ndarray | None:
    """(3, 3): pixels of the photograph to pixels of a flat wall; None of a round pier."""
    if plan.radius_m is not None:
        return None
    if is_square(plan, shot):
        return np.vstack([shot.level_to_wall(plan.width, plan.height), [0, 0, 1]])
    pose, scale = pose_of(plan, shot), plan.mm_per_pixel / 1000
    x, y, z = pose.place
    hit = np.array([[-z / scale, 0, x / scale], [0, -z / scale, y / scale], [0, 0, 1]])
    focal = focal_px(plan)
    rays = np.array(
        [[1 / focal, 0, -(plan.width - 1) / 2 / focal], [0, 1 / focal, -(plan.height - 1) / 2 / focal], [0, 0, 1]]
    )
    return np.asarray(hit @ pose.turn @ rays)


def _around(plan: Plan, x: float) -> float:
    """How far one turns to the right, radians, to face a pixel of the wall squarely: around a round pier, to the left."""
    radius = plan.radius_m
    return 0.0 if radius is None else -(x * plan.mm_per_pixel / 1000 / radius - math.pi)


def _ahead(theta: float, pitch: float) -> np.ndarray:
    return np.array([math.sin(theta) * math.cos(pitch), -math.sin(pitch), math.cos(theta) * math.cos(pitch)])


def _place(plan: Plan, centre: tuple[float, float], yaw: float, pitch: float, distance: float) -> np.ndarray:
    """Where the camera is that looks at a pixel of the wall from there, float (3,)."""
    points, _ = on_surface(plan, np.array([centre]))
    return np.asarray(points[0] - distance * _ahead(_around(plan, centre[0]) + yaw, pitch))
