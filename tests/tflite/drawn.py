"""Photographs to try decoders on: rough everywhere, as concrete is, and the same each time."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def rough(height: int = 160, width: int = 200, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3), at several scales, nowhere black."""
    random = np.random.default_rng(seed)
    grey = np.full((height, width), 130.0)
    for size in (2, 5, 12, 40):
        coarse = random.integers(0, 256, (-(-height // size) + 1, -(-width // size) + 1), np.uint8)
        shape = (coarse.shape[1] * size, coarse.shape[0] * size)
        grey += (
            np.asarray(Image.fromarray(coarse).resize(shape, Image.Resampling.BILINEAR), np.float32)[:height, :width]
            / 5
            - 25
        )
    tint = np.array([1.0, 0.97, 0.9])
    return np.clip(grey[..., None] * tint + random.normal(0, 3, (height, width, 1)), 20, 255).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


def zeroed(data: bytes, start: int, length: int) -> bytes:
    """The same file with zeros in place of some bytes."""
    end = min(len(data), start + length)
    return data[:start] + bytes(end - start) + data[end:]
