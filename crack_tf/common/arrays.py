"""Arrays as files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from tflite.files import write_bytes


def write_npy(path: str | Path, array: np.ndarray) -> None:
    """Write an array to a `.npy` file atomically; by way of memory, since numpy does not say of a full disk that it is full."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())
