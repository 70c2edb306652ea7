"""Classifiers measured on a manifest of tiles: rates with intervals, calibration, and what --out keeps of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.common.provenance import created, environment
from crack_tf.data.cache import Tiles, load_split
from crack_tf.evaluation import plots
from crack_tf.evaluation.calibration import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    prevalence_table,
    reliability_bins,
)
from crack_tf.evaluation.config import FORMAT, OUTPUT, EvaluateConfig, subject, unique_names
from crack_tf.evaluation.lineage import Lineage, check_origins
from crack_tf.evaluation.rows import TileRow
from crack_tf.inference.predictor import Predictor, load_predictor
from tflite.files import write_csv, write_json
from tflite.manifest import Item, Manifest
from tflite.metrics import Confusion, confusion, logit, rates_of, roc_auc, sigmoid
from tflite.outputs import making
from tflite.words import counted

_CHUNK = 256  # tiles between two steps of the progress bar


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
    row: TileRow

    @property
    def counts(self) -> Confusion:
        return confusion(self.logits, self.labels, self.threshold)


def evaluate_tiles(
    models: Sequence[str | Path], config: EvaluateConfig, manifest: Manifest, out: Path | None, overwrite: bool = False
) -> list[Evaluation]:
    """Measure classifiers on a manifest of tiles; arguments as for `crack_tf.evaluation.evaluate.evaluate_models`."""
    items = manifest.split(config.split)
    predictors = [load_predictor(path, threads=config.threads, delegate=config.delegate) for path in models]
    names = unique_names(predictors)
    origins = check_origins(names, predictors, manifest, items, config.split, config.allow_training_tiles)

    evaluations = []
    threshold = None if config.threshold is None else logit(config.threshold)
    for name, predictor, origin in zip(names, predictors, origins, strict=True):
        tiles = load_split(manifest, config.split, predictor.image_size, limit=config.limit)
        evaluations.append(evaluate(predictor, name, tiles, manifest, config.split, threshold, origin))

    print("\n".join(report(evaluations, manifest, config.split)))
    if out is not None:
        with making(out, OUTPUT, overwrite):
            write_results(out, evaluations, manifest, config.split, config.limit)
        print(
            f"results and plots: {out}/metrics.csv, predictions.csv, confusion_*.png, reliability_*.png, scores_*.png"
        )
    return evaluations


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
    starts = range(0, len(tiles), _CHUNK)
    progress = bar(starts, name, len(starts), "tile", each=_CHUNK)
    logits = np.concatenate([predictor.logits(tiles.images[start : start + _CHUNK]) for start in progress])
    used = predictor.sidecar.threshold.logit if threshold is None else threshold
    origin = origin or Lineage(None)
    row = TileRow(
        **vars(subject(name, predictor, manifest, split)),
        n=len(tiles),
        **measure(logits, tiles.labels, used),
        training_tiles=origin.trained if origin.manifest else None,
        related_to_training=origin.related if origin.manifest else None,
    )
    return Evaluation(name, used, logits, tiles.labels, tiles.items, row)


def measure(logits: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, Any]:
    """Every figure of one evaluation as one flat row.

    Args:
        logits: float (n,), n > 0.
        labels: 0 or 1, (n,); 1 is cracked.
        threshold: in logits.

    Returns:
        Counts, rates and Wilson 95 % intervals at the threshold (`tflite.metrics.Rates`), "auc", "ece", "brier", "nll",
        "threshold_probability", "threshold_logit", and the summary at probability 0.5 under "..._at_half". What one class
        alone cannot give is None.

    Raises:
        CrackError: if there are no tiles or a logit is not finite.
    """
    brier = brier_score(logits, labels)  # first, since it refuses what is not finite
    at_half = vars(rates_of(confusion(logits, labels, 0.0)))
    return {
        **vars(rates_of(confusion(logits, labels, threshold))),
        "auc": roc_auc(logits, labels),
        "ece": expected_calibration_error(logits, labels),
        "brier": brier,
        "nll": negative_log_likelihood(logits, labels),
        "threshold_probability": float(sigmoid(threshold)),
        "threshold_logit": threshold,
        **{f"{key}_at_half": value for key, value in at_half.items()},
    }


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
                f"{row.threshold_probability:.4g}",
                rate_text(counts.true_positive, counts.positives, row.recall_low, row.recall_high),
                rate_text(counts.true_negative, counts.negatives, row.specificity_low, row.specificity_high),
                "-" if row.auc is None else f"{row.auc:.5f}",
                f"{row.ece:.4f}",
                f"{row.brier:.4f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"{manifest.name} {split}: {counted(total, 'tile')}, {cracked} cracked, {total - cracked} clean"]
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
    prevalence: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    bins: dict[str, list[ReliabilityBin]] = {}
    for item in evaluations:
        prevalence += [{"name": item.name, **asdict(row)} for row in prevalence_table(item.counts)]
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
    rows = [asdict(item.row) for item in evaluations]
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
