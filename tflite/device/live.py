"""Frames that do not wait: cameras and a pipe. While the classifier is busy the newest one waits and older ones are dropped, counted, and
told.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tflite.device.frames import Frame, Progress, Sampling, Source, no_picture
from tflite.device.mjpeg import jpegs_of
from tflite.device.opencv import bgr_to_rgb, import_opencv
from tflite.device.picamera import PiCamera
from tflite.errors import CrackError
from tflite.images import Picture, decode_picture

_WAIT_SECONDS = 0.2
_CAMERA_FAILURES = 50  # reads in a row


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
        slot.put(_Arrival(0, 0.0, no_picture, last=True, error=error))

    def _arrivals(
        self, stop: threading.Event
    ) -> Iterator[Callable[[str], Picture] | tuple[Callable[[str], Picture], float | None]]:
        """Decoders of the frames, as they arrive; with the time of their exposure where the camera tells it."""
        raise NotImplementedError


class CameraSource(LiveSource):
    """A camera, through OpenCV."""

    def __init__(self, device: str, sampling: Sampling) -> None:
        super().__init__("camera", device, sampling)
        cv2 = import_opencv(device)
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
    """JPEGs that another program writes to standard input, `file`."""

    def __init__(self, file: int, sampling: Sampling) -> None:
        super().__init__("pipe", "-", sampling)
        self._file = file

    def _arrivals(self, stop: threading.Event) -> Iterator[Callable[[str], Picture]]:
        for data in jpegs_of(self._file):
            if stop.is_set():
                return
            yield partial(decode_picture, data)


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


def _camera_picture(pixels: np.ndarray | None, name: str) -> Picture:
    return no_picture(f"{name}: the camera gave no picture.") if pixels is None else bgr_to_rgb(pixels)


def _rgb_picture(pixels: np.ndarray, name: str) -> Picture:
    return Picture(pixels)
