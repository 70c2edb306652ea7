"""`python -m crack_tf.photo foreground | measure`: where the concrete is, and how long and wide its cracks are."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tflite.cli import non_negative_int, positive_float, run_main
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.files import atomic_path, refuse_existing, write_csv, write_json

if TYPE_CHECKING:
    from crack_tf.photo.foreground import Backend
    from crack_tf.photo.gsd import GroundSampling

_BACKENDS = ("grabcut", "sam", "none")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = make_parser().parse_args(argv)
    return run_main(lambda: options.run(options))


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="crack-tf photo", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="foreground | measure")

    verb = verbs.add_parser("foreground", help="find the concrete in a photograph and write its mask as .png and .npy")
    verb.add_argument("photo", type=Path)
    verb.add_argument("--backend", choices=_BACKENDS, default="grabcut", help="default: grabcut")
    verb.add_argument(
        "--fg", type=_point, action="append", default=[], metavar="X,Y", help="a point on the concrete; repeat"
    )
    verb.add_argument("--bg", type=_point, action="append", default=[], metavar="X,Y", help="a point elsewhere; repeat")
    verb.add_argument("--box", type=_box, metavar="X,Y,W,H", help="around the concrete")
    verb.add_argument("--preset", help="sam: keras-hub preset or folder; default: sam_base_sa1b")
    verb.add_argument("--mask", type=Path, help="none: a mask file to take as it is")
    verb.add_argument("--out", type=Path, required=True, help="mask file, .png; its .npy twin is written beside it")
    verb.add_argument("--overwrite", action="store_true", help="replace the files")
    verb.set_defaults(run=_foreground)

    verb = verbs.add_parser("measure", help="measure the cracks of a mask: cracks.csv, cracks.json and overlay.png")
    verb.add_argument("mask", type=Path, help="black and white, .png or .npy; white is crack")
    verb.add_argument("--photo", type=Path, help="photograph of the mask, for the overlay and for its EXIF data")
    verb.add_argument("--foreground", type=Path, help="mask of the concrete; cracks outside are left out")
    verb.add_argument("--threshold", type=positive_float, help="cut a soft mask there, in the file's own values")
    verb.add_argument("--invert", action="store_true", help="black is crack")
    verb.add_argument("--min-area", type=non_negative_int, help="leave out smaller spots, in pixels; default: 30")
    verb.add_argument(
        "--min-length", type=non_negative_int, default=0, help="leave out shorter cracks, in pixels; default: 0"
    )
    scale = verb.add_argument_group("scale", "without any of these, results are in pixels")
    scale.add_argument("--mm-per-pixel", type=positive_float, help="ground sampling distance")
    scale.add_argument("--distance-m", type=positive_float, help="from the lens to the surface, in metres")
    scale.add_argument("--focal-mm", type=positive_float, help="focal length; default: that in --photo")
    scale.add_argument("--sensor-width-mm", type=positive_float, help="longer side of the sensor")
    scale.add_argument("--exif", action="store_true", help="take focal length and distance from --photo")
    verb.add_argument("--out", type=Path, required=True, help="folder for the results")
    verb.add_argument("--overwrite", action="store_true", help="replace results in --out")
    verb.set_defaults(run=_measure)
    return parser


def _foreground(options: argparse.Namespace) -> None:
    from crack_tf.photo.foreground import Prompt
    from crack_tf.photo.masks import write_mask
    from tflite.images import load_rgb

    for path in (options.out, options.out.with_suffix(".npy")):
        refuse_existing(path, options.overwrite)
    backend = _backend(options)
    prompt = Prompt(tuple(options.fg), tuple(options.bg), options.box)
    found = backend.segment(load_rgb(options.photo), prompt)
    paths = write_mask(options.out, found.mask, options.overwrite)
    note = f" ({found.note})" if found.note else ""
    print(f"{found.backend}: {found.share:.1%} of {options.photo} is foreground{note}")
    print(f"written: {', '.join(map(str, paths))}")


def _backend(options: argparse.Namespace) -> Backend:
    if options.preset is not None and options.backend != "sam":
        raise CrackError(f"--preset {options.preset} is for --backend sam, not {options.backend}.")
    if options.mask is not None and options.backend != "none":
        raise CrackError(f"--mask {options.mask} is for --backend none, not {options.backend}.")
    if options.backend == "sam":
        from crack_tf.photo.segment_anything import PRESET, SegmentAnything

        return SegmentAnything(options.preset or PRESET)
    if options.backend == "none":
        from crack_tf.photo.foreground import Given

        return Given(options.mask)
    from crack_tf.photo.grabcut import GrabCut

    return GrabCut()


def _measure(options: argparse.Namespace) -> None:
    from crack_tf.photo.cracks import COLUMNS, MIN_AREA, measure_cracks
    from crack_tf.photo.masks import check_crack_mask, read_mask
    from crack_tf.photo.overlay import caption, draw_cracks
    from tflite.images import load_rgb

    if options.out.is_file():
        raise CrackError(f"--out {options.out} is a file. Give a folder.")
    refuse_existing(options.out, options.overwrite)
    photo = None if options.photo is None else load_rgb(options.photo)
    shape = None if photo is None else (photo.shape[0], photo.shape[1])
    mask = check_crack_mask(read_mask(options.mask, shape, options.threshold, options.invert), name=str(options.mask))
    scale = _scale(options, mask.shape)
    if options.foreground is not None:
        mask = mask & read_mask(options.foreground, mask.shape)
    cracks = measure_cracks(
        mask,
        None if scale is None else scale.mm_per_pixel,
        MIN_AREA if options.min_area is None else options.min_area,
        options.min_length,
    )
    write_csv(options.out / "cracks.csv", [crack.as_dict() for crack in cracks], COLUMNS)
    write_json(
        options.out / "cracks.json",
        {
            "mask": options.mask.name,
            "photo": None if options.photo is None else options.photo.name,
            "width": mask.shape[1],
            "height": mask.shape[0],
            "scale": None if scale is None else scale.describe(),
            "cracks": [crack.as_dict(geometry=True) for crack in cracks],
        },
    )
    if photo is not None:
        with atomic_path(options.out / "overlay.png") as temporary:
            draw_cracks(photo, cracks, mask).save(temporary)
    print(scale.describe() if scale is not None else "scale not known: results in pixels")
    for crack in cracks:
        doubt = "" if crack.width_trusted else " (too fine for its width to be trusted)"
        print(f"{caption(crack)}{doubt}")
    print(f"{len(cracks)} cracks (length, mean / maximum width), written to {options.out}")


def _scale(options: argparse.Namespace, shape: tuple[int, ...]) -> GroundSampling | None:
    from crack_tf.photo.gsd import from_camera, from_photo, from_value

    camera = [options.distance_m, options.focal_mm, options.sensor_width_mm]
    if options.mm_per_pixel is not None:
        if options.exif or any(value is not None for value in camera):
            raise CrackError(
                "--mm-per-pixel says everything. Leave --distance-m, --focal-mm, --sensor-width-mm and --exif out."
            )
        return from_value(options.mm_per_pixel)
    if options.focal_mm is not None:
        if options.distance_m is None or options.sensor_width_mm is None:
            raise CrackError("--focal-mm needs --distance-m and --sensor-width-mm beside it.")
        return from_camera(options.focal_mm, options.distance_m, options.sensor_width_mm, max(shape))
    if options.exif or any(value is not None for value in camera):
        if options.photo is None:
            raise CrackError(
                "the scale needs a focal length: give --photo with EXIF data, --focal-mm, or --mm-per-pixel."
            )
        return from_photo(options.photo, options.distance_m, options.sensor_width_mm)
    return None


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
