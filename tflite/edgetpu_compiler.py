"""Coral's edgetpu_compiler, run on a model: the compiled file with its sidecar and log.

The compiler is closed, exists for x86-64 Linux only and works in a process of its own.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tflite.edgetpu_prediction import Prediction, compare, predict
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file, write_bytes, write_text
from tflite.graph import EDGETPU_OPERATOR, read_graph
from tflite.outputs import Output, check_file
from tflite.sidecar import Sidecar, read_sidecar, sidecar_path, verify_file, with_sidecar, write_sidecar

COMPILER = "edgetpu_compiler"
# The last release, July 2021; older ones refuse what today's converter writes (resizing, version 3).
COMPILER_MAJOR = 16
TIMEOUT_S = 180  # the compiler's own default
GRACE_S = 5  # the compiler ends itself when its time is up; this much later it is ended from here
_MAPPED = "Mapped to Edge TPU"
_ROW = re.compile(r"^([A-Z][A-Z0-9_]*) +(\d+) +(\S.*?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"Edge TPU Compiler version (\d+)((?:\.\d+)*)")
_HOW_TO_GET = (
    "It exists for x86-64 Linux only; install it there from Coral's apt repository (commands in "
    "https://coral.ai/docs/edgetpu/compiler/ and in the README), or use Coral's Colab notebook linked on that page."
)


@dataclass(frozen=True)
class Compiled:
    """What the real compiler did.

    Attributes:
        path: the compiled model.
        version: of the compiler, such as "16.0.384591198".
        mapped, left: operators by name, from the compiler's log.
        differences: where that is not what was predicted, one sentence each.
        memory: the compiler's lines about parameter memory.
    """

    path: Path
    version: str
    mapped: Counter[str]
    left: Counter[str]
    differences: tuple[str, ...]
    memory: tuple[str, ...]


def compile_model(
    path: str | Path, out: str | Path, *, timeout_s: int = TIMEOUT_S, overwrite: bool = False
) -> Compiled:
    """Compile a model with edgetpu_compiler from PATH and write it with its sidecar and log.

    Args:
        path: the int8 model, with its sidecar.
        out: folder for NAME_edgetpu.tflite, NAME_edgetpu.tflite.json and NAME_edgetpu.log.
        timeout_s: seconds the compiler may take, > 0.
        overwrite: replace what is there.

    Raises:
        CrackError: if the compiler is missing, too old, fails, takes too long or maps nothing, or a file exists. The log is
            kept whenever the compiler ran.
        ModelFileError: if the model is not what its sidecar says, is compiled already, or the compiled file is not sound.
    """
    path, out = Path(path), Path(out)
    sidecar = read_sidecar(path)
    verify_file(path, sidecar)
    prediction = predict(path)
    target = out / f"{path.stem}_edgetpu.tflite"
    log_path = target.with_suffix(".log")
    kind = Output("tflite.edgetpu compile", lambda _: with_sidecar(target))
    for file in (target, sidecar_path(target)):  # the log of a failed attempt is in nobody's way
        check_file(file, kind, overwrite, inputs=(path,))
    compiler = find_compiler()
    version = compiler_version(compiler)
    with tempfile.TemporaryDirectory(prefix="edgetpu-") as folder:
        # A copy: the compiler names its output after the file it opens, which a link would not decide.
        source = Path(folder) / "source" / path.name
        source.parent.mkdir()
        shutil.copyfile(path, source)
        output, failure = _run(_command(compiler, source, folder, timeout_s), timeout_s)
        log = Path(folder) / log_path.name
        table = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        write_text(log_path, f"{table}\n{output}" if table else output)
        compiled = Path(folder) / target.name
        if failure or not compiled.is_file() or not table:
            reason = failure or _last_words(output) or "it wrote no model and said nothing"
            raise CrackError(f"{COMPILER} did not compile {path}: {reason}. {_expected(prediction)}Log: {log_path}")
        mapped, left = parse_log(table)
        if not mapped:
            raise CrackError(f"{COMPILER} mapped no operator of {path}. {_expected(prediction)}Log: {log_path}")
        _check_compiled(compiled, path)
        record = _compiled_sidecar(sidecar, target.name, sha256_file(compiled), version)
        write_bytes(target, compiled.read_bytes())
    write_sidecar(target, record)
    memory = tuple(line for line in output.splitlines() if "-chip memory" in line)
    return Compiled(target, version, mapped, left, compare(prediction, mapped, left), memory)


def find_compiler() -> str:
    """Path of edgetpu_compiler.

    Raises:
        CrackError: if it is not on PATH, saying where it comes from.
    """
    found = shutil.which(COMPILER)
    if found is None:
        raise CrackError(f"{COMPILER} is not on PATH of this {platform.system()} {platform.machine()}. {_HOW_TO_GET}")
    return found


def compiler_version(compiler: str) -> str:
    """Version the compiler gives, such as "16.0.384591198".

    Raises:
        CrackError: if it does not answer as Coral's compiler does, or is older than 16.
    """
    output, failure = _run([compiler, "--version"], 30)
    match = _VERSION.search(output)
    if failure or match is None:
        raise CrackError(
            f'{compiler} --version answered "{_last_words(output) or failure or "nothing"}", expected "Edge TPU Compiler version '
            f'16...". {_HOW_TO_GET}'
        )
    if int(match[1]) < COMPILER_MAJOR:
        raise CrackError(
            f"{compiler} is version {match[1]}{match[2]}, at least {COMPILER_MAJOR}.0 is needed: older ones refuse operators of today's "
            "converter. Update it: sudo apt-get update && sudo apt-get install edgetpu-compiler"
        )
    return match[1] + match[2]


def parse_log(text: str) -> tuple[Counter[str], Counter[str]]:
    """Read the table of an operation log (NAME_edgetpu.log).

    Its lines read "CONV_2D    35    Mapped to Edge TPU", one for each operator and status.

    Returns:
        Operators by name: those mapped, those left on the CPU.

    Raises:
        CrackError: if there is no such table.
    """
    mapped: Counter[str] = Counter()
    left: Counter[str] = Counter()
    table = text.partition("Operator ")[2].partition("\n")[2]
    for name, count, status in _ROW.findall(table):
        (mapped if status == _MAPPED else left)[name] += int(count)
    if not mapped and not left:
        raise CrackError(f"the operation log of {COMPILER} has no table of operators. Is it the compiler of coral.ai?")
    return mapped, left


def _command(compiler: str, path: Path, folder: str, timeout_s: int) -> list[str]:
    # The option is given only when it is not the compiler's default: fewer ways for another version to disagree.
    limit = [] if timeout_s == TIMEOUT_S else ["--timeout_sec", str(timeout_s)]
    return [compiler, "--out_dir", folder, *limit, str(path)]


def _run(command: Sequence[str], timeout_s: int) -> tuple[str, str]:
    """Run a command; returns all it printed, and what went wrong or "".

    The compiler works in a child process of its own, so the whole process group is ended when time is up.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return "", f"it cannot be started ({error.strerror})"
    failure = ""
    try:
        output, _ = process.communicate(timeout=timeout_s + GRACE_S)
    except subprocess.TimeoutExpired:
        failure = f"it was stopped after {timeout_s + GRACE_S} s; give it more with --timeout"
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if not failure and process.returncode:
        failure = f"{_last_words(output) or 'no message'} (exit code {process.returncode})"
    return output, failure


