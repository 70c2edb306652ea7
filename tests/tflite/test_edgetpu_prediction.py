"""What the compiler is predicted to map: against its word on public models, on models of ours, and on random graphs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MadeOnce
from tests.quantised_models import CLASSIFIERS, write_ptq, write_qat
from tests.tflite.edgetpu_parts import compiled_twin, tensor
from tflite.edgetpu_ops import Node, read_nodes
from tflite.edgetpu_prediction import CACHE_BYTES, compare, predict, predict_nodes, validate
from tflite.errors import ModelFileError
from tflite.graph import read_flatbuffer

SIZE = 32
Models = dict[str, Path]


def test_every_public_coral_model_is_predicted_as_it_was_compiled(data_root: Path) -> None:
    rows = validate(data_root / "coral" / "mapping.csv")
    assert len(rows) == 8
    assert [row["model"] for row in rows if not row["agrees"]] == []


def test_a_compiled_model_is_not_taken_for_a_source(models: Models, tmp_path: Path) -> None:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_twin(models["uint8"].read_bytes()))
    with pytest.raises(ModelFileError, match="compiled for the Edge TPU already"):
        predict(path)


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
    prediction = predict_nodes(tuple(replace(n, version=1) if n.name == "TILE" else n for n in nodes))
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
    assert replace(prediction, parameter_bytes=CACHE_BYTES + 5).streamed_bytes == 5


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
    placements = predict_nodes(tuple(nodes)).placements
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


def test_custom_operators_are_compared_under_one_name(data_root: Path) -> None:
    prediction = predict(data_root / "coral" / "posenet_mobilenet_v1_075_353_481_16_quant_decoder.tflite")
    mapped = Counter(placement.name for placement in prediction.placements if placement.mapped)
    assert compare(prediction, mapped, {"CUSTOM": 1}) == ()
    assert compare(prediction, mapped, {}) == ("CUSTOM: 0 of 1 predicted mapped, the compiler mapped 0 of 0",)


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
        predict(path)
