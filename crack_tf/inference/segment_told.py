"""What is told of segmented photographs: rows of photos.csv, and lines for a person, made from the records in their cracks.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crack_tf.photo.doubt import others
from crack_tf.photo.limits import ANSWERS, Untold, column, untold
from crack_tf.photo.measure import min_length
from crack_tf.photo.measure_config import MeasureConfig
from crack_tf.photo.overlay import ABOUT
from crack_tf.photo.ranges import is_hole, told_length
from tflite.words import counted, not_read, on_one_line

SEGMENTED, UNREADABLE = "segmented", "unreadable"
COLUMNS = (
    *("photo", "status", "cracks", "crack_pixels", "longest_px", "widest_px", "longest_mm", "widest_mm"),
    *("mm_per_pixel", "width", "height", "seam_ratio", "seconds", "folder", "reason", "unclear", "short", "note"),
)


def row_of(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A record's row of photos.csv."""
    row = {name: record.get(name) for name in COLUMNS}
    if record["status"] == UNREADABLE:
        return row
    cracks = record["cracks"]
    largest = {
        f"{name}_{unit}": max((crack[f"{what}_{unit}"] for crack in some), default=None)
        for name, what, some in (("longest", "length", cracks), ("widest", "max_width", _wide(cracks)))
        for unit in (("px", "mm") if record["mm_per_pixel"] else ("px",))
    }
    seam_ratio = record["seams"] and record["seams"]["ratio"]
    return row | {
        "cracks": len(cracks),
        "unclear": len(record["unclear"]),
        "seam_ratio": seam_ratio,
        "folder": folder.as_posix(),
        **largest,
    }


def report_line(record: dict[str, Any]) -> str:
    """What is told about a photograph."""
    if record["status"] == UNREADABLE:
        return not_read(record["photo"], record["reason"])
    cracks = record["cracks"]
    text = counted(len(cracks), "crack")
    if cracks:
        unit = "mm" if record["mm_per_pixel"] else "px"
        digits = 2 if unit == "mm" else 1
        width, doubted = (max(crack[f"max_width_{unit}"] for crack in some) for some in (_wide(cracks), cracks))
        about = "" if any(map(is_sure, cracks)) else ABOUT
        first = cracks[0]
        long = first[f"length_{unit}"], first[f"length_low_{unit}"], first[f"length_high_{unit}"]
        text += f", longest {told_length(*long, unit)}, widest {about}{width:.{digits}f} {unit}"
        text += f" (in doubt: {ABOUT}{doubted:.{digits}f} {unit})" if doubted > width else ""
    rest = others(Counter(mark["note"] for mark in record["unclear"]), record["short"])
    # A faint crack may be drawn as specks alone, which are too small to be marks.
    text += rest or (", only specks drawn" if not cracks and record.get("crack_pixels") else "")
    if record["reason"]:
        text = f"NOT MEASURED, {record['reason']}"
    ratio = record["seams"] and record["seams"]["ratio"]
    seam = "" if ratio is None else f", seams {ratio:.2f}"
    note = f"\nnote: {record['note']}" if record.get("note") else ""
    return f"{on_one_line(record['photo'])}: {text} ({record['seconds']:.1f} s{seam}){note}"


def _wide(cracks: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The cracks among which the widest is: those whose maximum width is to be trusted, where there are some."""
    return [crack for crack in cracks if is_sure(crack)] or cracks


def is_sure(crack: Mapping[str, Any]) -> bool:
    """Whether the maximum width of a crack of a record is to be trusted."""
    return bool(crack["width_trusted"]) and not is_hole(crack["mean_width_px"], crack["max_width_px"])


def told_of_all(
    rows: list[dict[str, Any]], cracked: int, unreadable: int, done_before: int, skipped: int, measure: MeasureConfig
) -> Iterator[str]:
    """The parts of the line that counts all photographs."""
    yield f"{counted(len(rows), 'photograph')}: {cracked} with cracks, {unreadable} NOT READ"
    if unclear := sum(bool(row["unclear"]) for row in rows):
        yield f"{unclear} with unclear marks: look at them"
    if short := sum(row["short"] or 0 for row in rows):
        yield f"{counted(short, 'mark')} shorter than {min_length(measure, by_model=True):g} px left out"
    if done_before:
        yield f"{done_before} done before"
    if skipped:
        yield f"{counted(skipped, 'other file')} passed over"


def why_untold(limit: float, mark: dict[str, Any]) -> Untold:
    """Why nobody can tell about a crack of a record."""
    low, high = mark.get("max_width_low_mm"), mark.get("max_width_high_mm")
    return untold(
        limit,
        None if low is None or high is None else (low, high),
        mean_width_px=mark.get("mean_width_px"),
        mm_per_pixel=mark.get("mm_per_pixel"),
        width_from=mark.get("width_from"),
    )


def is_whole(record: dict[str, Any], limits: Collection[float]) -> bool:
    """Whether a record has what the table and what is told of all photographs are made from."""
    try:
        row_of(record, Path())
        report_line(record)
        # Earlier versions gave what may be no crack sizes.
        columns = ("width_trusted", *map(column, limits))
        if any(mark[name] is not None for mark in record["unclear"] for name in columns):
            return False
        trusted = all(isinstance(crack["width_trusted"], bool) for crack in record["cracks"])
        return trusted and all(crack[column(limit)] in ANSWERS for limit in limits for crack in record["cracks"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return False
