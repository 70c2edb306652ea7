"""What each part of the default's training brings on data sets left out: trained with all parts and without each, from the same start.

What it makes: results/ingredients: runs.csv (a row per training, weights and set), summary.csv (means over the seeds, and the difference
to the training with all parts of the same seed), ingredients.png, and curves.png: what more steps, more tiles and more pixels bring.
MobileNetV2 at 96 pixels from ImageNet's weights, 400 steps of 32 tiles at a constant rate; asked with the mean of the weights of its last
three quarters of epochs, of a tile and of a blurred copy, as the default is. `studies.real_scenes` says what the parts are. The threshold
of each finds 90 % of the cracks of the same validation tiles. "without scenes" and the like leave out the set and what is drawn onto its
pictures; the shapes of drone concrete's cracks stay in what is drawn. "with" are parts that the default does not have.
The default itself was trained more than ten times as long at 160 pixels: this tells what matters, not how good it is. What would still
better it is asked of trainings that go on from its own weights, at its own size.
Cost: two hours on one core for one seed; stopped, the same command goes on.
Expected: docs/results.md#what-each-part-of-the-training-brings.
Command: CRACK_TF_DATA=/path/to/data python -m studies.ingredients   (after the manifests of `python -m studies.real_scenes`)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.data.cache import load_split
from crack_tf.data.registry import prepare
from crack_tf.evaluation.suite.answers import TestSet
from crack_tf.evaluation.suite.sets import DOMAINS, load_set
from crack_tf.evaluation.thresholds import select_threshold
from crack_tf.models import build_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import MODEL_FILE, load_keras, predict_logits
from studies.real_scenes import DRAWN, MANIFESTS
from studies.recipe import Step, follow, train_step, weights, words
from studies.views import LEFT_OUT
from tflite.cli import named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, write_csv
from tflite.images import resize_rgb
from tflite.manifest import Manifest, read_manifest, write_manifest
from tflite.metrics import confusion, roc_auc
from tflite.sidecar import read_sidecar

DEFAULT = Path("crack_tf/zoo_models/mobilenet_v2_real") / MODEL_FILE
OUT, WORK = Path("results/ingredients"), Path("runs/ingredients")
EPOCHS, STEPS, SECOND_VIEW, RECALL = 8, 50, 5, 0.9
LONG = (2, 4, 8, 16, 32)  # epochs of the curve of steps
CONDITIONS = "--augmentation 1.5 --adverse 0.12 --camera 0.35"
USUAL_OPTIONS = f"{CONDITIONS} --zoom-out 1.6 --balance 0.65"
ALL, USUAL = "all parts", f"{EPOCHS * STEPS} steps"
Row = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        name: in the tables.
        left_out: names of real and drawn sets that it learns nothing from.
        options: of `crack-tf train` that differ from the usual ones; later ones count.
        size: side of the input in pixels.
        epochs: of 50 steps each; 0 asks the start as it is.
        start: file of the model whose weights it goes on from; None for ImageNet's.
    """

    name: str
    left_out: tuple[str, ...] = ()
    options: str = USUAL_OPTIONS
    size: int = 96
    epochs: int = EPOCHS
    start: Path | None = None


