"""An export's configuration and what it leaves: impossible values are named, options give it back, results are read from disk."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crack_tf
from crack_tf.export import chosen_schemes, make_config, make_parser
from crack_tf.quantisation.config import MEASURE_SPLITS, ExportConfig, ExportResult
from tflite.convert import FLOAT_SCHEMES, INPUT_DTYPES, SCHEMES
from tflite.errors import CrackError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "int4"}, "--scheme 'int4': choose one of float32"),
        ({"input_dtype": "float32"}, "--input-dtype 'float32': choose one of uint8"),
        ({"measure_split": "train"}, "--measure-split 'train': choose one of val, test"),
        ({"calibration_samples": 0}, "--calibration-samples 0: give a whole number from 1"),
        ({"qat_steps": 0}, "--qat-steps 0: give a whole number from 1"),
        ({"qat_epochs": None}, "--qat-epochs None: give a whole number from 1"),
        ({"qat_learning_rate": 0}, "--qat-learning-rate 0: give a number above 0"),
        ({"max_f1_drop": 101}, "--max-f1-drop 101: give points from 0 to 100"),
        ({"max_recall_drop": float("nan")}, "--max-recall-drop nan: give points"),
        ({"policy": "random"}, "--policy 'random'"),
        ({"second_view": 1}, "--second-view 1: give a whole number of pixels from 2 to 9, or 0"),
        ({"second_view": 10}, "--second-view 10: give"),
        ({"seed": -1}, "--seed -1: give a whole number from 0"),
    ],
)
def test_an_impossible_value_is_named_as_its_option(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CrackError) as caught:
        ExportConfig(**changes)
    assert message in str(caught.value)


_COUNTS = st.integers(1, 5000)
CONFIGS = st.builds(
    ExportConfig,
    scheme=st.sampled_from(SCHEMES),
    edge_tpu=st.booleans(),
    input_dtype=st.sampled_from(INPUT_DTYPES),
    second_view=st.just(0) | st.integers(2, 9),
    data=st.sampled_from(("", "metu", "my walls.csv")),
    policy=st.none() | st.just("plain"),
    calibration_samples=_COUNTS,
    qat_steps=st.none() | _COUNTS,
    qat_learning_rate=st.floats(1e-9, 1),
    measure_split=st.sampled_from(MEASURE_SPLITS),
    max_recall_drop=st.floats(0, 100),
    threads=st.none() | st.integers(1, 8),
    seed=st.integers(0, 99),
)


@given(CONFIGS)
def test_the_options_of_a_configuration_give_it_back(config: ExportConfig) -> None:
    args = make_parser().parse_args(config.options())
    floats = [name for name in FLOAT_SCHEMES if getattr(args, name)]
    (scheme,) = chosen_schemes(floats, args.int8, args.ptq)
    assert replace(make_config(args), scheme=scheme) == config


def test_a_usual_export_is_typed_with_one_option() -> None:
    assert ExportConfig().options() == ["--int8"]
    assert ExportConfig(scheme="int8-ptq", edge_tpu=True).options() == ["--int8", "--ptq", "--edge-tpu"]


def test_export_is_called_by_the_packages_name_and_gives_a_result_that_knows_its_figures(
    tiny_run: Path, tmp_path: Path
) -> None:
    config = crack_tf.ExportConfig(scheme="float32", measure_split="val")
    result = crack_tf.export(tiny_run, config, tmp_path)
    assert result.file == tmp_path / "opnet-float32.tflite"
    assert result.sidecar.scheme == "float32"
    assert result.comparison.as_dict() == result.sidecar.metrics["comparison"]
    assert result.comparison.recall_drop == 0
    assert "float32" in result.card.read_text()
    assert crack_tf.load(result).predict(np.full((64, 64, 3), 150, np.uint8)).model == "opnet-float32"
    assert importlib.import_module("crack_tf.export") is crack_tf.export
    with pytest.raises(CrackError, match="exists already"):
        crack_tf.export(tiny_run, config, out=tmp_path)
    assert crack_tf.export(tiny_run, config, tmp_path, resume=True) == result


def test_a_model_name_with_a_dot_keeps_its_parts_together() -> None:
    result = ExportResult(Path("out/mobilenet_v1.5-int8-ptq.tflite"))
    assert result.part(".comparison.json") == Path("out/mobilenet_v1.5-int8-ptq.comparison.json")
