"""Small MP4 files whose frames are shown at uneven times, and that say when they began; made with OpenCV and a little surgery."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

_SINCE_1904 = 2_082_844_800
_TICKS = 10_240  # a second, as OpenCV writes at ten frames a second


def write_mp4(path: Path, images: Sequence[np.ndarray]) -> Path:
    """Ten frames a second of uint8 RGB (height, width, 3); skips the test without OpenCV."""
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed: no video to write")
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (width, height))
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def grey(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """So many plain frames, each brighter than the one before."""
    return [np.full((height, width, 3), 40 + 10 * number % 200, np.uint8) for number in range(count)]


def show_for(path: Path, seconds: Sequence[float]) -> None:
    """Show each frame for so long."""
    data = bytearray(path.read_bytes())
    ticks = [round(each * _TICKS) for each in seconds]
    start = data.find(b"stts") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    table = struct.pack(">I4sII", 16 + 8 * len(ticks), b"stts", 0, len(ticks))
    table += b"".join(struct.pack(">II", 1, each) for each in ticks)
    data[start : start + size] = table
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # which it lies in; the pictures lie before
        place = data.find(kind) - 4
        data[place : place + 4] = struct.pack(">I", int.from_bytes(data[place : place + 4], "big") + len(table) - size)
    # Lengths, in ticks and in milliseconds.
    for kind, at, length in ((b"mdhd", 16, sum(ticks)), (b"mvhd", 16, 1000 * sum(ticks) // _TICKS)):
        _patch(data, kind, at, length)
    for kind, at in ((b"tkhd", 20), (b"elst", 8)):
        _patch(data, kind, at, 1000 * sum(ticks) // _TICKS)
    path.write_bytes(data)


def say_created(path: Path, seconds: float) -> None:
    """Put a creation time, seconds since 1970 UTC, into the header."""
    data = bytearray(path.read_bytes())
    _patch(data, b"mvhd", 4, int(seconds) + _SINCE_1904)
    path.write_bytes(data)


def _patch(data: bytearray, kind: bytes, at: int, value: int) -> None:
    place = data.find(kind) + 4 + at
    data[place : place + 4] = struct.pack(">I", value)
