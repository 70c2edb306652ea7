"""Raspberry Pi camera modules through picamera2, which Raspberry Pi OS brings (python3-picamera2): `--source picamera2:0?size=4056x3040`

Pictures come as the sensor gives them, without a JPEG between, and each with the moment at which its exposure began.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite.errors import CrackError

SPELLING = re.compile(r"picamera2(?::(\d{1,2}))?(?:\?size=(\d{2,5})x(\d{2,5}))?")
SECONDS = 10.0  # without a picture, after which a camera has stopped
_BUFFERS = 3  # one is filled, one is copied, one waits; at 12 megapixels each has 37 MB
_LONGEST_EXPOSURE_S = 10.0  # of a picture that has just come: its time lies no further back


@dataclass(frozen=True)
class Shot:
    """A picture.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        time: when its exposure began, seconds since 1970 UTC by this machine's clock; None where the sensor did not tell.
    """

    pixels: np.ndarray
    time: float | None


class PiCamera:
    """An opened camera that takes pictures until it is closed.

    Args:
        spec: "picamera2", "picamera2:1" or "picamera2:0?size=4056x3040"; without a size all of the sensor.
        fps: pictures a second that the camera is asked for; None leaves it to the camera.

    Raises:
        CrackError: if that names no camera, picamera2 is not installed, or no camera answers.
    """

    def __init__(self, spec: str, fps: float | None = None) -> None:
        match = SPELLING.fullmatch(spec)
        if match is None:
            raise CrackError(
                f"--source {spec}: expected picamera2, picamera2:1 (the second camera) or picamera2:0?size=4056x3040."
            )
        self._spec = spec
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CrackError(
                f"--source {spec} needs picamera2 ({error}), which comes with Raspberry Pi OS: sudo apt install python3-picamera2, "
                "and a virtual environment made with: python3 -m venv --system-site-packages. Without it: rpicam-vid -t 0 --codec "
                "mjpeg -o - | python -m tflite.device run --source - ..."
            ) from None
        self._camera: Any = None
        try:
            self._camera = Picamera2(int(match[1] or 0))
            size = (int(match[2]), int(match[3])) if match[2] else tuple(self._camera.sensor_resolution)
            controls = {} if fps is None else {"FrameDurationLimits": (round(1e6 / fps),) * 2}
            # Named by their order in memory from the last byte on: BGR888 is red, green, blue.
            main = {"size": size, "format": "BGR888"}
            self._camera.configure(
                self._camera.create_video_configuration(main=main, controls=controls, buffer_count=_BUFFERS)
            )
            self._camera.start()
        except Exception as error:  # libcamera's errors are of any kind: no such camera, busy, no such size
            self.close()
            raise CrackError(
                f"--source {spec}: no camera answers ({type(error).__name__}: {error}). Is its cable in, is another program using "
                "it? rpicam-hello --list-cameras names cameras and sizes."
            ) from None

    def take(self) -> Shot:
        """The next picture.

        Raises:
            CrackError: if none comes, or the camera fails.
        """
        try:
            request = self._camera.capture_request(wait=SECONDS)
            try:
                told = request.get_metadata().get("SensorTimestamp")
                moment = sensor_time(told)
                pixels = np.ascontiguousarray(request.make_array("main")[:, :, :3])
            finally:
                request.release()  # or the camera runs out of buffers
        except Exception as error:
            raise CrackError(
                f"camera {self._spec} stopped giving pictures ({type(error).__name__}: {error}). Check its cable and its power."
            ) from None
        return Shot(pixels, moment)

    def close(self) -> None:
        """Let go of the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            try:
                camera.stop()
            finally:
                camera.close()


def sensor_time(told: Any) -> float | None:
    """When an exposure began, seconds since 1970 UTC by this machine's clock as it is set now.

    Args:
        told: the sensor's time: nanoseconds since this machine was started (CLOCK_BOOTTIME); anything.

    Returns:
        None for what cannot be the time of a picture that has just come.
    """
    if isinstance(told, bool) or not isinstance(told, int):
        return None
    ago = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - told
    return time.time() - ago / 1e9 if 0 <= ago <= _LONGEST_EXPOSURE_S * 1e9 else None
