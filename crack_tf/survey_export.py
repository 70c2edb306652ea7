"""`crack-tf survey-export`: a finished survey to the formats of other programs.

    crack-tf survey-export found --to geopackage --crs EPSG:2056 --out found.gpkg
    crack-tf survey-export found --to coco --out DCIM/cracks.json
    crack-tf survey-export found --to sheet --photos DCIM --out sheets

What a format cannot hold is told.
"""

from __future__ import annotations

import argparse
import sys

from tflite.cli import EXIT_GAPS, Parser, named_path, run_main

EPILOG = "exit codes: 0 done, 1 done with gaps: they are listed, and are never free of cracks; 2 nothing could be done as asked."
_LISTED_GAPS = 10


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser("crack-tf survey-export", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("found", type=named_path, metavar="FOUND", help="folder of a finished survey")
    parser.add_argument(
        "--to",
        required=True,
        choices=("geopackage", "coco", "sheet"),
        help="geopackage: findings, cracks, photographs and gaps for GIS programs; coco: masks for annotation programs, which "
        "crack-tf data convert takes back; sheet: an elevation of each face, as SVG, DXF and PNG",
    )
    parser.add_argument(
        "--out", type=named_path, required=True, metavar="FILE", help="to write: .gpkg, .json, or a folder of sheets"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result of this kind")
    parser.add_argument(
        "--crs",
        metavar="CODE",
        help="geopackage: reference system, such as EPSG:2056, or utm for the zone of the findings (default: EPSG:4326, degrees)",
    )
    parser.add_argument(
        "--masks",
        choices=("polygons", "rle"),
        default="polygons",
        help="coco: polygons, which can be moved, or run lengths, the same to the pixel (default: polygons)",
    )
    parser.add_argument(
        "--photos",
        type=named_path,
        metavar="DIR",
        help="sheet: folder that was surveyed, for a mosaic behind the cracks",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Returns:
        0, or 1 when there are gaps.

    Raises:
        CrackError: if an argument or the survey is not usable.
    """
    from crack_tf.survey.handover import HandoverConfig, hand_over

    config = HandoverConfig(args.to, args.crs, args.masks, args.photos)
    done = hand_over(args.found, args.out, config, overwrite=args.overwrite)
    print(f"{done.path}: {done.told}.")
    for gap in done.gaps[:_LISTED_GAPS]:
        print(f"GAP  {gap}")
    if len(done.gaps) > _LISTED_GAPS:
        print(f"GAP  ... and {len(done.gaps) - _LISTED_GAPS} more")
    return EXIT_GAPS if done.gaps else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
