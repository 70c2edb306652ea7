"""`python -m crack_tf.evaluate`: measure models on one split, `.keras` and `.tflite` alike.

With --out the results are kept: metrics.csv (a row per model), metrics.json (the same, where it came from, reliability bins),
prevalence.csv, predictions.csv (a row per model and tile), and per model confusion_*.png, reliability_*.png, scores_*.png.
Segmentation models are measured on whole photographs with masks: see `crack_tf.evaluation.maps`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.evaluation.config import OUTPUT, EvaluateConfig
from tflite.cli import Parser, fraction, named_path, positive_int, run_main
from tflite.manifest import SPLITS
from tflite.outputs import check_folder


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(prog="crack-tf evaluate", description="Measure models on one split of a data set.")
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL_OR_RUN",
        help=".keras or .tflite file, run folder of crack-tf train, or shipped model",
    )
    add("--data", required=True, help="manifest .csv, data set name, or folder (one sub-folder per class, or pairs)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--split", default="test", choices=(*SPLITS, "all"))
    add(
        "--threshold",
        type=fraction,
        default=None,
        help="probability to decide by (default: each model's own threshold)",
    )
    add(
        "--limit",
        type=positive_int,
        default=None,
        help="use at most this many tiles or photographs, class balance kept",
    )
    add("--threads", type=positive_int, default=None, help="threads of .tflite models (default: all cores)")
    add("--delegate", default="xnnpack", choices=("xnnpack", "none", "edgetpu"), help="for .tflite models")
    add("--allow-training-tiles", action="store_true", help="evaluate even on tiles that the model was trained on")
    add("--out", type=named_path, default=None, help="folder for results (default: print only)")
    add("--overwrite", action="store_true", help="replace results in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    if "--suite" in (sys.argv[1:] if argv is None else argv):  # its options are others
        from crack_tf.suite import main as suite

        return suite(argv)
    args = make_parser().parse_args(argv)
    return run_main(
        lambda: run(args), interrupted="No result is half-written. Run the same command again.", needs=("matplotlib",)
    )


def run(args: argparse.Namespace) -> None:
    """Evaluate as the parsed options say."""
    config = EvaluateConfig(**{entry.name: getattr(args, entry.name) for entry in fields(EvaluateConfig)})
    if args.out is not None:
        check_folder(args.out, OUTPUT, args.overwrite, inputs=(*args.models, args.data))

    from crack_tf.evaluation.evaluate import (
        evaluate_models,  # after the check: numpy, LiteRT and pictures take a second
    )

    evaluate_models(args.models, config, args.out, overwrite=args.overwrite)


if __name__ == "__main__":
    sys.exit(main())
