"""The widths along a finding's crack: `profiles/ID.csv`, and what the report's plot needs of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.crack import WIDTH_COLUMNS, WidthAt
from crack_tf.photo.skeleton import directions, runs
from crack_tf.photo.view import View
from tflite.checked import file_inside
from tflite.errors import CrackError
from tflite.files import write_bytes

COLUMNS = (*WIDTH_COLUMNS, "along_mm", "width_mm", "missing_light_px", "half_width_px")
MOST_PLOTTED, LEAST_PLOTTED = 80, 16  # points of a plot
PAGE_POINTS = 60_000  # of all plots together, about: a page of thousands of findings stays small
_MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Profile:
    """Places along a crack that its photograph shows clearly, all branches one after the other.

    Attributes:
        points: float (n, 2), x and y in pixels of the photograph.
        along: float (n, 2), the crack's direction there, unit vectors.
        widths: float (n,), pixels.
        across_mm: float (n,), millimetres per pixel across the crack; NaN where the scale is not known.
        missing_light, half_widths: float (n,), see `crack_tf.photo.crack.WidthAt`.
    """

    points: np.ndarray
    along: np.ndarray
    widths: np.ndarray
    across_mm: np.ndarray
    missing_light: np.ndarray
    half_widths: np.ndarray


# Lines of (along, width) pairs, in one unit.
Lines = tuple[tuple[tuple[float, float], ...], ...]


def profile_csv(profile: Sequence[WidthAt], view: View | None) -> bytes:
    """The table of a finding's widths.

    Args:
        profile: places in order.
        view: how the photograph shows the surface, or None for pixels only.
    """
    rows = [
        {**place.as_row(), "missing_light_px": place.missing_light, "half_width_px": place.half_width}
        for place in profile
    ]
    return _table(rows, view)


def rescale(folder: Path, name: str, view: View) -> None:
    """Write a finding's table anew, with the millimetres of another view; what is missing or damaged stays as it is.

    Args:
        folder: the survey's.
        name: of the table, relative to the folder.
        view: how the photograph shows the surface.
    """
    try:
        rows = _rows(folder, name)
        made, path = _table(rows, view), file_inside(folder, name)
        if rows and path.read_bytes() != made:
            write_bytes(path, made)
    except (OSError, CrackError, KeyError, TypeError, ValueError, csv.Error):
        return


def _table(rows: Sequence[Mapping[str, Any]], view: View | None) -> bytes:
    """A table of rows with all COLUMNS but those in millimetres, which are made."""
    points = np.array([(row["x"], row["y"]) for row in rows], float).reshape(-1, 2)
    places = np.array([(row["along_px"], row["width_px"]) for row in rows], float).reshape(-1, 2)
    lines = runs([row["branch"] for row in rows])
    along = np.concatenate([directions(points[line]) for line in lines]) if lines else points
    across = np.full(len(points), np.nan) if view is None else view.across(points, along)
    on_surface = np.full((len(points), 2), np.nan) if view is None else view.to_surface(points)
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    for line in lines:
        steps = np.hypot(*np.diff(on_surface[line], axis=0).T) if line.stop - line.start > 1 else np.zeros(0)
        # Beyond the horizon, as at the sides of a pier, nothing is known: lengths there are as those that are seen.
        pixels, seen = np.diff(places[line, 0]), np.isfinite(steps)
        if seen.any() and not seen.all():
            steps = np.where(seen, steps, pixels * steps[seen].sum() / pixels[seen].sum())
        # From the start of the line, which lies before its first place.
        scale = steps.sum() / (places[line.stop - 1, 0] - places[line.start, 0]) if len(steps) else np.nan
        millimetres = scale * places[line.start, 0] + np.concatenate([[0.0], np.cumsum(steps)])
        for number, at in enumerate(range(line.start, line.stop)):
            made = {"along_mm": _number(millimetres[number], 2), "width_mm": _number(places[at, 1] * across[at], 4)}
            table.writerow({**rows[at], **made})
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
        rows = _rows(folder, name)
        scaled = [row for row in rows if row["width_mm"] and row["along_mm"]]
        unit, rows = ("mm", scaled) if 2 * len(scaled) > len(rows) else ("px", rows)
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
        starts = np.arange(0, len(values), together)
        means = np.add.reduceat(values, starts) / np.diff(starts, append=len(values))[:, None]
        # Stretches one behind the other, as if the crack had no forks.
        lines.append(
            tuple((round(done + along, digits[0]), round(width, digits[1])) for along, width in means.tolist())
        )
        done += float(values[-1, 0])
        first = last
    return unit, tuple(lines)


def read_profile(folder: Path, name: str) -> Profile | None:
    """The clear places of a finding's table; None where it has none, is gone or damaged, or is from before 2026-12.

    Args:
        folder: the survey's.
        name: of the table, relative to the folder.
    """
    try:
        rows = _rows(folder, name)
        columns = ("x", "y", "width_px", "width_mm", "missing_light_px", "half_width_px")
        table = np.array([[float(row[column] or "nan") for column in columns] for row in rows]).reshape(
            -1, len(columns)
        )
        lines = runs([row["branch"] for row in rows])
    except (OSError, CrackError, KeyError, TypeError, ValueError, csv.Error):
        return None
    along = np.concatenate([directions(_smooth(table[line, :2])) for line in lines]) if lines else table[:, :2]
    clear = np.isfinite(table[:, [0, 1, 2, 4, 5]]).all(axis=1) & (table[:, [2, 4, 5]] > 0).all(axis=1)
    if not clear.any():
        return None
    along, table = along[clear] / np.linalg.norm(along[clear], axis=1, keepdims=True), table[clear]
    return Profile(table[:, :2], along, table[:, 2], table[:, 3] / table[:, 2], table[:, 4], table[:, 5])


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    path = file_inside(folder, name)
    if path.stat().st_size > _MAX_BYTES:
        raise CrackError(f"{path} is too large for a table of widths.")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _smooth(points: np.ndarray) -> np.ndarray:
    """A line without its small kinks, which have directions of their own."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(points, 3.0, axis=0, mode="nearest"))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
