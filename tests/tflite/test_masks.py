"""A mask is read right or refused, wherever its program put the pixels; none becomes a photograph without a crack."""

from __future__ import annotations

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes
from tflite.manifest import Item, Manifest
from tflite.masks import (
    MaskError,
    check_crack_mask,
    check_mask,
    cut_mask,
    decode_mask,
    load_mask,
    mask_pixels,
    orient,
    stored_orientation,
)

SHAPE = (20, 30)
MASK = np.zeros(SHAPE, bool)
MASK[5:9, 3:25] = True


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def png(values: np.ndarray) -> bytes:
    return encode(Image.fromarray(values))


def coloured(inside: tuple[int, ...], outside: tuple[int, ...]) -> np.ndarray:
    return np.where(MASK[..., None], np.array(inside, np.uint8), np.array(outside, np.uint8))


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(MASK.astype(np.uint8), "P")
    image.putpalette([level for colour in colours for level in colour])
    return image


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16-bit colour, which Pillow reads but cannot write."""
    height, width, channels = values.shape

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep(level: int) -> np.ndarray:
    return np.repeat((MASK * level).astype(np.uint16)[..., None], 3, axis=2)


READ: dict[str, bytes] = {
    "grey 0 and 255": png(MASK.astype(np.uint8) * 255),
    "grey 0 and 1": png(MASK.astype(np.uint8)),
    "1 bit": encode(Image.fromarray(MASK)),
    "16 bits, 65535": png(MASK.astype(np.uint16) * 65535),
    "16 bits, 255": png(MASK.astype(np.uint16) * 255),
    "16 bits, 1": png(MASK.astype(np.uint16)),
    "16 bits in a TIFF, 255": encode(Image.fromarray(MASK.astype(np.uint16) * 255), "TIFF"),
    "32 bits in a TIFF, 255": encode(Image.fromarray(MASK.astype(np.int32) * 255), "TIFF"),
    "floats": encode(Image.fromarray(MASK.astype(np.float32)), "TIFF"),
    "three equal channels": png(coloured((255, 255, 255), (0, 0, 0))),
    "16 bits in colour, 65535": deep_png(deep(65535)),
    "a palette of black and white": encode(palette((0, 0, 0), (255, 255, 255))),
    "alpha of a black drawing": png(coloured((0, 0, 0, 255), (0, 0, 0, 0))),
    "alpha of a red drawing on nothing white": png(coloured((255, 0, 0, 255), (255, 255, 255, 0))),
    "alpha of a drawing in grey": encode(
        Image.merge("LA", [Image.new("L", SHAPE[::-1]), Image.fromarray(MASK.astype(np.uint8) * 255)])
    ),
    "grey with an alpha that is full": png(coloured((255, 255, 255, 255), (0, 0, 0, 255))),
    "grey with an alpha that is empty": png(coloured((255, 255, 255, 0), (0, 0, 0, 0))),
    "black and white with an alpha that is mostly full": png(
        np.dstack([MASK * 255, MASK * 255, MASK * 255, np.where(MASK, 255, 191)]).astype(np.uint8)
    ),
    "a palette whose background is transparent": encode(palette((0, 0, 0), (255, 0, 0)), transparency=0),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "colours of CVAT": (png(coloured((250, 50, 83), (0, 0, 0))), "in colour.*crack-tf data convert"),
    "palette of VOC": (encode(palette((0, 0, 0), (128, 0, 0))), "in colour.*crack-tf data convert"),
    "a palette that is all black": (encode(palette((0, 0, 0), (0, 0, 0))), "several values in its palette"),
    "class 38": (png(MASK.astype(np.uint8) * 38), "class number.*crack-tf data convert"),
    "class 2": (png(MASK.astype(np.uint8) * 2), "class number"),
    "class 300": (png(MASK.astype(np.uint16) * 300), "class number"),
    "16 bits in colour, 255": (deep_png(deep(255)), "16 bits per channel in colour"),
    "16 bits in colour, 1": (deep_png(deep(1)), "16 bits per channel in colour"),
    "two pages": (
        encode(Image.new("L", (3, 3)), "TIFF", save_all=True, append_images=[Image.new("L", (3, 3), 255)]),
        "holds 2 pictures",
    ),
    "greys half transparent": (
        png(np.dstack([MASK * 255, MASK * 255, MASK * 255, MASK * 100 + 100]).astype(np.uint8)),
        "half transparent",
    ),
    "a photograph": (
        png(np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)),
        "in colour",
    ),
    "inverted": (png(~MASK), "looks inverted"),
    "a palette of white and black": (encode(palette((255, 255, 255), (0, 0, 0))), "looks inverted"),
    "a drawing that is cut out": (png(coloured((0, 0, 0, 0), (0, 0, 0, 255))), "looks inverted"),
    "soft": (png((MASK * 200 + 20).astype(np.uint8)), "not black and white"),
    "damaged": (png(MASK)[:60], "damaged or truncated"),
    "empty": (b"", "is empty"),
    "text": (b"crack", "not an image"),
}


@pytest.mark.parametrize("name", READ)
def test_masks_that_mean_the_same_are_read_the_same(name: str) -> None:
    for found in (
        check_crack_mask(mask_pixels(READ[name]).values),
        cut_mask(mask_pixels(READ[name]).values),
        decode_mask(READ[name], SHAPE),
    ):
        np.testing.assert_array_equal(found, MASK)
    assert mask_pixels(READ[name]).channel == (
        "alpha" if name.startswith(("alpha", "a palette whose background")) else "grey"
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plainly_a_mask_is_refused_with_its_reason(name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(CrackError, match=message):
        check_crack_mask(mask_pixels(data, "a.png").values, name="mask a.png")


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if name.startswith(("class", "16 bits", "palette", "colours"))]
)
def test_cutting_soft_masks_lets_no_class_pass_for_a_photograph_without_a_crack(name: str) -> None:
    with pytest.raises(MaskError):
        decode_mask(REFUSED[name][0], SHAPE)


def test_a_dark_soft_mask_is_cut_to_one_without_a_crack() -> None:
    dim = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert not decode_mask(png(dim), (10, 10)).any()
    assert not decode_mask(png(np.zeros(SHAPE, np.uint16)), SHAPE).any()


@pytest.mark.parametrize("values", [np.full((2, 2), np.nan, np.float32), np.full((2, 2), 4095, np.uint16)])
def test_a_range_without_a_middle_is_not_cut(values: np.ndarray) -> None:
    with pytest.raises(MaskError):
        cut_mask(values)


def test_transparent_parts_of_a_mask_are_no_crack() -> None:
    values = coloured((255, 255, 255, 255), (0, 0, 0, 255))
    values[:, 10:] = (255, 255, 255, 0)
    expected = MASK.copy()
    expected[:, 10:] = False
    np.testing.assert_array_equal(decode_mask(png(values), SHAPE), expected)


@given(st.integers(0, 2**16))
def test_a_mask_file_gives_its_mask_back(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < 0.3
    assert (decode_mask(png(mask.astype(np.uint8) * 255), (7, 9)) == mask).all()


def test_masks_of_ones_and_soft_masks_are_cut() -> None:
    ones = np.array([[0, 1], [1, 0]], np.uint8)
    assert (decode_mask(png(ones), (2, 2)) == (ones == 1)).all()
    assert decode_mask(png(np.array([[0, 127], [128, 255]], np.uint8)), (2, 2)).tolist() == [
        [False, False],
        [True, True],
    ]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="4x3 pixels, its photograph 5x3"):
        decode_mask(png(np.zeros((3, 4), np.uint8)), (3, 5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_them_by_the_tag(orientation: int) -> None:
    pixels = np.random.default_rng(orientation).integers(0, 256, (4, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = orientation
    for kind in ("PNG", "TIFF"):
        data = encode(image, kind, exif=exif)
        assert stored_orientation(data) == orientation
        with Image.open(io.BytesIO(data)) as tagged:
            np.testing.assert_array_equal(orient(pixels, orientation), np.asarray(ImageOps.exif_transpose(tagged)))
    turned = decode_mask(png(MASK), None, orientation=orientation)
    np.testing.assert_array_equal(turned, orient(MASK, orientation))


def test_a_clean_tile_without_a_mask_has_an_empty_one_and_a_cracked_one_has_none(tmp_path: Path) -> None:
    data = encode(Image.new("RGB", SHAPE[::-1]))
    (tmp_path / "tile.png").write_bytes(data)
    clean, cracked = (Item("tile.png", sha256_bytes(data), label, "g", "train") for label in (0, 1))
    manifest = Manifest("tiles", "plain", 0, str(tmp_path), "CC0-1.0", (clean, cracked))
    for shape in (None, SHAPE):
        mask = load_mask(manifest, clean, shape)
        assert mask.shape == SHAPE
        assert mask.dtype == bool
        assert not mask.any()
    with pytest.raises(CrackError, match="has no mask: only its label is known"):
        load_mask(manifest, cracked)


@pytest.mark.parametrize("tag", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(tag: int) -> None:
    image = Image.new("RGB", (4, 3))
    exif = image.getexif()
    exif[274] = tag
    assert stored_orientation(encode(image, "JPEG", exif=exif)) == 1
    assert stored_orientation(encode(image, "JPEG")) == stored_orientation(encode(image)) == 1
    with pytest.raises(ValueError, match="1 to 8"):
        orient(MASK, 0)


def test_16_bit_white_is_white_in_arrays_too() -> None:
    np.testing.assert_array_equal(check_mask(MASK.astype(np.uint16) * 65535), MASK)


@given(st.binary(max_size=200), st.sampled_from(sorted(READ)), st.integers(0, 400))
def test_damage_raises_a_mask_error_or_nothing(junk: bytes, name: str, place: int) -> None:
    data = READ[name]
    with contextlib.suppress(MaskError):
        mask_pixels(data[:place] + junk + data[place + len(junk) :])
