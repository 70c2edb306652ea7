"""Where frames come from: a folder of photographs, a video, a camera, or JPEGs on standard input.

Folders, videos and a file redirected to standard input wait for the classifier: no frame is lost. A camera and a pipe are
live: while the classifier is busy the newest frame waits and older ones are dropped, counted, and told.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tflite.device.mjpeg import JpegSplitter
from tflite.device.picamera import PiCamera
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes
from tflite.images import Picture, decode_picture
from tflite.photographs import list_photographs
from tflite.place.clock import PLAIN_CLOCK, CameraClock
from tflite.place.exposure import Exposure, read_exposure
from tflite.place.fix import Fix
from tflite.place.missing import IMPOSSIBLE
from tflite.place.video import FILE, FrameTimes, VideoTrack, find_start, find_subtitles, read_subtitles
from tflite.sameness import FileState, is_other, read_file, sampled_state
from tflite.words import counted

FOLLOW_SECONDS = 1.0  # between two looks at a folder that is being filled
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".m4v", ".webm", ".ts", ".mjpeg", ".mjpg"})
PICAMERA = "picamera2"
_STDIN = 0
_BLOCK = 1 << 16
_HEAD = 1 << 20  # bytes at its beginning that tell one recording from another
_WAIT_SECONDS = 0.2
_CAMERA_FAILURES = 50  # reads in a row


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
                    yield Frame(name, time.time(), "clock", partial(_fail, f"{name} {trouble.reason}."))
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
            return Frame(name, time.time(), "clock", partial(_fail, reason))
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
        self._cv2 = _import_opencv(path)
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
                yield Frame(name, self._moment(number / self._rate), self._time_source, partial(_fail, reason))

    def _moment(self, shown: float) -> float | None:
        return None if self._began is None else self._began + shown

    def close(self) -> None:
        self._capture.release()

    def _picture(self, name: str) -> Callable[[], Picture]:
        def load() -> Picture:
            whole, pixels = self._capture.retrieve()
            return _bgr_to_rgb(pixels) if whole else _fail(f"{name} cannot be decoded.")

        return load


class LiveSource(Source):
    """A source that does not wait. A thread takes every frame as it comes; the newest one waits for the classifier.

    Subclasses implement `_arrivals`, called in that thread.
    """

    _thread: threading.Thread | None = None

    def frames(self, progress: Progress) -> Iterator[Frame]:
        slot = _Slot()
        self._thread = threading.Thread(target=self._collect, args=(slot, progress.stop), daemon=True, name="frames")
        self._thread.start()
        while not progress.stop.is_set():
            entry = slot.take(_WAIT_SECONDS)
            if entry is None:
                continue
            if entry.last:
                self.dropped += entry.dropped
                if entry.error is not None:
                    raise entry.error
                return
            self.dropped += entry.dropped
            name = f"session{progress.session:03d}-{entry.number:07d}"
            yield Frame(name, entry.time, entry.time_source, partial(entry.load, name), None, None, entry.dropped)

    def _collect(self, slot: _Slot, stop: threading.Event) -> None:
        error: Exception | None = None
        try:
            started, taken = time.monotonic(), 0
            for number, arrival in enumerate(self._arrivals(stop)):
                if self.sampling.fps is not None:
                    # By the clock: as many as are due, so that the rate holds on average.
                    wanted = taken <= (time.monotonic() - started) * self.sampling.fps
                else:
                    wanted = number % self.sampling.every == 0
                if wanted:
                    taken += 1
                    load, moment = arrival if isinstance(arrival, tuple) else (arrival, None)
                    source = "clock" if moment is None else "sensor"
                    slot.put(_Arrival(number, time.time() if moment is None else moment, load, time_source=source))
                else:
                    self.skipped += 1
        except Exception as caught:  # handed to the thread that classifies
            error = caught
        slot.put(_Arrival(0, 0.0, _fail, last=True, error=error))

    def _arrivals(
        self, stop: threading.Event
    ) -> Iterator[Callable[[str], Picture] | tuple[Callable[[str], Picture], float | None]]:
        """Decoders of the frames, as they arrive; with the time of their exposure where the camera tells it."""
        raise NotImplementedError


class CameraSource(LiveSource):
    """A camera, through OpenCV."""

    def __init__(self, device: str, sampling: Sampling) -> None:
        super().__init__("camera", device, sampling)
        cv2 = _import_opencv(device)
        self._device = device
        # Names such as /dev/v4l/by-id/... are links. OpenCV's V4L2 reader wants the number of the device.
        number = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(device))
        self._capture = cv2.VideoCapture(int(number[1]) if number else device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CrackError(
                f"--source {device}: no camera answers. Is another program using it? Raspberry Pi camera modules are read "
                "with: rpicam-vid -t 0 --codec mjpeg -o - | python -m tflite.device run --source - ..."
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(timeout=5)  # OpenCV must not lose its device within a read
        self._capture.release()

    def _arrivals(self, stop: threading.Event) -> Iterator[Callable[[str], Picture]]:
        failures = 0
        while not stop.is_set():
            whole, pixels = self._capture.read()
            if whole:
                failures = 0
                yield partial(_camera_picture, pixels)
                continue
            failures += 1
            if failures == 1:
                yield partial(_camera_picture, None)
            if failures >= _CAMERA_FAILURES:
                raise CrackError(f"camera {self._device} stopped giving pictures. Check its cable and its power.")
            time.sleep(0.02)


class PicameraSource(LiveSource):
    """A Raspberry Pi camera module, through picamera2."""

    def __init__(self, spec: str, sampling: Sampling) -> None:
        super().__init__("camera", spec, sampling)
        self._camera = PiCamera(spec, sampling.fps)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(timeout=5)  # not within a picture
        self._camera.close()

    def _arrivals(self, stop: threading.Event) -> Iterator[tuple[Callable[[str], Picture], float | None]]:
        while not stop.is_set():
            shot = self._camera.take()
            yield partial(_rgb_picture, shot.pixels), shot.time


class PipeSource(LiveSource):
    """JPEGs that another program writes to standard input."""

    def __init__(self, sampling: Sampling) -> None:
        super().__init__("pipe", "-", sampling)

    def _arrivals(self, stop: threading.Event) -> Iterator[Callable[[str], Picture]]:
        for data in _jpegs(_STDIN):
            if stop.is_set():
                return
            yield partial(decode_picture, data)


class StreamFileSource(Source):
    """A recorded stream of JPEGs redirected to standard input."""

    def __init__(self, sampling: Sampling, clock: CameraClock) -> None:
        if sampling.fps is not None:
            raise CrackError(f"--fps {sampling.fps:g}: a file of JPEGs has no rate. Use --every N.")
        self._file = _STDIN
        state = os.fstat(self._file)
        head = sha256_bytes(os.pread(self._file, _HEAD, 0))
        super().__init__("stream file", "-", sampling, source_bytes=state.st_size, source_head=head)
        self._changed, self._clock = state.st_mtime, clock

    def frames(self, progress: Progress) -> Iterator[Frame]:
        for number, data in enumerate(_jpegs(self._file)):
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


@dataclass
class _Arrival:
    number: int
    time: float
    load: Callable[[str], Picture]
    dropped: int = 0
    last: bool = False
    error: Exception | None = None
    time_source: str = "clock"


class _Slot:
    """Holds one waiting frame, the newest. The end of the source waits behind it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: _Arrival | None = None
        self._end: _Arrival | None = None

    def put(self, arrival: _Arrival) -> None:
        with self._condition:
            if arrival.last:
                self._end = arrival
            else:
                if self._waiting is not None:
                    arrival.dropped = self._waiting.dropped + 1
                self._waiting = arrival
            self._condition.notify()

    def take(self, seconds: float) -> _Arrival | None:
        with self._condition:
            self._condition.wait_for(lambda: self._waiting is not None or self._end is not None, seconds)
            arrival, self._waiting = self._waiting, None
            return arrival if arrival is not None else self._end


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


