"""The segmentation study's runs, as a search that runs as it stands, with what was published about each.

The study changed one thing at a time and kept what made the loss better. It is known what each change did, and the validation
figures of its first and last run; of "19 to 20" runs sixteen are on record. The remaining four rows are this project's own questions:
transposed convolutions, another width, and two other losses.

Published: 32,640 cracked images of 256 pixels from three public sets (70/15/15), a tenth of them sampled, batch 20, Adam with learning
rate 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crack_tf.models.space import Choice
from tflite.files import read_json
from tflite.tables import format_table
from tuning.objective import Outcome
from tuning.space import Question
from tuning.study import Study

METRICS = ("f1", "iou", "recall")
HELD: dict[str, Any] = {
    "image_size": 256,
    "learning_rate": 1e-4,
    "batch": 20,
    "augmentation": 1.0,
    "upsampling": "nearest",
    "width": 16,
}


@dataclass(frozen=True)
class Run:
    """One run of the study.

    Attributes:
        name: short.
        versus: the run it changes, "" for the first.
        change: what it changes.
        effect: what that did to the loss, as published; "" where this project asks.
        published: validation `METRICS`, where published.
    """

    name: str
    versus: str
    change: dict[str, Any]
    effect: str = ""
    published: tuple[float, ...] = field(default=())


_FIRST = {
    "levels": 7,
    "kernel": 5,
    "initializer": "he_normal",
    "slope": 0.0,
    "optimizer": "adam",
    "loss": "bce",
    "positive_weight": 1.0,
    "negative_weight": 1.0,
}
RUNS = (
    Run("first", "", _FIRST, "", (0.771, 0.509, 0.725)),
    Run("64-pixels", "first", {"image_size": 64}, "dropped"),
    Run("6-levels", "first", {"levels": 6}, "better"),
    Run("5-levels", "6-levels", {"levels": 5}, "worse"),
    Run("kernel-3", "6-levels", {"kernel": 3}, "better"),
    Run("he-uniform", "kernel-3", {"initializer": "he_uniform"}, "worse"),
    Run("leaky-0.01", "kernel-3", {"slope": 0.01}, "better"),
    Run("leaky-0.1", "leaky-0.01", {"slope": 0.1}, "better"),
    Run("leaky-0.5", "leaky-0.1", {"slope": 0.5}, "worse"),
    Run("leaky-0.25", "leaky-0.1", {"slope": 0.25}, "worse"),
    Run("leaky-0.375", "leaky-0.1", {"slope": 0.375}, "best"),
    Run("rmsprop", "leaky-0.375", {"optimizer": "rmsprop"}, "worse"),
    Run("sgd", "leaky-0.375", {"optimizer": "sgd"}, "worst"),
    Run("positive-1.1", "leaky-0.375", {"positive_weight": 1.1}, "better"),
    Run("positive-1.5", "positive-1.1", {"positive_weight": 1.5}, "overfits"),
    Run("last", "positive-1.1", {"negative_weight": 0.9}, "kept", (0.869, 0.705, 0.866)),
    Run("transposed", "last", {"upsampling": "transposed"}),
    Run("width-8", "last", {"width": 8}),
    Run("bce+dice", "last", {"loss": "bce+dice"}),
    Run("bce+tversky", "last", {"loss": "bce+tversky"}),
)
# Losses with other weights, or of another kind, cannot be compared with each other.
_LOSS = ("loss", "positive_weight", "negative_weight")


def settings(name: str) -> dict[str, Any]:
    """Everything a run sets: its own change on top of those it builds on."""
    run = next(run for run in RUNS if run.name == name)
    return (settings(run.versus) if run.versus else {}) | run.change


def unet_study() -> Study:
    """The study as a search over named experiments."""
    names = tuple(run.name for run in RUNS)
    return Study(
        models=("unet",),
        question=Question(
            {"experiment": Choice(names, names[0])}, dict(HELD), {name: settings(name) for name in names}
        ),
        rows=study_rows,
        table=study_table,
        heading="validation, float, each run at its own best threshold; loss and F1 against the run it changes",
        published="32,640 images, a tenth of them sampled, batch 20, 256 pixels",
    )


def study_rows(model: str, outcomes: Sequence[Outcome], search: Path) -> list[dict[str, Any]]:
    """This project's figures beside what was published.

    Whether a change made things better is read from the validation loss, as in the study; where the two runs have other weights, or
    another kind of loss, from F1.

    Args:
        model: registry name.
        outcomes: of the study's trials.
        search: folder that holds the trials' folders.
    """
    done = {outcome.values["experiment"]: outcome for outcome in outcomes}
    figures = {name: _figures(outcome, search) for name, outcome in done.items() if outcome.status == "ok"}
    rows = []
    for run in RUNS:
        if run.name not in done:
            continue
        row: dict[str, Any] = {
            "model": model,
            "experiment": run.name,
            "versus": run.versus,
            "change": ", ".join(f"{key}={value}" for key, value in run.change.items()) if run.versus else "",
            "status": done[run.name].status,
        }
        row |= {key: round(value, 4) for key, value in figures.get(run.name, {}).items()}
        if run.name in figures and run.versus in figures:
            here, before = figures[run.name], figures[run.versus]
            row |= {f"{key}_change": round(here[key] - before[key], 4) for key in ("val_loss", "f1")}
            by = "f1" if any(key in run.change for key in _LOSS) else "val_loss"
            gain = before["val_loss"] - here["val_loss"] if by == "val_loss" else here["f1"] - before["f1"]
            row |= {"effect": "better" if gain > 0 else "worse", "judged_by": by}
        row["published_effect"] = run.effect
        row |= {f"published_{m}": value for m, value in zip(METRICS, run.published, strict=False)}
        rows.append(row)
    return rows


def study_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text, ours beside the published effect and figures."""

    def cell(metric: str) -> Any:
        return lambda r: (
            (f"{r[metric]:.4f}" if metric in r else r["status"])
            + (f" | {r[f'published_{metric}']:.3f}" if f"published_{metric}" in r else "")
        )

    return format_table(
        rows,
        {
            "run": lambda r: r["experiment"],
            "versus": lambda r: r["versus"],
            "val loss": lambda r: f"{r['val_loss']:.4f}" if "val_loss" in r else r["status"],
            **{metric: cell(metric) for metric in METRICS},
            "effect": lambda r: r.get("effect", "") + (" (F1)" if r.get("judged_by") == "f1" else ""),
            "published": lambda r: r["published_effect"],
        },
    )


def _figures(outcome: Outcome, search: Path) -> dict[str, float]:
    """Validation loss and metrics of a trial's float model."""
    metrics = read_json(search / outcome.folder / "run" / "val_metrics.json")["at_threshold"]
    loss = outcome.val_loss
    assert loss is not None
    return {"val_loss": loss, **{name: float(metrics[name] or 0) for name in (*METRICS, "precision")}}
