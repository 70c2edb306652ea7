"""What a source of frames is, and what it gives: `tflite.device.recorded` and `tflite.device.live` are the kinds of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tflite.errors import ImageError
from tflite.images import Picture
from tflite.place.fix import Fix
from tflite.sameness import FileState


@dataclass(frozen=True)
class Frame:
    """One picture, not yet decoded where that can wait.

    Attributes:
        name: its own within a run.
        time: when it was taken, seconds since 1970 UTC; None where its camera's clock has no known zone.
        time_source: how that is known: "xmp utc", "exif", "exif gps", "exif no zone" (see `tflite.place.exposure`), "file" (when
            the file was last changed), "clock" (of this machine), "sensor" (of a camera that dates its exposures), or of a frame
            of a video by its place in it: "video stated", "video subtitles", "video container" (see `tflite.place.video`) or
            "video" (by the file's time).
        load: decodes it; raises ImageError.
        fix: the position it carries, or None.
        size: of its file in bytes, or None.
        dropped: frames of a live source lost since the one before.
        file: what its file was like; None where it is no file of its own, or cannot be read.
        local: by its camera's clock without a zone, counted as if it were UTC; None where that says nothing.
    """

    name: str
    time: float | None
    time_source: str
    load: Callable[[], Picture]
    fix: Fix | None = None
    size: int | None = None
    dropped: int = 0
    file: FileState | None = None
    local: float | None = None


@dataclass(frozen=True)
class Sampling:
    """Which frames to take: every n-th, or at most so many per second, or all."""

    every: int = 1
    fps: float | None = None

    def takes(self, number: int, rate: float) -> bool:
        """Whether to take the frame of that number (from 0) from a recording of `rate` frames per second."""
        if self.fps is None or self.fps >= rate:
            return number % self.every == 0
        return number == 0 or int(number * self.fps / rate) != int((number - 1) * self.fps / rate)

    def takes_at(self, number: int, seconds: float, before: float, rate: float) -> bool:
        """Whether to take a frame of a recording that need not keep to its rate.

        Args:
            number: of the frame, from 0.
            seconds, before: at which it and the frame before it are shown.
            rate: frames per second, on average.
        """
        if self.fps is None or number == 0:
            return self.takes(number, rate)
        # Rounded: at a steady rate the k-th second must not fall on either side by chance.
        return int(round(seconds * self.fps, 6)) != int(round(before * self.fps, 6))


@dataclass(frozen=True)
class Progress:
    """What the source needs to know of the run.

    Attributes:
        done: frames that earlier sessions classified, by name, with the size of their file in bytes or None.
        gaps: frames that they could not read, likewise. A file that is of another size now is tried again.
        session: number of this session, part of the names of live frames.
        stop: set when the run is to end.
        files: what the files of both were like, as far as recorded.
    """

    done: Mapping[str, int | None]
    gaps: Mapping[str, int | None]
    session: int
    stop: threading.Event
    files: Mapping[str, FileState] = field(default_factory=dict)

    def knows(self, name: str, size: int | None) -> bool:
        """Whether an earlier session is done with this frame."""
        return name in self.done or (name in self.gaps and self.gaps[name] == size)


class Source:
    """A source of frames.

    Attributes:
        identity: what tells it from another source, JSON values; part of the run's settings.
        skipped: frames left out by sampling.
        resumed: frames left out because an earlier session is done with them.
        dropped: frames lost because the classifier was busy.
        warnings: for a person, complete when all frames were taken.
        carries_places: whether frames carry positions that were not asked for, as of a video with the drone's subtitles.
    """

    def __init__(self, kind: str, name: str, sampling: Sampling, **more: Any) -> None:
        self.identity: dict[str, Any] = {
            "source": name,
            "source_kind": kind,
            "every": sampling.every,
            "fps": sampling.fps,
            **more,
        }
        self.sampling = sampling
        self.skipped = self.resumed = self.dropped = 0
        self.warnings: list[str] = []
        self.carries_places = False

    def frames(self, progress: Progress) -> Iterator[Frame]:
        """The frames in order, until the source ends or `progress.stop` is set.

        Raises:
            CrackError: if the source breaks off, or a file is not the one that an earlier session has classified.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of devices. `progress.stop` is set by then."""


def no_picture(reason: str) -> Picture:
    """For `Frame.load` of what cannot be read: raises ImageError with the reason."""
    raise ImageError(reason)
