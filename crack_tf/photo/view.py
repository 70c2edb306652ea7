"""How a photograph shows a surface that it was not taken straight at: a scale for every spot and direction, and its error.

The camera is a pinhole. Its axis meets the surface `distance` away, in the middle of the photograph; there, across the tilt, a pixel
shows distance / focal length, which is `View.mm_per_pixel`. Elsewhere, and along the tilt, it shows more or less (a homography). The
surface is flat, or an upright cylinder, which is then unrolled.

A crack's length is scaled along the crack, its width across: where the map has the derivative J, a piece of crack in direction t
grows by |J t| in length, and since areas grow by det J, by det J / |J t| in width.

    view = View(4000, 3000, 0.2, focal_px=3000, tilt_deg=-20)
    scales = view.measure([[(100, 200), (900, 260)]])
    print(500 * scales.length, 4 * scales.width, scales.error)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

TWO_SIDED = 1.96  # standard deviations on either side hold 95 %
# Gimbals hold their angles to a tenth of a degree; the rest is that of walls: piers taper, and abutments lean.
GIMBAL_ERROR_DEG = 2.0
# Nobody knows how squarely a pilot faces a wall. Seen beside the wall, ten degrees are conspicuous: two standard deviations.
FACING_ERROR_DEG = 5.0
# Recall of narrow cracks is 1.00 there, and was 0.92 at 60 with an earlier default: docs/coverage.md.
MAX_OBLIQUE_DEG = 45.0
MAX_WALL_PITCH_DEG = 45.0  # steeper, a camera rather looks at a deck, from above or below
NEAR_PX = 40.0  # of the widest place of a crack, whose direction counts there
_NEAREST = 0.05  # of the cosine to the surface; what is seen flatter than that reaches the horizon


@dataclass(frozen=True)
class Scales:
    """A stretch of a photograph in millimetres.

    Attributes:
        length, width: millimetres per pixel along and across it, means over its length.
        error: half the width of the interval that holds 95 %, as a share of either; None where nobody knows.
    """

    length: float
    width: float
    error: float | None


@dataclass(frozen=True)
class View:
    """How a photograph shows a surface.

    Attributes:
        image_width, image_height: in pixels.
        mm_per_pixel: in the middle of the photograph, across the tilt.
        focal_px: in pixels of this photograph; None takes the scale for the same everywhere.
        tilt_deg: of the camera against the surface's normal, upwards; 0 looks straight at it.
        pan_deg: the same to the right.
        error: standard deviation of `mm_per_pixel` as a share of it, by range and focal length; None where nobody knows.
        tilt_error_deg, pan_error_deg: standard deviations.
        radius_mm: of the upright cylinder that the surface is, seen from outside; None of a flat one.
    """

    image_width: int
    image_height: int
    mm_per_pixel: float
    focal_px: float | None = None
    tilt_deg: float = 0.0
    pan_deg: float = 0.0
    error: float | None = None
    tilt_error_deg: float = GIMBAL_ERROR_DEG
    pan_error_deg: float = FACING_ERROR_DEG
    radius_mm: float | None = None

    def to_surface(self, points: np.ndarray) -> np.ndarray:
        """Where pixels lie on the surface.

        Args:
            points: float (n, 2), x and y in pixels; the middle of the photograph is half its width and height.

        Returns:
            float (n, 2), millimetres to the right and down from the spot straight before the camera; around a cylinder from the spot
            in the middle of the photograph. NaN for what lies at or beyond the horizon.
        """
        offsets = np.asarray(points, float) - (self.image_width / 2, self.image_height / 2)
        if self.focal_px is None:
            return np.asarray(offsets * self.mm_per_pixel)
        if self.radius_mm is not None:
            hits = self._around(offsets)[0]
            return np.c_[self.radius_mm * np.arctan2(hits[:, 0], self.radius_mm - hits[:, 2]), hits[:, 1]]
        turn = self._turn()
        rays = np.c_[offsets / self.focal_px, np.ones(len(offsets))] @ turn.T
        ahead = np.where(rays[:, 2] > _NEAREST, rays[:, 2], np.nan)
        return np.asarray(self.mm_per_pixel * self.focal_px * turn[2, 2] * rays[:, :2] / ahead[:, None])

    def derivative(self, points: np.ndarray) -> np.ndarray:
        """Derivative of `to_surface`: float (n, 2, 2), millimetres (right, down) by pixels (x, y)."""
        offsets = np.asarray(points, float) - (self.image_width / 2, self.image_height / 2)
        if self.focal_px is None:
            return np.broadcast_to(self.mm_per_pixel * np.eye(2), (len(offsets), 2, 2))
        turn = self._turn()
        if self.radius_mm is not None:
            _, rays, reach, normals = self._around(offsets)
            steps = np.repeat(turn[None, :, :2], len(offsets), axis=0) / self.focal_px  # of a ray, by pixels
            slower = np.einsum("ni,nik->nk", normals, steps) / np.einsum("ni,ni->n", normals, rays)[:, None]
            moved = reach[:, None, None] * (steps - rays[:, :, None] * slower[:, None, :])
            # Along the cylinder's tangent, and down.
            across = -normals[:, 2, None] * moved[:, 0] + normals[:, 0, None] * moved[:, 2]
            return np.stack([across, moved[:, 1]], axis=1)
        rays = np.c_[offsets / self.focal_px, np.ones(len(offsets))] @ turn.T
        ahead = np.where(rays[:, 2] > _NEAREST, rays[:, 2], np.nan)[:, None, None]
        grown = turn[None, :2, :2] * ahead - rays[:, :2, None] * turn[None, 2:, :2]
        return np.asarray(self.mm_per_pixel * turn[2, 2] * grown / ahead**2)

    def measure(
        self, lines: Sequence[Sequence[tuple[float, float]]], near: tuple[float, float] | None = None
    ) -> Scales | None:
        """The scales along and across lines of a photograph, or None where they lie at the horizon.

        Args:
            lines: polylines (x, y) in pixels, such as a crack's outline, which runs along it twice.
            near: take the steps of the lines within `NEAR_PX` of that spot only, if there are any.
        """
        middles, steps = _steps(lines)
        if self.focal_px is None:
            return Scales(self.mm_per_pixel, self.mm_per_pixel, None)
        if near is not None:
            close = np.hypot(*(middles - near).T) <= NEAR_PX
            middles, steps = (middles[close], steps[close]) if close.any() else (middles, steps)
        seen = np.isfinite(self.derivative(middles)).all(axis=(1, 2))
        if not seen.any():
            return None
        middles, steps = middles[seen], steps[seen]
        length, width = self._means(middles, steps)
        if self.error is None:
            return Scales(length, width, None)
        parts = [TWO_SIDED * self.error]
        for name, spread in (("tilt_deg", self.tilt_error_deg), ("pan_deg", self.pan_error_deg)):
            changes = []
            for sign in (-1, 1):
                turned = replace(self, **{name: getattr(self, name) + sign * TWO_SIDED * spread})
                found = turned._means(middles, steps)
                changes += [abs(found[0] / length - 1), abs(found[1] / width - 1)]
            parts.append(max(changes))
        error = math.hypot(*parts)
        return Scales(length, width, error if math.isfinite(error) else None)

    def across(self, points: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Millimetres per pixel across a line, float (n,); NaN beyond the horizon.

        Args:
            points: float (n, 2), x and y on it.
            along: float (n, 2), its direction there.
        """
        found = self.derivative(points)
        lengths = np.hypot(along[:, 0], along[:, 1])
        grown = np.linalg.norm(np.einsum("nij,nj->ni", found, along), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.linalg.det(found) * lengths / grown)

    def coarsest(self, points: np.ndarray) -> np.ndarray:
        """Millimetres per pixel in the direction in which a pixel shows most, float (n,); NaN beyond the horizon."""
        found = self.derivative(points)
        seen = np.isfinite(found).all(axis=(1, 2))
        worst = np.full(len(found), np.nan)
        worst[seen] = np.linalg.svd(found[seen], compute_uv=False)[:, 0]
        return worst

    def obliqueness(self, points: np.ndarray) -> np.ndarray:
        """Degrees between the line of sight and the surface's normal, float (n,)."""
        offsets = np.asarray(points, float) - (self.image_width / 2, self.image_height / 2)
        if self.focal_px is None:
            return np.zeros(len(offsets))
        rays = np.c_[offsets / self.focal_px, np.ones(len(offsets))]
        if self.radius_mm is not None:
            _, turned, _, normals = self._around(offsets)
            cosine = -np.einsum("ni,ni->n", turned, normals) / np.linalg.norm(turned, axis=1)
            return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        cosine = rays @ self._turn()[2] / np.linalg.norm(rays, axis=1)
        return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def _means(self, middles: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
        if self.tilt_deg == self.pan_deg == 0 and self.radius_mm is None:
            return self.mm_per_pixel, self.mm_per_pixel
        found = self.derivative(middles)
        if self.radius_mm is not None:  # turned by its error, a camera may see less of a narrow pier
            seen = np.isfinite(found).all(axis=(1, 2))
            found, steps = found[seen], steps[seen]
        weights = np.hypot(steps[:, 0], steps[:, 1])
        along = np.linalg.norm(np.einsum("nij,nj->ni", found, steps), axis=1)
        with np.errstate(invalid="ignore"):  # beyond the horizon, where a turned view may look
            across = np.linalg.det(found) * weights / along
            total = weights.sum()
            return float(along.sum() / total), float((across * weights).sum() / total)

    def _around(self, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where pixels meet the cylinder, all float; NaN where they pass it, or see it too flat.

        The axes are to the right, down, and into the surface from the spot in the middle of the photograph.

        Returns:
            (n, 3) hits, (n, 3) rays, (n,) how many rays away they are, (n, 3) normals out of the surface.
        """
        assert self.focal_px is not None
        assert self.radius_mm is not None
        turn, radius = self._turn(), self.radius_mm
        rays = np.c_[offsets / self.focal_px, np.ones(len(offsets))] @ turn.T
        camera = -self.mm_per_pixel * self.focal_px * turn[:, 2]
        flat, start = rays[:, [0, 2]], camera[[0, 2]] - (0, radius)  # seen from above, the axis in the origin
        square, half, rest = (flat**2).sum(axis=1), flat @ start, float(start @ start) - radius**2
        with np.errstate(invalid="ignore", divide="ignore"):
            reach = (-half - np.sqrt(half**2 - square * rest)) / square
        hits = camera + reach[:, None] * rays
        normals = np.c_[hits[:, 0] / radius, np.zeros(len(hits)), (hits[:, 2] - radius) / radius]
        facing = -np.einsum("ni,ni->n", rays, normals) / np.linalg.norm(rays, axis=1)
        lost = ~(facing > _NEAREST) | ~(reach > 0)
        hits[lost], reach[lost], normals[lost] = np.nan, np.nan, np.nan
        return hits, rays, reach, normals

    def _turn(self) -> np.ndarray:
        """From rays of the camera (right, down, ahead) to those of the surface (right, down, into it)."""
        tilt, pan = math.radians(self.tilt_deg), math.radians(self.pan_deg)
        up = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
        right = np.array([[math.cos(pan), 0, math.sin(pan)], [0, 1, 0], [-math.sin(pan), 0, math.cos(pan)]])
        return np.asarray(right @ up)


def view_of(
    size: tuple[int, int], mm_per_pixel: float, error: float | None, distance_m: float | None, pitch_deg: float | None
) -> View:
    """How a photograph most likely shows the surface, by what is known of it.

    Args:
        size: its width and height in pixels.
        mm_per_pixel: in its middle.
        error: standard deviation of that as a share, by range and focal length; None of a scale that was given, which is that of the
            whole photograph.
        distance_m: to the surface.
        pitch_deg: of the camera above the horizon, or None.
    """
    if error is None or distance_m is None:
        return View(*size, mm_per_pixel)
    return View(
        *size,
        mm_per_pixel,
        focal_px=1000 * distance_m / mm_per_pixel,
        tilt_deg=0.0 if pitch_deg is None else surface_tilt(pitch_deg),
        error=error,
        tilt_error_deg=FACING_ERROR_DEG if pitch_deg is None else GIMBAL_ERROR_DEG,
    )


def surface_tilt(pitch_deg: float) -> float:
    """A camera's tilt against what it most likely looks at: a wall, or where it looks steeply up or down, a deck or the ground.

    Args:
        pitch_deg: above the horizon; -90 looks straight down.
    """
    pitch = (pitch_deg + 180) % 360 - 180
    if abs(pitch) <= MAX_WALL_PITCH_DEG:
        return pitch
    return pitch - 90 if pitch > 0 else pitch + 90


def _steps(lines: Sequence[Sequence[tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the steps of polylines, and the steps, both float (n, 2); one to the right for lines without length."""
    points = [np.asarray(line, float).reshape(-1, 2) for line in lines]
    steps = np.concatenate([np.diff(line, axis=0) for line in points])
    middles = np.concatenate([(line[1:] + line[:-1]) / 2 for line in points])
    moved = np.hypot(steps[:, 0], steps[:, 1]) > 0
    if not moved.any():
        return np.concatenate(points).mean(axis=0, keepdims=True), np.array([[1.0, 0.0]])
    return middles[moved], steps[moved]
