"""Where in the tile the values of a convolution's map lie: the centres of what they can see.

A map stretched over the tile is off by up to half a stride wherever padding is not the same on both sides, as it is for every 3x3
convolution of stride 2 on an even number of pixels: MobileNetV2's last map would lie 15 pixels too far to the upper left.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def map_places(model: Any, layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the receptive fields of a layer's output.

    Args:
        model: functional Keras model of one input (n, s, s, 3).
        layer: of that model, with output (n, h, w, c).

    Returns:
        Rows (h,) and columns (w,), float64, in pixels of the tile; the first pixel's centre is 0.
    """
    path = [layer]
    producers = {id(one.output): one for one in model.layers}
    while path[-1].output is not model.input:
        # Branches that are added or joined again cover the same places, so any of them will do.
        path.append(producers[id(_first(path[-1].input))])
    axes = []
    for axis in (0, 1):
        start, stride = 0.0, 1
        for one in reversed(path):
            shift, step = _geometry(one, axis)
            start, stride = start + shift * stride, stride * step
        axes.append(start + stride * np.arange(layer.output.shape[axis + 1]))
    return axes[0], axes[1]


def _geometry(layer: Any, axis: int) -> tuple[float, int]:
    """Centre of the first output in pixels of the layer's own input, and the step from one output to the next."""
    if type(layer).__name__ == "ZeroPadding2D":
        return -float(layer.padding[axis][0]), 1
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if not isinstance(size, tuple) or len(size) != 2:
        return 0.0, 1
    step = layer.strides[axis]
    reach = (size[axis] - 1) * getattr(layer, "dilation_rate", (1, 1))[axis]
    before = 0
    if layer.padding == "same":
        length = _first(layer.input).shape[axis + 1]
        before = max((math.ceil(length / step) - 1) * step + reach + 1 - length, 0) // 2
    return reach / 2 - before, step


def _first(tensors: Any) -> Any:
    return tensors[0] if isinstance(tensors, (list, tuple)) else tensors
