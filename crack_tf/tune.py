"""`python -m crack_tf.tune`: search for the most accurate model that meets a board's budget, with Keras Tuner.

The same command goes on with an interrupted search. In the --out folder: trials.csv (every trial), pareto.csv and pareto.png (the
trials that no other beats in everything, and the knee), search.json, tensorboard/, and one run folder per trial.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import (
    Parser,
    count_or_share,
    fraction,
    named_path,
    named_text,
    non_negative_int,
    positive_float,
    positive_int,
    run_main,
)
from tflite.errors import CrackError
from tuning import ALGORITHMS, FIDELITIES, STUDIES
from tuning.space import search_space
from tuning.tune_config import STUDY_SPACE, TuneConfig


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf tune",
        description="Search for the most accurate crack model that meets a budget. The same command goes on with a search.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--model",
        default=None,
        help="registered model to search over (default: opnet_lite; --study: the study's)",
    )
    add("--algorithm", default="hyperband", choices=ALGORITHMS)
    add("--study", default=None, choices=STUDIES, help="run the published study's experiments instead of a search")
    add(
        "--data",
        type=named_text,
        default=None,
        help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)",
    )
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--out", type=named_path, default=None, help="folder of the search (default: runs/tune)")
    space = parser.add_argument_group("search space")
    space.add_argument("--show-space", action="store_true", help="print what would be searched, and stop")
    space.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="hold a dimension at a value")
    space.add_argument(
        "--vary", action="append", default=[], metavar="NAME=V1,V2", help="search these values of a dimension"
    )
    space.add_argument(
        "--only", default=None, metavar="NAMES", help="search these dimensions, hold the others' defaults"
    )
    size = parser.add_argument_group("how much")
    size.add_argument("--trials", type=positive_int, default=20, help="random, bayesian, grid: at most this many")
    size.add_argument("--epochs", type=positive_int, default=9, help="of a trial at full fidelity")
    size.add_argument("--fidelity", default="epochs", choices=FIDELITIES, help="what hyperband's cheap trials save")
    size.add_argument("--factor", type=positive_int, default=3, help="hyperband: one in FACTOR trials goes on")
    size.add_argument("--iterations", type=positive_int, default=1, help="hyperband: runs through all brackets")
    size.add_argument(
        "--limit",
        type=count_or_share,
        default=None,
        help="use so many training tiles or patches, or a share such as 0.1",
    )
    size.add_argument("--steps-per-epoch", type=positive_int, default=None)
    goal = parser.add_argument_group("goal")
    goal.add_argument("--target-recall", type=fraction, default=0.998, help="recall floor on validation (not of masks)")
    goal.add_argument("--max-latency-ms", type=positive_float, default=None, help="int8, one thread, on this machine")
    goal.add_argument("--max-kb", type=positive_float, default=None, help="size of the int8 file")
    goal.add_argument("--min-speedup", type=positive_float, default=None, help="times as fast as the reference model")
    goal.add_argument(
        "--reference",
        type=named_path,
        default=None,
        help="int8 .tflite to compare with (default: OPNet, or of masks unet)",
    )
    goal.add_argument(
        "--left-out",
        nargs="+",
        type=named_text,
        action="extend",
        default=[],
        metavar="DATA",
        help="data sets that nothing is trained on: maximise the mean area under the ROC curve over them",
    )
    add("--teacher", type=named_text, default=None, help="trained .keras or run folder that teaches every trial")
    add("--weights", default=None, help="imagenet, none, or a weights file (default: imagenet where Keras has it)")
    add("--finalists", type=non_negative_int, default=0, help="best trials to train on, quantise by QAT, and test")
    add("--final-epochs", type=non_negative_int, default=0, help="more epochs for the finalists, on all training tiles")
    add("--workers", type=positive_int, default=None, help="search with a chief and this many workers on this machine")
    add("--seed", type=non_negative_int, default=0)
    add("--overwrite", action="store_true", help="replace the search in --out; what else lies there stays")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(
        lambda: run(args),
        interrupted="Finished trials and epochs are kept; the same command goes on.",
        needs=("keras", "keras_tuner", "matplotlib"),
    )


def run(args: argparse.Namespace) -> None:
    """Search, or run a study, as the parsed options say."""
    given = {entry.name: getattr(args, entry.name) for entry in fields(TuneConfig)}
    config = TuneConfig(**given | {name: tuple(given[name]) for name in ("fix", "vary", "left_out")})
    if args.show_space:
        if config.study:
            raise CrackError(STUDY_SPACE)
        print(search_space(config.model or "opnet_lite", config.fix, config.vary, config.only))
        return

    from tuning.driver import tune

    tune(config, args.out or Path("runs/tune"), overwrite=args.overwrite, crew=args.workers)


if __name__ == "__main__":
    sys.exit(main())
