"""A TIFF gives its photograph, never its preview; several photographs, raw data and damage are refused."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from tests.cases import case
from tests.tflite.drawn import encode, rough, zeroed
from tflite.errors import ImageError
from tflite.images import decode_picture, decode_rgb
from tflite.tiff import read_pages

WHOLE = rough(150, 200)
SUBFILE, PHOTOMETRIC, STRIPS = 254, 262, 273


def tags(**values: Any) -> TiffImagePlugin.ImageFileDirectory_v2:
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in values.items():
        number = int(name[1:])
        found[number] = value
        if isinstance(value, str):
            found.tagtype[number] = 2
        elif isinstance(value, bytes):
            found.tagtype[number] = 1
        else:
            found.tagtype[number] = 4
    return found


def pages(*pictures: np.ndarray, subfiles: tuple[int, ...] = ()) -> bytes:
    """A TIFF of several directories; Pillow flags all but the first as it likes, so flags are written behind it."""
    images = [Image.fromarray(picture) for picture in pictures]
    out = io.BytesIO()
    images[0].save(out, "TIFF", save_all=True, append_images=images[1:], tiffinfo=tags(t254=0))
    data = bytearray(out.getvalue())
    for page, flag in zip(read_pages(bytes(data)), subfiles, strict=False):
        struct.pack_into("<I", data, page.places[SUBFILE], flag)
    return bytes(data)


def test_the_photograph_behind_its_preview_is_taken() -> None:
    preview = np.asarray(Image.fromarray(WHOLE).resize((50, 38)))
    for data in (pages(preview, WHOLE, subfiles=(1, 0)), pages(WHOLE, preview, subfiles=(0, 1)), pages(preview, WHOLE)):
        np.testing.assert_array_equal(decode_rgb(data), WHOLE)


def test_a_picture_that_is_called_reduced_for_no_reason_is_taken_if_it_is_the_only_one() -> None:
    np.testing.assert_array_equal(decode_rgb(encode(WHOLE, "TIFF", tiffinfo=tags(t254=1))), WHOLE)


def test_several_photographs_are_refused() -> None:
    other = rough(150, 200, seed=1)
    for data in (pages(WHOLE, other), pages(rough(150, 90), WHOLE)):
        with pytest.raises(ImageError, match=r"holds 2 pictures.*TIFF of one page"):
            decode_rgb(data, "scan.tif")


def test_raw_data_are_refused() -> None:
    with pytest.raises(ImageError, match=r"camera raw.*Export"):
        decode_rgb(encode(WHOLE, "TIFF", tiffinfo=tags(t50706=b"\1\4\0\0")))


def test_a_photograph_below_its_preview_is_refused() -> None:
    preview = encode(rough(38, 50), "TIFF", tiffinfo=tags(t254=1, t330=0))
    data = bytearray(preview)
    below = len(data)
    struct.pack_into("<I", data, read_pages_but_children(preview), below)
    data += struct.pack("<HHHIIHHIII", 2, 256, 4, 1, 4000, 257, 4, 1, 3000, 0)
    with pytest.raises(ImageError, match="shows a preview first"):
        decode_rgb(bytes(data))


def read_pages_but_children(data: bytes) -> int:
    """Where the place of the directory below is written."""
    start = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, start)[0]):
        entry = start + 2 + 12 * number
        if struct.unpack_from("<H", data, entry)[0] == 330:
            return entry + 8
    raise AssertionError("no such field")


def test_directories_in_a_circle_end() -> None:
    data = bytearray(encode(WHOLE, "TIFF"))
    start = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<I", data, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], start)
    with pytest.raises(ImageError, match="a directory comes twice"):
        decode_rgb(bytes(data))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(share=st.floats(0.05, 0.9), size=st.sampled_from([512, 4096]))
def test_zeros_instead_of_data_are_refused(compression: str | None, share: float, size: int) -> None:
    data = encode(WHOLE, "TIFF", compression=compression)
    start = max(size, int(share * len(data)) // size * size)
    damaged = zeroed(data, start, size)
    if damaged != data:
        with pytest.raises(ImageError, match="damaged"):
            decode_rgb(damaged)
    place = int(share * len(data))
    if not 20 < (place - read_pages(data)[0].value(STRIPS)) % 600 < 580:  # a border may begin there: see tflite.sectors
        place += 50
    with pytest.raises(ImageError, match="damaged"):
        decode_rgb(zeroed(data, place, len(data)))


def test_a_flipped_bit_in_deflated_data_is_refused() -> None:
    data = bytearray(encode(WHOLE, "TIFF", compression="tiff_adobe_deflate"))
    data[len(data) // 2] ^= 4
    with pytest.raises(ImageError, match="damaged"):
        decode_rgb(bytes(data))


def test_a_black_border_is_no_damage() -> None:
    for bordered in (
        np.pad(WHOLE, ((100, 120), (90, 400), (0, 0))),
        np.where(np.indices(WHOLE.shape)[0:1].sum(0) > 60, 0, WHOLE),
    ):
        for format in ("TIFF", "BMP"):
            picture = np.ascontiguousarray(bordered, np.uint8)
            np.testing.assert_array_equal(decode_rgb(encode(picture, format)), picture)


def test_12_bits_stored_in_16_are_scaled_by_what_is_stated_or_used() -> None:
    grey = rough()[..., 0].astype(np.uint16)
    for shift, stated in ((4, None), (2, None), (6, None), (4, 4095), (2, 4095)):
        values = grey << shift
        info = {} if stated is None else {"tiffinfo": tags(t281=stated)}
        found = decode_rgb(encode(Image.fromarray(values), "TIFF", **info))[..., 0]
        wanted = grey if stated is None else values >> 4
        np.testing.assert_array_equal(found, wanted, f"{shift} {stated}")


def test_white_is_zero_in_16_bits_too() -> None:
    grey = rough()[..., 0].astype(np.uint16) << 8
    data = bytearray(encode(Image.fromarray(grey), "TIFF"))
    struct.pack_into("<H", data, read_pages(bytes(data))[0].places[PHOTOMETRIC], 0)
    np.testing.assert_array_equal(decode_rgb(bytes(data))[..., 0], 255 - (grey >> 8))


def test_the_value_for_nothing_is_transparent() -> None:
    bordered = np.where(np.indices(WHOLE.shape)[1] > 120, 0, WHOLE).astype(np.uint8)
    picture = decode_picture(encode(bordered, "TIFF", tiffinfo=tags(t42113="0")))
    assert picture.opaque is not None
    assert picture.opaque[:, :118].all()
    assert not picture.opaque[:, 121:].any()
    assert picture.pixels[:, 130:].min() > 5, "filled"


@pytest.mark.parametrize("nothing", [0, 65535])
@pytest.mark.parametrize("bits", [12, 16])
def test_the_value_for_nothing_is_transparent_in_16_bits_and_no_brightness(nothing: int, bits: int) -> None:
    """12 bits in 16 beside a white border would be near black."""
    grey = rough(150, 200)[..., 0].astype(np.uint16)
    bordered = np.where(np.indices(grey.shape)[1] > 120, nothing, grey << (bits - 8)).astype(np.uint16)
    for stated in (str(nothing), f"{nothing}.0"):
        picture = decode_picture(encode(Image.fromarray(bordered), "TIFF", tiffinfo=tags(t42113=stated)))
        assert picture.opaque is not None
        assert picture.opaque[:, :118].all()
        assert not picture.opaque[:, 121:].any()
        np.testing.assert_array_equal(picture.pixels[:, :118, 0], grey[:, :118])


def test_the_value_for_nothing_of_a_palette_is_a_number_of_it() -> None:
    image = Image.fromarray(WHOLE[..., 0] // 2, "P")
    image.putpalette([level for number in range(256) for level in (2 * number % 256,) * 3])
    image.paste(200, (121, 0, 200, 150))
    picture = decode_picture(encode(image, "TIFF", tiffinfo=tags(t42113="200")))
    assert picture.opaque is not None
    assert picture.opaque[:, :118].all()
    assert not picture.opaque[:, 121:].any()


@pytest.mark.parametrize("stated", ["nan", "-9999", "70000", "300", "0.5"])
def test_a_value_for_nothing_that_no_pixel_can_have_hides_nothing(stated: str) -> None:
    bordered = np.where(np.indices(WHOLE.shape)[1] > 120, 0, WHOLE).astype(np.uint8)
    assert decode_picture(encode(bordered, "TIFF", tiffinfo=tags(t42113=stated))).opaque is None


def test_a_mask_page_says_what_is_transparent() -> None:
    seen = np.zeros(WHOLE.shape[:2], np.uint8)
    seen[:, :120] = 255
    data = bytearray(pages(WHOLE, seen, subfiles=(0, 4)))
    struct.pack_into("<H", data, read_pages(bytes(data))[1].places[PHOTOMETRIC], 4)
    picture = decode_picture(bytes(data))
    assert picture.opaque is not None
    assert picture.opaque[:, :118].all()
    assert not picture.opaque[:, 120:].any()


def test_a_drones_dng_is_answered_from_its_photograph() -> None:
    assert decode_rgb((case("02-dng-thumbnail-first") / "DJI_0001.DNG").read_bytes()).shape == (1500, 2000, 3)


def test_two_pages_of_a_scan_are_refused() -> None:
    with pytest.raises(ImageError, match="holds 2 pictures"):
        decode_rgb((case("02-dng-thumbnail-first") / "two_pages.tif").read_bytes())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=6))
def test_damaged_directories_give_pixels_or_an_image_error(flips: list[tuple[int, int]]) -> None:
    data = bytearray(pages(rough(20, 30), rough(40, 60), subfiles=(1, 0)))
    places = [page.places[256] for page in read_pages(bytes(data))]
    for position, change in flips:
        near = places[position % 2] - 40 + position // 2 % 200
        data[near % len(data)] ^= change
    with contextlib.suppress(ImageError):
        assert decode_rgb(bytes(data)).ndim == 3
