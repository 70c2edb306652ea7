"""HEIC, the photographs of telephones, where the optional package pillow-heif is installed (extra heic)."""

from __future__ import annotations

import io
from typing import Any

from tflite.errors import ImageError
from tflite.formats import FORMATS, advice
from tflite.sectors import SECTOR, zeroed_sectors


def open_heic(data: bytes, name: str) -> Any:
    """The photograph of a HEIC file, not yet decoded.

    Args:
        data: the file's bytes.
        name: what to call it in an error.

    Returns:
        pillow-heif's image: `size`, and `to_pillow()`, which decodes it upright.

    Raises:
        ImageError: if pillow-heif is not installed, or the file was zeroed.
        Exception: whatever pillow-heif raises on damaged files.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            f"{name} is HEIC, not an image in a supported format ({', '.join(FORMATS)}). {advice('HEIC')}"
        ) from None
    # The video codec inside repairs what it can, and has no checksum.
    if data.endswith(bytes(SECTOR)) or zeroed_sectors(data, 0, len(data)) is not None:
        raise ImageError(f"{name} is damaged or truncated (zeros instead of data). Copy it again from its source.")
    return pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
