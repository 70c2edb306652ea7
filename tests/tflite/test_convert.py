"""Every registered model in every scheme: the file answers as the float model does, from raw bytes."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crack_tf.models import build_model
from crack_tf.models.keras_models import predict_logits
from tests.conftest import MadeOnce
from tests.quantised_models import (
    CLASSIFIERS,
    HYPERPARAMETERS,
    SIZE,
    build_pair,
    correlation,
    make_tiles,
    predict,
    run_tflite,
    write_ptq,
)
from tflite import convert, qat
from tflite.errors import CrackError
from tflite.graph import Graph, Operator, read_graph
from tflite.looks import cut_looks
from tflite.sidecar import TensorSpec

pytest.importorskip("tensorflow")


@cache
def float_file(name: str, scheme: str) -> bytes:
    """The .tflite file of a registered model in a scheme of floats."""
    return convert.convert_float(build_pair(name)[0], scheme)


@pytest.mark.parametrize(("scheme", "tolerance"), [("float32", 1e-4), ("float16", 0.05), ("dynamic", 0.3)])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_float_schemes_take_raw_pixels_and_answer_like_keras(
    name: str, scheme: str, tolerance: float, tmp_path: Path
) -> None:
    raw, _, _ = build_pair(name)
    tiles = make_tiles(32)
    expected = predict(raw, tiles)
    data = float_file(name, scheme)
    graph = convert.write_model(tmp_path / "m.tflite", data)
    assert graph.inputs[0] == TensorSpec((1, SIZE, SIZE, 3), "float32", 0.0, 0)
    assert np.abs(run_tflite(data, tiles) - expected).max() <= tolerance * np.abs(expected - expected.mean()).max()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_ptq_takes_raw_bytes_with_scale_one_over_128(name: str, made_once: MadeOnce) -> None:
    files = made_once(f"ptq-{name}", partial(write_ptq, name))
    raw, _, _ = build_pair(name)
    tiles = make_tiles(32)
    answers = []
    for dtype in convert.INPUT_DTYPES:
        data = (files / f"{dtype}.tflite").read_bytes()
        graph = read_graph(files / f"{dtype}.tflite")
        convert.check_int8(graph, dtype)
        assert graph.inputs[0].scale == 1 / 128
        answers.append(run_tflite(data, tiles))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert correlation(answers[0], predict(raw, tiles)) > 0.95


@pytest.mark.parametrize("scheme", ["float32", "int8-ptq", "int8-qat"])
def test_a_file_that_looks_twice_answers_with_the_mean_of_tile_and_blurred_tile(scheme: str, tmp_path: Path) -> None:
    raw, normalised, weights = build_pair("opnet_lite")
    tiles, calibration = make_tiles(24), make_tiles(40, seed=1)
    expected = predict_logits(raw, tiles, second_view=3)
    assert correlation(expected, predict(raw, tiles)) < 0.9999
    if scheme == "float32":
        once, twice = (convert.convert_float(raw, scheme, second_view) for second_view in (0, 3))
        np.testing.assert_allclose(run_tflite(twice, tiles), expected, atol=1e-4 * np.ptp(expected))
        assert len(twice) < 1.2 * len(once)  # the weights are there once
    elif scheme == "int8-ptq":
        once, twice = (convert.convert_ptq(normalised, calibration, second_view=view) for view in (0, 3))
    else:
        pytest.importorskip("tensorflow_model_optimization")

        def build(keras: Any) -> Any:
            return build_model("opnet_lite", keras, image_size=SIZE, raw_pixels=False, **HYPERPARAMETERS["opnet_lite"])

        twin = qat.build_twin(build, weights, calibration)
        once, twice = (convert.convert_qat(twin, second_view=view) for view in (0, 3))
    first, second = (convert.write_model(tmp_path / f"{len(data)}.tflite", data) for data in (once, twice))
    assert second.macs == 2 * first.macs + 2 * 3 * SIZE * SIZE * 3  # the blur, along rows and down columns
    parts = cut_looks(tmp_path / f"{len(twice)}.tflite")
    assert parts is not None
    assert (
        correlation(run_tflite(parts[0], tiles), run_tflite(once, tiles)) > 0.99
    )  # of int8 the logit's range may differ
    if scheme != "float32":
        convert.check_int8(second)
        assert correlation(run_tflite(twice, tiles), expected) > 0.95
        assert "MUL" not in {operator.name for operator in second.operators}  # pooling takes the mean


def test_smaller_files_for_smaller_schemes() -> None:
    float32, float16, dynamic = (len(float_file("mobilenet_v2", scheme)) for scheme in convert.FLOAT_SCHEMES)
    assert float32 > 1.7 * float16 > 1.4 * dynamic


def test_ptq_without_calibration_tiles_is_refused() -> None:
    with pytest.raises(CrackError, match="at least one tile, got 0"):
        convert.convert_ptq(None, make_tiles(1)[:0])


def test_ptq_on_blank_tiles_is_refused() -> None:
    with pytest.raises(CrackError, match="all 3 calibration tiles are blank"):
        convert.convert_ptq(None, np.full((3, SIZE, SIZE, 3), 7, np.uint8))


def test_unknown_scheme_and_input_dtype_are_refused() -> None:
    with pytest.raises(CrackError, match="'float8': choose one of float32"):
        convert.convert_float(None, "float8")
    _, normalised, _ = build_pair("opnet")
    with pytest.raises(CrackError, match="'int16': choose one of uint8, int8"):
        convert.convert_ptq(normalised, make_tiles(2), "int16")


def test_model_with_normalisation_inside_fails_the_int8_check(tmp_path: Path) -> None:
    """Were the wrong twin converted, the device would feed it pixels it normalises a second time."""
    raw, _, _ = build_pair("opnet")
    graph = convert.write_model(tmp_path / "m.tflite", convert.convert_float(raw, "float32"))
    with pytest.raises(CrackError, match="raw pixels need uint8"):
        convert.check_int8(graph)


def test_float_parts_fail_the_int8_check() -> None:
    pixels, logit = TensorSpec((1, 4, 4, 3), "uint8", 1 / 128, 128), TensorSpec((1, 1), "int8", 0.1, 0)
    stray = Operator("DEQUANTIZE", (TensorSpec((1, 4, 4, 3), "float32", 0.0, 0),), 0, 0)
    with pytest.raises(CrackError, match="DEQUANTIZE stayed in float"):
        convert.check_int8(Graph((pixels,), (logit,), (stray,), 0, 0))
    with pytest.raises(CrackError, match="output is float32"):
        convert.check_int8(Graph((pixels,), (stray.outputs[0],), (), 0, 0))


def test_model_that_cannot_be_converted_says_so() -> None:
    import keras
    import tensorflow as tf

    class Odd(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.raw_ops.Betainc(a=x, b=x, x=x)

    inputs = keras.Input((4, 4, 3))
    with pytest.raises(CrackError, match="cannot convert this model"):
        convert.convert_float(keras.Model(inputs, Odd()(inputs)), "float32")


@given(arrays(np.uint8, (2, 4, 4, 3), elements=st.integers(0, 255)).filter(lambda t: any(np.ptp(x) > 0 for x in t)))
def test_stretched_tile_spans_all_bytes_and_keeps_their_order(tiles: np.ndarray) -> None:
    stretched = convert.stretch_contrast(tiles)
    assert (stretched.min(), stretched.max()) == (0, 255)
    source = max(tiles, key=lambda tile: int(tile.max()) - int(tile.min()))
    order = np.argsort(source, axis=None, kind="stable")
    assert np.all(np.diff(stretched.reshape(-1)[order].astype(int)) >= 0)


def test_written_model_reads_back_and_leaves_no_other_file(tmp_path: Path) -> None:
    raw, _, _ = build_pair("opnet")
    path = tmp_path / "m.tflite"
    assert convert.write_model(path, convert.convert_float(raw, "float32")) == read_graph(path)
    assert [child.name for child in tmp_path.iterdir()] == ["m.tflite"]
