"""Adverse conditions drawn into training tiles: shadows, stains, little light and sensor noise.

So a model learns that a dark edge alone is no crack, and to see cracks in the dark. Shadows and stains alone teach it to call less
a crack, in the dark too, where it must not. Like all augmentation, numbers are drawn in numpy and applied by Keras.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

WAVES = 4
_STAIN = 5  # a shadow's numbers come first: light, direction (2), place, and the sharpness of all edges
_CAMERA = _STAIN + 2 + 3 * WAVES  # a stain's: light, level, and its waves
NUMBERS = _CAMERA + 4  # per tile; the camera's: light, noise, and where in the grain the tile's begins (2)

LIGHT = (0.25, 0.9)  # left in a shadow or on a stain
SOFTNESS = (1.0, 16.0)  # pixels over which an edge runs, from sharp sunlight to a cloudy day's
CYCLES = (0.5, 4.0)  # of a stain's waves, per tile
DARK = (0.1, 0.9)  # left of the whole tile's light
NOISE = 45.0  # greatest standard deviation, in grey levels
_GRAIN = 512  # side of the noise that all tiles cut theirs from


def draw_adverse(count: int, size: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Numbers of `count` tiles: float32 (count, NUMBERS).

    Args:
        count: of tiles.
        size: side of a tile in pixels.
        share: of the tiles that get a shadow; as many get a stain, little light and noise, each drawn apart.
        rng: draws them.
    """
    angle, place = rng.uniform(0, 2 * np.pi, count), rng.uniform(-0.4, 0.4, count)
    shadow = [_some(count, share, LIGHT, 1.0, rng), np.cos(angle), np.sin(angle), place, _sharpness(count, size, rng)]
    stain = [_some(count, share, LIGHT, 1.0, rng), rng.uniform(-0.5, 1.5, count)]
    for _ in range(WAVES):
        angle, cycles = rng.uniform(0, 2 * np.pi, count), rng.uniform(*CYCLES, count)
        stain += [cycles * np.cos(angle), cycles * np.sin(angle), rng.uniform(0, 1, count)]
    noise = _some(count, share, (0, NOISE), 0.0, rng)
    camera = [_some(count, share, DARK, 1.0, rng), noise, *rng.integers(0, _GRAIN, (2, count))]
    return np.stack([*shadow, *stain, *camera], axis=1).astype(np.float32)


def spoil(images: Any, numbers: Any) -> Any:
    """Photograph tiles under the drawn conditions.

    Args:
        images: float32 (n, s, s, 3), pixels 0..255.
        numbers: float32 (n, NUMBERS) from `draw_adverse`.

    Returns:
        float32 (n, s, s, 3), pixels 0..255.
    """
    images = images * shadow_map(images.shape[1], numbers) * stain_map(images.shape[1], numbers)
    # The sensor's noise does not fade with the light: in the dark it weighs more.
    light, noise = _number(numbers, _CAMERA), _number(numbers, _CAMERA + 1)
    return keras.ops.clip(images * light + noise * _grain(images.shape[1], numbers), 0, 255)


def shadow_map(size: int, numbers: Any) -> Any:
    """What a straight-edged shadow leaves of the light: (n, size, size, 1). The texture under it stays, as under a real one."""
    x, y = _grid(size)
    light, across_x, across_y, place, sharpness = (_number(numbers, index) for index in range(_STAIN))
    return light + (1 - light) * keras.ops.sigmoid((x * across_x + y * across_y - place) * sharpness)


def stain_map(size: int, numbers: Any) -> Any:
    """Likewise for damp patches: where a sum of waves is above a level."""
    x, y = _grid(size)
    light, level, sharpness = (_number(numbers, index) for index in (_STAIN, _STAIN + 1, _STAIN - 1))
    waves = -level
    for first in range(_STAIN + 2, _CAMERA, 3):
        cycles_x, cycles_y, phase = (_number(numbers, first + index) for index in range(3))
        waves = waves + keras.ops.cos(2 * np.pi * (x * cycles_x + y * cycles_y + phase))
    # One wave in the middle of its slope rises by about 2 pi over a cycle: edges of stains are some times softer than shadows'.
    return 1 - (1 - light) * keras.ops.sigmoid(waves * sharpness / (2 * np.pi))


def _grain(size: int, numbers: Any) -> Any:
    """Standard normal noise (n, size, size, 3), cut from one sheet of it: drawn once, the same on every backend."""
    ops = keras.ops
    steps = np.arange(size, dtype=np.int32)
    corners = ops.cast(numbers[:, _CAMERA + 2 :], "int32")
    rows, columns = ((corners[:, axis, None] + steps) % _GRAIN for axis in (0, 1))
    return ops.take(_sheet(), rows[:, :, None] * _GRAIN + columns[:, None, :], axis=0)


@functools.cache
def _sheet() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((_GRAIN * _GRAIN, 3), dtype=np.float32)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y as shares of the side, from the middle."""
    along = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    return along[None, None, :, None], along[None, :, None, None]


def _number(numbers: Any, index: int) -> Any:
    return keras.ops.reshape(numbers[:, index], (-1, 1, 1, 1))


def _some(count: int, share: float, extent: tuple[float, float], none: float, rng: np.random.Generator) -> np.ndarray:
    """A condition's strength: within the extent on that share of the tiles, on the others what leaves them alone."""
    return np.where(rng.uniform(size=count) < share, rng.uniform(*extent, count), none)


def _sharpness(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Slope of the edge for a sigmoid over shares of the side; it runs from 12 to 88 % over the softness."""
    sharpest, softest = SOFTNESS
    softness = sharpest * (softest / sharpest) ** rng.uniform(size=count)  # as many sharp ones as soft ones
    return np.asarray(4 * size / softness)
