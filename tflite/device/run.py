"""`python -m tflite.device run`: frames -> tiles -> decisions, every crack journalled with time and place. No TensorFlow.

    python -m tflite.device run --source DCIM --model models/mobilenet_v2_104_real-int8-ptq.tflite --out flight1 --gps exif

One process, one model, one frame at a time in memory and, from a live source, one that waits. `tflite.device.journal`
describes what is written and what survives a power cut. The same command again goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.cli import (
    EXIT_GAPS,
    EXIT_INTERRUPTED,
    Parser,
    any_float,
    clock_offset,
    moment,
    named_path,
    positive_float,
    positive_int,
    run_main,
    share,
)
from tflite.device.tiles import MIN_SIDE
from tflite.errors import CrackError
from tflite.outputs import refuse_inside

if TYPE_CHECKING:
    from tflite.device.frames import Progress, Source
    from tflite.device.gps import Gps
    from tflite.device.hook import Action
    from tflite.device.journal import Journal
    from tflite.device.loop import Loop, Tally
    from tflite.runtime import Classifier


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="python -m tflite.device run",
        description="Classify the tiles of every frame and journal those with a crack, with time and place.",
        epilog="The same command again continues an interrupted run. tflite/device/journal.py describes what is written.",
    )
    parser.add_argument(
        "--source",
        required=True,
        metavar="DIR|VIDEO|/dev/video0|picamera2:0|-",
        help="photographs, a video, a camera (a Raspberry Pi's: picamera2:0?size=4056x3040), or JPEGs on standard input; a camera "
        "or pipe that is faster than the model loses frames, which are counted",
    )
    parser.add_argument(
        "--model", required=True, type=named_path, metavar="X.tflite", help="with its sidecar beside it"
    )
    parser.add_argument("--out", required=True, type=named_path, metavar="DIR", help="for journal.jsonl and tiles/")
    parser.add_argument(
        "--delegate", default="xnnpack", metavar="NAME", help="xnnpack, none or edgetpu (default: xnnpack)"
    )
    parser.add_argument(
        "--threads", type=positive_int, default=os.cpu_count() or 1, help="CPU threads (default: all cores)"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--tile-size", type=positive_int, metavar="PX", help="side of a tile in pixels of the frame")
    size.add_argument(
        "--tile-scale",
        type=positive_float,
        default=1.0,
        metavar="K",
        help="the same in units of the tiles the model was trained on; 2 looks at areas twice as wide, half as sharp "
        "(default: 1)",
    )
    parser.add_argument(
        "--overlap",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="least overlap of neighbouring tiles, 0 to 0.9 (default: 0)",
    )
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument(
        "--fps", type=positive_float, metavar="F", help="of a video, camera or pipe, take F frames a second"
    )
    rate.add_argument("--every", type=positive_int, default=1, metavar="N", help="take every N-th frame")
    parser.add_argument(
        "--follow", action="store_true", help="keep watching the folder for new photographs, until Ctrl-C"
    )
    parser.add_argument(
        "--gps",
        metavar="WHERE",
        help="exif, a track (NMEA, GPX, CSV, a drone's SRT, a .tlog, .bin or .ulg), /dev/ttyUSB0[@BAUD] (default: 9600), gpsd://host:port, "
        "or a flight controller: mavlink://udp:PORT, mavlink://tcp:HOST:PORT, mavlink:///dev/ttyAMA0[@BAUD] (default: 57600); a "
        "drone's SRT beside a video is found by itself",
    )
    parser.add_argument(
        "--gps-max-age",
        type=positive_float,
        default=5.0,
        metavar="S",
        help="leave out positions further than S seconds from the frame (default: 5); EXIF positions are always kept",
    )
    zone = parser.add_mutually_exclusive_group()
    zone.add_argument(
        "--timezone",
        metavar="ZONE",
        help="of clocks that do not say theirs, such as Europe/Vienna or +02:00; without it their photographs have no time",
    )
    zone.add_argument("--utc-offset", type=any_float, metavar="H", help="the same as hours ahead of UTC")
    parser.add_argument(
        "--clock-offset",
        type=clock_offset,
        default=0.0,
        metavar="SECONDS",
        help="to add to the times of the camera's clock: 73 where it is 73 s slow, -73 where it is fast (default: 0)",
    )
    parser.add_argument(
        "--video-start",
        type=moment,
        metavar="TIME",
        help="of a video's first frame, ISO 8601 with a time zone (default: by its subtitles, its container, its file)",
    )
    parser.add_argument(
        "--hook",
        metavar="'CMD ...'",
        help="command per positive: gets it as JSON on standard input; no shell; in quotes",
    )
    parser.add_argument(
        "--hook-timeout",
        type=positive_float,
        default=5.0,
        metavar="S",
        help="kill the command after S seconds (default: 5)",
    )
    parser.add_argument(
        "--gpio", type=_pin, metavar="PIN[,S]", help="switch a Raspberry Pi's pin on for S seconds (default: 0.5)"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Returns:
        0, 1 where a frame could not be read, or 130 after Ctrl-C or SIGTERM.

    Raises:
        CrackError: if an argument, the model, the source or the output folder is not usable, or the disk is full.
    """
    from tflite.device.frames import Sampling
    from tflite.device.gps import open_gps
    from tflite.device.journal import Journal, read_journal
    from tflite.device.loop import Loop
    from tflite.device.sources import open_source
    from tflite.device.tiles import MAX_OVERLAP, training_side
    from tflite.place.clock import CameraClock, parse_timezone
    from tflite.runtime import Classifier

    if not 0 <= args.overlap <= MAX_OVERLAP:
        raise CrackError(f"--overlap {args.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")
    if args.utc_offset is not None and not -14 <= args.utc_offset <= 14:
        raise CrackError(f"--utc-offset {args.utc_offset:g}: hours from -14 to 14.")
    timezone = args.timezone if args.utc_offset is None else _offset_text(args.utc_offset)
    clock = CameraClock(None if timezone is None else parse_timezone(timezone), args.clock_offset)
    classifier = Classifier(args.model, threads=args.threads, delegate=args.delegate, quick=True)
    side = args.tile_size or max(1, round(args.tile_scale * training_side(classifier.sidecar)))
    if side < MIN_SIDE:
        raise CrackError(f"tiles of {side} pixels are too small: at least {MIN_SIDE}.")
    with contextlib.ExitStack() as stack:
        subtitles = _subtitles(args.gps, args.source)
        start = None if args.video_start is None else args.video_start.timestamp()
        sampling = Sampling(args.every, args.fps)
        source = open_source(args.source, sampling, args.follow, clock, start, subtitles)
        if start is not None and source.identity["source_kind"] != "video":
            raise CrackError(f"--video-start {args.video_start}: --source {args.source} is no video. Leave it out.")
        stop = threading.Event()
        stack.callback(source.close)
        stack.callback(stop.set)  # called before source.close
        refuse_inside(args.out, Path(args.source), "tiles", "--source")
        actions = _actions(args.hook, args.hook_timeout, args.gpio)
        for action in actions.values():
            stack.callback(action.close)
        own = subtitles is not None or (args.gps is None and source.carries_places)
        gps = open_gps("exif" if own else args.gps, args.gps_max_age, timezone)
        stack.callback(gps.close)
        # What decides the results: a run is continued with the same ones only.
        sidecar = classifier.sidecar
        given = {
            "reading": sidecar.reading or None,
            "utc_offset": args.utc_offset,
            "timezone": args.timezone,
            "clock_offset": args.clock_offset or None,
            "video_start": args.video_start and args.video_start.isoformat(),
        }
        settings = {
            "model": args.model.name,
            "model_sha256": sidecar.sha256,
            "threshold_logit": sidecar.threshold.logit,
            "delegate": args.delegate,
            "tile_side": side,
            "overlap": args.overlap,
            **source.identity,
            "gps": args.gps,
            "gps_max_age": args.gps_max_age,
            # Only what was given: journals from before these options go on.
            **{name: value for name, value in given.items() if value is not None},
        }
        journal = stack.enter_context(Journal(args.out, settings, _environment(args.threads, classifier)))
        loop = Loop(classifier, journal, gps, actions, side, args.overlap, stop)
        interrupted = _work(loop, source, journal, gps, actions, stop)
        if interrupted:
            return EXIT_INTERRUPTED
        # Of a run that was gone on with, an earlier session's gaps count too, but for frames that were read since.
        earlier = journal.found is not None and journal.found.gaps and read_journal(args.out).gaps
        return EXIT_GAPS if loop.tally.counts["unreadable"] or earlier else 0


