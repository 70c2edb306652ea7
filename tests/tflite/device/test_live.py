"""Frames from a pipe and from cameras: the newest waits, those lost are counted."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tflite.device.some_frames import encoded, names, picture, progress
from tflite.device import live
from tflite.device.frames import Frame, Sampling
from tflite.device.live import LiveSource
from tflite.device.sources import open_source
from tflite.errors import CrackError, ImageError
from tflite.images import Picture


def test_a_pipe_gives_frames_named_after_the_session_and_ends(stdin: Callable[[int], None]) -> None:
    reading, writing = os.pipe()
    stdin(reading)
    source = open_source("-", Sampling())
    found: list[Frame] = []

    def write() -> None:
        until = time.monotonic() + 30
        for seed in range(3):
            os.write(writing, encoded(seed))
            while len(found) <= seed and time.monotonic() < until:  # none is passed over, however busy the machine
                time.sleep(0.01)
        os.write(writing, encoded(9)[:500])
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    before = time.time()
    for frame in source.frames(progress()):
        found.append(frame)
    writer.join()
    os.close(reading)
    assert [frame.name for frame in found] == [f"session001-{number:07d}" for number in range(4)]
    assert all(before <= (frame.time or 0.0) <= time.time() and frame.time_source == "clock" for frame in found)
    assert found[2].load().pixels.shape == (24, 32, 3)
    with pytest.raises(ImageError, match="session001-0000003"):
        found[3].load()


@pytest.mark.parametrize("given", [b"", b"no picture"])
def test_standard_input_without_a_picture_is_no_flight_without_cracks(
    stdin: Callable[[int], None], tmp_path: Path, given: bytes
) -> None:
    reading, writing = os.pipe()
    os.write(writing, given)
    os.close(writing)
    (tmp_path / "stream").write_bytes(given)
    for file in (reading, os.open(tmp_path / "stream", os.O_RDONLY)):
        stdin(file)
        with pytest.raises(CrackError, match="standard input ended before its first JPEG"):
            list(open_source("-", Sampling()).frames(progress()))
        os.close(file)


class Script(LiveSource):
    """A live source that gives frames when told."""

    def __init__(
        self, arrivals: Callable[[], Iterator[Callable[[str], Picture]]], sampling: Sampling | None = None
    ) -> None:
        super().__init__("script", "-", sampling or Sampling())
        self._script = arrivals

    def _arrivals(self, stop: threading.Event) -> Iterator[Callable[[str], Picture]]:
        return self._script()


def test_a_slow_consumer_gets_the_newest_frame_and_every_lost_one_is_counted() -> None:
    taken, sent = threading.Event(), threading.Event()

    def arrivals() -> Iterator[Callable[[str], Picture]]:
        yield lambda name: Picture(picture(0))
        taken.wait(10)
        for number in range(1, 6):  # while the first is being classified
            yield lambda name, number=number: Picture(picture(number))  # type: ignore[misc]
        sent.set()

    source = Script(arrivals)
    found: list[Frame] = []
    for frame in source.frames(progress()):
        found.append(frame)
        taken.set()
        sent.wait(10)
    assert [(frame.name, frame.dropped) for frame in found] == [("session001-0000000", 0), ("session001-0000005", 4)]
    np.testing.assert_array_equal(found[1].load().pixels, picture(5))
    assert source.dropped == 4


def test_every_nth_frame_of_a_live_source_is_sampled_not_dropped() -> None:
    def arrivals() -> Iterator[Callable[[str], Picture]]:
        for _ in range(7):
            yield lambda name: Picture(picture())
            time.sleep(0.2)

    source = Script(arrivals, Sampling(every=3))
    assert names(source) == [f"session001-{number:07d}" for number in (0, 3, 6)]
    assert (source.skipped, source.dropped) == (4, 0)


def test_a_rate_holds_for_a_live_source() -> None:
    def arrivals() -> Iterator[Callable[[str], Picture]]:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            yield lambda name: Picture(picture())
            time.sleep(0.005)

    source = Script(arrivals, Sampling(fps=10.0))
    assert 8 <= len(names(source)) + source.dropped <= 12
    assert source.skipped > 20


def test_a_live_source_that_breaks_off_gives_its_last_frame_and_then_the_error() -> None:
    def arrivals() -> Iterator[Callable[[str], Picture]]:
        yield lambda name: Picture(picture())
        raise CrackError("camera stopped")

    found = []

    def consume() -> None:
        for frame in Script(arrivals).frames(progress()):
            found.append(frame.name)
            time.sleep(0.1)

    with pytest.raises(CrackError, match="camera stopped"):
        consume()
    assert found == ["session001-0000000"]


class Camera:
    """What OpenCV's VideoCapture does, without a camera."""

    opened: list[Any] = []  # noqa: RUF012
    pictures = 3

    def __init__(self, device: int | str, backend: int) -> None:
        Camera.opened.append(device)
        self._left = Camera.pictures

    def isOpened(self) -> bool:  # noqa: N802
        return self._left > 0

    def set(self, option: int, value: float) -> bool:
        return False

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.02)
        self._left -= 1
        return (True, picture(self._left)[:, :, ::-1]) if self._left >= 0 else (False, None)

    def release(self) -> None:
        Camera.opened.append("released")


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> str:
    """A device file that an OpenCV of ours opens."""
    module = types.ModuleType("cv2")
    vars(module).update(VideoCapture=Camera, CAP_V4L2=200, CAP_PROP_BUFFERSIZE=38)
    monkeypatch.setitem(sys.modules, "cv2", module)
    monkeypatch.setattr(Camera, "opened", [])
    monkeypatch.setattr("os.path.realpath", lambda path: "/dev/video7")
    return "/dev/null"


def test_a_camera_gives_rgb_frames_and_a_gap_and_an_error_when_it_is_unplugged(
    camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_CAMERA_FAILURES", 3)
    source = open_source(camera, Sampling())
    known, found = progress(), []

    def consume() -> None:
        for frame in source.frames(known):
            found.append(frame)

    with pytest.raises(CrackError, match="camera /dev/null stopped giving pictures"):
        consume()
    known.stop.set()
    source.close()
    assert Camera.opened == [7, "released"]
    np.testing.assert_array_equal(found[0].load().pixels, picture(2))
    with pytest.raises(ImageError, match="the camera gave no picture"):
        found[-1].load()
    assert len(found) + source.dropped == 4


def test_a_camera_that_does_not_open_is_refused(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Camera, "pictures", 0)
    with pytest.raises(CrackError, match=r"no camera answers.*rpicam-vid"):
        open_source(camera, Sampling())
