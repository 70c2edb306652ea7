"""What cameras do to colours and edges, drawn into training tiles: colour casts, grey pictures, and blur.

Cracks of one data set share a camera. A model that has seen other colours and other sharpness does not learn the camera instead.
Like all augmentation, numbers are drawn in numpy and applied by Keras.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

NUMBERS = (
    5  # per tile: gains of red, green and blue, what is left of the colours, and the weight of the blurred picture
)
CAST = 0.12  # standard deviation of the logarithm of a channel's gain
_GREY = 0.3  # of the tiles with a camera's changes, the share without any colour
_BLUR = (3, 7)  # sides of the two box filters, one after the other: close to a Gaussian of 2.3 pixels


def draw_camera(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Numbers of `count` tiles: float32 (count, NUMBERS).

    Args:
        count: of tiles.
        share: of the tiles that get a colour cast; as many get blur, and a third as many lose their colour.
        rng: draws them.
    """
    gains = np.exp(rng.normal(0, CAST, (count, 3)))
    gains[rng.uniform(size=count) >= share] = 1.0
    colour = np.where(rng.uniform(size=count) < share * _GREY, 0.0, 1.0)
    blur = np.where(rng.uniform(size=count) < share, rng.uniform(0, 1, count), 0.0)
    return np.column_stack([gains, colour, blur]).astype(np.float32)


def through_camera(images: Any, numbers: Any) -> Any:
    """Photograph tiles with another camera.

    Args:
        images: float32 (n, s, s, 3), pixels 0..255.
        numbers: float32 (n, NUMBERS) from `draw_camera`.

    Returns:
        float32 (n, s, s, 3), pixels 0..255.
    """
    ops = keras.ops
    blurred = images
    for side in _BLUR:
        blurred = ops.average_pool(blurred, side, strides=1, padding="same")
    weight = ops.reshape(numbers[:, 4], (-1, 1, 1, 1))
    images = images + weight * (blurred - images)
    grey = ops.mean(images, axis=-1, keepdims=True)
    images = grey + ops.reshape(numbers[:, 3], (-1, 1, 1, 1)) * (images - grey)
    return ops.clip(images * ops.reshape(numbers[:, :3], (-1, 1, 1, 3)), 0, 255)
