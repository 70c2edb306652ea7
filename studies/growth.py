"""Is a crack that has grown told from one that has not? Pairs of drawn flights, a year apart, with cracks of known growth.

What it makes: results/growth/cracks.csv, a row per crack of each pair of flights (what it was, by how much it is wider, what the survey
with `--since` says of it), power.csv (shares that are called grown, and how often the range of 95 % holds the truth, with Wilson
intervals, by growth and by width, of all pairs and of those held out), power.png, and length.csv (the same of cracks that run on). The
second flight is flown from other places, 0.9 to 1.25 times as far, turned by some degrees, in other light and through another tone
curve; every crack is a little lighter or darker in it.
On some pairs cracks grow, each by another amount; on the others none does, since how often one is called grown all the same takes many of
them to be told. The numbers of `crack_tf.survey.comparison.growth` were set on the pairs of `GROWING` and `STILL`. Nothing was set on the
others, which are counted apart, too (`held out`).
Pairs that have rows are not flown again; one that was stopped goes on (runs/growth). After a change of the rule, REDO=1 compares the
surveys that are there again (and with MORE=0 nothing else).
Cost: half a minute a pair on two cores.
Expected: docs/since.md#measured.
Command: python -m studies.growth
"""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.ranges import Range
from crack_tf.survey.comparison.comparing import compare_surveys
from crack_tf.survey.comparison.growth import difference
from crack_tf.survey.comparison.since import Change, open_earlier
from crack_tf.survey.findings import (
    CANNOT_TELL,
    FILE_NAME,
    GONE,
    GROWN,
    NEW,
    REFUTED,
    Finding,
    Survey,
    read_survey,
)
from crack_tf.survey.geometry.views import POSITION_ERROR_M
from crack_tf.survey.surveying import survey
from crack_tf.survey.truth import lies_on
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import read_json, write_csv
from tflite.metrics import wilson_interval

OUT, RUNS = Path("results/growth"), Path("runs/growth")
# Seeds of pairs with cracks that grow, and of pairs where none does.
GROWING, STILL = range(1040, 1048), range(1052, 1068)
# Nothing was set on these; one with growth after two without.
HELD_OUT = range(1200, 1259)
ALL, FRESH = "all", "held out"
GROWTHS_MM = (0.0, 0.05, 0.1, 0.2, 0.5)
LONGER_PX = (0, 40, 80)  # pixels of the first flight that the cracks of `GROWING` run on
SCALES = (0.1, 0.3)  # mm per pixel of the first flight
WIDTHS_PX = ((0.0, 1.5), (1.5, 3.0), (3.0, 30.0))  # classes of the first flight's
_MEASURES = ("width", "length")


def plan_of(seed: int, epoch: int) -> Plan:
    """A small flight with cracks from a pixel on; in the second epoch they have grown, each by another of `GROWTHS_MM`, or none has."""
    low, high = np.log(SCALES)
    scale = math.exp(np.random.default_rng([seed, 99]).uniform(low, high))
    turn = seed % len(GROWTHS_MM)
    grows = epoch > 0 and seed not in STILL and (seed not in HELD_OUT or seed % 3 == 2)
    return Plan(
        seed=seed,
        piers=1,
        rows=1,
        columns=2,
        width=1000,
        height=750,
        cracks=6,
        mm_per_pixel=round(scale, 3),
        laser_noise_m=0.02,
        widths_px=(0.8, 10.0),
        darkness=(0.4, 0.82),
        epoch=epoch,
        grown_mm=(GROWTHS_MM[turn:] + GROWTHS_MM[:turn]) if grows else (),
        longer_mm=tuple(round(pixels * scale, 1) for pixels in LONGER_PX) if seed in GROWING and grows else (),
    )


def fly(seed: int) -> list[dict[str, Any]]:
    """Rows of a pair of flights."""
    folder = RUNS / str(seed)
    truths = []
    for epoch in (0, 1):
        flight = folder / f"flight-{epoch}"
        truth = read_json(flight / "truth.json") if (flight / "truth.json").is_file() else {}
        truths.append(truth if truth.get("complete") else write_flight(flight, plan_of(seed, epoch), overwrite=True))
    folders = [folder / f"found-{epoch}" for epoch in (0, 1)]
    for epoch, out in enumerate(folders):
        if not (out / FILE_NAME).is_file():
            flight = folder / f"flight-{epoch}"
            survey(flight / "photos", out, flight_log=flight / "flight.csv", say=lambda _: None)
    found = [read_survey(out) for out in folders]
    earlier = open_earlier(folders[0], folders[1])
    since_then = compare_surveys(earlier, found[1], folders[1], POSITION_ERROR_M)[1]
    drawn = [_drawn(done.findings, truth) for done, truth in zip(found, truths, strict=True)]
    rows = []
    for old, new in zip(truths[0]["cracks"], truths[1]["cracks"], strict=True):
        # Of the findings that are compared first; one that both surveys drew has one change, unless it fell into pieces.
        sides = [
            [
                None if not numbers else drawn[side].get(numbers[0], -1)
                for side, numbers in enumerate((change.old, change.new))
            ]
            for change in since_then.changes
        ]
        mine = [change for change, (a, b) in zip(since_then.changes, sides, strict=True) if {a, b} <= {old["id"], None}]
        other = sum(old["id"] in (a, b) and not {a, b} <= {old["id"], None} for a, b in sides)
        row, best = _row(seed, old, new, mine, truths[0]["mm_per_pixel"], other)
        rows.append(row | {"two_ranges_low_mm": None if best is None else _two_ranges_low(best, found)})
    return rows


