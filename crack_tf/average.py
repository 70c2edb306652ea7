"""`python -m crack_tf.average MODEL MODEL... --data MANIFEST --out RUN`: one model whose weights are the mean of several's.

Models fine-tuned from the same start can be averaged weight by weight: the mean often does better away from the training data than
any of them, at the cost of one (Izmailov et al., "Averaging weights leads to wider optima", UAI 2018; Wortsman et al., "Model soups",
ICML 2022, and "Robust fine-tuning of zero-shot models", CVPR 2022). A classifier that was trained on crops may answer best about tiles
somewhat larger than it was trained on: --image-size (Touvron et al., "Fixing the train-test resolution discrepancy", NeurIPS 2019).
The result is a run folder like that of `crack_tf.train`.
"""

from __future__ import annotations

import argparse
import sys

from tflite.cli import Parser, fraction, named_path, positive_int, run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf average", description="Average the weights of models that were fine-tuned from the same start."
    )
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="run folder or .keras file; a checkpoint counts too; one twice counts twice",
    )
    add(
        "--data",
        required=True,
        help="manifest .csv with all that trained any of them; the threshold is chosen on its validation split",
    )
    add(
        "--target-recall", type=fraction, default=0.998, help="recall that the decision threshold reaches on validation"
    )
    add(
        "--image-size",
        type=positive_int,
        default=None,
        help="side of the averaged model's input in pixels (default: as it was trained); weights fit any side",
    )
    add("--val-limit", type=positive_int, default=None, help="choose the threshold on at most so many tiles or patches")
    add("--out", type=named_path, required=True, help="run folder")
    add("--overwrite", action="store_true", help="replace the run in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Nothing was written; run the same command again.", needs=("keras",))


def run(args: argparse.Namespace) -> None:
    """Average as the parsed options say."""
    from crack_tf.training.average import average  # importing Keras takes seconds

    average(
        args.models,
        args.data,
        args.out,
        target_recall=args.target_recall,
        image_size=args.image_size,
        val_limit=args.val_limit,
        overwrite=args.overwrite,
    )


if __name__ == "__main__":
    sys.exit(main())
