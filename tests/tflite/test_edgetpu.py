"""Predictions against what Coral's compiler did, against its published limits, and `compile` against a stand-in for it."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MadeOnce
from tests.quantised_models import CLASSIFIERS, write_ptq, write_qat
from tflite import edgetpu
from tflite.edgetpu import compare, compile_model, main, parse_log, predict, validate
from tflite.edgetpu_ops import CORAL_CUSTOM, SUPPORTED, Node, Tensor, caution, read_nodes, why_not, why_refused
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.graph import read_flatbuffer
from tflite.runtime import Classifier
from tflite.sidecar import TensorSpec, read_sidecar, sidecar_path, write_sidecar

ROOT = Path(__file__).resolve().parents[2]
SIZE = 32
VERSION = "16.0.384591198"
Models = dict[str, Path]

# ---------------------------------------------------------------------------------------------------- the compiler's word


def test_every_public_coral_model_is_predicted_as_it_was_compiled(data_root: Path) -> None:
    rows = validate(data_root / "coral" / "mapping.csv")
    assert len(rows) == 8
    assert [row["model"] for row in rows if not row["agrees"]] == []


def test_the_stored_comparison_is_what_the_predictor_gives(data_root: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "prediction.csv"
    assert main(["validate", str(data_root / "coral" / "mapping.csv"), "--out", str(fresh)]) == 0
    assert fresh.read_text() == (ROOT / "results" / "coral" / "prediction.csv").read_text()


def test_a_compiled_model_is_not_taken_for_a_source(models: Models, tmp_path: Path) -> None:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_twin(models["uint8"].read_bytes()))
    with pytest.raises(ModelFileError, match="compiled for the Edge TPU already"):
        predict(path)


# -------------------------------------------------------------------------------------------------------- models of ours


@pytest.mark.parametrize("scheme", ["ptq", "qat"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_model_exported_in_int8_is_predicted_fully_mapped(name: str, scheme: str, made_once: MadeOnce) -> None:
    pytest.importorskip("tensorflow_model_optimization")
    path = made_once(f"{scheme}-{name}", partial({"ptq": write_ptq, "qat": write_qat}[scheme], name)) / "uint8.tflite"
    prediction = predict(path)
    assert prediction.placements[0].name == "QUANTIZE"  # raw bytes to int8, on the Edge TPU as well
    assert (prediction.verdict, prediction.left) == ("full", Counter())
    assert not any(placement.caution for placement in prediction.placements)


# ------------------------------------------------------------------------------------------------------ small converted ones


def forward(kind: str) -> Callable[[Any], Any]:
    """A stride-2 convolution of 3 to 8 channels (32 to 16 pixels), and after it what is asked for."""
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return tf.constant(rng.normal(0, 0.3, shape).astype(np.float32))

    first, transposed, last, dense = weights(3, 3, 3, 8), weights(2, 2, 4, 8), weights(3, 3, 16, 2), weights(8, 5)
    bias, pointwise = tf.linspace(0.1, 0.2, 4), weights(1, 1, 8, 8)

    def upsampled(x: Any, method: str) -> Any:
        return tf.image.resize(x, (2 * x.shape[1], 2 * x.shape[2]), method=method)

    def deeplab(x: Any) -> Any:
        pooled = tf.nn.relu(tf.nn.conv2d(tf.nn.avg_pool2d(x, 16, 1, "VALID"), pointwise, 1, "SAME"))
        both = tf.concat([x, tf.tile(pooled, [1, 16, 16, 1])], -1)
        classes = tf.nn.conv2d(both, last, 1, "SAME") + tf.linspace(0.1, 0.2, 2)
        return tf.argmax(tf.image.resize(classes, (513, 513)), -1)

    def unet(x: Any) -> Any:
        inner = upsampled(tf.nn.max_pool2d(x, 2, 2, "SAME"), "nearest")
        return tf.nn.conv2d(tf.concat([x, inner], -1), last, 1, "SAME")

    tails: dict[str, Callable[[Any], Any]] = {
        "maximum": lambda x: tf.maximum(x, 0.2 * x),
        "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.2),
        "nearest": lambda x: upsampled(x, "nearest"),
        "bilinear": lambda x: upsampled(x, "bilinear"),
        "unet": unet,
        "deeplab": deeplab,
        "transposed": lambda x: tf.nn.conv2d_transpose(x, transposed, (1, SIZE, SIZE, 4), 2, "SAME") + bias,
        "transposed_relu": lambda x: tf.nn.relu(
            tf.nn.conv2d_transpose(x, transposed, (1, SIZE, SIZE, 4), 2, "SAME") + bias
        ),
        "sine_inside": lambda x: tf.nn.relu(tf.sin(tf.nn.relu(x) * 0.5)),
        "softmax": lambda x: tf.nn.softmax(tf.reduce_mean(x, axis=[1, 2])),
        "dense": lambda x: tf.matmul(tf.reduce_mean(x, axis=[1, 2]), dense) + tf.linspace(0.0, 1.0, 5),
    }
    return lambda pixels: tails[kind](tf.nn.conv2d(pixels, first, 2, "SAME") + tf.linspace(0.1, 0.2, 8))


@cache
def converted(kind: str, scheme: str = "int8", batch: int | None = 1, per_channel_dense: bool = True) -> bytes:
    """A .tflite file from plain TensorFlow."""
    tf = pytest.importorskip("tensorflow")
    function = tf.function(forward(kind)).get_concrete_function(tf.TensorSpec((batch, SIZE, SIZE, 3), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if scheme != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme.startswith("int8"):
        if scheme == "int8":
            converter.inference_input_type, converter.inference_output_type = tf.uint8, tf.int8
        rng = np.random.default_rng(1)
        tiles = [rng.uniform(-1, 1, (batch or 1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(4)]
        converter.representative_dataset = lambda: ([tile] for tile in tiles)
        converter._experimental_disable_per_channel_quantization_for_dense_layers = not per_channel_dense
    return bytes(converter.convert())


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Write a converted model and return its path."""

    def write(kind: str, **options: Any) -> Path:
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(converted(kind, **options))
        return path

    return write


