"""A crack in numbers: what is known of one, in pixels, and in millimetres when the scale is known. `crack_tf.photo.cracks` measures it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crack_tf.photo.doubt import stout, too_wide
from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.limits import CANNOT_TELL, Untold, judge, untold
from crack_tf.photo.ranges import (
    LENGTH_DIGITS,
    WIDTH_DIGITS,
    Range,
    measures_in_millimetres,
)
from crack_tf.photo.view import Scales, View
from tflite.device.tiles import Box

Point = tuple[float, float]

# Of `Crack.as_dict`, for tables that may have no rows.
COLUMNS = (
    "number", "length_px", "mean_width_px", "max_width_px", "width_from", "width_trusted", "area_px", "length_mm", "mean_width_mm",
    "max_width_mm", "area_mm2", "mm_per_pixel", "max_width_x", "max_width_y", "orientation_deg", "straightness",
    "branches", "branch_point_count", "end_point_count", "touches_border", "x", "y", "w", "h", "parts", "note",
)  # fmt: skip
MEASURES = ("length", "mean_width", "max_width")
# The ends of their ranges, after COLUMNS in a table.
RANGE_COLUMNS = tuple(f"{name}_{end}_{unit}" for unit in ("px", "mm") for name in MEASURES for end in ("low", "high"))

PHOTOGRAPH, MASK = "photograph", "mask"  # where widths come from
WIDTH_COLUMNS = ("branch", "along_px", "x", "y", "width_px", "width_from")  # of every table of widths along a crack
PROFILE_SPACING = 2.0  # pixels between two widths of a profile


@dataclass(frozen=True)
class WidthAt:
    """The width at a place of a crack.

    Attributes:
        branch: number of the stretch between junctions that it lies on, from 1.
        along: pixels from the start of the stretch.
        x, y: in pixels.
        width: in pixels, mean over `PROFILE_SPACING`.
        width_from: PHOTOGRAPH where the photograph shows it clearly, else MASK.
        missing_light: across it, in pixels of quite black line, and
        half_width: between its walls at half its depth, in pixels: what the photograph shows whatever its blur and the crack's darkness
            (`crack_tf.photo.slit.Line`), to be compared with another photograph of the crack; None with MASK.
    """

    branch: int
    along: float
    x: float
    y: float
    width: float
    width_from: str
    missing_light: float | None = None
    half_width: float | None = None

    def as_row(self) -> dict[str, Any]:
        """`WIDTH_COLUMNS` of a table of widths: what the picture says. A table's own columns, in millimetres, come from its scale."""
        return {
            "branch": self.branch,
            "along_px": self.along,
            "x": self.x,
            "y": self.y,
            "width_px": self.width,
            "width_from": self.width_from,
        }


