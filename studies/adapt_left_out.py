"""What labels bring on the sets that the default learned from: each is left out of a training, which is then adapted to it.

What it makes: results/adapt/left-out: runs.csv, summary.csv and adapt.png as `studies.adapt` does, and study.json, the models.
Trained is as in `studies.ingredients` (MobileNetV2, 96 pixels, 400 steps), without METU, without SDNET2018's walls and without drone
concrete, also without what is drawn onto their pictures; weights of the last three quarters of epochs are averaged, and the int8 file
looks twice, as the default does. The shapes of drone concrete's cracks stay in what is drawn. These models are weaker than the default:
what counts is the change. Half of a set's photographs give the labels, the other half is the test, as in `studies.adapt`: of METU those
of its test split, of the other two all, since their test splits are of five photographs each (SDNET2018's labels of training tiles are
not reviewed).
Cost: ten minutes a training on two cores, five a set for the cheap candidates, five a draw and set for the last blocks; stopped, the same
command goes on.
Expected: docs/results-adapt.md#sets-of-the-training-left-out-in-turn.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt_left_out   (after the manifests of `python -m studies.real_scenes`)
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies import ingredients
from studies.adapt import LABELLED, STATISTICS, UNJUDGED, UNLABELLED_HEAD
from studies.adapt_tables import draw, left_out_table
from studies.real_scenes import mean_step
from studies.recipe import Copy, Step, Word, follow, words
from tflite.cli import run_main
from tflite.files import cell_value, read_csv, read_json, write_csv, write_json

OUT, WORK = Path("results/adapt/left-out"), Path("runs/adapt-left-out")
# A set of the suite, and the training without it.
TRAININGS = {
    "metu grouped": "without METU",
    "sdnet2018 reviewed": "without SDNET2018's walls",
    "drone concrete": "without drone concrete",
}
SEED = 1  # of the training
SEEDS, BLOCKS_SEEDS = 5, 1  # draws of labels
WHOLE = ("sdnet2018 reviewed", "drone concrete")
CHEAP = (UNLABELLED_HEAD, LABELLED, STATISTICS)


def training_without(name: str) -> ingredients.Training:
    """The one that learns nothing from a set."""
    return next(training for training in ingredients.PARTS if training.name == TRAININGS[name])


def steps() -> list[Step | Copy]:
    """After the trainings: the int8 file of each, and what labels change."""
    made: list[Step | Copy] = []
    for name in TRAININGS:
        training, slug = training_without(name), name.replace(" ", "-")
        run = WORK / f"without-{slug}"
        trained, data = ingredients.folder(training, SEED), ingredients.learns_from(training)
        epochs = [f"{epoch:03d}" for epoch in ingredients.last_epochs(training.epochs)]
        # Its threshold and its looks are asked for; answers are those of the float weights.
        export = words(f"export --int8 --ptq --max-recall-drop 100 --second-view {ingredients.SECOND_VIEW}", run)
        made += [
            mean_step(trained, data, run, epochs=epochs),
            Step(run / "export" / "mobilenet_v2-int8-ptq.tflite", export),
        ]
        asked: list[Word] = ["--sets", name, "--model", run, "--out", summarised(name), "--work", WORK / slug]
        asked += ["--whole"] if name in WHOLE else []
        for parts, seeds in ((CHEAP, SEEDS), ((UNJUDGED,), BLOCKS_SEEDS)):
            chosen: list[Word] = [word for part in parts for word in ("--parts", part)]
            made.append(Step(None, [*asked, *chosen, "--seeds", str(seeds)], module="studies.adapt"))
    return made


def summarised(name: str) -> Path:
    """Folder of what `studies.adapt` makes of one set."""
    return WORK / f"{name.replace(' ', '-')}-results"


def run() -> int:
    """Train, export and measure what is missing, and put the sets together."""
    for name in TRAININGS:
        ingredients.train(training_without(name), SEED)
    if code := follow(steps()):
        return code
    collect()
    return 0


def collect() -> None:
    """Write what is measured of all sets."""
    for file in ("runs.csv", "summary.csv"):
        write_csv(OUT / file, [row for name in TRAININGS for row in read_csv(summarised(name) / file)])
    write_json(OUT / "study.json", {name: read_json(summarised(name) / "study.json") for name in TRAININGS})
    found = [{key: cell_value(value) for key, value in row.items()} for row in read_csv(OUT / "summary.csv")]
    draw(found, OUT / "adapt.png")
    print(left_out_table(found))


def main() -> int:
    """Run the recipe; returns the exit code."""
    return run_main(run, needs=("keras",))


if __name__ == "__main__":
    sys.exit(main())
