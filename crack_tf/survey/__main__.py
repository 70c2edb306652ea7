"""`crack-tf survey`: a flight's photographs, a video or a device's journal, to findings with place, length, width and picture.

    crack-tf survey DCIM --out found
    crack-tf survey DCIM --out found --flight-log flight.csv --distance-m 2
    crack-tf survey DCIM --out found --scheduler tcp://HOST:8786               on the workers of a Dask cluster
    crack-tf survey flight.mp4 --out found --video-start 2025-06-01T09:30:00+02:00 --flight-log flight.gpx
    crack-tf survey --review review.json --out found --export-tiles tiles      what an engineer decided in the report
    crack-tf survey --out found --one-file                                     a finished survey's report, to be mailed

The same command goes on after a stop, whatever stopped it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.cli import EXIT_GAPS, clock_offset, moment, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import write_json

if TYPE_CHECKING:
    from crack_tf.survey.findings import Survey
    from tflite.place.flightlog import FlightLog
    from tflite.place.srt import SrtTrack

EPILOG = """exit codes: 0 all photographs were searched and have a position, 1 there are gaps: they are listed and never count as
clean; 2 nothing could be done as asked; 130 stopped by Ctrl-C, the same command goes on."""


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser("crack-tf survey", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "photos",
        type=Path,
        nargs="?",
        metavar="PHOTOS",
        help="folder of photographs, a video, or a device's journal folder",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the survey")
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
        type=Path,
        metavar="FILE",
        help="truth.json of crack-tf data flight: print how good the survey is, and write comparison.json",
    )

    parser.add_argument(
        "--one-file",
        action="store_true",
        help="pictures inside report.html instead of beside it; of a finished survey, without PHOTOS: the report only",
    )

    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", metavar="NAME|FILE", help="classifier: shipped or a .tflite file (default: the zoo's default)"
    )
    models.add_argument(
        "--segmenter",
        metavar="NAME|FILE|none",
        help="second opinion: shipped, a .tflite file, or none (default: the zoo's, if there is one)",
    )
    models.add_argument(
        "--tile", type=_tile, metavar="auto|PX", help="side of a tile (default: auto, of the training tiles)"
    )
    models.add_argument(
        "--overlap", type=float, default=0.25, metavar="SHARE", help="of neighbouring tiles (default: 0.25)"
    )
    models.add_argument(
        "--foreground", choices=("auto", "none"), default="auto", help="leave out sky, leaves and water (default: auto)"
    )

    scale = parser.add_argument_group("scale", "default: focal length and distance in the EXIF data")
    scale.add_argument("--mm-per-pixel", type=positive_float, metavar="MM", help="of all photographs")
    scale.add_argument("--distance-m", type=positive_float, metavar="M", help="from the lens to the surface")
    scale.add_argument("--focal-mm", type=positive_float, metavar="MM", help="focal length; default: EXIF")
    scale.add_argument("--sensor-width-mm", type=positive_float, metavar="MM", help="longer side of the sensor")

    review = parser.add_argument_group("review", "of a finished survey; PHOTOS is left out then")
    review.add_argument(
        "--review", type=Path, metavar="FILE", help="that report.html exported: put it into tables and report"
    )
    review.add_argument("--export-tiles", type=Path, metavar="DIR", help="decided findings as tiles to train on")

    place = parser.add_argument_group("time and place", "default: the EXIF data")
    place.add_argument(
        "--flight-log",
        type=Path,
        metavar="FILE",
        help="CSV, GPX, NMEA, or a drone's SRT or MRK; for pictures without a position (an SRT beside a video is found by itself)",
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
        0, or 1 when there are gaps.

    Raises:
        CrackError: if an argument, a model, the source or the output folder is not usable.
    """
    from tflite.device.tiles import MAX_OVERLAP

    if args.review is not None:
        return _review(args)
    if args.export_tiles is not None:
        raise CrackError("--export-tiles needs --review FILE: the tiles are of findings that somebody decided on.")
    if args.photos is None and args.one_file:
        return _report_only(args.out)
    if args.photos is None:
        raise CrackError("name what to survey: a folder of photographs, a video or a device's journal folder.")
    if not 0 <= args.overlap <= MAX_OVERLAP:
        raise CrackError(f"--overlap {args.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")

    from crack_tf.model_zoo import find_model
    from crack_tf.survey.camera import Locator, Scale
    from crack_tf.survey.cluster import ClusterCrew
    from crack_tf.survey.crew import Crew, ThreadCrew
    from crack_tf.survey.pipeline import Run
    from crack_tf.survey.search import Plan, Searcher
    from crack_tf.survey.source import file_hash, is_video, open_source
    from crack_tf.survey.store import Store
    from crack_tf.survey.truth import compare, read_truth
    from tflite.hardware import describe
    from tflite.place.clock import CameraClock, parse_timezone
    from tflite.place.video import find_subtitles

    truth = None if args.truth is None else read_truth(args.truth)
    scale = Scale(args.mm_per_pixel, args.distance_m, args.focal_mm, args.sensor_width_mm)
    scale.check()
    clock = CameraClock(None if args.timezone is None else parse_timezone(args.timezone), args.clock_offset)
    log, subtitles = _flight_log(args)
    locator = Locator(scale, log, clock)
    # Workers have other current folders.
    photos = args.photos if args.scheduler is None else args.photos.absolute()
    source = open_source(photos, args.out, locator, args.every_s, args.video_start, subtitles)
    beside = find_subtitles(args.photos) if is_video(args.photos) and subtitles is None else None
    chosen = find_model(args.model)
    plan = Plan(
        classifier=chosen.path,
        side=args.tile or chosen.tile_side,
        overlap=args.overlap,
        segmenter=find_segmenter(args.segmenter),
        foreground=args.foreground == "auto",
    )
    jobs = args.jobs or int(describe()["cores"])
    with ExitStack() as stack:
        searcher = stack.enter_context(Searcher(plan, jobs))
        crew: Crew = ThreadCrew(searcher, jobs)
        if args.scheduler is not None:
            crew = stack.enter_context(ClusterCrew(args.scheduler, plan, source, args.out))
        models = {role: _described(sidecar) for role, sidecar in searcher.sidecars.items()}
        settings = {
            "source": source.name,
            "kind": source.kind,
            "models": models,
            "tile_side": searcher.classifier.side,
            "overlap": args.overlap,
            "foreground": args.foreground,
            "mm_per_pixel": args.mm_per_pixel,
            "distance_m": args.distance_m,
            "focal_mm": args.focal_mm,
            "sensor_width_mm": args.sensor_width_mm,
            "flight_log_sha256": file_hash(args.flight_log),
            "timezone": args.timezone,
            # Only where there are any: surveys from before these settings go on.
            **({"clock_offset": args.clock_offset} if args.clock_offset else {}),
            **({} if beside is None else {"subtitles_sha256": file_hash(beside)}),
            "position_error_m": args.position_error_m,
            "every_s": args.every_s if source.kind == "video" else None,
            "video_start": None if args.video_start is None else args.video_start.isoformat(),
        }
        inputs = (args.photos, args.model, args.segmenter, args.flight_log, args.truth)
        store = stack.enter_context(Store(args.out, settings, overwrite=args.overwrite, inputs=inputs))
        work = Run(
            source=source,
            store=store,
            crew=crew,
            second_opinion=plan.segmenter is not None,
            jobs=jobs,
            position_error_m=args.position_error_m,
            tell=lambda line: print(line, flush=True),
            log_span=None if log is None else log.span,
        )
        handled, before = work.work()
        survey, speed = work.finish(models, settings, one_file=args.one_file)
    _tell(survey, speed, handled, before, args.out)
    if truth is not None:
        comparison = compare(survey, truth)
        write_json(args.out / "comparison.json", comparison.as_json())
        print(f"\ncompared with {args.truth}:\n{comparison.describe()}")
    return EXIT_GAPS if survey.gaps else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="The same command goes on.")


