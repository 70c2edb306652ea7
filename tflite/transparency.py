"""Pixels that are not there: the transparent parts of an orthomosaic are no concrete. numpy and Pillow only.

Below transparent pixels there is any colour, often black, and its edge looks like a crack. So those pixels are filled with what
is around them before a model sees them, and tiles that consist of nothing else are not searched.

Programs that make mosaics call black transparent, and black is the middle of many a crack. So only what is about as large as
the ground around a mosaic counts: thin transparent lines inside are left as they are, and found as cracks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tflite.device.tiles import Box
from tflite.errors import ImageError

MIN_OPAQUE = 0.1  # of a tile; one with less is not searched
_SEEN = 128  # alpha from which a pixel counts
_BLOCK, _REACH = 32, 4  # pixels, wider than cracks are; blocks
_SHOWN = 128  # grey of transparent pixels in pictures for people
_EDGE = 2  # pixels beside transparent ones that may have been mixed with what is below them


def opaque_pixels(image: Image.Image) -> np.ndarray | None:
    """Which pixels of an image are there.

    Args:
        image: of any mode.

    Returns:
        bool (height, width), or None where all are.
    """
    if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
        return None
    try:
        alpha = image if image.mode == "RGBA" else image.convert("RGBA")
    except ValueError:  # a colour that is called transparent in a mode that Pillow does not convert with it
        return None
    return opaque_where(np.asarray(alpha.getchannel("A")) >= _SEEN)


def opaque_where(seen: np.ndarray) -> np.ndarray | None:
    """The same for pixels known to be there, less those at the edge of a large gap; None where there is no such gap.

    Args:
        seen: bool (height, width).
    """
    if not seen.all():
        seen = ~_large(~seen)
    if seen.all():
        return None
    for axis in (0, 1):
        narrow = seen.copy()
        for step in range(1, _EDGE + 1):
            before = [slice(None)] * 2
            after = [slice(None)] * 2
            before[axis], after[axis] = slice(None, -step), slice(step, None)
            narrow[tuple(before)] &= seen[tuple(after)]
            narrow[tuple(after)] &= seen[tuple(before)]
        seen = narrow
    return seen


def _large(gaps: np.ndarray) -> np.ndarray:
    """The gaps that fill a whole block of `_BLOCK` pixels somewhere, as far as they reach within `_REACH` blocks of it."""
    height, width = gaps.shape
    shape = -(-height // _BLOCK), -(-width // _BLOCK)
    beyond = (0, shape[0] * _BLOCK - height), (0, shape[1] * _BLOCK - width)
    empty, full = (
        np.pad(gaps, beyond, constant_values=value).reshape(shape[0], _BLOCK, shape[1], _BLOCK)
        for value in (False, True)
    )
    some, large = empty.any(axis=(1, 3)), full.all(axis=(1, 3))
    for _ in range(_REACH):
        around = np.pad(large, 1)
        for row in range(3):
            for column in range(3):
                large = large | (around[row : row + shape[0], column : column + shape[1]] & some)
    return gaps & large.repeat(_BLOCK, axis=0)[:height].repeat(_BLOCK, axis=1)[:, :width]


def fill(pixels: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """Pixels with the transparent ones made up from their surroundings: the same colours, and the same roughness at every scale.

    The picture is halved again and again, each pixel the mean of those that are there. Then each gap takes what the next smaller
    picture shows, and a difference to it that some opaque pixel has. A smooth filling would do away with the step, but the end of
    the texture would still be an edge; one mirrored at the edge has stripes.

    Args:
        pixels: uint8 (height, width, 3).
        opaque: bool (height, width), at least one True.
    """
    return _filled(pixels, opaque, np.random.default_rng(0))  # the same for the same picture


def missing_share(opaque: np.ndarray | None) -> float | None:
    """Share of a picture that is transparent, above 0 and at most 1; None where nothing is.

    Args:
        opaque: bool (height, width), or None for all.
    """
    return None if opaque is None else round(1 - float(opaque.mean()), 4)


def for_people(pixels: np.ndarray, opaque: np.ndarray | None) -> np.ndarray:
    """Pixels with the transparent ones flat grey: what was made up there looks like concrete that somebody photographed.

    Args:
        pixels: uint8 (height, width, 3).
        opaque: bool (height, width), or None for all.
    """
    return pixels if opaque is None else np.where(opaque[..., None], pixels, np.uint8(_SHOWN))


def _filled(pixels: np.ndarray, known: np.ndarray, random: np.random.Generator) -> np.ndarray:
    height, width = known.shape
    if max(height, width) == 1:
        return pixels
    even = height + height % 2, width + width % 2
    weight, weighted = np.zeros(even, np.uint16), np.zeros((*even, 3), np.uint16)
    weight[:height, :width] = known
    weighted[:height, :width] = pixels * known[..., None]
    count, total = (
        part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2] for part in (weight, weighted)
    )
    small = (total // np.maximum(count, 1)[..., None]).astype(np.uint8)
    if not count.all():
        small = _filled(small, count > 0, random)
    around = Image.fromarray(small).resize((even[1], even[0]), Image.Resampling.BILINEAR)
    smooth = np.asarray(around)[:height, :width].astype(np.int16)
    differences = pixels[known] - smooth[known]
    gaps = ~known
    drawn = differences[random.integers(0, len(differences), np.count_nonzero(gaps))]
    filled = pixels.copy()
    filled[gaps] = np.clip(smooth[gaps] + drawn, 0, 255)
    return filled


def boxes_with_pixels(boxes: Sequence[Box], opaque: np.ndarray | None, name: str) -> Sequence[Box]:
    """The tiles of which at least `MIN_OPAQUE` is there.

    Args:
        boxes: inside the picture.
        opaque: bool (height, width), or None for all.
        name: of the picture, for the error.

    Raises:
        ImageError: if there is none: nothing of the picture would be searched.
    """
    if opaque is None:
        return boxes
    shown = [box for box in boxes if opaque[box.y : box.y + box.h, box.x : box.x + box.w].mean() >= MIN_OPAQUE]
    if not shown:
        raise ImageError(
            f"{name} is transparent almost everywhere: no tile of it shows anything. Cut out what it shows."
        )
    return shown
