"""How often the 95 % ranges of widths and lengths hold the truth, on drawn cracks from 0.05 to 2 mm.

What it makes: results/width-intervals/coverage.csv (how often, by what a crack is and how it was photographed, with 95 % intervals),
cracks.csv (a row per crack) and coverage.png. Twice: on the crack's own mask, drawn a little wrong, which shows the measuring alone;
and through the shipped segmentation model and the survey's rule, which is what users get. Cracks that the model does not find are
counted, and have no range.
Calibrated on other cracks: `crack_tf.photo.slit` (how far readings lie from its model) and `crack_tf.photo.ranges` (shares of the
posterior, lengths) were set on seeds 0 to 260, narrowed after a round of 300 from 10,000 on had held 96 to 99 %, and the maximum of faint
cracks widened after 600 from 20,000 and 30,000 on, of which it had held 84 of 95 below a pixel. What the model leaves out of a length was
set anew for today's `unet_mobile` on the 380 of 480 from 50,000 and 60,000 on that it finds; the seeds here begin at 70,000 and at 80,000.
Cost: ten minutes on two cores; stopped, or out of its --seconds, it goes on.
Expected: docs/results.md#intervals-of-widths-and-lengths: 95 +- 3 %.
Command: python -m studies.width_intervals
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crack_tf.inference.maps import segment
from crack_tf.inference.tiles import Tile
from crack_tf.models.shipped import find_model
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.limits import BELOW, EXCEEDS, judge
from crack_tf.photo.ranges import Range, in_millimetres
from crack_tf.survey.searching.validate import Ground, Opinion, find_candidates
from studies.drawn_widths import SIDE, DrawnCrack, draw_crack, perturbed_mask
from tflite.cli import named_path, positive_float, positive_int, run_main
from tflite.device.tiles import Box
from tflite.files import csv_rows, write_csv
from tflite.metrics import wilson_interval
from tflite.segmenter import Segmenter

OUT = Path("results/width-intervals")
SEEDS = (*range(70_000, 70_240), *range(80_000, 80_240))
MASK, MODEL = "own mask", "unet_mobile"
LIMITS = (0.2, 0.3, 0.4)
MEASURES = ("mean_width", "max_width", "length")
_NEAR = 4.0  # pixels between a centreline and the true one
_TRUTH = (
    "width_mm",
    "max_width_mm",
    "length_mm",
    "width_px",
    "blur",
    "noise",
    "contrast",
    "oblique_deg",
    "mm_per_pixel",
)
COLUMNS = (
    *("seed", "through", "found", *_TRUTH, "scale_from"),
    *(f"{name}_{end}" for name in MEASURES for end in ("stated", "low", "high")),
)
# What coverage is told by: column, and edges of its classes.
_CLASSES: dict[str, Sequence[float]] = {
    "width_mm": (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5),
    "width_px": (0.1, 0.5, 1, 2, 3, 5, 20),
    "blur": (0.3, 0.8, 1.3, 1.9),
    "noise": (0.5, 1.5, 3, 7),
    "contrast": (0.3, 0.5, 0.7, 0.9),
    "oblique_deg": (0, 15, 30, 60),
}


class _Found(NamedTuple):
    """What was measured, in pixels: length, mean and maximum width, and their ranges."""

    values: tuple[float, float, float]
    ranges: tuple[Range, Range, Range]
    outline: Sequence[Sequence[tuple[float, float]]]
    widest: tuple[float, float]


def measure(drawn: DrawnCrack, through: str, segmenter: Segmenter) -> dict[str, Any]:
    """A row of cracks.csv, without its seed."""
    row: dict[str, Any] = {"through": through, **{name: getattr(drawn, name) for name in _TRUTH}}
    row["scale_from"] = drawn.scale_from
    found: list[_Found] = []
    if through == MASK:
        rng = np.random.default_rng(round(1e6 * drawn.width_mm))
        for crack in measure_cracks(perturbed_mask(drawn, rng), min_area=1, photo=drawn.photo):
            values = (crack.length_px, crack.mean_width_px, crack.max_width_px)
            found.append(_Found(values, crack.ranges, crack.outline[:1], crack.max_width_at))
    else:

        def ask(image: np.ndarray, region: np.ndarray) -> np.ndarray:
            return np.where(region, segment(image, segmenter), np.float32(0))

        tile = Tile(Box(0, 0, SIDE, SIDE), 10.0, 1.0, True)
        opinion = Opinion(ask, segmenter.threshold_probability)
        for each in find_candidates(drawn.photo, [tile], Ground(), opinion):
            measured = (each.length_px, each.mean_width_px, each.max_width_px)
            if each.ranges is not None and each.widest is not None:
                known = tuple(float(value) for value in measured if value is not None)
                found.append(_Found((known[0], known[1], known[2]), each.ranges, each.outline, each.widest))
    near = [entry for entry in found if _away(drawn.line, entry.outline) <= _NEAR + drawn.width_px]
    row["found"] = int(bool(near))
    if not near:
        return row
    best = max(near, key=lambda entry: entry.values[0])
    length, mean, most = best.values
    ranges, widest = best.ranges, best.widest
    moved = [[(x + drawn.corner[0], y + drawn.corner[1]) for x, y in ring] for ring in best.outline]
    whole = drawn.view.measure(moved)
    at = drawn.view.measure(moved, (widest[0] + drawn.corner[0], widest[1] + drawn.corner[1]))
    assert whole is not None
    assert at is not None
    for name, value, pixels, scale, error in (
        ("length", length, ranges[0], whole.length, whole.error),
        ("mean_width", mean, ranges[1], whole.width, whole.error),
        ("max_width", most, ranges[2], at.width, at.error),
    ):
        held: Range = in_millimetres(value, pixels, scale, error or 0.0)
        row |= {f"{name}_stated": value * scale, f"{name}_low": held.low, f"{name}_high": held.high}
    return row


def coverage(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """How often the ranges hold the truth: all, and by class."""
    table = []
    for through in (MASK, MODEL):
        mine = [row for row in rows if row["through"] == through]
        table.append(_covered(through, "all", "", mine))
        for name, edges in _CLASSES.items():
            for low, high in itertools.pairwise(edges):
                some = [row for row in mine if low <= float(row[name]) < high]
                table.append(_covered(through, name, f"{low:g} to {high:g}", some))
        for name in ("given", "laser", "stated"):
            table.append(_covered(through, "scale", name, [row for row in mine if row["scale_from"] == name]))
    return [row for row in table if row["cracks"]]


def _covered(through: str, by: str, value: str, rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    measured = [row for row in rows if row["found"] == "1"]
    made: dict[str, Any] = {"through": through, "by": by, "class": value, "cracks": len(rows), "found": len(measured)}
    for name in MEASURES:
        truth = "width_mm" if name == "mean_width" else f"{name}_mm"
        ends = [(float(row[f"{name}_low"]), float(row[truth]), float(row[f"{name}_high"])) for row in measured]
        held = sum(low <= true <= high for low, true, high in ends)
        low, high = wilson_interval(held, len(ends)) if ends else (math.nan, math.nan)
        made |= {
            f"{name}_covered": _share(held, len(ends)),
            f"{name}_covered_low": "" if not ends else round(low, 3),
            f"{name}_covered_high": "" if not ends else round(high, 3),
            f"{name}_truth_below": _share(sum(true < low for low, true, _ in ends), len(ends)),
            f"{name}_truth_above": _share(sum(true > high for _, true, high in ends), len(ends)),
            f"{name}_typical_range": ""
            if not ends
            else round(float(np.median([(high - low) / true for low, true, high in ends])), 3),
        }
    for limit in LIMITS:
        answers = [
            (
                judge(limit, (float(row["max_width_low"]), float(row["max_width_high"]))),
                float(row["max_width_mm"]) > limit,
            )
            for row in measured
        ]
        made |= {
            f"limit_{limit:g}_told": _share(sum(answer in (EXCEEDS, BELOW) for answer, _ in answers), len(answers)),
            f"limit_{limit:g}_wrong": _share(
                sum((answer == EXCEEDS and not over) or (answer == BELOW and over) for answer, over in answers),
                len(answers),
            ),
        }
    return made


def _share(part: int, whole: int) -> float | str:
    return round(part / whole, 3) if whole else ""


def _away(line: np.ndarray, outline: Sequence[Sequence[tuple[float, float]]]) -> float:
    """How far a crack's outline lies from the true centreline, pixels."""
    from scipy.spatial import cKDTree

    points = np.concatenate([np.asarray(ring, float) for ring in outline])
    return float(np.median(cKDTree(line).query(points)[0]))


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Coverage by class, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = [name for name in _CLASSES if name != "width_px"]
    figure, axes = plt.subplots(2, len(shown), figsize=(3.1 * len(shown), 6.2), sharey=True)
    colours = {"mean_width": "#0072b2", "max_width": "#d55e00", "length": "#009e73"}
    titles = {
        "width_mm": "width, mm",
        "oblique_deg": "obliqueness, degrees",
        "blur": "blur, px",
        "noise": "noise, grey levels",
    }
    for row, through in enumerate((MASK, MODEL)):
        for column, name in enumerate(shown):
            axis = axes[row][column]
            some = [entry for entry in rows if entry["through"] == through and entry["by"] == name and entry["found"]]
            axis.axhspan(0.92, 0.98, color="0.9")
            for number, (what, colour) in enumerate(colours.items()):
                middle = np.array([float(entry[f"{what}_covered"]) for entry in some])
                low = np.array([float(entry[f"{what}_covered_low"]) for entry in some])
                high = np.array([float(entry[f"{what}_covered_high"]) for entry in some])
                places = np.arange(len(some)) + 0.18 * (number - 1)
                error = [np.maximum(middle - low, 0), np.maximum(high - middle, 0)]
                label = what.replace("_", " ") if row == column == 0 else None
                axis.errorbar(places, middle, yerr=error, fmt="o", ms=4, lw=1, color=colour, label=label)
            axis.set_xticks(
                range(len(some)), [entry["class"].replace(" to ", "-") for entry in some], rotation=60, fontsize=8
            )
            axis.set_ylim(0.6, 1.01)
            if row == 0:
                axis.set_title(titles.get(name, name), fontsize=10)
        axes[row][0].set_ylabel(f"truth within the range\n{through}")
    figure.legend(loc="lower center", ncol=3, frameon=False)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=90)
    plt.close(figure)


