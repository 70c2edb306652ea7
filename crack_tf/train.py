"""`python -m crack_tf.train`: train a registered model on a data set, resumably, into a run folder.

The run folder holds config.json, history.csv, curves.png, confusion_val.png, val_metrics.json, checkpoints/, and at the end
model.keras with its sidecar model.keras.json.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from crack_tf.common.called_module import make_callable
from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.models import get_model
from crack_tf.training.config import OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
from crack_tf.training.runs import Run, check_out
from tflite.cli import (
    Parser,
    any_float,
    count_or_share,
    fraction,
    non_negative_int,
    positive_float,
    positive_int,
    run_main,
)
from tflite.errors import CrackError
from tflite.extras import require

_FIELDS = {entry.name for entry in fields(TrainConfig)}


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(prog="crack-tf train", description="Train a model that finds or draws cracks.")
    add = parser.add_argument
    add(
        "--model",
        default="mobilenet_v2",
        help="registered model: mobilenet_v2 (default), efficientnet_lite0, opnet, opnet_lite_small ... classify tiles; unet, "
        "unet_mobile draw masks",
    )
    add("--data", default=None, help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--out", default=None, help="run folder (default: runs/MODEL)")
    add("--image-size", type=positive_int, default=None, help="side of the input in pixels (default: the model's own)")
    add(
        "--hp", action="append", default=[], metavar="NAME=VALUE", help="hyperparameter of the model, as Python literal"
    )
    add(
        "--weights",
        default=None,
        help="imagenet, none, a weights file, or a .keras on the same backbone (default: imagenet where Keras has it)",
    )
    add("--init-from", default=None, help="trained .keras or run folder to start from, of any image size")
    add("--epochs", type=positive_int, default=10)
    add("--steps-per-epoch", type=positive_int, default=None, help="shorter epochs, for very large data sets")
    add("--batch", type=positive_int, default=64)
    add("--learning-rate", type=positive_float, default=1e-3)
    add("--schedule", default="cosine", choices=SCHEDULES)
    add("--warmup-steps", type=non_negative_int, default=0)
    add("--optimizer", default="adam", choices=OPTIMIZERS)
    add("--loss", default="bce", help="bce, or for masks also dice, tversky, or a sum such as bce+dice")
    add("--positive-weight", type=positive_float, default=1.0, help="weight of cracked tiles or pixels in bce")
    add("--negative-weight", type=positive_float, default=1.0, help="weight of clean tiles or pixels in bce")
    add("--augmentation", type=any_float, default=1.0, help="strength: 1 is the study's, 0 none")
    add(
        "--adverse",
        type=fraction,
        default=0.0,
        help="share of samples with a drawn shadow; as many get stains, little light and sensor noise (default: 0)",
    )
    add(
        "--camera",
        type=fraction,
        default=0.0,
        help="share of samples with a colour cast; as many are blurred (default: 0)",
    )
    add(
        "--zoom-out",
        type=positive_float,
        default=1.0,
        help="a classifier's tiles are reduced up to this factor (default: 1)",
    )
    add(
        "--mask-weight",
        type=any_float,
        default=0.0,
        help="what masks teach a classifier beside the label, where in the tile the crack is, counts so much (default: 0)",
    )
    add("--teacher", default=None, help="trained .keras or run folder whose probabilities are mixed into the labels")
    add("--teacher-share", type=fraction, default=0.7, help="of the teacher in the targets (default: 0.7)")
    add(
        "--balance",
        type=fraction,
        default=None,
        help="draw both labels equally often, and the sets of a mix by size (0), its root (0.5), or all alike (1)",
    )
    add("--freeze-epochs", type=non_negative_int, default=0, help="first epochs in which only the head trains")
    add("--unfreeze-blocks", type=non_negative_int, default=None, help="backbone blocks trained then (default: all)")
    add("--patience", type=non_negative_int, default=5, help="epochs without progress before stopping; 0 never stops")
    add(
        "--max-minutes",
        type=positive_float,
        default=None,
        help="begin no epoch, after the first, that would not end within so many minutes of training (default: all epochs)",
    )
    add(
        "--target-recall", type=fraction, default=0.998, help="recall that the decision threshold reaches on validation"
    )
    add("--precision", default="float32", choices=PRECISIONS)
    add(
        "--limit",
        type=count_or_share,
        default=None,
        help="use so many training tiles or patches, or a share such as 0.1",
    )
    add("--val-limit", type=positive_int, default=None, help="validate on at most so many tiles or patches")
    add("--empty-share", type=fraction, default=1.0, help="share of the crack-free patches to train on; masks only")
    add("--seed", type=non_negative_int, default=0)
    add("--resume", action="store_true", help="go on with an interrupted run in --out")
    add("--overwrite", action="store_true", help="replace the run in --out; what else lies there stays")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    again = "Go on with the same command and --resume."
    return run_main(lambda: run(args), interrupted=f"The epoch in progress is lost. {again}", needs=("keras",))


def run(args: argparse.Namespace) -> None:
    """Train as the parsed options say."""
    config = make_config(args)
    check_out(Path(args.out or f"runs/{config.model}"), config, args.resume, args.overwrite)

    from crack_tf.training.loop import train  # after the check: importing Keras takes seconds

    train(config, args.out, resume=args.resume, overwrite=args.overwrite)


def make_config(args: argparse.Namespace) -> TrainConfig:
    """What the options say, checked."""
    known = get_model(args.model).hyperparameters
    given = {name: value for name, value in vars(args).items() if name in _FIELDS and value is not None}
    return TrainConfig(**given | {"hyperparameters": parse_hyperparameters(args.hp, known)})


def parse_hyperparameters(texts: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """Turn ["alpha=0.35"] into {"alpha": 0.35}.

    Raises:
        CrackError: for a text without "=", an unknown name, or a value that is no Python literal.
    """
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise CrackError(f"--hp {text!r}: write NAME=VALUE with one of {', '.join(known)}.")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise CrackError(
                f"--hp {text!r}: {value!r} is not a number, list or string in Python's notation."
            ) from None
    return values


class TrainVerb(ModuleType):
    """This module as `crack_tf.train(config, out)`: a package's attribute becomes the module as soon as anybody imports it."""

    def __call__(
        self,
        config: TrainConfig,
        out: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> Run:
        """Train a model into a run folder. See `crack_tf.training.loop.train`."""
        require(("keras",))
        from crack_tf.training.loop import train

        return train(config, out, resume=resume, overwrite=overwrite)


make_callable(__name__, TrainVerb)

if __name__ == "__main__":
    sys.exit(main())
