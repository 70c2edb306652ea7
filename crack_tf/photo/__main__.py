"""`python -m crack_tf.photo foreground | segment | measure`: where the concrete is, where its cracks are, how long and wide."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import fields

from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.photo.limits import HELP
from crack_tf.photo.measure_config import MeasureConfig
from tflite.cli import (
    EXIT_GAPS,
    Parser,
    fraction,
    named_path,
    non_negative_int,
    positive_float,
    positive_int,
    resumed,
    run_main,
    share,
)
from tflite.device.tiles import Box

_BACKENDS = ("grabcut", "sam", "none")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = make_parser().parse_args(argv)
    hint = resumed(options.overwrite) if options.run is _segment else "Nothing was left half-written."
    return run_main(lambda: options.run(options), interrupted=hint)


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser(prog="crack-tf photo", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="foreground | segment | measure")

    verb = verbs.add_parser("foreground", help="find the concrete in a photograph and write its mask as .png and .npy")
    verb.add_argument("photo", type=named_path)
    verb.add_argument("--backend", choices=_BACKENDS, default="grabcut", help="default: grabcut")
    verb.add_argument(
        "--fg", type=_point, action="append", default=[], metavar="X,Y", help="a point on the concrete; repeat"
    )
    verb.add_argument("--bg", type=_point, action="append", default=[], metavar="X,Y", help="a point elsewhere; repeat")
    verb.add_argument("--box", type=_box, metavar="X,Y,W,H", help="around the concrete")
    verb.add_argument("--preset", help="sam: keras-hub preset or folder; default: sam_base_sa1b")
    verb.add_argument("--mask", type=named_path, help="none: a mask file to take as it is")
    verb.add_argument(
        "--out", type=named_path, required=True, help="mask file, .png; its .npy twin is written beside it"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace the files")
    verb.set_defaults(run=_foreground)

    verb = verbs.add_parser(
        "segment", help="draw the cracks of photographs with a segmentation model, and measure them"
    )
    verb.add_argument("photos", nargs="+", type=named_path, metavar="PHOTO|FOLDER", help="image files, folders of them")
    verb.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="a shipped model (crack-tf zoo list) or a .tflite file with its sidecar (default: the zoo's)",
    )
    verb.add_argument(
        "--threshold", type=fraction, help="probability from which a pixel is crack; default: the model's own"
    )
    verb.add_argument(
        "--foreground",
        default="none",
        metavar="auto|none|MASK.png",
        help="where to look for cracks: GrabCut's guess, everywhere (default), or a mask of the only photograph",
    )
    verb.add_argument(
        "--fg", type=_point, action="append", default=[], metavar="X,Y", help="a point on the concrete; repeat"
    )
    verb.add_argument("--bg", type=_point, action="append", default=[], metavar="X,Y", help="a point elsewhere; repeat")
    verb.add_argument(
        "--overlap", type=share, default=0.25, help="least share of a tile that its neighbour repeats (default: 0.25)"
    )
    verb.add_argument("--jobs", type=positive_int, metavar="N", help="threads (default: all cores)")
    _add_measure_arguments(verb, f"{MIN_LENGTH_PX:g}")
    verb.add_argument("--limit-mm", metavar="MM,MM", help=HELP)
    verb.add_argument(
        "--out", type=named_path, required=True, metavar="DIR", help="a folder per photograph is made there"
    )
    again = verb.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on in --out; photographs done before are passed over")
    again.add_argument("--overwrite", action="store_true", help="replace results in --out")
    verb.set_defaults(run=_segment)

    verb = verbs.add_parser("measure", help="measure the cracks of a mask: cracks.csv, cracks.json and overlay.png")
    verb.add_argument("mask", type=named_path, help="black and white, .png or .npy; white is crack")
    verb.add_argument(
        "--photo", type=named_path, help="photograph of the mask: widths are measured in it; for overlay and EXIF too"
    )
    verb.add_argument("--foreground", type=named_path, help="mask of the concrete; cracks outside are left out")
    verb.add_argument("--threshold", type=positive_float, help="cut a soft mask there, in the file's own values")
    verb.add_argument("--invert", action="store_true", help="black is crack")
    _add_measure_arguments(verb, "0")
    verb.add_argument("--limit-mm", metavar="MM,MM", help=HELP)
    verb.add_argument("--out", type=named_path, required=True, help="folder for the results")
    verb.add_argument("--overwrite", action="store_true", help="replace results in --out")
    verb.set_defaults(run=_measure)
    return parser


def _add_measure_arguments(parser: argparse.ArgumentParser, shortest: str) -> None:
    """Options that say which cracks count, and how large a pixel is."""
    parser.add_argument("--min-area", type=non_negative_int, help="leave out smaller spots, in pixels; default: 30")
    parser.add_argument(
        "--min-length",
        type=non_negative_int,
        help=f"leave out shorter marks, in pixels; default: {shortest}",
    )
    scale = parser.add_argument_group("scale", "without any of these, results are in pixels")
    scale.add_argument(
        "--mm-per-pixel",
        type=positive_float,
        help="of the surface in a pixel: a ruler's length, divided by the pixels along it",
    )
    scale.add_argument("--distance-m", type=positive_float, help="from the lens to the surface, in metres")
    scale.add_argument("--focal-mm", type=positive_float, help="focal length; default: that in the photograph")
    scale.add_argument("--sensor-width-mm", type=positive_float, help="longer side of the sensor")
    scale.add_argument("--exif", action="store_true", help="take focal length and distance from the photograph")


def _measure_config(options: argparse.Namespace) -> MeasureConfig:
    return MeasureConfig(**{entry.name: getattr(options, entry.name) for entry in fields(MeasureConfig)})


def _foreground(options: argparse.Namespace) -> None:
    from crack_tf.photo.foreground_files import ForegroundConfig, write_foreground

    config = ForegroundConfig(
        backend=options.backend,
        fg=tuple(options.fg),
        bg=tuple(options.bg),
        box=options.box,
        preset=options.preset,
        mask=options.mask,
    )
    written = write_foreground(options.photo, options.out, config, overwrite=options.overwrite)
    found = written.found
    note = f" ({found.note})" if found.note else ""
    print(f"{found.backend}: {found.share:.1%} of {options.photo} is foreground{note}")
    print(f"written: {written.png}, {written.npy}")


def _measure(options: argparse.Namespace) -> None:
    from crack_tf.photo.measuring import MaskConfig, measure_mask

    config = MaskConfig(
        photo=options.photo,
        foreground=options.foreground,
        threshold=options.threshold,
        invert=options.invert,
        measure=_measure_config(options),
    )
    found = measure_mask(options.mask, options.out, config, overwrite=options.overwrite)
    for note in found.notes:
        print(note, file=sys.stderr)
    print("\n".join(found.lines()))


def _segment(options: argparse.Namespace) -> int:
    from crack_tf.inference.segment import SegmentConfig, segment_photos

    config = SegmentConfig(
        model=options.model,
        threshold=options.threshold,
        foreground=options.foreground,
        fg=tuple(options.fg),
        bg=tuple(options.bg),
        overlap=options.overlap,
        jobs=options.jobs,
        measure=_measure_config(options),
    )
    found = segment_photos(options.photos, config, options.out, resume=options.resume, overwrite=options.overwrite)
    return EXIT_GAPS if found.unreadable else 0


def _point(text: str) -> tuple[int, int]:
    """argparse type: X,Y in pixels."""
    match = re.fullmatch(r"(\d+),(\d+)", text.replace(" ", ""))
    if match is None:
        raise argparse.ArgumentTypeError(f"must be X,Y in whole pixels, such as 800,600; got {text!r}")
    return int(match[1]), int(match[2])


def _box(text: str) -> Box:
    """argparse type: X,Y,W,H in pixels."""
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text.replace(" ", ""))
    if match is None:
        raise argparse.ArgumentTypeError(f"must be X,Y,WIDTH,HEIGHT in whole pixels, got {text!r}")
    x, y, w, h = map(int, match.groups())
    return Box(y, x, h, w)


if __name__ == "__main__":
    sys.exit(main())
