"""One model whose weights are the mean of several's: `average`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crack_tf.common.provenance import data_record
from crack_tf.data.registry import prepare
from crack_tf.inference.predictor import model_file, refuse_adopted
from crack_tf.models import build_model
from crack_tf.models.keras_models import load_keras
from crack_tf.training.config import TrainConfig
from crack_tf.training.loop import finish
from crack_tf.training.origins import sidecars_of
from crack_tf.training.runs import RUN_FILES, Run, begin
from crack_tf.training.tasks import ALL, task_of
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.locks import FolderLock
from tflite.outputs import Output, check_folder, json_with
from tflite.sidecar import read_sidecar, sidecar_path

OUTPUT = Output("crack-tf average", json_with("config.json", "averaged"), RUN_FILES, first="config.json")


def average(
    models: Sequence[str | os.PathLike[str]],
    data: str,
    out: str | os.PathLike[str],
    *,
    target_recall: float = 0.998,
    image_size: int | None = None,
    val_limit: int | None = None,
    overwrite: bool = False,
) -> Run:
    """Average the weights of models that were fine-tuned from the same start.

    Args:
        models: run folders or .keras files, two or more; a checkpoint counts too, and one twice counts twice.
        data: manifest .csv with all that trained any of them; the threshold is chosen on its validation split.
        out: run folder.
        target_recall: recall that the decision threshold reaches on validation, above 0 and at most 1.
        image_size: side of the averaged model's input in pixels; None for the first model's.
        val_limit: validation samples at most; None for all.
        overwrite: replace the run in `out`.

    Raises:
        CrackError: if the models are not of one architecture, or the data or the folder are not usable.
    """
    folder = Path(out)
    names = [os.fspath(model) for model in models]
    check_folder(folder, OUTPUT, overwrite, inputs=(*names, data))
    if len(names) < 2:
        raise CrackError(f"MODEL {names[0]}: an average takes two models or more.")
    files = [model_file(text) for text in names]
    if not 0 < target_recall <= 1:
        raise CrackError(f"--target-recall {target_recall}: give a share above 0 and at most 1, such as 0.998.")
    wrong = next((file for file in files if file.suffix != ".keras"), None)
    if wrong is not None:
        raise CrackError(f"MODEL {wrong}: quantised weights cannot be averaged. Name .keras files or run folders.")
    # The first says what they all are; checkpoints have no sidecar of their own.
    first = read_sidecar(files[0])
    refuse_adopted(files[0], first, "average rebuilds")
    if image_size is None:
        _require_one_size(files, first.image_size)
    task = task_of(first.model)
    manifest = prepare(data)
    task.check(manifest)

    few = replace(ALL, limit=val_limit)
    config = TrainConfig(
        model=first.model,
        image_size=image_size or first.image_size,
        hyperparameters=dict(first.hyperparameters),
        weights="average",
        target_recall=target_recall,
    )
    val = task.load(manifest, "val", config.image_size, few)  # first: data that are not there are noticed in no time

    model = build_model(config.model, keras, image_size=config.image_size, **config.hyperparameters)
    model.set_weights(mean_weights([(str(file), load_keras(file).get_weights()) for file in files]))
    record: dict[str, Any] = {
        "averaged": [{"file": str(file), "sha256": sha256_file(file)} for file in files],
        "target_recall": target_recall,
        "image_size": config.image_size,
        "val_limit": val_limit,
        "data": data_record(manifest),
    }
    with FolderLock(folder):
        check_folder(folder, OUTPUT, overwrite)  # another process may have come first
        begin(folder, OUTPUT, record)
        return finish(config, manifest, model, val, folder, earlier=sidecars_of(files))


def _require_one_size(files: Sequence[Path], size: int) -> None:
    """Refuse models that were trained at other sizes than the first; a checkpoint does not say."""
    for file in files[1:]:
        if sidecar_path(file).is_file() and (other := read_sidecar(file).image_size) != size:
            raise CrackError(
                f"MODEL {file} looks at {other} pixels, the first at {size}. Say with --image-size which the mean is to have."
            )


def mean_weights(weights: list[tuple[str, list[np.ndarray]]]) -> list[np.ndarray]:
    """The mean of each weight over models: float32 arrays of the models' own shapes.

    Args:
        weights: name and weights of every model, two or more.

    Raises:
        CrackError: if two models differ in the shape of a weight, or one holds a number that is not finite.
    """
    name, first = weights[0]
    for other, values in weights:
        if [value.shape for value in values] != [value.shape for value in first]:
            raise CrackError(f"{other} has other weights than {name}: only models of one architecture can be averaged.")
        if not all(np.isfinite(value).all() for value in values):
            raise CrackError(f"{other} holds weights that are not finite: its training failed. Leave it out.")
    return [
        np.asarray(np.mean(np.stack(layer), axis=0, dtype=np.float64), np.float32)
        for layer in zip(*(values for _, values in weights), strict=True)
    ]
