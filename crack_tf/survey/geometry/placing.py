"""Drawn cracks on the structure: from pixels of a photograph to metres on a face, and to longitude, latitude and altitude.

    placed = place_cracks(survey)
    for crack in placed.cracks:
        print(crack.finding.id, crack.face.name, crack.lines[0])

The reverse of `crack_tf.survey.geometry.footprint.see`: through each point a line of sight runs from the camera to the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.faces import RECTANGLE, Face, Frame, spots_on
from crack_tf.survey.findings import REFUTED, Finding, Polygon, Survey
from crack_tf.survey.geometry.footprint import Camera
from crack_tf.survey.geometry.views import Views, asked_of, views_of
from crack_tf.survey.outlines import paint_outline

_BESIDE = 0.05  # of a face's sides, or the error of a position: by that much a crack at its edge may fall beside it


@dataclass(frozen=True)
class PlacedCrack:
    """A drawn crack on a face.

    Attributes:
        finding: as the survey has it.
        face: that its photograph looks at.
        lines: its centreline, float (n, 2) each: metres to the right of the face's left edge and above its lower one.
        places: the same, float (n, 3) each: longitude and latitude in degrees (WGS84), and altitude in the photographs' own system.
    """

    finding: Finding
    face: Face
    lines: tuple[np.ndarray, ...]
    places: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Placed:
    """All drawn cracks of a survey that are not refuted.

    Attributes:
        cracks: on a face.
        lost: on none, since it is not known what their photograph shows, or it looks past.
        faces: all, with cracks or without.
        frame: of them; None without any.
    """

    cracks: tuple[PlacedCrack, ...]
    lost: tuple[Finding, ...]
    faces: tuple[Face, ...]
    frame: Frame | None


def place_cracks(survey: Survey, views: Views | None = None) -> Placed:
    """Where a survey's drawn cracks are.

    Args:
        survey: with its findings.
        views: who looks at which face; None works it out from positions alone.

    Raises:
        CrackError: if the survey's settings are damaged.
    """
    drawn = [finding for finding in survey.findings if finding.length_px is not None and finding.validation != REFUTED]
    asked = asked_of(survey)
    if views is None:
        views = views_of(survey.photos, asked.faces, asked.position_error_m)
    if views is None:
        return Placed((), tuple(drawn), (), None)
    looking: dict[str, list[tuple[Face, Camera]]] = {}
    for face, cameras in views.faces:
        for photo, camera in cameras:
            looking.setdefault(photo.name, []).append((face, camera))
    cracks, lost = [], []
    for finding in drawn:
        found = _on_a_face(finding, looking.get(finding.photo, ()), views.frame, asked.position_error_m)
        if found is None:
            lost.append(finding)
        else:
            cracks.append(found)
    return Placed(tuple(cracks), tuple(lost), tuple(face for face, _ in views.faces), views.frame)


def centreline_of(finding: Finding) -> tuple[Polygon, ...]:
    """The centreline of a drawn crack, (x, y) in pixels; of surveys that did not keep it, found in the outline again."""
    if finding.centreline or finding.length_px is None:
        return finding.centreline
    mask, left, top = paint_outline(finding.outline, finding.holes)
    margin = max(mask.shape)  # a mask that is mostly crack would pass for an inverted one
    cracks = measure_cracks(np.pad(mask, margin), min_area=1)
    return tuple(line for crack in cracks for line in crack.moved(left - margin, top - margin).centreline)


def on_face(camera: Camera, face: Face, frame: Frame, pixels: np.ndarray) -> np.ndarray:
    """Where lines of sight meet a face, beyond its edges too.

    Args:
        camera: before it.
        face, frame: of the structure.
        pixels: float (n, 2), x and y of the photograph; the middle of a pixel is at whole numbers.

    Returns:
        float (n, 2), metres to the right and up; NaN where a line of sight misses.
    """
    # `see` counts from the photograph's corner, where a pixel's middle is at a half.
    offset = (np.asarray(pixels, float) + 0.5 - (camera.width / 2, camera.height / 2)) / camera.focal_px
    rays = camera.ahead + offset[:, :1] * camera.right + offset[:, 1:] * camera.down
    east, north = frame.east_north(face.latitude, face.longitude)
    there = np.array([east, north]) - camera.place[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        if face.kind == RECTANGLE:
            middle = spots_on(face, frame, np.zeros(1), np.zeros(1))
            normal, right = middle.normals[0, :2], middle.right[0, :2]
            reach = float(there @ normal) / (rays[:, :2] @ normal)
            hits = rays * np.where(reach > 0, reach, np.nan)[:, None]
            along = (hits[:, :2] - there) @ right
        else:
            radius = (face.diameter_m or 0.0) / 2
            square = (rays[:, :2] ** 2).sum(axis=1)
            half = rays[:, :2] @ there
            reach = (half - np.sqrt(half**2 - square * (there @ there - radius**2))) / square
            hits = rays * np.where(reach > 0, reach, np.nan)[:, None]
            out = (there - hits[:, :2]) / radius  # = ahead_of(looks), see `spots_on`
            turned = np.arctan2(out[:, 0], out[:, 1]) - np.radians(face.heading_deg)
            along = radius * ((np.pi - turned) % (2 * np.pi))
    return np.c_[along, camera.place[2] + hits[:, 2] - face.bottom_m]


def _on_a_face(
    finding: Finding, looking: list[tuple[Face, Camera]] | tuple[()], frame: Frame, position_error_m: float
) -> PlacedCrack | None:
    """On the face that holds most of it, of several the nearest."""
    best: tuple[tuple[float, float], PlacedCrack] | None = None
    pixels = [np.array(line, float) for line in centreline_of(finding)]
    for face, camera in looking:
        lines = [on_face(camera, face, frame, line) for line in pixels]
        points = np.concatenate(lines) if lines else np.zeros((0, 2))
        size = np.array([face.length_m, face.height_m])
        beside = np.maximum(-points, points - size).max(axis=0, initial=0.0)
        if (
            not len(points)
            or not np.isfinite(points).all()
            or (beside > np.maximum(_BESIDE * size, position_error_m)).any()
        ):
            continue
        spots = [spots_on(face, frame, *line.T).points for line in lines]
        distance = float(np.linalg.norm(np.concatenate(spots) - camera.place, axis=1).mean())
        merit = round(float(beside.max()), 3), distance
        if best is None or merit < best[0]:
            places = tuple(
                np.array([(*frame.place(east, north)[::-1], up) for east, north, up in line.tolist()]) for line in spots
            )
            best = merit, PlacedCrack(finding, face, tuple(lines), places)
    return None if best is None else best[1]
