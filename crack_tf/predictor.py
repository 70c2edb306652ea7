"""One way to ask a model for logits of raw pixels: `.keras` through Keras and `.tflite` through LiteRT alike.

Example:
    predictor = load_predictor("runs/opnet")
    logits = predictor.logits(tiles.images)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from tflite.errors import CrackError, ModelFileError
from tflite.runtime import Classifier
from tflite.sidecar import Sidecar, read_sidecar, verify_file

SUFFIXES = (".keras", ".tflite")
MODEL_FILE = "model.keras"  # of a run folder


class Predictor(Protocol):
    """A loaded and checked model."""

    @property
    def name(self) -> str:
        """Registry name and scheme, such as "opnet-int8-qat"."""

    @property
    def path(self) -> Path:
        """The model file."""

    @property
    def sidecar(self) -> Sidecar:
        """What is known about the file."""

    @property
    def image_size(self) -> int:
        """Side of the square input tile in pixels."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of raw tiles: uint8 (n, image_size, image_size, 3) to float32 (n,); n may be 0."""


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
        ModelFileError: if the file or its sidecar is missing, damaged, or not what the other describes.
    """
    file = model_file(path)
    if file.suffix == ".tflite":
        return TflitePredictor(file, threads or os.cpu_count() or 1, delegate, trust)
    return KerasPredictor(file, trust)


def model_file(path: str | Path) -> Path:
    """The model file that a path given by the user stands for.

    Raises:
        CrackError: if there is none, or its suffix is not `.keras` or `.tflite`.
    """
    path = Path(path)
    if path.is_dir():
        file = path / MODEL_FILE
        if file.is_file():
            return file
        if (path / "config.json").is_file():
            raise CrackError(
                f"run folder {path} has no {MODEL_FILE}: its training has not finished. "
                "Go on with python -m crack_tf.train --resume."
            )
        raise CrackError(
            f"folder {path} is no run of crack_tf.train: it has no {MODEL_FILE}. Name a model file instead."
        )
    if path.suffix not in SUFFIXES:
        raise CrackError(f"model {path}: expected a {' or '.join(SUFFIXES)} file, or a run folder.")
    if not path.is_file():
        raise CrackError(f"model {path} does not exist.")
    return path


class KerasPredictor:
    """A `.keras` file behind `Predictor`; see `load_predictor`."""

    def __init__(self, path: Path, trust: bool = False) -> None:
        self.path = path
        self.sidecar = read_sidecar(path)
        if not trust:
            verify_file(path, self.sidecar)

        from crack_tf.training import load_keras  # after the cheap checks: importing Keras takes seconds

        self._model = load_keras(path)
        size = self.image_size
        shapes = (self._model.input_shape, self._model.output_shape)
        if shapes != ((None, size, size, 3), (None, 1)):
            raise ModelFileError(
                f"{path} maps {shapes[0]} to {shapes[1]}, its sidecar says {size}x{size} tiles and one logit. "
                "The two do not belong together: copy both again."
            )

    @property
    def name(self) -> str:
        return _name(self.sidecar)

    @property
    def image_size(self) -> int:
        return self.sidecar.image_size

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits in batches of 64; see `Predictor.logits`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        from crack_tf.training import predict_logits

        _check_tiles(images, self.image_size)
        return predict_logits(self._model, images)


class TflitePredictor:
    """A `.tflite` file behind `Predictor`; see `load_predictor`. `classifier` is the device's own way to run it."""

    def __init__(self, path: Path, threads: int, delegate: str = "xnnpack", trust: bool = False) -> None:
        self.path = path
        self.classifier = Classifier(path, threads=threads, delegate=delegate, trust=trust)

    @property
    def sidecar(self) -> Sidecar:
        return self.classifier.sidecar

    @property
    def name(self) -> str:
        return _name(self.sidecar)

    @property
    def image_size(self) -> int:
        return self.classifier.image_size

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits one tile at a time, as on the device; see `Predictor.logits`.

        Raises:
            CrackError: if the tiles have another shape or dtype.
        """
        _check_tiles(images, self.image_size)
        return self.classifier.logits(images)


def _name(sidecar: Sidecar) -> str:
    return f"{sidecar.model}-{sidecar.scheme}"


def _check_tiles(images: np.ndarray, size: int) -> None:
    if images.ndim != 4 or images.shape[1:] != (size, size, 3) or images.dtype != np.uint8:
        raise CrackError(
            f"tiles must be uint8 of shape (n, {size}, {size}, 3), got {images.dtype} of shape {images.shape}. "
            "tflite.images.load_rgb(path, size) makes one tile."
        )
