"""Annotated shapes to pixels: polygons, lines of a stated width, run lengths, and the label each carries.

A pixel belongs to a polygon when its centre lies inside; coordinates count from the picture's corner, so that pixel 0 reaches from 0 to 1.
Cracks can be narrower than a pixel, and centres alone would lose them: the outline of such a polygon belongs to it too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_SIDE = 2.0  # pixels between the side of a box and that of the shape it was written beside
THIN = 1.5  # pixels; mean width below which a polygon is drawn with its outline
_FAR = 10  # times a picture's longer side; a point farther out is a mistake, and drawing to it would take for ever
_ROWS = 256  # that are drawn at once, for the sake of memory

# Sets its pixels in a mask, bool (height, width); raises ValueError with the reason when it cannot.
Paint = Callable[[np.ndarray], None]
Edges = tuple[float, float, float, float]  # left, top, right and lower edge in pixels


@dataclass(frozen=True)
class Shape:
    """One annotated thing.

    Attributes:
        label: its class.
        kind: how it was drawn: "polygon", "mask", "box", "polyline" ...
        paint: draws it; None for kinds that have no area of their own.
        line: (n, 2) numbers, x and y, of a line that was drawn, as they were read; None for other kinds.
        box: the edges of a box, or of a polygon's points; None for other kinds.
    """

    label: str
    kind: str
    paint: Paint | None
    line: object = None
    box: Edges | None = None


def paint_polygon(points: object, mask: np.ndarray, *, exact: bool = False) -> None:
    """Fill a polygon; where it crosses itself, parts enclosed twice stay empty.

    Args:
        points: (n, 2) numbers, x and y; the last is joined to the first.
        mask: bool (height, width), changed in place.
        exact: no more than the pixels whose centre lies inside, however narrow it is: for outlines that were made from pixels.

    Raises:
        ValueError: if these are no points, fewer than three, or lie far outside.
    """
    corners = _corners(points, mask.shape)
    inside = _even_odd(corners, mask.shape)
    ahead = np.roll(corners, -1, axis=0)
    area = abs(float((corners[:, 0] * ahead[:, 1] - ahead[:, 0] * corners[:, 1]).sum())) / 2
    length = float(np.hypot(*(ahead - corners).T).sum())
    if not exact and area < THIN * length / 2:
        _draw_outline(corners, ahead, inside)
    mask |= inside


def paint_line(points: object, width: float, mask: np.ndarray) -> None:
    """Draw a line through points: pixels whose centre lies within half its width, and always those that it runs through.

    Args:
        points: (n, 2) numbers, x and y.
        width: in pixels, above 0.
        mask: bool (height, width), changed in place.

    Raises:
        ValueError: if these are no points, fewer than two, or lie far outside.
    """
    corners = _corners(points, mask.shape, 2, "line")
    if width < THIN:
        _draw_outline(corners[:-1], corners[1:], mask)
    for start, end in itertools.pairwise(corners):
        _paint_segment(start, end, width / 2, mask)


def bounds(mask: np.ndarray) -> Edges | None:
    """Left, top, right and lower edge, in pixels, of what is drawn in a mask, bool (height, width); None where nothing is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def extent(points: object) -> Edges | None:
    """Left, top, right and lower edge of points, (n, 2) or flat numbers, x and y; None where they are none.

    A polygon's pixels end before its points do where it ends narrower than a pixel.
    """
    try:
        corners = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        return None
    if not len(corners):
        return None
    (left, top), (right, lower) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, lower


def says_no_more(box: Edges, drawn: Iterable[Edges], size: tuple[int, int]) -> bool:
    """Whether a box is that of one drawn shape: Label Studio and datumaro write one beside each polygon.

    Args:
        box: left, top, right and lower edge in pixels.
        drawn: `bounds` of each shape that is drawn as pixels, and `extent` of each polygon.
        size: width and height of the photograph; what lies outside of it is not drawn.
    """
    if not np.isfinite(box).all():
        return False
    seen = np.clip(box, 0, (*size, *size))
    return any((np.abs(seen - np.clip(one, 0, (*size, *size))) <= _SIDE).all() for one in drawn)


