"""Where frames come from: what --source names is opened here."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tflite.device.frames import Sampling, Source
from tflite.device.live import CameraSource, PicameraSource, PipeSource
from tflite.device.recorded import FolderSource, StreamFileSource, VideoSource
from tflite.errors import CrackError
from tflite.place.clock import PLAIN_CLOCK, CameraClock
from tflite.place.video import VIDEO_SUFFIXES

PICAMERA = "picamera2"
_STDIN = 0


def open_source(
    spec: str,
    sampling: Sampling,
    follow: bool = False,
    clock: CameraClock = PLAIN_CLOCK,
    video_start: float | None = None,
    subtitles: Path | None = None,
) -> Source:
    """Open what --source names.

    Args:
        spec: a folder, a video file, a camera such as /dev/video0 or picamera2:0 (`tflite.device.picamera`), or "-" for JPEGs on
            standard input.
        sampling: which frames to take.
        follow: keep watching a folder for new files.
        clock: of the camera that took the photographs or the video.
        video_start: when a video's first frame was taken, seconds since 1970 UTC, or None.
        subtitles: that the drone wrote for a video; None for those beside it.

    Raises:
        CrackError: if it does not exist, cannot be opened, or an option does not go with it.
    """
    path = Path(spec)
    folder = spec != "-" and path.is_dir()
    if follow and not folder:
        raise CrackError(f"--follow watches a folder, and --source {spec} is none. Leave --follow out.")
    if spec.startswith(PICAMERA) and not path.exists():
        return PicameraSource(spec, sampling)
    if spec == "-":
        return _standard_input(sampling, clock)
    if folder:
        if sampling.fps is not None:
            raise CrackError(f"--fps {sampling.fps:g}: photographs in a folder have no rate. Use --every N.")
        if follow and sampling.every > 1:
            raise CrackError(
                "--every and --follow do not go together: in a growing folder no file is the n-th for good."
            )
        return FolderSource(path, sampling, follow, clock)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CrackError(
            f"--source {spec}: {error.strerror}. Give a folder, a video, /dev/video0, picamera2:0 or - for standard input."
        ) from None
    if stat.S_ISCHR(mode):
        return CameraSource(spec, sampling)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise CrackError(
            f"--source {spec} is neither a folder nor a video ({', '.join(sorted(VIDEO_SUFFIXES))}). "
            "Photographs are given as the folder that holds them."
        )
    return VideoSource(path, sampling, clock, video_start, subtitles)


def _standard_input(sampling: Sampling, clock: CameraClock) -> Source:
    try:
        mode = os.fstat(_STDIN).st_mode
    except OSError:
        raise CrackError("--source -: standard input is closed. Pipe JPEGs into it.") from None
    if stat.S_ISREG(mode):
        return StreamFileSource(_STDIN, sampling, clock)
    if os.isatty(_STDIN):
        raise CrackError(
            "--source -: standard input is the keyboard. Pipe JPEGs into it: rpicam-vid ... -o - | python ..."
        )
    return PipeSource(_STDIN, sampling)