def find_segmenter(text: str | None) -> Path | None:
    """What the user's `--segmenter` stands for; None for no second opinion.

    Raises:
        CrackError: if there is no such model, or it is no segmentation model.
    """
    from crack_tf.model_zoo import find_model, read_zoo
    from tflite.sidecar import read_sidecar

    if text == "none" or (text is None and all(model.task != "segment" for model in read_zoo()[1].values())):
        return None
    path = find_model(text, task="segment").path
    if read_sidecar(path).task != "segment":
        raise CrackError(f"--segmenter {text} is a classifier. Give a segmentation model, or none.")
    return path


def _review(args: argparse.Namespace) -> int:
    """Put a review into the tables and the report of a finished survey."""
    from crack_tf.survey.reviewing import apply_review

    if args.photos is not None:
        raise CrackError(f"--review works on the survey in --out: leave {args.photos} out.")
    print(apply_review(args.out, args.review, args.export_tiles, overwrite=args.overwrite, one_file=args.one_file))
    return 0


def _report_only(out: Path) -> int:
    """Write a finished survey's report again, as one file."""
    from crack_tf.survey.findings import read_survey
    from crack_tf.survey.page import write_page

    path = write_page(out, read_survey(out), one_file=True)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB. A review is in it where --review FILE is given.")
    return 0


