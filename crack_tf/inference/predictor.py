"""One way to ask a model for logits of raw pixels: `.keras` through Keras and `.tflite` through LiteRT alike.

Example:
    predictor = load_predictor("runs/opnet")
    logits = predictor.logits(tiles.images)        # (n,)

    predictor = load_map_predictor("runs/unet")
    logits = predictor.logits(patches.images)      # (n, size, size)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crack_tf.models.keras_models import MODEL_FILE, load_keras, map_logits, predict_logits
from crack_tf.models.shipped import load, model_name, read_zoo
from tflite.errors import CrackError, ModelFileError
from tflite.foreign import refuse_foreign
from tflite.metrics import sigmoid
from tflite.runtime import Classifier, require_task
from tflite.scaling import Scaling, look_up
from tflite.segmenter import Segmenter, cut_probability
from tflite.sidecar import Sidecar, read_sidecar, verify_file

SUFFIXES = (".keras", ".tflite")
_BATCH = 64  # tiles per step of a classifier


class CheckedModel(Protocol):
    """A loaded and checked model."""

    @property
    def name(self) -> str:
        """Such as "mobilenet_v2_real-int8-qat"."""

    @property
    def path(self) -> Path:
        """The model file."""

    @property
    def sidecar(self) -> Sidecar:
        """What is known about the file."""

    @property
    def image_size(self) -> int:
        """Side of the square input tile in pixels."""


class Predictor(CheckedModel, Protocol):
    """A classifier."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of raw tiles: uint8 (n, image_size, image_size, 3) to float32 (n,); n may be 0."""


class MapPredictor(CheckedModel, Protocol):
    """A segmentation model; fits `crack_tf.inference.maps.segment`."""

    @property
    def threshold_probability(self) -> float:
        """Where a stitched map of probabilities is to be cut."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of raw tiles: uint8 (n, s, s, 3) to float32 (n, s, s), s the image size; n may be 0."""

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """Their sigmoid, float32 (n, s, s)."""


def load_predictor(
    path: str | Path, *, threads: int | None = None, delegate: str = "xnnpack", trust: bool = False
) -> Predictor:
    """Load a model file after comparing it with its sidecar.

    Args:
        path: a `.keras` or `.tflite` file, or a run folder of `crack_tf.train`, which stands for its model.keras.
        threads: for `.tflite`, default all cores; Keras manages its own.
        delegate: for `.tflite`, see `tflite.runtime.Classifier`.
        trust: skip the sha256 comparison. Only for files made by this very process.

    Raises:
        CrackError: if there is no such file, it has another suffix, or an argument is out of range.
            It also raises for a segmentation model, which `load_map_predictor` takes.
        ModelFileError: if the file or its sidecar is missing, damaged, or not what the other describes.
    """
    file = model_file(path)
    if file.suffix == ".tflite":
        return TflitePredictor(file, threads or os.cpu_count() or 1, delegate, trust)
    return KerasPredictor(file, trust)


def load_map_predictor(path: str | Path, *, threads: int | None = None, delegate: str = "xnnpack") -> MapPredictor:
    """Load a segmentation model; arguments and errors are those of `load_predictor`."""
    file = model_file(path)
    if file.suffix == ".tflite":
        return TfliteMapPredictor(file, threads or os.cpu_count() or 1, delegate)
    return KerasMapPredictor(file)


def model_file(path: str | Path) -> Path:
    """The model file that a user's MODEL stands for, in every verb that measures, explains or rebuilds one.

    Args:
        path: a shipped model's name, which stands for its int8 file (./NAME is a file or folder of that name), or the path of a
            `.keras` or `.tflite` file or a run folder.

    Raises:
        CrackError: if there is none, or its suffix is not `.keras` or `.tflite`.
    """
    name, path = os.fspath(path), Path(path)
    if name in read_zoo()[1]:
        return load(name, roles=("tflite", "tflite_sidecar")).tflite
    if path.is_dir():
        file = path / MODEL_FILE
        if file.is_file():
            return file
        if (path / "config.json").is_file():
            raise CrackError(
                f"run folder {path} has no {MODEL_FILE}: its training has not finished. "
                "Go on with crack-tf train --resume."
            )
        refuse_foreign(path)
        raise CrackError(
            f"folder {path} is no run of crack_tf.train: it has no {MODEL_FILE}. Name a model file instead."
        )
    if path.suffix not in SUFFIXES:
        refuse_foreign(path)
        if not path.exists() and not path.suffix:
            raise CrackError(
                f"model {name!r} is neither a file, a run folder nor a shipped model ({', '.join(read_zoo()[1])}): "
                f"expected a {' or '.join(SUFFIXES)} file."
            )
        raise CrackError(
            f"model {path}: expected a {' or '.join(SUFFIXES)} file, a run folder, or a shipped model's name."
        )
    if not path.is_file():
        raise CrackError(f"model {path} does not exist.")
    return path


def refuse_adopted(path: Path, sidecar: Sidecar, what: str) -> None:
    """Refuse a model made elsewhere where one of the registry is needed, which can be built anew.

    Args:
        path: of the model.
        sidecar: of the model.
        what: is to be done with it, as in "export rebuilds".

    Raises:
        CrackError: if it was adopted.
    """
    if sidecar.adopted:
        raise CrackError(
            f"{path} was made elsewhere and adopted: {what} a model that this project can build, and does not know how to build that "
            "one. tf.lite.TFLiteConverter makes a .tflite of it, which crack-tf adopt takes."
        )


