"""A segmentation .tflite file made by hand, without TensorFlow: dark pixels are crack. The sibling of `dark_model`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.dark_model import STEEPNESS, describe, one_operator
from tflite.files import write_bytes
from tflite.segmenter import golden_of
from tflite.sidecar import Sidecar, TensorSpec, golden_grid, golden_input

SIZE = 32
RADIUS = 1  # of the receptive field, pixels
SCALE, ZERO_POINT = 1 / 16, 128


def logits_of(photo: np.ndarray) -> np.ndarray:
    """What the model answers to a photograph of any size, before rounding to steps of 1/16: float (height, width).

    The mean over 3 x 3 pixels decides; outside the photograph lies mid-grey.
    """
    values = (128 - photo.astype(np.float64).mean(axis=2)) / 128
    padded = np.pad(values, RADIUS)
    height, width = values.shape
    rows = range(2 * RADIUS + 1)
    total = sum(padded[y : y + height, x : x + width] for y in rows for x in rows)
    return np.asarray(STEEPNESS * total / 9)


def write_map_model(path: Path, size: int = SIZE, **changes: Any) -> Sidecar:
    """Write the model and its sidecar.

    Args:
        path: of the .tflite file.
        size: side of its tiles in pixels.
        changes: other fields of the sidecar.
    """
    weight = STEEPNESS / (3 * (2 * RADIUS + 1) ** 2)
    tensors = [
        ("tile", [1, size, size, 3], "UINT8", 1 / 128, 128),
        ("weights", [1, 3, 3, 3], "UINT8", weight, 128),
        ("bias", [1], "INT32", weight / 128, 0),
        ("logits", [1, size, size, 1], "UINT8", SCALE, ZERO_POINT),
    ]
    same = {"padding": 0, "strideH": 1, "strideW": 1}
    write_bytes(path, one_operator("CONV_2D", "Conv2DOptions", same, tensors))
    answer = np.clip(np.round(logits_of(golden_input(size)) / SCALE) + ZERO_POINT, 0, 255)
    assert len(golden_grid(answer)) == 64
    fields = {
        "model": "dark_map",
        "image_size": size,
        "output": TensorSpec((1, size, size, 1), "uint8", SCALE, ZERO_POINT),
        "golden": replace(golden_of(answer), tolerance=2.0),
        "task": "segment",
    }
    return describe(path, fields | changes)


def dark_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Light noise crossed by one dark line 4 pixels wide, uint8 (height, width, 3)."""
    photo = np.random.default_rng(seed).integers(150, 230, (height, width, 1)).repeat(3, axis=2)
    row, column = np.ogrid[:height, :width]
    photo[np.abs(row - height / 2 - (column - width / 2) / 3) < 2] = 20
    return photo.astype(np.uint8)
