"""A stream of JPEGs is cut where each one ends, whatever the chunks, the thumbnails and the damage."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tflite.device import mjpeg
from tflite.device.mjpeg import JpegSplitter


def jpeg(seed: int, **options: Any) -> bytes:
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


def with_thumbnail(seed: int) -> bytes:
    """A JPEG whose EXIF segment holds another whole JPEG."""
    outer, inner = jpeg(seed), b"Exif\0\0" + jpeg(seed + 100)
    return outer[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + outer[2:]


FRAMES = [jpeg(0), jpeg(1, progressive=True), with_thumbnail(2), jpeg(3, quality=100), jpeg(4, restart_marker_blocks=1)]
STREAM = b"".join(FRAMES)


def split(chunks: list[bytes]) -> list[bytes]:
    splitter = JpegSplitter()
    frames = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    last = splitter.finish()
    return frames + ([last] if last is not None else [])


@settings(max_examples=100)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_frames_are_found_whatever_the_chunks(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert split([STREAM[a:b] for a, b in itertools.pairwise(edges)]) == FRAMES


def test_frames_are_found_byte_by_byte() -> None:
    assert split([bytes([value]) for value in STREAM]) == FRAMES


def test_headers_between_frames_are_passed_over() -> None:
    head = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
    assert split([head + head.join(FRAMES) + b"\r\n"]) == FRAMES


def test_a_frame_cut_off_by_the_end_or_by_the_next_frame_is_handed_out_as_it_is() -> None:
    half = FRAMES[0][:-100]  # within its pixels; a cut within a table takes the next frame along
    assert split([half]) == [half]
    assert split([half + FRAMES[1]]) == [half, FRAMES[1]]


def test_a_stream_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "LONGEST", 1000)
    endless = FRAMES[0][:400] + bytes(5000)
    frames = split([endless[i : i + 100] for i in range(0, len(endless), 100)] + [FRAMES[1]])
    assert max(map(len, frames)) <= 1100
    assert frames[-1] == FRAMES[1]


@settings(max_examples=200)
@given(data=st.data())
def test_damage_neither_crashes_nor_loses_later_frames_for_good(data: st.DataObject) -> None:
    stream = bytearray(FRAMES[0] * 2)
    for _ in range(data.draw(st.integers(1, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    # A wrong length may swallow what follows, 64 KiB at most.
    frames = split([bytes(stream), FRAMES[1] * 100, FRAMES[3]])
    assert frames[-1] == FRAMES[3]


@given(chunks=st.lists(st.binary(max_size=200), max_size=10))
def test_noise_is_no_problem(chunks: list[bytes]) -> None:
    for frame in split(chunks):
        assert frame.startswith(b"\xff\xd8")
