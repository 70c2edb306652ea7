"""When a video began, when each of its frames was shown, and where the drone was then.

A video's beginning is, the best first: what the user states, the dates of the drone's subtitles (.SRT) beside it, what its container
says (MP4 and MOV: creation_time), the time at which its file was last changed less its length. A copy changes the last one, so
it is used on the device that recorded the video at most, and told. Some cameras write their local time or the end of the
recording into the container; the user's word goes before it.

A frame is dated by the time at which it is shown: phones and drones do not keep to a frame rate.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from tflite.place.clock import CameraClock, is_plausible, utc_text
from tflite.place.fix import Fix
from tflite.place.flightlog import MAX_GAP_S, FlightLog
from tflite.place.srt import SrtTrack, read_srt

STATED, SUBTITLES, CONTAINER, FILE = "stated", "subtitles", "container", "file"
_BOXED = frozenset({".mp4", ".mov", ".m4v", ".qt", ".3gp"})
# What a video is known by, in a survey and on the device.
VIDEO_SUFFIXES = _BOXED | {".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mjpeg", ".mjpg"}
_SINCE_1904 = 2_082_844_800  # seconds from 1904, where these containers count from, to 1970
_MOST_BOXES = 4096
_LONGEST_S = 3600.0  # that a frame is shown; a longer time is damage
_BEFORE_S, _AFTER_S = 1.0, 0.5  # that a video may begin before its first block of subtitles, and end after its last


@dataclass(frozen=True)
class VideoStart:
    """When a video's first frame was taken.

    Attributes:
        seconds: since 1970 UTC, or None where nothing says.
        source: STATED, SUBTITLES, CONTAINER or FILE; None with it.
    """

    seconds: float | None = None
    source: str | None = None

    def warning(self, name: str) -> str | None:
        """What a person must know about this, or None.

        Args:
            name: of the video.
        """
        if self.seconds is None:
            return f"{name} does not say when it began: without --video-start its frames have no time, and no position from a log."
        if self.source == CONTAINER:
            return (
                f"{name} began at {utc_text(self.seconds)} by its container. Some cameras write local time or the end of the "
                "recording there: --video-start states it."
            )
        if self.source == FILE:
            return (
                f"{name} does not say when it began: its frames are dated by its file ({utc_text(self.seconds)}), which a copy "
                "changes. Give --video-start where it was copied."
            )
        return None


def find_start(
    path: Path,
    clock: CameraClock,
    stated: float | None = None,
    track: SrtTrack | None = None,
    length_s: float | None = None,
) -> VideoStart:
    """When a video began, by the best that is known. The camera's clock is set right in all of them.

    Args:
        path: of the video.
        clock: the camera's.
        stated: by the user, seconds since 1970 UTC, or None.
        track: the subtitles beside it, or None.
        length_s: of the video in seconds where its file's time may be used: the recorder closed the file after the last frame.
    """
    if stated is not None:
        return VideoStart(clock.correct(stated), STATED)
    moment = None if track is None else track.start(clock)
    if moment is not None:
        return VideoStart(moment, SUBTITLES)
    moment = container_time(path)
    if moment is not None:
        return VideoStart(clock.correct(moment), CONTAINER)
    if length_s is None:
        return VideoStart()
    return VideoStart(clock.correct(path.stat().st_mtime - length_s), FILE)


def container_time(path: Path) -> float | None:
    """The creation time in an MP4 or MOV file's header, seconds since 1970 UTC; None where there is none that can be."""
    if path.suffix.lower() not in _BOXED:
        return None
    try:
        with path.open("rb") as file:
            moov = _find_box(file, b"moov", 0, path.stat().st_size)
            mvhd = None if moov is None else _find_box(file, b"mvhd", *moov)
            if mvhd is None:
                return None
            file.seek(mvhd[0])
            head = file.read(12)
    except (OSError, OverflowError):
        return None
    if len(head) < 12:
        return None
    # Version 1 has 64 bits.
    seconds = struct.unpack(">Q", head[4:12])[0] if head[0] == 1 else struct.unpack(">I", head[4:8])[0]
    moment = float(seconds - _SINCE_1904)
    return moment if is_plausible(moment) else None


def find_subtitles(path: Path) -> Path | None:
    """The .SRT file beside a video that has its name, whatever the case of the letters; None where there is none."""
    try:
        beside = sorted(entry for entry in path.parent.iterdir() if entry.stem == path.stem)
    except OSError:
        return None
    return next((entry for entry in beside if entry.suffix.lower() == ".srt" and entry.is_file()), None)


def read_subtitles(path: Path) -> SrtTrack | None:
    """The drone's track in an .SRT file; None where the file cannot be read or holds none, such as spoken text."""
    try:
        track = read_srt(path.read_bytes())
    except OSError:
        return None
    return track if any(block.place or block.local for block in track.blocks) else None


class VideoTrack:
    """Positions by the time at which a frame is shown.

    Args:
        track: of the video's subtitles.
    """

    def __init__(self, track: SrtTrack) -> None:
        shown: dict[float, Fix] = {}
        self._end = 0.0
        for block, fix in track.fixes():
            if block.start_s is not None and block.end_s is not None:
                shown.setdefault(block.start_s, replace(fix, time=block.start_s))
                self._end = max(self._end, block.end_s)
        self._log = FlightLog(tuple(shown[start] for start in sorted(shown)), {})

    def __len__(self) -> int:
        return len(self._log.fixes)

    def at(self, seconds: float) -> Fix | None:
        """The position of a frame, interpolated between blocks, without a time; None where the subtitles have a hole.

        Args:
            seconds: from the video's first frame.
        """
        if not self._log.fixes:
            return None
        first, last = self._log.span
        if first - _BEFORE_S <= seconds < first:
            fix: Fix | None = self._log.fixes[0]
        elif last <= seconds <= max(self._end, last) + _AFTER_S:
            fix = self._log.fixes[-1]
        else:
            fix = self._log.fix_at(seconds, MAX_GAP_S)
        return None if fix is None else replace(fix, time=None)


class FrameTimes:
    """When frames are shown, by what the container says; by the rate where it says nothing that can be.

    Args:
        rate: frames per second, on average.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._first: float | None = None
        self._last: float | None = None

    def take(self, milliseconds: float) -> float:
        """Seconds from the first frame to the next one of the video; called once for each frame, in their order.

        Args:
            milliseconds: at which the container says that this frame is shown.
        """
        shown = milliseconds / 1000 if math.isfinite(milliseconds) else None
        if self._last is None:
            self._first = shown
            seconds = 0.0
        else:
            seconds = self._last + 1 / self._rate
            if shown is not None and self._first is not None and 0 < shown - self._first - self._last <= _LONGEST_S:
                seconds = shown - self._first
        self._last = seconds
        return seconds


def _find_box(file: BinaryIO, wanted: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Where the content of a box begins and ends, among the boxes of a part of a file."""
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if start + 8 > end or len(head) < 8:
            return None
        size, kind, content = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1 and len(head) == 16:
            size, content = int.from_bytes(head[8:], "big"), start + 16
        elif size == 0:  # to the end
            size = end - start
        if size < content - start:
            return None
        if kind == wanted:
            return content, min(start + size, end)
        start += size
    return None
