"""What a tile looks like, measured on its pixels: how bright, how rough, and what its most conspicuous dark line is like.

Errors are grouped by these measures. Each group has a rule that a person can check on the picture; what is called dark or thin is
relative to the tiles at hand, the outermost fifth of those with the same label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 128  # pixels at which tiles are measured
_WIDEST = 21  # pixels; a dark line up to this wide is found
_DEPTH = 10.0  # grey levels by which a line is darker than its surroundings, at least
_NOISE = 3.0  # and so many median depths of the tile: on rough concrete everything is a little darker than something
_SHORTEST = 0.25  # sides of the tile; below, a dark spot is no line
_BAND = 1 / 8  # of the tile's side: what lies in this band along the border is at the edge
OUTER = 0.2  # share of the tiles that a relative rule takes


@dataclass(frozen=True)
class Look:
    """Measures of one tile, on 128 x 128 pixels.

    Attributes:
        brightness: mean grey level, 0 to 255.
        contrast: standard deviation of the grey levels once slow changes of light are taken out.
        unevenness: standard deviation of those slow changes: stains, shadows, gradients.
        colourfulness: mean difference between a pixel's highest and lowest channel, grey levels.
        spots: share of pixels clearly darker than their surroundings.
        line_length: of the longest dark line, in sides of the tile; 0 without one.
        line_width: its mean width at half its depth, pixels, None without one.
        line_depth: how much darker than its surroundings it is, grey levels, None without one.
        line_bend: root mean square distance from its own straight axis, less its width's part, in lengths; None without one.
        line_at_edge: share of it that lies in the outer eighth of the tile; None without one.
    """

    brightness: float
    contrast: float
    unevenness: float
    colourfulness: float
    spots: float
    line_length: float
    line_width: float | None
    line_depth: float | None
    line_bend: float | None
    line_at_edge: float | None

    def as_row(self) -> dict[str, float | None]:
        """Rounded, for a table."""
        return {key: None if value is None else round(value, 4) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Group:
    """One kind of appearance.

    Attributes:
        name: short.
        rule: in words, with {cut} where the relative limit stands.
        value: the measure it goes by; None where it does not apply: lines can be compared on tiles that have one.
        outer: "low" or "high" for the outermost fifth, None for an absolute rule, where `value` gives 1 or 0.
    """

    name: str
    rule: str
    value: Callable[[Look], float | None]
    outer: str | None


def _straight(look: Look) -> float | None:
    return None if look.line_bend is None else float(look.line_length >= 0.6 and look.line_bend <= 0.015)


def _edge(look: Look) -> float | None:
    return None if look.line_at_edge is None else float(look.line_at_edge >= 0.8)


GROUPS = (
    Group("dark", "mean grey level at most {cut}", lambda look: look.brightness, "low"),
    Group("bright", "mean grey level at least {cut}", lambda look: look.brightness, "high"),
    Group("low contrast", "contrast at most {cut} grey levels", lambda look: look.contrast, "low"),
    Group("stain or uneven light", "slow changes of at least {cut} grey levels", lambda look: look.unevenness, "high"),
    Group("coloured", "channels differ by at least {cut} grey levels", lambda look: look.colourfulness, "high"),
    Group("rough", "at least {cut} of the pixels are dark spots", lambda look: look.spots, "high"),
    Group("no dark line", "no dark line of a quarter of the side", lambda look: float(look.line_length == 0), None),
    Group("straight line", "a dark line of 0.6 sides that bends by at most 1.5 % of its length", _straight, None),
    Group("thin line", "line at most {cut} px wide", lambda look: look.line_width, "low"),
    Group("faint line", "line at most {cut} grey levels darker", lambda look: look.line_depth, "low"),
    Group("at the edge", "at least 80 % of the line in the outer eighth", _edge, None),
)


def look_at(tile: np.ndarray) -> Look:
    """Measure one tile, uint8 (h, w, 3)."""
    if tile.shape[:2] != (SIDE, SIDE):
        tile = np.asarray(Image.fromarray(tile).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    grey = np.asarray(Image.fromarray(tile).convert("L"), np.float32)
    slow = ndimage.gaussian_filter(grey, SIDE / 10, mode="reflect")
    smooth = ndimage.gaussian_filter(grey, 1.0, mode="reflect")
    depth = ndimage.grey_closing(smooth, (_WIDEST, _WIDEST), mode="reflect") - smooth
    dark = depth > max(_DEPTH, _NOISE * float(np.median(depth)))
    wide = tile.astype(np.int16)
    return Look(
        float(grey.mean()),
        float((grey - slow).std()),
        float(slow.std()),
        float((wide.max(axis=2) - wide.min(axis=2)).mean()),
        float(dark.mean()),
        *_line(dark, depth),
    )


def groups_of(looks: Sequence[Look]) -> tuple[np.ndarray, list[str]]:
    """Which tiles belong to which groups.

    Args:
        looks: of tiles that are compared with each other.

    Returns:
        float (tiles, groups), in the order of `GROUPS`: 1 belongs, 0 does not, NaN where the question does not apply; and the
        rules in words, with the limits that the tiles gave.
    """
    member = np.full((len(looks), len(GROUPS)), np.nan)
    rules = []
    for column, group in enumerate(GROUPS):
        values = np.array([np.nan if (value := group.value(look)) is None else value for look in looks])
        known = np.isfinite(values)
        if group.outer is None:
            member[:, column] = values
            rules.append(group.rule)
            continue
        if not known.any():
            rules.append(group.rule.replace("{cut}", "-"))
            continue
        cut = float(np.quantile(values[known], OUTER if group.outer == "low" else 1 - OUTER))
        inside = values <= cut if group.outer == "low" else values >= cut
        member[:, column] = np.where(known, inside, np.nan)
        rules.append(group.rule.format(cut=f"{cut:.3g}"))
    return member, rules


def _line(dark: np.ndarray, depth: np.ndarray) -> tuple[float, float | None, float | None, float | None, float | None]:
    """Length, width, depth, bend and place of the longest dark line; see `Look`."""
    from skimage.morphology import skeletonize

    nothing = (0.0, None, None, None, None)
    labels, count = ndimage.label(dark, np.ones((3, 3)))
    if not count:
        return nothing
    boxes = ndimage.find_objects(labels)
    extents = [max(box[0].stop - box[0].start, box[1].stop - box[1].start) for box in boxes]
    chosen = int(np.argmax(extents)) + 1
    part = labels == chosen
    # At half depth, or the blurred flanks of deep lines and specks beside a joint would count as width and bend.
    core = part & (depth >= 0.5 * np.percentile(depth[part], 90))
    points = np.argwhere(core).astype(np.float64)
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)  # the widest spread last
    across, along = (centred @ axes).T
    length = float(np.ptp(along)) + 1
    if length < _SHORTEST * SIDE:
        return nothing
    width = len(points) / max(1, int(skeletonize(part).sum()))
    bend = np.sqrt(max(0.0, float(np.mean(across**2)) - width**2 / 12)) / length
    band = round(_BAND * SIDE)
    rows, columns = points.T
    outer = (np.minimum(rows, columns) < band) | (np.maximum(rows, columns) >= SIDE - band)
    return length / SIDE, float(width), float(depth[part].mean()), float(bend), float(outer.mean())