def _standard_input(sampling: Sampling, clock: CameraClock) -> Source:
    try:
        mode = os.fstat(_STDIN).st_mode
    except OSError:
        raise CrackError("--source -: standard input is closed. Pipe JPEGs into it.") from None
    if stat.S_ISREG(mode):
        return StreamFileSource(sampling, clock)
    if os.isatty(_STDIN):
        raise CrackError(
            "--source -: standard input is the keyboard. Pipe JPEGs into it: rpicam-vid ... -o - | python ..."
        )
    return PipeSource(sampling)


def _jpegs(file: int) -> Iterator[bytes]:
    splitter = JpegSplitter()
    while data := os.read(file, _BLOCK):
        yield from splitter.feed(data)
    if (rest := splitter.finish()) is not None:
        yield rest


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


def _fail(reason: str) -> Picture:
    raise ImageError(reason)


def _camera_picture(pixels: np.ndarray | None, name: str) -> Picture:
    return _fail(f"{name}: the camera gave no picture.") if pixels is None else _bgr_to_rgb(pixels)


def _rgb_picture(pixels: np.ndarray, name: str) -> Picture:
    return Picture(pixels)


def _bgr_to_rgb(pixels: np.ndarray) -> Picture:
    return Picture(np.ascontiguousarray(pixels[:, :, ::-1]))


def _import_opencv(source: str | Path) -> Any:
    try:
        import cv2
    except ImportError as error:
        raise CrackError(
            f"--source {source} needs OpenCV ({error}). Run: pip install opencv-python-headless. Without it: a folder of "
            "photographs, or JPEGs on standard input."
        ) from None
    return cv2
