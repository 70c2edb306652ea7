"""A JPEG of which anything is missing is refused, whatever libjpeg makes of it; a whole one is decoded as Pillow does."""

from __future__ import annotations

import io
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.cases import case
from tests.tflite.drawn import encode, rough, zeroed
from tflite.errors import DamageError
from tflite.jpeg import MAX_SCANS, decode_jpeg, read_structure

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {"quality": 92},
    "444 optimised": {"quality": 85, "subsampling": 0, "optimize": True},
    "restart rows": {"quality": 90, "restart_marker_rows": 1},
    "restart blocks": {"quality": 75, "restart_marker_blocks": 3, "subsampling": 2},
    "progressive": {"quality": 90, "progressive": True},
    "progressive restart": {"quality": 80, "progressive": True, "restart_marker_rows": 2},
}
ALL = pytest.mark.parametrize("kind", KINDS)


@cache
def jpeg(kind: str, grey: bool = False) -> bytes:
    image = Image.fromarray(rough())
    return encode(image.convert("L") if grey else image, "JPEG", **KINDS[kind])


def plain(data: bytes) -> np.ndarray:
    """What Pillow makes of it."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def data_start(data: bytes) -> int:
    return read_structure(data)[1][0].start


@ALL
@pytest.mark.parametrize("grey", [False, True])
def test_a_whole_jpeg_has_the_pixels_that_pillow_gives(kind: str, grey: bool) -> None:
    data = jpeg(kind, grey)
    np.testing.assert_array_equal(np.asarray(decode_jpeg(data)), plain(data))


@ALL
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(share=st.floats(0.03, 0.99))
def test_a_zeroed_tail_is_refused_with_and_without_the_end_marker(kind: str, share: float) -> None:
    data = jpeg(kind)
    start = int(share * len(data))
    for damaged in (zeroed(data, start, len(data)), zeroed(data, start, len(data) - 2 - start), data[:start]):
        assume(damaged != data)
        with pytest.raises(DamageError):
            decode_jpeg(damaged)


@ALL
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(share=st.floats(0, 1), size=st.sampled_from([512, 1024, 4096]), aligned=st.booleans())
def test_a_zeroed_sector_is_refused_or_changes_hardly_a_pixel(
    kind: str, share: float, size: int, aligned: bool
) -> None:
    data = jpeg(kind)
    start = int(share * (len(data) - 1))
    damaged = zeroed(data, start // size * size if aligned else start, size)
    assume(damaged != data)
    try:
        pixels = np.asarray(decode_jpeg(damaged))
    except (DamageError, OSError, SyntaxError):
        return
    # The last bits of a progressive JPEG are stored as they are.
    assert np.abs(pixels.astype(int) - plain(data)).max() <= 6


@ALL
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(share=st.floats(0, 1), instead=st.booleans())
def test_an_early_end_marker_is_refused(kind: str, share: float, instead: bool) -> None:
    data = jpeg(kind)
    start = data_start(data)
    place = start + int(share * (len(data) - 18 - start))  # less is what the decoder reads ahead
    with pytest.raises(DamageError):
        decode_jpeg(data[:place] + b"\xff\xd9" + data[place + 2 * instead :])


@ALL
def test_an_erased_sector_is_refused(kind: str) -> None:
    data = jpeg(kind)
    middle = (data_start(data) + len(data)) // 2
    with pytest.raises(DamageError):
        decode_jpeg(data[:middle] + b"\xff" * 512 + data[middle + 512 :])
    # Before a zero the ones are no marker but data, which may come out even.
    for zero in [place for place in range(middle, middle + 2000) if data[place] == 0][:5]:
        with pytest.raises(DamageError):
            decode_jpeg(data[: zero - 512] + b"\xff" * 512 + data[zero:])


@ALL
def test_bytes_left_out_or_put_in_are_refused(kind: str) -> None:
    data = jpeg(kind)
    middle = (data_start(data) + len(data)) // 2
    for damaged in (data[:middle] + data[middle + 60 :], data[:middle] + data[middle - 60 :]):
        with pytest.raises(DamageError):
            decode_jpeg(damaged)


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused() -> None:
    data = jpeg("progressive")
    _, scans = read_structure(data)
    with pytest.raises(DamageError, match="some of its scans are missing"):
        decode_jpeg(data[: scans[-2].end] + b"\xff\xd9")


def test_a_missing_restart_marker_is_refused() -> None:
    data = jpeg("restart rows")
    interval = read_structure(data)[1][0].intervals[2]
    with pytest.raises(DamageError, match="restart"):
        decode_jpeg(data[: interval[1]] + data[interval[1] + 2 :])


def test_zeros_in_the_tables_are_refused() -> None:
    data = jpeg("baseline")
    for marker, place in ((b"\xff\xdb", 20), (b"\xff\xc4", 30)):
        with pytest.raises(DamageError, match="table"):
            decode_jpeg(zeroed(data, data.index(marker) + place, 16))


@pytest.mark.parametrize(
    "options", [{"optimize": True}, {"progressive": True}, {"optimize": True, "restart_marker_rows": 20}]
)
@pytest.mark.parametrize("quality", [50, 98])
def test_flat_surfaces_full_of_zeros_are_read(options: dict[str, Any], quality: int) -> None:
    flat = np.full((600, 600, 3), 255, np.uint8)
    flat[300:] = (40, 90, 200)
    flat[500:560, 20:100] = rough(60, 80)
    data = encode(flat, "JPEG", quality=quality, **options)
    assert bytes(64) in data, "the test has no zeros to tell from damage"
    np.testing.assert_array_equal(np.asarray(decode_jpeg(data)), plain(data))


def test_a_jpeg_saved_again_at_a_higher_quality_is_read() -> None:
    """Its last bits are zero everywhere."""
    coarse = encode(rough(), "JPEG", quality=50)
    fine = encode(Image.open(io.BytesIO(coarse)), "JPEG", quality=98, progressive=True)
    np.testing.assert_array_equal(np.asarray(decode_jpeg(fine)), plain(fine))


def test_what_follows_the_picture_is_not_looked_at() -> None:
    data = jpeg("baseline")
    for behind in (bytes(5000), data, b"\xff\xd8\xff"):
        np.testing.assert_array_equal(np.asarray(decode_jpeg(data + behind)), plain(data))


def test_fill_bytes_padding_and_a_last_restart_marker_are_allowed() -> None:
    data = jpeg("baseline")
    for ending in (b"\xff\xff\xff\xd9", b"\0\0\0\xff\xd9"):
        decode_jpeg(data[:-2] + ending)
    data = jpeg("restart rows")
    number = (len(read_structure(data)[1][0].intervals) - 1) % 8
    decode_jpeg(data[:-2] + bytes([0xFF, 0xD0 + number]) + b"\xff\xd9")


def test_motion_jpeg_without_huffman_tables_is_read() -> None:
    data = jpeg("baseline")
    bare = re.sub(rb"\xff\xc4\x00[\x1f\xb5].{29,179}?(?=\xff)", b"", data, count=4, flags=re.DOTALL)
    assert b"\xff\xc4" not in bare[: bare.index(b"\xff\xda")]
    np.testing.assert_array_equal(np.asarray(decode_jpeg(bare)), plain(data))


def test_an_embedded_thumbnail_is_not_the_picture() -> None:
    data = jpeg("baseline")
    small = encode(rough(16, 16), "JPEG")
    segment = b"\xff\xe2" + (len(small) + 2).to_bytes(2, "big") + small
    np.testing.assert_array_equal(np.asarray(decode_jpeg(data[:2] + segment + data[2:])), plain(data))


def test_the_first_picture_of_an_mpo_is_the_photograph() -> None:
    first, second = (Image.fromarray(rough(seed=seed)) for seed in (1, 2))
    data = encode(first, "MPO", save_all=True, append_images=[second], quality=90)
    np.testing.assert_array_equal(np.asarray(decode_jpeg(data)), plain(data))


def test_other_processes_are_refused_by_name() -> None:
    data = jpeg("baseline")
    place = data.index(b"\xff\xc0") + 1
    with pytest.raises(DamageError, match="SOF9"):
        decode_jpeg(data[:place] + b"\xc9" + data[place + 1 :])


def test_a_thousand_scans_are_refused_at_once() -> None:
    data = jpeg("progressive")
    _, scans = read_structure(data)
    place = data.rindex(b"\xff\xc4", 0, scans[-1].start)
    last = data[place : scans[-1].end]
    bomb = data[:-2] + last * (MAX_SCANS * 10) + b"\xff\xd9"
    started = time.monotonic()
    with pytest.raises(DamageError, match="too long"):
        decode_jpeg(bomb)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["zero_30.jpg", "zero_50.jpg", "zero_75.jpg", "truncated.jpg"])
def test_what_a_card_left_that_lost_power_is_refused(name: str) -> None:
    with pytest.raises(DamageError, match="end marker"):
        decode_jpeg((case("19-jpeg-zero-filled") / name).read_bytes())


def test_real_photographs_are_read() -> None:
    folder: Path = case("19-jpeg-zero-filled").parents[1] / "data"
    files = [
        path for part in ("scenes_whole", "cssc", "brick") for path in sorted((folder / part).rglob("*.jpg"))[::40]
    ]
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        np.testing.assert_array_equal(np.asarray(decode_jpeg(data)), plain(data), str(path))


def test_two_bytes_too_many_are_a_cameras_habit_and_more_are_damage() -> None:
    data = jpeg("baseline")
    decode_jpeg(data[:-2] + b"\x55\xaa" + data[-2:])
    with pytest.raises(DamageError, match="more data"):
        decode_jpeg(data[:-2] + b"\x55\xaa" * 8 + data[-2:])
