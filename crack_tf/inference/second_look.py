"""Whether a photograph shows a crack: a few tiles that are called cracked are looked at again before the whole photograph is.

A photograph has dozens of tiles, so a tile in a hundred that is wrong calls every other photograph cracked. What is wrong is mostly an
edge or a joint that a tile's border cut so that it looks like a crack. So where up to `FEW` tiles are called cracked, squares moved by a
quarter of a tile, and larger ones, show each with other surroundings; the mean of their logits says whether it stays. A crack has more
tiles than that, or is still one in other squares. Single tiles' answers stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from tflite.device.tiles import Box

FEW = 4  # tiles; more of them are believed
BELOW = 0.2  # logits below the threshold that the mean may lie: a crack is no longer in the middle of every square
_SIDES = (1.5, 2.0)  # of the larger squares, in tiles
DOUBTED = "called cracked on few tiles, and on none of them when seen again with other surroundings"


class Answer(Protocol):
    """A tile's answer; `crack_tf.inference.tiles.Tile` is one."""

    @property
    def box(self) -> Box: ...

    @property
    def logit(self) -> float: ...

    @property
    def crack(self) -> bool: ...


Score = Callable[[np.ndarray, Sequence[Box]], Sequence[Answer]]


def is_doubted(image: np.ndarray, tiles: Sequence[Answer], score: Score, threshold_logit: float) -> bool:
    """Whether none of a photograph's few cracked tiles is one when it is seen again.

    Args:
        image: uint8 (height, width, 3).
        tiles: all answers about it.
        score: gives the model's answers about boxes of it.
        threshold_logit: of the model.

    Returns:
        False also where no tile is called cracked, or more than `FEW`, or one that is the whole photograph.
    """
    called = sorted((tile for tile in tiles if tile.crack), key=lambda tile: -tile.logit)
    shape = image.shape[:2]
    if not 0 < len(called) <= FEW or any((tile.box.h, tile.box.w) == shape for tile in called):
        return False
    for tile in called:
        seen = score(image, around(shape, tile.box))
        if float(np.mean([answer.logit for answer in seen])) >= threshold_logit - BELOW:
            return False
    return True


def around(shape: tuple[int, int], box: Box) -> list[Box]:
    """Squares that show a tile of a photograph (height, width) with other surroundings: four moved ones, and larger ones."""
    side = min(box.h, box.w)
    x, y, move = box.x + box.w // 2, box.y + box.h // 2, side // 4
    moved = [square(shape, x + dx, y + dy, side) for dy in (-move, move) for dx in (-move, move)]
    return moved + [square(shape, x, y, int(share * side)) for share in _SIDES]


def square(shape: tuple[int, int], x: int, y: int, side: int) -> Box:
    """A square around a place, moved and reduced as needed to lie inside a picture (height, width)."""
    height, width = shape
    side = min(side, height, width)
    return Box(int(np.clip(y - side // 2, 0, height - side)), int(np.clip(x - side // 2, 0, width - side)), side, side)
