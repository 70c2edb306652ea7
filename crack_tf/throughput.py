"""`python -m crack_tf.throughput`: is the input pipeline the bottleneck? Tiles (or patches) per second of each stage, in one run.

Stages: decoding files (once per data set, then cached), the pipeline alone (gather and augment), and training steps.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from tflite.cli import Parser, positive_int, run_main
from tflite.files import write_csv
from tflite.outputs import check_file


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(prog="crack-tf throughput", description="Tiles per second of each training stage.")
    parser.add_argument(
        "--data", default=None, help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)"
    )
    parser.add_argument("--model", nargs="+", default=["opnet"], help="registered models to train")
    parser.add_argument(
        "--image-size", type=positive_int, default=None, help="side in pixels (default: the model's own)"
    )
    parser.add_argument(
        "--hp", action="append", default=[], metavar="NAME=VALUE", help="hyperparameter of the models, as for train"
    )
    parser.add_argument("--batch", type=positive_int, default=64)
    parser.add_argument("--steps", type=positive_int, default=8, help="timed steps per stage, after one to warm up")
    parser.add_argument("--out", default=None, help="CSV to write")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), needs=("keras",))


def run(args: argparse.Namespace) -> None:
    """Measure and print one row per model."""
    from crack_tf.models import get_model
    from crack_tf.train import parse_hyperparameters
    from crack_tf.training.throughput import OUTPUT, ThroughputConfig, measure

    if args.out:
        check_file(Path(args.out), OUTPUT, args.overwrite, inputs=(args.data,))
    rows = []
    for spec in [get_model(name) for name in args.model]:
        changes = parse_hyperparameters(args.hp, spec.hyperparameters)
        row = measure(ThroughputConfig(spec.name, args.data, args.image_size, args.batch, args.steps, changes))
        rows.append(asdict(row))
        print(
            f"{row.model} at {row.image_size} px: decode {row.decode_per_s}, pipeline {row.pipeline_per_s}, "
            f"training {row.training_per_s} tiles/s: the pipeline is {row.pipeline_over_training} times as fast"
        )
    if args.out:
        write_csv(Path(args.out), rows)


if __name__ == "__main__":
    sys.exit(main())
