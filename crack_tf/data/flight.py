"""A drone's flight along piers, drawn from a seed: overlapping photographs with positions, and every crack on them known.

    crack-tf data flight --seed 0 --out flight

writes `photos/` (JPEG with EXIF: position, heading, time, focal length, distance), `masks/` (the cracks' exact pixels),
`flight.csv` (the drone's own log, a position every second), `faces.json` and `truth.json`. The camera looks straight at each pier,
from left to right and row by row; beside the piers are sky, leaves and water. One photograph lacks its position, which the log has,
and one is stored upside down with an EXIF orientation that says so.

    crack-tf data flight --seed 0 --out flight --laser-noise-m 0.05 --pitch-deg 8 --missed 1 --blurred 1

draws what a drone with a laser and a gimbal would bring: XMP with range, angles, calibrated focal length and RTK accuracy instead
of the EXIF distance, photographs that look up and down, and some that were never taken or are smeared by motion. `truth.json`
says where each photograph's pixels really are (`to_wall_mm`), what of each face was seen how well, and where the holes are, for
cracks of --needs-mm; `faces.json` declares the faces for `crack-tf survey --faces`.

    crack-tf data flight --seed 0 --out flight --shape round --piers 1 --columns 8 --size 1000x750 --laser-noise-m 0.05

goes around a cylinder; --shape corner shows two faces of each pier.

    crack-tf data flight --seed 0 --out flight --epoch 1 --grown-mm 0,0.2

flies along the same walls a year later, for `crack-tf survey --since`: from other places, in other light, and every second crack is
0.2 mm wider. All other options are those of the first flight.

It shows that a survey works. How well models find cracks on real concrete, it does not show.
"""

from __future__ import annotations

import argparse

from crack_tf.synthetic.flight_plan import SHAPES, Plan
from tflite.cli import any_float, named_path, non_negative_int, positive_float, positive_int
from tflite.words import counted


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `crack-tf data flight`; `run` does what they ask for."""
    default = Plan()
    parser.add_argument("--seed", type=non_negative_int, default=0, help="another seed is another flight (default: 0)")
    parser.add_argument("--out", type=named_path, required=True, metavar="DIR", help="folder to write")
    for name in ("piers", "rows", "columns"):
        value = getattr(default, name)
        parser.add_argument(
            f"--{name}", type=positive_int, default=value, help=f"photographs are piers x rows x columns ({value})"
        )
    parser.add_argument("--cracks", type=non_negative_int, default=default.cracks, help=f"per pier ({default.cracks})")
    parser.add_argument(
        "--size",
        type=photo_size,
        default=(default.width, default.height),
        metavar="WxH",
        help="of a photograph (1600x1200)",
    )
    parser.add_argument(
        "--mm-per-pixel", type=positive_float, default=default.mm_per_pixel, help=f"({default.mm_per_pixel})"
    )
    parser.add_argument(
        "--gps-noise-m",
        type=any_float,
        default=default.gps_noise_m,
        help=f"standard deviation ({default.gps_noise_m})",
    )
    parser.add_argument(
        "--laser-noise-m",
        type=any_float,
        metavar="M",
        help="standard deviation of a laser's range (default: no laser)",
    )
    parser.add_argument("--pitch-deg", type=any_float, default=0.0, help="standard deviation of the camera's pitch (0)")
    parser.add_argument("--missed", type=non_negative_int, default=0, help="photographs that were not taken (0)")
    parser.add_argument("--blurred", type=non_negative_int, default=0, help="photographs smeared by motion (0)")
    parser.add_argument("--far", type=non_negative_int, default=0, help="photographs from twice the distance (0)")
    parser.add_argument(
        "--shape", choices=SHAPES, default=default.shape, help=f"of a pier ({default.shape}); corner: two faces of it"
    )
    parser.add_argument(
        "--distance-m", type=positive_float, default=default.distance_m, help=f"({default.distance_m:g})"
    )
    parser.add_argument(
        "--facing-deg", type=any_float, default=0.0, help="standard deviation of looking left or right of square (0)"
    )
    parser.add_argument(
        "--gimbal-noise-deg",
        type=any_float,
        default=0.0,
        help="standard deviation of the heading and pitch written (0)",
    )
    parser.add_argument(
        "--needs-mm", type=positive_float, metavar="MM", help="width of crack that the truth's areas are for (4 pixels)"
    )
    parser.add_argument(
        "--widths-px", type=_range, default=default.widths_px, metavar="MIN,MAX", help="of cracks (3.6,15)"
    )
    parser.add_argument(
        "--darkness",
        type=_range,
        default=default.darkness,
        metavar="MIN,MAX",
        help="of cracks, share of the light (0.55,0.82)",
    )
    parser.add_argument(
        "--epoch",
        type=non_negative_int,
        default=0,
        metavar="N",
        help="0: the first flight; 1: the same walls a year later (0)",
    )
    parser.add_argument(
        "--grown-mm",
        type=_millimetres,
        default=(),
        metavar="MM,MM",
        help="with --epoch: by how much wider the cracks are, in turn (0)",
    )
    parser.add_argument(
        "--longer-mm",
        type=_millimetres,
        default=(),
        metavar="MM,MM",
        help="with --epoch: by how much longer they are, in turn (0)",
    )
    parser.add_argument(
        "--at", type=_place, default=(default.latitude, default.longitude), metavar="LAT,LON", help="of the first pier"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier flight in --out")


def run(args: argparse.Namespace) -> None:
    """Draw the flight that the command line asks for."""
    from crack_tf.synthetic.flight import write_flight  # numpy and Pillow are slow to import for --help

    plan = Plan(
        seed=args.seed,
        piers=args.piers,
        rows=args.rows,
        columns=args.columns,
        width=args.size[0],
        height=args.size[1],
        cracks=args.cracks,
        mm_per_pixel=args.mm_per_pixel,
        gps_noise_m=args.gps_noise_m,
        latitude=args.at[0],
        longitude=args.at[1],
        laser_noise_m=args.laser_noise_m,
        pitch_deg=args.pitch_deg,
        missed=args.missed,
        blurred=args.blurred,
        far=args.far,
        shape=args.shape,
        distance_m=args.distance_m,
        facing_deg=args.facing_deg,
        gimbal_noise_deg=args.gimbal_noise_deg,
        needs_mm=args.needs_mm,
        widths_px=args.widths_px,
        darkness=args.darkness,
        epoch=args.epoch,
        grown_mm=args.grown_mm,
        longer_mm=args.longer_mm,
    )
    truth = write_flight(args.out, plan, overwrite=args.overwrite)
    print(
        f"{counted(len(truth['photos']), 'photograph')} of {counted(plan.piers, 'pier')} "
        f"with {counted(len(truth['cracks']), 'crack')} in {args.out}"
    )


def photo_size(text: str) -> tuple[int, int]:
    """argparse type: WIDTHxHEIGHT."""
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT in pixels, such as 4000x3000; got {text!r}")
    return int(width), int(height)


def _place(text: str) -> tuple[float, float]:
    """argparse type: LATITUDE,LONGITUDE."""
    try:
        latitude, longitude = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be LATITUDE,LONGITUDE in degrees, got {text!r}") from None
    return latitude, longitude


def _range(text: str) -> tuple[float, float]:
    """argparse type: LEAST,GREATEST."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers, MIN,MAX, got {text!r}") from None
    return low, high


def _millimetres(text: str) -> tuple[float, ...]:
    """argparse type: numbers with commas between."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be millimetres with commas between, such as 0,0.2; got {text!r}"
        ) from None
