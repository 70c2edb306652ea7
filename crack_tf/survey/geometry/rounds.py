"""Lengths and widths on declared cylinders: a photograph of a round pier shows less of it per pixel in its middle than at its sides.

The search takes every surface for flat, since it knows of none: lengths across a pier come out too short away from the middle of a
photograph. Where `--faces` declares a cylinder, and a photograph looks at it, what was measured on it is put right afterwards by
unrolling the cylinder, so a finished survey answers anew without being searched again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crack_tf.photo.faces import CYLINDER, Face, Frame
from crack_tf.photo.view import GIMBAL_ERROR_DEG, TWO_SIDED, View
from crack_tf.survey.findings import Finding, PhotoRecord, scaled
from crack_tf.survey.geometry.camera import Shot
from crack_tf.survey.geometry.footprint import Camera
from crack_tf.survey.geometry.views import views_of

_MOST_PAN = 0.96  # sine of the angle; beyond, a camera looks past the pier
_MOST_PAN_ERROR_DEG = 20.0
_ALONG = ("length_mm", "length_low_mm", "length_high_mm")
_ACROSS = (
    *("mean_width_mm", "mean_width_low_mm", "mean_width_high_mm"),
    *("max_width_mm", "max_width_low_mm", "max_width_high_mm"),
)


def on_cylinders(
    photos: Sequence[PhotoRecord], findings: Sequence[Finding], faces: Sequence[Face], position_error_m: float
) -> list[Finding]:
    """Findings with the millimetres that they have on declared cylinders.

    Args:
        photos: of a survey.
        findings: of single photographs, as they were measured on flat surfaces.
        faces: declared.
        position_error_m: of the cameras.

    Returns:
        In the same order; those on photographs that look at no cylinder, or whose scale was given as it is, are the same.
    """
    views = _round_views(photos, faces, position_error_m)
    return [_unrolled(finding, *views[finding.photo]) if finding.photo in views else finding for finding in findings]


def changed_views(
    photos: Sequence[PhotoRecord], faces: Sequence[Face], before: Sequence[Face], position_error_m: float
) -> dict[str, View]:
    """How photographs show what they look at where that is a cylinder, or was one by earlier declarations: for tables along cracks.

    Args:
        photos: of a survey.
        faces: declared now.
        before: declared when the tables were written.
        position_error_m: of the cameras.
    """
    was = {name: flat for name, (flat, _) in _round_views(photos, before, position_error_m).items()}
    return was | {name: around for name, (_, around) in _round_views(photos, faces, position_error_m).items()}


def round_view(flat: View, face: Face, camera: Camera, frame: Frame) -> View:
    """How a photograph shows the cylinder that its camera looks at.

    Args:
        flat: how it would show a wall.
        face: the cylinder.
        camera: before it.
        frame: of the camera.
    """
    radius = (face.diameter_m or 0.0) / 2
    axis = frame.east_north(face.latitude, face.longitude)
    aside = float((axis - camera.place[:2]) @ camera.right[:2]) / max(1e-9, math.hypot(*camera.right[:2]))
    # Who looks past the axis, on its left, sees a surface that faces to the left.
    pan = math.asin(max(-_MOST_PAN, min(_MOST_PAN, -aside / radius)))
    # A heading that is off moves the spot in the middle around the pier, and turns the surface there.
    lever = (camera.distance_m + radius) / (radius * math.cos(pan))
    return replace(
        flat,
        radius_mm=1000 * radius,
        pan_deg=math.degrees(pan),
        pan_error_deg=min(GIMBAL_ERROR_DEG * lever, _MOST_PAN_ERROR_DEG),
    )


def _round_views(
    photos: Sequence[PhotoRecord], faces: Sequence[Face], position_error_m: float
) -> dict[str, tuple[View, View]]:
    """How the photographs that look at a cylinder show it: as a wall, and as it is."""
    if not any(face.kind == CYLINDER for face in faces):
        return {}
    views = views_of(photos, faces, position_error_m)
    nearest: dict[str, float] = {}
    found: dict[str, tuple[View, View]] = {}
    for face, looking in () if views is None else views.faces:
        for photo, camera in looking:
            if camera.distance_m >= nearest.get(photo.name, math.inf):
                continue
            nearest[photo.name] = camera.distance_m
            found.pop(photo.name, None)
            flat = flat_view(photo)
            if face.kind == CYLINDER and flat is not None and flat.focal_px is not None:
                assert views is not None
                found[photo.name] = flat, round_view(flat, face, camera, views.frame)
    return found


def flat_view(photo: PhotoRecord) -> View | None:
    """How a photograph shows a wall; None without a scale."""
    error = None if photo.scale_error is None else photo.scale_error / TWO_SIDED
    shot = Shot(
        pitch_deg=photo.pitch_deg, distance_m=photo.distance_m, mm_per_pixel=photo.mm_per_pixel, scale_error=error
    )
    return shot.view(photo.width, photo.height)


def _unrolled(finding: Finding, flat: View, around: View) -> Finding:
    """A finding's millimetres, on the cylinder instead of the wall."""
    was, now = flat.measure(finding.outline), around.measure(finding.outline)
    if was is None or now is None or finding.mm_per_pixel is None:
        return finding
    along, across = now.length / was.length, now.width / was.width
    error = now.error
    changes: dict[str, Any] = {"mm_per_pixel": finding.mm_per_pixel * along}
    for names, factor, digits in ((_ALONG, along, 2), (_ACROSS, across, 3)):
        for name in names:
            changes[name] = scaled(getattr(finding, name), factor, digits)
    for name in ("length", "mean_width", "max_width"):
        known = getattr(finding, f"{name}_error_mm") is not None
        changes[f"{name}_error_mm"] = scaled(changes[f"{name}_mm"], error, 3) if known else None
    return replace(finding, **changes)
