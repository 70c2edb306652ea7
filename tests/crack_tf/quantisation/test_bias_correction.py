"""The mean that int8 weights shift is put back, layer by layer, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crack_tf.models import build_model
from crack_tf.quantisation.bias_correction import correct_bias, mean_inputs, shift

keras = pytest.importorskip("keras")

SIZE = 32


def tiles(count: int = 12) -> np.ndarray:
    """Grey tiles with a dark line, uint8."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 220, (count, SIZE, SIZE, 1)).repeat(3, axis=3)
    pixels[:, :, 10:13] //= 4
    return pixels.astype(np.uint8)


def rounded(kernel: np.ndarray) -> np.ndarray:
    """A kernel (..., outputs) as int8 keeps it."""
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    return np.rint(kernel / scale) * scale


def test_the_shift_is_what_rounding_does_to_the_mean_of_the_outputs() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(1, 1, 6, 4))
    inputs = rng.uniform(0, 6, (1000, 6))
    moved = (inputs @ rounded(kernel)[0, 0] - inputs @ kernel[0, 0]).mean(axis=0)
    np.testing.assert_allclose(shift(kernel, inputs.mean(axis=0), depthwise=False), moved, atol=1e-12)
    each = kernel[:, :, :, :1]  # a depthwise kernel of 1x1 is one number a channel, which int8 keeps
    np.testing.assert_allclose(shift(each, inputs.mean(axis=0), depthwise=True), np.zeros(6), atol=1e-12)
    wide = rng.normal(size=(3, 3, 6, 1))
    scale = np.abs(wide).max(axis=(0, 1), keepdims=True) / 127
    error = (np.rint(wide / scale) * scale - wide).sum(axis=(0, 1))[:, 0]
    np.testing.assert_allclose(shift(wide, inputs.mean(axis=0), depthwise=True), error * inputs.mean(axis=0))


def test_a_channel_without_weights_is_not_shifted() -> None:
    assert (shift(np.zeros((3, 3, 2, 2)), np.ones(2), depthwise=False) == 0).all()


def test_means_of_batches_are_those_of_all_tiles() -> None:
    model = build_model("unet", keras, image_size=SIZE, raw_pixels=False, levels=2, width=4)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    one = mean_inputs(keras, model, layers, tiles(), batch=12)
    some = mean_inputs(keras, model, layers, tiles(), batch=5)
    for here, there in zip(one, some, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-5)
    expected = (tiles().astype(np.float64) / 128 - 1).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(one[0], expected, rtol=1e-5)
    (alone,) = mean_inputs(keras, model, layers[:1], tiles(), batch=4)
    np.testing.assert_allclose(alone, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "hyperparameters"),
    [
        ("unet", {"levels": 3, "width": 4}),
        ("unet_mobile", {"alpha": 0.35, "widths": (8, 8, 8, 4, 4), "detail": 4}),
    ],
)
def test_with_rounded_weights_a_corrected_model_is_nearer_to_the_float_one(
    name: str, hyperparameters: dict[str, Any]
) -> None:
    keras.utils.set_random_seed(3)
    original = build_model(name, keras, image_size=SIZE, raw_pixels=False, **hyperparameters)
    for layer in original.layers:  # statistics as after training, not 0 and 1
        if isinstance(layer, keras.layers.BatchNormalization):
            rng = np.random.default_rng(4)
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta + rng.normal(0, 0.3, beta.shape), mean, variance])
    plain = keras.models.clone_model(original)
    corrected = keras.models.clone_model(original)
    for model in (plain, corrected):
        model.set_weights(original.get_weights())
    correct_bias(keras, corrected, tiles())
    for model in (plain, corrected):
        round_weights(model)
    pixels = tiles().astype(np.float32) / 128 - 1
    truth = original.predict_on_batch(pixels)
    before, after = (np.abs((model.predict_on_batch(pixels) - truth).mean()) for model in (plain, corrected))
    assert after < before / 3
    untouched = [layer.name for layer in original.layers if layer.name.endswith("_bn")]
    for name in untouched:  # only beta moves
        for number in (0, 2, 3):
            np.testing.assert_array_equal(
                original.get_layer(name).get_weights()[number], corrected.get_layer(name).get_weights()[number]
            )


def round_weights(model: Any) -> None:
    """Round every convolution as conversion would, after the normalisation behind it is folded in."""
    behind = {id(layer.input): layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    for layer in model.layers:
        if not isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            continue
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel, *bias = layer.get_weights()
        factor = np.ones(kernel.shape[2] if depthwise else kernel.shape[3])
        if (normalisation := behind.get(id(layer.output))) is not None:
            gamma, _, _, variance = normalisation.get_weights()
            factor = gamma / np.sqrt(variance + normalisation.epsilon)
        factor = factor[:, np.newaxis] if depthwise else factor
        folded = kernel * factor
        within = (0, 1) if depthwise else (0, 1, 2)
        scale = np.abs(folded).max(axis=within, keepdims=True) / 127
        layer.set_weights([np.rint(folded / scale) * scale / factor, *bias])
