"""`python -m tflite.device check`: is this bundle whole, and do its models answer here as they did on the workstation?

Every file is compared with its sha256. Then each model is loaded, asked its golden question, and given the evaluation tiles;
its raw outputs are compared with those recorded on the workstation with the same delegate, in steps of the output tensor.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

from tflite.cli import Parser, named_path, positive_int, run_main
from tflite.device.bundle import CHECK_FORMAT, file_problems, read_bundle
from tflite.errors import CrackError
from tflite.files import write_json
from tflite.outputs import Output, check_file, json_with

OUTPUT = Output("tflite.device check", json_with("", format=CHECK_FORMAT))
PACKAGES = {"numpy": "numpy", "PIL": "Pillow", "ai_edge_litert": "ai-edge-litert"}  # module: distribution


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="python -m tflite.device check",
        description="Verify every file of a bundle, and that its models answer here as they did on the workstation.",
    )
    add = parser.add_argument
    add(
        "--bundle",
        type=named_path,
        default=Path(),
        metavar="DIR",
        help="folder of the unpacked bundle (default: this one)",
    )
    add(
        "--delegate",
        default="xnnpack",
        metavar="NAME,...",
        help="of xnnpack, none (LiteRT's own kernels, slow) and edgetpu (default: xnnpack)",
    )
    add("--threads", type=positive_int, default=1, metavar="N", help="CPU threads (default: 1)")
    add("--limit", type=positive_int, metavar="N", help="use N tiles, spread over the set, and the golden ones")
    add(
        "--out",
        type=named_path,
        default=Path("check.json"),
        metavar="FILE",
        help="for the result (default: check.json)",
    )
    add("--overwrite", action="store_true", help="replace an earlier result")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 when all is well, 2 otherwise."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Check as the parsed options say.

    Raises:
        CrackError: if the bundle cannot be read, or anything about it is not as it should be; the result is written before.
    """
    check_file(args.out, OUTPUT, args.overwrite)
    bundle = read_bundle(args.bundle)
    problems = file_problems(bundle)
    total, size = len(bundle.files), sum(file.bytes for file in bundle.files)
    record: dict[str, Any] = {
        "format": CHECK_FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ok": False,
        "bundle": {
            "index_sha256": bundle.sha256,
            **{key: bundle.record.get(key) for key in ("git_revision", "created", "evaluation")},
        },
        "files": {"total": total, "bytes": size, "problems": problems},
    }
    if problems:
        print("\n".join(problems))
        write_json(args.out, record)
        raise CrackError(
            f"{len(problems)} of the bundle's {total} files are wrong, see above. No model was run. "
            "Copy and unpack the bundle again."
        )
    print(f"files: all {total} are whole ({size / 1e6:.1f} MB)")

    require_packages()
    # Only now, when the code itself is known to be whole.
    from tflite import hardware
    from tflite.device.answers import check_models, environment, machine_line, table

    record |= {"board": hardware.board(), "environment": environment(), "threads": args.threads}
    print(machine_line(record["board"], record["environment"]))
    rows = check_models(bundle, args.delegate.split(","), args.threads, args.limit)
    failed = sum(bool(row["problems"]) for row in rows)
    write_json(args.out, record | {"ok": not failed, "rows": rows})
    print(table(rows))
    for row in rows:
        for line in [*row["problems"], *row["notes"]]:
            print(f"{row['model']}, {row['delegate']}: {line}")
    print(args.out)
    if failed:
        raise CrackError(f"{failed} of {len(rows)} checks failed, see above. Do not trust those models on this board.")
    weak = sum(bool(row["weak"]) for row in rows)
    print(
        "all is well"
        if not weak
        else f"the board is well; {weak} of {len(rows)} models are wrong here as on the workstation"
    )


def require_packages() -> None:
    """Say what is not installed, all at once.

    Raises:
        CrackError: naming it.
    """
    missing = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise CrackError(f"{', '.join(missing)} not installed. Run: pip install -r requirements-device.txt")


if __name__ == "__main__":
    sys.exit(main())
