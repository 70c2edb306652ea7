"""`crack-tf predict`: cracks in photographs, with a shipped model or a .tflite file. LiteRT only: no TensorFlow is imported.

    crack-tf predict pier.jpg
    crack-tf predict DCIM --out found --overlay

A photograph about as large as a training tile is classified whole; a larger one is cut into overlapping tiles, and is called
cracked when one of them is.
"""

from __future__ import annotations

import argparse
import sys

from tflite.cli import EXIT_GAPS, Parser, named_path, positive_int, resumed, run_main, share, tile_side

EPILOG = """exit codes: 0 all photographs were read (cracked or not), 1 some could not be read: they are listed and recorded as
unreadable, never as clean; 2 nothing could be done as asked; 130 stopped by Ctrl-C, go on with --resume."""


def make_parser() -> argparse.ArgumentParser:
    parser = Parser("crack-tf predict", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "photos", nargs="+", type=named_path, metavar="PHOTO|FOLDER", help="image files, folders of them"
    )
    parser.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="a shipped model (crack-tf zoo list) or a .tflite file with its sidecar (default: the zoo's default)",
    )
    parser.add_argument(
        "--out", type=named_path, metavar="DIR", help="write predictions.jsonl, photos.csv and tiles.csv to this folder"
    )
    parser.add_argument("--overlay", action="store_true", help="also draw a heat map over each photograph; needs --out")
    parser.add_argument(
        "--tile",
        type=tile_side,
        default=None,
        metavar="auto|PX",
        help="side of a tile in pixels of the photograph; default: auto, as many millimetres as the model's training tiles, where "
        "both scales are known, else as many pixels",
    )
    parser.add_argument(
        "--overlap",
        type=share,
        default=0.25,
        metavar="SHARE",
        help="least share of a tile that its neighbour repeats (default: 0.25)",
    )
    parser.add_argument("--jobs", type=positive_int, metavar="N", help="threads (default: all cores)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on in --out; photographs done before are passed over")
    again.add_argument("--overwrite", action="store_true", help="replace an earlier run in --out")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Returns:
        0, or 1 when a photograph could not be read.
    """
    from crack_tf.inference.predict import PredictConfig, predict_photos  # LiteRT and pictures

    config = PredictConfig(args.model, args.tile, args.overlap, args.jobs, args.overlay)
    found = predict_photos(args.photos, config, args.out, resume=args.resume, overwrite=args.overwrite)
    return EXIT_GAPS if found.unreadable else 0


def main(argv: list[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    hint = "Nothing was written; with --out, a stopped run goes on." if args.out is None else resumed(args.overwrite)
    return run_main(lambda: run(args), interrupted=hint)


if __name__ == "__main__":
    sys.exit(main())
