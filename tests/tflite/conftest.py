"""Tiny .tflite models, made here from plain TensorFlow so that these tests depend on nothing of crack_tf."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import MadeOnce
from tflite.files import sha256_file
from tflite.metrics import sigmoid
from tflite.sidecar import (
    Golden,
    Sidecar,
    Threshold,
    golden_input,
    raw_threshold,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)

SIZE = 32


def convert(input_type: str, output_type: str) -> bytes:
    """A stride-2 convolution, a depthwise one, pooling and one linear unit: uint8, int8 or float32 at either end."""
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    first = tf.constant(rng.normal(0, 0.3, (3, 3, 3, 8)).astype(np.float32))
    depthwise = tf.constant(rng.normal(0, 0.3, (3, 3, 8, 1)).astype(np.float32))
    last = tf.constant(rng.normal(0, 1.0, (8, 1)).astype(np.float32))

    def forward(pixels: Any) -> Any:
        x = pixels / 128.0 - 1.0
        x = tf.nn.relu(tf.nn.conv2d(x, first, 2, "SAME") + tf.linspace(0.1, 0.2, 8))
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, depthwise, [1, 1, 1, 1], "SAME") + 0.1)
        return tf.matmul(tf.reduce_mean(x, axis=[1, 2]), last) + 0.05

    function = tf.function(forward).get_concrete_function(tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if input_type != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.as_dtype(input_type)
        converter.inference_output_type = tf.as_dtype(output_type)
        # Flat tiles of every colour: their averages are the extremes that noise alone never reaches. Both ends of the
        # range appear, so that one pixel step is one input step.
        colours = [*itertools.product((0, 255), repeat=3), *rng.integers(0, 256, (8, 3))]
        tiles = [np.full((1, SIZE, SIZE, 3), colour, np.float32) for colour in colours]
        converter.representative_dataset = lambda: ([tile] for tile in tiles)
    return bytes(converter.convert())


def describe(path: Path, scheme: str) -> Sidecar:
    """A sidecar that fits the file, built from what the interpreter reports."""
    from ai_edge_litert.interpreter import Interpreter

    from tflite.runtime import tensor_spec

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    spec_in, spec_out = tensor_spec(entry), tensor_spec(exit_)
    tile = golden_input(SIZE)
    fed = {"uint8": tile, "int8": (tile.astype(np.int16) - 128).astype(np.int8), "float32": tile.astype(np.float32)}
    interpreter.set_tensor(entry["index"], fed[spec_in.dtype][np.newaxis])
    interpreter.invoke()
    answer = float(interpreter.get_tensor(exit_["index"]).item())
    logit = 0.125
    raw = raw_threshold(logit, spec_out.scale, spec_out.zero_point, spec_out.dtype) if spec_out.quantised else None
    return Sidecar(
        model="tiny",
        scheme=scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=SIZE,
        labels=("no_crack", "crack"),
        hyperparameters={"filters": 8},
        input=spec_in,
        output=spec_out,
        threshold=Threshold(float(sigmoid(logit)), logit, raw, 0.99, "val"),
        golden=Golden(answer, 1.0 if spec_out.quantised else 1e-3),
        training={"dataset": "none", "seed": 0},
        metrics={},
        licence="CC0-1.0",
        versions={"python": "3"},
        git_revision=None,
        created="2025-01-01T00:00:00+00:00",
    )


@pytest.fixture(scope="session")
def models(made_once: MadeOnce) -> dict[str, Path]:
    """Models by name, each with its sidecar: "uint8" (raw pixels in, int8 out), "int8" and "float32". Do not change them."""
    folder = made_once("models", write_models)
    return {name: folder / f"tiny-{name}.tflite" for name in ("uint8", "int8", "float32")}


def write_models(folder: Path) -> None:
    for name, output, scheme in (
        ("uint8", "int8", "int8-ptq"),
        ("int8", "int8", "int8-ptq"),
        ("float32", "float32", "float32"),
    ):
        path = folder / f"tiny-{name}.tflite"
        path.write_bytes(convert(name, output))
        write_sidecar(path, describe(path, scheme))


@pytest.fixture
def copied(models: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copy a model and its sidecar into this test's own folder, to be damaged there."""

    def copy(name: str) -> Path:
        path = Path(shutil.copy(models[name], tmp_path))
        shutil.copy(sidecar_path(models[name]), tmp_path)
        return path

    return copy


@pytest.fixture
def edit_sidecar() -> Callable[..., Sidecar]:
    """Write a model's sidecar again with other fields, as a faulty export would: its own hash is right."""

    def edit(path: Path, **changes: Any) -> Sidecar:
        changed = replace(read_sidecar(path), **changes)
        write_sidecar(path, changed)
        return changed

    return edit
