"""The command line about Coral's Edge TPU, and compiled models where there is none."""

from __future__ import annotations

import csv
import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tflite.edgetpu_parts import compiled_twin
from tflite import edgetpu
from tflite.edgetpu import main
from tflite.edgetpu_prediction import CACHE_BYTES, predict, validate
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.runtime import Classifier
from tflite.sidecar import read_sidecar, write_sidecar

ROOT = Path(__file__).resolve().parents[2]
Models = dict[str, Path]


def test_the_stored_comparison_is_what_the_predictor_gives(data_root: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "prediction.csv"
    assert main(["validate", str(data_root / "coral" / "mapping.csv"), "--out", str(fresh)]) == 0
    assert fresh.read_text() == (ROOT / "results" / "coral" / "prediction.csv").read_text()


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
    prediction = replace(predict(models["uint8"]), parameter_bytes=CACHE_BYTES + 1000)
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


@pytest.fixture
def source(copied: Callable[[str], Path]) -> Path:
    return copied("uint8")


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
