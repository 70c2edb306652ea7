"""The OPNet family made for small boards: a strided stem, strided blocks, depthwise-separable convolutions.

OPNet spends 90 % of its multiplications on full-size feature maps that it then pools away. Here every block begins with a stride
of 2 instead, and a 3x3 convolution is split into a depthwise and a pointwise one (Howard et al., MobileNets, 2017). What is left
of OPNet is its plan: plain blocks that halve the side and double the width, global average pooling, one linear unit.
"""

from __future__ import annotations

from typing import Any

from crack_tf.models.heads import logit_head
from crack_tf.models.layers import pixel_input
from crack_tf.models.space import Choice, Space

WIDEST = 256  # OPNet's own last width; wider pointwise layers cost much and bring nothing on tiles of one texture

SPACE: Space = {
    "image_size": Choice((64, 96, 128, 160), 128),
    "width": Choice((8, 12, 16, 24, 32), 16, least=1),
    "blocks": Choice((3, 4, 5), 4, least=1),
    "repeats": Choice((1, 2), 1, least=1),
    "separable": Choice((True, False), True),
    "stem_stride": Choice((1, 2), 2, least=1),
    "dropout": Choice((0.0, 0.2, 0.5), 0.2, below=1),
}

# small and base won the search on METU (`make metu-tune`, results/tuning: trials 0018 and 0019). nano is the search's knee, trial 0010,
# at three quarters of its width and one and a half times its side (`make nano`): smaller, with fewer errors, and slower.
VARIANTS: dict[str, dict[str, Any]] = {
    "nano": {"image_size": 96, "width": 9, "blocks": 3, "separable": False, "dropout": 0.2},
    "small": {
        "image_size": 96,
        "width": 8,
        "blocks": 5,
        "repeats": 2,
        "separable": False,
        "stem_stride": 1,
        "dropout": 0.5,
    },
    "base": {"image_size": 96, "width": 32, "blocks": 3, "repeats": 2, "stem_stride": 1, "dropout": 0.5},
}


def build(
    keras: Any,
    *,
    image_size: int = 128,
    raw_pixels: bool = True,
    width: int = 16,
    blocks: int = 4,
    repeats: int = 1,
    separable: bool = True,
    stem_stride: int = 2,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> Any:
    """Build a member of the family.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels.
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        width: filters of the stem; block n has width * 2**n, at most 256.
        blocks: how often the side is halved after the stem.
        repeats: convolutions per block; the first has the stride.
        separable: depthwise 3x3 then pointwise 1x1 instead of a full 3x3.
        stem_stride: 1 keeps the full resolution for the stem, 2 halves it.
        dropout: share of pooled features dropped in training.
        bn_momentum: of the running statistics.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to a float32 (batch, 1) logit.
    """
    inputs, x = pixel_input(keras, image_size, raw_pixels)

    def norm_relu(x: Any, name: str) -> Any:
        x = keras.layers.BatchNormalization(momentum=bn_momentum, name=f"{name}_bn")(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
        # No bias: batch-norm has one, and folds it into the convolution at conversion.
        layer = keras.layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)
        return norm_relu(layer(x), name)

    x = convolution(x, width, 3, stem_stride, "stem")
    for block in range(1, blocks + 1):
        filters = min(width * 2**block, WIDEST)
        for repeat in range(1, repeats + 1):
            name, stride = f"block{block}_{repeat}", 2 if repeat == 1 else 1
            if separable:
                depthwise = keras.layers.DepthwiseConv2D(
                    3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
                )
                x = norm_relu(depthwise(x), f"{name}_depthwise")
                x = convolution(x, filters, 1, 1, f"{name}_pointwise")
            else:
                x = convolution(x, filters, 3, stride, name)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, logit_head(keras, x, dropout), name="opnet_lite")