DRAWN_SETS = tuple(DRAWN)
PARTS = (
    Training(ALL),
    Training("with masks", options=f"{USUAL_OPTIONS} --mask-weight 0.5"),
    Training("with masks and their highest cell", options=f"{USUAL_OPTIONS} --mask-weight 0.5 --hp cells=16"),
    Training("METU and SDNET2018 alone", ("uav_concrete", "scenes_clean", *DRAWN_SETS)),
    Training("without anything drawn", DRAWN_SETS),
    Training("without scenes", ("scenes_clean",)),
    Training("without transplants", ("transplants",)),
    Training("without drawn surfaces", ("masonry", "aggregate")),
    Training("without drone concrete", ("uav_concrete",)),
    Training("without SDNET2018's walls", ("sdnet2018",)),
    Training("without METU", ("metu",)),
    Training("without conditions", options="--augmentation 1 --zoom-out 1.6 --balance 0.65"),
    Training("without smaller views", options=f"{CONDITIONS} --balance 0.65"),
    Training("without balance", options=f"{CONDITIONS} --zoom-out 1.6"),
)
SHARES = {0.01: "a hundredth of the tiles", 0.1: "a tenth of the tiles"}
SIZES = (64, 128)
LONGER = "longer"
CURVES = (
    Training(LONGER, epochs=max(LONG)),
    *(Training(name, options=f"{USUAL_OPTIONS} --limit {share}") for share, name in SHARES.items()),
    *(Training(f"{size} pixels", size=size) for size in SIZES),
)
AS_SHIPPED = Training("the default as shipped", size=160, epochs=0, start=DEFAULT)
GOING_ON = (
    AS_SHIPPED,
    *(
        Training(f"the default trained on{how}", options=f"{USUAL_OPTIONS}{more}", size=160, epochs=16, start=DEFAULT)
        for how, more in (
            ("", ""),
            (" with masks", " --mask-weight 0.5"),
            (" with masks and their highest cell", " --mask-weight 0.5 --hp cells=16"),
        )
    ),
)
TRAININGS = (*PARTS, *CURVES, *GOING_ON)


def reduced(manifest: Manifest, left_out: Sequence[str]) -> Manifest:
    """A mix without some sets, and without what was drawn onto their pictures."""
    return replace(
        manifest, items=tuple(item for item in manifest.items if not {*item.group.split("/")[:2]} & {*left_out})
    )


def step(training: Training, seed: int, data: Path, work: Path = WORK) -> Step:
    """A training on the manifest `data`."""
    return train_step(
        folder(training, seed, work),
        words(
            f"--model mobilenet_v2 --image-size {training.size} --unfreeze-blocks 13 --batch 32 --epochs {training.epochs} "
            f"--steps-per-epoch {STEPS} --learning-rate 6e-4 --schedule constant --warmup-steps {STEPS} --val-limit 200 "
            f"--target-recall {RECALL} --seed {seed} {training.options}",
            *(("--init-from", training.start) if training.start else ("--weights", weights())),
            *("--data", data),
        ),
    )


def steps(seed: int = 0, work: Path = WORK) -> list[Step]:
    """All trainings of a seed; their manifests are made by `run`."""
    return [step(training, seed, learns_from(training, work), work) for training in TRAININGS if training.epochs]


def learns_from(training: Training, work: Path = WORK) -> Path:
    """The manifest that a training learns from."""
    return work / f"without-{'-'.join(training.left_out)}.csv" if training.left_out else MANIFESTS / "open.csv"


def train(training: Training, seed: int, work: Path = WORK) -> None:
    """Train, with the manifest that it learns from, where that is not done.

    Raises:
        CrackError: if data are missing or the training failed.
    """
    mix, data = MANIFESTS / "open.csv", learns_from(training, work)
    if not mix.is_file():
        raise CrackError(f"{mix} is not there: `python -m studies.real_scenes` makes it, before its trainings.")
    if not data.is_file():
        write_manifest(data, reduced(read_manifest(mix), training.left_out))
    if training.epochs and follow([step(training, seed, data, work)]):
        raise CrackError(f"the training {training.name!r} failed, see above.")


def folder(training: Training, seed: int, work: Path = WORK) -> Path:
    """Of a training."""
    return work / f"{training.name.replace(' ', '-').replace(chr(39), '')}-{seed}"


def asked_with(training: Training) -> Iterator[tuple[str, range, int]]:
    """(name, epochs from 1 whose weights are averaged, window of a second look or 0) of what is asked of a training; what averages and a
    second look bring is asked of the one with all parts alone."""
    if training.name == ALL:
        yield "last epoch, one look", range(EPOCHS, EPOCHS + 1), 0
        yield "averaged, one look", last_epochs(EPOCHS), 0
    for epochs in LONG if training.epochs > EPOCHS else (training.epochs,):
        if epochs <= training.epochs:
            yield f"{epochs * STEPS} steps", last_epochs(epochs), SECOND_VIEW