def _flight_log(args: argparse.Namespace) -> tuple[FlightLog | None, SrtTrack | None]:
    """The flight log by time, or the subtitles of the video, which are by place in the video."""
    from crack_tf.survey.source import is_video
    from tflite.place.flightlog import read_flight_log, read_log_bytes
    from tflite.place.srt import is_srt, read_srt

    if args.flight_log is None:
        return None, None
    if is_video(args.photos):
        data = read_log_bytes(args.flight_log)
        if is_srt(data) or args.flight_log.suffix.lower() == ".srt":
            return None, _subtitles(args.flight_log, read_srt(data))
    start = None if args.video_start is None else args.video_start.timestamp()
    log = read_flight_log(args.flight_log, args.timezone, start)
    print(f"flight log: {log.describe()}")
    if log.problems:
        print(f"note: flight log, left out: {'; '.join(log.problems)}")
    if log.above_takeoff:
        print("note: flight log, its altitudes count from the place of take-off")
    return log, None


def _subtitles(path: Path, track: SrtTrack) -> SrtTrack:
    """Subtitles that the user named; they must say where the drone was."""
    placed = sum(block.place is not None and block.start_s is not None for block in track.blocks)
    if not placed:
        why = track.content.left_out() or "it is empty"
        raise CrackError(f"flight log {path} holds no position by time in the video ({why}).")
    left_out = track.content.left_out()
    print(f"flight log: {placed:,} positions by time in the video{left_out and '; left out: '}{left_out}")
    return track


def _described(sidecar: Any) -> dict[str, Any]:
    """What a survey says about a model."""
    return {
        "name": f"{sidecar.model}-{sidecar.scheme}",
        "sha256": sidecar.sha256,
        "threshold": sidecar.threshold.probability,
        **({"reading": sidecar.reading} if sidecar.reading else {}),
    }


def _tell(survey: Survey, speed: dict[str, Any], handled: int, before: int, out: Path) -> None:
    """Last words: what was found, what is not known, how fast it went, and what it is worth."""
    from crack_tf.survey.findings import VALIDATIONS
    from crack_tf.survey.severity import DISCLAIMER, RULE

    counts = {name: sum(finding.validation == name for finding in survey.findings) for name in VALIDATIONS}
    several = sum(len(finding.seen_on) > 1 for finding in survey.findings)
    print(
        f"\n{len(survey.photos)} photographs searched: {len(survey.findings)} findings ("
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + f"), {several} of them seen on several photographs; {len(survey.gaps)} gaps"
        + (f"; {before} photographs were done before" if before else "")
    )
    for gap in survey.gaps[:10]:
        print(f"GAP  {gap.photo}: {gap.reason}, {gap.detail}")
    if len(survey.gaps) > 10:
        print(f"GAP  ... and {len(survey.gaps) - 10} more, see coverage.geojson")
    for warning in survey.warnings:
        print(f"note: {warning}")
    if handled:
        stages = ", ".join(f"{name} {stage['share']:.0%}" for name, stage in speed["stages"].items())
        print(
            f"{speed['photos_per_minute']:.1f} photographs a minute, {speed['megapixels_per_second']:.1f} megapixels a second on "
            f"{speed['jobs']} threads ({stages}); merging {speed['merge_seconds']:.1f} s; {speed['peak_memory_mb']} MB at most"
        )
    print(f"{RULE}\n{DISCLAIMER}\nresults in {out}: report.html, findings.csv, findings.geojson, coverage.geojson")


def _tile(text: str) -> int | None:
    """argparse type: auto or pixels."""
    from tflite.device.tiles import MIN_SIDE

    if text == "auto":
        return None
    side = positive_int(text)
    if side < MIN_SIDE:
        raise argparse.ArgumentTypeError(f"must be auto or at least {MIN_SIDE} pixels, got {text}")
    return side


if __name__ == "__main__":
    sys.exit(main())