def main(argv: list[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="The same command again continues the run.")


def _work(
    loop: Loop, source: Source, journal: Journal, gps: Gps, actions: dict[str, Action], stop: threading.Event
) -> bool:
    """Classify until the source ends, and tell what came of it.

    Returns:
        Whether a signal ended it.

    Raises:
        CrackError: what ended it, after the journal's last line.
    """
    with _stopped_by_signals(stop) as interrupted:
        problem: CrackError | None = None
        began = time.monotonic()
        try:
            loop.work(source, _progress(journal, stop))
        except CrackError as error:  # the camera was unplugged, the disk is full: what was done counts all the same
            problem = error
        seconds = time.monotonic() - began
        for action in actions.values():
            action.close()
        summary = loop.tally.summary(seconds, source, actions)
        try:
            journal.end(str(problem or ("interrupted" if interrupted.is_set() else "finished")), summary)
        except CrackError as error:  # a full disk has been noticed already; that the journal is gone may be new
            problem = problem or error
        _print_summary(summary, journal)
        _warn(source, loop.tally, gps)
        if problem is not None:
            raise problem
    return interrupted.is_set()


def _progress(journal: Journal, stop: threading.Event) -> Progress:
    """What an earlier session of the journal has done."""
    from tflite.device.frames import Progress
    from tflite.sameness import FileState

    found = journal.found
    frames, gaps = ({}, {}) if found is None else (found.frames, found.gaps)
    done, unread = ({name: line["bytes"] for name, line in lines.items()} for lines in (frames, gaps))
    files = {name: file for name, line in (gaps | frames).items() if (file := FileState.from_json(line.get("file")))}
    return Progress(done, unread, journal.session, stop, files)


def _subtitles(gps: str | None, source: str) -> Path | None:
    """The drone's subtitles that --gps names for a video: they place its frames by the time at which they are shown."""
    from tflite.place.srt import read_srt
    from tflite.place.video import VIDEO_SUFFIXES

    path = Path(gps or "")
    video = Path(source)
    if path.suffix.lower() != ".srt" or not path.is_file() or video.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    track = read_srt(path.read_bytes())
    if not any(block.place is not None and block.start_s is not None for block in track.blocks):
        why = track.content.left_out() or "it is empty"
        raise CrackError(f"--gps {path} holds no position by time in the video ({why}).")
    return path


def _offset_text(hours: float) -> str:
    minutes = round(abs(hours) * 60)
    return f"{'-' if hours < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _warn(source: Source, tally: Tally, gps: Gps) -> None:
    """What a person must know about times and places."""
    from tflite.place.missing import count_unplaced

    told = count_unplaced(
        "positives",
        tally.counts["placed"],
        tally.unplaced.reasons.elements(),
        tally.unplaced.moments,
        gps.span,
        "video" if source.identity["source_kind"] == "video" else "frames",
    )
    for warning in [*source.warnings, *gps.warnings, *([] if told is None or not gps.asked else [f"{told}."])]:
        print(f"warning: {warning}", file=sys.stderr)


def _environment(threads: int, classifier: Classifier) -> dict[str, Any]:
    import platform

    from tflite import hardware

    return {
        "threads": threads,
        "delegate_nodes": classifier.nodes.delegates,
        "nodes_remaining": classifier.nodes.remaining,
        "litert": hardware.runtime_version(),
        "python": platform.python_version(),
        "cpu": hardware.describe()["cpu"],
    }


def _actions(hook: str | None, timeout: float, gpio: tuple[int, float] | None) -> dict[str, Action]:
    from tflite.device.hook import CommandHook, PinPulse

    actions: dict[str, Action] = {}
    if hook is not None:
        actions["hook"] = CommandHook(hook, timeout)
    if gpio is not None:
        actions["gpio"] = PinPulse(*gpio)
    return actions


@contextlib.contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set `stop` and the event that is yielded; a second Ctrl-C raises KeyboardInterrupt.

    A KeyboardInterrupt at a moment of its own choosing could fall between writing a line and counting it.
    """
    interrupted = threading.Event()

    def handle(number: int, _: Any) -> None:
        if interrupted.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        interrupted.set()
        stop.set()

    # A shell's background job ignores Ctrl-C, and goes on doing so.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print_summary(summary: dict[str, Any], journal: Journal) -> None:
    lines = [
        f"frames      {summary['seen']} seen, {summary['classified']} classified, {summary['unreadable']} unreadable, "
        f"{summary['dropped']} dropped",
        f"tiles       {summary['tiles']}, {summary['positives']} positive",
        f"speed       {summary['frames_per_second']:g} frames/s over {summary['seconds']:g} s",
    ]
    if summary["left_out"] or summary["done_before"]:
        lines.insert(1, f"            {summary['done_before']} done before, {summary['left_out']} left out by sampling")
    for stage, times in summary["stages_ms"].items():
        if times is not None:
            lines.append(f"{stage:<10}  p50 {times['p50']:.1f} ms, p95 {times['p95']:.1f} ms per frame")
    for name, counts in summary["actions"].items():
        lines.append(
            f"{name:<10}  {', '.join(f'{count} {outcome}' for outcome, count in counts.items()) or 'not called'}"
        )
    lines += [f"memory      {summary['peak_memory_mb']:g} MB at most", f"journal     {journal.path}"]
    print("\n".join(lines))


def _pin(text: str) -> tuple[int, float]:
    """argparse type: PIN or PIN,SECONDS."""
    pin, _, seconds = text.partition(",")
    try:
        number = int(pin)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected PIN or PIN,SECONDS such as 17,0.5, got {text!r}") from None
    if not 0 <= number <= 53:
        raise argparse.ArgumentTypeError(f"a GPIO number is 0 to 53, got {number}")
    return number, positive_float(seconds) if seconds else 0.5
