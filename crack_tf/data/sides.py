"""How wide the tiles are that a classifier learns from, in their pictures' own pixels: the area to show it in a photograph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crack_tf.data.views import view_sides
from tflite.device.tiles import MIN_SIDE, tile_boxes
from tflite.errors import CrackError
from tflite.images import header_size
from tflite.manifest import Manifest

_PICTURES = 200  # whose headers are read; a median of more is the same but for a pixel or two


def usual_side(manifest: Manifest, seed: int = 0) -> int | None:
    """Median side in pixels of a classifier's training tiles before they are resized, by some pictures' headers.

    A picture that is seen whole counts with its shorter side, one with a mask with those of its views. None where no header can be
    read: cached tiles outlive their pictures.

    Args:
        manifest: with a training split.
        seed: of the draw.
    """
    try:
        folder = manifest.folder()
    except CrackError:
        return None
    items = manifest.split("train")
    chosen = np.random.default_rng(seed).permutation(len(items))[:_PICTURES]
    sides: list[int] = []
    for item in (items[int(number)] for number in chosen):
        size = header_size(folder / item.path)
        if size is not None:
            sides += _sides(*size) if item.mask else [min(size)]
    return max(MIN_SIDE, round(float(np.median(sides)))) if sides else None


def side_record(manifest: Manifest) -> dict[str, int]:
    """What a classifier's sidecar says under "training" about the side; nothing where it is not known."""
    side = usual_side(manifest)
    return {} if side is None else {"tile_side": side}


def _sides(width: int, height: int) -> Iterator[int]:
    """Side of each view of a picture with a mask."""
    for side in view_sides(width, height):
        yield from (box.w for box in tile_boxes(width, height, side))
