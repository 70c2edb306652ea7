"""The classification study this project grew from, as searches that run as they stand, with the published figures.

Published: validation on 6,000 METU tiles, threshold 0.5, 10 epochs on 28,000 tiles at 224 pixels (plain 70/15/15 split). Each
experiment changes one setting of the baseline (Adam, learning rate 1e-3, batch 64).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crack_tf.models.space import Choice, Space
from tflite.errors import CrackError
from tflite.files import read_json, write_csv
from tflite.tables import format_table
from tuning import STUDIES
from tuning.objective import Outcome
from tuning.space import Question
from tuning.study import Study
from tuning.unet_study import unet_study

BASELINE = {"learning_rate": 1e-3, "batch": 64, "positive_weight": 1.0, "optimizer": "adam", "augmentation": 1.0}
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "learning-rate": {"learning_rate": 1e-4},
    "batch": {"batch": 32},
    "positive-weight": {"positive_weight": 3.0},
}
METRICS = ("recall", "specificity", "accuracy", "f1")
# The study's validation table: (model, experiment) -> METRICS.
PUBLISHED: dict[tuple[str, str], tuple[float, float, float, float]] = {
    ("mobilenet_v2", "baseline"): (0.9990, 0.9983, 0.9987, 0.9987),
    ("opnet", "baseline"): (0.9963, 0.9983, 0.9973, 0.9973),
    ("mobilenet_v2", "learning-rate"): (0.9993, 0.9973, 0.9983, 0.9983),
    ("opnet", "learning-rate"): (0.9973, 0.9973, 0.9973, 0.9973),
    ("mobilenet_v2", "batch"): (0.9990, 0.9943, 0.9967, 0.9967),
    ("opnet", "batch"): (0.9983, 0.9970, 0.9977, 0.9977),
    ("mobilenet_v2", "positive-weight"): (0.9990, 0.9983, 0.9987, 0.9987),
    ("opnet", "positive-weight"): (0.9963, 0.9980, 0.9972, 0.9972),
}
MODELS = ("mobilenet_v2", "opnet")


def study(name: str) -> Study:
    """The classification study of one setting against the baseline or of all of them, or the segmentation study.

    Raises:
        CrackError: for another name.
    """
    if name not in STUDIES:
        raise CrackError(f"--study {name!r}: choose one of {', '.join(STUDIES)}.")
    if name == "unet":
        return unet_study()
    names = tuple(EXPERIMENTS) if name == "all" else ("baseline", name)
    space: Space = {"experiment": Choice(names, "baseline")}
    return Study(
        models=MODELS,
        question=Question(space, dict(BASELINE), {key: EXPERIMENTS[key] for key in names}),
        rows=study_rows,
        table=study_table,
        heading="validation, threshold 0.5, float: ours | published",
        published="28,000 tiles, 10 epochs, 224 pixels",
    )


def study_rows(model: str, outcomes: Sequence[Outcome], search: Path) -> list[dict[str, Any]]:
    """This project's figures beside the published ones: float model, validation, threshold 0.5, as in the study.

    Args:
        model: registry name.
        outcomes: of the study's trials.
        search: folder that holds the trials' folders.
    """
    rows = []
    for outcome in outcomes:
        name = outcome.values["experiment"]
        row: dict[str, Any] = {"model": model, "experiment": name, "status": outcome.status}
        if outcome.status == "ok":
            metrics = read_json(search / outcome.folder / "run" / "val_metrics.json")["at_half"]
            row |= {metric: round(metrics[metric], 4) for metric in METRICS}
            row |= {key: metrics[key] for key in ("tp", "fn", "tn", "fp", "recall_low", "recall_high")}
            row |= {key: metrics[key] for key in ("specificity_low", "specificity_high")}
        published = PUBLISHED.get((model, name))
        row |= {f"published_{m}": v for m, v in zip(METRICS, published, strict=True)} if published else {}
        rows.append(row)
    return rows


def study_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text, ours beside the published figures."""

    def cell(metric: str) -> Any:
        return lambda r: f"{r[metric]:.4f} | {r[f'published_{metric}']:.4f}" if metric in r else r["status"]

    return format_table(
        rows, {"model": lambda r: r["model"], "experiment": lambda r: r["experiment"]} | {m: cell(m) for m in METRICS}
    )


def write_study(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the table as CSV."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_csv(path, [{column: row.get(column) for column in columns} for row in rows])
