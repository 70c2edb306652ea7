"""`python -m crack_tf.evaluate`: measure models on one split, `.keras` and `.tflite` alike.

With --out the results are kept: metrics.csv (a row per model), metrics.json (the same, where it came from, reliability bins),
prevalence.csv, predictions.csv (a row per model and tile), and per model confusion_*.png, reliability_*.png, scores_*.png.
Segmentation models are measured on whole photographs with masks: see `crack_tf.segmentation.evaluation`.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import fraction, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import read_json, run_name, write_csv, write_json
from tflite.manifest import SPLITS, Item, Manifest, read_manifest, refuse_mixed
from tflite.metrics import Confusion, confusion, logit, roc_auc, sigmoid, summary
from tflite.outputs import Output, check_folder, json_with, making

if TYPE_CHECKING:
    from crack_tf.calibration import ReliabilityBin
    from crack_tf.data.cache import Tiles
    from crack_tf.predictor import CheckedModel, MapPredictor, Predictor
    from tflite.sidecar import Sidecar

FORMAT = "crack_tf.evaluation/1"
OUTPUT = Output(
    "crack-tf evaluate",
    json_with("metrics.json", "format", "manifest", "split", "models"),
    (
        *("metrics.json", "metrics.csv", "metrics_aligned.csv", "prevalence.csv", "predictions.csv", "per_photo.csv"),
        *("confusion_*.png", "reliability_*.png", "scores_*.png", "gallery_*.png", "pr_curves.png"),
    ),
)
_NAMES = {"classify": "classification", "segment": "segmentation"}
_DATA = {"classify": "tiles with labels", "segment": "photographs with masks"}
_UNIT = {"classify": "tiles", "segment": "photographs", "mixed": "pictures"}
_CHUNK = 256  # tiles between two steps of the progress bar


@dataclass(frozen=True)
class Lineage:
    """How the tiles of an evaluation relate to those that made the model.

    Attributes:
        manifest: that trained the model, or None when it was not found.
        trained: evaluated tiles that the model was trained on.
        selected: evaluated tiles on which its epoch and threshold were chosen.
        related: further tiles of a duplicate group that has tiles in training (copies, neighbours in one photograph).
    """

    manifest: Manifest | None
    trained: int = 0
    selected: int = 0
    related: int = 0


@dataclass(frozen=True)
class Evaluation:
    """One model on one split.

    Attributes:
        name: of the model, unique among those evaluated together.
        threshold: in logits, as used.
        logits: float32 (n,).
        labels: int8 (n,), 1 is cracked.
        items: the tiles, in the same order.
        row: one line of metrics.csv.
    """

    name: str
    threshold: float
    logits: np.ndarray
    labels: np.ndarray
    items: Sequence[Item]
    row: dict[str, Any]

    @property
    def counts(self) -> Confusion:
        return confusion(self.logits, self.labels, self.threshold)


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="crack-tf evaluate", description="Measure models on one split of a data set.")
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL_OR_RUN", help=".keras or .tflite file, or run folder of crack-tf train")
    add("--data", required=True, help="manifest .csv, data set name, or folder (one sub-folder per class, or pairs)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--split", default="test", choices=(*SPLITS, "all"))
    add(
        "--threshold",
        type=fraction,
        default=None,
        help="probability to decide by (default: each model's own threshold)",
    )
    add(
        "--limit",
        type=positive_int,
        default=None,
        help="use at most this many tiles or photographs, class balance kept",
    )
    add("--threads", type=positive_int, default=None, help="threads of .tflite models (default: all cores)")
    add("--delegate", default="xnnpack", choices=("xnnpack", "none", "edgetpu"), help="for .tflite models")
    add("--allow-training-tiles", action="store_true", help="evaluate even on tiles that the model was trained on")
    add("--out", type=Path, default=None, help="folder for results (default: print only)")
    add("--overwrite", action="store_true", help="replace results in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    if "--suite" in (sys.argv[1:] if argv is None else argv):  # its options are others
        from crack_tf.suite.command import main as suite

        return suite(argv)
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="No result is half-written. Run the same command again.")


def run(args: argparse.Namespace) -> None:
    """Evaluate as the parsed options say."""
    if args.threshold is not None and not 0 < args.threshold < 1:
        raise CrackError(f"--threshold {args.threshold:g}: choose a probability strictly between 0 and 1.")
    if args.out is not None:
        check_folder(args.out, OUTPUT, args.overwrite, inputs=(*args.models, args.data))

    from crack_tf.data.registry import prepare
    from crack_tf.predictor import model_file
    from tflite.sidecar import read_sidecar

    files = [model_file(path) for path in args.models]
    refuse_twice(files)
    manifest = prepare(args.data, args.policy)
    refuse_mixed(manifest, "an evaluation")
    for file in files:
        require_same_task(file, read_sidecar(file), manifest)
    if manifest.task == "segment":
        from crack_tf.segmentation.evaluation import evaluate_maps

        evaluate_maps(args, manifest)
    else:
        evaluate_tiles(args, manifest)


def evaluate_tiles(args: argparse.Namespace, manifest: Manifest) -> None:
    """Measure classifiers on a manifest of tiles."""
    from crack_tf.data.cache import load_split
    from crack_tf.predictor import load_predictor

    items = manifest.split(args.split)
    predictors = [load_predictor(path, threads=args.threads, delegate=args.delegate) for path in args.models]
    names = unique_names(predictors)
    origins = check_origins(names, predictors, manifest, items, args)

    evaluations = []
    threshold = None if args.threshold is None else logit(args.threshold)
    for name, predictor, origin in zip(names, predictors, origins, strict=True):
        tiles = load_split(manifest, args.split, predictor.image_size, limit=args.limit)
        evaluations.append(evaluate(predictor, name, tiles, manifest, args.split, threshold, origin))

    print("\n".join(report(evaluations, manifest, args.split)))
    if args.out is not None:
        with making(args.out, OUTPUT):
            write_results(args.out, evaluations, manifest, args.split, args.limit)
        print(
            f"results and plots: {args.out}/metrics.csv, predictions.csv, confusion_*.png, reliability_*.png, scores_*.png"
        )


def check_origins(
    names: Sequence[str],
    predictors: Sequence[Predictor | MapPredictor],
    manifest: Manifest,
    items: Sequence[Item],
    args: argparse.Namespace,
) -> list[Lineage]:
    """How the items relate to what trained each model; prints what a reader of the figures should know.

    Raises:
        CrackError: if an item trained a model and --allow-training-tiles was not given.
    """
    origins = []
    for name, predictor in zip(names, predictors, strict=True):
        origin = lineage(predictor.sidecar, predictor.path, manifest, items)
        if origin.trained and not args.allow_training_tiles:
            raise CrackError(
                f"{origin.trained} of {len(items)} {_UNIT[manifest.task]} of split {args.split!r} trained {name}: its score would be "
                "flattered. Choose another split or data set, or add --allow-training-tiles."
            )
        for note in notes(name, predictor.sidecar, manifest, origin):
            print(f"note: {note}", file=sys.stderr)
        origins.append(origin)
    return origins


def evaluate(
    predictor: Predictor,
    name: str,
    tiles: Tiles,
    manifest: Manifest,
    split: str,
    threshold: float | None = None,
    origin: Lineage | None = None,
) -> Evaluation:
    """Ask a model for every tile's logit and sum up.

    Args:
        predictor: the model.
        name: to report it under.
        tiles: of the model's image size.
        manifest: that the tiles come from.
        split: of that manifest.
        threshold: in logits; None takes the sidecar's.
        origin: how the tiles relate to the model's training, if known.

    Raises:
        CrackError: if the model answers with a number that is not finite.
    """
    from tqdm import tqdm

    starts = range(0, len(tiles), _CHUNK)
    progress = tqdm(starts, name, unit_scale=_CHUNK, unit="tile", leave=False, disable=None)
    logits = np.concatenate([predictor.logits(tiles.images[start : start + _CHUNK]) for start in progress])
    used = predictor.sidecar.threshold.logit if threshold is None else threshold
    origin = origin or Lineage(None)
    row: dict[str, Any] = {
        **subject(name, predictor, manifest, split),
        "n": len(tiles),
        **measure(logits, tiles.labels, used),
        "training_tiles": origin.trained if origin.manifest else None,
        "related_to_training": origin.related if origin.manifest else None,
    }
    return Evaluation(name, used, logits, tiles.labels, tiles.items, row)


def subject(name: str, predictor: CheckedModel, manifest: Manifest, split: str) -> dict[str, Any]:
    """The first columns of a row of metrics: which file was asked about what."""
    sidecar = predictor.sidecar
    return {
        "name": name,
        "scheme": sidecar.scheme,
        "file": predictor.path.name,
        "sha256": sidecar.sha256,
        "image_size": sidecar.image_size,
        "manifest": manifest.name,
        "manifest_sha256": manifest.sha256,
        "split": split,
    }


def measure(logits: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float | int | None]:
    """Every figure of one evaluation as one flat row.

    Args:
        logits: float (n,), n > 0.
        labels: 0 or 1, (n,); 1 is cracked.
        threshold: in logits.

    Returns:
        Counts, rates and Wilson 95 % intervals at the threshold (`tflite.metrics.summary`), "auc", "ece", "brier", "nll",
        "threshold_probability", "threshold_logit", and the summary at probability 0.5 under "..._at_half". What one class
        alone cannot give is None.

    Raises:
        CrackError: if there are no tiles or a logit is not finite.
    """
    from crack_tf.calibration import brier_score, expected_calibration_error, negative_log_likelihood

    brier = brier_score(logits, labels)  # first, since it refuses what is not finite
    at_half = summary(confusion(logits, labels, 0.0))
    return {
        **summary(confusion(logits, labels, threshold)),
        "auc": roc_auc(logits, labels),
        "ece": expected_calibration_error(logits, labels),
        "brier": brier,
        "nll": negative_log_likelihood(logits, labels),
        "threshold_probability": float(sigmoid(threshold)),
        "threshold_logit": threshold,
        **{f"{key}_at_half": value for key, value in at_half.items()},
    }


def lineage(sidecar: Sidecar, path: Path, manifest: Manifest, items: Sequence[Item]) -> Lineage:
    """Compare the tiles of an evaluation with the manifest that trained the model.

    A tile that the training manifest lists under the same path with the same bytes is in the split it gives there. Any
    other tile, as in a copy of the data set with other paths, is known by its bytes alone. The path goes first because a
    plain split holds byte-identical copies in training and in test: that policy's known weakness, counted as related.

    Args:
        sidecar: of the model.
        path: of the model file.
        manifest: evaluated on.
        items: evaluated, of that manifest.
    """
    training = find_training_manifest(sidecar, path, manifest)
    if training is None:
        return Lineage(None)
    by_path = {(item.path, item.sha256): item.split for item in training.items}
    by_bytes: dict[str, str] = {}
    for item in training.items:
        # Of two copies on two sides the trained one counts.
        if by_bytes.get(item.sha256) != "train":
            by_bytes[item.sha256] = item.split
    group_of = {item.sha256: item.group for item in training.items}
    trained_groups = {item.group for item in training.items if item.split == "train"}
    trained = selected = related = 0
    for item in items:
        split = by_path.get((item.path, item.sha256)) or by_bytes.get(item.sha256)
        trained += split == "train"
        selected += split == "val"
        copied = by_bytes.get(item.sha256) == "train" or group_of.get(item.sha256) in trained_groups
        related += split != "train" and copied
    return Lineage(training, trained, selected, related)


def find_training_manifest(sidecar: Sidecar, path: Path, manifest: Manifest) -> Manifest | None:
    """The manifest that trained a model: the one at hand, or a file that the run or the sidecar names; None when not found.

    Whatever is found counts only if its content has the sha256 that the sidecar records.
    """
    expected = sidecar.training.get("manifest_sha256")
    if expected == manifest.sha256:
        return manifest
    named = [sidecar.training.get("manifest")]
    # Without a run folder around the model, or with one of another make, the sidecar's name is all there is.
    with contextlib.suppress(CrackError, KeyError, TypeError, OSError):
        named.append(read_json(path.parent / "config.json")["data"]["manifest"])
    folders = [Path(), path.parent, *([manifest.source.parent] if manifest.source else [])]
    for name in (name for name in named if isinstance(name, str) and name):
        for folder in folders:
            try:
                candidate = read_manifest(folder / name)
            except CrackError:
                continue
            if candidate.sha256 == expected:
                return candidate
    return None


def notes(name: str, sidecar: Sidecar, manifest: Manifest, origin: Lineage) -> list[str]:
    """What a reader of the figures should know about their origin, one sentence each."""
    training, unit = sidecar.training, _UNIT[manifest.task]
    lines = []
    if training.get("manifest_sha256") != manifest.sha256:
        trained_on = (
            "-".join(str(training[key]) for key in ("dataset", "policy") if training.get(key)) or "unknown data"
        )
        lines.append(f"{name} was trained on another manifest ({trained_on}) than {manifest.name}.")
    if origin.manifest is None:
        lines.append(
            f"the manifest that trained {name} ({training.get('manifest') or 'unnamed'}) was not found: "
            f"whether it has seen these {unit} was not checked."
        )
    if origin.trained:
        lines.append(f"{name} was trained on {origin.trained} of these {unit}: its figures are flattered.")
    if origin.selected:
        lines.append(f"epoch and threshold of {name} were chosen on {origin.selected} of these {unit}.")
    if origin.related:
        lines.append(f"{origin.related} of these {unit} are copies or neighbours of {unit} that trained {name}.")
    return lines


def require_same_task(path: Path, sidecar: Sidecar, manifest: Manifest) -> None:
    """Refuse a model that cannot be measured on a manifest.

    Raises:
        CrackError: if one is about tiles and the other about masks.
    """
    if sidecar.task != manifest.task:
        raise CrackError(
            f"{path} is a {_NAMES[sidecar.task]} model, and {manifest.source or manifest.name} holds {_DATA[manifest.task]}. "
            f"It needs {_DATA[sidecar.task]}: choose another --data, or another model."
        )


def refuse_twice(files: Sequence[Path]) -> None:
    """Refuse a list that names one file twice.

    Raises:
        CrackError: naming it.
    """
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise CrackError(f"model {file} is given twice. Name each model once.")
        seen.add(file.resolve())


def unique_names(predictors: Sequence[Predictor | MapPredictor]) -> list[str]:
    """The models' names, with their run's in front where two have the same, and a number where that is the same too."""
    plain = [predictor.name for predictor in predictors]
    names: list[str] = []
    for predictor in predictors:
        name = predictor.name
        if plain.count(name) > 1:
            name = f"{run_name(predictor.path)}-{name}"
        number = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in names)
        names.append(f"{name}-{number + 1}" if number else name)
    return names


def report(evaluations: Sequence[Evaluation], manifest: Manifest, split: str) -> list[str]:
    """The table to print: models as rows; rates with counts and Wilson 95 % intervals."""
    cracked = int(np.sum(evaluations[0].labels == 1))
    total = len(evaluations[0].labels)
    head = ("model", "threshold", "recall", "specificity", "AUC", "ECE", "Brier")
    rows = [head]
    for item in evaluations:
        counts, row = item.counts, item.row
        rows.append(
            (
                item.name,
                f"{row['threshold_probability']:.4g}",
                rate_text(counts.true_positive, counts.positives, row["recall_low"], row["recall_high"]),
                rate_text(counts.true_negative, counts.negatives, row["specificity_low"], row["specificity_high"]),
                "-" if row["auc"] is None else f"{row['auc']:.5f}",
                f"{row['ece']:.4f}",
                f"{row['brier']:.4f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"{manifest.name} {split}: {total} tiles, {cracked} cracked, {total - cracked} clean"]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return lines


def rate_text(successes: int, trials: int, low: float | None, high: float | None) -> str:
    """`0.9976 (823/825) [0.991, 0.999]`, or "no tiles" when the class is absent."""
    if not trials or low is None or high is None:
        return "no tiles"
    return f"{successes / trials:.4f} ({successes}/{trials}) [{low:.3f}, {high:.3f}]"


def write_results(
    folder: Path, evaluations: Sequence[Evaluation], manifest: Manifest, split: str, limit: int | None
) -> None:
    """Write all files; metrics.json comes last, so that its presence says the others are complete."""
    from crack_tf import plots
    from crack_tf.calibration import prevalence_table, reliability_bins
    from crack_tf.provenance import created, environment

    prevalence: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    bins: dict[str, list[ReliabilityBin]] = {}
    for item in evaluations:
        prevalence += [{"name": item.name, **row} for row in prevalence_table(item.counts)]
        for tile, score in zip(item.items, item.logits, strict=True):
            predictions.append(
                {
                    "name": item.name,
                    "path": tile.path,
                    "label": tile.label,
                    "logit": float(score),
                    "probability": float(sigmoid(float(score))),
                    "called": int(score >= item.threshold),
                }
            )
        bins[item.name] = reliability_bins(item.logits, item.labels)
        stem = re.sub(r"[^\w.-]+", "_", item.name)
        title = f"{item.name}, {manifest.name} {split}"
        plots.confusion_plot(item.counts, title, folder / f"confusion_{stem}.png")
        plots.reliability_plot(bins[item.name], title, folder / f"reliability_{stem}.png")
        plots.score_plot(item.logits, item.labels, item.threshold, title, folder / f"scores_{stem}.png")
    rows = [item.row for item in evaluations]
    write_csv(folder / "predictions.csv", predictions)
    write_csv(folder / "prevalence.csv", prevalence)
    write_csv(folder / "metrics.csv", rows)
    write_json(
        folder / "metrics.json",
        {
            "format": FORMAT,
            "manifest": {"name": manifest.name, "sha256": manifest.sha256, "licence": manifest.licence},
            "split": split,
            "limit": limit,
            "models": rows,
            "prevalence": prevalence,
            "reliability": {name: [asdict(part) for part in parts] for name, parts in bins.items()},
            **environment(),
            "created": created(),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
