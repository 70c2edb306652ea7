"""OpenCV, which reads videos and USB cameras and need not be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError
from tflite.images import Picture


def quiet_videos() -> None:
    """Keep FFmpeg, through which OpenCV reads videos, from writing to the terminal: what is wrong with one is told in our words.

    Before the first video is opened. Whoever wants to read FFmpeg's sets the variable.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def import_opencv(source: str | Path) -> Any:
    """The module.

    Args:
        source: what --source names, for the message.

    Raises:
        CrackError: if it is not installed.
    """
    quiet_videos()
    try:
        import cv2
    except ImportError as error:
        raise CrackError(
            f"--source {source} needs OpenCV ({error}). Run: pip install opencv-python-headless. Without it: a folder of "
            "photographs, or JPEGs on standard input."
        ) from None
    return cv2


def bgr_to_rgb(pixels: np.ndarray) -> Picture:
    """A picture of pixels as OpenCV gives them, uint8 (height, width, 3), blue first."""
    return Picture(np.ascontiguousarray(pixels[:, :, ::-1]))
