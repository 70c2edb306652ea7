"""Coral Edge TPU: predict what its compiler maps, compile with the real one, and compare the two.

    python -m tflite.edgetpu check opnet-int8-qat.tflite
    python -m tflite.edgetpu compile opnet-int8-qat.tflite --out coral
    python -m tflite.edgetpu validate coral-models/mapping.csv --out results/coral/prediction.csv

`check` needs the model file only. Exit code 0: every operator of every model is mapped; 2: not.

`compile` runs edgetpu_compiler, which exists for x86-64 Linux only, and writes NAME_edgetpu.tflite with its sidecar and log.
Exit code 0: there is a compiled file. When it is mapped in part only, or otherwise than predicted, it says so.

Agreement with the compiler on Coral's public models is in results/coral.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tflite.cli import EXIT_USER_ERROR, Parser, named_path, positive_int, run_main
from tflite.edgetpu_compiler import COMPILER, COMPILER_MAJOR, TIMEOUT_S, compile_model
from tflite.edgetpu_prediction import CACHE_BYTES, REFUSED, Prediction, listed, predict, validate
from tflite.files import write_csv, write_json
from tflite.outputs import Output, check_file, csv_with, json_with

FORMAT = "crack_tf.edgetpu/1"
_VALIDATED = ("model", "operators", "mapped", "predicted_mapped", "left", "predicted_left", "agrees")


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
    lines += [f"  {p.number:>4} {p.name}: {p.reason}" for p in prediction.placements if p.reason not in ("", REFUSED)]
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
            f"warning: left on the CPU: {listed(result.left)}. Reasons: {result.path.with_suffix('.log')}",
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
