"""Latency, memory and accuracy of .tflite crack models on this machine, with the same code the device runs.

    python -m tflite.benchmark opnet-int8.tflite mobilenet-int8.tflite --manifest metu.csv --threads 1,2 --compare
    python -m tflite.benchmark opnet-int8.tflite --sustained 10 --fps 15 --power-file /sys/class/hwmon/hwmon2/power1_input
    python -m tflite.benchmark                                       # in an unpacked bundle: all of its models
    python -m tflite.benchmark from_elsewhere.tflite                 # no sidecar: latency alone
    python -m tflite.benchmark --report results/boards --out report  # merge what several boards wrote

Each row (model, threads, delegate) is measured in a process of its own, so that peak memory belongs to that row alone.
Writes benchmark-<hardware>-litert<version>.json, .csv and, where matplotlib is installed, .png.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from tflite.cli import Parser, named_path, non_negative_int, positive_float, positive_int, run_main, thread_counts
from tflite.errors import CrackError
from tflite.manifest import SPLITS, Manifest, read_manifest
from tflite.measure import MIN_RUNS, Job, PhotoTime
from tflite.power import UNITS
from tflite.results import result_path
from tflite.runtime import DELEGATES
from tflite.timing import BUNDLE, BenchmarkConfig, find_bundled, measure_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line shared by tflite.benchmark and crack_tf.benchmark, all but the source of the tiles."""
    parser.add_argument(
        "models",
        nargs="*",
        type=named_path,
        metavar="MODEL.tflite",
        help="with its sidecar; without one only its latency is measured",
    )
    parser.add_argument("--no-sidecar", action="store_true", help="time the files alone, whatever lies beside them")
    parser.add_argument("--split", default="test", choices=(*SPLITS, "all"), help="of the manifest (default: test)")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="use N tiles, spread evenly over the split")
    parser.add_argument("--threads", type=thread_counts, metavar="1,2", help="CPU threads, one row each (default: 1)")
    parser.add_argument(
        "--delegate",
        type=_delegate_list,
        metavar="NAME,...",
        help=f"of {', '.join(DELEGATES)} (default: xnnpack; edgetpu for models compiled for it)",
    )
    parser.add_argument(
        "--runs", type=positive_int, default=100, help=f"timed runs per row, at least {MIN_RUNS} (default: 100)"
    )
    parser.add_argument("--warmup", type=non_negative_int, default=10, help="runs before them, not timed (default: 10)")
    parser.add_argument(
        "--compare", action="store_true", help="also run all models in turn in one process and print ratios"
    )
    heat = parser.add_argument_group("heat and energy")
    heat.add_argument(
        "--sustained",
        type=positive_float,
        metavar="MINUTES",
        help="then go on deciding for so long, and record latency, temperature, clock and throttling over time",
    )
    heat.add_argument(
        "--fps", type=positive_float, help="decisions per second to keep up meanwhile (default: as fast as they go)"
    )
    heat.add_argument(
        "--power-file",
        type=named_path,
        metavar="FILE",
        help="holds the board's present power: joules per decision are added",
    )
    heat.add_argument(
        "--power-command", metavar="COMMAND", help="prints it; on a Pi 5 also 'vcgencmd pmic_read_adc' (its rails)"
    )
    heat.add_argument(
        "--power-unit",
        choices=tuple(UNITS),
        help="of a reading without one (default: W; uW for power1_input and power_now, as Linux gives them)",
    )
    parser.add_argument(
        "--report",
        nargs="+",
        type=named_path,
        metavar="FILE_OR_DIR",
        help="measure nothing: merge result files (.json) of many boards into one table and plots in --out",
    )
    parser.add_argument(
        "--out",
        type=named_path,
        default=Path("benchmarks"),
        metavar="DIR",
        help="for the results (default: benchmarks)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results of the same name in DIR")


def run(
    args: argparse.Namespace,
    manifest: Manifest | None,
    photo_time: Callable[[Job], PhotoTime | None] | None = None,
    names: Mapping[Path, str] | None = None,
) -> None:
    """Measure what the command line asks for, or report on earlier results. Rows are written as soon as they are measured.

    Args:
        args: parsed `add_arguments`.
        manifest: of the tiles for accuracy and end-to-end time, or None for latency alone.
        photo_time: times a whole photograph, in a process of its own; None to time none.
        names: see `tflite.timing.measure_models`.

    Raises:
        CrackError: if anything is wrong with the arguments, the manifest or a model; before the first measurement.
    """
    if args.report:
        if args.models:
            raise CrackError(f"--report measures nothing: leave out {args.models[0]}, or leave out --report.")
        from tflite.report import write_report

        write_report(args.report, args.out, args.overwrite)
        return
    config = BenchmarkConfig(**{entry.name: getattr(args, entry.name) for entry in fields(BenchmarkConfig)})
    measure_models(config, manifest, photo_time, names)


def main(argv: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m tflite.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--manifest",
        type=named_path,
        metavar="M.csv",
        help="split manifest of the tiles for accuracy and end-to-end time",
    )
    add_arguments(parser)
    args = parser.parse_args(argv)

    def body() -> None:
        path = args.manifest
        if not args.models and not args.report and BUNDLE.exists():
            here = find_bundled()
            args.models, path = list(here.models), path or here.manifest
            args.threads = list(here.threads) if args.threads is None else args.threads
            args.delegate = list(here.delegates) if args.delegate is None else args.delegate
        run(args, read_manifest(path) if path is not None else None)

    return run_main(body, interrupted=interrupted_message(args.out))


def interrupted_message(out: Path) -> str:
    """What to say after Ctrl-C."""
    return f"Rows finished before are in {result_path(out, '.csv')}, if there were any."


def _delegate_list(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in DELEGATES:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(DELEGATES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
