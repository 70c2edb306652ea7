"""A run folder: what a training leaves there, whose it is, and whether it may be gone on with. Loads no Keras."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crack_tf.common.provenance import created, environment
from crack_tf.models.keras_models import MODEL_FILE
from crack_tf.training.config import TrainConfig
from tflite.arguments import option_of
from tflite.errors import CrackError
from tflite.files import read_csv, read_json, write_json
from tflite.outputs import Output, check_folder, clear_folder, json_with
from tflite.sameness import refuse_changed
from tflite.sidecar import Sidecar

# What training writes. Exports and evaluations beside them are other verbs'.
RUN_FILES = (
    *("config.json", "history.csv", "curves.png", "confusion_val.png", "masks_val.png", "val_metrics.json"),
    *("checkpoints/epoch-*.keras", MODEL_FILE, f"{MODEL_FILE}.json"),
)
OUTPUT = Output("crack-tf train", json_with("config.json", "train", "data"), RUN_FILES, first="config.json")
# Settings that older runs do not record, and what those did.
_OLDER_RUNS = {
    "train.loss": "bce",
    "train.adverse": 0.0,
    "train.camera": 0.0,
    "train.zoom_out": 1.0,
    "train.mask_weight": 0.0,
    "train.teacher": None,
    "train.teacher_share": 0.7,
    "train.balance": None,
    "empty_share": 1.0,
    "val_limit": None,
}


@dataclass(frozen=True)
class Run:
    """A finished run; wherever a path of a run folder is taken, this may be given.

    Attributes:
        folder: where it lies.
        sidecar: its model's: threshold, origin, and the metrics on validation.
    """

    folder: Path
    sidecar: Sidecar

    @property
    def model(self) -> Path:
        """The trained model's file."""
        return self.folder / MODEL_FILE

    @property
    def metrics(self) -> dict[str, Any]:
        """On the validation split, as val_metrics.json holds them."""
        return self.sidecar.metrics

    def __fspath__(self) -> str:
        return str(self.folder)


def check_out(folder: Path, config: TrainConfig, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that training may not write to.

    Raises:
        CrackError: saying why, and what to do.
    """
    if resume and overwrite:
        raise CrackError("--resume and --overwrite exclude each other: go on with the run, or delete it.")
    if not resume:
        hint = "Add --resume to go on with it, or --overwrite to start again."
        check_folder(folder, OUTPUT, overwrite, inputs=(config.data, config.init_from, config.weights), hint=hint)


def begun_from(config: TrainConfig) -> dict[str, str]:
    """The files, beside its data, that shape a training, by setting. Names such as "imagenet" are none."""
    named = {name: getattr(config, name) for name in ("init_from", "weights", "teacher")}
    return {name: file for name, file in named.items() if file and Path(file).is_file()}


def check_same_run(folder: Path, record: dict[str, Any]) -> None:
    """Refuse to go on with a run under other settings.

    Raises:
        CrackError: if there is no run in the folder, or a setting differs.
    """
    if not (folder / "config.json").exists():
        raise CrackError(f"--resume: there is no run in {folder}. Leave --resume out to start one.")
    old, new = _OLDER_RUNS | flatten(read_json(folder / "config.json")), flatten(record)
    files = {name: new.pop(f"files.{name}") for name in record.get("files", {})}
    new.pop("data.manifest", None)  # it may have moved; its hash may not change
    refuse_changed(folder, {name: old.get(name) for name in new}, new)
    for setting, digest in files.items():
        if old.get(f"files.{setting}", digest) != digest:  # unknown of an older run
            raise CrackError(
                f"{option_of(setting)} {new[f'train.{setting}']}: the file is another one than when {folder} was begun. "
                "Put that one back, or start again with --overwrite instead of --resume."
            )


def read_history(folder: Path) -> list[dict[str, float]]:
    """Rows of `history.csv`, oldest first; empty when there is none.

    Raises:
        CrackError: if the file is damaged.
    """
    path = folder / "history.csv"
    if not path.exists():
        return []
    rows = read_csv(path)
    try:
        return [{key: int(value) if key == "epoch" else float(value) for key, value in row.items()} for row in rows]
    except (TypeError, ValueError) as error:
        raise CrackError(f"{path} is damaged ({error}). Start again with --overwrite.") from None


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots, tuples as lists (as JSON gives them back)."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= flatten(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(item) if isinstance(item, tuple) else item
    return flat


def begin(folder: Path, output: Output, record: dict[str, Any]) -> None:
    """Clear a folder that is locked of an earlier run, say what else lies there, such as exports of the model before, and write the
    record into config.json."""
    if left := clear_folder(folder, output):
        print(f"note: {folder} still holds {', '.join(left)}, which belong to no run of this command.", file=sys.stderr)
    write_json(folder / "config.json", record | {"created": created(), **environment()})