@dataclass(frozen=True)
class Crack:
    """One crack: connected, or several parts put together by `crack_tf.photo.joining`.

    Coordinates are (x, y) in pixels of the mask; a pixel's centre is at whole numbers.

    Attributes:
        number: from 1, longest first.
        area_px: pixels of the mask.
        length_px: the centreline's, all branches, tip to tip.
        mean_width_px: over the length, without junctions.
        max_width_px: mean width of the widest stretch of 20 pixels.
        max_width_at: the middle of that stretch.
        orientation_deg: direction of the centreline (`crack_tf.photo.patterns.direction_deg`, as in a survey): 0 is horizontal,
            90 vertical, counted anticlockwise as seen, in [0, 180).
        straightness: how much longer than wide the centreline lies: 1 for a straight line, 0 for a ring or a star.
        branch_points: where branches meet.
        end_points: free ends, at the mask's tips.
        centreline: one polyline per branch.
        outline: closed polylines, the outer edge first and then the edges of holes.
        box: in whole pixels.
        touches_border: whether it runs out of the photograph, or of what is known of it: it is longer than stated, and the range of its
            length has no upper end.
        ranges: of length, mean and maximum width, in pixels and in that order: what the photograph leaves open, with 95 %
            (`crack_tf.photo.ranges`).
        mm_per_pixel: ground sampling distance, along the crack where `scales` says it; None if it is not known.
        width_from: PHOTOGRAPH or MASK.
        in_photo: whether there was a photograph to measure widths in.
        parts: connected parts in the mask. Of several, the outline begins with the outer edge of each.
        scale_error: half the width of the range of `mm_per_pixel` that holds 95 %, as a share of it; 0 where the scale was given.
        scales: of all of it, and of its widest place, where the photograph shows it; None where `mm_per_pixel` is that of every place.
        profile: widths along it.
        missing_light: pixels of a quite black line that take as much light away, on average; 0 where the photograph shows no dark line.
        note: why it may be no crack (`crack_tf.photo.doubt`), for a person; None where nothing speaks against it.
    """

    number: int
    area_px: int
    length_px: float
    mean_width_px: float
    max_width_px: float
    max_width_at: Point
    orientation_deg: float
    straightness: float
    branch_points: tuple[Point, ...] = field(repr=False)
    end_points: tuple[Point, ...] = field(repr=False)
    centreline: tuple[tuple[Point, ...], ...] = field(repr=False)
    outline: tuple[tuple[Point, ...], ...] = field(repr=False)
    box: Box
    touches_border: bool
    ranges: tuple[Range, Range, Range]
    mm_per_pixel: float | None = None
    width_from: str = MASK
    in_photo: bool = False
    parts: int = 1
    scale_error: float = 0.0
    scales: tuple[Scales, Scales] | None = None
    profile: tuple[WidthAt, ...] = field(default=(), repr=False)
    missing_light: float = 0.0
    note: str | None = None

    @property
    def length_mm(self) -> float | None:
        """Length in millimetres, or None if the scale is not known."""
        return self._mm(self.length_px)

    @property
    def mean_width_mm(self) -> float | None:
        """Mean width in millimetres, or None if the scale is not known."""
        return self._mm(self.mean_width_px, 0)

    @property
    def max_width_mm(self) -> float | None:
        """Maximum width in millimetres, or None if the scale is not known."""
        return self._mm(self.max_width_px, 1)

    @property
    def area_mm2(self) -> float | None:
        """Area in square millimetres, or None if the scale is not known."""
        length = self._mm(self.area_px)
        return None if length is None else self._mm(length, 0)

    @property
    def too_wide(self) -> bool:
        """Whether it is too wide for its length to be a crack (see `crack_tf.photo.doubt`)."""
        return too_wide(self.length_px, self.max_width_px)

    @property
    def width_trusted(self) -> bool:
        """Whether its widths are to be trusted, see `width_doubt`."""
        return self.width_doubt is None

    @property
    def width_doubt(self) -> str | None:
        """Why its widths are not to be trusted, for a person; None where they are.

        A crack must be wide enough for its mean width to be measured (see `crack_tf.photo.gsd`). The mask's width, which has to do where
        the photograph does not show one clearly, is up to twice the crack's. And a shape that is short for its width is less likely a
        crack, though as dark as one: all of it has to be in sight for that.
        """
        if self.too_wide:
            return "too wide for a crack"
        if self.mean_width_px < MIN_PIXELS:
            return "too fine"
        if self.width_from != PHOTOGRAPH and self.in_photo:
            return "not clear enough in the photograph"
        if stout(self.length_px, self.mean_width_px) and not self.touches_border:
            return "short for its width"
        return None

    @property
    def ranges_mm(self) -> tuple[Range, Range, Range] | None:
        """Ranges of length, mean and maximum width in millimetres, with what the scale leaves open; None if it is not known."""
        if self.mm_per_pixel is None:
            return None
        everywhere = Scales(self.mm_per_pixel, self.mm_per_pixel, self.scale_error)
        whole, widest = self.scales or (everywhere, everywhere)
        return measures_in_millimetres(
            (self.length_px, self.mean_width_px, self.max_width_px), self.ranges, whole, widest
        )

    def judged(self, limit_mm: float) -> str:
        """Whether its maximum width exceeds a limit, is below, or nobody can tell: one of `crack_tf.photo.limits.ANSWERS`.

        What may be no crack exceeds none.
        """
        return judge(limit_mm, self._max_width_mm, self.width_trusted and self.note is None)

    def untold(self, limit_mm: float) -> Untold | None:
        """Why nobody can tell whether it exceeds a limit; None where `judged` tells."""
        if self.judged(limit_mm) != CANNOT_TELL:
            return None
        return untold(
            limit_mm,
            self._max_width_mm,
            mean_width_px=self.mean_width_px,
            mm_per_pixel=self.mm_per_pixel,
            width_from=self.width_from,
        )

    @property
    def _max_width_mm(self) -> tuple[float, float] | None:
        """Least and greatest maximum width that the measurement leaves possible."""
        found = self.ranges_mm
        return None if found is None else (found[2].low, found[2].high)

    def _mm(self, pixels: float, across: int | None = None) -> float | None:
        """Millimetres of pixels along it, or across all of it (0) or its widest place (1)."""
        if self.scales is not None and across is not None:
            return pixels * self.scales[across].width
        return None if self.mm_per_pixel is None else pixels * self.mm_per_pixel

    def seen_in(self, view: View) -> Crack:
        """The same crack in millimetres of the surface that its photograph shows; in pixels alone where it lies at the horizon."""
        rings = [ring[:-1] for ring in self.outline[: self.parts]]  # as a survey keeps them
        whole, widest = view.measure(rings), view.measure(rings, self.max_width_at)
        if whole is None or widest is None:
            return replace(self, mm_per_pixel=None, scale_error=0.0, scales=None)
        return replace(self, mm_per_pixel=whole.length, scale_error=whole.error or 0.0, scales=(whole, widest))

    def moved(self, x: int, y: int) -> Crack:
        """The same crack where its mask was cut out of a larger one, whose pixel (x, y) its own (0, 0) is."""

        def there(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((round(px + x, 2), round(py + y, 2)) for px, py in points)

        return replace(
            self,
            max_width_at=there((self.max_width_at,))[0],
            branch_points=there(self.branch_points),
            end_points=there(self.end_points),
            centreline=tuple(map(there, self.centreline)),
            outline=tuple(map(there, self.outline)),
            profile=tuple(replace(place, x=round(place.x + x, 2), y=round(place.y + y, 2)) for place in self.profile),
            box=Box(self.box.y + y, self.box.x + x, self.box.h, self.box.w),
        )

    def as_dict(self, geometry: bool = False) -> dict[str, Any]:
        """JSON values: one row of a CSV file, or the properties of a GeoJSON feature.

        Args:
            geometry: add "centreline", "outline", "branch_points" and "end_points" as nested lists of [x, y].
        """
        row: dict[str, Any] = {
            "number": self.number,
            "length_px": round(self.length_px, 2),
            "mean_width_px": round(self.mean_width_px, 3),
            "max_width_px": round(self.max_width_px, 3),
            "width_from": self.width_from,
            "width_trusted": self.width_trusted,
            "area_px": self.area_px,
            "length_mm": _rounded(self.length_mm, 2),
            "mean_width_mm": _rounded(self.mean_width_mm, 4),
            "max_width_mm": _rounded(self.max_width_mm, 4),
            "area_mm2": _rounded(self.area_mm2, 3),
            "mm_per_pixel": self.mm_per_pixel,
            "max_width_x": round(self.max_width_at[0], 1),
            "max_width_y": round(self.max_width_at[1], 1),
            "orientation_deg": round(self.orientation_deg, 1) % 180,
            "straightness": round(self.straightness, 3),
            "branches": len(self.centreline),
            "branch_point_count": len(self.branch_points),
            "end_point_count": len(self.end_points),
            "touches_border": self.touches_border,
            **self.box.as_json(),
            "parts": self.parts,
            "note": self.note,
            **range_row(self.ranges, self.ranges_mm),
        }
        if geometry:
            row["centreline"] = [_lists(line) for line in self.centreline]
            row["outline"] = [_lists(ring) for ring in self.outline]
            row["branch_points"] = _lists(self.branch_points)
            row["end_points"] = _lists(self.end_points)
        return row


def range_row(pixels: Sequence[Range] | None, millimetres: Sequence[Range] | None) -> dict[str, Any]:
    """RANGE_COLUMNS of a table; None also for an end at infinity.

    Args:
        pixels, millimetres: ranges of length, mean and maximum width; None where they are not known.
    """
    row: dict[str, Any] = {}
    for unit, ranges in (("px", pixels), ("mm", millimetres)):
        for number, name in enumerate(MEASURES):
            digits = LENGTH_DIGITS if name == "length" else WIDTH_DIGITS
            row[f"{name}_low_{unit}"] = None if ranges is None else round(ranges[number].low, digits)
            row[f"{name}_high_{unit}"] = (
                None if ranges is None or ranges[number].high == math.inf else round(ranges[number].high, digits)
            )
    return row


def _lists(points: tuple[Point, ...]) -> list[list[float]]:
    return [list(point) for point in points]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
