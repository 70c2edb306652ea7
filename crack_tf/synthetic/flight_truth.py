"""What of a drawn flight's faces was really seen, and how well: square metres and holes, by the true cameras.

The classes and their order are those of docs/coverage.md, as far as a drawn flight has them: a spot that several photographs show
counts as the best of them shows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crack_tf.photo.faces import CYLINDER, FORMAT, RECTANGLE, Face
from crack_tf.photo.gsd import needed_mm_per_pixel
from crack_tf.photo.view import MAX_OBLIQUE_DEG
from crack_tf.synthetic.flight_geometry import Shot, Surface, move, on_surface, pose_of, to_photo
from crack_tf.synthetic.flight_plan import Plan

SEEN, COARSE, BLURRED, OBLIQUE, UNSEEN = range(5)
CLASSES = ("seen", "too coarse", "blurred", "too oblique", "not seen")
_FINE = 100  # cells across the shorter side of a photograph
_MIN_CELLS = 25  # of a hole
_TOP_M = 165.0


@dataclass(frozen=True)
class TrueHole:
    """A connected part of a face that no photograph shows well enough.

    Attributes:
        state: of most of it, one of CLASSES.
        area_m2: of it.
        along_m, up_m: a spot deep inside, metres from the left and the lower edge.
        depth_m: from there to the nearest spot that was seen, or to the face's edge.
    """

    state: str
    area_m2: float
    along_m: float
    up_m: float
    depth_m: float


@dataclass(frozen=True)
class TrueCoverage:
    """What was seen of a face.

    Attributes:
        face: as one would declare it.
        cell_m: side of a cell, metres.
        cells: uint8 (rows from the top, columns from the left), places in CLASSES.
        areas_m2: by CLASSES.
        holes: the largest first.
    """

    face: Face
    cell_m: float
    cells: np.ndarray
    areas_m2: dict[str, float]
    holes: tuple[TrueHole, ...]

    def as_json(self) -> dict[str, Any]:
        """Without the cells."""
        return {
            "name": self.face.name,
            "areas_m2": self.areas_m2,
            "holes": [asdict(hole) for hole in self.holes],
        }


def declared(plan: Plan, surface: Surface) -> Face:
    """A face as a survey's `--faces` takes it."""
    scale, pier, radius = plan.mm_per_pixel / 1000, plan.pier, plan.radius_m
    if radius is None:
        right, ahead = pier.x * scale, 0.0
    else:
        right, ahead = math.pi * radius, radius
    latitude, longitude = move(
        plan.latitude, plan.longitude, surface.heading_deg, surface.ahead_m + ahead, surface.right_m + right
    )
    return Face(
        name=surface.name,
        kind=RECTANGLE if radius is None else CYLINDER,
        latitude=latitude,
        longitude=longitude,
        bottom_m=_TOP_M - (pier.y + pier.h) * scale,
        heading_deg=surface.heading_deg,
        height_m=pier.h * scale,
        width_m=pier.w * scale if radius is None else None,
        diameter_m=None if radius is None else 2 * radius,
    )


def faces_file(faces: Sequence[Face]) -> dict[str, Any]:
    """What a file for `--faces` holds."""
    entries = [{name: value for name, value in asdict(face).items() if value is not None} for face in faces]
    return {"format": FORMAT, "faces": entries}


def true_coverage(plan: Plan, faces: Sequence[Surface], shots: Sequence[Shot]) -> list[TrueCoverage]:
    """What was really seen of each face."""
    return [
        _of_face(plan, declared(plan, surface), [shot for shot in shots if shot.face == number])
        for number, surface in enumerate(faces)
    ]


