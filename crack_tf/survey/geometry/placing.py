"""Drawn cracks on the structure: from pixels of a photograph to metres on a face, and to longitude, latitude and altitude.

    placed = place_cracks(survey)
    for crack in placed.cracks:
        print(crack.finding.id, crack.face.name, crack.lines[0])

The reverse of `crack_tf.survey.geometry.footprint.see`: through each point a line of sight runs from the camera to the face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class FaceLists:
    """What is on each declared face.

    Attributes:
        faces: their names, in the order declared.
        photos: by a photograph's name, that of the face in its middle; without those that are before none.
        findings: by a finding's id, the name of its face; without those that are on none.
    """

    faces: tuple[str, ...]
    photos: Mapping[str, str]
    findings: Mapping[str, str]


def list_faces(survey: Survey) -> FaceLists:
    """Which findings, drawn or not, and which photographs are on which declared face.

    Raises:
        CrackError: if the survey's settings are damaged.
    """
    asked = asked_of(survey)
    views = views_of(survey.photos, asked.faces, asked.position_error_m) if asked.faces else None
    if views is None:
        return FaceLists((), {}, {})
    looking = _looking(views)

    def name_of(photo: str, lines: Sequence[Polygon]) -> str | None:
        found = _on_a_face(lines, looking.get(photo, ()), views.frame, asked.position_error_m)
        return None if found is None else found[0].name

    photos = {one.name: name_of(one.name, _middle(0, 0, one.width, one.height)) for one in survey.photos}
    findings = {
        one.id: name_of(one.photo, one.centreline or _middle(one.box.x, one.box.y, one.box.w, one.box.h))
        for one in survey.findings
    }
    return FaceLists(tuple(face.name for face in asked.faces), _known(photos), _known(findings))


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
    looking = _looking(views)
    cracks, lost = [], []
    for finding in drawn:
        cameras = looking.get(finding.photo, ())
        found = _on_a_face(centreline_of(finding), cameras, views.frame, asked.position_error_m)
        if found is None:
            lost.append(finding)
        else:
            cracks.append(PlacedCrack(finding, *found))
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


def _looking(views: Views) -> dict[str, list[tuple[Face, Camera]]]:
    """By a photograph's name, the faces that it looks at, and from where."""
    looking: dict[str, list[tuple[Face, Camera]]] = {}
    for face, cameras in views.faces:
        for photo, camera in cameras:
            looking.setdefault(photo.name, []).append((face, camera))
    return looking


def _middle(x: float, y: float, w: float, h: float) -> tuple[Polygon, ...]:
    return (((x + w / 2, y + h / 2),),)


def _known(places: Mapping[str, str | None]) -> dict[str, str]:
    return {one: name for one, name in places.items() if name is not None}


_OnFace = tuple[Face, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]  # as in `PlacedCrack`


def _on_a_face(
    drawn: Sequence[Polygon], looking: Sequence[tuple[Face, Camera]], frame: Frame, position_error_m: float
) -> _OnFace | None:
    """The face that holds most of some lines of a photograph, of several the nearest, and the lines on it."""
    best: tuple[tuple[float, float], _OnFace] | None = None
    pixels = [np.array(line, float) for line in drawn]
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
            best = merit, (face, tuple(lines), places)
    return None if best is None else best[1]
