"""Gradients through Keras models, on nets small enough to know the answer and on every registered classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crack_tf.explain.attribution import baseline_of, grad_cam, integrated_gradients
from crack_tf.models import MODELS, build_model
from tflite.errors import CrackError

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from crack_tf.explain.gradients import Network  # noqa: E402
from crack_tf.models.keras_models import blurred  # noqa: E402

CLASSIFIERS = sorted(name for name, spec in MODELS.items() if spec.task == "classify")


@pytest.fixture(scope="module")
def known() -> Any:
    """Two 1x1 filters, brightness and its negative, normalised, rectified, pooled: logit = 2 * mean(bright) - 3 * mean(dark)."""
    inputs = keras.layers.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="first")(inputs)
    x = keras.layers.BatchNormalization(epsilon=0.0, name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="logit")(x))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[..., 0], kernel[..., 1] = 1 / 3, -1 / 3
    model.get_layer("first").set_weights([kernel, np.array([-100, 100], np.float32)])
    model.get_layer("norm").set_weights([np.ones(2), np.zeros(2), np.zeros(2), np.ones(2)])
    model.get_layer("logit").set_weights([np.array([[2.0], [-3.0]]), np.zeros(1)])
    return model


@pytest.fixture
def pixels() -> np.ndarray:
    image = np.full((1, 4, 4, 3), 100, np.float32)
    image[0, 1, 2] = 180  # 80 above the first filter's zero
    image[0, 3, 0] = 60  # 40 above the second's
    return image


def test_grad_cam_of_a_known_net_is_what_it_must_be(known: Any, pixels: np.ndarray) -> None:
    network = Network(known)
    logits, maps, gradients = network.map_gradients(network.require_convolution(None), pixels)
    assert logits[0] == pytest.approx(2 * 80 / 16 - 3 * 40 / 16, rel=1e-4)
    assert maps.shape == (1, 4, 4, 2)
    assert maps.min() == 0  # behind the ReLU
    heat = grad_cam(maps[0], gradients[0], 4)
    expected = np.zeros((4, 4))
    expected[1, 2] = 80 * 2 / 16
    np.testing.assert_allclose(heat, expected, rtol=1e-4, atol=1e-4)


def test_pixel_gradients_are_those_of_the_net(known: Any, pixels: np.ndarray) -> None:
    logits, gradients = Network(known).pixel_gradients(np.concatenate([pixels, pixels + 1]))
    assert logits.shape == (2,)
    np.testing.assert_allclose(gradients[0, 1, 2], 2 / 16 / 3, rtol=1e-4)
    np.testing.assert_allclose(gradients[0, 3, 0], 3 / 16 / 3, rtol=1e-4)


def test_pooled_features_are_the_last_layers_input(known: Any, pixels: np.ndarray) -> None:
    np.testing.assert_allclose(Network(known).pooled(pixels), [[80 / 16, 40 / 16]], rtol=1e-4)


def test_of_a_file_that_looks_twice_both_views_are_explained(known: Any, pixels: np.ndarray) -> None:
    sharp, twice = Network(known), Network(known, second_view=3)
    blurry = np.asarray(blurred(pixels, 3))
    expected = (2 * sharp.logits(pixels) + sharp.logits(blurry)) / 3
    np.testing.assert_allclose(twice.logits(pixels), expected, rtol=1e-5)
    np.testing.assert_allclose(
        twice.pooled(pixels), (2 * sharp.pooled(pixels) + sharp.pooled(blurry)) / 3, rtol=1e-4, atol=1e-5
    )
    logits, maps, gradients = twice.map_gradients("first", pixels)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    one, other = (sharp.map_gradients("first", view) for view in (pixels, blurry))
    np.testing.assert_allclose(maps, np.concatenate([one[1], other[1]], axis=-1), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(gradients, np.concatenate([2 * one[2], other[2]], axis=-1) / 3, rtol=1e-4, atol=1e-6)
    _, slopes = twice.pixel_gradients(pixels)
    step = np.zeros_like(pixels)
    step[:, 1, 2, 0] = 0.5
    expected_slope = twice.logits(pixels + step) - twice.logits(pixels - step)
    np.testing.assert_allclose(slopes[:, 1, 2, 0], expected_slope, rtol=1e-2, atol=1e-4)


def test_a_layer_that_is_no_convolution_is_refused_with_the_names_of_those_that_are(known: Any) -> None:
    with pytest.raises(CrackError, match=r"--layer 'relu' is no convolution of .*: choose one of first"):
        Network(known).require_convolution("relu")
    flat = keras.Sequential([keras.layers.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(CrackError, match="has no convolution"):
        Network(flat).require_convolution(None)


def test_a_convolution_that_several_layers_use_is_taken_as_it_is() -> None:
    inputs = keras.layers.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="shared")(inputs)
    x = keras.layers.Add()([keras.layers.ReLU()(x), x])
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = Network(keras.Model(inputs, keras.layers.Dense(1)(x)))
    _, maps, _ = network.map_gradients("shared", np.full((1, 4, 4, 3), 50, np.float32))
    kernel, bias = network._model.get_layer("shared").get_weights()
    np.testing.assert_allclose(maps[0, 0, 0], 50 * kernel[0, 0].sum(axis=0) + bias, rtol=1e-4)


@pytest.mark.parametrize("size", [40, 45, 64])
def test_maps_lie_where_their_receptive_fields_do(size: int) -> None:
    """With equal weights the gradient of one value of the map is a bump over its receptive field; its centre is the place."""
    layers, ones = keras.layers, {"kernel_initializer": "ones", "use_bias": False}
    inputs = layers.Input((size, size, 3))
    x = layers.Conv2D(1, 3, strides=2, padding="same", **ones)(inputs)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid", depthwise_initializer="ones", use_bias=False)(x)
    x = layers.Add()([layers.Conv2D(1, 3, padding="same", **ones)(x), x])
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(1, 2, name="last", **ones)(x)
    x = layers.GlobalAveragePooling2D()(x[:, 1:2, 1:2])
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(x))
    network = Network(model)
    _, gradients = network.pixel_gradients(np.zeros((1, size, size, 3), np.float32))
    bump = gradients[0].sum(axis=2)
    rows, columns = network.places("last")
    assert len(rows) == model.get_layer("last").output.shape[1]
    assert (bump.sum(axis=1) * np.arange(size)).sum() / bump.sum() == pytest.approx(rows[1])
    assert (bump.sum(axis=0) * np.arange(size)).sum() / bump.sum() == pytest.approx(columns[1])


def test_the_last_map_of_mobilenet_lies_lower_right_of_where_stretching_would_put_it() -> None:
    network = Network(build_model("mobilenet_v2", keras, image_size=224))
    rows, _ = network.places(network.require_convolution(None))
    assert rows.tolist() == [31, 63, 95, 127, 159, 191, 223]
    even = Network(build_model("opnet", keras, image_size=224))
    assert even.places("conv4")[0][:2].tolist() == [3.5, 11.5]


def test_another_backend_is_named(monkeypatch: pytest.MonkeyPatch, known: Any) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(CrackError, match="KERAS_BACKEND=tensorflow, it is 'jax'"):
        Network(known)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_registered_classifier_can_be_explained(name: str) -> None:
    size = max(32, MODELS[name].smallest)
    keras.utils.set_random_seed(0)
    network = Network(build_model(name, keras, image_size=size))
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    last = network.require_convolution(None)
    logits, maps, gradients = network.map_gradients(last, image[None].astype(np.float32))
    assert maps.shape == gradients.shape
    assert np.isfinite(grad_cam(maps[0], gradients[0], size)).all()
    assert network.pooled(image[None]).shape == (1, maps.shape[-1])
    found = integrated_gradients(network.pixel_gradients, image, baseline_of(image, "blurred"), max_steps=64)
    assert found.logit == pytest.approx(float(logits[0]), abs=1e-4)
    difference = abs(found.logit - found.baseline_logit)
    assert found.complete == (abs(found.error) <= 0.01 * difference)
    # An untrained network hardly answers: then 1 % of nothing is out of reach, and 1e-4 logits is where it stops.
    assert found.complete or found.steps == 64 or abs(found.error) <= 1e-4


def test_a_randomised_network_answers_differently_and_always_the_same(known: Any, pixels: np.ndarray) -> None:
    network = Network(known)
    one, two = (network.randomised(7).logits(pixels) for _ in range(2))
    assert one == pytest.approx(two)
    assert one != pytest.approx(network.logits(pixels))
