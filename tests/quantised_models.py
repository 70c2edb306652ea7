"""Untrained but well-conditioned models, tiles that tell them apart, and an interpreter: for the tests of quantisation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.models import MODELS

SIZE = 32
CLASSIFIERS = [name for name, spec in MODELS.items() if spec.task == "classify"]
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "opnet": {"widths": (8, 8, 16, 16)},
    "opnet_lite": {"width": 8, "blocks": 3},
    "mobilenet_v2": {"alpha": 0.35},
    "efficientnet_lite0": {"width": 0.3, "depth": 0.3},
}

# Of so many layers that tracing a training step takes most of a test's time; the loop that trains them is the same as for the others.
DEEP = ("mobilenet_v2", "efficientnet_lite0", "unet_mobile")

# The head of a random net adds an offset to all logits, by chance large or small, and one step of the int8 output is as much: with
# a small one, rounding in a deep net is many steps. MobileNetV2's is 90 with the usual seed; this one's is 120 with 25, and 0 with 0.
SEEDS = {"efficientnet_lite0": 25}


def make_tiles(count: int, seed: int = 0) -> np.ndarray:
    """Tiles of random brightness, colour and gradient with a dark line: they differ more than their noise does.

    Returns:
        uint8 (count, SIZE, SIZE, 3).
    """
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-1, 1, SIZE)[:, np.newaxis, np.newaxis]
    tiles = rng.uniform(40, 215, (count, 1, 1, 3)) + rng.uniform(-60, 60, (count, 1, 1, 1)) * ramp
    tiles = tiles + rng.normal(0, 3, (count, SIZE, SIZE, 3))
    for tile in tiles:
        tile[:, int(rng.integers(2, SIZE - 2))] -= rng.uniform(0, 120)
    return tiles.clip(0, 255).astype(np.uint8)


def make_labels(tiles: np.ndarray) -> np.ndarray:
    """1 for the brighter half."""
    brightness = tiles.mean(axis=(1, 2, 3))
    return (brightness > np.median(brightness)).astype(np.int8)


@cache
def build_pair(name: str) -> tuple[Any, Any, list[np.ndarray]]:
    """A registered model with raw pixels in, the same with normalised pixels in, and the weights of both.

    Random deep nets are chaotic: rounding would change their logits beyond recognition, as it does not in trained ones.
    Batch statistics that fit the tiles, ReLUs mostly open and small residual branches make them behave.
    """
    import keras

    from crack_tf.models import build_model

    keras.utils.set_random_seed(SEEDS.get(name, 0))
    raw = build_model(name, keras, image_size=SIZE, **HYPERPARAMETERS.get(name, {}))
    for layer in raw.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.2
            if "project" in layer.name:
                layer.gamma.assign(layer.gamma * 0.3)
            else:
                layer.beta.assign(layer.beta + 2)
    pixels = make_tiles(64, seed=9).astype("float32")
    for _ in range(4):
        raw(pixels, training=True)
    weights = raw.get_weights()
    weights[-2] = weights[-2] * 20  # the head: a spread of logits to compare
    raw.set_weights(weights)
    normalised = build_model(name, keras, image_size=SIZE, raw_pixels=False, **HYPERPARAMETERS.get(name, {}))
    normalised.set_weights(weights)
    return raw, normalised, weights


def make_twin(name: str) -> Any:
    """A registered model with fake quantisation, calibrated and not tuned (`tflite.qat.build_twin`)."""
    from crack_tf.models import build_model
    from tflite import qat

    def build(keras: Any) -> Any:
        return build_model(name, keras, image_size=SIZE, raw_pixels=False, **HYPERPARAMETERS.get(name, {}))

    return qat.build_twin(build, build_pair(name)[2], make_tiles(40, seed=1))


@cache
def untuned(name: str) -> Any:
    """A twin that several tests look at and none changes."""
    return make_twin(name)


def write_ptq(name: str, folder: Path) -> None:
    """uint8.tflite and int8.tflite: a registered model after post-training quantisation."""
    from tflite import convert

    for dtype in convert.INPUT_DTYPES:
        (folder / f"{dtype}.tflite").write_bytes(
            convert.convert_ptq(build_pair(name)[1], make_tiles(40, seed=1), dtype)
        )


def write_qat(name: str, folder: Path) -> None:
    """uint8.tflite and int8.tflite: the untuned twin of a registered model; fake.npy: its own logits of `make_tiles(32)`."""
    from tflite import convert, qat

    twin = untuned(name)
    np.save(folder / "fake.npy", twin(qat.normalise(make_tiles(32)), training=False).numpy()[:, 0])
    for dtype in convert.INPUT_DTYPES:
        (folder / f"{dtype}.tflite").write_bytes(convert.convert_qat(twin, dtype))


def predict(model: Any, tiles: np.ndarray) -> np.ndarray:
    """Logits of a Keras model that takes raw pixels."""
    return np.asarray(model.predict(tiles.astype("float32"), verbose=0))[:, 0]


def run_tflite(data: bytes, tiles: np.ndarray) -> np.ndarray:
    """Logits from a .tflite file fed with raw bytes (int8: the byte with its top bit flipped)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    logits = []
    for tile in tiles:
        value = (tile ^ 0x80).view(np.int8) if source["dtype"] == np.int8 else tile.astype(source["dtype"])
        interpreter.set_tensor(source["index"], value[np.newaxis])
        interpreter.invoke()
        raw = float(interpreter.get_tensor(target["index"]).reshape(-1)[0])
        scale, zero_point = target["quantization"]
        logits.append((raw - zero_point) * scale if scale else raw)
    return np.array(logits)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r."""
    return float(np.corrcoef(a, b)[0, 1])
