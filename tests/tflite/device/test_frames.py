"""Frames from folders, streams and videos: none lost that waits, those lost counted, each under a name of its own."""

from __future__ import annotations

import io
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
from PIL import Image

from tflite.device import frames as module
from tflite.device.frames import Frame, LiveSource, Progress, Sampling, Source, open_source
from tflite.errors import CrackError, ImageError
from tflite.images import Picture


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def encoded(seed: int = 0, format: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(seed)).save(out, format)
    return out.getvalue()


def progress(done: dict[str, int | None] | None = None, gaps: dict[str, int | None] | None = None) -> Progress:
    return Progress(done or {}, gaps or {}, 1, threading.Event())


def names(source: Source, known: Progress | None = None) -> list[str]:
    return [frame.name for frame in source.frames(known or progress())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        path = tmp_path / "frames" / f"dir{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number, "PNG"))
        os.utime(path, (1748779200 + number, 1748779200 + number))
    return tmp_path / "frames"


def test_a_folder_gives_its_photographs_by_name(folder: Path) -> None:
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    found = list(open_source(str(folder), Sampling()).frames(progress()))
    assert [frame.name for frame in found] == ["dir0/0.png", "dir0/2.png", "dir0/4.png", "dir1/1.png", "dir1/3.png"]
    np.testing.assert_array_equal(found[1].load().pixels, picture(2))
    assert (found[1].time, found[1].time_source, found[1].fix) == (1748779202, "file", None)
    assert found[1].size == (folder / "dir0/2.png").stat().st_size


def test_every_nth_photograph_is_taken_and_the_others_are_counted(folder: Path) -> None:
    source = open_source(str(folder), Sampling(every=2))
    assert names(source) == ["dir0/0.png", "dir0/4.png", "dir1/3.png"]
    assert source.skipped == 2


def test_frames_of_an_earlier_session_are_left_out(folder: Path) -> None:
    size = (folder / "dir0/0.png").stat().st_size
    source = open_source(str(folder), Sampling())
    known = progress({"dir0/0.png": size}, {"dir0/2.png": (folder / "dir0/2.png").stat().st_size, "dir0/4.png": 3})
    assert names(source, known) == [
        "dir0/4.png",
        "dir1/1.png",
        "dir1/3.png",
    ]  # 4 was unreadable and is another file now
    assert source.resumed == 2


def test_a_photograph_that_changed_since_it_was_classified_is_refused(folder: Path) -> None:
    with pytest.raises(CrackError, match=r"0\.png is not the file that was classified before"):
        names(open_source(str(folder), Sampling()), progress({"dir0/0.png": 3}))


def test_damaged_empty_and_unreadable_photographs_are_frames_that_fail_to_load(folder: Path) -> None:
    (folder / "dir0/0.png").write_bytes(b"")
    (folder / "dir0/2.png").write_bytes(encoded(2, "PNG")[:300])
    (folder / "dir0/4.png").unlink()
    (folder / "dir0/4.png").symlink_to(folder / "dir1")  # a folder: not followed
    found = list(open_source(str(folder), Sampling()).frames(progress()))
    assert [frame.name for frame in found] == ["dir0/4.png", "dir0/0.png", "dir0/2.png", "dir1/1.png", "dir1/3.png"]
    for frame, reason in zip(found, ("link to a folder", "is empty", "damaged or truncated"), strict=False):
        with pytest.raises(ImageError, match=reason):
            frame.load()


def test_a_photograph_that_disappears_is_a_frame_that_fails_to_load(folder: Path) -> None:
    found = []
    for frame in open_source(str(folder), Sampling()).frames(progress()):
        found.append(frame)
        (folder / "dir0/2.png").unlink(missing_ok=True)
    assert found[1].name == "dir0/2.png"
    assert found[1].size is None
    with pytest.raises(ImageError, match="cannot read image"):
        found[1].load()


def test_a_stopped_source_gives_no_more_frames(folder: Path) -> None:
    known = progress()
    found = []
    for frame in open_source(str(folder), Sampling()).frames(known):
        found.append(frame.name)
        known.stop.set()
    assert len(found) == 1


def test_a_followed_folder_gives_new_photographs_once_they_stopped_growing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 1.0)  # many times the pause between writes, on a busy machine too
    source = open_source(str(tmp_path), Sampling(), follow=True)
    known = progress()
    found: list[tuple[str, int | None]] = []

    def watch() -> None:
        found.extend((frame.name, frame.size) for frame in source.frames(known))

    watcher = threading.Thread(target=watch)
    watcher.start()
    data = encoded(0, "PNG")
    with (tmp_path / "a.png").open("wb", buffering=0) as stream:
        for start in range(0, len(data), 400):
            stream.write(data[start : start + 400])
            time.sleep(0.05)
    (tmp_path / "b.png").write_bytes(data)
    until = time.monotonic() + 10
    while len(found) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    known.stop.set()
    watcher.join()
    assert found == [("a.png", len(data)), ("b.png", len(data))]


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


