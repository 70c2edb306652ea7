"""`python -m crack_tf.explain`: what a classifier looks at, how far that can be trusted, and what its errors have in common.

    crack-tf explain opnet mobilenet_v2 --tiles a.jpg b.jpg --out explained        maps of chosen tiles
    crack-tf explain runs/opnet --data metu --limit 20 --out explained             of tiles of a split
    crack-tf explain runs/opnet --data sdnet2018 --errors --out errors             of the errors of a split
    crack-tf explain opnet mobilenet_v2 --faithfulness --data synthetic --out trust

A model is a run folder, a .keras or .tflite file, or the name of a shipped model, which stands for its .tflite.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.explain.attribution import METHODS
from crack_tf.explain.config import ExplainConfig
from tflite.cli import Parser, named_path, non_negative_int, positive_int, run_main
from tflite.errors import CrackError
from tflite.manifest import SPLITS

LIMIT = 16  # tiles of a split, unless the user says


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf explain",
        description="Show what a classifier looks at; measure how far the maps can be trusted; analyse errors.",
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="run folder, .keras or .tflite file, or name of a shipped model")
    add("--tiles", nargs="+", metavar="FILE", help="images, or folders of them; each is one tile")
    add("--data", help="manifest .csv, data set name, or folder; --faithfulness also takes segmentation sets")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--split", default="test", choices=(*SPLITS, "all"))
    add("--limit", type=positive_int, help=f"at most this many tiles of the split (default: {LIMIT}; all for --errors)")
    add("--seed", type=non_negative_int, default=0, help="of that draw, random maps and random weights")
    add("--methods", help=f"of {', '.join(METHODS)} (default: gradcam,ig-blurred and, for a .tflite, occlusion)")
    add("--layer", metavar="NAME", help="convolution for Grad-CAM (default: the last)")
    add("--patch", type=positive_int, metavar="PX", help="side of the occluded patch (default: a seventh of the tile)")
    add("--max-steps", type=positive_int, default=512, help="of Integrated Gradients (default: %(default)s)")
    add("--faithfulness", action="store_true", help="measure deletion, insertion, localisation and sanity of the maps")
    add("--sanity", type=non_negative_int, default=8, metavar="N", help="tiles of the sanity check (default: 8)")
    add("--errors", action="store_true", help="evaluate the split and explain what the model gets wrong")
    add("--show", type=positive_int, default=24, metavar="N", help="errors of each kind to explain (default: 24)")
    add(
        "--disputes",
        type=named_path,
        metavar="CSV",
        help="label audit with a column path or sha256: its tiles are marked",
    )
    add(
        "--training",
        type=named_path,
        metavar="CSV",
        help="manifest that trained the models (default: found by its hash)",
    )
    add("--training-limit", type=positive_int, metavar="N", help="search at most N training tiles for the nearest ones")
    add(
        "--neighbours",
        type=non_negative_int,
        default=3,
        metavar="N",
        help="nearest training tiles shown, 0 for none (default: 3)",
    )
    add("--threads", type=positive_int, default=None, help="threads of .tflite models (default: all cores)")
    add("--out", type=named_path, required=True, metavar="DIR", help="folder for maps, overlays, tables and galleries")
    add("--resume", action="store_true", help="go on with the run in --out; finished tiles stay")
    add("--overwrite", action="store_true", help="replace the run in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(
        lambda: run(args),
        interrupted="Finished tiles are kept. Give the same command with --resume.",
        needs=("matplotlib",),  # a .tflite needs no Keras
    )


def run(args: argparse.Namespace) -> None:
    """Explain as the parsed options say."""
    given = {entry.name: getattr(args, entry.name) for entry in fields(ExplainConfig)}
    config = ExplainConfig(
        **given | {"data": args.data or "", "tiles": tuple(args.tiles or ()), "methods": _methods(args.methods)}
    )

    from crack_tf.explain.explaining import explain_models

    print("\n".join(explain_models(args.models, config, args.out, resume=args.resume, overwrite=args.overwrite)))


def _methods(text: str | None) -> tuple[str, ...] | None:
    """--methods, each once, in the order given; None when the user leaves it to the models."""
    if text is None:
        return None
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not chosen:
        raise CrackError(f"--methods {text!r}: choose of {', '.join(METHODS)}, with commas between them.")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