def last_epochs(epochs: int) -> range:
    """The last three quarters of so many epochs, from 1: those whose weights are averaged."""
    return range(epochs // 4 + 1, epochs + 1)


def measure(run: Path, training: Training, seed: int, sets: Sequence[TestSet]) -> Iterator[Row]:
    """Rows of one training; the first set is the validation, which chooses the threshold.

    Args:
        run: folder of the training.
        training: what it is.
        seed: of the training.
        sets: with tiles at their own side.
    """
    import keras

    made = training.start if training.start and not training.epochs else run / MODEL_FILE
    sidecar = read_sidecar(made)
    network = build_model(sidecar.model, keras, image_size=training.size, **sidecar.hyperparameters)
    tiles = [np.stack([resize_rgb(np.ascontiguousarray(tile), training.size) for tile in some.images]) for some in sets]
    for name, epochs, second_view in asked_with(training):
        network.set_weights(_mean([_checkpoint(run, epoch) for epoch in epochs] or [made]))
        threshold = 0.0
        for place, (tested, images) in enumerate(zip(sets, tiles, strict=True)):
            logits = predict_logits(network, images, second_view=second_view)
            if not place:
                threshold = select_threshold(logits, tested.labels, RECALL)
            counts, area = confusion(logits, tested.labels, threshold), roc_auc(logits, tested.labels)
            yield {
                "training": training.name,
                "seed": seed,
                "weights": name,
                "size": training.size,
                "set": tested.name,
                "split": tested.split,
                "auc": "" if area is None else round(area, 4),
                "threshold": round(threshold, 4),
                "tp": counts.true_positive,
                "fn": counts.false_negative,
                "tn": counts.true_negative,
                "fp": counts.false_positive,
                "manifest_sha256": tested.sha256,
            }


def _mean(files: Sequence[Path]) -> list[np.ndarray]:
    """Mean weights of some models."""
    from crack_tf.training.average import mean_weights  # imports Keras

    return mean_weights([(str(file), load_keras(file).get_weights()) for file in files])


def _checkpoint(run: Path, epoch: int) -> Path:
    return run / "checkpoints" / f"epoch-{epoch:03d}.keras"


def load_sets(limit: int) -> Iterator[TestSet]:
    """Validation of all parts, for the threshold, and every set of the suite, at most so many tiles of each."""
    val = load_split(manifest := prepare(str(MANIFESTS / "open.csv")), "val", 256, limit=4 * limit)
    yield TestSet("validation", val.images, val.labels, manifest.sha256, "val")
    for chosen in DOMAINS:
        yield load_set(chosen, limit)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row per training and weights: means over the seeds of the sets left out, and what other sets say.

    Args:
        rows: of runs.csv.

    Returns:
        Mean area under the curve of the sets left out, and its difference to that of all parts with the same seeds and weights, or of the
        default where a training goes on from it, with the smallest and the largest over the seeds; cracks found of the sets left out and
        of their clean tiles left alone, means of sets; area of SDNET2018's reviewed walls and of drone concrete; share of clean scenes and
        of spalling that is left alone.
    """
    areas: dict[tuple[str, str, str], float] = {}
    for key in dict.fromkeys((str(row["training"]), str(row["weights"]), str(row["seed"])) for row in rows):
        areas[key] = _mean_of([float(row["auc"]) for row in _of(rows, *key) if row["set"] in LEFT_OUT])
    found = []
    alike = [training.name for training in (*PARTS[1:], *CURVES) if training.name != LONGER]
    going_on = [training.name for training in GOING_ON]
    order = [training.name for training in TRAININGS]
    for training, asked in sorted(dict.fromkeys(key[:2] for key in areas), key=lambda pair: order.index(pair[0])):
        seeds = [key[2] for key in areas if key[:2] == (training, asked)]
        mine = [row for seed in seeds for row in _of(rows, training, asked, seed)]
        usual = (AS_SHIPPED.name, "0 steps") if training in going_on else (ALL, asked if training in alike else USUAL)
        falls = [areas[training, asked, seed] - areas[*usual, seed] for seed in seeds if (*usual, seed) in areas]
        found.append(
            {
                "training": training,
                "weights": asked,
                "seeds": len(seeds),
                "auc": round(_mean_of([areas[training, asked, seed] for seed in seeds]), 4),
                "difference": round(_mean_of(falls), 4),
                "least_difference": round(min(falls), 4),
                "largest_difference": round(max(falls), 4),
                **{f"auc {name}": _area(mine, name) for name in (*LEFT_OUT, "sdnet2018 reviewed", "drone concrete")},
                "recall": round(_mean_of([_share(row, "tp", "fn") for row in mine if row["set"] in LEFT_OUT]), 4),
                "specificity": round(_mean_of([_share(row, "tn", "fp") for row in mine if row["set"] in LEFT_OUT]), 4),
                **{f"specificity {name}": _left_alone(mine, name) for name in ("scenes", "cssc spalling")},
            }
        )
    return found


def _of(rows: Sequence[Mapping[str, Any]], training: str, asked: str, seed: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if (row["training"], row["weights"], str(row["seed"])) == (training, asked, seed)]


def _mean_of(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _share(row: Mapping[str, Any], part: str, rest: str) -> float:
    return int(row[part]) / (int(row[part]) + int(row[rest]))


def _area(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return round(_mean_of([float(row["auc"]) for row in rows if row["set"] == name]), 4)


def _left_alone(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return round(_mean_of([_share(row, "tn", "fp") for row in rows if row["set"] == name]), 4)


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The parts, and trainings that go on from the default, as Markdown.

    Args:
        found: rows of summary.csv.
    """
    lines = [
        "| training | mean AUC, left out | difference, least to largest | recall | specificity | scenes left alone | spalling left alone "
        "| AUC sdnet2018 reviewed | AUC drone concrete |",
        "|---" * 9 + "|",
    ]
    parts, going_on = [[training.name for training in some] for some in (PARTS, GOING_ON)]
    for row in found:
        name, steps = row["training"], _steps_of(row)
        if name == AS_SHIPPED.name or (name in parts and row["weights"] == USUAL):
            told = name
        elif name in going_on or (name == ALL and not steps):
            told = f"{name}, {row['weights']}"
        else:
            continue
        change = "{difference:+.3f}, {least_difference:+.3f} to {largest_difference:+.3f}".format(
            **{some: float(row[some]) for some in ("difference", "least_difference", "largest_difference")}
        )
        shares = ("recall", "specificity", "specificity scenes", "specificity cssc spalling")
        cells = [told, f"{float(row['auc']):.3f}", "-" if told in (ALL, AS_SHIPPED.name) else change]
        cells += [f"{float(row[share]):.2f}" for share in shares]
        cells += [f"{float(row[f'auc {some}']):.3f}" for some in ("sdnet2018 reviewed", "drone concrete")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _steps_of(row: Mapping[str, Any]) -> int:
    """Steps whose weights are asked with the second look, 0 for one look."""
    count, _, unit = str(row["weights"]).partition(" ")
    return int(count) if unit == "steps" else 0


def curves(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[tuple[float, Mapping[str, Any]]]]]:
    """(what varies, [(its value, row of summary.csv)]) of each curve."""
    usual = [row for row in found if row["training"] == LONGER and _steps_of(row)]
    by_name = {row["training"]: row for row in found if row["weights"] == USUAL}
    shares = [(share, by_name[name]) for share, name in SHARES.items() if name in by_name]
    sizes = [(float(size), by_name[f"{size} pixels"]) for size in SIZES if f"{size} pixels" in by_name]
    one = by_name[ALL]
    return [
        ("steps of 32 tiles", [(float(_steps_of(row)), row) for row in usual] or [(float(EPOCHS * STEPS), one)]),
        ("share of the training's tiles", [*shares, (1.0, one)]),
        ("pixels", sorted([*sizes, (float(PARTS[0].size), one)], key=lambda pair: pair[0])),
    ]


def curve_table(found: Sequence[Mapping[str, Any]]) -> str:
    """The curves as Markdown: mean area under the curve of the sets left out."""
    lines = ["| what varies | mean AUC, left out |", "|---|---|"]
    for title, points in curves(found):
        told = ", ".join(f"{value:g}: {float(row['auc']):.3f}" for value, row in points)
        lines.append(f"| {title} | {told} |")
    return "\n".join(lines)


def draw(found: Sequence[Mapping[str, Any]], out: Path) -> None:
    """ingredients.png, and curves.png where a curve has more than a point."""
    names = [training.name for training in PARTS[1:]]
    parts = [row for row in found if row["training"] in names and row["weights"] == USUAL]
    figure = new_figure(8, 0.4 * len(parts) + 1.2)
    axes = figure.subplots()
    places = np.arange(len(parts))[::-1]
    values = np.array(
        [[float(row[name]) for row in parts] for name in ("difference", "least_difference", "largest_difference")]
    )
    axes.barh(places, values[0], color="#0072B2", height=0.6)
    axes.hlines(places, values[1], values[2], color="black", linewidth=1.5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, [row["training"] for row in parts])
    axes.set_xlabel("change of the mean AUC of sets left out; lines: over seeds")
    axes.grid(axis="x", alpha=0.3)
    save_png(figure, out / "ingredients.png")
    if all(len(points) < 2 for _, points in curves(found)):
        return
    figure = new_figure(11, 3.6)
    for axes, (title, points) in zip(figure.subplots(1, 3, sharey=True), curves(found), strict=True):
        for name in LEFT_OUT:
            axes.plot(
                [value for value, _ in points],
                [float(row[f"auc {name}"]) for _, row in points],
                linewidth=1,
                label=name,
            )
        axes.plot(
            [value for value, _ in points], [float(row["auc"]) for _, row in points], "ko-", linewidth=2, label="mean"
        )
        axes.set_xscale("log")
        axes.set_xticks([value for value, _ in points], [f"{value:g}" for value, _ in points])
        axes.minorticks_off()
        axes.set_xlabel(title)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("AUC, sets left out")
    figure.axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save_png(figure, out / "curves.png")


def run(args: argparse.Namespace) -> None:
    """Train and measure what is missing, and write the tables and pictures.

    Raises:
        CrackError: if data are missing or a training failed.
    """
    use_tensorflow()
    units = [(training, seed) for seed in range(args.seeds) for training in TRAININGS]
    files = {unit: args.work / f"{folder(*unit, args.work).name}.csv" for unit in units}
    sets: list[TestSet] = []
    for training, seed in [unit for unit in units if not files[unit].is_file()][: args.more]:
        train(training, seed, args.work)
        sets = sets or list(load_sets(args.limit))
        write_csv(files[training, seed], list(measure(folder(training, seed, args.work), training, seed, sets)))
    there = [file for file in files.values() if file.is_file()]
    rows = [{name: cell_value(value) for name, value in row.items()} for file in there for row in read_csv(file)]
    found = summary(rows)
    write_csv(args.out / "runs.csv", rows)
    write_csv(args.out / "summary.csv", found)
    draw(found, args.out)
    print(table(found), curve_table(found), sep="\n\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.ingredients", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--more", type=positive_int, help="stop after so many more trainings")
    parser.add_argument("--seeds", type=positive_int, default=2, help="trainings of each kind (default: 2)")
    parser.add_argument(
        "--limit", type=positive_int, default=250, help="tiles of a set; of validation four times as many"
    )
    parser.add_argument(
        "--work", type=named_path, default=WORK, metavar="FOLDER", help=f"of the trainings (default: {WORK})"
    )
    parser.add_argument("--out", type=named_path, default=OUT, metavar="FOLDER", help=f"(default: {OUT})")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args), needs=("keras",))


if __name__ == "__main__":
    sys.exit(main())
