"""U-Net on a MobileNetV2 encoder (Sandler et al., CVPR 2018): small, fast, and it starts from ImageNet weights.

The encoder's bottlenecks (narrow, linear) are the skip connections. The decoder doubles the side five times; each stage narrows with a
1x1 convolution before it does, since what is done at full resolution decides how long training and inference take. MobileNetV2's first
convolution already halves the side, so a thin convolution at full resolution gives the last stage back the edges: cracks are often
three pixels wide. Every operator maps to the Edge TPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crack_tf.models import mobilenet_v2
from crack_tf.models.heads import logit_map
from crack_tf.models.layers import pixel_input, upsample
from crack_tf.models.space import Choice, Space

# Last layer of each resolution: strides 2, 4, 8 and 16; the encoder ends at stride 32, without MobileNetV2's 1280 features.
_SKIPS = ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add")
_END = "block_16_project_BN"
_DECODER = ("decoder", "detail", "logit")

SPACE: Space = {
    "image_size": Choice((128, 192, 256), 256),
    "alpha": Choice((0.35, 0.5, 0.75, 1.0), 1.0),
    "widths": Choice(((48, 32, 16, 8, 8), (96, 64, 32, 16, 8), (128, 96, 64, 32, 16)), (96, 64, 32, 16, 8), least=1),
    "detail": Choice((0, 4, 8, 16), 8),
    "unfreeze_blocks": Choice((0, 4, 8, mobilenet_v2.BLOCKS), mobilenet_v2.BLOCKS),
}


def build(
    keras: Any,
    *,
    image_size: int = 256,
    raw_pixels: bool = True,
    alpha: float = 1.0,
    widths: Sequence[int] = (96, 64, 32, 16, 8),
    detail: int = 8,
    bn_momentum: float = 0.9,
) -> Any:
    """Build the network with untrained weights; `crack_tf.models.mobilenet_v2.load_pretrained` fills the encoder.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels, a multiple of 32.
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        alpha: the encoder's width multiplier; ImageNet weights exist for 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4.
        widths: filters of the decoder at strides 16, 8, 4, 2 and 1.
        detail: filters of the convolution at full resolution; 0 leaves it out.
        bn_momentum: of the running statistics.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to float32 (batch, image_size, image_size, 1) logits.

    Raises:
        ValueError: if the side is no multiple of 32, or there are not five widths.
    """
    if image_size % 32:
        raise ValueError(f"image_size {image_size}: give a multiple of 32.")
    if len(widths) != 1 + len(_SKIPS):
        raise ValueError(f"widths {tuple(widths)}: give five, for strides 16, 8, 4, 2 and 1.")
    inputs, pixels = pixel_input(keras, image_size, raw_pixels)
    backbone = keras.applications.MobileNetV2(input_tensor=pixels, alpha=alpha, include_top=False, weights=None)
    mobilenet_v2.set_momentum(keras, backbone, bn_momentum)

    def convolution(x: Any, filters: int, kernel: int, name: str) -> Any:
        x = keras.layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)
        x = keras.layers.BatchNormalization(momentum=bn_momentum, name=f"{name}_bn")(x)
        return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)

    skips = [backbone.get_layer(name).output for name in reversed(_SKIPS)]
    if detail:
        skips.append(convolution(pixels, detail, 3, "detail"))
    x = backbone.get_layer(_END).output
    for number, filters in enumerate(widths):
        stage = f"decoder{len(widths) - number}"
        x = upsample(keras, convolution(x, filters, 1, f"{stage}_narrow"), f"{stage}_resize")
        if number < len(skips):
            x = keras.layers.Concatenate(name=f"{stage}_concat")([skips[number], x])
        x = convolution(x, filters, 3, stage)
    return keras.Model(inputs, logit_map(keras, x), name="unet_mobile")


def set_trainable(model: Any, blocks: int) -> None:
    """Freeze the encoder but for its last `blocks` inverted residuals; the decoder always trains.

    Args:
        model: from `build`.
        blocks: 0 trains the decoder alone, 17 the whole network.
    """
    mobilenet_v2.set_trainable(model, blocks, _DECODER)