def _last_words(output: str) -> str:
    """The compiler's own explanation: its error lines, or else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [
        line for line in lines if re.search(r"error|invalid|failed:|not quantized|could not", line, re.IGNORECASE)
    ]
    return "; ".join(telling or lines[-1:])[:400].rstrip(". ")


def _expected(prediction: Prediction) -> str:
    """What `check` has to say about a model that the compiler did not take."""
    if prediction.refused:
        return f"That was to be expected: {prediction.refused}. "
    return "" if prediction.mapped else "That was to be expected: see python -m tflite.edgetpu check. "


def _check_compiled(compiled: Path, source: Path) -> None:
    """Refuse a compiled file that does not take and give what the source does."""
    before, after = read_graph(source), read_graph(compiled)
    if (before.inputs, before.outputs) != (after.inputs, after.outputs):
        raise ModelFileError(
            f"{COMPILER} changed the input or output of {source}: {before.inputs} to {before.outputs}, "
            f"now {after.inputs} to {after.outputs}. Report it; nothing was written."
        )
    if not any(operator.name == EDGETPU_OPERATOR for operator in after.operators):
        raise ModelFileError(f"{COMPILER} wrote a file for {source} without an Edge TPU operator. Nothing was written.")


def _compiled_sidecar(sidecar: Sidecar, name: str, sha256: str, version: str) -> Sidecar:
    """The source's sidecar for the compiled file: another name and hash, and where it comes from.

    Threshold, golden answer and metrics stay those of the source. An Edge TPU that answers outside the golden answer's
    tolerance is refused when the model is loaded there; its own accuracy is for the benchmark to measure.
    """
    training = {**sidecar.training, "compiled_from": {"file": sidecar.file, "sha256": sidecar.sha256}}
    versions = {**sidecar.versions, COMPILER: version}
    return replace(sidecar, file=name, sha256=sha256, training=training, versions=versions)
