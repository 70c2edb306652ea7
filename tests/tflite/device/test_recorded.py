"""Frames from folders, recorded streams and videos: none is lost, and each has a name of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tflite.device.some_frames import encoded, names, picture, progress
from tflite.device import recorded
from tflite.device.frames import Sampling
from tflite.device.sources import open_source
from tflite.errors import CrackError, ImageError


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
    monkeypatch.setattr(recorded, "FOLLOW_SECONDS", 1.0)  # many times the pause between writes, on a busy machine too
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


def stream_file(path: Path, count: int = 5) -> list[bytes]:
    pictures = [encoded(seed) for seed in range(count)]
    path.write_bytes(b"".join(pictures))
    return pictures


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
