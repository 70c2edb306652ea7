"""When a video began, by the best that is known, and when its frames were shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite.videos import grey, say_created, write_mp4
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.srt import read_srt
from tflite.place.video import (
    CONTAINER,
    FILE,
    STATED,
    SUBTITLES,
    FrameTimes,
    VideoStart,
    container_time,
    find_start,
    find_subtitles,
    read_subtitles,
)

NOON = 1748779200.0
SRT = b"1\n00:00:02,000 --> 00:00:03,000\n2025-06-01 14:00:00\n[latitude: 48.2] [longitude: 16.4]\n\n"


def box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


def mvhd(seconds: float) -> bytes:
    return box(b"mvhd", bytes(4) + int(seconds + 2_082_844_800).to_bytes(4, "big") + bytes(92))


def movie(seconds: float) -> bytes:
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(99)) + box(b"moov", box(b"iods", b"x") + mvhd(seconds))


def write(folder: Path, data: bytes, name: str = "flight.mp4") -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, (NOON + 1000, NOON + 1000))
    return path


def test_the_best_that_is_known_goes_first(tmp_path: Path) -> None:
    path, track = write(tmp_path, movie(NOON + 500)), read_srt(SRT)
    clock, vienna = CameraClock(), CameraClock(parse_timezone("Europe/Vienna"), 73)
    assert find_start(path, clock, NOON, track, 10.0) == VideoStart(NOON, STATED)
    assert find_start(path, vienna, None, track, 10.0) == VideoStart(NOON - 2 + 73, SUBTITLES)
    assert find_start(path, clock, None, track, 10.0) == VideoStart(
        NOON + 500, CONTAINER
    )  # the subtitles' zone is not known
    assert find_start(path, vienna, None, None, 10.0) == VideoStart(NOON + 573, CONTAINER)
    empty = write(tmp_path, b"", "x.mp4")
    assert find_start(empty, clock, None, None, 10.0) == VideoStart(NOON + 990, FILE)
    assert find_start(empty, clock) == VideoStart()


def test_what_a_person_must_know_about_a_start_is_told() -> None:
    assert VideoStart(NOON, STATED).warning("x.mp4") is None
    assert VideoStart(NOON, SUBTITLES).warning("x.mp4") is None
    assert "2025-06-01 12:00:00 UTC by its container" in str(VideoStart(NOON, CONTAINER).warning("x.mp4"))
    assert "by its file (2025-06-01 12:00:00 UTC), which a copy changes" in str(VideoStart(NOON, FILE).warning("x.mp4"))
    assert "without --video-start its frames have no time" in str(VideoStart().warning("x.mp4"))


def test_a_container_made_by_opencv_is_read(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "x.mp4", grey(3))
    assert container_time(path) is None  # it was never set
    say_created(path, NOON)
    assert container_time(path) == NOON


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (box(b"moov", mvhd(NOON), 0), NOON),  # to the end of the file
        (
            box(b"mdat", (16 + 9).to_bytes(8, "big") + bytes(9), 1) + box(b"moov", mvhd(NOON)),
            NOON,
        ),  # sizes of 64 bits
        (
            box(b"moov", box(b"mvhd", b"\1\0\0\0" + int(NOON + 2_082_844_800).to_bytes(8, "big") + bytes(96))),
            NOON,
        ),  # times of 64 bits
        (box(b"moov", mvhd(-2_082_844_800)), None),
        (box(b"moov", box(b"mvhd", b"\1\0\0\0" + b"\xff" * 8)), None),
        (box(b"moov", box(b"mvhd", b"\0")), None),
        (box(b"free", b"", 4) + box(b"moov", mvhd(NOON)), None),
        (box(b"moov", mvhd(NOON))[:20], None),
    ],
)
def test_headers_of_every_form_are_read_and_damaged_ones_say_nothing(
    tmp_path: Path, data: bytes, expected: float | None
) -> None:
    assert container_time(write(tmp_path, data)) == expected


@given(st.binary(max_size=200))
def test_no_header_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.mp4"
    for start in (b"", box(b"ftyp", b""), b"\0\0\0\0moov"):
        path.write_bytes(start + data)
        container_time(path)


@pytest.mark.parametrize("name", ["flight.SRT", "flight.srt", "flight.Srt"])
def test_subtitles_beside_a_video_are_found_whatever_their_letters(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, b"", "flight.MP4")
    assert find_subtitles(path) is None
    write(tmp_path, SRT, "flight2.srt")
    beside = write(tmp_path, SRT, name)
    assert find_subtitles(path) == beside
    assert read_subtitles(beside) is not None


def test_subtitles_that_are_spoken_words_are_no_track(tmp_path: Path) -> None:
    assert read_subtitles(write(tmp_path, b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n", "x.srt")) is None
    assert read_subtitles(tmp_path / "none.srt") is None


def test_frames_are_shown_when_the_container_says() -> None:
    times = FrameTimes(10.0)
    shown = [times.take(milliseconds) for milliseconds in (50.0, 150.0, 350.0, 350.0, 20.0, float("nan"), 950.0)]
    assert shown == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.9])


@given(st.lists(st.floats(-1e20, 1e20) | st.floats(0, 1e4) | st.just(float("nan")), max_size=20), st.floats(0.1, 1000))
def test_no_frame_is_shown_before_the_one_before_it(milliseconds: list[float], rate: float) -> None:
    times = FrameTimes(rate)
    shown = [times.take(each) for each in milliseconds]
    assert shown == sorted(set(shown))
