"""Photographs that seem to show something round which nobody declared, by where their cameras look.

Before a flat wall cameras look the same way, wherever along it they stand; around a pier each looks a little farther round. Of a
photograph and those that show what lies beside, headings by places give a curvature. The search has measured such photographs as flat
walls, so lengths across a pier are too short away from their middle. Nobody knows better without a declaration
(`crack_tf.survey.geometry.rounds`), but the ± can hold both: the wall, and a cylinder of that curvature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crack_tf.photo.faces import Face, Frame, ahead_of, right_of
from crack_tf.photo.view import FACING_ERROR_DEG, GIMBAL_ERROR_DEG, Scales, View
from crack_tf.survey.findings import Finding, PhotoRecord
from crack_tf.survey.geometry.footprint import distance_of, is_placed
from crack_tf.survey.geometry.rounds import flat_view
from crack_tf.survey.geometry.views import views_of

NOTE = "seems to be round: the ± holds its size on a wall and on a cylinder; --faces declares which"
_BESIDE = 1.2  # of what a photograph shows: so near others show what lies beside
_MOST_TURNED_DEG = 75.0  # between these; round a corner one turns more
_ASIDE = 0.3  # of what a photograph shows: that far to the side its neighbours' spots lie together, at least
_SURE = 3.0  # standard deviations of a curvature
_HALF = 0.2  # of the radius, half of what a photograph shows: less looks flat


def radii_of(
    photos: Sequence[PhotoRecord], faces: Sequence[Face] = (), position_error_m: float = 0.0
) -> dict[str, float]:
    """Radius in metres of what photographs seem to show, by their names; of those that seem to show something round.

    Args:
        photos: of a survey; those that are not placed are passed over.
        faces: declared; photographs that look at one are passed over.
        position_error_m: of the cameras.
    """
    views = views_of(photos, faces, position_error_m) if faces else None
    declared = {photo.name for _, looking in (views.faces if views else ()) for photo, _ in looking}
    placed = [
        photo for photo in photos if photo.name not in declared and is_placed(photo) and photo.scale_error is not None
    ]
    if len(placed) < 3:
        return {}
    frame = Frame(placed[0].latitude or 0.0, placed[0].longitude or 0.0)
    headings = np.radians([photo.heading_deg or 0.0 for photo in placed])
    level = np.array([(distance_of(photo) or 0.0) * math.cos(math.radians(photo.pitch_deg or 0.0)) for photo in placed])
    heights = [
        (photo.altitude_m or 0.0) + (distance_of(photo) or 0.0) * math.sin(math.radians(photo.pitch_deg or 0.0))
        for photo in placed
    ]
    cameras = np.array([(*frame.east_north(photo.latitude or 0.0, photo.longitude or 0.0), 0.0) for photo in placed])
    spots = cameras + level[:, None] * ahead_of(headings) + np.c_[np.zeros((len(placed), 2)), heights]
    rights = right_of(headings)
    wide = np.array([photo.width * (photo.mm_per_pixel or 0.0) / 1000 for photo in placed])
    off = math.sqrt(2) * math.radians(math.hypot(FACING_ERROR_DEG, GIMBAL_ERROR_DEG))
    found = {}
    for number, photo in enumerate(placed):
        apart = spots - spots[number]
        turned = (headings - headings[number] + math.pi) % (2 * math.pi) - math.pi
        near = (np.linalg.norm(apart, axis=1) <= _BESIDE * wide[number]) & (
            np.abs(turned) <= math.radians(_MOST_TURNED_DEG)
        )
        along = apart[near] @ rights[number]
        square = float(along @ along)
        if square < (_ASIDE * wide[number]) ** 2:
            continue
        # Who has gone to the right around a pier looks to the left: along = -radius * sin(turned).
        curvature = -float(along @ np.sin(turned[near])) / square
        if curvature > _SURE * off / math.sqrt(square) and curvature * wide[number] / 2 > _HALF:
            found[photo.name] = 1 / curvature
    return found


def holding_both(
    photos: Sequence[PhotoRecord], findings: Sequence[Finding], radii: Mapping[str, float]
) -> list[Finding]:
    """Findings in the same order; those on photographs that seem to show something round with intervals that hold both.

    Args:
        photos: of a survey.
        findings: of single photographs, as they were measured on flat surfaces.
        radii: of what some photographs seem to show, see `radii_of`.
    """
    views = {photo.name: flat_view(photo) for photo in photos if photo.name in radii}
    return [
        _wider(finding, view, radii[finding.photo]) if (view := views.get(finding.photo)) is not None else finding
        for finding in findings
    ]


def warn_of_curves(radii: Mapping[str, float]) -> list[str]:
    """What a person should know of photographs that seem to show something round."""
    if not radii:
        return []
    across = 2 * float(np.median(list(radii.values())))
    count = len(radii)
    return [
        f"{count:,} photograph{'' if count == 1 else 's'} seem{'s' if count == 1 else ''} to show something round, about {across:.1f} m "
        "across, by where the cameras look. Nobody declared it, so lengths are those on a flat wall, too short across it away "
        "from the middle of a photograph; their ± holds both. A cylinder in --faces puts them right, without searching again."
    ]


def seems_round(flat: View, radius_m: float) -> View:
    """How a photograph shows a cylinder that its camera faces as squarely as it would a wall."""
    return replace(flat, radius_mm=1000 * radius_m, pan_deg=0.0, pan_error_deg=FACING_ERROR_DEG)


def both(flat: Scales, around: Scales) -> tuple[tuple[float, float], float]:
    """A cylinder's length and width as shares of those on a wall, and half the width of the interval, as a share of the latter, that
    holds both with their errors."""
    shares = around.length / flat.length, around.width / flat.width
    own, its = flat.error or 0.0, around.error or 0.0
    return shares, max(own, *(max(share * (1 + its) - 1, 1 - share * (1 - its)) for share in shares))


def _wider(finding: Finding, flat: View, radius_m: float) -> Finding:
    was, now = flat.measure(finding.outline), seems_round(flat, radius_m).measure(finding.outline)
    if was is None or now is None or was.error is None or now.error is None or finding.length_error_mm is None:
        return finding
    (along, across), error = both(was, now)
    changes: dict[str, Any] = {"note": "; ".join(text for text in (finding.note, NOTE) if text)}
    # The ranges hold the wall's own errors already.
    more = math.sqrt(max(0.0, now.error**2 - was.error**2))
    for name, share, digits in (("length", along, 2), ("mean_width", across, 3), ("max_width", across, 3)):
        value = getattr(finding, f"{name}_mm")
        if value is not None and getattr(finding, f"{name}_error_mm") is not None:
            changes[f"{name}_error_mm"] = round(value * error, 3)
        low, high = getattr(finding, f"{name}_low_mm"), getattr(finding, f"{name}_high_mm")
        if low is not None:
            changes[f"{name}_low_mm"] = round(low * min(1.0, share * (1 - more)), digits)
        if high is not None:
            changes[f"{name}_high_mm"] = round(high * max(1.0, share * (1 + more)), digits)
    return replace(finding, **changes)
