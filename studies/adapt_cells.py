"""What the last blocks bring where they start from a network that ranks better: the default trained on with masks and their highest cell.

What it makes: `mobilenet_v2_cells_real`, the shipped model to adapt from (400 steps from the default's weights, as in
`studies.ingredients`, the mean of its last three quarters of epochs), and results/adapt/cells: runs.csv and summary.csv as `studies.adapt`
makes them, gains.csv (what changes beside the default as shipped, on the same tiles), adapt.png, study.json, and suite, what the model
does as shipped. The draws of labels are those of results/adapt/blocks-draws, in which the last blocks start from the default itself.
The six sets were looked at when this start was chosen, so they are no untouched test of it.
The last blocks under the guard, one draw, in guard.csv (stopped after four sets, half an hour): python -m studies.adapt --parts blocks
--start mobilenet_v2_cells_real --labels 20 --labels 40 --seeds 1 --out runs/guard-results --work runs/guard; guard.csv is its runs.csv.
Cost: ten minutes for the training, a quarter of an hour a draw of six sets on two cores; stopped, the same command goes on.
Expected: docs/results-adapt.md#from-a-start-that-ranks-better.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt_cells   (after the manifests of `python -m studies.real_scenes`)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from studies import ingredients
from studies.adapt import COLUMNS, UNJUDGED, measure, read_measured
from studies.adapt_tables import BLOCKS_LABELS, Row, draw, gains, summary
from studies.real_scenes import mean_step
from studies.recipe import Step, Word, follow, words
from tflite.cli import run_main
from tflite.files import read_csv, read_json, write_csv, write_json

OUT, WORK = Path("results/adapt/cells"), Path("runs/adapt-cells")
SEED, SEEDS = 0, 3  # of the training; draws of labels
NAME = "mobilenet_v2_cells_real"
TRAINING = replace(
    next(training for training in ingredients.GOING_ON if training.name.endswith("their highest cell")),
    epochs=ingredients.EPOCHS,
)
START, DRAWS, DEFAULT = WORK / "start", WORK / "draws", WORK / "default"
FROM_DEFAULT = Path("results/adapt/blocks-draws/runs.csv")


def steps() -> list[Step]:
    """After the training: the mean of its epochs, the int8 file, and what labels change."""
    epochs = [f"{epoch:03d}" for epoch in ingredients.last_epochs(TRAINING.epochs)]
    trained, data = ingredients.folder(TRAINING, SEED, WORK), ingredients.learns_from(TRAINING)
    export = words(f"export --int8 --ptq --second-view {ingredients.SECOND_VIEW}", START)
    labels = [word for count in BLOCKS_LABELS for word in ("--labels", str(count))]
    asked: list[Word] = ["--model", START, "--out", WORK / "results", "--work", DRAWS, "--parts", UNJUDGED, *labels]
    tflite, suite = START / "export" / "mobilenet_v2-int8-ptq.tflite", OUT / "suite"
    return [
        mean_step(trained, data, START, epochs=epochs),
        Step(tflite, export),
        Step(None, [*asked, "--seeds", str(SEEDS)], module="studies.adapt"),
        Step(suite / "matrix.csv", words(f"evaluate --suite {NAME} --parts matrix,domains --out", suite)),
    ]


def run() -> int:
    """Train, export and measure what is missing, and put it beside the default."""
    ingredients.train(TRAINING, SEED, WORK)
    if code := follow(steps()):
        return code
    # The default's answers to the same tiles; without labels nothing is trained.
    measure(DEFAULT, None, 300, SEEDS, None, parts=(UNJUDGED,), counts=(0,))
    collect()
    return 0


def collect() -> None:
    """Write what is measured."""
    rows, answers = read_measured(DRAWS)
    write_csv(OUT / "runs.csv", rows, COLUMNS)
    write_json(OUT / "study.json", read_json(DRAWS / "study.json"))
    found = summary(rows, answers)
    write_csv(OUT / "summary.csv", found)
    draw(found, OUT / "adapt.png")
    tuned = {key: kept for key, kept in answers.items() if key[3] != "shipped"}
    write_csv(OUT / "gains.csv", gains(rows, tuned | read_measured(DEFAULT)[1]))
    print(table(*(read_csv(path) for path in (OUT / "gains.csv", OUT / "runs.csv", FROM_DEFAULT))))


# What a line of the table is, and whether it counts what is called of the clean tiles: one minus the figure.
FIGURES = {
    "auc": ("area under the curve", False),
    "specificity_at_recall": ("clean tiles called at recall 0.98", True),
    "specificity_at_90": ("clean tiles called at recall 0.9", True),
    "recall": ("recall at the model's own threshold", False),
    "specificity": ("clean tiles called there", True),
}
Draw = tuple[str, str]  # a set, and the seed of its labels


def table(changes: Sequence[Row], from_cells: Sequence[Row], from_default: Sequence[Row]) -> str:
    """In Markdown: the default and the start as they are, and the last blocks of each; means over sets of means over draws.

    Args:
        changes: of gains.csv: from the default to the last blocks of the start, with intervals.
        from_cells: of runs.csv.
        from_default: of the runs.csv of last blocks that start from the default; draws that both have count.
    """
    heads = ("labels", "sets", "draws of all", "", "default", "its last blocks", "start", "its last blocks", "change")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for count in BLOCKS_LABELS:
        asked = [
            _by_draw(rows, *which)
            for rows in (from_default, from_cells)
            for which in ((0, "shipped"), (count, "blocks"))
        ]
        draws = sorted(set.intersection(*(set(found) for found in asked)))
        for figure, (title, called) in FIGURES.items() if draws else ():
            means = [f"{abs(called - _mean(found, draws, figure)):.3f}" for found in asked]
            change = _change(changes, count, figure, -1 if called else 1)
            lines.append(
                f"| {count} | {len({name for name, _ in draws})} | {len(draws)} | {title} | {' | '.join([*means, change])} |"
            )
    return "\n".join(lines)


def _by_draw(rows: Sequence[Row], labels: int, candidate: str) -> dict[Draw, Row]:
    return {
        (str(row["set"]), str(row["seed"])): row
        for row in rows
        if (int(row["labels"]), row["candidate"]) == (labels, candidate)
    }


def _mean(found: dict[Draw, Row], draws: Sequence[Draw], figure: str) -> float:
    names = dict.fromkeys(name for name, _ in draws)
    return float(np.mean([np.mean([float(found[one][figure]) for one in draws if one[0] == name]) for name in names]))


def _change(changes: Sequence[Row], count: int, figure: str, sign: int) -> str:
    """From the default to the last blocks of the start, where an interval is known."""
    for row in changes:
        if (int(row["labels"]), row["candidate"], row["figure"]) == (count, "blocks", figure):
            change, *ends = (sign * float(row[name]) for name in ("change", "change_low", "change_high"))
            return f"{change:+.3f} [{min(ends):+.3f}, {max(ends):+.3f}]"
    return ""


def main() -> int:
    """Run the recipe; returns the exit code."""
    return run_main(run, needs=("keras",))


if __name__ == "__main__":
    sys.exit(main())
