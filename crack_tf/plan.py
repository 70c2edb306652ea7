"""`crack-tf plan`: how to fly so that cracks of a width can be measured.

crack-tf plan --needs-mm 0.3 --camera pi-camera-3 --board pi4
crack-tf plan --needs-mm 0.2 --camera DJI_0001.JPG --faces faces.json --exposure 1/2000
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from crack_tf.common.progress import say_now
from tflite.cli import Parser, named_path, positive_float, run_main, share

BOARDS = ("pi4", "pi5", "x86")


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser("crack-tf plan", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--needs-mm", type=positive_float, required=True, metavar="MM", help="width of the finest crack to be measured"
    )
    parser.add_argument(
        "--camera",
        required=True,
        metavar="FILE|NAME",
        help="a photograph that the camera took, or pi-camera-2, pi-camera-3, pi-camera-3-wide, pi-hq",
    )
    parser.add_argument("--focal-mm", type=positive_float, metavar="MM", help="lens of a camera that takes any")
    parser.add_argument(
        "--sensor-width-mm", type=positive_float, metavar="MM", help="of a photograph without a 35 mm equivalent"
    )
    parser.add_argument(
        "--board",
        choices=BOARDS,
        default="x86",
        help="that answers in flight: x86 is measured here, pi4 and pi5 are projected (default: x86)",
    )
    parser.add_argument(
        "--speeds", type=named_path, metavar="FILE", help="CSV of python -m tflite.benchmark on that board, instead"
    )
    parser.add_argument(
        "--faces", type=named_path, metavar="FILE", help="surfaces to be seen, as for a survey (docs/coverage.md)"
    )
    parser.add_argument(
        "--overlap", type=share, default=0.3, metavar="SHARE", help="of neighbouring photographs (default: 0.3)"
    )
    parser.add_argument(
        "--exposure", type=exposure, default=0.001, metavar="S", help="shutter time in seconds (default: 1/1000)"
    )
    parser.add_argument(
        "--blur-px", type=positive_float, default=1.0, metavar="PX", help="blur by flight to accept (default: 1)"
    )
    parser.add_argument(
        "--speed-m-s", type=positive_float, metavar="V", help="to fly at (default: as fast as that blur allows)"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Print the plan that the command line asks for.

    Raises:
        CrackError: if an argument, the photograph or a file is not usable.
    """
    from crack_tf.survey.planning import PlanConfig, plan_flight

    config = PlanConfig(
        needs_mm=args.needs_mm,
        camera=args.camera,
        board=args.board,
        faces=args.faces,
        overlap=args.overlap,
        exposure_s=args.exposure,
        blur_px=args.blur_px,
        speed_m_s=args.speed_m_s,
        focal_mm=args.focal_mm,
        sensor_width_mm=args.sensor_width_mm,
        speeds=args.speeds,
    )
    plan_flight(config, tell=say_now)


def exposure(text: str) -> float:
    """argparse type: seconds such as 0.001 or 1/1000."""
    top, slash, bottom = text.partition("/")
    try:
        return positive_float(top) / positive_float(bottom) if slash else positive_float(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"must be seconds above 0 such as 0.001 or 1/1000, got {text!r}") from None


def with_values(texts: Sequence[str]) -> list[str]:
    """A command line in which --exposure -1/2000 is --exposure=-1/2000: argparse takes such a value for an option, and tells of none."""
    joined: list[str] = []
    for text in texts:
        if re.match(r"-[\d.]", text) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={text}"
        else:
            joined.append(text)
    return joined


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(with_values(sys.argv[1:] if argv is None else argv))
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
