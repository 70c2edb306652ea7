"""`python -m crack_tf.export`: a trained run to .tflite files, each measured against the float model before it is kept.

For every scheme asked for (`tflite.convert` explains them) it writes, say for OPNet with QAT:

    opnet-int8-qat.tflite            the model: raw pixels in, logit out
    opnet-int8-qat.tflite.json       its sidecar: threshold, quantisation, hashes, origin (tflite.sidecar)
    opnet-int8-qat.md                model card
    opnet-int8-qat.comparison.json   float against quantised on real tiles, with counts
    opnet-int8-qat.comparison.png    the same as a picture

The decision threshold is chosen again on validation for the quantised model: with the run's target recall, or for the highest F1 of
a segmentation model's pixels. When the model then loses more than --max-recall-drop points of recall (of F1: --max-f1-drop) on the
measured split, none of these files appears.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from types import ModuleType

from crack_tf.common.called_module import make_callable
from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.quantisation.config import MEASURE_SPLITS, ExportConfig, ExportResult
from tflite.cli import Parser, any_float, named_path, non_negative_int, positive_float, positive_int, run_main
from tflite.convert import FLOAT_SCHEMES, INPUT_DTYPES
from tflite.errors import CrackError

_FIELDS = {entry.name for entry in fields(ExportConfig)}


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf export",
        description="Quantise a trained model and write .tflite files with sidecar and model card.",
    )
    add = parser.add_argument
    add(
        "run",
        nargs="?",
        default=None,
        metavar="RUN_OR_MODEL",
        help="run folder or model.keras (default: newest in runs/)",
    )
    add("--int8", action="store_true", help="full int8 by quantisation-aware training (the default scheme)")
    add(
        "--ptq", action="store_true", help="with --int8: post-training quantisation instead, seconds instead of minutes"
    )
    add("--float16", action="store_true")
    add("--dynamic", action="store_true", help="int8 weights, float activations")
    add("--float32", action="store_true")
    add(
        "--edge-tpu",
        action="store_true",
        help="write LeakyReLU as maximum(x, slope * x), which the Edge TPU has; with --ptq or a float scheme",
    )
    add(
        "--second-view",
        type=non_negative_int,
        default=0,
        metavar="PIXELS",
        help="let the file look twice, at the tile and at a copy blurred over so many pixels, and answer with the mean of both",
    )
    add("--input-dtype", default="uint8", choices=INPUT_DTYPES, help="of int8 models; both take raw pixels")
    add("--data", default=None, help="manifest .csv, data set or folder (default: the manifest the run was trained on)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add(
        "--calibration-samples",
        type=positive_int,
        default=200,
        help="tiles of the train split that set the int8 ranges",
    )
    add("--qat-epochs", type=positive_int, default=1)
    add("--qat-steps", type=positive_int, default=None, help="stop QAT after this many steps")
    add("--qat-batch", type=positive_int, default=None, help="(default: 32; of a segmentation model 8)")
    add("--qat-learning-rate", type=positive_float, default=1e-5)
    add(
        "--measure-split",
        default="test",
        choices=MEASURE_SPLITS,
        help="split on which float and quantised are compared",
    )
    add("--measure-limit", type=positive_int, default=None, help="compare on at most this many tiles")
    add(
        "--max-recall-drop",
        type=any_float,
        default=0.1,
        help="points of recall a classifier may lose (default: 0.1; 100 accepts anything)",
    )
    add("--max-f1-drop", type=any_float, default=1.0, help="points of F1 a segmentation model may lose (default: 1)")
    add("--threads", type=positive_int, default=None, help="for measuring (default: all cores)")
    add("--out", type=named_path, default=None, help="folder (default: RUN/export)")
    add("--resume", action="store_true", help="go on with an interrupted QAT; finished files are kept")
    add("--overwrite", action="store_true", help="replace files, and start an interrupted QAT again")
    add("--seed", type=non_negative_int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    hint = "Finished files are whole; go on with the same command and --resume."
    return run_main(lambda: run(args), interrupted=hint, needs=("keras", "tensorflow"))


def run(args: argparse.Namespace) -> None:
    """Export as the parsed options say."""
    floats = [name for name in FLOAT_SCHEMES if getattr(args, name)]
    schemes = chosen_schemes(floats, args.int8, args.ptq)
    config = make_config(args)

    from crack_tf.quantisation.export import export_all  # takes LiteRT and half a second

    export_all(args.run, config, schemes, args.out, resume=args.resume, overwrite=args.overwrite)


def make_config(args: argparse.Namespace) -> ExportConfig:
    """What the options say, checked, but for the schemes."""
    given = {name: value for name, value in vars(args).items() if name in _FIELDS and value is not None}
    return ExportConfig(**given)


def chosen_schemes(floats: Sequence[str], int8: bool, ptq: bool) -> list[str]:
    """The schemes asked for, cheap ones first; int8 by QAT when none is.

    Args:
        floats: schemes that are not int8.
        int8: whether --int8 was given.
        ptq: whether --ptq was given.

    Raises:
        CrackError: if --ptq stands without --int8 beside another scheme, where its meaning would be unclear.
    """
    if ptq and floats and not int8:
        raise CrackError("--ptq is a way to make --int8 models: add --int8, or leave --ptq out.")
    return [*floats, *(["int8-ptq" if ptq else "int8-qat"] if int8 or not floats else [])]


class ExportVerb(ModuleType):
    """This module as `crack_tf.export(run, config)`, as `crack_tf.train.TrainVerb` is."""

    def __call__(
        self,
        run: str | os.PathLike[str] | None = None,
        config: ExportConfig | None = None,
        out: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> ExportResult:
        """Write a run's model as .tflite, in the scheme that is asked for. See `crack_tf.quantisation.export.export`."""
        from crack_tf.quantisation.export import export

        return export(run, config, out, resume=resume, overwrite=overwrite)


make_callable(__name__, ExportVerb)

if __name__ == "__main__":
    sys.exit(main())
