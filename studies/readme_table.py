"""The README's one table of results, made from results/: what the shipped default models do, with counts and intervals.

Cost: none. After a measurement has changed results/:

    python -m studies.readme_table --write README.md

A test compares the README with it, so that no figure there is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from crack_tf.models.shipped import read_zoo
from tflite.files import atomic_path
from tflite.metrics import wilson_interval

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
BEGIN = "<!-- made by python -m studies.readme_table -->\n"
END = "<!-- end -->\n"
# Sets of results/real-scenes/matrix.csv, and how a stranger would call them.
TILES = {
    "metu grouped": "METU: close-up concrete",
    "sdnet2018 walls": "SDNET2018: walls, as labelled",
    "drone concrete": "concrete from drones",
    "scenes": "street scenes without cracks",
    "brick": "brick, left out of training",
    "crack500 tiles": "asphalt (Crack500), left out",
}
# Of results/second-look.csv: set, split and whether the photographs show a crack.
PHOTOGRAPHS = {
    ("scenes_whole", "all", "no"): "scenes without cracks, none straight down on the ground",
    ("conglomerate", "test", "yes"): "concrete with a crack, left out",
    ("uav_asphalt", "all", "yes"): "asphalt from a drone with a crack, left out",
}
SURVEYS = {"uav_concrete": "concrete from drones", "scenes_whole": "scenes without cracks"}
MASKS = {"deepcrack": "DeepCrack", "uav_concrete": "concrete from drones"}

Row = dict[str, str]


def rows(path: Path) -> list[Row]:
    """A CSV file's rows by column."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def only(found: Sequence[Row], **wanted: str) -> Row:
    """The one row that has these values.

    Raises:
        ValueError: if there is none, or more than one.
    """
    chosen = [row for row in found if wanted.items() <= row.items()]
    if len(chosen) != 1:
        raise ValueError(f"{len(chosen)} rows of the results have {wanted}; one was expected.")
    return chosen[0]


def default_name(task: str) -> str:
    """Name of the shipped default model for "classify" or "segment"."""
    (name,) = (model.name for model in read_zoo()[1].values() if model.default and model.task == task)
    return name


def table(results: Path = RESULTS) -> str:
    """The table as Markdown, one line each ending in a newline.

    Args:
        results: folder that `real-scenes`, `suite` and `second-look.csv` lie in.

    Raises:
        ValueError: if the results do not hold a row for the shipped default.
    """
    scenes, classifier, segmenter = results / "real-scenes", default_name("classify"), default_name("segment")
    lines = ["| what | of what | measured |", "|---|---|---|"]

    tiles = rows(scenes / "matrix.csv")
    for name, shown in TILES.items():
        row = only(tiles, model=classifier, set=name)
        rates = [_rate(row, *which) for which in (("recall", "tp", "fn"), ("specificity", "tn", "fp"))]
        lines.append(f"| tiles | {shown} | {', '.join(filter(None, rates))} |")
    left_out = only(rows(scenes / "domains.csv"), model=classifier)
    worst = f"worst {float(left_out['worst_auc']):.3f} ({left_out['worst_set']})"
    lines.append(
        f"| tiles | all {left_out['sets']} sets left out | mean AUC {float(left_out['mean_auc']):.3f}, {worst} |"
    )

    looks = rows(results / "second-look.csv")
    for (name, split, cracks), shown in PHOTOGRAPHS.items():
        row = only(looks, model=classifier, set=name, split=split, cracks=cracks)
        called, photographs = int(row["called_after"]), int(row["photographs"])
        low, high = wilson_interval(called, photographs)
        lines.append(
            f"| `predict` | {photographs} photographs: {shown} | {called} called cracked [{low:.2f}, {high:.2f}] |"
        )

    surveys = rows(scenes / "scenes.csv")
    for name, shown in SURVEYS.items():
        row = only(surveys, model=classifier, set=name)
        found = f"{row['found']}/{row['cracks']} cracks found, " if row["cracks"] != "0" else ""
        false = f"{_interval(row, 'false_per_photograph', 2)} false confirmed findings each"
        lines.append(f"| survey | {row['photographs']} photographs: {shown} | {found}{false} |")

    masks = rows(scenes / "masks.csv")
    for name, shown in MASKS.items():
        row = next(row for row in masks if row["set"] == name and row["name"].startswith(segmenter))
        lines.append(
            f"| masks | {row['photographs']} photographs: {shown} | F1 (2 px) {_interval(row, 'tolerant_f1', 3)} |"
        )

    row = only(rows(results / "suite" / "cost.csv"), model=classifier)
    lines.append(f"| time | `predict`, 12 megapixels, {row['cores']} x86 cores | {float(row['p50_s']):.1f} s |")
    return "\n".join(lines) + "\n"


def _rate(row: Row, name: str, hits: str, misses: str) -> str:
    """A rate with its counts, or nothing where there was nothing to count."""
    if not row[name]:
        return ""
    return f"{name} {float(row[name]):.3f} ({row[hits]}/{int(row[hits]) + int(row[misses])})"


def _interval(row: Row, name: str, digits: int) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main(argv: list[str] | None = None) -> int:
    """Print the table, or put it between its marks in a file."""
    parser = argparse.ArgumentParser(prog="python -m studies.readme_table", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="put it between the marks in this file")
    args = parser.parse_args(argv)
    if args.write is None:
        print(table(), end="")
        return 0
    before, begin, rest = args.write.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"error: {args.write} has no {BEGIN.strip()} ... {END.strip()}.", file=sys.stderr)
        return 2
    with atomic_path(args.write) as temporary:
        temporary.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