def run(out: Path, seeds: Sequence[int], seconds: float, say: Callable[[str], None] = print) -> None:
    """Measure the cracks that are not in cracks.csv yet, and write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "cracks.csv"
    rows: list[dict[str, str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv_rows(stream))
    done = {int(row["seed"]) for row in rows}
    wanted = [seed for seed in seeds if seed not in done]
    segmenter = Segmenter(find_model(None, task="segment").path)
    started = time.monotonic()
    for number, seed in enumerate(wanted):
        if time.monotonic() - started > seconds:
            say(f"out of time: {len(wanted) - number} cracks to go, the same command goes on.")
            break
        drawn = draw_crack(seed)
        for through in (MASK, MODEL):
            row = {"seed": seed, **measure(drawn, through, segmenter)}
            rows.append({name: _written(row.get(name)) for name in COLUMNS})
        if seed % 10 == 9:
            write_csv(path, rows, COLUMNS)
    rows.sort(key=lambda row: (int(row["seed"]), row["through"]))
    write_csv(path, rows, COLUMNS)
    table = coverage(rows)
    write_csv(out / "coverage.csv", table)
    draw(table, out / "coverage.png")
    for row in table:
        if row["by"] == "all":
            shares = ", ".join(f"{name} {row[f'{name}_covered']}" for name in MEASURES)
            say(f"{row['through']}: {row['found']} of {row['cracks']} found; truth within the range: {shares}")


def _written(value: Any) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.width_intervals", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, default=OUT, metavar="DIR", help=f"({OUT})")
    parser.add_argument(
        "--cracks", type=positive_int, default=len(SEEDS), help=f"of the list of seeds, the first ({len(SEEDS)})"
    )
    parser.add_argument("--seconds", type=positive_float, default=math.inf, help="stop after these (default: never)")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args.out, SEEDS[: args.cracks], args.seconds), interrupted="The same command goes on.")


if __name__ == "__main__":
    sys.exit(main())
