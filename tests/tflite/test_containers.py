"""PNG, WebP and BMP of which something is missing are refused; animations too; black and flat surfaces are read."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tflite.drawn import encode, rough, zeroed
from tflite.errors import ImageError
from tflite.images import decode_picture, decode_rgb

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90}),
    "webp without loss": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
}
WHOLE = rough()
BYTES = {kind: encode(WHOLE, name, **options) for kind, (name, options) in KINDS.items()}
ALL = pytest.mark.parametrize("kind", KINDS)


@ALL
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(share=st.floats(0.05, 0.97), size=st.sampled_from([512, 4096, 1 << 20]))
def test_zeroed_sectors_and_tails_are_refused(kind: str, share: float, size: int) -> None:
    data = BYTES[kind]
    start = int(share * len(data))
    if size < 1 << 20:
        start = max(size, start // size * size)
    elif kind == "bmp" and not 20 < (start - 54) % 600 < 580:
        start += 50  # where a row ends, zeros may be a border: see tflite.sectors
    damaged = zeroed(data, start, size)
    assume(damaged != data and start < len(data) - 64)
    with pytest.raises(ImageError, match="damaged"):
        decode_rgb(damaged)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(8, len(BYTES["png"]) - 1), change=st.integers(1, 255))
def test_a_png_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    data = bytearray(BYTES["png"])
    data[place] ^= change
    with pytest.raises(ImageError):
        decode_rgb(bytes(data))


@ALL
def test_flat_and_black_surfaces_are_read(kind: str) -> None:
    name, options = KINDS[kind]
    for value in (0, 255, 77):
        picture = np.full((900, 900, 3), value, np.uint8)
        picture[:200, :300] = rough(200, 300)
        found = decode_rgb(encode(picture, name, **options))
        assert np.abs(found.astype(int) - picture).mean() < 3


def test_animations_are_refused_with_advice() -> None:
    frames = [Image.fromarray(rough(40, 50, seed)) for seed in range(3)]
    for format in ("PNG", "WEBP"):
        data = encode(frames[0], format, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=r"animation of 3 pictures. Export"):
            decode_rgb(data)
    with pytest.raises(ImageError, match=r"GIF.*not an image in a supported format.*Export it as JPEG"):
        decode_rgb(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_fewer_bits_in_a_16_bit_png_are_scaled(bits: int) -> None:
    grey = rough()[..., 0]
    values = grey.astype(np.uint16) << (bits - 8)
    np.testing.assert_array_equal(decode_rgb(encode(Image.fromarray(values), "PNG"))[..., 0], grey)


def test_8_bits_in_a_16_bit_png_are_refused() -> None:
    with pytest.raises(ImageError, match=r"16-bit pixels from .* Save it with 8"):
        decode_rgb(encode(Image.fromarray(rough()[..., 0].astype(np.uint16)), "PNG"))


def test_12_bits_of_colour_in_16_are_refused() -> None:
    """Pillow keeps the upper eight bits of colour, which are black here."""
    cv2 = pytest.importorskip("cv2")
    for shift, read in ((4, False), (8, True)):
        data = cv2.imencode(".png", rough().astype(np.uint16) << shift)[1].tobytes()
        if read:
            np.testing.assert_array_equal(decode_rgb(data), rough()[..., ::-1])
        else:
            with pytest.raises(ImageError, match="uses few of its 16 bits"):
                decode_rgb(data)


def test_a_strip_of_two_million_pixels_is_refused_at_once() -> None:
    with pytest.raises(ImageError, match="20x2000000 pixels: no side may be longer"):
        decode_rgb(encode(Image.new("L", (20, 2_000_000)), "PNG"))


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_are_known_and_filled(name: str) -> None:
    rgba = np.dstack([WHOLE, np.full(WHOLE.shape[:2], 255, np.uint8)])
    rgba[40:, 60:] = 0
    picture = decode_picture(encode(Image.fromarray(rgba), name, **({"lossless": True} if name == "WEBP" else {})))
    assert picture.opaque is not None
    assert picture.opaque[:38].all()
    assert not picture.opaque[40:, 60:].any()
    np.testing.assert_array_equal(picture.pixels[picture.opaque], WHOLE[picture.opaque])
    assert picture.pixels[40:, 60:].min() > 5


def test_a_palette_and_a_colour_may_be_transparent_too() -> None:
    flat = np.where(np.indices(WHOLE.shape)[0] > 100, 0, WHOLE).astype(np.uint8)
    image = Image.fromarray(flat).quantize(16)
    picture = decode_picture(encode(image, "PNG", transparency=int(np.asarray(image)[-1, -1])))
    assert picture.opaque is not None
    assert not picture.opaque[101:].any()
    picture = decode_picture(encode(flat, "PNG", transparency=(0, 0, 0)))
    assert picture.opaque is not None
    assert not picture.opaque[101:].any()


def test_a_picture_that_is_transparent_everywhere_is_refused() -> None:
    with pytest.raises(ImageError, match="transparent everywhere"):
        decode_picture(encode(Image.new("RGBA", (50, 50), (9, 9, 9, 0)), "PNG"))


def test_an_opaque_alpha_channel_changes_nothing() -> None:
    picture = decode_picture(encode(Image.fromarray(WHOLE).convert("RGBA"), "PNG"))
    assert picture.opaque is None
    np.testing.assert_array_equal(picture.pixels, WHOLE)


def test_a_png_that_was_not_finished_says_so() -> None:
    with pytest.raises(ImageError, match=re.escape("(its end is missing)")):
        decode_rgb(BYTES["png"][:-12])
    assert Image.open(io.BytesIO(BYTES["png"][:-12])).load() is not None, "Pillow reads it"
