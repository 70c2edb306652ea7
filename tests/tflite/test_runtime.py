"""The classifier answers as the interpreter does, decides in integers, and refuses every file that is not the exported one."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.metrics import sigmoid
from tflite.runtime import EDGETPU_LIBRARY, Classifier, Nodes, count_nodes
from tflite.sidecar import Golden, Sidecar, Threshold, golden_input, raw_threshold, read_sidecar, sidecar_path

NAMES = ("uint8", "int8", "float32")
Copy = Callable[[str], Path]
Edit = Callable[..., Sidecar]


def tiles(count: int, size: int = 32) -> np.ndarray:
    rng = np.random.default_rng(1)
    # Flat tiles of every brightness as well as noise, so that outputs spread over the range.
    flat = np.repeat(rng.integers(0, 256, (count, 1, 1, 3)), size, axis=1).repeat(size, axis=2)
    noise = rng.integers(-30, 31, (count, size, size, 3))
    return (flat + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_loads_and_answers(models: dict[str, Path], name: str) -> None:
    classifier = Classifier(models[name])
    assert classifier.image_size == 32
    assert classifier.sidecar == read_sidecar(models[name])
    images = tiles(4)
    logits = classifier.logits(images)
    assert logits.dtype == np.float32
    assert logits.shape == (4,)
    assert logits.tolist() == [classifier.logit(image) for image in images]
    assert len(set(logits.tolist())) > 1


def test_raw_pixels_give_quantised_models_the_logits_of_the_float_model(models: dict[str, Path]) -> None:
    images = tiles(24)
    expected = Classifier(models["float32"]).logits(images)
    spread = float(expected.max() - expected.min())
    for name in ("uint8", "int8"):
        found = Classifier(models[name]).logits(images)
        assert np.abs(found - expected).max() < 0.05 * spread, name


def test_logits_of_no_tiles_are_empty(models: dict[str, Path]) -> None:
    assert Classifier(models["uint8"]).logits(np.empty((0, 32, 32, 3), np.uint8)).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position", [0, 7, 15])
def test_decisions_equal_comparing_logits_even_at_a_threshold_taken_from_them(
    copied: Copy, edit_sidecar: Edit, name: str, position: int
) -> None:
    path = copied(name)
    images = tiles(16)
    logits = Classifier(path).logits(images)
    logit = float(np.sort(logits)[position])
    output = read_sidecar(path).output
    raw = raw_threshold(logit, output.scale, output.zero_point, output.dtype) if output.quantised else None
    edit_sidecar(path, threshold=Threshold(float(sigmoid(logit)), logit, raw, None, None))
    classifier = Classifier(path)
    decisions = [classifier.is_crack(image) for image in images]
    assert decisions == (logits >= logit).tolist()
    assert any(decisions)


def test_quantised_raw_outputs_are_integers_in_range(models: dict[str, Path]) -> None:
    classifier = Classifier(models["uint8"])
    for image in tiles(5):
        value = classifier.raw(image)
        assert value == int(value)
        assert -128 <= value <= 127
        output = classifier.sidecar.output
        assert classifier.logit(image) == pytest.approx(output.scale * (value - output.zero_point), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_xnnpack_takes_nodes_and_none_takes_none(models: dict[str, Path], name: str) -> None:
    fast, plain = Classifier(models[name], delegate="xnnpack"), Classifier(models[name], delegate="none")
    assert fast.nodes.delegates >= 1
    assert fast.nodes.remaining < fast.nodes.total
    assert plain.nodes.delegates == 0
    assert plain.nodes.remaining == plain.nodes.total
    assert plain.nodes.total == fast.nodes.total
    np.testing.assert_allclose(fast.logits(tiles(4)), plain.logits(tiles(4)), atol=0.1)


def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"op_name": name, "inputs": np.array(inputs), "outputs": np.array(outputs)}


def test_nodes_between_a_delegates_borders_count_as_taken() -> None:
    chain = [node("A", [0], [1]), node("B", [1], [2]), node("C", [2], [3]), node("D", [3], [4])]
    assert count_nodes(chain) == Nodes(total=4, delegates=0, remaining=4)
    middle = [*chain, node("DELEGATE", [1], [3])]  # B and C
    assert count_nodes(middle) == Nodes(total=4, delegates=1, remaining=2)
    ends = [*chain, node("DELEGATE", [0], [1]), node("DELEGATE", [3], [4])]
    assert count_nodes(ends) == Nodes(total=4, delegates=2, remaining=2)
    diamond = [node("A", [0], [1]), node("B", [0], [2]), node("C", [1, 2, -1], [3]), node("DELEGATE", [0], [3])]
    assert count_nodes(diamond) == Nodes(total=3, delegates=1, remaining=0)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"cannot read model .*absent\.tflite"):
        Classifier(tmp_path / "absent.tflite")
    with pytest.raises(ModelFileError, match="cannot read model"):
        Classifier(tmp_path)
    for name in ("b", "a"):
        (tmp_path / f"{name}.tflite").touch()
    with pytest.raises(
        ModelFileError, match=r"absent\.tflite: No such file or directory\. In .*: a\.tflite, b\.tflite\."
    ):
        Classifier(tmp_path / "absent.tflite")


def test_an_empty_model_is_refused(copied: Copy) -> None:
    path = copied("uint8")
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="empty"):
        Classifier(path)


def test_a_model_without_sidecar_says_that_export_writes_one(copied: Copy) -> None:
    path = copied("uint8")
    sidecar_path(path).unlink()
    with pytest.raises(ModelFileError, match="export"):
        Classifier(path)
    with pytest.raises(ModelFileError, match="export"):
        Classifier(path, trust=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_bit_is_refused_before_the_interpreter_sees_it(copied: Copy, data: st.DataObject) -> None:
    path = copied("uint8")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        Classifier(path)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.01, 0.99))
def test_a_truncated_model_is_refused(copied: Copy, share: float) -> None:
    path = copied("uint8")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        Classifier(path)


def test_what_litert_refuses_is_reported_as_a_model_error(copied: Copy) -> None:
    path = copied("uint8")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"LiteRT cannot load .*tiny-uint8\.tflite"):
        Classifier(path, trust=True)


def test_a_sidecar_of_another_model_is_refused(models: dict[str, Path], copied: Copy) -> None:
    path = copied("uint8")
    shutil.copy(sidecar_path(models["int8"]), sidecar_path(path))
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        Classifier(path)
    with pytest.raises(ModelFileError, match=r"the input is uint8 .* its sidecar says int8"):
        Classifier(path, trust=True)


def test_other_output_quantisation_than_the_sidecar_says_is_refused(copied: Copy, edit_sidecar: Edit) -> None:
    path = copied("uint8")
    output = read_sidecar(path).output
    wrong = replace(output, zero_point=output.zero_point + 1)
    logit = 0.125
    threshold = Threshold(float(sigmoid(logit)), logit, raw_threshold(logit, wrong.scale, wrong.zero_point), None, None)
    edit_sidecar(path, output=wrong, threshold=threshold)
    with pytest.raises(ModelFileError, match="the output is int8"):
        Classifier(path)


def test_a_wrong_golden_answer_is_refused(copied: Copy, edit_sidecar: Edit) -> None:
    path = copied("uint8")
    golden = read_sidecar(path).golden
    assert golden is not None
    edit_sidecar(path, golden=Golden(golden.output + 2 * golden.tolerance + 1, golden.tolerance))
    with pytest.raises(ModelFileError, match=r"golden tile with delegate 'xnnpack'.* try delegate \"none\""):
        Classifier(path)
    with pytest.raises(
        ModelFileError, match=r"golden tile with delegate 'none'.* hangs on how kernels round.* Train it"
    ):
        Classifier(path, delegate="none")


def test_a_sidecar_without_golden_answer_loads(copied: Copy, edit_sidecar: Edit) -> None:
    path = copied("uint8")
    edit_sidecar(path, golden=None)
    classifier = Classifier(path)
    assert -128 <= classifier.raw(golden_input(32)) <= 127


def test_trust_skips_only_the_hash(copied: Copy, edit_sidecar: Edit) -> None:
    path = copied("uint8")
    edit_sidecar(path, sha256="0" * 64)
    with pytest.raises(ModelFileError, match="sha256"):
        Classifier(path)
    assert Classifier(path, trust=True).image_size == 32
    assert sha256_file(path) != "0" * 64


@pytest.mark.parametrize(
    "tile",
    [
        np.zeros((32, 32, 3), np.float32),
        np.zeros((31, 32, 3), np.uint8),
        np.zeros((32, 32), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
    ],
)
def test_a_tile_of_another_shape_or_type_is_refused(models: dict[str, Path], tile: np.ndarray) -> None:
    with pytest.raises(CrackError, match=r"uint8 of shape \(32, 32, 3\)"):
        Classifier(models["uint8"]).raw(tile)


def test_bad_threads_and_delegates_are_refused(models: dict[str, Path]) -> None:
    with pytest.raises(CrackError, match="threads must be at least 1, got 0"):
        Classifier(models["uint8"], threads=0)
    with pytest.raises(CrackError, match=r"'gpu'.*xnnpack, none, edgetpu"):
        Classifier(models["uint8"], delegate="gpu")


def has_edgetpu() -> bool:
    try:
        ctypes.CDLL(EDGETPU_LIBRARY)
    except OSError:
        return False
    return True


@pytest.mark.skipif(has_edgetpu(), reason="the Edge TPU library is installed here")
def test_a_missing_edgetpu_library_says_how_to_install_it(
    models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CrackError, match=r"libedgetpu\.so\.1 cannot be loaded.*libedgetpu1-std"):
        Classifier(models["uint8"], delegate="edgetpu")
    assert "Exception ignored" not in capfd.readouterr().err


def test_a_missing_edgetpu_stick_is_told_apart_from_a_missing_library(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    def no_stick(library: str) -> None:
        raise ValueError(f"Failed to load delegate from {library}\n")

    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(interpreter, "load_delegate", no_stick)
    with pytest.raises(CrackError, match="no Edge TPU answered"):
        Classifier(models["uint8"], delegate="edgetpu")


def test_a_model_not_compiled_for_the_edgetpu_is_refused(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    class Idle(interpreter.Interpreter):
        """An Edge TPU that finds nothing to take."""

        def __init__(self, **options: Any) -> None:
            options.pop("experimental_delegates")
            options["experimental_op_resolver_type"] = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            super().__init__(**options)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(interpreter, "load_delegate", lambda library: object())
    monkeypatch.setattr(interpreter, "Interpreter", Idle)
    with pytest.raises(ModelFileError, match="edgetpu_compiler"):
        Classifier(models["uint8"], delegate="edgetpu")
