"""Measured parts put together to cracks, for photographs and surveys alike; `crack_tf.photo.linking` says which belong together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from crack_tf.photo.crack import MASK, PHOTOGRAPH, Crack, WidthAt
from crack_tf.photo.cracks import straightness
from crack_tf.photo.linking import crack_darkness, link_cracks, marks_ahead
from crack_tf.photo.patterns import direction_deg
from crack_tf.photo.ranges import (
    AT_BORDER_PX,
    drawn_by_network,
    either,
    inside,
    of_parts,
    open_ended,
    past_holes,
    widest_by_network,
    width_on_mask,
)
from crack_tf.photo.ranges import widest as widest_range
from tflite.device.tiles import Box


def join_cracks(
    cracks: Sequence[Crack],
    photo: np.ndarray | None = None,
    min_length: float = 0.0,
    shape: tuple[int, ...] | None = None,
) -> list[Crack]:
    """Put the parts of each crack together that a model has drawn in pieces.

    Args:
        cracks: measured on one photograph.
        photo: uint8 (height, width, 3), to compare how dark they are; None where it is not at hand.
        min_length: shorter cracks are left out, in pixels, after they were put together.
        shape: (height, width) of the photograph where it is not at hand, to tell what runs out of it.

    Returns:
        Longest first, numbered anew.
    """
    darkness = grey = None
    if photo is not None:
        grey = np.asarray(Image.fromarray(photo).convert("L"))
        darkness = [crack_darkness(crack, grey) for crack in cracks]
    shape = shape if photo is None else photo.shape[:2]
    groups = link_cracks(cracks, darkness, grey)
    members = [[cracks[n] for n in group.parts] for group in groups]
    found = [
        as_drawn(joined(parts, group.gaps), shape, ahead)
        for parts, group, ahead in zip(members, groups, marks_ahead(members), strict=True)
    ]
    found = [crack for crack in found if crack.length_px >= min_length]
    found.sort(key=lambda crack: (-crack.length_px, crack.box))
    return [replace(crack, number=number) for number, crack in enumerate(found, start=1)]


def joined(parts: Sequence[Crack], gaps: Sequence[float] = ()) -> Crack:
    """One crack of several measured parts.

    Its length holds the gaps. Its mean width is that of its parts by length; it is widest where one of them is.

    Args:
        parts: at least one, all on one photograph.
        gaps: pixels between them, see `crack_tf.photo.linking.LinkedCrack`.
    """
    if len(parts) == 1:
        return parts[0]
    drawn = sum(part.length_px for part in parts)
    in_photo = sum(part.length_px for part in parts if part.width_from == PHOTOGRAPH)
    widest = max(parts, key=lambda part: part.max_width_px)
    left, top = min(part.box.x for part in parts), min(part.box.y for part in parts)
    right, bottom = (max(part.box.x + part.box.w for part in parts), max(part.box.y + part.box.h for part in parts))
    centreline = tuple(line for part in parts for line in part.centreline)
    width_from = PHOTOGRAPH if in_photo >= drawn / 2 else MASK
    length, mean, most = of_parts([part.length_px for part in parts], [part.ranges for part in parts], gaps)
    mean_width = sum(part.mean_width_px * part.length_px for part in parts) / drawn
    if width_from == MASK and any(part.in_photo for part in parts):  # as of one part that no photograph shows clearly
        mean = either(mean, width_on_mask(mean_width, seen=True))
        most = either(most, widest_range(mean, mean_width, widest.max_width_px))
    most = past_holes(most, mean, mean_width, widest.max_width_px)
    return Crack(
        number=parts[0].number,
        area_px=sum(part.area_px for part in parts),
        length_px=drawn + sum(gaps),
        mean_width_px=mean_width,
        max_width_px=widest.max_width_px,
        max_width_at=widest.max_width_at,
        orientation_deg=direction_deg(centreline),
        straightness=straightness(centreline),
        branch_points=tuple(point for part in parts for point in part.branch_points),
        end_points=tuple(point for part in parts for point in part.end_points),
        centreline=centreline,
        outline=(*(part.outline[0] for part in parts), *(ring for part in parts for ring in part.outline[1:])),
        box=Box(top, left, bottom - top, right - left),
        touches_border=any(part.touches_border for part in parts),
        mm_per_pixel=parts[0].mm_per_pixel,
        width_from=width_from,
        in_photo=any(part.in_photo for part in parts),
        parts=sum(part.parts for part in parts),
        ranges=(length, mean, most),
        scale_error=parts[0].scale_error,
        profile=_profile(parts),
        missing_light=sum(part.missing_light * part.length_px for part in parts) / drawn,
    )


def as_drawn(crack: Crack, shape: tuple[int, ...] | None = None, ahead: bool = False) -> Crack:
    """The same with what a network may have left out of it, or drawn beside it, in its ranges.

    Args:
        crack: of a network's mask.
        shape: height and width of the photograph; None where that is not known.
        ahead: whether another mark lies ahead of an end of it, see `marks_ahead`: how far it goes on is not known.
    """
    length, mean, most = crack.ranges
    light = crack.missing_light
    length = drawn_by_network(length, light)
    leaves = crack.touches_border or (shape is not None and _at_border(crack.box, shape))
    if leaves or ahead:
        length = open_ended(length)
    elif shape is not None:
        length = inside(length, crack.length_px, math.hypot(crack.box.w, crack.box.h), math.hypot(*shape))
    return replace(crack, ranges=(length, mean, widest_by_network(most, mean, light)), touches_border=leaves)


def _at_border(box: Box, shape: tuple[int, ...]) -> bool:
    return min(box.x, box.y, shape[1] - box.x - box.w, shape[0] - box.y - box.h) <= AT_BORDER_PX


def _profile(parts: Sequence[Crack]) -> tuple[WidthAt, ...]:
    """The widths along all parts, their branches numbered on."""
    found: list[WidthAt] = []
    for part in parts:
        before = found[-1].branch if found else 0
        found += [replace(place, branch=before + place.branch) for place in part.profile]
    return tuple(found)
