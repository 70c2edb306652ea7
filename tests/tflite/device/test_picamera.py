"""A Raspberry Pi camera module, played by a stand-in with the interface of picamera2: colours, times, failures. No Pi was used."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from tflite.device.frames import Frame, Progress, Sampling
from tflite.device.picamera import sensor_time
from tflite.device.sources import open_source
from tflite.errors import CrackError

RED, GREEN, BLUE = 200, 120, 10


class Request:
    """A completed request: it must be released, or the camera runs dry."""

    def __init__(self, camera: Picamera2, metadata: dict[str, Any]) -> None:
        self._camera, self._metadata = camera, metadata
        camera.out += 1

    def get_metadata(self) -> dict[str, Any]:
        return self._metadata

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        width, height = self._camera.config["main"]["size"]
        # As picamera2 names them: the array of BGR888 is red, green, blue, that of RGB888 the other way.
        colours = {"BGR888": (RED, GREEN, BLUE), "RGB888": (BLUE, GREEN, RED)}[self._camera.config["main"]["format"]]
        return np.full((height, width, 3), colours, np.uint8)

    def release(self) -> None:
        self._camera.out -= 1


class Picamera2:
    """The part of picamera2's class that is used."""

    made: ClassVar[list[Picamera2]] = []
    pictures = 4
    age_s: float | None = 0.05  # of a picture when it is handed over
    sensor_resolution = (4056, 3040)

    def __init__(self, number: int = 0) -> None:
        if number > 0:
            raise IndexError("list index out of range")
        self.state: list[str] = []
        self.out = self.taken = 0
        self.config: dict[str, Any] = {}
        Picamera2.made.append(self)

    def create_video_configuration(
        self, main: dict[str, Any], controls: dict[str, Any], buffer_count: int = 6
    ) -> dict[str, Any]:
        return {"main": main, "controls": controls, "buffer_count": buffer_count}

    def configure(self, config: dict[str, Any]) -> None:
        if max(config["main"]["size"]) > 4056:
            raise RuntimeError("Invalid camera configuration")
        self.config = config

    def start(self) -> None:
        self.state.append("started")

    def capture_request(self, wait: float | None = None) -> Request:
        assert self.out < self.config["buffer_count"], "no buffer was given back"
        if self.taken >= self.pictures:
            raise TimeoutError
        self.taken += 1
        time.sleep(0.01)
        if self.age_s is None:
            return Request(self, {"ExposureTime": 1000})
        return Request(self, {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(self.age_s * 1e9)})

    def stop(self) -> None:
        self.state.append("stopped")

    def close(self) -> None:
        self.state.append("closed")


@pytest.fixture(autouse=True)
def picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picamera2, "made", [])
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=Picamera2))


def taken(
    spec: str, sampling: Sampling | None = None, told: Callable[[Frame], None] = lambda _: None
) -> tuple[list[Frame], Any]:
    """All frames of a camera until it stops giving any, and its error."""
    source, found = open_source(spec, sampling or Sampling()), []
    known = Progress({}, {}, 1, threading.Event())

    def consume() -> None:
        for frame in source.frames(known):
            found.append(frame)
            told(frame)

    with pytest.raises(CrackError) as raised:
        consume()
    known.stop.set()
    source.close()
    return found, raised.value


def test_pictures_are_rgb_of_the_size_asked_for_and_dated_by_the_sensor() -> None:
    seen: list[float] = []
    found, error = taken("picamera2:0?size=64x48", told=lambda frame: seen.append(time.time() - (frame.time or 0)))
    assert found[0].load().pixels.shape == (48, 64, 3)
    assert tuple(found[0].load().pixels[0, 0]) == (RED, GREEN, BLUE)
    assert {frame.time_source for frame in found} == {"sensor"}
    assert all(0.05 <= age < 5 for age in seen)
    assert "camera picamera2:0?size=64x48 stopped giving pictures (TimeoutError" in str(error)
    (camera,) = Picamera2.made
    assert (camera.state, camera.out) == (["started", "stopped", "closed"], 0)


@pytest.mark.parametrize("age", [None, -3.0, 3600.0])
def test_a_time_that_cannot_be_is_replaced_by_the_clock(age: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picamera2, "age_s", age)
    found, _ = taken("picamera2?size=64x48")
    assert {frame.time_source for frame in found} == {"clock"}
    assert all(abs(time.time() - (frame.time or 0)) < 30 for frame in found)


def test_without_a_size_all_of_the_sensor_is_read_and_a_rate_is_asked_of_the_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Picamera2, "pictures", 1)
    monkeypatch.setattr(Picamera2, "sensor_resolution", (80, 60))
    taken("picamera2:0", Sampling(fps=4.0))
    (camera,) = Picamera2.made
    assert camera.config["main"]["size"] == (80, 60)
    assert camera.config["controls"] == {"FrameDurationLimits": (250_000, 250_000)}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("picamera2:1", r"no camera answers \(IndexError.*rpicam-hello --list-cameras"),
        ("picamera2:0?size=9000x9000", r"no camera answers \(RuntimeError: Invalid camera configuration"),
        ("picamera2:x", r"expected picamera2, picamera2:1"),
        ("picamera2:0?size=big", r"expected picamera2, picamera2:1"),
    ],
)
def test_a_camera_that_is_none_is_refused(spec: str, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        open_source(spec, Sampling())
    assert all(camera.state == ["stopped", "closed"] for camera in Picamera2.made)


def test_without_picamera2_the_message_says_how_to_get_it_and_what_works_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CrackError, match=r"apt install python3-picamera2.*rpicam-vid"):
        open_source("picamera2:0", Sampling())


def test_a_sensors_time_follows_the_clock_when_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "time", lambda: 1_748_779_200.0)
    assert sensor_time(now - 2_000_000_000) == pytest.approx(1_748_779_198.0, abs=0.5)
    assert [sensor_time(value) for value in (None, True, "1", 1.5, -5, 2**70)] == [None] * 6