@pytest.mark.parametrize("kind", ["maximum", "nearest", "bilinear", "unet", "softmax"])
def test_what_the_table_lists_is_mapped_for_certain(kind: str, model: Callable[..., Path]) -> None:
    prediction = predict(model(kind))
    assert prediction.verdict == "full"
    assert not any(placement.caution for placement in prediction.placements)


def test_a_pooled_branch_tiled_back_is_mapped_and_the_resize_to_the_input_stays_with_its_argmax(
    model: Callable[..., Path],
) -> None:
    """As Coral's compiler did to a DeepLab with 513x513 pixels: TILE is in no table, and was mapped."""
    nodes = read_flatbuffer(model("deeplab"), lambda found, size: read_nodes(found))
    prediction = edgetpu._predict(tuple(replace(n, version=1) if n.name == "TILE" else n for n in nodes))
    assert [p.mapped for p in prediction.placements if p.name == "TILE"] == [True]
    assert prediction.left == {"RESIZE_BILINEAR": 1, "ARG_MAX": 1}
    assert not any(placement.caution for placement in prediction.placements)


def test_a_tile_of_todays_converter_is_newer_than_the_compiler(model: Callable[..., Path]) -> None:
    assert "TILE has version 3, newer than the compiler" in predict(model("deeplab")).refused


def test_a_leaky_relu_written_as_maximum_stays_one(model: Callable[..., Path]) -> None:
    names = [placement.name for placement in predict(model("maximum")).placements]
    assert "MAXIMUM" in names
    assert "LEAKY_RELU" not in names


def test_leaky_relu_stays_on_the_cpu(model: Callable[..., Path]) -> None:
    prediction = predict(model("leaky_relu"))
    assert prediction.verdict == "part"
    assert prediction.left == {"LEAKY_RELU": 1}
    assert "not among the operators" in prediction.placements[-1].reason


def test_a_transposed_convolution_is_mapped_with_a_caution(model: Callable[..., Path]) -> None:
    prediction = predict(model("transposed"))
    assert prediction.verdict == "full"
    assert "resize and convolve is safer" in prediction.placements[-1].caution


def test_a_transposed_convolution_with_relu_makes_the_compiler_refuse_the_file(model: Callable[..., Path]) -> None:
    prediction = predict(model("transposed_relu"))
    assert (prediction.verdict, prediction.mapped) == ("none", 0)
    assert "TRANSPOSE_CONV has version 4, newer than the compiler" in prediction.refused


def test_what_follows_an_unsupported_operator_stays_on_the_cpu_with_it(model: Callable[..., Path]) -> None:
    prediction = predict(model("sine_inside"))
    assert prediction.verdict == "part"
    sine = next(p for p in prediction.placements if "SIN" in p.name)
    after = [p for p in prediction.placements if p.number > sine.number]
    assert after
    assert not any(p.mapped for p in after)
    assert prediction.placements[-1].reason.startswith("supported, but comes after operator")
    assert all(p.mapped for p in prediction.placements if p.number < sine.number - 1)


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic"])
def test_float_models_are_refused_as_not_quantised(scheme: str, model: Callable[..., Path]) -> None:
    prediction = predict(model("dense", scheme=scheme))
    assert prediction.verdict == "none"
    assert "not quantised" in prediction.refused
    assert any("must be 8-bit quantised" in placement.reason for placement in prediction.placements)
    assert prediction.parameter_bytes == 0


def test_float_input_and_output_stay_on_the_cpu_and_the_middle_is_mapped(model: Callable[..., Path]) -> None:
    """As in logs of the compiler: QUANTIZE and DEQUANTIZE at the ends left, everything between them mapped."""
    prediction = predict(model("maximum", scheme="int8-float-ends"))
    assert prediction.verdict == "part"
    assert prediction.left == {"QUANTIZE": 1, "DEQUANTIZE": 1}
    assert "float32" in prediction.placements[0].reason


def test_a_batch_of_two_and_an_open_batch_are_not_mapped(model: Callable[..., Path]) -> None:
    two = predict(model("nearest", batch=2))
    assert (two.verdict, two.refused) == ("none", "")
    assert all("so the batch is 1" in placement.reason for placement in two.placements)
    free = predict(model("nearest", batch=None))
    assert free.verdict == "none"
    assert "without a fixed size" in free.refused


