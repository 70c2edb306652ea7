"""How far away a wall is, by photographs of it that overlap, taken from positions that are known: a bundle adjustment with one plane.

What two photographs show in common says how far their cameras stand apart in pixels, their positions say it in metres. Directions that are
off by a degree look much like positions that are off by centimetres, so everything is estimated together: the wall (its direction,
how much it leans, how far away it is), and of each camera its position and its direction, which are held by what is known of them. The
covariance of all of it says how sure each camera's distance is: little with a short baseline, a narrow lens or poor positions.

    found = fit_plane(poses, matches, position_error_m=0.04)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crack_tf.photo.view import GIMBAL_ERROR_DEG

LEAN_ERROR_DEG = 2.0  # standard deviation: walls are upright, piers may taper
COMPASS_ERROR_DEG = 5.0  # the same, of what all headings are off by together
MATCH_ERROR = 1e-3  # of a photograph's longer side: what one place on two photographs is off by, at least
_HUBER = 2.0  # of these; farther off, a match counts for less
_FLAT = 3.0  # of these; where matches are off by more, there is no plane
_STEPS, _SETTLED, _FREE = 40, 1e-7, 1e-9
_WALL, _CAMERA = 4, 6  # unknowns: turn, lean, distance, compass; of a camera 3 of its place and heading, pitch, roll
_AT_ONCE = 256  # cameras whose distances' variances are found together


@dataclass(frozen=True)
class Pose:
    """A camera as it says that it stands.

    Attributes:
        east, north, up: metres.
        heading_deg, pitch_deg, roll_deg: clockwise from north, above the horizon, clockwise as seen from behind.
        focal_px: focal length in pixels of its photograph.
        side_px: longer side of the photograph.
    """

    east: float
    north: float
    up: float
    heading_deg: float
    pitch_deg: float
    roll_deg: float
    focal_px: float
    side_px: float


@dataclass(frozen=True)
class Match:
    """What two photographs show in common.

    Attributes:
        one, other: numbers of the photographs.
        places, others: float (n, 2) each, pixels to the right of and below the middle of either, of the same spots.
    """

    one: int
    other: int
    places: np.ndarray
    others: np.ndarray


@dataclass(frozen=True)
class PlaneFit:
    """A wall before cameras.

    Attributes:
        distance_m: float (n,), along each camera's line of sight.
        error_m: float (n,), their standard deviations.
        residual: what matches are off by in the middle, as a share of a photograph's longer side.
    """

    distance_m: np.ndarray
    error_m: np.ndarray
    residual: float

    @property
    def is_flat(self) -> bool:
        """Whether one plane explains what the photographs show."""
        return self.residual <= _FLAT * MATCH_ERROR


def fit_plane(poses: Sequence[Pose], matches: Sequence[Match], position_error_m: float) -> PlaneFit | None:
    """Fit the wall that cameras look at.

    Args:
        poses: of cameras that look at one wall, about the same way.
        matches: of their photographs; each camera is in one, and all hang together.
        position_error_m: standard deviation of each coordinate of a position.

    Returns:
        None where no wall lies before the cameras.
    """
    problem = _Problem(poses, matches, position_error_m)
    start = problem.first_distance()
    if start is None:
        return None
    state = np.zeros(problem.size)
    state[2] = start
    damping, cost = 1e-3, problem.cost(state)
    for _ in range(_STEPS):
        normal, gradient = problem.normal(state)
        moved = state - problem.solve(normal, gradient, damping)
        better = problem.cost(moved)
        if not math.isfinite(better) or better > cost:
            damping *= 10
            if damping > 1e8:
                break
            continue
        # Damped, a step hardly moves what is known least, which is the distance.
        done = cost - better <= _SETTLED * cost and damping < _FREE
        state, cost, damping = moved, better, damping / 10
        if done:
            break
    return problem.result(state)


class _Problem:
    """The unknowns in one array: those of the wall, then those of each camera as they differ from what it says."""

    def __init__(self, poses: Sequence[Pose], matches: Sequence[Match], position_error_m: float) -> None:
        self._places = np.array([(pose.east, pose.north, pose.up) for pose in poses])
        self._middle = self._places.mean(axis=0)
        self._places = self._places - self._middle
        self._angles = np.radians([(pose.heading_deg, pose.pitch_deg, pose.roll_deg) for pose in poses])
        looks = self._angles[:, 0]
        self._looks = math.atan2(np.sin(looks).sum(), np.cos(looks).sum())
        self._focal = np.array([pose.focal_px for pose in poses])
        self._side = np.array([pose.side_px for pose in poses])
        self._one = np.concatenate([np.full(len(match.places), match.one) for match in matches])
        self._other = np.concatenate([np.full(len(match.places), match.other) for match in matches])
        self._seen = np.concatenate([match.places for match in matches]).astype(float)
        self._seen_there = np.concatenate([match.others for match in matches]).astype(float)
        self.size = _WALL + _CAMERA * len(poses)
        gimbal = math.radians(GIMBAL_ERROR_DEG)
        wall = [math.inf, math.radians(LEAN_ERROR_DEG), math.inf, math.radians(COMPASS_ERROR_DEG)]
        camera = [position_error_m] * 3 + [gimbal] * 3
        self._held = 1 / np.array(wall + camera * len(poses)) ** 2

    def first_distance(self) -> float | None:
        """Metres of the wall ahead of the cameras' middle, if all directions were right: what most matches say."""
        none = np.zeros((len(self._focal), _CAMERA))
        normal = self._normal(0.0, 0.0)
        ends = []
        for numbers, seen in ((self._one, self._seen), (self._other, self._seen_there)):
            rays = self._rays(numbers, seen, none[numbers], 0.0)
            across = rays / (rays @ normal)[:, None]
            place = self._places[numbers]
            ends.append((across, place - across * (place @ normal)[:, None]))
        # Both lines of sight meet the wall at one place: across * distance + start.
        slope, start = ends[0][0] - ends[1][0], ends[1][1] - ends[0][1]
        square = (slope**2).sum(axis=1)
        if not square.any():
            return None
        distances = (slope * start).sum(axis=1) / np.maximum(square, 1e-12)
        order = np.argsort(distances)
        weights = np.cumsum(square[order])
        found = float(distances[order][np.searchsorted(weights, weights[-1] / 2)])
        return found if found > float((self._places @ normal).max()) else None

    def cost(self, state: np.ndarray) -> float:
        """Half the sum of squares, of which those of matches far off grow like the distance alone."""
        off = np.hypot(*self._residuals(state).T)
        inner = np.minimum(off, _HUBER)
        return float((inner * (off - inner / 2)).sum() + (self._held * state**2).sum() / 2)

    def normal(self, state: np.ndarray) -> tuple[Any, np.ndarray]:
        """Sparse matrix of the normal equations, and the gradient."""
        from scipy import sparse

        residuals = self._residuals(state)
        off = np.hypot(*residuals.T)
        weights = np.where(off <= _HUBER, 1.0, _HUBER / np.maximum(off, 1e-12))
        jacobian = self._jacobian(state)
        weighted = jacobian.multiply(np.repeat(weights, 2)[:, None]).tocsr()
        matrix = (jacobian.T @ weighted + sparse.diags(self._held)).tocsc()
        return matrix, weighted.T @ residuals.ravel() + self._held * state

    def _information(self, state: np.ndarray, off: np.ndarray) -> Any:
        """The inverse of the covariance, sparse: by what matches are really off by, and how many are false (Huber's proposal)."""
        from scipy import sparse

        far = off > _HUBER
        steep = float(np.where(far, _HUBER / np.maximum(off, 1e-12) / 2, 1.0).mean())
        spread = float((np.minimum(off, _HUBER) ** 2).mean()) / 2
        jacobian = self._jacobian(state)
        return ((jacobian.T @ jacobian) / max(1.0, spread / steep**2) + sparse.diags(self._held)).tocsc()

    def _jacobian(self, state: np.ndarray) -> Any:
        """Derivatives of the residuals, sparse (2 n, unknowns)."""
        from scipy import sparse

        wall, cameras = self._parts(state)
        residuals = self._residuals(state)
        count = len(residuals)
        columns, values = [], []
        for place in range(_WALL + 2 * _CAMERA):
            shifted = [wall, cameras[self._one], cameras[self._other]]
            if place < _WALL:
                shifted[0] = wall.copy()
                shifted[0][place] += _STEP
                columns.append(np.full(count, place))
            else:
                which, part = divmod(place - _WALL, _CAMERA)
                shifted[1 + which] = shifted[1 + which].copy()
                shifted[1 + which][:, part] += _STEP
                columns.append(_WALL + _CAMERA * (self._one, self._other)[which] + part)
            values.append((self._project(*shifted) - residuals) / _STEP)
        rows = np.arange(2 * count).reshape(count, 2)
        return sparse.csr_matrix(
            (
                np.concatenate([value.ravel() for value in values]),
                (np.tile(rows.ravel(), len(values)), np.concatenate([np.repeat(column, 2) for column in columns])),
            ),
            shape=(2 * count, self.size),
        )

    def solve(self, matrix: Any, gradient: np.ndarray, damping: float) -> np.ndarray:
        """A step."""
        from scipy import sparse
        from scipy.sparse.linalg import spsolve

        return np.asarray(spsolve(matrix + damping * sparse.diags(matrix.diagonal()), gradient))

    def result(self, state: np.ndarray) -> PlaneFit | None:
        """Distances and how sure they are."""
        from scipy.sparse.linalg import splu

        wall, cameras = self._parts(state)
        distance = self._distance(wall, cameras)
        if not (np.isfinite(distance).all() and (distance > 0).all()):
            return None
        off = np.hypot(*self._residuals(state).T)
        residual = float(np.median(off)) * MATCH_ERROR
        solver = splu(self._information(state, off))
        count = len(distance)
        steps = np.zeros((count, _WALL + _CAMERA))
        for place in range(_WALL + _CAMERA):
            shifted, moved = wall.copy(), cameras.copy()
            if place < _WALL:
                shifted[place] += _STEP
            else:
                moved[:, place - _WALL] += _STEP
            steps[:, place] = (self._distance(shifted, moved) - distance) / _STEP
        variance = np.empty(count)
        for first in range(0, count, _AT_ONCE):
            numbers = np.arange(first, min(count, first + _AT_ONCE))
            gradients = np.zeros((self.size, len(numbers)))
            gradients[:_WALL] = steps[numbers, :_WALL].T
            for part in range(_CAMERA):
                gradients[_WALL + _CAMERA * numbers + part, np.arange(len(numbers))] = steps[numbers, _WALL + part]
            variance[numbers] = (gradients * solver.solve(gradients)).sum(axis=0)
        return PlaneFit(distance, np.sqrt(np.maximum(0.0, variance)), residual)

    def _parts(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return state[:_WALL], state[_WALL:].reshape(-1, _CAMERA)

    def _residuals(self, state: np.ndarray) -> np.ndarray:
        wall, cameras = self._parts(state)
        return self._project(wall, cameras[self._one], cameras[self._other])

    def _project(self, wall: np.ndarray, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """What matches are off by on the other photograph, in errors of a match: float (n, 2)."""
        normal = self._normal(wall[0], wall[1])
        place = self._places[self._one] + ones[:, :3]
        rays = self._rays(self._one, self._seen, ones, wall[3])
        spots = place + rays * ((wall[2] - place @ normal) / (rays @ normal))[:, None]
        there = spots - self._places[self._other] - others[:, :3]
        right, down, ahead = self._axes(self._other, others, wall[3])
        depth = np.einsum("ni,ni->n", there, ahead)
        depth = np.where(depth > 1e-6, depth, 1e-6)
        seen = np.stack([np.einsum("ni,ni->n", there, axis) for axis in (right, down)], axis=1) / depth[:, None]
        off = seen * self._focal[self._other][:, None] - self._seen_there
        return np.asarray(off / (MATCH_ERROR * self._side[self._other])[:, None])

    def _distance(self, wall: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        normal = self._normal(wall[0], wall[1])
        ahead = self._axes(np.arange(len(cameras)), cameras, wall[3])[2]
        return np.asarray((wall[2] - (self._places + cameras[:, :3]) @ normal) / (ahead @ normal))

    def _normal(self, turn: float, lean: float) -> np.ndarray:
        """Unit vector into the wall."""
        heading = self._looks + turn
        level = math.cos(lean)
        return np.array([math.sin(heading) * level, math.cos(heading) * level, math.sin(lean)])

    def _rays(self, numbers: np.ndarray, seen: np.ndarray, cameras: np.ndarray, compass: float) -> np.ndarray:
        right, down, ahead = self._axes(numbers, cameras, compass)
        x, y = (seen / self._focal[numbers][:, None]).T
        return np.asarray(ahead + x[:, None] * right + y[:, None] * down)

    def _axes(self, numbers: np.ndarray, cameras: np.ndarray, compass: float) -> tuple[np.ndarray, ...]:
        """Where cameras' right, down and ahead point, float (n, 3) each; as `crack_tf.survey.geometry.footprint.camera_of` has it."""
        heading, pitch, roll = (self._angles[numbers] + cameras[:, 3:]).T
        heading = heading + compass
        sine, cosine = np.sin(heading), np.cos(heading)
        ahead = np.stack([sine * np.cos(pitch), cosine * np.cos(pitch), np.sin(pitch)], axis=1)
        level = np.stack([cosine, -sine, np.zeros_like(sine)], axis=1)
        below = np.cross(ahead, level)
        right = np.cos(roll)[:, None] * level + np.sin(roll)[:, None] * below
        return right, np.cross(ahead, right), ahead


_STEP = 1e-6  # radians or metres, of derivatives
