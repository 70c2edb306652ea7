"""What one image file is: read once, hashed, measured, and shrunk to the thumbnail that copies are found by."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.data.duplicates import THUMBNAIL
from tflite.errors import ImageError
from tflite.files import sha256_bytes
from tflite.formats import FORMATS, HEAD, recognise
from tflite.images import decode_rgb


@dataclass(frozen=True)
class Record:
    """What one file is.

    Attributes:
        path: relative to the audited folder, with "/".
        label: 0 clean, 1 cracked.
        size: in bytes.
        sha256: of the bytes; empty when the file cannot be opened.
        width, height: in pixels after EXIF rotation; 0 when unreadable.
        mode, format: Pillow's names before conversion to RGB; empty when unreadable.
        brightness: mean grey level, 0 to 255.
        error: why it cannot be used, or empty.
    """

    path: str
    label: int
    size: int
    sha256: str
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    brightness: float = 0.0
    error: str = ""


def read_record(folder: Path, path: str, label: int) -> tuple[Record, np.ndarray | None]:
    """One file's record and its grey thumbnail, uint8 (64, 64); None when it is unreadable."""
    record, grey = read_grey(folder, path, label)
    return record, None if grey is None else grey_thumbnail(grey)


def read_grey(folder: Path, path: str, label: int) -> tuple[Record, Image.Image | None]:
    """One file's record and its pixels as a grey image, upright; None when it is unreadable."""
    try:
        data = (folder / path).read_bytes()
    except OSError as error:
        return Record(path, label, 0, "", error=f"cannot be opened: {error.strerror}"), None
    digest = sha256_bytes(data)
    try:
        pixels = decode_rgb(data, path)
        mode, kind = "RGB", recognise(data[:HEAD]) or ""
        if kind in FORMATS:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                mode, kind = image.mode, image.format or ""
    except ImageError as error:
        return Record(path, label, len(data), digest, error=str(error)), None
    grey = Image.fromarray(pixels).convert("L")
    height, width = pixels.shape[:2]
    brightness = round(float(np.asarray(grey).mean()), 2)
    return Record(path, label, len(data), digest, width, height, mode, kind, brightness), grey


def grey_thumbnail(grey: Image.Image) -> np.ndarray:
    """uint8 (64, 64) of a grey image; a mirrored image gives the mirrored thumbnail.

    Bilinear because its weights are symmetric: Pillow's box filter gives a pixel on a border to one side only, which
    spoils the detail of mirrored tiles less than some 150 pixels wide.
    """
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))