def test_a_dense_layer_with_many_scales_stays_on_the_cpu_until_it_has_one(model: Callable[..., Path]) -> None:
    many = predict(model("dense"))
    assert many.left == {"FULLY_CONNECTED": 1}
    assert "one scale per unit" in many.placements[-1].reason
    assert predict(model("dense", per_channel_dense=False)).verdict == "full"


def test_parameters_are_counted_in_bytes_and_once(models: Models) -> None:
    prediction = predict(models["uint8"])
    # conv 3x3x3x8 and depthwise 3x3x8 with 8 biases of 4 bytes each, linear 8 with one; two axes of the mean; more for scaling
    assert 216 + 72 + 8 + 4 * 17 <= prediction.parameter_bytes <= 216 + 72 + 8 + 4 * 17 + 16
    assert prediction.streamed_bytes == 0
    assert replace(prediction, parameter_bytes=edgetpu.CACHE_BYTES + 5).streamed_bytes == 5


# ------------------------------------------------------------------------------------------- limits, one operator at a time


def tensor(*shape: int, dtype: str = "int8", values: Any = None, scales: int = 1, number: int = 0) -> Tensor:
    data = None if values is None else np.asarray(values, dtype).reshape(-1).view(np.uint8)
    scale = 0.5 if scales == 1 else 0.0
    return Tensor(number, TensorSpec(shape, dtype, scale, 0), scales, values is not None, False, False, data)


def integers(*values: int) -> Tensor:
    return tensor(len(values), dtype="int32", values=values, scales=0)


def node(name: str, *inputs: Tensor | None, out: Tensor | None = None, **options: int) -> Node:
    functions = SimpleNamespace(**{key: lambda value=value: value for key, value in options.items()})
    outputs = (out or tensor(1, 8, 8, 4),)
    return Node(name, 1, tuple(inputs), outputs, functions if options else None)


IMAGE = tensor(1, 8, 8, 4)
WEIGHTS = tensor(4, 3, 3, 4, values=np.ones((4, 3, 3, 4)), scales=4)
DENSE = tensor(2, 4, values=np.ones((2, 4)))