def test_sampling_by_rate_takes_the_right_share() -> None:
    for fps, rate in ((1.0, 30.0), (7.0, 29.97), (12.5, 25.0), (30.0, 25.0)):
        taken = sum(Sampling(fps=fps).takes(number, rate) for number in range(3000))
        assert taken == pytest.approx(3000 * min(1, fps / rate), abs=1)
    assert [n for n in range(7) if Sampling(every=3).takes(n, 25.0)] == [0, 3, 6]


# Standard input


def stream_file(path: Path, count: int = 5) -> list[bytes]:
    pictures = [encoded(seed) for seed in range(count)]
    path.write_bytes(b"".join(pictures))
    return pictures


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda file: monkeypatch.setattr(module, "_STDIN", file)


def test_a_redirected_stream_is_resumed_and_loses_nothing(tmp_path: Path, stdin: Callable[[int], None]) -> None:
    pictures = stream_file(tmp_path / "x.mjpeg")
    with (tmp_path / "x.mjpeg").open("rb") as stream:
        stdin(stream.fileno())
        source = open_source("-", Sampling(every=2))
        known = progress({"frame-0000002": len(pictures[2])})
        found = list(source.frames(known))
    assert [(frame.name, frame.size) for frame in found] == [
        ("frame-0000000", len(pictures[0])),
        ("frame-0000004", len(pictures[4])),
    ]
    assert (source.skipped, source.resumed, source.dropped) == (2, 1, 0)
    assert source.identity["source_bytes"] == sum(map(len, pictures))
    assert found[1].load().pixels.shape == (24, 32, 3)


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


# Live sources


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
    monkeypatch.setattr(module, "_CAMERA_FAILURES", 3)
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


# Videos, where OpenCV is installed


@pytest.fixture
def video(tmp_path: Path) -> Path:
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed: no video to read")
    path = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(20):
        image = np.full((48, 64, 3), (10, 120, 10 * number), np.uint8)  # blue, green, red
        writer.write(image)
    writer.release()
    os.utime(path, (1748779202, 1748779202))
    return path


def test_a_video_gives_rgb_frames_with_their_times(video: Path) -> None:
    source = open_source(str(video), Sampling())
    found = []
    for frame in source.frames(progress()):
        found.append((frame.name, frame.time, frame.time_source))
        mean = frame.load().pixels.mean(axis=(0, 1))
        assert mean == pytest.approx([10 * (len(found) - 1), 120, 10], abs=12)
    source.close()
    assert (found[15][0], found[15][2]) == ("flight.avi#000015", "video")
    assert found[15][1] == pytest.approx(1748779201.5)
    assert len(found) == 20


def test_a_video_is_sampled_and_resumed(video: Path) -> None:
    source = open_source(str(video), Sampling(fps=2.5))
    assert names(source, progress({"flight.avi#000004": None})) == [
        f"flight.avi#{number:06d}" for number in (0, 8, 12, 16)
    ]
    assert (source.skipped, source.resumed) == (15, 1)


def test_a_video_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="opencv-python-headless is not installed")
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(CrackError, match="cannot open this video"):
        open_source(str(tmp_path / "x.mp4"), Sampling())


def test_a_truncated_video_ends_with_a_gap(video: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 3 // 4])
    last = list(open_source(str(video), Sampling()).frames(progress()))[-1]
    assert last.name.endswith("-000019")
    with pytest.raises(ImageError, match=r"announces 20 frames and gives \d+: it may be damaged or truncated"):
        last.load()
