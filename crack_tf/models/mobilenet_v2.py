"""MobileNetV2 (Sandler et al., CVPR 2018) with a crack head: the classification study's transfer-learning baseline.

Head: dropout 0.2 and one linear unit on the pooled features. With alpha 1.0: 2,225,153 trainable parameters and 299.53 M
multiply-adds at 224 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crack_tf.models.heads import HEAD_LAYERS, PEAK_SHARE, logit_head, logit_map
from crack_tf.models.keras_models import load_keras
from crack_tf.models.layers import pixel_input
from crack_tf.models.space import Choice, Space
from tflite.errors import CrackError, ModelFileError, first_line

_BACKBONE = ("Conv1", "bn_Conv1", "expanded_conv_", "block_", "Conv_1")  # what Keras calls its layers
CELLS = {16: "block_13_expand_relu", 32: "out_relu"}
BLOCKS = 17  # inverted residuals: expanded_conv (number 0) and block_1 ... block_16

SPACE: Space = {
    "image_size": Choice((96, 128, 160, 224), 224),
    "alpha": Choice((0.35, 0.5, 0.75, 1.0), 1.0),
    "unfreeze_blocks": Choice((0, 4, 8, BLOCKS), BLOCKS),
    "dropout": Choice((0.0, 0.2, 0.5), 0.2, below=1),
}


def build(
    keras: Any,
    *,
    image_size: int = 224,
    raw_pixels: bool = True,
    alpha: float = 1.0,
    dropout: float = 0.2,
    bn_momentum: float = 0.9,
    smooth: int = 1,
    early: int = 0,
    cells: int = 0,
) -> Any:
    """Build MobileNetV2 with untrained weights; `load_pretrained` fills the backbone.

    Args:
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels, at least 32.
        raw_pixels: see `crack_tf.models.layers.pixel_input`.
        alpha: width multiplier; ImageNet weights exist for 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4.
        dropout: share of pooled features dropped in training.
        bn_momentum: of the running statistics. Keras's own 0.999 needs thousands of steps to follow the weights, more
            than a fine-tune has; validation would then run on stale statistics.
        smooth: side in pixels of the square over which the input is averaged; 1 leaves it as it is.
        early: number of a block, from 1 to 16, whose expansion the head sees too, as mean and maximum over the picture; 0 for none.
        cells: 16 or 32, the pixels of a cell of a map whose highest logit counts beside the pooled features; 0 for none. Masks teach the
            map where in the tile the crack is (`crack-tf train --mask-weight`).

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to a float32 (batch, 1) logit.

    Raises:
        CrackError: if there are no cells of that size.
    """
    if cells and cells not in CELLS:
        raise CrackError(f"--hp cells={cells!r}: give 0, {' or '.join(map(str, CELLS))}.")
    inputs, x = pixel_input(keras, image_size, raw_pixels)
    if smooth > 1:
        x = keras.layers.AveragePooling2D(smooth, strides=1, padding="same", name="smooth")(x)
    backbone = keras.applications.MobileNetV2(input_tensor=x, alpha=alpha, include_top=False, weights=None)
    set_momentum(keras, backbone, bn_momentum)
    pool, highest = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D
    if not early and not cells:
        x = pool(name="features")(backbone.output)
        return keras.Model(inputs, logit_head(keras, x, dropout), name="mobilenet_v2")
    # A unit each, and their sum: in int8, weights and features of one unit share a scale, and these differ a hundredfold.
    parts = {"late": keras.layers.Dropout(dropout, name="dropout")(pool(name="features_late")(backbone.output))}
    if cells:
        layer = backbone.get_layer(CELLS[cells])
        parts["peak"] = highest(name="features_peak")(logit_map(keras, layer.output, f"cells_{cells}"))
    if early:
        fine = backbone.get_layer(f"block_{early}_expand_relu").output
        parts |= {"mean": pool(name="features_mean")(fine), "max": highest(name="features_max")(fine)}
    logits = []
    for name, part in parts.items():
        begins = keras.initializers.Constant(PEAK_SHARE) if name == "peak" else "glorot_uniform"
        unit = keras.layers.Dense(
            1, use_bias=name == "late", kernel_initializer=begins, dtype="float32", name=f"logit_{name}"
        )
        logits.append(unit(part))
    return keras.Model(inputs, keras.layers.Add(dtype="float32", name="logit")(logits), name="mobilenet_v2")


def set_momentum(keras: Any, backbone: Any, momentum: float) -> None:
    """Momentum of every batch normalisation's running statistics."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def load_pretrained(keras: Any, model: Any, source: str, *, image_size: int, alpha: float = 1.0, **_: Any) -> None:
    """Copy backbone weights into the layers of `model` that have the backbone's names; all others keep their own.

    Args:
        keras: the Keras namespace the model was built with.
        model: from `build`, or any model on the same backbone.
        source: "imagenet" (Keras's own download), a path of a `notop` weights file, or the `.keras` file of a model on this backbone.
        image_size: side of the input in pixels.
        alpha: width multiplier of the model.

    Raises:
        CrackError: if the weights cannot be had or do not fit the width.
    """
    if source != "imagenet" and not Path(source).is_file():
        problem = "a folder; name the model file in it" if Path(source).is_dir() else "no such file"
        raise CrackError(f"--weights {source!r}: {problem}. Give a weights file, a .keras file, 'imagenet' or 'none'.")
    if source.endswith(".keras"):
        try:
            backbone = load_keras(source)
        except ModelFileError as error:
            raise CrackError(f"--weights: {error}") from None
    else:
        backbone = _without_top(keras, source, image_size, alpha)
    given = {layer.name: layer.get_weights() for layer in backbone.layers if layer.weights}
    layers = [layer for layer in model.layers if layer.weights and layer.name.startswith(_BACKBONE)]
    missing = next((layer for layer in layers if not _fits(layer, given.get(layer.name))), None)
    if missing is not None:
        raise CrackError(
            f"--weights {source!r} does not fit MobileNetV2 with alpha {alpha}: its layer {missing.name} is another or not there. "
            "Give a model on the same backbone with the same alpha, or 'none' to train from scratch."
        )
    for layer in layers:
        layer.set_weights(given[layer.name])


