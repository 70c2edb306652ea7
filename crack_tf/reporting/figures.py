"""The pictures of an executed notebook as small PNG files, for documents.

A picture is named after the notebook's number and its description, the `alt` of IPython's Image: a report that is made again gives
the same names. One without a description is left out.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tflite.errors import CrackError
from tflite.files import atomic_path
from tflite.outputs import Output, check_file

MOST_BYTES = 150_000
WIDEST = 1200  # pixels: what a document shows
_COLOURS = 256
_SHRINK = 0.9  # at least, at a time


def _is_shrunk(path: Path) -> bool:
    """Whether a picture is one that `shrink` may have made."""
    with Image.open(path, formats=("PNG",)) as picture:
        return picture.mode == "P" and picture.width <= WIDEST and path.stat().st_size <= MOST_BYTES


OUTPUT = Output("crack-tf report --figures", _is_shrunk)


def write_figures(document: Any, folder: Path, number: str, words: Sequence[str], overwrite: bool) -> list[Path]:
    """Write the pictures of a notebook, each at most 150 kB.

    Args:
        document: executed notebook, an nbformat node.
        folder: to write to; created when missing.
        number: of the notebook, such as "02".
        words: a picture is written when its description holds one of these; empty for all.
        overwrite: replace files.

    Returns:
        The files.

    Raises:
        CrackError: if a file exists and may not be replaced, or no description holds a given word.
    """
    found = list(pictures(document))
    for word in words:
        if not any(word in alt for alt, _ in found):
            raise CrackError(
                f"--pick {word!r}: no picture of that name; there are {', '.join(alt for alt, _ in found)}."
            )
    chosen = {
        folder / f"{number}-{slug(alt)}.png": data
        for alt, data in found
        if not words or any(word in alt for word in words)
    }
    for path in chosen:
        check_file(path, OUTPUT, overwrite)
    for path, data in chosen.items():
        content = shrink(data)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return list(chosen)


def pictures(document: Any) -> Iterator[tuple[str, bytes]]:
    """Description and content, PNG or JPEG, of every picture with a description, in the notebook's order."""
    for cell in document.cells:
        for output in cell.get("outputs", ()):
            for kind in ("image/png", "image/jpeg"):
                alt = output.get("metadata", {}).get(kind, {}).get("alt")
                if alt and kind in output.get("data", {}):
                    yield alt, base64.b64decode(output["data"][kind])


def shrink(data: bytes) -> bytes:
    """A picture as PNG of at most 256 colours, 1200 pixels across and 150 kB; made smaller until it is."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    factor = min(1.0, WIDEST / picture.width)
    while True:
        size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
        small = picture if factor == 1 else picture.resize(size, Image.Resampling.LANCZOS)
        content = io.BytesIO()
        small.quantize(_COLOURS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        if content.tell() <= MOST_BYTES or min(size) <= 1:
            return content.getvalue()
        factor *= min(_SHRINK, math.sqrt(MOST_BYTES / content.tell()))


def slug(text: str) -> str:
    """Text as a file's name: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")