def _drawn(findings: Sequence[Finding], truth: Mapping[str, Any]) -> dict[str, int]:
    """The true crack that each drawn finding lies on."""
    found = {}
    for finding in findings:
        for crack in truth["cracks"]:
            shown = crack["photos"].get(finding.photo)
            if finding.validation == REFUTED or finding.length_px is None or shown is None:
                continue
            if lies_on(finding.outline, True, np.array(shown["points"], float), crack["max_width_px"]):
                found[finding.id] = crack["id"]
                break
    return found


def _row(
    seed: int, old: Mapping[str, Any], new: Mapping[str, Any], changes: Sequence[Change], scale: float, confused: int
) -> tuple[dict[str, Any], Change | None]:
    row: dict[str, Any] = {
        "seed": seed,
        "crack": old["id"],
        "mm_per_pixel": scale,
        "width_mm": old["mean_width_mm"],
        "width_px": round(old["mean_width_mm"] / scale, 3),
        "grown_mm": new["grown_mm"],
        "longer_mm": new.get("longer_mm", 0.0),
        "darker": round(new["darkness"] / old["darkness"], 3),
        "matched": len(changes),
        "confused": confused,
    }
    best = max(changes, key=lambda change: (bool(change.old and change.new), change.places), default=None)
    names = (
        *("verdict", "width_verdict", "length_verdict", "width_by", "places"),
        *(f"{name}_growth{end}_mm" for name in _MEASURES for end in ("", "_low", "_high")),
    )
    return row | {name: None if best is None else getattr(best, name) for name in names}, best


def _two_ranges_low(change: Change, surveys: Sequence[Survey]) -> float | None:
    """Lower end of the growth by the surveys' own ranges of the mean width, for comparison; None for a crack of one survey."""
    if not (change.old and change.new):
        return None
    ends: list[tuple[float, Range]] = []
    for numbers, found in zip((change.old, change.new), surveys, strict=True):
        (finding,) = (finding for finding in found.findings if finding.id == numbers[0])
        width, low, high = finding.mean_width_mm, finding.mean_width_low_mm, finding.mean_width_high_mm
        if width is None or low is None or high is None:
            return None
        ends.append((width, Range(low, high)))
    return round(difference(*ends[0], *ends[1]).range.low, 3)


def table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shares by growth and width, of all pairs of flights and of those that are held out."""
    fresh = [row for row in rows if int(row["seed"]) in HELD_OUT]
    return [made for pairs, some in ((ALL, rows), (FRESH, fresh)) for made in _table(pairs, some)]


def _table(pairs: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for grown in (*GROWTHS_MM, None):
        for low, high in ((0.0, 30.0), *WIDTHS_PX):
            some = [
                row
                for row in rows
                if (grown is None or float(row["grown_mm"]) == grown)
                and not float(row.get("longer_mm") or 0)
                and low <= float(row["width_px"]) < high
                and row["verdict"] not in (None, "")
            ]
            if some:
                name = "all" if (low, high) == (0.0, 30.0) else f"{low:g} to {high:g}"
                made.append({"pairs": pairs, **_shares("all" if grown is None else f"{grown:g}", name, some)})
    return made


def length_table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shares that are called longer, by how much longer they are."""
    made = []
    for pixels in LONGER_PX:
        some = [
            row
            for row in rows
            if round(float(row.get("longer_mm") or 0) / float(row["mm_per_pixel"]) / 20) * 20 == pixels
            and row["length_growth_mm"] not in (None, "")
        ]
        called = sum(row["length_verdict"] == GROWN for row in some)
        held = sum(
            float(row["length_growth_low_mm"])
            <= float(row.get("longer_mm") or 0)
            <= float(row["length_growth_high_mm"])
            for row in some
        )
        made.append(
            {
                "longer_px": pixels,
                "cracks": len(some),
                "called_longer": called,
                **_wilson("called_longer", called, len(some)),
                "held": held,
                **_wilson("held", held, len(some)),
            }
        )
    return made