GOOD = {
    "add": node("ADD", IMAGE, IMAGE, FusedActivationFunction=1),
    "average": node("AVERAGE_POOL_2D", IMAGE, FusedActivationFunction=0),
    "zeros": node("CONCATENATION", IMAGE, tensor(1, 8, 8, 4, values=np.zeros(256)), FusedActivationFunction=0),
    "convolution": node("CONV_2D", IMAGE, WEIGHTS, None, DilationWFactor=2, DilationHFactor=2),
    "dense": node("FULLY_CONNECTED", tensor(1, 4), DENSE, None, out=tensor(1, 2), WeightsFormat=0),
    "mean over area": node("MEAN", IMAGE, integers(1, 2), out=tensor(1, 4)),
    "mean over channels": node("MEAN", IMAGE, integers(-1), out=tensor(1, 8, 8)),
    "pad": node("PAD", IMAGE, tensor(4, 2, dtype="int32", values=[0, 0, 1, 1, 1, 1, 0, 0], scales=0)),
    "prelu": node("PRELU", IMAGE, tensor(1, 1, 4, values=[1, 2, 3, 4])),
    "softmax": node("SOFTMAX", tensor(1, 10)),
    "slice": node("STRIDED_SLICE", IMAGE, *[integers(1, 1, 1, 1)] * 3, EllipsisMask=0, NewAxisMask=0),
    "uint8": node("RELU", tensor(1, 4, dtype="uint8"), out=tensor(1, 4, dtype="uint8")),
    "split": node("SPLIT", integers(3), IMAGE),
    "tile": node("TILE", tensor(1, 1, 1, 4), integers(1, 33, 33, 1), out=tensor(1, 33, 33, 4)),
    "resize": node("RESIZE_BILINEAR", tensor(1, 17, 17, 4), integers(33, 33), out=tensor(1, 33, 33, 4)),
    "pack": node("PACK", tensor(1, 4), tensor(1, 4), out=tensor(1, 2, 4), Axis=1),
}
BAD = {
    "float tensor": (node("RELU", tensor(1, 4, dtype="float32", scales=0)), "is float32"),
    "int16 tensor": (node("RELU", tensor(1, 4, dtype="int16")), "is int16"),
    "no scale": (node("RELU", tensor(1, 4, scales=0)), "is not quantised"),
    "float constant": (
        node("ADD", IMAGE, tensor(1, dtype="float32", values=[1], scales=0)),
        "a constant is float32",
    ),
    "four sides": (node("RELU", tensor(2, 8, 8, 4)), "batch is 1"),
    "fifth side": (node("RELU", tensor(1, 2, 2, 2, 2)), "innermost three"),
    "computed weights": (node("CONV_2D", IMAGE, tensor(4, 3, 3, 4), None), "input 1 must be constant"),
    "computed size": (
        node("RESIZE_NEAREST_NEIGHBOR", IMAGE, tensor(2, dtype="int32", scales=0)),
        "input 1 must be constant",
    ),
    "unknown": (node("LEAKY_RELU", IMAGE), "not among the operators"),
    "swish": (node("HARD_SWISH", IMAGE), "not among the operators"),
    "average": (node("AVERAGE_POOL_2D", IMAGE, FusedActivationFunction=1), "fused activation"),
    "max": (node("MAX_POOL_2D", IMAGE, FusedActivationFunction=3), "fused activation"),
    "concatenation": (node("CONCATENATION", IMAGE, IMAGE, FusedActivationFunction=1), "fused activation"),
    "ones": (node("CONCATENATION", IMAGE, tensor(1, 8, 8, 4, values=np.ones(256))), "all zeros"),
    "zeros of three": (
        node("CONCATENATION", IMAGE, IMAGE, tensor(1, 8, 8, 4, values=np.zeros(256))),
        "only with one other",
    ),
    "dilation": (
        node("DEPTHWISE_CONV_2D", IMAGE, WEIGHTS, None, DilationWFactor=1, DilationHFactor=2),
        "dilation 1 in x and 2 in y",
    ),
    "shuffled": (
        node("FULLY_CONNECTED", tensor(1, 4), DENSE, None, out=tensor(1, 2), WeightsFormat=1),
        "default format",
    ),
    "dense on rows": (node("FULLY_CONNECTED", tensor(3, 4), DENSE, None, out=tensor(3, 2)), "one-dimensional"),
    "mean over batch": (node("MEAN", IMAGE, integers(0)), "batch"),
    "mean over 3": (node("MEAN", tensor(1, 8, 8, 3), integers(3)), "multiple of 4"),
    "mean over much": (node("MEAN", tensor(1, 256, 128, 4), integers(1, 2)), "32,768 positions"),
    "sum over batch": (node("SUM", IMAGE, integers(-4)), "batch"),
    "max over batch": (node("REDUCE_MAX", IMAGE, integers(0, 1)), "batch"),
    "pad batch": (
        node("PAD", IMAGE, tensor(4, 2, dtype="int32", values=[0, 1, 0, 0, 0, 0, 0, 0], scales=0)),
        "pads the batch",
    ),
    "pack batch": (node("PACK", tensor(4), tensor(4), out=tensor(2, 4), Axis=0), "packs along the batch"),
    "split batch": (node("SPLIT", integers(-4), IMAGE), "splits the batch"),
    "prelu": (node("PRELU", IMAGE, tensor(8, 8, 4, values=np.ones(256))), "shared_axes"),
    "softmax of rows": (node("SOFTMAX", tensor(2, 10)), "one-dimensional"),
    "softmax of many": (node("SOFTMAX", tensor(1, 16_001)), "at most 16,000"),
    "strides": (node("STRIDED_SLICE", IMAGE, *[integers(1, 2, 1, 1)] * 3), "all must be 1"),
    "new axis": (node("STRIDED_SLICE", IMAGE, *[integers(1, 1, 1, 1)] * 3, EllipsisMask=0, NewAxisMask=1), "new axes"),
    "resize far": (
        node("RESIZE_BILINEAR", tensor(1, 1, 1, 4), integers(33, 33), out=tensor(1, 33, 33, 4)),
        "left on the CPU",
    ),
    "resize to a large side": (
        node("RESIZE_BILINEAR", tensor(1, 65, 65, 19), integers(513, 513), out=tensor(1, 513, 513, 19)),
        "left on the CPU",
    ),
    "resize to a wide side": (
        node("RESIZE_BILINEAR", tensor(1, 32, 64, 19), integers(256, 512), out=tensor(1, 256, 512, 19)),
        "left on the CPU",
    ),
    "tile batch": (node("TILE", IMAGE, integers(2, 1, 1, 1), out=tensor(1, 8, 8, 4)), "repeats the batch"),
    "computed multiples": (node("TILE", IMAGE, tensor(4, dtype="int32", scales=0)), "input 1 must be constant"),
    "resize large": (
        node("RESIZE_BILINEAR", tensor(1, 256, 256, 32), integers(512, 512), out=tensor(1, 512, 512, 32)),
        "left on the CPU",
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_an_operator_within_its_limits_is_supported(case: str) -> None:
    assert why_not(GOOD[case]) == ""


@pytest.mark.parametrize("case", BAD)
def test_an_operator_beyond_a_limit_is_left_with_the_reason(case: str) -> None:
    operator, reason = BAD[case]
    assert reason in why_not(operator)


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        (
            node("RESIZE_NEAREST_NEIGHBOR", tensor(1, 8, 8, 4), integers(32, 32), out=tensor(1, 32, 32, 4)),
            "large resizes",
        ),
        (
            node("RESIZE_NEAREST_NEIGHBOR", tensor(1, 112, 112, 64), integers(2), out=tensor(1, 224, 224, 64)),
            "large resizes",
        ),
        (node("RESHAPE", tensor(1, 64, 64, 3), integers(1, 12288), out=tensor(1, 12288)), "large reshapes"),
        (node("MEAN", tensor(1, 128, 128, 4), integers(1, 2), out=tensor(1, 4)), "large areas"),
        (node("TRANSPOSE_CONV", integers(1, 8, 8, 4), WEIGHTS, IMAGE), "safer"),
        (node("TILE", IMAGE, integers(1, 2, 2, 1), out=tensor(1, 16, 16, 4)), "no TILE"),
        (node("TILE", tensor(1, 1, 1, 4), integers(1, 1, 1, 2), out=tensor(1, 1, 1, 8)), "no TILE"),
        (node("RELU", tensor(1, 512, 512, 64), out=tensor(1, 512, 512, 64)), "large activation tensors"),
    ],
)
def test_a_limit_without_a_number_is_a_caution(operator: Node, text: str) -> None:
    assert why_not(operator) == ""
    assert text in caution(operator)


