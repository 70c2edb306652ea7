"""What evaluations of classifiers and of segmentation models have in common: what they are told, and what their rows begin with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crack_tf.evaluation.rows import Subject
from tflite.arguments import check_types
from tflite.errors import CrackError
from tflite.files import run_name
from tflite.manifest import Manifest
from tflite.outputs import Output, json_with

if TYPE_CHECKING:
    from crack_tf.inference.predictor import CheckedModel

FORMAT = "crack_tf.evaluation/1"
OUTPUT = Output(
    "crack-tf evaluate",
    json_with("metrics.json", "format", "manifest", "split", "models"),
    (
        *("metrics.json", "metrics.csv", "metrics_aligned.csv", "prevalence.csv", "predictions.csv", "per_photo.csv"),
        *("confusion_*.png", "reliability_*.png", "scores_*.png", "gallery_*.png", "pr_curves.png"),
    ),
)


@dataclass(frozen=True)
class EvaluateConfig:
    """Everything an evaluation is told, besides the models.

    Attributes:
        data: manifest .csv, data set name, or folder.
        policy: how data that are no manifest are split; None for the set's own.
        split: "train", "val", "test" or "all".
        threshold: probability to decide by; None takes each model's own.
        limit: at most this many tiles or photographs, class balance kept; None for all.
        threads: of .tflite models; None for all cores.
        delegate: of .tflite models: "xnnpack", "none" or "edgetpu".
        allow_training_tiles: evaluate even on what trained a model.

    Raises:
        CrackError: if the threshold is no probability strictly between 0 and 1.
    """

    data: str
    policy: str | None = None
    split: str = "test"
    threshold: float | None = None
    limit: int | None = None
    threads: int | None = None
    delegate: str = "xnnpack"
    allow_training_tiles: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise CrackError(f"--threshold {self.threshold:g}: choose a probability strictly between 0 and 1.")


def subject(name: str, predictor: CheckedModel, manifest: Manifest, split: str) -> Subject:
    """The first columns of a row of metrics."""
    one, file = predictor.sidecar, predictor.path.name
    return Subject(name, one.scheme, file, one.sha256, one.image_size, manifest.name, manifest.sha256, split)


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


def unique_names(predictors: Sequence[CheckedModel]) -> list[str]:
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
