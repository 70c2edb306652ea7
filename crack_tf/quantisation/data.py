"""What an export starts from: the trained model, and real tiles or patches for calibration, fine-tuning, threshold and measurement."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.data.cache import Tiles, load_split
from crack_tf.data.patches import Patches, load_patches
from crack_tf.evaluation.lineage import lineage, require_same_task
from crack_tf.inference.predictor import model_file, refuse_adopted
from crack_tf.models import build_model, get_model
from crack_tf.models.keras_models import MODEL_FILE
from crack_tf.quantisation.config import ExportConfig
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.manifest import Manifest, read_manifest
from tflite.sidecar import Sidecar, read_sidecar, verify_file


@dataclass(frozen=True)
class Source:
    """The trained model that is exported.

    Attributes:
        path: of model.keras.
        sidecar: beside it.
        weights: in `get_weights()` order.
        edge_tpu: whether its Edge TPU form is meant, which has the same weights.
    """

    path: Path
    sidecar: Sidecar
    weights: list[np.ndarray]
    edge_tpu: bool = False

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Keyword arguments of the model's builder."""
        return self.sidecar.hyperparameters | ({"edge_tpu": True} if self.edge_tpu else {})

    def build(self, keras: Any, raw_pixels: bool) -> Any:
        """The architecture in a Keras namespace, in float32, with untrained weights."""
        side = self.sidecar
        return build_model(side.model, keras, image_size=side.image_size, raw_pixels=raw_pixels, **self.hyperparameters)

    def keras_model(self, raw_pixels: bool) -> Any:
        """The trained model in Keras 3 and float32, whatever precision it was trained in.

        Raises:
            CrackError: if the weights do not fit the architecture that the sidecar names.
        """
        import keras

        model = self.build(keras, raw_pixels)
        try:
            model.set_weights(self.weights)
        except ValueError:
            raise CrackError(
                f"{self.path} does not hold the weights of {self.sidecar.model} {self.sidecar.hyperparameters} that its "
                "sidecar names. Copy both files again."
            ) from None
        return model

    @cached_property
    def float_model(self) -> Any:
        """The model of raw pixels, for all that ask or convert it: building it takes a second."""
        return self.keras_model(raw_pixels=True)


@dataclass(frozen=True)
class Data:
    """Real tiles for every purpose. Calibration and fine-tuning use the train split alone.

    Attributes:
        manifest: they are from; of a segmentation model they are patches of photographs with their masks.
        train: for QAT, None when it is not asked for.
        calibration: uint8 (n, s, s, 3), a class-balanced draw from the train split.
        val: the threshold is chosen on it.
        measured: float and quantised are compared on it.
        measured_split: its name.
    """

    manifest: Manifest
    train: Tiles | Patches | None
    calibration: np.ndarray
    val: Tiles | Patches
    measured: Tiles | Patches
    measured_split: str


def find_source(run: str | os.PathLike[str] | None) -> tuple[Path, Sidecar]:
    """The .keras file to export and its verified sidecar.

    Args:
        run: run folder, .keras file, or None for the newest run in runs/.

    Raises:
        CrackError: if there is none, it is no .keras file, or it does not match its sidecar.
    """
    if run is None:
        runs = sorted(Path("runs").glob(f"*/{MODEL_FILE}"), key=lambda file: file.stat().st_mtime)
        if not runs:
            raise CrackError("there is no trained run in runs/. Train one with crack-tf train, or name a run folder.")
        print(f"exporting {runs[-1].parent}")
        run = runs[-1]
    path = model_file(os.fspath(run))
    if path.suffix != ".keras":
        raise CrackError(f"{path} is exported already: name the .keras file or run folder it was made from.")
    sidecar = read_sidecar(path)
    refuse_adopted(path, sidecar, "export quantises")
    verify_file(path, sidecar)
    return path, sidecar


def require_edge_tpu(sidecar: Sidecar) -> None:
    """Refuse the Edge TPU form of a model that has no other form than its own.

    Raises:
        CrackError: naming the model.
    """
    if "edge_tpu" not in get_model(sidecar.model).hyperparameters:
        raise CrackError(f"--edge-tpu: {sidecar.model} has one form only. Export it as it is.")


def file_stem(sidecar: Sidecar, edge_tpu: bool = False) -> str:
    """What the files of an export are called, before the scheme; an adapted model's not as those of the model that it was made from."""
    marks = {"adapted": "adapted" in sidecar.training, "edge": edge_tpu}
    return "-".join((sidecar.model, *(name for name, holds in marks.items() if holds)))


def load_data(config: ExportConfig, manifest: Manifest, path: Path, sidecar: Sidecar, needs_train: bool) -> Data:
    """Tiles for calibration, fine-tuning, threshold and measurement.

    Raises:
        CrackError: if the manifest is about another task, or the measured tiles trained the model.
    """
    if manifest.task != "mixed":  # which trains, calibrates and measures either kind of model on samples of its own
        require_same_task(path, sidecar, manifest)
    trained = lineage(sidecar, path, manifest, manifest.split(config.measure_split)).trained
    if trained:
        raise CrackError(
            f"{trained} tiles of split {config.measure_split!r} of {manifest.name} trained this model: quantisation measured on "
            "them would say little. Use the run's own manifest, or other data."
        )
    size = sidecar.image_size

    def load(split: str, limit: int | None = None) -> Tiles | Patches:
        if sidecar.task == "segment":
            return load_patches(manifest, split, size, limit=limit, seed=config.seed)
        return load_split(manifest, split, size, limit=limit, seed=config.seed)

    return Data(
        manifest=manifest,
        train=load("train") if needs_train else None,
        calibration=np.asarray(load("train", config.calibration_samples).images),
        val=load("val"),
        measured=load(config.measure_split, config.measure_limit),
        measured_split=config.measure_split,
    )


def run_manifest(path: Path, sidecar: Sidecar) -> Manifest:
    """The manifest the run was trained on, as its config.json names it.

    Raises:
        CrackError: if it is not to be found, or no longer the one that was used.
    """
    config = path.parent / "config.json"
    if not config.is_file():
        raise CrackError(f"{path} is not in a run folder (no {config.name} beside it): name its data with --data.")
    named = read_json(config).get("data", {}).get("manifest")
    if not isinstance(named, str):
        raise CrackError(f"{config} names no manifest: give one with --data.")
    try:
        manifest = read_manifest(named)
    except CrackError as error:
        raise CrackError(f"{error} It was named by {config}; if it moved, give it with --data.") from None
    if manifest.sha256 != sidecar.training.get("manifest_sha256"):
        raise CrackError(
            f"manifest {named} is not the one {path} was trained on (its sha256 differs). Name one with --data."
        )
    return manifest
