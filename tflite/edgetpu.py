"""Coral Edge TPU: predict what its compiler maps, compile with the real one, and compare the two.

    python -m tflite.edgetpu check opnet-int8-qat.tflite
    python -m tflite.edgetpu compile opnet-int8-qat.tflite --out coral
    python -m tflite.edgetpu validate coral-models/mapping.csv --out results/coral/prediction.csv

`check` needs the model file only. It judges every operator alone (`tflite.edgetpu_ops`) and then cuts the graph as the
compiler does: into one subgraph. What waits for an operator that stays on the CPU stays there too, although it is supported
(https://coral.ai/docs/edgetpu/models-intro/#compiling). Exit code 0: every operator of every model is mapped; 2: not.

`compile` runs edgetpu_compiler, which exists for x86-64 Linux only, and writes NAME_edgetpu.tflite with its sidecar and log.
Exit code 0: there is a compiled file. When it is mapped in part only, or otherwise than predicted, it says so.

Agreement with the compiler on Coral's public models is in results/coral.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tflite import edgetpu_ops as ops
from tflite.cli import EXIT_USER_ERROR, Parser, named_path, positive_int, run_main
from tflite.errors import CrackError, ModelFileError
from tflite.files import csv_rows, sha256_file, write_bytes, write_csv, write_json, write_text
from tflite.graph import EDGETPU_OPERATOR, read_flatbuffer, read_graph
from tflite.outputs import Output, check_file, csv_with, json_with
from tflite.sidecar import Sidecar, read_sidecar, sidecar_path, verify_file, with_sidecar, write_sidecar

FORMAT = "crack_tf.edgetpu/1"
COMPILER = "edgetpu_compiler"
COMPILER_MAJOR = (
    16  # the last release, July 2021; older ones refuse what today's converter writes (resizing, version 3)
)
# "Roughly 8 MB of SRAM that can cache the model's parameter data" (coral.ai/docs/edgetpu/compiler). The compiler reports up to
# 8.05 MiB free for small models and 6.9 to 7.7 MiB for larger ones, whose code takes the rest.
CACHE_BYTES = 8 * 2**20
TIMEOUT_S = 180  # the compiler's own default
GRACE_S = 5  # the compiler ends itself when its time is up; this much later it is ended from here
_MAPPED = "Mapped to Edge TPU"
_VALIDATED = ("model", "operators", "mapped", "predicted_mapped", "left", "predicted_left", "agrees")
_REFUSED = "the compiler refuses the file"
_ROW = re.compile(r"^([A-Z][A-Z0-9_]*) +(\d+) +(\S.*?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"Edge TPU Compiler version (\d+)((?:\.\d+)*)")
_HOW_TO_GET = (
    "It exists for x86-64 Linux only; install it there from Coral's apt repository (commands in "
    "https://coral.ai/docs/edgetpu/compiler/ and in the README), or use Coral's Colab notebook linked on that page."
)


@dataclass(frozen=True)
class Placement:
    """Where one operator is predicted to run.

    Attributes:
        number: position in the file.
        name: LiteRT's name.
        mapped: whether it goes to the Edge TPU.
        reason: why it does not; "" when it does.
        caution: for a mapped one, what may still keep it away; usually "".
    """

    number: int
    name: str
    mapped: bool
    reason: str
    caution: str


@dataclass(frozen=True)
class Prediction:
    """What the compiler is predicted to do with a model.

    Attributes:
        placements: one per operator, in execution order.
        refused: why the compiler would refuse the whole file, or "".
        parameter_bytes: weights and biases of the mapped operators.
    """

    placements: tuple[Placement, ...]
    refused: str
    parameter_bytes: int

    @property
    def mapped(self) -> int:
        """How many operators go to the Edge TPU."""
        return sum(placement.mapped for placement in self.placements)

    @property
    def verdict(self) -> str:
        """ "full", "part" or "none" of the operators mapped."""
        return "none" if not self.mapped else "full" if self.mapped == len(self.placements) else "part"

    @property
    def left(self) -> Counter[str]:
        """Operators left on the CPU, counted by name."""
        return Counter(placement.name for placement in self.placements if not placement.mapped)

    @property
    def streamed_bytes(self) -> int:
        """Parameters that do not fit into the cache and cross the USB cable for every inference."""
        return max(0, self.parameter_bytes - CACHE_BYTES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": self.verdict,
            "refused": self.refused,
            "operators": len(self.placements),
            "mapped": self.mapped,
            "parameter_bytes": self.parameter_bytes,
            "cache_bytes": CACHE_BYTES,
            "streamed_bytes": self.streamed_bytes,
            "placements": [vars(placement) for placement in self.placements],
        }


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


def predict(path: str | Path) -> Prediction:
    """Predict what edgetpu_compiler 16.0 does with a .tflite file, with its default options.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read, is no .tflite file, or is compiled for the Edge TPU already.
    """

    def read(model: Any, file_bytes: int) -> Prediction:
        return _predict(ops.read_nodes(model))

    prediction = read_flatbuffer(path, read)
    if any(placement.name == EDGETPU_OPERATOR for placement in prediction.placements):
        raise ModelFileError(f"{path} is compiled for the Edge TPU already. Give the file it was compiled from.")
    return prediction


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


def compare(prediction: Prediction, mapped: Mapping[str, int], left: Mapping[str, int]) -> tuple[str, ...]:
    """Where a prediction and the compiler's table differ: one sentence for each kind of operator, none when they agree.

    The table counts all custom operators as "CUSTOM".
    """
    predicted = Counter(_log_name(placement.name) for placement in prediction.placements if placement.mapped)
    total = Counter(_log_name(placement.name) for placement in prediction.placements)
    return tuple(
        f"{name}: {predicted[name]} of {total[name]} predicted mapped, the compiler mapped {mapped.get(name, 0)} of "
        f"{mapped.get(name, 0) + left.get(name, 0)}"
        for name in sorted({*total, *mapped, *left})
        if (predicted[name], total[name]) != (mapped.get(name, 0), mapped.get(name, 0) + left.get(name, 0))
    )


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


def validate(mapping: str | Path) -> list[dict[str, Any]]:
    """Compare predictions with what the compiler really did.

    Args:
        mapping: CSV with the columns model (file beside the CSV), operators, mapped and left_on_cpu ("CONV_2Dx2;ARG_MAXx1").

    Returns:
        One row per model: the file's name, counts, and whether the same operators are left on the CPU.

    Raises:
        CrackError: if the CSV cannot be read or lacks a column.
        ModelFileError: if a model cannot be read.
    """
    mapping = Path(mapping)
    try:
        with mapping.open(newline="", encoding="utf-8") as stream:
            listed = [
                (line["model"], int(line["operators"]), int(line["mapped"]), line["left_on_cpu"])
                for line in csv_rows(stream)
            ]
    except OSError as error:
        raise CrackError(f"cannot read {mapping}: {error.strerror}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CrackError(
            f"{mapping} is not a table of compiled models ({error}): columns model, operators, mapped, left_on_cpu."
        ) from None
    rows = []
    for model, operators, mapped, left in listed:
        prediction = predict(mapping.parent / model)
        real = Counter(dict(_counted(item) for item in left.split(";") if item))
        rows.append(
            {
                "model": model,
                "operators": operators,
                "mapped": mapped,
                "predicted_mapped": prediction.mapped,
                "left": _listed(real),
                "predicted_left": _listed(prediction.left),
                "agrees": (len(prediction.placements), prediction.left) == (operators, real),
            }
        )
    return rows


def make_parser() -> argparse.ArgumentParser:
    """Command line of `python -m tflite.edgetpu`."""
    parser = Parser(prog="python -m tflite.edgetpu", description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("check", help="predict what the compiler maps; exit 0 when that is everything, else 2")
    verb.add_argument("models", nargs="+", type=named_path, metavar="MODEL", help=".tflite file, before compiling")
    verb.add_argument("--json", action="store_true", help="print JSON instead of tables")
    verb.add_argument("--out", type=named_path, metavar="FILE", help="also write the JSON to this file")
    verb.add_argument("--overwrite", action="store_true", help="replace FILE")
    verb.set_defaults(run=_check)
    verb = verbs.add_parser("compile", help="run edgetpu_compiler; keep its log, write model and sidecar")
    verb.add_argument("model", type=named_path, metavar="MODEL", help="int8 .tflite file with its sidecar")
    verb.add_argument("--out", type=named_path, metavar="DIR", help="folder to write to (default: the model's)")
    verb.add_argument("--timeout", type=positive_int, default=TIMEOUT_S, metavar="S", help="seconds (%(default)s)")
    verb.add_argument("--overwrite", action="store_true", help="replace an earlier result")
    verb.set_defaults(run=_compile)
    verb = verbs.add_parser("validate", help="compare predictions with a table of what the compiler did")
    verb.add_argument(
        "mapping", type=named_path, help="CSV: model, operators, mapped, left_on_cpu; models lie beside it"
    )
    verb.add_argument("--out", type=named_path, metavar="CSV", help="write the comparison to this file")
    verb.add_argument("--overwrite", action="store_true", help="replace CSV")
    verb.set_defaults(run=_validate)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = make_parser().parse_args(argv)
    return run_main(lambda: arguments.run(arguments))


def _predict(nodes: tuple[ops.Node, ...]) -> Prediction:
    refused = ops.why_refused(nodes)
    reasons = [ops.why_not(node) for node in nodes]
    if refused:
        reasons = [reason or _REFUSED for reason in reasons]
    else:
        taken, blame = _partition(nodes, [not reason for reason in reasons])
        for number in range(len(nodes)):
            if not reasons[number] and number not in taken:
                before = blame[number]
                reasons[number] = (
                    f"supported, but comes after operator {before} {nodes[before].name}, which stays on the CPU"
                )
    mapped = [not reason for reason in reasons]
    constants = {
        tensor.number: tensor.size
        for node, is_mapped in zip(nodes, mapped, strict=True)
        for tensor in node.present
        if is_mapped and tensor.constant
    }
    return Prediction(
        placements=tuple(
            Placement(number, node.name, not reason, reason, "" if reason else ops.caution(node))
            for number, (node, reason) in enumerate(zip(nodes, reasons, strict=True))
        ),
        refused=refused,
        parameter_bytes=sum(constants.values()),
    )


def _partition(nodes: Sequence[ops.Node], supported: Sequence[bool]) -> tuple[set[int], dict[int, int]]:
    """Cut the graph as TensorFlow Lite does for a delegate (PartitionGraphIntoIndependentNodeSubsets in graph_info.cc).

    Subsets alternate: as many ready nodes of one kind as there are, then as many of the other. The compiler, unless told
    otherwise, keeps the first subset of supported nodes and leaves the later ones on the CPU.

    Returns:
        Numbers of the nodes taken, and for each other supported one the unsupported node it waits for.
    """
    waiting = dict(enumerate(nodes))
    produced_by = {tensor.number: number for number, node in waiting.items() for tensor in node.outputs}
    taken: set[int] = set()
    blame: dict[int, int] = {}
    done: set[int] = set()
    while waiting:
        kind: bool | None = None
        subset: list[int] = []
        progress = True
        while progress:
            progress = False
            for number, node in list(waiting.items()):
                sources = {produced_by[tensor.number] for tensor in node.present if tensor.number in produced_by}
                if not sources <= done or (kind is not None and supported[number] != kind):
                    continue
                kind = supported[number]
                late = [source for source in sources if source not in taken]
                blame[number] = max(
                    (blame.get(source, source) if supported[source] else source for source in late), default=number
                )
                done.add(number)
                subset.append(number)
                del waiting[number]
                progress = True
        if not subset:
            raise ValueError("its operators wait for each other")
        if kind and not taken:
            taken = set(subset)
    return taken, blame


def _log_name(name: str) -> str:
    return name.partition(":")[0]


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


def _counted(item: str) -> tuple[str, int]:
    name, _, count = item.rpartition("x")
    return name, int(count)


def _listed(counts: Mapping[str, int]) -> str:
    return ";".join(f"{name}x{counts[name]}" for name in sorted(counts))


def _check(arguments: argparse.Namespace) -> int:
    if arguments.out is not None:
        output = Output("tflite.edgetpu check", json_with("", format=FORMAT))
        check_file(arguments.out, output, arguments.overwrite, inputs=arguments.models)
    predictions = {path: predict(path) for path in dict.fromkeys(arguments.models)}
    document = {
        "format": FORMAT,
        "compiler": f"{COMPILER_MAJOR}.0",
        "models": [{"model": str(path), **prediction.as_dict()} for path, prediction in predictions.items()],
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print("\n\n".join(_describe(path, prediction) for path, prediction in predictions.items()))
    if arguments.out is not None:
        write_json(arguments.out, document)
    short = [path for path, prediction in predictions.items() if prediction.verdict != "full"]
    if short:
        names = ", ".join(str(path) for path in short)
        print(f"not fully mapped: {len(short)} of {len(predictions)} models: {names}", file=sys.stderr)
    return EXIT_USER_ERROR if short else 0


def _describe(path: Path, prediction: Prediction) -> str:
    words = {"full": "fully mapped", "part": "partly mapped", "none": "not mapped"}
    count = len(prediction.placements)
    lines = [
        f"{path}: {words[prediction.verdict]}, {prediction.mapped} of {count} operators on the Edge TPU (predicted)"
    ]
    if prediction.refused:
        lines.append(f"  the compiler refuses it: {prediction.refused}")
    lines.append(f"  parameters {prediction.parameter_bytes:,} bytes, {_cache(prediction)}")
    statuses = Counter((p.name, "Edge TPU" if p.mapped else "CPU") for p in prediction.placements)
    lines += [f"  {name:<32}{number:>5}  {place}" for (name, place), number in sorted(statuses.items())]
    lines += [f"  {p.number:>4} {p.name}: {p.reason}" for p in prediction.placements if p.reason not in ("", _REFUSED)]
    cautions = Counter(placement.caution for placement in prediction.placements if placement.caution)
    lines += [f"  not certain for {number}: {text}" for text, number in cautions.items()]
    return "\n".join(lines)


def _cache(prediction: Prediction) -> str:
    if prediction.streamed_bytes:
        return f"{prediction.streamed_bytes:,} more than the cache of {CACHE_BYTES:,}: streamed for every inference"
    return f"{prediction.parameter_bytes / CACHE_BYTES:.0%} of the cache of {CACHE_BYTES:,}"


def _compile(arguments: argparse.Namespace) -> int:
    out = arguments.model.parent if arguments.out is None else arguments.out
    result = compile_model(arguments.model, out, timeout_s=arguments.timeout, overwrite=arguments.overwrite)
    total = result.mapped.total() + result.left.total()
    print(f"{result.path}: {result.mapped.total()} of {total} operators on the Edge TPU ({COMPILER} {result.version})")
    for line in result.memory:
        print(f"  {line}")
    if result.left:
        print(
            f"warning: left on the CPU: {_listed(result.left)}. Reasons: {result.path.with_suffix('.log')}",
            file=sys.stderr,
        )
    for difference in result.differences:
        print(f"warning: not as predicted: {difference}", file=sys.stderr)
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    if arguments.out is not None:
        output = Output("tflite.edgetpu validate", csv_with("", *_VALIDATED))
        check_file(arguments.out, output, arguments.overwrite, inputs=(arguments.mapping,))
    rows = validate(arguments.mapping)
    for row in rows:
        word = (
            "agrees"
            if row["agrees"]
            else f"differs: left {row['left'] or 'none'}, predicted {row['predicted_left'] or 'none'}"
        )
        print(
            f"{row['model']}: {row['mapped']} of {row['operators']} mapped, predicted {row['predicted_mapped']}, {word}"
        )
    if arguments.out is not None:
        write_csv(arguments.out, rows, _VALIDATED)
    return 0 if all(row["agrees"] for row in rows) else EXIT_USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