def _shares(grown: str, widths: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"grown_mm": grown, "width_px": widths, "cracks": len(rows)}
    called = sum(row["verdict"] == GROWN for row in rows)
    by_width = sum(row["width_verdict"] == GROWN for row in rows)
    told = sum(row["verdict"] == CANNOT_TELL for row in rows)
    made["called_new_or_gone"] = sum(row["verdict"] in (NEW, GONE) for row in rows)
    made["grown_by_two_ranges"] = sum(float(row["two_ranges_low_mm"] or -1) > 0 for row in rows)
    for name, count in (("called_grown", called), ("by_width", by_width), ("cannot_tell", told)):
        made |= {name: count, **_wilson(name, count, len(rows))}
    for name, truth in (("width", None), ("length", 0.0)):
        measured = [row for row in rows if row[f"{name}_growth_mm"] not in (None, "")]
        ends = [
            (
                float(row[f"{name}_growth_low_mm"]),
                float(row["grown_mm"]) if truth is None else truth,
                float(row[f"{name}_growth_high_mm"]),
            )
            for row in measured
        ]
        held = sum(low <= true <= high for low, true, high in ends)
        made |= {f"{name}_ranges": len(ends), f"{name}_held": held, **_wilson(f"{name}_held", held, len(ends))}
        made[f"{name}_too_high"] = sum(true < low for low, true, _ in ends)
        made[f"{name}_typical_range_mm"] = (
            round(float(np.median([high - low for low, _, high in ends])), 3) if ends else None
        )
    return made


def _wilson(name: str, count: int, total: int) -> dict[str, float | None]:
    low, high = wilson_interval(count, total) if total else (math.nan, math.nan)
    share = count / total if total else math.nan
    return {
        f"{name}_{end}": None if math.isnan(value) else round(value, 4)
        for end, value in (("share", share), ("low", low), ("high", high))
    }


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Shares called grown by growth, one line per class of width, with their intervals and counts."""
    from crack_tf.common.plotting import new_figure, save_png

    figure = new_figure(7.5, 4.5)
    axes = figure.add_subplot()
    axes.axhspan(0, 0.05, color="0.9")
    colours = {"all": "#303030", "0 to 1.5": "#56b4e9", "1.5 to 3": "#009e73", "3 to 30": "#d55e00"}
    for number, (widths, colour) in enumerate(colours.items()):
        some = [row for row in rows if row["pairs"] == ALL and row["width_px"] == widths and row["grown_mm"] != "all"]
        if not some:
            continue
        places = np.array([GROWTHS_MM.index(float(row["grown_mm"])) for row in some]) + 0.12 * (number - 1.5)
        share, low, high = (
            np.array([float(row[f"called_grown_{end}"]) for row in some]) for end in ("share", "low", "high")
        )
        label = "all cracks" if widths == "all" else f"{widths} pixels wide before"
        axes.errorbar(
            places, share, yerr=[share - low, high - share], fmt="o-", ms=4, lw=1.2, color=colour, label=label
        )
        if widths == "all":
            for place, row, top in zip(places, some, high, strict=True):
                axes.annotate(
                    f"{row['called_grown']} of {row['cracks']}", (place, min(top + 0.02, 1.02)), fontsize=7, ha="center"
                )
    axes.set_xticks(range(len(GROWTHS_MM)), [f"{value:g}" for value in GROWTHS_MM])
    axes.set(xlabel="growth of the width, mm", ylabel="share that is called grown", ylim=(-0.03, 1.1))
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    axes.grid(alpha=0.3)
    save_png(figure, path)


def main() -> int:
    """Fly those that are missing; at most $MORE of them, where it is set. With $REDO all that were flown are compared again."""
    path = OUT / "cracks.csv"
    rows: list[Mapping[str, Any]] = list(csv.DictReader(path.open())) if path.is_file() else []
    done = sorted({int(row["seed"]) for row in rows})
    pairs = (*GROWING, *STILL, *HELD_OUT)
    wanted = [seed for seed in pairs if seed not in done][: int(os.environ.get("MORE", len(pairs)))]
    if os.environ.get("REDO"):
        wanted, rows = [*done, *wanted], []
    for seed in wanted:
        rows += fly(seed)
        print(f"pair {seed}: {sum(str(row['seed']) == str(seed) for row in rows)} cracks", flush=True)
        if not os.environ.get("REDO"):
            write_csv(path, sorted(rows, key=_order))
    write_csv(path, sorted(rows, key=_order))
    shares = table(rows)
    write_csv(OUT / "power.csv", shares)
    write_csv(OUT / "length.csv", length_table(rows))
    draw(shares, OUT / "power.png")
    for row in shares:
        if row["width_px"] == "all":
            print(
                f"{row['pairs']}: grown by {row['grown_mm']} mm: {row['called_grown']} of {row['cracks']} called grown "
                f"({row['by_width']} by width), "
                f"{row['cannot_tell']} cannot tell, {row['called_new_or_gone']} called new or gone; "
                f"{row['grown_by_two_ranges']} grown by two ranges; "
                f"range of width held {row['width_held']} of {row['width_ranges']}, of length "
                f"{row['length_held']} of {row['length_ranges']}"
            )
    return 0


def _order(row: Mapping[str, Any]) -> tuple[int, int]:
    return int(row["seed"]), int(row["crack"])


if __name__ == "__main__":
    sys.exit(main())
