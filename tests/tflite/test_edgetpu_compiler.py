"""Coral's compiler, played by a stand-in: what it writes is checked, what it says is passed on, and it is stopped in time."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite.edgetpu_parts import compiled_twin
from tflite import edgetpu_compiler
from tflite.edgetpu import main
from tflite.edgetpu_compiler import compile_model, parse_log
from tflite.edgetpu_ops import SUPPORTED
from tflite.edgetpu_prediction import predict
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.runtime import Classifier
from tflite.sidecar import read_sidecar, sidecar_path

VERSION = "16.0.384591198"
Models = dict[str, Path]


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
    monkeypatch.setattr(edgetpu_compiler, "GRACE_S", 0)
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
