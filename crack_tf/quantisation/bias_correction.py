"""Post-training quantisation without its systematic error (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
Correction, ICCV 2019, section 4.2).

Rounding a convolution's weights to int8 shifts the mean of its outputs: activations behind a ReLU are positive, so the errors of the
weights do not cancel. Layer after layer the shifts add up. `unet_mobile`'s logits ended half a unit too low on some photographs and not
on others, which no threshold can mend. The shift is known beforehand, error of the weights x mean of the input, and is taken off the
bias, which costs nothing in the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_LEVELS = 127  # TensorFlow Lite's int8 weights run from -127 to 127, with a scale per output channel


def correct_bias(keras: Any, model: Any, calibration: np.ndarray, batch: int = 8) -> None:
    """Take the shift that int8 weights will cause off the biases, in place. Convolutions and depthwise ones; others are left alone.

    Args:
        keras: the Keras namespace the model was built with, Keras 3.
        model: without normalisation, taking float32 (b, s, s, 3) pixel / 128 - 1. Afterwards it is right with int8 weights only.
        calibration: uint8 (n, s, s, 3), n > 0; tiles that give the mean inputs.
        batch: tiles at a time.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [layer for layer in model.layers if isinstance(layer, kinds)]
    normalisations = {
        id(layer.input): layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    means = mean_inputs(keras, model, convolutions, calibration, batch)
    for layer, mean in zip(convolutions, means, strict=True):
        following = normalisations.get(id(layer.output))
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel, *bias = layer.get_weights()
        if following is not None:
            # Conversion folds the normalisation into the weights before it rounds them.
            gamma, beta, centre, variance = following.get_weights()
            factor = gamma / np.sqrt(variance + following.epsilon)
            kernel = kernel * (factor[:, np.newaxis] if depthwise else factor)
            following.set_weights([gamma, beta - shift(kernel, mean, depthwise), centre, variance])
        elif bias:
            layer.set_weights([kernel, bias[0] - shift(kernel, mean, depthwise)])


def shift(kernel: np.ndarray, mean: np.ndarray, depthwise: bool) -> np.ndarray:
    """How far rounding a kernel to int8 moves the mean of each output channel; the picture's borders are neglected.

    Args:
        kernel: (height, width, inputs, outputs), of a depthwise convolution (height, width, channels, 1).
        mean: of the input's channels, (inputs,).
        depthwise: whether each channel has a kernel of its own.

    Returns:
        float (outputs,).
    """
    within = (0, 1) if depthwise else (0, 1, 2)
    scale = np.abs(kernel).max(axis=within, keepdims=True) / _LEVELS
    scale = np.where(scale == 0, 1, scale)
    error = (np.rint(kernel / scale) * scale - kernel).sum(axis=(0, 1))
    return np.asarray(error[:, 0] * mean if depthwise else mean @ error)


def mean_inputs(keras: Any, model: Any, layers: list[Any], calibration: np.ndarray, batch: int) -> list[np.ndarray]:
    """Mean of every input channel of some layers over the calibration tiles, float64 (channels,) each."""
    probe = keras.Model(model.inputs, [keras.ops.mean(layer.input, axis=(1, 2)) for layer in layers])
    totals = [np.zeros(layer.input.shape[-1]) for layer in layers]
    for start in range(0, len(calibration), batch):
        tiles = np.asarray(calibration[start : start + batch], np.float32) / 128 - 1
        found = probe.predict_on_batch(tiles)
        for total, values in zip(totals, found if len(layers) > 1 else [found], strict=True):
            total += np.asarray(values).sum(axis=0)
    return [total / len(calibration) for total in totals]
