"""Smaller .keras files for the zoo: weights rounded to 10 significant bits, then compressed.

The numbers stay float32, so nothing that loads the file changes; their zero bits compress to less than half. The int8 model was made
from the weights before rounding; the float model is there to be explained and fine-tuned.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import ModelFileError
from tflite.files import atomic_path

WEIGHTS = "model.weights.h5"  # Keras's name inside a .keras file
_SPARE = 14  # of float32's 24 significant bits
_DATE = (1980, 1, 1, 0, 0, 0)  # the same weights give the same bytes


def round_bits(values: np.ndarray) -> np.ndarray:
    """float32 numbers to the nearest with 10 significant bits, ties away from zero: float32 of the same shape.

    Args:
        values: float32, finite.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    half, kept = np.uint32(1 << (_SPARE - 1)), np.uint32(0xFFFFFFFF << _SPARE & 0xFFFFFFFF)
    return ((bits + half) & kept).view(np.float32)


def round_keras(source: Path, target: Path) -> None:
    """Write a rounded, compressed copy of a `.keras` file, atomically.

    Raises:
        ModelFileError: if it is not a `.keras` file.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        entries[WEIGHTS] = _rounded_h5(entries[WEIGHTS])
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ModelFileError(
            f"{source} is not a whole .keras model ({type(error).__name__}: {str(error)[:200]})."
        ) from None
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)


def _rounded_h5(data: bytes) -> bytes:
    import h5py

    result = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as old, h5py.File(result, "w", track_order=False) as new:

        def copy(name: str, node: Any) -> None:
            if isinstance(node, h5py.Group):
                made = new.require_group(name)
            else:
                values = node[()]
                numbers = node.dtype == np.float32
                # Bytes of equal weight side by side compress better; a single number cannot be cut into chunks.
                packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if node.shape else {}
                made = new.create_dataset(name, data=round_bits(values) if numbers else values, **packed)
            made.attrs.update(node.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return result.getvalue()
