"""`crack-tf survey`: a flight's photographs, a video or a device's journal, to findings with place, length, width and picture.

    crack-tf survey DCIM --out found
    crack-tf survey DCIM --out found --flight-log flight.csv --distance-m 2
    crack-tf survey DCIM --out found --scheduler tcp://HOST:8786               on the workers of a Dask cluster
    crack-tf survey flight.mp4 --out found --video-start 2025-06-01T09:30:00+02:00 --flight-log flight.gpx
    crack-tf survey --review review.json --out found --export-tiles tiles      what an engineer decided in the report
    crack-tf survey DCIM --review review.json --out found                      the same, and what was accepted is measured
    crack-tf survey DCIM --out found --certify                                 what could have been missed
    crack-tf survey DCIM --out found --since found-2025                        what became of each crack since then
    crack-tf survey --out found --one-file                                     a finished survey's report, to be mailed

The same command goes on after a stop, whatever stopped it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from crack_tf.photo.limits import HELP
from tflite.arguments import option_of
from tflite.cli import (
    EXIT_GAPS,
    Parser,
    clock_offset,
    moment,
    named_path,
    non_negative_int,
    positive_float,
    positive_int,
    run_main,
    share,
    tile_side,
)
from tflite.errors import CrackError

EPILOG = """exit codes: 0 all photographs were searched; 1 there are gaps, which are listed and never count as clean, or photographs without
a position although --flight-log or others have some; 2 nothing could be done as asked; 130 stopped by Ctrl-C, the same command goes on."""


# Answered from what was searched.
_ASKED_AFTERWARDS = ("since", "condition", "limit_mm", "faces", "title")


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser("crack-tf survey", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "photos",
        type=named_path,
        nargs="?",
        metavar="PHOTOS",
        help="folder of photographs, a video, or a device's journal folder",
    )
    parser.add_argument("--out", type=named_path, required=True, metavar="DIR", help="folder for the survey")
    parser.add_argument("--overwrite", action="store_true", help="start again in --out")
    parser.add_argument("--jobs", type=positive_int, metavar="N", help="photographs at a time (default: all cores)")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler, such as tcp://HOST:8786, whose workers see the photographs under the same path and search them "
        "(requirements-cluster.txt)",
    )
    parser.add_argument(
        "--truth",
        type=named_path,
        metavar="FILE",
        help="truth.json of crack-tf data flight: print how good the survey is, and write comparison.json",
    )

    parser.add_argument(
        "--one-file",
        action="store_true",
        help="pictures inside report.html instead of beside it; of a finished survey, without PHOTOS: the report only",
    )
    parser.add_argument(
        "--title",
        metavar="TEXT",
        help="name of the structure or the inspection, at the head of report and exports (default: as before, or the name "
        "of PHOTOS)",
    )

    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", metavar="NAME|FILE", help="classifier: shipped or a .tflite file (default: the zoo's default)"
    )
    models.add_argument(
        "--segmenter",
        metavar="NAME|FILE|none",
        help="validation by segmentation: shipped, a .tflite file, or none (default: the zoo's, if there is one)",
    )
    models.add_argument(
        "--tile",
        type=tile_side,
        metavar="auto|PX",
        help="side of a tile; default: auto, as many millimetres as the model's training tiles, else as many pixels",
    )
    models.add_argument(
        "--overlap", type=share, default=0.25, metavar="SHARE", help="of neighbouring tiles (default: 0.25)"
    )
    models.add_argument(
        "--foreground", choices=("auto", "none"), default="auto", help="leave out sky, leaves and water (default: auto)"
    )

    scale = parser.add_argument_group(
        "scale", "default: the photograph's own focal length, and its laser's range or else its EXIF distance"
    )
    scale.add_argument("--mm-per-pixel", type=positive_float, metavar="MM", help="of all photographs")
    scale.add_argument(
        "--distance-m",
        type=positive_float,
        metavar="M",
        help="from the lens to the surface, where no laser measured it",
    )
    scale.add_argument(
        "--distance-from-positions",
        action="store_true",
        help="where no laser measured the distance, measure it between photographs that overlap, by their positions (RTK); all are "
        "read twice",
    )
    scale.add_argument(
        "--distance-from-faces",
        action="store_true",
        help="where no laser measured it and nobody states it: that of the position before --faces; needs RTK and a gimbal's angles",
    )
    scale.add_argument("--focal-mm", type=positive_float, metavar="MM", help="focal length; default: EXIF")
    scale.add_argument("--sensor-width-mm", type=positive_float, metavar="MM", help="longer side of the sensor")

    seen = parser.add_argument_group("coverage", "what was seen, and what was not")
    seen.add_argument(
        "--needs-mm",
        type=positive_float,
        default=0.3,
        metavar="MM",
        help="width of crack that must be measurable (0.3)",
    )
    seen.add_argument(
        "--faces",
        type=named_path,
        metavar="FILE",
        help="faces of the structure with their sizes, see docs/coverage.md (default: the walls that the flight looked at)",
    )

    parser.add_argument(
        "--condition",
        metavar="PRESET|FILE",
        help="propose a condition state for each crack, by a table of rules: mbei-1130, osim, width-classes or a TOML file, see "
        "docs/condition.md; on a finished survey with its PHOTOS, nothing is searched again",
    )
    parser.add_argument(
        "--since",
        type=named_path,
        metavar="OLD",
        help="folder of an earlier survey of the same structure: say of each crack whether it has grown, see docs/since.md; on a finished "
        "survey with its PHOTOS, nothing is searched again",
    )
    seen.add_argument("--limit-mm", metavar="MM,MM", help=HELP)

    certify = parser.add_argument_group("certificate", "what could have been missed: docs/certificate.md")
    certify.add_argument(
        "--certify",
        action="store_true",
        help="lay known cracks into the flight's own clean photographs and search for them; of a finished survey, too",
    )
    certify.add_argument(
        "--certify-cracks",
        type=positive_int,
        metavar="N",
        help="how many (default: up to 400, in 40 %% of the survey's time; refused where 16 take more than half of it)",
    )
    certify.add_argument(
        "--certify-seed", type=non_negative_int, default=0, metavar="N", help="another seed lays other cracks (0)"
    )

    review = parser.add_argument_group("review", "of a finished survey")
    review.add_argument(
        "--review",
        type=named_path,
        metavar="FILE",
        help="that report.html exported: put it into tables and report; with PHOTOS and the survey's own options, what was accepted "
        "without being confirmed is measured",
    )
    review.add_argument("--export-tiles", type=named_path, metavar="DIR", help="decided findings as tiles to train on")

    place = parser.add_argument_group("time and place", "default: the EXIF data")
    place.add_argument(
        "--flight-log",
        type=named_path,
        metavar="FILE",
        help="CSV, GPX, NMEA, a drone's SRT or MRK, a flight controller's .tlog, .bin or .ulg; for pictures without a position (an SRT "
        "beside a video is found by itself)",
    )
    place.add_argument(
        "--timezone", metavar="ZONE", help="of clocks that do not say theirs, such as Europe/Vienna or +02:00"
    )
    place.add_argument(
        "--clock-offset",
        type=clock_offset,
        default=0.0,
        metavar="SECONDS",
        help="to add to the times of the camera's clock: 73 where it is 73 s slow, -73 where it is fast (default: 0)",
    )
    place.add_argument(
        "--position-error-m",
        type=positive_float,
        default=3.0,
        metavar="M",
        help="of positions; farther apart, photographs are never compared for the same crack (default: 3)",
    )
    place.add_argument(
        "--every-s", type=positive_float, default=1.0, metavar="S", help="video: seconds between frames (default: 1)"
    )
    place.add_argument(
        "--video-start",
        type=moment,
        metavar="TIME",
        help="video: of its first frame, ISO 8601 with a time zone (default: by its subtitles or its container)",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Returns:
        0, or 1 when there are gaps, or some photographs have no place.

    Raises:
        CrackError: if an argument, a model, the source or the output folder is not usable.
    """
    for option, value in {name: getattr(args, name) for name in _ASKED_AFTERWARDS}.items():
        if args.photos is None and value is not None:
            raise CrackError(
                f"{option_of(option)} {value} needs PHOTOS, too: name the same ones, what was searched is not searched again."
            )
    if args.review is not None:
        from crack_tf.survey.reviewing import apply_review

        if args.photos is not None and args.overwrite:
            raise CrackError(
                f"--overwrite starts the survey of {args.photos} again, and --review is of the one that is there: leave one of them out."
            )
        told = apply_review(
            args.out,
            args.review,
            args.export_tiles,
            overwrite=args.overwrite,
            one_file=args.one_file,
            photos=args.photos,
        )
        print(told)
        if args.photos is None:
            return 0
    elif args.export_tiles is not None:
        raise CrackError("--export-tiles needs --review FILE: the tiles are of findings that somebody decided on.")
    if args.photos is None and args.one_file:
        return _report_only(args.out)
    if args.photos is None:
        raise CrackError("name what to survey: a folder of photographs, a video or a device's journal folder.")

    from crack_tf.survey.config import SurveyConfig
    from crack_tf.survey.surveying import survey
    from crack_tf.survey.told import tell

    config = SurveyConfig(**{entry.name: getattr(args, entry.name) for entry in fields(SurveyConfig)})
    found = survey(args.photos, args.out, config, overwrite=args.overwrite, one_file=args.one_file, truth=args.truth)
    print("\n" + "\n".join(tell(found, args.tile is None)))
    if found.comparison is not None:
        print(f"\ncompared with {args.truth}:\n{found.comparison.describe()}")
    return 0 if found.complete else EXIT_GAPS


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    hint = f"The same command{' without --overwrite' if args.overwrite else ''} goes on."
    return run_main(lambda: run(args), interrupted=hint, needs=("cv2",))


def _report_only(out: Path) -> int:
    """Write a finished survey's report again, as one file."""
    from crack_tf.survey.findings import read_survey
    from crack_tf.survey.report.page import write_page
    from crack_tf.survey.severity import ranked

    survey = read_survey(out)
    today = ranked(survey)
    path = write_page(out, today, one_file=True)
    if today.findings != survey.findings:
        print(
            "note: severities and their order are by today's rule; the tables keep those of the version that made them."
        )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