def _of_face(plan: Plan, face: Face, shots: Sequence[Shot]) -> TrueCoverage:
    step = min(plan.width, plan.height) / _FINE
    rows, columns = max(1, round(plan.pier.h / step)), max(1, round(plan.pier.w / step))
    x = plan.pier.x + (np.arange(columns) + 0.5) * plan.pier.w / columns
    y = plan.pier.y + (np.arange(rows) + 0.5) * plan.pier.h / rows
    places = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
    best = np.full(len(places), UNSEEN, np.uint8)
    points, _ = on_surface(plan, places)
    for shot in shots:
        # What a photograph may show, and a little more: most of a face lies far from it.
        middle, _ = on_surface(plan, np.array([shot.centre]))
        reach = math.hypot(plan.width, plan.height) * true_mm_per_pixel(plan, shot) / 1000
        near = np.flatnonzero((np.abs(points - middle) < reach).all(axis=1))
        best[near] = np.minimum(best[near], _states(plan, shot, places[near]))
    cells = best.reshape(rows, columns)
    cell = face.area_m2 / cells.size
    areas = {name: round(float((cells == number).sum()) * cell, 6) for number, name in enumerate(CLASSES)}
    return TrueCoverage(face, math.sqrt(cell), cells, areas, _holes(face, cells))


def _states(plan: Plan, shot: Shot, places: np.ndarray) -> np.ndarray:
    """How a photograph shows places of the wall, uint8 (n,)."""
    here, cosine = to_photo(plan, shot, places)
    with np.errstate(invalid="ignore"):
        shown = (cosine > 0) & ((here >= -0.5) & (here < (plan.width - 0.5, plan.height - 0.5))).all(axis=1)
    states = np.full(len(places), UNSEEN, np.uint8)
    small = 0.01
    steps = [to_photo(plan, shot, places[shown] + step)[0] - here[shown] for step in ((small, 0), (0, small))]
    pixels_by_mm = np.stack(steps, axis=2) / (small * plan.mm_per_pixel)
    total, area = (pixels_by_mm**2).sum(axis=(1, 2)), np.linalg.det(pixels_by_mm)
    least = np.sqrt((total - np.sqrt(np.maximum(total**2 - 4 * area**2, 0))) / 2)
    coarse = 1 / least > needed_mm_per_pixel(plan.needed_mm) * (1 + 1e-6)
    oblique = np.degrees(np.arccos(cosine[shown].clip(0, 1))) > MAX_OBLIQUE_DEG
    smeared = np.full(len(coarse), shot.smeared)
    states[shown] = np.select([coarse, smeared, oblique], [COARSE, BLURRED, OBLIQUE], SEEN)
    return states


def _holes(face: Face, cells: np.ndarray) -> tuple[TrueHole, ...]:
    import cv2

    lacking = (cells != SEEN).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lacking, connectivity=8)
    side = face.length_m / cells.shape[1], face.height_m / cells.shape[0]
    found = []
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] < _MIN_CELLS:
            continue
        part = labels == number
        depth = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        found.append(
            TrueHole(
                state=CLASSES[int(np.bincount(cells[part]).argmax())],
                area_m2=round(int(part.sum()) * side[0] * side[1], 6),
                along_m=round((float(column) + 0.5) * side[0], 4),
                up_m=round((cells.shape[0] - float(row) - 0.5) * side[1], 4),
                depth_m=round(float(depth.max()) * min(side), 4),
            )
        )
    return tuple(sorted(found, key=lambda hole: -hole.area_m2))


def true_mm_per_pixel(plan: Plan, shot: Shot) -> float:
    """The wall's, in the middle of a photograph, across the tilt of the camera."""
    return plan.mm_per_pixel * shot.distance_m / plan.distance_m


def camera_of(plan: Plan, surface: Surface, shot: Shot) -> dict[str, float]:
    """Where the camera really was and looked: latitude, longitude, altitude, heading, pitch, roll, distance."""
    pose = pose_of(plan, shot)
    latitude, longitude = move(
        plan.latitude,
        plan.longitude,
        surface.heading_deg,
        surface.ahead_m + float(pose.place[2]),
        surface.right_m + float(pose.place[0]),
    )
    right = math.degrees(math.atan2(pose.turn[0, 2], pose.turn[2, 2]))
    return {
        "latitude": latitude,
        "longitude": longitude,
        "altitude_m": _TOP_M - float(pose.place[1]),
        "heading_deg": (surface.heading_deg + right) % 360,
        "pitch_deg": math.degrees(shot.pitch),
        "roll_deg": math.degrees(shot.tilt),
        "distance_m": shot.distance_m,
    }
