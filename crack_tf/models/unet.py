"""U-Net (Ronneberger et al., MICCAI 2015): a logit for every pixel, with batch normalisation and a width made for small machines.

An encoder halves the side level by level; a decoder doubles it again and takes the encoder's map of the same size in, so that what
the deep levels recognise lands on the pixel the shallow ones saw. Defaults are the segmentation study's best run: six levels, 3x3
kernels, he_normal, LeakyReLU 0.375. It does not say how wide its levels were; 16 filters in the first trains on two cores.
"""

from __future__ import annotations

from typing import Any

from crack_tf.models.heads import logit_map
from crack_tf.models.layers import pixel_input, upsample
from crack_tf.models.space import Choice, Space

UPSAMPLING = ("nearest", "transposed")

SPACE: Space = {
    "image_size": Choice((128, 256), 256),
    "levels": Choice((5, 6, 7), 6, least=2),
    "kernel": Choice((3, 5), 3, least=1),
    "initializer": Choice(("he_normal", "he_uniform"), "he_normal"),
    "slope": Choice((0.0, 0.01, 0.1, 0.25, 0.375, 0.5), 0.375, below=1),
    "upsampling": Choice(UPSAMPLING, "nearest", closed=True),
    "width": Choice((4, 8, 12, 16), 16, least=1),
}


def build(
    keras: Any,
    *,
    image_size: int = 256,
    raw_pixels: bool = True,
    levels: int = 6,
    kernel: int = 3,
    initializer: str = "he_normal",
    slope: float = 0.375,
    upsampling: str = "nearest",
    width: int = 16,
    widest: int = 128,
    edge_tpu: bool = False,
    bn_momentum: float = 0.9,
) -> Any:
    """Build a U-Net.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels, a multiple of 2**(levels - 1).
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        levels: resolutions, the input's and the bottleneck's included; at least 2.
        kernel: side of the convolutions.
        initializer: of their weights, a name Keras knows.
        slope: of the activation below zero; 0 is ReLU, else LeakyReLU.
        upsampling: "nearest" or "transposed" (a 2x2 convolution). The Edge TPU's compiler may leave a transposed one on the CPU.
        width: filters of the first level; level n has width * 2**(n - 1), at most `widest`.
        widest: most filters of a level.
        edge_tpu: write LeakyReLU as maximum(x, slope * x), which the Edge TPU has, where it has no LeakyReLU. The same function with
            the same weights; tfmot does not know it, so int8 is then by post-training quantisation.
        bn_momentum: of the running statistics.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to float32 (batch, image_size, image_size, 1) logits.

    Raises:
        ValueError: if an argument is none of its values, or the side cannot be halved that often.
    """
    check(levels=levels, upsampling=upsampling, slope=slope)
    if image_size % 2 ** (levels - 1):
        raise ValueError(f"image_size {image_size} with {levels} levels: give a multiple of {2 ** (levels - 1)}.")
    inputs, x = pixel_input(keras, image_size, raw_pixels)
    widths = [min(width * 2**level, widest) for level in range(levels)]

    def activation(x: Any, name: str) -> Any:
        if not slope:
            return keras.layers.ReLU(name=name)(x)
        if edge_tpu:
            return keras.layers.Maximum(name=name)([x, keras.layers.Rescaling(slope, name=f"{name}_slope")(x)])
        # The argument that sets the slope has another name in each namespace; the first position is the same in both.
        return keras.layers.LeakyReLU(slope, name=name)(x)

    def block(x: Any, filters: int, name: str) -> Any:
        for part in (f"{name}_1", f"{name}_2"):
            x = keras.layers.Conv2D(
                filters, kernel, padding="same", use_bias=False, kernel_initializer=initializer, name=part
            )(x)
            x = keras.layers.BatchNormalization(momentum=bn_momentum, name=f"{part}_bn")(x)
            x = activation(x, f"{part}_act")
        return x

    skips = []
    for level, filters in enumerate(widths[:-1], start=1):
        x = block(x, filters, f"down{level}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(name=f"pool{level}")(x)
    x = block(x, widths[-1], "bottom")
    for level in range(levels - 1, 0, -1):
        filters = widths[level - 1]
        if upsampling == "nearest":
            x = upsample(keras, x, f"up{level}_resize")
        else:
            transposed = keras.layers.Conv2DTranspose(
                filters, 2, strides=2, padding="same", kernel_initializer=initializer, name=f"up{level}_transposed"
            )
            x = transposed(x)
        x = keras.layers.Concatenate(name=f"up{level}_concat")([skips[level - 1], x])
        x = block(x, filters, f"up{level}")
    return keras.Model(inputs, logit_map(keras, x), name="unet")


def check(*, levels: int, upsampling: str, slope: float) -> None:
    """Refuse arguments that Keras would take, or refuse without naming them.

    Raises:
        ValueError: naming the argument and its values.
    """
    if levels < 2:
        raise ValueError(f"levels {levels}: give at least 2, such as 6.")
    if upsampling not in UPSAMPLING:
        raise ValueError(f"upsampling {upsampling!r}: choose one of {', '.join(UPSAMPLING)}.")
    if not 0 <= slope < 1:
        raise ValueError(f"slope {slope}: give a number from 0 (ReLU) to below 1.")