def _without_top(keras: Any, source: str, image_size: int, alpha: float) -> Any:
    """Keras's own MobileNetV2 with its download or the weights of a file."""
    try:
        return keras.applications.MobileNetV2(
            input_shape=(image_size, image_size, 3), alpha=alpha, include_top=False, weights=source
        )
    except Exception as error:  # Keras raises bare Exception without a network, ValueError or OSError for a wrong file
        raise CrackError(
            f"--weights {source!r} cannot be loaded into MobileNetV2 with alpha {alpha} ({first_line(error, 200)}). "
            "Give a 'notop' weights file of the same alpha, or 'none' to train from scratch."
        ) from None


def _fits(layer: Any, weights: Sequence[Any] | None) -> bool:
    return weights is not None and [tuple(w.shape) for w in layer.weights] == [w.shape for w in weights]


def set_trainable(model: Any, blocks: int, head: tuple[str, ...] = HEAD_LAYERS) -> None:
    """Freeze the backbone but for its last `blocks` inverted residuals; the head always trains.

    Args:
        model: from `build`, or any model on the same backbone.
        blocks: 0 trains the head alone, 17 the whole network with its stem.
        head: what the names of the layers after the backbone begin with.
    """
    first = BLOCKS - blocks
    for layer in model.layers:
        own = layer.name.startswith(head)
        inside = blocks >= BLOCKS or own or (blocks > 0 and _block_of(layer.name) >= first)
        layer.trainable = inside and layer.name != "logit_peak"  # whose share stays


def _block_of(name: str) -> int:
    """Number of the inverted residual a layer belongs to: -1 for the stem, 17 for the last 1x1 convolution."""
    if name.startswith("block_"):
        return int(name.split("_")[1])
    if name.startswith("expanded_conv"):
        return 0
    return BLOCKS if name in ("Conv_1", "Conv_1_bn", "out_relu") else -1
