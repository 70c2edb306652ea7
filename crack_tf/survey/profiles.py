"""The widths along a finding's crack: `profiles/ID.csv`, and what the report's plot needs of it."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crack_tf.photo.cracks import PROFILE_SPACING, WidthAt
from crack_tf.photo.view import View
from tflite.checked import file_inside
from tflite.errors import CrackError

COLUMNS = ("branch", "along_px", "x", "y", "width_px", "width_from", "along_mm", "width_mm")
MOST_PLOTTED, LEAST_PLOTTED = 80, 16  # points of a plot
PAGE_POINTS = 60_000  # of all plots together, about: a page of thousands of findings stays small
_MAX_BYTES = 20_000_000

# Lines of (along, width) pairs, in one unit.
Lines = tuple[tuple[tuple[float, float], ...], ...]


def profile_csv(profile: Sequence[WidthAt], view: View | None) -> bytes:
    """The table of a finding's widths.

    Args:
        profile: places in order.
        view: how the photograph shows the surface, or None for pixels only.
    """
    points = np.array([(place.x, place.y) for place in profile], float).reshape(-1, 2)
    lines = _lines(profile)
    along = np.concatenate([_directions(points[line]) for line in lines]) if lines else points
    across = np.full(len(points), np.nan) if view is None else view.across(points, along)
    on_surface = np.full((len(points), 2), np.nan) if view is None else view.to_surface(points)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for line in lines:
        steps = np.hypot(*np.diff(on_surface[line], axis=0).T) if line.stop - line.start > 1 else np.zeros(0)
        # From the start of the line, which lies before its first place.
        scale = steps.sum() / (profile[line.stop - 1].along - profile[line.start].along) if len(steps) else np.nan
        millimetres = scale * profile[line.start].along + np.concatenate([[0.0], np.cumsum(steps)])
        for number, at in enumerate(range(line.start, line.stop)):
            place = profile[at]
            row = [place.branch, place.along, place.x, place.y, place.width, place.width_from]
            table.writerow([*row, _number(millimetres[number], 2), _number(place.width * across[at], 4)])
    return text.getvalue().encode()


def plotted(findings: int) -> int:
    """Points of each plot on a page with so many findings."""
    return min(MOST_PLOTTED, max(LEAST_PLOTTED, PAGE_POINTS // max(findings, 1)))


def read_lines(folder: Path, name: str, points: int = MOST_PLOTTED) -> tuple[str, Lines] | None:
    """What a plot shows of a finding's table: its unit, and its lines; None where the table is gone or damaged.

    Args:
        folder: the survey's.
        name: of the table, relative to the folder.
        points: at most, and one more for each line.
    """
    try:
        path = file_inside(folder, name)
        if path.stat().st_size > _MAX_BYTES:
            return None
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        unit = "mm" if rows and all(row["width_mm"] and row["along_mm"] for row in rows) else "px"
        places = [(row["branch"], float(row[f"along_{unit}"]), float(row[f"width_{unit}"])) for row in rows]
    except (OSError, CrackError, KeyError, TypeError, ValueError, csv.Error):
        return None
    if not places or not np.isfinite([place[1:] for place in places]).all():
        return None
    together = -(-len(places) // points)
    digits = (1, 3) if unit == "mm" else (0, 2)
    lines, done = [], 0.0
    first = 0
    while first < len(places):
        last = first
        while last < len(places) and places[last][0] == places[first][0]:
            last += 1
        values = np.array([place[1:] for place in places[first:last]])
        means = [values[start : start + together].mean(axis=0) for start in range(0, len(values), together)]
        # Stretches one behind the other, as if the crack had no forks.
        lines.append(tuple((round(done + along, digits[0]), round(width, digits[1])) for along, width in means))
        done += float(values[-1, 0])
        first = last
    return unit, tuple(lines)


def _lines(profile: Sequence[WidthAt]) -> list[slice]:
    """Places that follow each other on one branch."""
    keys = [place.branch for place in profile]
    cuts = [number for number in range(1, len(keys)) if keys[number] != keys[number - 1]]
    edges = [0, *cuts, len(keys)] if keys else [0]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def _directions(points: np.ndarray) -> np.ndarray:
    """Of a line at its points, float (n, 2); to the right where there is one only."""
    if len(points) < 2:
        return np.array([[PROFILE_SPACING, 0.0]] * len(points))
    found = np.gradient(points, axis=0)
    still = ~found.any(axis=1)
    found[still] = (1.0, 0.0)
    return np.asarray(found)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
