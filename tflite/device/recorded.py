"""Frames that wait for the classifier: photographs in a folder, a video, a recorded stream of JPEGs. None is lost."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tflite.device.frames import Frame, Progress, Sampling, Source, no_picture
from tflite.device.mjpeg import jpegs_of
from tflite.device.opencv import bgr_to_rgb, import_opencv
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.images import Picture, decode_picture
from tflite.photographs import list_photographs
from tflite.place.clock import CameraClock
from tflite.place.exposure import Exposure, read_exposure
from tflite.place.missing import IMPOSSIBLE
from tflite.place.video import FILE, FrameTimes, VideoTrack, find_start, find_subtitles, read_subtitles
from tflite.sameness import is_other, read_file, sampled_state
from tflite.words import counted

FOLLOW_SECONDS = 1.0  # between two looks at a folder that is being filled
_HEAD = 1 << 20  # bytes at its beginning that tell one recording from another


class FolderSource(Source):
    """Photographs in a folder and the folders in it, by name; with `follow`, new ones as they appear and stop growing."""

    def __init__(self, path: Path, sampling: Sampling, follow: bool, clock: CameraClock) -> None:
        super().__init__("folder", str(path.resolve()), sampling)
        self._folder, self._follow, self._clock = path, follow, clock
        self._noted, self._first_note = 0, ""
        self._listing = list_photographs(path)
        if not self._listing.photographs and not self._listing.troubles and not follow:
            raise CrackError(f"--source {path} holds no images.")

    def frames(self, progress: Progress) -> Iterator[Frame]:
        listing = self._listing
        paths = list(listing.photographs)
        if not self._follow:
            paths, everything = paths[:: self.sampling.every], len(paths)
            self.skipped = everything - len(paths)
        self._check_unchanged(paths, progress)
        known: set[str] = set()
        troubles: set[str] = set()
        growing: dict[str, tuple[int, int]] = {}
        while True:
            for trouble in listing.troubles:
                name = trouble.path.relative_to(self._folder).as_posix()
                if name not in troubles and not progress.knows(name, None):
                    yield Frame(name, time.time(), "clock", partial(no_picture, f"{name} {trouble.reason}."))
                troubles.add(name)
            for path in paths:
                name = path.relative_to(self._folder).as_posix()
                if name in known:
                    continue
                if progress.stop.is_set():
                    return
                if progress.knows(name, _size(path)) and (
                    name in progress.done or not is_other(path, progress.files.get(name))
                ):
                    self.resumed += 1
                elif self._follow and not _at_rest(path, name, growing):
                    continue
                else:
                    yield self._read(path, name)
                known.add(name)
            if not self._follow or progress.stop.wait(FOLLOW_SECONDS):
                return
            if not self._folder.is_dir():
                raise CrackError(
                    f"--source {self._folder} is gone: was its card or stick taken out? Put it back, and run the same command again."
                )
            listing = list_photographs(self._folder)
            paths = list(listing.photographs)

    def _read(self, path: Path, name: str) -> Frame:
        try:
            data, file = read_file(path)
        except OSError as error:
            reason = f"cannot read image {name}: {error.strerror}."
            return Frame(name, time.time(), "clock", partial(no_picture, reason))
        taken, source, exposure = _dated(data, self._clock, (file.modified_us or 0) / 1e6, self._follow)
        if exposure.notes:
            self._first_note = self._first_note or f"{name}: {'; '.join(exposure.notes)}"
            more = f"; and {counted(self._noted, 'more photograph')}" if self._noted else ""
            self.warnings = [f"{IMPOSSIBLE} {self._first_note}{more}."]
            self._noted += 1
        load = partial(decode_picture, data, name)
        return Frame(name, taken, source, load, exposure.fix, len(data), file=file, local=exposure.local)

    def _check_unchanged(self, paths: list[Path], progress: Progress) -> None:
        for path in paths:
            name = path.relative_to(self._folder).as_posix()
            size, now = progress.done.get(name), _size(path)
            if size is None or now < 0:  # a file that is gone is not another one
                continue
            if size != now or is_other(path, progress.files.get(name)):
                raise CrackError(
                    f"{path} is not the file that was classified before ({now:,} bytes, then {size:,}). Choose another --out."
                )


class VideoSource(Source):
    """A video file, through OpenCV. A frame is dated by the time at which it is shown, and placed by the drone's subtitles."""

    def __init__(
        self, path: Path, sampling: Sampling, clock: CameraClock, video_start: float | None, subtitles: Path | None
    ) -> None:
        # The name alone is not the recording: a camera begins again at the first number.
        sample = sampled_state(path).sha256
        super().__init__("video", str(path.resolve()), sampling, source_bytes=_size(path), source_sample=sample)
        self._cv2 = import_opencv(path)
        self._path = path
        self._capture = self._cv2.VideoCapture(str(path))
        self._rate = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self._count = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        if not self._capture.isOpened():
            raise CrackError(
                f"--source {path}: OpenCV cannot open this video. It may be truncated or of a rare format."
            )
        if not 0 < self._rate < 10_000:
            if sampling.fps is not None:
                raise CrackError(f"--fps {sampling.fps:g}: {path} does not say its frame rate. Use --every N.")
            self._rate = 25.0
        beside = find_subtitles(path) if subtitles is None else subtitles
        track = None if beside is None else read_subtitles(beside)
        self._track = None if track is None else VideoTrack(track)
        self.carries_places = bool(self._track)
        begun = find_start(path, clock, video_start, track, max(self._count, 0) / self._rate)
        self._began = begun.seconds
        self._time_source = "video" if begun.source == FILE else f"video {begun.source}"
        warning = begun.warning(path.name)
        if warning is not None:
            self.warnings.append(warning)
        if beside is not None and track is not None and (left_out := track.content.left_out()):
            self.warnings.append(f"{beside.name}: left out: {left_out}.")

    def frames(self, progress: Progress) -> Iterator[Frame]:
        number, shown = 0, 0.0
        times = FrameTimes(self._rate)
        while not progress.stop.is_set() and self._capture.grab():
            before, shown = shown, times.take(float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)))
            name = f"{self._path.name}#{number:06d}"
            if not self.sampling.takes_at(number, shown, before, self._rate):
                self.skipped += 1
            elif progress.knows(name, None):
                self.resumed += 1
            else:
                fix = self._track.at(shown) if self._track else None
                yield Frame(name, self._moment(shown), self._time_source, self._picture(name), fix)
            number += 1
        # Containers round the number of frames; one that lacks more than a few was cut off.
        if not progress.stop.is_set() and self._count - number > max(2, self._count // 100):
            name = f"{self._path.name}#{number:06d}-{self._count - 1:06d}"
            if not progress.knows(name, None):
                reason = f"{self._path} announces {counted(self._count, 'frame')} and gives {number}: it may be damaged or truncated."
                yield Frame(name, self._moment(number / self._rate), self._time_source, partial(no_picture, reason))

    def _moment(self, shown: float) -> float | None:
        return None if self._began is None else self._began + shown

    def close(self) -> None:
        self._capture.release()

    def _picture(self, name: str) -> Callable[[], Picture]:
        def load() -> Picture:
            whole, pixels = self._capture.retrieve()
            return bgr_to_rgb(pixels) if whole else no_picture(f"{name} cannot be decoded.")

        return load


class StreamFileSource(Source):
    """A recorded stream of JPEGs redirected to standard input, `file`."""

    def __init__(self, file: int, sampling: Sampling, clock: CameraClock) -> None:
        if sampling.fps is not None:
            raise CrackError(f"--fps {sampling.fps:g}: a file of JPEGs has no rate. Use --every N.")
        self._file = file
        state = os.fstat(self._file)
        head = sha256_bytes(os.pread(self._file, _HEAD, 0))
        super().__init__("stream file", "-", sampling, source_bytes=state.st_size, source_head=head)
        self._changed, self._clock = state.st_mtime, clock

    def frames(self, progress: Progress) -> Iterator[Frame]:
        for number, data in enumerate(jpegs_of(self._file)):
            if progress.stop.is_set():
                return
            name = f"frame-{number:07d}"
            if number % self.sampling.every:
                self.skipped += 1
            elif progress.knows(name, len(data)):
                self.resumed += 1
            else:
                taken, source, exposure = _dated(data, self._clock, self._changed)
                yield Frame(name, taken, source, partial(decode_picture, data, name), exposure.fix, len(data))


def _dated(data: bytes, clock: CameraClock, changed: float, live: bool = False) -> tuple[float | None, str, Exposure]:
    """When a photograph was taken and how that is known, and all that its data say.

    Args:
        data: the file's bytes.
        clock: the camera's.
        changed: when the file was last changed. It dates what says nothing of its time: a camera writes the file at once.
        live: whether the file has just been written. Only then does its time also stand in for a camera's clock without a zone: a
            copied file's would be another wrong one.
    """
    exposure = read_exposure(data, clock)
    if exposure.time is not None and exposure.time_source is not None:
        return exposure.time, exposure.time_source, exposure
    if exposure.local is not None and not live:
        return None, "exif no zone", exposure
    return changed, "file", exposure


def _at_rest(path: Path, name: str, growing: dict[str, tuple[int, int]]) -> bool:
    """Whether a file is as it was at the last look: until then somebody may be writing it."""
    with contextlib.suppress(FileNotFoundError):
        state = path.stat()
        now = (state.st_size, state.st_mtime_ns)
        if growing.get(name) == now:
            del growing[name]
            return True
        growing[name] = now
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
