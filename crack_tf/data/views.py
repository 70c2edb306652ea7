"""Views cut out of larger pictures, so that a classifier learns from photographs with masks as it does from tiles.

A view's label is what its mask says. Views with only a little crack at their edge are neither cracked nor clean, and left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tflite.device.tiles import tile_boxes
from tflite.manifest import Item, Manifest
from tflite.masks import load_mask

SIDE = 256  # of a close view, in the picture's pixels; tiles of the published sets have 227 to 256
_LEAST = 0.1  # crack pixels that make a view cracked, as a share of its side: a line a tenth of the view long
_MARGIN = 0.1  # of the side; what lies nearer to the edge may be lost when a training tile is turned


@dataclass(frozen=True)
class View:
    """What one tile shows.

    Attributes:
        item: the picture.
        label: 1 when a crack is in view.
        box: left, top and side of the view in the picture's pixels; None for the whole picture.
    """

    item: Item
    label: int
    box: tuple[int, int, int] | None = None


def views_of(manifest: Manifest, items: Sequence[Item]) -> list[View]:
    """The views of each item, in order: a small picture whole, a larger one whole (its largest squares) and in close views.

    Args:
        manifest: that the items are of.
        items: with a mask, or with a label alone: then every view of a clean picture is clean, and a cracked one is seen whole.

    Raises:
        CrackError: if a file is missing, changed or unreadable.
    """

    def views(item: Item) -> list[View]:
        if item.label and not item.mask:
            return [View(item, 1)]
        mask = load_mask(manifest, item)
        height, width = mask.shape
        found = []
        for side in view_sides(width, height):
            for box in tile_boxes(width, height, side):
                label = view_label(mask[box.y : box.y + side, box.x : box.x + side])
                if label is not None:
                    found.append(View(item, label, (box.x, box.y, side)))
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [view for some in pool.map(views, items) for view in some]


def view_sides(width: int, height: int) -> list[int]:
    """Sides in pixels of the views of a picture with a mask: close, and its largest squares."""
    return sorted({min(height, width), min(height, width, SIDE)})


def view_label(mask: np.ndarray) -> int | None:
    """1 when enough crack lies inside the view, 0 when there is none, None in between.

    Args:
        mask: bool (side, side).
    """
    if not mask.any():
        return 0
    side = len(mask)
    edge = round(_MARGIN * side)
    return 1 if mask[edge : side - edge, edge : side - edge].sum() >= _LEAST * side else None
