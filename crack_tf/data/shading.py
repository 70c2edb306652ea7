"""Shadows and stains drawn into training tiles, so that a model learns that a dark edge alone is no crack.

Like all augmentation, numbers are drawn in numpy and applied by Keras: a light map per tile, by which its pixels are multiplied.
The texture under it stays, as it does under a real shadow or on damp concrete.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

WAVES = 4
NUMBERS = 7 + 3 * WAVES  # per tile: light, direction (2), place, sharpness; light, level; and the waves of the stain
LIGHT = (0.25, 0.9)  # left in a shadow or on a stain
SOFTNESS = (1.0, 16.0)  # pixels over which an edge runs, from sharp sunlight to a cloudy day's
CYCLES = (0.5, 4.0)  # of a stain's waves, per tile


def draw_shading(count: int, size: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Numbers of `count` tiles: float32 (count, NUMBERS).

    Args:
        count: of tiles.
        size: side of a tile in pixels.
        share: of the tiles that get a shadow; as many get a stain, drawn apart.
        rng: draws them.
    """
    angle, place = rng.uniform(0, 2 * np.pi, count), rng.uniform(-0.4, 0.4, count)
    shadow = [_light(count, share, rng), np.cos(angle), np.sin(angle), place, _sharpness(count, size, rng)]
    stain = [_light(count, share, rng), rng.uniform(-0.5, 1.5, count)]
    for _ in range(WAVES):
        angle, cycles = rng.uniform(0, 2 * np.pi, count), rng.uniform(*CYCLES, count)
        stain += [cycles * np.cos(angle), cycles * np.sin(angle), rng.uniform(0, 1, count)]
    return np.stack([*shadow, *stain], axis=1).astype(np.float32)


def shade(images: Any, numbers: Any) -> Any:
    """Multiply tiles by their light maps.

    Args:
        images: float32 (n, s, s, 3).
        numbers: float32 (n, NUMBERS) from `draw_shading`.

    Returns:
        float32 (n, s, s, 3).
    """
    ops = keras.ops
    size = images.shape[1]
    along = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    x, y = along[None, None, :, None], along[None, :, None, None]

    def number(index: int) -> Any:
        return ops.reshape(numbers[:, index], (-1, 1, 1, 1))

    light, across_x, across_y, place, sharpness = (number(index) for index in range(5))
    lit = ops.sigmoid((x * across_x + y * across_y - place) * sharpness)
    images = images * (light + (1 - light) * lit)
    light, level = number(5), number(6)
    waves = -level
    for first in range(7, NUMBERS, 3):
        cycles_x, cycles_y, phase = (number(first + index) for index in range(3))
        waves = waves + ops.cos(2 * np.pi * (x * cycles_x + y * cycles_y + phase))
    # One wave in the middle of its slope rises by about 2 pi over a cycle: edges of stains are some times softer than shadows'.
    wet = ops.sigmoid(waves * sharpness / (2 * np.pi))
    return images * (1 - (1 - light) * wet)


def _light(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """What is left of the light; 1 where nothing is drawn."""
    drawn, light = rng.uniform(size=count) < share, rng.uniform(*LIGHT, count)
    return np.where(drawn, light, 1.0)


def _sharpness(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Slope of the edge for a sigmoid over shares of the side; it runs from 12 to 88 % over the softness."""
    sharpest, softest = SOFTNESS
    softness = sharpest * (softest / sharpest) ** rng.uniform(size=count)  # as many sharp ones as soft ones
    return np.asarray(4 * size / softness)