def test_nothing_is_said_of_small_operators() -> None:
    assert [case for case, operator in GOOD.items() if caution(operator)] == []


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_version_newer_than_the_compiler_makes_it_refuse_the_file(name: str) -> None:
    newest = replace(node(name, IMAGE), version=SUPPORTED[name].version)
    assert why_refused((newest,)) == ""
    assert f"{name} has version" in why_refused((newest, replace(newest, version=newest.version + 1)))


def test_a_custom_operator_is_left_when_it_is_corals_and_refused_when_not() -> None:
    relu = node("RELU", IMAGE)
    for name in CORAL_CUSTOM:
        assert why_refused((relu, node(name, IMAGE))) == ""
        assert "not among" in why_not(node(name, IMAGE))
    assert "custom operator the compiler does not know" in why_refused((relu, node("CUSTOM:Atan", IMAGE)))


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Random graphs of supported (RELU, ADD) and unsupported (NEG) operators, in an order in which they can run."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 12))):
        sources = draw(st.sets(st.integers(-1, number - 1), min_size=1, max_size=3))
        inputs = tuple(tensor(1, 4, number=source + 1) for source in sorted(sources))
        name = draw(st.sampled_from(["RELU", "NEG"]))
        nodes.append(Node(name, 1, inputs, (tensor(1, 4, number=number + 1),), None))
    return nodes


@given(graphs())
def test_the_subgraph_holds_all_that_needs_nothing_from_the_cpu_and_reasons_name_a_culprit(nodes: list[Node]) -> None:
    placements = edgetpu._predict(tuple(nodes)).placements
    produced_by = {node.outputs[0].number: number for number, node in enumerate(nodes)}
    sources = [[produced_by[t.number] for t in node.present if t.number in produced_by] for node in nodes]
    clean: list[bool] = []  # supported, and so is everything before it
    for number, operator in enumerate(nodes):
        clean.append(operator.name == "RELU" and all(clean[source] for source in sources[number]))
    for number, placement in enumerate(placements):
        assert placement.mapped or not clean[number]
        assert nodes[number].name == "RELU" or not placement.mapped
        if "comes after operator" in placement.reason:
            culprit = int(placement.reason.split("operator ")[1].split()[0])
            assert nodes[culprit].name == "NEG"
            reached = {number}
            for step in range(number, -1, -1):
                reached |= set(sources[step]) if step in reached else set()
            assert culprit in reached
    if all(clean):
        assert all(placement.mapped for placement in placements)


# ------------------------------------------------------------------------------------------------------------ check, the verb


