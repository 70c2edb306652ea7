"""A drone's flight along piers, drawn from a seed: overlapping photographs with positions, and every crack on them known.

    crack-tf data flight --seed 0 --out flight

writes `photos/` (JPEG with EXIF: position, heading, time, focal length, distance), `masks/` (the cracks' exact pixels),
`flight.csv` (the drone's own log, a position every second) and `truth.json`. The camera looks straight at each pier, from left to
right and row by row; beside the piers are sky, leaves and water. One photograph lacks its position, which the log has, and one is
stored upside down with an EXIF orientation that says so.

It shows that a survey works. How well models find cracks on real concrete, it does not show.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tflite.cli import non_negative_int, positive_float, positive_int
from tflite.device.tiles import Box
from tflite.errors import CrackError

MIN_SIDE, MAX_SIDE = 240, 8000  # pixels of a photograph
_OVERLAP = (0.35, 0.3)  # of neighbours, across and down
_INSET = 0.14  # of a photograph: background at the outer edges of the outer photographs


@dataclass(frozen=True)
class Plan:
    """What to draw.

    Attributes:
        seed: of everything.
        piers, rows, columns: photographs are piers x rows x columns.
        width, height: of a photograph in pixels.
        cracks: per pier, tried for; a crowded pier gets fewer.
        mm_per_pixel: ground sampling distance.
        gps_noise_m: standard deviation of the positions in EXIF data and log.
        latitude, longitude: of the first pier.
    """

    seed: int = 0
    piers: int = 2
    rows: int = 2
    columns: int = 3
    width: int = 1600
    height: int = 1200
    cracks: int = 5
    mm_per_pixel: float = 0.15
    gps_noise_m: float = 0.02
    latitude: float = 48.2102
    longitude: float = 16.4203

    def check(self) -> None:
        """Raise if it cannot be drawn.

        Raises:
            CrackError: naming the argument.
        """
        if min(self.width, self.height) < MIN_SIDE or max(self.width, self.height) > MAX_SIDE:
            raise CrackError(
                f"--size {self.width}x{self.height}: choose from {MIN_SIDE} to {MAX_SIDE} pixels on both sides."
            )
        if not (-85 <= self.latitude <= 85 and -180 <= self.longitude <= 180):
            raise CrackError(
                f"--at {self.latitude},{self.longitude}: give latitude (-85 to 85) and longitude (-180 to 180)."
            )

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from one photograph to the next, across and down."""
        return round(self.width * (1 - _OVERLAP[0])), round(self.height * (1 - _OVERLAP[1]))

    @property
    def pier(self) -> Box:
        """The concrete, in pixels of the wall."""
        wide = self.width + (self.columns - 1) * self.stride[0]
        tall = self.height + (self.rows - 1) * self.stride[1]
        inset = round(_INSET * self.height)
        return Box(inset, inset, tall - 2 * inset, wide - 2 * inset)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `crack-tf data flight`; `run` does what they ask for."""
    default = Plan()
    parser.add_argument("--seed", type=non_negative_int, default=0, help="another seed is another flight (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
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
        "--gps-noise-m", type=float, default=default.gps_noise_m, help=f"standard deviation ({default.gps_noise_m})"
    )
    parser.add_argument(
        "--at", type=_place, default=(default.latitude, default.longitude), metavar="LAT,LON", help="of the first pier"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier flight in --out")


def run(args: argparse.Namespace) -> None:
    """Draw the flight that the command line asks for."""
    from crack_tf.data.drawn_flight import write_flight  # numpy and Pillow are slow to import for --help

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
    )
    truth = write_flight(args.out, plan, overwrite=args.overwrite)
    print(f"{len(truth['photos'])} photographs of {plan.piers} piers with {len(truth['cracks'])} cracks in {args.out}")


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
