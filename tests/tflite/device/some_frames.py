"""Pictures, and what a source of frames is asked with."""

from __future__ import annotations

import io
import threading

import numpy as np
from PIL import Image

from tflite.device.frames import Progress, Source


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def encoded(seed: int = 0, format: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(seed)).save(out, format)
    return out.getvalue()


def progress(done: dict[str, int | None] | None = None, gaps: dict[str, int | None] | None = None) -> Progress:
    return Progress(done or {}, gaps or {}, 1, threading.Event())


def names(source: Source, known: Progress | None = None) -> list[str]:
    return [frame.name for frame in source.frames(known or progress())]
