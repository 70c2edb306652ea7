"""Outlines of findings as pixels, and as polygons that annotation programs take.

Coordinates of an outline count from the middle of the first pixel; those that annotation programs write from its corner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crack_tf.data.shapes import paint_polygon
from crack_tf.survey.findings import Polygon

_HALF = 0.5


def paint_outline(outline: Sequence[Polygon], holes: Sequence[Polygon] = ()) -> tuple[np.ndarray, int, int]:
    """The pixels inside an outline.

    Args:
        outline, holes: polygons as in `crack_tf.survey.findings.Finding`.

    Returns:
        bool (h, w) around it, and x and y of its upper left pixel.
    """
    points = np.array([point for ring in outline for point in ring])
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int)
    corner = np.array([left, top]) - _HALF
    mask = np.zeros((bottom - top + 1, right - left + 1), bool)
    for ring in outline:
        paint_polygon(_solid(ring) - corner, mask, exact=True)
    for ring in (hole for hole in holes if len(hole) > 2):
        inside = np.zeros_like(mask)
        paint_polygon(np.array(ring) - corner, inside, exact=True)
        mask &= ~inside
    return mask, int(left), int(top)


def annotation_rings(outline: Sequence[Polygon], holes: Sequence[Polygon]) -> list[np.ndarray]:
    """Polygons without holes that cover the same pixels, float (n, 2) from the photograph's corner: formats of annotations know no
    holes, so a cut leads from the outline to each."""
    rings = [_solid(ring) + _HALF for ring in outline]
    for ring in (hole for hole in holes if len(hole) > 2):
        hole = np.array(ring) + _HALF
        around = next((number for number, outer in enumerate(rings) if _inside(outer, hole.mean(axis=0))), None)
        if around is None:  # the hole's middle may lie in a bend
            around = int(np.argmin([np.abs(outer - hole[0]).sum(axis=1).min() for outer in rings]))
        rings[around] = _cut_out(rings[around], hole)
    return rings


def _solid(ring: Polygon) -> np.ndarray:
    """A polygon's corners, float (n, 2); of a speck, whose outline was simplified to a line, a bar one pixel wide."""
    corners = np.array(ring, float)
    if len(corners) > 2:
        return corners
    along = corners[-1] - corners[0]
    length = float(np.hypot(*along))
    along = _HALF * (along / length if length else np.array([1.0, 0.0]))
    aside = np.array([-along[1], along[0]])
    start, end = corners[0], corners[-1]
    if length < 1:  # a single pixel
        start, end = start - along, end + along
    return np.array([start - aside, end - aside, end + aside, start + aside])


def _cut_out(outer: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """One ring that runs around both, there and back along the shortest way between their corners."""
    if _area(outer) * _area(hole) > 0:  # the other way round, for programs that fill by winding
        hole = hole[::-1]
    apart = ((outer[:, None] - hole[None]) ** 2).sum(axis=2)
    at, there = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.roll(hole, -there, axis=0)
    return np.concatenate([outer[: at + 1], around, around[:1], outer[at:]])


def _area(ring: np.ndarray) -> float:
    ahead = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * ahead[:, 1] - ahead[:, 0] * ring[:, 1]).sum()) / 2


def _inside(ring: np.ndarray, point: np.ndarray) -> bool:
    """Whether a ray to the right leaves a ring an odd number of times."""
    ahead = np.roll(ring, -1, axis=0)
    crosses = (ring[:, 1] > point[1]) != (ahead[:, 1] > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        x = ring[:, 0] + (point[1] - ring[:, 1]) / (ahead[:, 1] - ring[:, 1]) * (ahead[:, 0] - ring[:, 0])
    return bool((crosses & (x > point[0])).sum() % 2)
