"""Keras models read from files and asked for their logits, on any backend."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.archives import check_zip
from crack_tf.common.progress import bar
from crack_tf.models.heads import without_cells
from tflite.convert import GREY, VIEW_WEIGHTS
from tflite.errors import ModelFileError

MODEL_FILE = "model.keras"  # of a run folder
# A .keras may unpack to so many bytes, or to so many times its size; weights hardly shrink.
_KERAS_BYTES, _KERAS_RATIO = 500 * 10**6, 20
_MAP_BATCH = 8  # tiles per step of a segmentation model: its maps take far more memory than a classifier's


def load_keras(path: str | Path, compile: bool = False) -> Any:
    """Load a `.keras` file.

    Args:
        path: of the file.
        compile: as it was trained, with its optimizer; else a checkpoint of a classifier that masks taught has lost its cells.

    Raises:
        ModelFileError: if it is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path} does not exist.")

    import keras  # takes seconds, and takes its backend when it is first imported: see `crack_tf.models.backend`

    try:
        with zipfile.ZipFile(path) as archive:
            check_zip(archive, max(_KERAS_BYTES, _KERAS_RATIO * path.stat().st_size))
        model = keras.models.load_model(path, compile=compile)
        return model if compile else without_cells(keras, model)
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own kinds on a damaged file
        raise ModelFileError(
            f"{path} is not a whole .keras model ({type(error).__name__}: {str(error)[:200]}). Copy it again, or name another file."
        ) from None


def predict_logits(
    model: Any, images: np.ndarray, batch: int = 64, second_view: int = 0, title: str | None = None
) -> np.ndarray:
    """Logits of tiles, a batch at a time so that memory stays bounded.

    Args:
        model: Keras classifier of raw pixels.
        images: uint8 (n, s, s, 3).
        batch: tiles at a time.
        second_view: side in pixels of the averaging window of a second look, as a file exported with one takes; 0 for none.
        title: of the progress that is told; None for none.

    Returns:
        float32 (n,).
    """
    parts = []
    starts = range(0, len(images), batch)
    for start in bar(starts, title or "", len(starts), "tile", each=batch, units=len(images), shown=title is not None):
        pixels = np.asarray(images[start : start + batch], dtype=np.float32)
        looks = [
            weight * np.asarray(model.predict_on_batch(np.asarray(view)), dtype=np.float32)[:, 0]
            for view, weight in views(pixels, second_view)
        ]
        parts.append(np.sum(looks, axis=0, dtype=np.float32))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def views(pixels: Any, second_view: int) -> list[tuple[Any, float]]:
    """What a classifier looks at, and how much each look's answer counts.

    Args:
        pixels: float32 (n, s, s, channels).
        second_view: see `tflite.sidecar.Sidecar`.
    """
    if not second_view:
        return [(pixels, 1.0)]
    shares = [weight / sum(VIEW_WEIGHTS) for weight in VIEW_WEIGHTS]
    return list(zip([pixels, blurred(pixels, second_view)], shares, strict=True))


def blurred(pixels: Any, window: int) -> Any:
    """Each pixel the mean of those within a square window around it; beyond the tile all is grey (128).

    Args:
        pixels: float32 (n, s, s, channels), raw.
        window: its side in pixels, from 2.
    """
    import keras

    blurred = pixels - GREY
    for shape in ((1, window), (window, 1)):
        weights = np.full((*shape, pixels.shape[-1], 1), 1 / window, np.float32)
        blurred = keras.ops.depthwise_conv(blurred, weights, strides=1, padding="same")
    return blurred + GREY


def map_logits(model: Any, images: np.ndarray) -> np.ndarray:
    """Maps of a Keras segmentation model: uint8 (n, s, s, 3) to float32 (n, s, s), a few tiles at a time."""
    found = np.empty(images.shape[:3], np.float32)
    for start in range(0, len(images), _MAP_BATCH):
        pixels = np.asarray(images[start : start + _MAP_BATCH], dtype=np.float32)
        found[start : start + len(pixels)] = np.asarray(model.predict_on_batch(pixels))[..., 0]
    return found