def test_check_exits_0_when_all_is_mapped_and_writes_json(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "check.json"
    assert main(["check", str(models["uint8"]), str(models["int8"]), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "fully mapped" in printed.out
    assert printed.err == ""
    document = json.loads(out.read_text())
    assert document["format"] == "crack_tf.edgetpu/1"
    assert [entry["verdict"] for entry in document["models"]] == ["full", "full"]
    entry = document["models"][0]
    assert entry["operators"] == entry["mapped"] == len(entry["placements"])
    assert main(["check", str(models["uint8"]), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["check", str(models["uint8"]), "--out", str(out), "--overwrite"]) == 0


def test_check_exits_2_and_names_the_models_that_are_not(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(models["uint8"]), str(models["float32"])]) == 2
    printed = capsys.readouterr()
    assert f"not fully mapped: 1 of 2 models: {models['float32']}" in printed.err
    assert "the compiler refuses it: the model is not quantised" in printed.out
    assert "CONV_2D: a tensor is float32" in printed.out


def test_check_prints_json_alone(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(models["float32"])]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["models"][0]["verdict"] == "none"
    assert document["models"][0]["placements"][0]["reason"]


def test_check_says_how_many_bytes_are_streamed(models: Models) -> None:
    prediction = replace(predict(models["uint8"]), parameter_bytes=edgetpu.CACHE_BYTES + 1000)
    assert "1,000 more than the cache of 8,388,608: streamed" in edgetpu._describe(Path("m"), prediction)


@pytest.mark.parametrize(
    ("content", "text"), [(None, "cannot read model"), (b"no model at all", "not a .tflite file"), (b"", "TFL3")]
)
def test_check_of_what_is_no_model_is_a_clear_error(
    content: bytes | None, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    if content is not None:
        path.write_bytes(content)
    assert main(["check", str(path)]) == 2
    assert text in capsys.readouterr().err


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_model_is_refused_or_read_and_nothing_else(
    models: Models, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(models["uint8"].read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "m.tflite"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(ModelFileError):
        edgetpu._describe(path, predict(path))


def test_validate_refuses_what_is_no_table_and_reports_disagreement(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CrackError, match="cannot read"):
        validate(tmp_path / "absent.csv")
    table = tmp_path / "mapping.csv"
    table.write_text("name,count\nm.tflite,3\n")
    with pytest.raises(CrackError, match="columns model, operators, mapped, left_on_cpu"):
        validate(table)
    shutil.copy(models["uint8"], tmp_path / "m.tflite")
    count = len(predict(models["uint8"]).placements)
    with table.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["model", "operators", "mapped", "left_on_cpu"])
        rows.writerow(["m.tflite", count, count - 1, "MEANx1"])
    assert main(["validate", str(table)]) == 2
    assert "differs: left MEANx1, predicted none" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------------- compile, with a stand-in


def compiled_twin(source: bytes) -> bytes:
    """A file as the compiler writes it: the same input and output, one custom operator between them."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source, 0))
    graph = model.subgraphs[0]
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"edgetpu-custom-op", 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, graph.inputs, graph.outputs
    operator.customOptions = [1, 2, 3]
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# Behaves as edgetpu_compiler 16.0 does, in the words of https://coral.ai/docs/edgetpu/compiler/ and of logs its users published.
STAND_IN = """
import json, pathlib, shutil, subprocess, sys, time
plan = json.loads(pathlib.Path(__file__).with_name("plan.json").read_text())
arguments = sys.argv[1:]
if arguments in (["--version"], ["-v"]):
    print(plan["version"])
    sys.exit(0)
assert arguments[0] == "--out_dir", arguments
out, model = pathlib.Path(arguments[1]), pathlib.Path(arguments[-1])
plan["seen"].append(arguments[2:-1])
pathlib.Path(__file__).with_name("seen.json").write_text(json.dumps(arguments[2:-1]))
print(plan["version"])
print("Started a compilation timeout timer of 180 seconds.", flush=True)
if plan["hang"]:
    subprocess.run(["sleep", "60"])  # the real one works in a child process, too
if plan["error"]:
    print(plan["error"])
    print("Compilation child process completed within timeout period.\\nCompilation failed! ")
    sys.exit(plan["exit"])
name = model.stem + "_edgetpu"
rows = "".join(f"{op:<30} {count:<10} {status}\\n" for op, count, status in plan["rows"])
table = f"Operator                       Count      Status\\n\\n{rows}"
if plan["model"]:
    shutil.copy(plan["model"], out / f"{name}.tflite")
    (out / f"{name}.log").write_text(f"{plan['version']}\\nInput: {model.name}\\nOutput: {name}.tflite\\n\\n{table}")
print(f'''
Model compiled successfully in 42 ms.

Input model: {model}
Input size: 5.00KiB
Output model: {out / name}.tflite
Output size: 9.00KiB
On-chip memory used for caching model parameters: 6.75KiB
On-chip memory remaining for caching model parameters: 7.67MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 7
Operation log: {out / name}.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded! ''')
"""


class StandIn:
    """edgetpu_compiler on PATH: `plan` what it does, read what it was `seen` to be given."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        rows = Counter(placement.name for placement in predict(model).placements)
        twin = folder / "twin.tflite"
        twin.write_bytes(compiled_twin(model.read_bytes()))
        script = folder / "edgetpu_compiler"
        script.write_text(f"#!{sys.executable}\n{textwrap.dedent(STAND_IN)}")
        script.chmod(0o755)
        self.defaults: dict[str, Any] = {
            "version": f"Edge TPU Compiler version {VERSION}",
            "rows": [(name, count, "Mapped to Edge TPU") for name, count in rows.items()],
            "model": str(twin),
            "error": "",
            "exit": 1,
            "hang": False,
            "seen": [],
        }
        self.plan()

    def plan(self, **changes: Any) -> None:
        (self.folder / "plan.json").write_text(json.dumps(self.defaults | changes))

    @property
    def seen(self) -> list[str]:
        return list(json.loads((self.folder / "seen.json").read_text()))


@pytest.fixture
def source(copied: Callable[[str], Path]) -> Path:
    return copied("uint8")


@pytest.fixture
def stand_in(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return StandIn(folder, source)


def test_compile_writes_model_sidecar_and_log_and_agrees(source: Path, stand_in: StandIn, tmp_path: Path) -> None:
    out = tmp_path / "coral"
    result = compile_model(source, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "tiny-uint8_edgetpu.log",
        "tiny-uint8_edgetpu.tflite",
        "tiny-uint8_edgetpu.tflite.json",
    ]
    assert (result.version, result.left, result.differences) == (VERSION, Counter(), ())
    assert result.mapped.total() == len(predict(source).placements)
    assert len(result.memory) == 3
    log = (out / "tiny-uint8_edgetpu.log").read_text()
    assert "Mapped to Edge TPU" in log
    assert "Compilation succeeded!" in log
    before, after = read_sidecar(source), read_sidecar(result.path)
    assert (after.file, after.sha256) == (result.path.name, sha256_file(result.path))
    assert after.training["compiled_from"] == {"file": before.file, "sha256": before.sha256}
    assert after.versions["edgetpu_compiler"] == VERSION
    assert (after.threshold, after.input, after.output, after.golden) == (
        before.threshold,
        before.input,
        before.output,
        before.golden,
    )
    assert stand_in.seen == []
    with pytest.raises(ModelFileError, match=r"edgetpu-custom-op.*need --delegate edgetpu"):
        Classifier(result.path)


def test_compile_command_prints_the_result_and_replaces_only_when_told(
    source: Path, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(source)]) == 0
    assert source.with_name("tiny-uint8_edgetpu.tflite").is_file()
    printed = capsys.readouterr()
    assert f"operators on the Edge TPU (edgetpu_compiler {VERSION})" in printed.out
    assert "Off-chip memory used for streaming uncached model parameters: 0.00B" in printed.out
    assert printed.err == ""
    assert main(["compile", str(source)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["compile", str(source), "--overwrite", "--timeout", "77"]) == 0
    assert stand_in.seen == ["--timeout_sec", "77"]


def test_compile_tells_what_is_left_and_what_was_not_predicted(
    source: Path, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in stand_in.defaults["rows"] if row[0] != "MEAN"]
    stand_in.plan(
        rows=[*rows, ("MEAN", 1, "Operation is otherwise supported, but not mapped due to some unspecified limitation")]
    )
    assert main(["compile", str(source)]) == 0
    warned = capsys.readouterr().err
    assert "left on the CPU: MEANx1" in warned
    assert "not as predicted: MEAN: 1 of 1 predicted mapped, the compiler mapped 0 of 1" in warned


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            "ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'. Are you using an old TFLite binary?\n\n"
            "ERROR: Registration failed.\n\nInvalid model: m.tflite\nModel could not be parsed",
            r"builtin opcode 'TRANSPOSE_CONV' version '4'.*Invalid model.*could not be parsed",
        ),
        ("Invalid model: m.tflite\nModel not quantized", "Model not quantized"),
        ("Internal compiler error. Aborting!", "Internal compiler error"),
        (
            "ERROR: Restored original execution plan after delegate application failure.\n"
            "Compilation failed: Compilation failed due to large activation tensors in model.",
            "large activation tensors",
        ),
        ("\n", "Compilation failed!"),
    ],
)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_failed_compilation_gives_the_compilers_reason_and_keeps_its_log(
    error: str, text: str, exit_code: int, source: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.plan(error=error, exit=exit_code)
    out = tmp_path / "coral"
    with pytest.raises(CrackError, match=f"(?s)did not compile .*{text}.*Log: .*_edgetpu.log"):
        compile_model(source, out)
    assert [path.name for path in out.iterdir()] == ["tiny-uint8_edgetpu.log"]
    assert "Started a compilation timeout timer" in (out / "tiny-uint8_edgetpu.log").read_text()
    stand_in.plan()
    assert compile_model(source, out).path.is_file()  # the log of the failure is in nobody's way


def test_a_compiler_that_hangs_is_stopped_with_its_children(
    source: Path, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgetpu, "GRACE_S", 0)
    stand_in.plan(hang=True)
    started = time.monotonic()
    with pytest.raises(CrackError, match=r"it was stopped after 2 s; give it more with --timeout"):
        compile_model(source, tmp_path / "coral", timeout_s=2)
    assert time.monotonic() - started < 30
    assert [path.suffix for path in (tmp_path / "coral").iterdir()] == [".log"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Edge TPU Compiler version 15.0.340273435", r"is version 15\.0\.340273435, at least 16\.0 is needed"),
        ("Edge TPU Compiler version 2.1.302470888", "at least 16"),
        ("gcc 12.2", 'answered "gcc 12.2"'),
    ],
)
def test_another_compiler_or_an_old_one_is_refused(
    answer: str, text: str, source: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.plan(version=answer)
    with pytest.raises(CrackError, match=text):
        compile_model(source, tmp_path / "coral")
    assert not (tmp_path / "coral").exists()


def test_a_compiler_that_cannot_be_started_is_refused(source: Path, stand_in: StandIn, tmp_path: Path) -> None:
    (stand_in.folder / "edgetpu_compiler").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(CrackError, match="cannot be started"):
        compile_model(source, tmp_path / "coral")


def test_a_missing_compiler_says_where_it_comes_from(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["compile", str(source)]) == 2
    message = capsys.readouterr().err
    assert "edgetpu_compiler is not on PATH" in message
    assert "x86-64 Linux only" in message
    assert "https://coral.ai/docs/edgetpu/compiler/" in message


def test_a_compilation_without_a_mapped_operator_writes_no_model(
    source: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    rows = [
        (name, count, "Operation is working on an unsupported data type")
        for name, count, _ in stand_in.defaults["rows"]
    ]
    stand_in.plan(rows=rows)
    with pytest.raises(CrackError, match="mapped no operator"):
        compile_model(source, tmp_path / "coral")
    assert [path.suffix for path in (tmp_path / "coral").iterdir()] == [".log"]


def test_a_float_model_that_the_compiler_refuses_was_expected(
    copied: Callable[[str], Path], stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.plan(error="Invalid model: tiny-float32.tflite\nModel not quantized")
    with pytest.raises(CrackError, match=r"Model not quantized.*That was to be expected: the model is not quantised"):
        compile_model(copied("float32"), tmp_path / "coral")


def test_an_unsound_compiled_file_is_not_passed_on(
    source: Path, models: Models, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.plan(model=str(models["int8"]))
    with pytest.raises(ModelFileError, match="changed the input or output"):
        compile_model(source, tmp_path / "coral")
    stand_in.plan(model=str(models["uint8"]))
    with pytest.raises(ModelFileError, match="without an Edge TPU operator"):
        compile_model(source, tmp_path / "coral")
    assert [path.suffix for path in (tmp_path / "coral").iterdir()] == [".log"]


def test_a_model_that_is_not_what_its_sidecar_says_is_not_compiled(
    source: Path, stand_in: StandIn, tmp_path: Path
) -> None:
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        compile_model(source, tmp_path / "coral")
    sidecar_path(source).unlink()
    with pytest.raises(ModelFileError, match="has no sidecar"):
        compile_model(source, tmp_path / "coral")


# ------------------------------------------------------------------------------------------------------------- the log's table

PUBLISHED = """Edge TPU Compiler version 15.0.340273435
Input: mnist4.tflite
Output: mnist4_edgetpu.tflite

Operator                       Count      Status

RESHAPE                        1          Mapped to Edge TPU
CONV_2D                        2          Mapped to Edge TPU
CONV_2D                        3          More than one subgraph is not supported
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
CUSTOM                         1          Operation is working on an unsupported data type
"""


def test_a_published_log_is_read() -> None:
    mapped, left = parse_log(PUBLISHED)
    assert mapped == {"RESHAPE": 1, "CONV_2D": 2}
    assert left == {"CONV_2D": 3, "QUANTIZE": 1, "CUSTOM": 1}


@given(
    st.dictionaries(st.sampled_from(sorted(SUPPORTED)), st.tuples(st.integers(1, 99), st.integers(0, 99)), min_size=1)
)
def test_any_table_reads_back(counts: dict[str, tuple[int, int]]) -> None:
    lines = ["Operator                       Count      Status", ""]
    for name, (on, off) in counts.items():
        lines.append(f"{name:<30} {on:<10} Mapped to Edge TPU")
        lines += [f"{name:<30} {off:<10} Operation not supported"] if off else []
    mapped, left = parse_log("\n".join(lines) + "\n")
    assert mapped == {name: on for name, (on, _) in counts.items()}
    assert left == {name: off for name, (_, off) in counts.items() if off}


@pytest.mark.parametrize("text", ["", "Operator Count Status\n", "RELU 1 Mapped to Edge TPU\n"])
def test_a_log_without_a_table_is_refused(text: str) -> None:
    with pytest.raises(CrackError, match="no table of operators"):
        parse_log(text)


def test_custom_operators_are_compared_under_one_name(data_root: Path) -> None:
    prediction = predict(data_root / "coral" / "posenet_mobilenet_v1_075_353_481_16_quant_decoder.tflite")
    mapped = Counter(placement.name for placement in prediction.placements if placement.mapped)
    assert compare(prediction, mapped, {"CUSTOM": 1}) == ()
    assert compare(prediction, mapped, {}) == ("CUSTOM: 0 of 1 predicted mapped, the compiler mapped 0 of 0",)


# ------------------------------------------------------------------------------------------------------------- at run time


@pytest.fixture
def compiled(source: Path) -> Path:
    """A compiled file with its sidecar."""
    path = source.with_name("tiny_edgetpu.tflite")
    path.write_bytes(compiled_twin(source.read_bytes()))
    write_sidecar(path, replace(read_sidecar(source), file=path.name, sha256=sha256_file(path)))
    return path


@pytest.mark.parametrize(
    ("litert", "text"),
    [
        (
            "Failed precondition: Package requires runtime version (14), which is newer than this runtime version (13)."
            "Node number 0 (edgetpu-custom-op) failed to prepare.",
            "install libedgetpu 16.0 or newer",
        ),
        (
            "Internal: Unsupported data type in custom op handler: 5105160Node number 2 (EdgeTpuDelegateForCustomOp) failed to "
            "prepare.",
            "was built for another LiteRT",
        ),
    ],
)
def test_a_libedgetpu_that_does_not_fit_is_named(
    litert: str, text: str, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    class Refusing:
        def __init__(self, **options: Any) -> None:
            assert options["experimental_delegates"]

        def allocate_tensors(self) -> None:
            raise RuntimeError(litert)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(interpreter, "load_delegate", lambda library: object())
    monkeypatch.setattr(interpreter, "Interpreter", Refusing)
    with pytest.raises(ModelFileError, match=text):
        Classifier(compiled, delegate="edgetpu")


def test_an_uncompiled_model_is_refused_although_xnnpack_takes_its_operators(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    class Idle(interpreter.Interpreter):
        """An Edge TPU that finds nothing to take and leaves the graph to XNNPACK, as libedgetpu does."""

        def __init__(self, **options: Any) -> None:
            options.pop("experimental_delegates")
            super().__init__(**options)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(interpreter, "load_delegate", lambda library: object())
    monkeypatch.setattr(interpreter, "Interpreter", Idle)
    with pytest.raises(ModelFileError, match=r"took no operator.*python -m tflite\.edgetpu compile"):
        Classifier(source, delegate="edgetpu")


def test_the_benchmark_says_what_is_missing_for_the_edgetpu(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ai_edge_litert import interpreter

    from tflite.benchmark import main as benchmark

    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    def unplugged(library: str) -> None:
        raise ValueError(f"Failed to load delegate from {library}\n")

    command = [str(compiled), "--delegate", "edgetpu", "--out", str(tmp_path / "benchmark")]
    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert benchmark(command) == 2
    assert "Install libedgetpu1-std" in capsys.readouterr().err
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(interpreter, "load_delegate", unplugged)
    assert benchmark(command) == 2
    assert "no Edge TPU answered" in capsys.readouterr().err


def test_check_runs_as_a_module_without_tensorflow(models: Models) -> None:
    program = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
        "from tflite.edgetpu import main; sys.exit(main(['check', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(models["uint8"])], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fully mapped" in done.stdout