class _Loaded:
    """What a model's sidecar says of it; `path` and `sidecar` are its maker's to fill."""

    path: Path
    sidecar: Sidecar

    @property
    def name(self) -> str:
        """Such as "mobilenet_v2_real-int8-qat", see `crack_tf.models.shipped.model_name`."""
        return model_name(self.sidecar)

    @property
    def image_size(self) -> int:
        """Side of the square input tile in pixels."""
        return self.sidecar.image_size


class _LoadedMap(_Loaded):
    @property
    def threshold_probability(self) -> float:
        """Where a stitched map of probabilities is to be cut."""
        return cut_probability(self.sidecar)


class KerasPredictor(_Loaded):
    """A `.keras` file behind `Predictor`; see `load_predictor`."""

    def __init__(self, path: Path, trust: bool = False) -> None:
        self.path = path
        self.sidecar, self._model = _load_keras(path, "classify", trust)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits in batches of 64; see `Predictor.logits`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        if self.sidecar.reading:
            head = self.sidecar.head
            return head.logit(head.raw(self.outputs(images)))
        _check_tiles(images, self.image_size)
        return predict_logits(self._model, images)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """What an adopted model answers, before its head is read: uint8 (n, s, s, 3) to float32 (n, outputs).

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        _check_tiles(images, self.image_size)
        scaling, batch = self.sidecar.scaling or Scaling(), self._model.input_shape[0] or _BATCH
        table, parts = scaling.table(self.sidecar.input), [np.zeros((0, self.sidecar.head.outputs), np.float32)]
        for start in range(0, len(images), batch):
            pixels = look_up(table, scaling.select(images[start : start + batch]))
            answer = np.asarray(self._model.predict_on_batch(pixels), np.float32)
            parts.append(answer.reshape(len(pixels), -1))
        return np.concatenate(parts)


class TflitePredictor(_Loaded):
    """A `.tflite` file behind `Predictor`; see `load_predictor`. `classifier` is the device's own way to run it."""

    def __init__(self, path: Path, threads: int, delegate: str = "xnnpack", trust: bool = False) -> None:
        self.path = path
        self.classifier = Classifier(path, threads=threads, delegate=delegate, trust=trust)
        self.sidecar = self.classifier.sidecar

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits one tile at a time, as on the device; see `Predictor.logits`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        _check_tiles(images, self.image_size)
        return self.classifier.logits(images)


class KerasMapPredictor(_LoadedMap):
    """A `.keras` file behind `MapPredictor`; see `load_map_predictor`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sidecar, self._model = _load_keras(path, "segment")

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits in batches of 8; see `MapPredictor`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        _check_tiles(images, self.image_size)
        return map_logits(self._model, images)

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """Probabilities in batches of 8; see `MapPredictor`."""
        return sigmoid(self.logits(tiles)).astype(np.float32)


class TfliteMapPredictor(_LoadedMap):
    """A `.tflite` file behind `MapPredictor`; see `load_map_predictor`. `segmenter` is the device's own way to run it."""

    def __init__(self, path: Path, threads: int, delegate: str = "xnnpack") -> None:
        self.path = path
        self.segmenter = Segmenter(path, threads=threads, delegate=delegate)
        self.sidecar = self.segmenter.sidecar

    @property
    def window_step(self) -> int | None:
        """See `tflite.segmenter.Segmenter`."""
        return self.segmenter.window_step

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits one tile at a time, as on the device; see `MapPredictor`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        _check_tiles(images, self.image_size)
        found = np.empty(images.shape[:3], np.float32)
        for number, tile in enumerate(images):
            found[number] = self.segmenter.logits(tile)
        return found

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """Probabilities one tile at a time; see `MapPredictor`."""
        return self.segmenter.probabilities(tiles)


def _load_keras(path: Path, task: str, trust: bool = False) -> tuple[Sidecar, Any]:
    """A checked `.keras` file: its sidecar and the model."""
    sidecar = read_sidecar(path)
    require_task(path, sidecar, task)
    if not trust:
        verify_file(path, sidecar)

    model = load_keras(path)
    size = sidecar.image_size
    taken, given = model.input_shape, model.output_shape
    fits = taken[1:] == (size, size, sidecar.channels) and (taken[0] is None or (sidecar.adopted and taken[0] == 1))
    answer = (size, size, 1) if task == "segment" else sidecar.output.shape[1:]
    if not fits or given[1:] != answer:
        raise ModelFileError(
            f"{path} maps {taken} to {given}, its sidecar says {size}x{size} tiles and "
            f"{'a map of logits' if task == 'segment' else f'{sidecar.head.outputs} output(s)'}. The two do not belong together: "
            "copy both again."
        )
    return sidecar, model


def _check_tiles(images: np.ndarray, size: int) -> None:
    if images.ndim != 4 or images.shape[1:] != (size, size, 3) or images.dtype != np.uint8:
        raise CrackError(
            f"tiles must be uint8 of shape (n, {size}, {size}, 3), got {images.dtype} of shape {images.shape}. "
            "tflite.images.load_rgb(path, size) makes one tile."
        )
