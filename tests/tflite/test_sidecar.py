"""Sidecars survive a round trip, refuse damage and contradiction, and integers decide what floats would."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_bytes
from tflite.metrics import sigmoid
from tflite.sidecar import (
    FORMAT,
    Golden,
    Sidecar,
    TensorSpec,
    Threshold,
    dequantise,
    golden_input,
    raw_threshold,
    read_sidecar,
    sidecar_path,
    verify_file,
    write_sidecar,
)

SCALE, ZERO = 0.0625, 3


def example(**changes: object) -> Sidecar:
    logit = -0.5
    sidecar = Sidecar(
        model="opnet",
        scheme="int8-qat",
        file="m.tflite",
        sha256=sha256_bytes(b"model"),
        image_size=8,
        labels=("no_crack", "crack"),
        hyperparameters={"filters": [32, 64], "dropout": 0.5},
        input=TensorSpec((1, 8, 8, 3), "uint8", 1 / 128, 128),
        output=TensorSpec((1, 1), "int8", SCALE, ZERO),
        threshold=Threshold(float(sigmoid(logit)), logit, raw_threshold(logit, SCALE, ZERO), 0.999, "val"),
        golden=Golden(12.0, 1.0),
        training={"dataset": "metu", "policy": "grouped", "seed": 0},
        metrics={"recall": 0.998},
        licence="CC-BY-4.0",
        versions={"python": "3.12"},
        git_revision=None,
        created="2025-01-01T00:00:00+00:00",
    )
    return replace(sidecar, **changes)  # type: ignore[arg-type]


def written(folder: Path, sidecar: Sidecar | None = None) -> Path:
    model = folder / "m.tflite"
    model.write_bytes(b"model")
    write_sidecar(model, sidecar or example())
    return model


def test_a_sidecar_reads_back_equal(tmp_path: Path) -> None:
    model = written(tmp_path)
    assert sidecar_path(model) == tmp_path / "m.tflite.json"
    assert read_sidecar(model) == example()
    assert json.loads(sidecar_path(model).read_text())["format"] == FORMAT


def test_a_float_sidecar_without_golden_reads_back_equal(tmp_path: Path) -> None:
    plain = example(
        scheme="keras",
        input=TensorSpec((1, 8, 8, 3), "float32", 0.0, 0),
        output=TensorSpec((1, 1), "float32", 0.0, 0),
        threshold=Threshold(0.5, 0.0, None, None, None),
        golden=None,
    )
    assert read_sidecar(written(tmp_path, plain)) == plain


def test_a_missing_sidecar_says_that_export_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no sidecar m\.tflite\.json.*crack-tf export"):
        read_sidecar(tmp_path / "m.tflite")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tflite.json").write_text('{"a": 1}')
    with pytest.raises(ModelFileError, match="not a model sidecar"):
        read_sidecar(tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("field", "value"),
    [("probability", 0.9), ("logit", 2.0), ("raw", -120)],
)
def test_an_edited_threshold_is_refused(tmp_path: Path, field: str, value: float) -> None:
    model = written(tmp_path)
    record = json.loads(sidecar_path(model).read_text())
    record["threshold"][field] = value
    sidecar_path(model).write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match="does not match its own sha256"):
        read_sidecar(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "int7"}, "scheme is 'int7'"),
        ({"image_size": 9}, "input.shape"),
        ({"input": TensorSpec((1, 8, 8, 3), "int16", 0.1, 0)}, "input.dtype"),
        ({"output": TensorSpec((1, 1), "float32", 0.1, 0)}, "output.scale"),
        ({"output": TensorSpec((1, 1), "int8", 0.0, 0)}, "output.scale"),
        ({"threshold": Threshold(0.9, 0.0, ZERO, None, None)}, "not the sigmoid"),
        ({"threshold": Threshold(0.5, 0.0, ZERO + 1, None, None)}, "threshold.raw"),
        ({"threshold": Threshold(0.5, 0.0, None, None, None)}, "threshold.raw"),
        ({"threshold": Threshold(0.5, cast(float, "zero"), ZERO, None, None)}, "threshold.logit"),
        ({"labels": "crack"}, "labels is not a list"),
        ({"metrics": {"recall": math.nan}}, "JSON"),
        ({"threshold": Threshold(1.0, math.inf, 128, None, None)}, "JSON"),
    ],
)
def test_contradictions_are_refused_when_written(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CrackError, match=message):
        written(tmp_path, example(**changes))
    assert not (tmp_path / "m.tflite.json").exists()


@pytest.mark.parametrize(
    "edit", [lambda r: r.pop("licence"), lambda r: r.update(extra=1), lambda r: r.update(image_size="8")]
)
def test_missing_unknown_and_mistyped_fields_are_refused(
    tmp_path: Path, edit: Callable[[dict[str, object]], object]
) -> None:
    model = written(tmp_path)
    record = json.loads(sidecar_path(model).read_text())
    edit(record)
    # The digest is made right again, so that the field itself has to be noticed.
    body = {key: value for key, value in record.items() if key not in ("format", "sidecar_sha256")}
    record["sidecar_sha256"] = sha256_bytes(json.dumps(body, sort_keys=True).encode())
    sidecar_path(model).write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match=r"missing or unknown|image_size is '8'"):
        read_sidecar(model)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = written(Path(folder))
        path = sidecar_path(model)
        content = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        with contextlib.suppress(ModelFileError):
            assert read_sidecar(model) == example()  # white space only


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.99))
def test_a_truncated_sidecar_is_refused(share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = written(Path(folder))
        path = sidecar_path(model)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * (len(content) - 1))])
        with pytest.raises(ModelFileError):
            read_sidecar(model)


def test_verify_accepts_the_file_and_refuses_another(tmp_path: Path) -> None:
    model = written(tmp_path)
    verify_file(model, read_sidecar(model))
    model.write_bytes(b"modem")
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        verify_file(model, read_sidecar(model))
    model.unlink()
    with pytest.raises(ModelFileError, match="cannot read model"):
        verify_file(model, read_sidecar(model))


def test_the_golden_input_never_changes() -> None:
    tile = golden_input(224)
    assert tile.shape == (224, 224, 3)
    assert tile.dtype == np.uint8
    # Golden outputs in sidecars already shipped depend on these bytes.
    assert (
        hashlib.sha256(tile.tobytes()).hexdigest() == "69910d31a2ad90b22735719daeb2561d2f11effafffca3c7525604518770679a"
    )
    assert tile.min() < 40
    assert tile.max() > 180
    assert golden_input(1).shape == (1, 1, 3)


@settings(max_examples=300, deadline=None)
@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.floats(2**-20, 8, width=32),
    zero=st.integers(-128, 255),
    logit=st.one_of(st.floats(-2000, 2000), st.sampled_from([math.inf, -math.inf, 0.0])),
)
def test_comparing_integers_equals_comparing_logits_for_every_output(
    dtype: str, scale: float, zero: int, logit: float
) -> None:
    limits = np.iinfo(dtype)
    outputs = np.arange(limits.min, limits.max + 1)
    raw = raw_threshold(logit, scale, zero, dtype)
    assert limits.min <= raw <= limits.max + 1
    np.testing.assert_array_equal(outputs >= raw, dequantise(outputs, scale, zero) >= np.float32(logit))


@settings(max_examples=200, deadline=None)
@given(scale=st.floats(2**-20, 8, width=32), zero=st.integers(-128, 127), output=st.integers(-128, 127))
def test_a_threshold_taken_from_an_output_keeps_that_output(scale: float, zero: int, output: int) -> None:
    assert raw_threshold(float(dequantise(output, scale, zero)), scale, zero) == output


def test_a_threshold_out_of_reach_calls_nothing_or_everything_a_crack() -> None:
    assert raw_threshold(1000.0, 0.1, 0) == 128
    assert raw_threshold(1000.0, 0.1, 0, "uint8") == 256
    assert raw_threshold(-1000.0, 0.1, 0) == -128
    assert raw_threshold(0.0, 0.1, 5) == 5
    assert raw_threshold(0.05, 0.1, 5) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((math.nan, 0.1, 0), "nan"), ((0.0, 0.0, 0), "scale 0.0"), ((0.0, 0.1, 0, "float32"), "'float32'")],
)
def test_thresholds_that_make_no_sense_are_refused(arguments: tuple[float, float, int], message: str) -> None:
    with pytest.raises(CrackError, match=message):
        raw_threshold(*arguments)
