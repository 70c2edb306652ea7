"""Parameters, multiply-accumulates and activations against numbers worked out by hand or published."""

from __future__ import annotations

import contextlib
import itertools
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.errors import ModelFileError
from tflite.graph import read_graph
from tflite.sidecar import read_sidecar


@pytest.mark.parametrize("name", ["uint8", "int8", "float32"])
def test_the_tiny_model_counts_as_worked_out_by_hand(models: dict[str, Path], name: str) -> None:
    graph = read_graph(models[name])
    # conv 3x3x3x8 stride 2 (32 -> 16), depthwise 3x3x8, linear 8 -> 1; (the division and offset are two more constants)
    assert graph.macs == 16 * 16 * 8 * 27 + 16 * 16 * 8 * 9 + 8
    assert graph.activations == 16 * 16 * 8 + 16 * 16 * 8 + 1
    assert 0 <= graph.parameters - (3 * 3 * 3 * 8 + 8 + 3 * 3 * 8 + 8 + 8 + 1) <= 8
    assert graph.file_bytes == models[name].stat().st_size
    assert graph.inputs == (read_sidecar(models[name]).input,)
    assert graph.outputs == (read_sidecar(models[name]).output,)
    counted = [operator.name for operator in graph.operators if operator.macs]
    assert counted == ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]


def convert(forward: Any, *shape: int) -> bytes:
    tf = pytest.importorskip("tensorflow")
    function = tf.function(forward).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


def test_a_transposed_convolution_counts_every_input_times_its_kernel(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    kernel = tf.random.normal((3, 3, 5, 4))
    path = tmp_path / "m.tflite"
    path.write_bytes(convert(lambda x: tf.nn.conv2d_transpose(x, kernel, (1, 16, 16, 5), 2), 1, 8, 8, 4))
    graph = read_graph(path)
    assert graph.macs == 8 * 8 * 4 * 3 * 3 * 5
    assert graph.activations == 16 * 16 * 5
    assert graph.parameters - 3 * 3 * 5 * 4 in (0, 5)  # the converter may add a bias of zeros


def test_a_grouped_convolution_counts_its_own_channels_only(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    kernel = tf.random.normal((3, 3, 4, 16))  # 8 channels in two groups
    path = tmp_path / "m.tflite"
    path.write_bytes(convert(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), 1, 8, 8, 8))
    assert read_graph(path).macs == 8 * 8 * 16 * 9 * 4


def test_opnet_needs_740_million_multiplications(tmp_path: Path) -> None:
    """The study's table; batch normalisation is folded, so its 960 scales and shifts are gone."""
    tf = pytest.importorskip("tensorflow")
    channels = (3, 32, 64, 128, 256)
    kernels = [tf.zeros((3, 3, a, b)) + 0.01 for a, b in itertools.pairwise(channels)]
    offsets = [tf.range(b, dtype=tf.float32) for b in channels[1:]]  # different, lest the converter merge them
    head = tf.range(256, dtype=tf.float32)[:, None]

    def forward(x: Any) -> Any:
        for kernel, offset in zip(kernels, offsets, strict=True):
            x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + offset), 2, 2, "VALID")
        return tf.matmul(tf.reduce_mean(x, [1, 2]), head) + 1.0

    path = tmp_path / "opnet.tflite"
    path.write_bytes(convert(forward, 1, 224, 224, 3))
    graph = read_graph(path)
    assert graph.macs == 736_985_344
    # The study's 740 M counts the addition of the bias too, once per output element.
    assert (graph.macs + graph.activations) / 1e6 == pytest.approx(740.0, abs=0.01)
    assert graph.parameters == 389_633 - 960


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [  # published by the MobileNetV1 authors: 14 M and 0.47 M, 233 M and 2.59 M (192 px); the extractor lacks the last layer
        ("mobilenet_v1_0.25_128_quant", 13.6e6, 0.47e6),
        ("mobilenet_v1_0.75_192_quant", 239e6, 2.59e6),
        ("mobilenet_v1_1.0_224_quant_embedding_extractor", 568e6, 3.2e6),
    ],
)
def test_published_mobilenets_count_as_published(data_root: Path, name: str, macs: float, parameters: float) -> None:
    graph = read_graph(data_root / "coral" / f"{name}.tflite")
    assert graph.macs == pytest.approx(macs, rel=0.01)
    assert graph.parameters == pytest.approx(parameters, rel=0.01)


def test_every_public_coral_model_is_read(data_root: Path) -> None:
    import csv

    with (data_root / "coral" / "mapping.csv").open() as stream:
        for row in csv.DictReader(stream):
            graph = read_graph(data_root / "coral" / row["model"])
            assert len(graph.operators) == int(row["operators"])
            assert graph.macs > 0
    names = {operator.name for operator in read_graph(data_root / "coral" / row["model"]).operators}
    assert "CUSTOM:PosenetDecoderOp" in names


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot read model"):
        read_graph(tmp_path / "absent.tflite")
    (tmp_path / "m.tflite").write_bytes(b"PK\3\4 something else")
    with pytest.raises(ModelFileError, match=r"not a \.tflite file"):
        read_graph(tmp_path / "m.tflite")
    (tmp_path / "m.tflite").write_bytes(struct.pack("<I", 10_000) + b"TFL3")
    with pytest.raises(ModelFileError, match="is damaged"):
        read_graph(tmp_path / "m.tflite")


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_truncated_model_is_refused_or_read(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    content = models["uint8"].read_bytes()
    path = tmp_path_factory.mktemp("cut") / "m.tflite"
    path.write_bytes(content[: int(share * len(content))])
    with contextlib.suppress(ModelFileError):  # and nothing else
        read_graph(path)  # the tail of a file may be padding or a weight nobody counts