def paint_runs(
    counts: Sequence[int], height: int, width: int, left: int, top: int, by_column: bool, mask: np.ndarray
) -> None:
    """Paint run lengths of outside and inside in turn, outside first.

    Args:
        counts: of pixels.
        height, width: of the box that they fill.
        left, top: of that box in the mask.
        by_column: whether they run down columns (COCO) or along rows (CVAT).
        mask: bool (height, width), changed in place.

    Raises:
        ValueError: if the counts do not fill the box, or the box does not lie in the mask.
    """
    if min(height, width) < 1 or min(left, top) < 0 or top + height > mask.shape[0] or left + width > mask.shape[1]:
        raise ValueError(f"a mask of {width}x{height} pixels at {left},{top} does not lie in the photograph")
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise ValueError(f"run lengths do not add up to {width}x{height} pixels")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, np.asarray(counts, np.int64))
    box = flat.reshape(width, height).T if by_column else flat.reshape(height, width)
    mask[top : top + height, left : left + width] |= box


def coco_counts(text: str) -> list[int]:
    """The run lengths of a string as COCO writes them: five bits a character, from the fourth number on the difference to the last but one.

    Raises:
        ValueError: if a character is none of these, or the string ends within a number.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("run lengths are not written as COCO does")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths end within a number")
    return counts


def _corners(points: object, shape: tuple[int, ...], least: int = 3, what: str = "polygon") -> np.ndarray:
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"a {what}'s points are no numbers") from None
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < least:
        raise ValueError(f"a {what} needs {('two', 'three')[least - 2]} points or more, each of x and y")
    if not np.isfinite(corners).all() or np.abs(corners).max() > _FAR * max(shape):
        raise ValueError(f"a {what} lies far outside the photograph")
    return corners


def _even_odd(corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool (height, width): pixels whose centre a ray to the left leaves through an odd number of edges."""
    height, width = shape
    toggles = np.zeros((height, width + 1), np.int32)
    for (x, y), (to_x, to_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y == to_y:
            continue
        # Rows whose centre lies in [lower, upper): each corner counts once.
        first, last = (int(np.ceil(min(max(edge - 0.5, 0), height))) for edge in sorted((y, to_y)))
        centres = np.arange(first, last) + 0.5
        crossings = x + (centres - y) * ((to_x - x) / (to_y - y))
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
        np.add.at(toggles, (np.arange(first, last), columns), 1)
    return toggles.cumsum(axis=1)[:, :width] % 2 == 1


def _paint_segment(start: np.ndarray, end: np.ndarray, half: float, mask: np.ndarray) -> None:
    low, high = np.floor(np.minimum(start, end) - half), np.ceil(np.maximum(start, end) + half)
    left, top = (max(0, int(edge)) for edge in low)
    right, bottom = (max(0, min(side, int(edge))) for side, edge in zip(mask.shape[::-1], high, strict=True))
    along = end - start
    length2 = float(along @ along)
    x = np.arange(left, right) + 0.5 - start[0]
    for first in range(top, bottom, _ROWS):
        y = (np.arange(first, min(bottom, first + _ROWS)) + 0.5 - start[1])[:, None]
        share = np.clip((x * along[0] + y * along[1]) / length2, 0, 1) if length2 else 0.0
        near = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= half * half
        mask[first : first + len(y), left:right] |= near


def _draw_outline(corners: np.ndarray, ahead: np.ndarray, mask: np.ndarray) -> None:
    height, width = mask.shape
    for start, end in zip(corners, ahead, strict=True):
        steps = int(np.abs(end - start).max() * 2) + 2
        x, y = np.floor(np.linspace(start, end, steps)).astype(np.int64).T
        seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        mask[y[seen], x[seen]] = True
