"""What --source names is opened, or refused with what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tflite.device.some_frames import encoded, names
from tflite.device.frames import Sampling
from tflite.device.sources import open_source
from tflite.errors import CrackError


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("nowhere", {}, "--source nowhere: No such file"),
        ("empty", {}, "holds no images"),
        ("photo.jpg", {}, "given as the folder"),
        ("photo.jpg", {"follow": True}, "--follow watches a folder"),
        ("empty", {"sampling": Sampling(fps=2.0)}, r"--fps 2.*--every"),
        ("empty", {"sampling": Sampling(every=2), "follow": True}, "do not go together"),
    ],
)
def test_sources_that_cannot_work_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("photo.jpg").write_bytes(encoded())
    with pytest.raises(CrackError, match=message):
        names(open_source(spec, **{"sampling": Sampling(), **options}))


@pytest.mark.parametrize("spec", ["flight.mp4", "/dev/null"])
def test_video_and_camera_without_opencv_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    Path("flight.mp4").write_bytes(b"x")
    with pytest.raises(CrackError, match="pip install opencv-python-headless"):
        open_source(spec, Sampling())


def test_a_closed_standard_input_and_a_keyboard_are_refused(stdin: Callable[[int], None]) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    stdin(reading)
    with pytest.raises(CrackError, match="closed"):
        open_source("-", Sampling())
    master, slave = os.openpty()
    stdin(slave)
    with pytest.raises(CrackError, match="keyboard"):
        open_source("-", Sampling())
    os.close(master)
    os.close(slave)
