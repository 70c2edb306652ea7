"""EfficientNet-Lite0 (Tan and Le, ICML 2019, table 1; the Lite variant of TensorFlow's TPU models) with a crack head.

EfficientNet-B0 made fit for int8: no squeeze-and-excitation, ReLU6 for swish. The stem has 32 and the head 1280 filters, whatever the
width; first and last stage are not repeated, whatever the depth. 3,413,024 parameters without the top, and 383.9 M multiply-adds at
224 pixels. Keras has no weights for it; `load_pretrained` reads those of the public PyTorch port.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.archives import check_zip
from crack_tf.models.heads import HEAD_LAYERS, logit_head
from crack_tf.models.layers import PIXEL_OFFSET, pixel_input
from crack_tf.models.space import Choice, Space
from tflite.errors import CrackError, first_line

# Expansion, filters, repeats, stride of the first, side of the kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
BLOCKS = sum(stage[2] for stage in STAGES)
STEM, HEAD = 32, 1280
EPSILON = 1e-3  # of every batch normalisation, as in TensorFlow's model
# The published weights expect (pixel - 127) / 128.
_PIXEL_MEAN, _PIXEL_STD = 127, 128
_WEIGHTS_BYTES = 10**8  # more than the published weights in float32, several times over

SPACE: Space = {
    "image_size": Choice((96, 128, 160, 224), 224),
    "unfreeze_blocks": Choice((0, 4, 8, BLOCKS), BLOCKS),
    "dropout": Choice((0.0, 0.2, 0.5), 0.2, below=1),
}


def build(
    keras: Any,
    *,
    image_size: int = 224,
    raw_pixels: bool = True,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
) -> Any:
    """Build EfficientNet-Lite0 with untrained weights; `load_pretrained` fills the backbone.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels, at least 32.
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        width: multiplier of the blocks' filters; weights exist for 1.
        depth: multiplier of the stages' repeats; weights exist for 1.
        dropout: share of pooled features dropped in training.
        bn_momentum: of the running statistics, see `crack_tf.models.mobilenet_v2.build`.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to a float32 (batch, 1) logit.

    Raises:
        ValueError: if a multiplier is not above 0.
    """
    if not width > 0 or not depth > 0:
        raise ValueError(f"width {width} and depth {depth} must be above 0")
    layers = keras.layers

    def normalise(x: Any, name: str, active: bool = True) -> Any:
        x = layers.BatchNormalization(momentum=bn_momentum, epsilon=EPSILON, name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x

    def convolve(x: Any, filters: int, kernel: int, strides: int, name: str, active: bool = True) -> Any:
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, name=name)(x)
        return normalise(x, name, active)

    inputs, x = pixel_input(keras, image_size, raw_pixels)
    x = convolve(x, STEM, 3, 2, "stem")
    number = 0
    for stage, (expansion, published, repeats, stride, kernel) in enumerate(STAGES):
        filters = _rounded(published * width)
        if stage not in (0, len(STAGES) - 1):
            repeats = math.ceil(repeats * depth)
        for repeat in range(repeats):
            name, before, entering = f"block{number}", x, int(x.shape[-1])
            step = stride if repeat == 0 else 1
            if expansion > 1:
                x = convolve(x, entering * expansion, 1, 1, f"{name}_expand")
            x = layers.DepthwiseConv2D(kernel, step, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
            x = normalise(x, f"{name}_depthwise")
            x = convolve(x, filters, 1, 1, f"{name}_project", active=False)
            if step == 1 and entering == filters:
                x = layers.Add(name=f"{name}_add")([before, x])
            number += 1
    x = convolve(x, HEAD, 1, 1, "head")
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, logit_head(keras, x, dropout), name="efficientnet_lite0")


def load_pretrained(
    keras: Any, model: Any, source: str, *, image_size: int, width: float = 1.0, depth: float = 1.0, **_: Any
) -> None:
    """Copy the backbone's weights from a .npz file; the head keeps its own.

    The arrays are named as in the public PyTorch port, convolutions (out, in, h, w): `_conv_stem.weight`, `_bn0.running_mean`,
    `_blocks.3._depthwise_conv.weight`, `_conv_head.weight`. The classifier `_fc` is passed over. The published network takes
    (pixel - 127) / 128, this one pixel / 128 - 1: what is between them goes into the mean of the stem's normalisation, exactly but
    at the picture's edge, where padding differs by 1/128.

    Args:
        keras: the Keras namespace the model was built with.
        model: from `build`.
        source: path of the file. "imagenet" is refused: Keras has no such weights.
        image_size: side of the input in pixels; any fits.
        width, depth: of the model.

    Raises:
        CrackError: if the file cannot be read, lacks an array, holds one of another shape or numbers that are not finite, or the
            model has another width or depth.
    """
    if source == "imagenet":
        raise CrackError(
            "--weights imagenet: Keras cannot download weights of efficientnet_lite0. Give a .npz of the PyTorch port's arrays, or 'none'."
        )
    if not Path(source).is_file():
        raise CrackError(f"--weights {source!r}: no such file. Give a .npz of the PyTorch port's arrays, or 'none'.")
    if (width, depth) != (1.0, 1.0):
        raise CrackError(
            f"--weights {source!r}: weights are for width 1 and depth 1, the model has {width} and {depth}."
        )
    arrays = _read(source)
    try:
        weights = {layer: _arrays(layer, port, arrays) for layer, port in _names()}
        own = model.get_layer("stem").get_weights()[0].shape
        stem = weights["stem"][0]
        if stem.shape != own:
            raise ValueError(f"_conv_stem.weight has shape {stem.shape}, expected {own} as (h, w, in, out)")
        # The published pixels lie this much above ours, so its stem answers as much more as it does to a flat picture of that.
        difference = -PIXEL_OFFSET - _PIXEL_MEAN / _PIXEL_STD
        gamma, beta, mean, variance = weights["stem_bn"]
        weights["stem_bn"] = [gamma, beta, mean - difference * stem.sum(axis=(0, 1, 2)), variance]
        for name, values in weights.items():
            model.get_layer(name).set_weights(values)
    except (KeyError, ValueError) as error:
        raise CrackError(
            f"--weights {source!r} does not fit EfficientNet-Lite0 ({first_line(error, 200)}). Give a .npz of the PyTorch port's arrays."
        ) from None


def set_trainable(model: Any, blocks: int) -> None:
    """Freeze the backbone but for its last `blocks` blocks; the head always trains.

    Args:
        model: from `build`.
        blocks: 0 trains the head alone, 16 the whole network with its stem.
    """
    count = 1 + max(_block_of(layer.name) for layer in model.layers if layer.name.startswith("block"))
    first = count - blocks
    for layer in model.layers:
        own = layer.name.startswith(HEAD_LAYERS)
        behind = layer.name.startswith("head") or _block_of(layer.name) >= first
        layer.trainable = blocks >= BLOCKS or own or (blocks > 0 and behind)


def _block_of(name: str) -> int:
    """Number of the block that a layer belongs to, -1 for one outside."""
    return int(name.partition("_")[0].removeprefix("block")) if name.startswith("block") else -1


def _rounded(filters: float) -> int:
    """The nearest multiple of 8, never more than a tenth below."""
    near = max(8, int(filters + 4) // 8 * 8)
    return near + 8 if near < 0.9 * filters else near


def _names() -> list[tuple[str, str]]:
    """Layer names here and what the arrays of each are called there."""
    names = [("stem", "_conv_stem"), ("stem_bn", "_bn0"), ("head", "_conv_head"), ("head_bn", "_bn1")]
    number = 0
    for expansion, _, repeats, _, _ in STAGES:
        for _ in range(repeats):
            parts = [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
            if expansion > 1:
                parts.insert(0, ("expand", "_expand_conv", "_bn0"))
            for part, convolution, norm in parts:
                names.append((f"block{number}_{part}", f"_blocks.{number}.{convolution}"))
                names.append((f"block{number}_{part}_bn", f"_blocks.{number}.{norm}"))
            number += 1
    return names


def _arrays(layer: str, port: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A layer's weights in Keras's order and layout.

    Raises:
        KeyError: if an array is missing.
        ValueError: if one has other axes, or holds a number that is not finite.
    """
    parts = ("weight", "bias", "running_mean", "running_var") if layer.endswith("_bn") else ("weight",)
    found = [np.asarray(arrays[f"{port}.{part}"], np.float32) for part in parts]
    if not all(np.isfinite(values).all() for values in found):
        raise ValueError(f"{port} holds numbers that are not finite")
    if layer.endswith("_bn"):
        return found
    # (out, in, h, w) to (h, w, in, out); of a depthwise convolution (channels, 1, h, w) to (h, w, channels, 1).
    return [found[0].transpose(2, 3, 0, 1) if layer.endswith("depthwise") else found[0].transpose(2, 3, 1, 0)]


def _read(source: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(source) as archive:
            check_zip(archive, _WEIGHTS_BYTES)
        with np.load(source, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # on a damaged file numpy and zipfile raise their own kinds
        raise CrackError(
            f"--weights {source!r} cannot be read ({first_line(error, 200)}). Give a .npz of the PyTorch port's arrays."
        ) from None
