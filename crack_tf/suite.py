"""`python -m crack_tf.evaluate --suite`: all the evidence about the shipped models, as tables and plots in one folder.

    splits.csv        plain and grouped METU test splits; float beside int8
    matrix.csv, .png  every model on every data set, seen in training or not
    domains.csv       mean and worst over the data sets that a model learned nothing from
    scenes.csv        whole photographs as a survey sees them: cracks found, false findings; scenes-photographs.csv one by one,
    scenes-froc.csv, scenes_froc.png   and false findings against the share of cracks found
    corruptions.csv, .png   nine corruptions at five severities
    prevalence.csv, .png    precision where cracks are rare
    calibration.csv   calibration error, conformal bound on missed cracks, uncertain band
    candidates.csv, .png    the networks one could start from: size, work, latency
    cost.csv          seconds per 12-megapixel photograph
    summary.md        one page

Answers are kept in the user's cache, so that a stopped suite goes on where it was and a further model costs only its own time.
With --parts, the other parts' tables in --out stay, and the summary is of all: what is timed can be measured on a quiet machine.
"""

from __future__ import annotations

import argparse
import sys

from crack_tf.evaluation.suite.config import CORRUPTED_TILES, PARTS, SuiteConfig
from tflite.cli import Parser, named_path, positive_int, run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf evaluate --suite", description="All evidence about the shipped models: tables, plots, one page."
    )
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="names of shipped models or .tflite files (default: all shipped)")
    add("--suite", action="store_true", required=True)
    add("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)} (default: all)")
    add("--limit", type=positive_int, default=None, help="at most this many tiles per data set")
    add(
        "--corruption-limit",
        type=positive_int,
        default=CORRUPTED_TILES,
        help=f"at most this many tiles per corruption and severity (default {CORRUPTED_TILES})",
    )
    add(
        "--segmenter",
        default=None,
        help="for scenes: name of a shipped model or .tflite file (default: the shipped one)",
    )
    add("--jobs", type=positive_int, default=None, help="tiles at the same time (default: all cores)")
    add("--out", type=named_path, required=True, help="folder for tables and plots")
    add("--overwrite", action="store_true", help="replace results in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Answers so far are kept. Give the same command again.")


def run(args: argparse.Namespace) -> None:
    """Run the suite as the parsed options say."""
    config = SuiteConfig(
        models=tuple(args.models),
        parts=tuple(part for part in args.parts.split(",") if part),
        limit=args.limit,
        corruption_limit=args.corruption_limit,
        segmenter=args.segmenter,
        jobs=args.jobs,
    )

    from crack_tf.evaluation.suite.running import run_suite  # after the check: numpy, LiteRT and pictures take a second

    print(run_suite(config, args.out, args.overwrite).text)


if __name__ == "__main__":
    sys.exit(main())
