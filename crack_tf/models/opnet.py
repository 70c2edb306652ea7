"""OPNet: the classification study's own small network, four plain convolution blocks.

Each block is [Conv 3x3 'same' with bias, BatchNorm, ReLU, MaxPool 2x2]; then global average pooling, dropout and one linear
unit. 389,633 trainable parameters and 740 M multiply-adds at 224 pixels as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crack_tf.models.heads import logit_head
from crack_tf.models.layers import pixel_input
from crack_tf.models.space import Choice, Space

SPACE: Space = {
    "image_size": Choice((64, 96, 128, 160, 224), 224),
    "widths": Choice(
        ((16, 32, 64), (8, 16, 32, 64), (16, 32, 64, 128), (32, 64, 128, 256), (16, 32, 64, 128, 256)),
        (32, 64, 128, 256),
        least=1,
    ),
    "dropout": Choice((0.0, 0.2, 0.5), 0.5, below=1),
}


def build(
    keras: Any,
    *,
    image_size: int = 224,
    raw_pixels: bool = True,
    widths: Sequence[int] = (32, 64, 128, 256),
    dropout: float = 0.5,
    bn_momentum: float = 0.9,
) -> Any:
    """Build OPNet.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels; each block halves it.
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        widths: filters of each block.
        dropout: share of pooled features dropped in training.
        bn_momentum: of the running statistics; 0.9 is PyTorch's default, which the study used.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to a float32 (batch, 1) logit.
    """
    inputs, x = pixel_input(keras, image_size, raw_pixels)
    for number, width in enumerate(widths, start=1):
        # Convolution, normalisation, ReLU, in this order: batch-norm then folds into the convolution's weights.
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(momentum=bn_momentum, name=f"bn{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, logit_head(keras, x, dropout), name="opnet")
