"""Every reasonable photograph decodes to uint8 RGB; everything else is an ImageError, never another exception."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tflite.errors import CrackError, ImageError
from tflite.images import SUFFIXES, decode_rgb, list_images, load_rgb, resize_rgb


def photograph(height: int = 24, width: int = 40) -> np.ndarray:
    """Smooth and different in every corner and channel, so that JPEG keeps it and turns show."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, 255 - rows * 255 // height], axis=2).astype(np.uint8)


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


RGB = Image.fromarray(photograph())
JPEG, PNG = encode(RGB, "JPEG", quality=95), encode(RGB, "PNG")


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_give_the_very_pixels(format: str) -> None:
    pixels = decode_rgb(encode(RGB, format))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, photograph())


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "MPO"])
def test_lossy_formats_give_nearly_the_pixels(format: str) -> None:
    difference = decode_rgb(encode(RGB, format, quality=95)).astype(int) - photograph()
    assert np.abs(difference).mean() < 4


def test_greyscale_is_repeated_to_three_channels() -> None:
    grey = photograph()[..., 0]
    pixels = decode_rgb(encode(Image.fromarray(grey), "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_greyscale_is_scaled_to_8(format: str) -> None:
    wide = np.array([[0, 255, 256, 32768], [40000, 65279, 65280, 65535]], np.uint16)
    pixels = decode_rgb(encode(Image.fromarray(wide), format))
    assert pixels[..., 0].tolist() == [[0, 0, 1, 128], [156, 254, 255, 255]]
    assert pixels.shape == (2, 4, 3)


def test_mode_i_with_16_bit_values_is_scaled_to_8() -> None:
    values = np.array([[0, 65535], [32768, 256]], np.int32)
    assert decode_rgb(encode(Image.fromarray(values), "TIFF"))[..., 0].tolist() == [[0, 255], [128, 1]]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 70000]], np.int32),
        np.array([[-1, 5]], np.int32),
        np.array([[0, 255]], np.int32),  # 8-bit values: scaled as if 16-bit they would be a black, crack-free tile
        np.array([[0.0, 1.0]], np.float32),
        np.array([[np.nan, 3.0]], np.float32),
    ],
)
def test_pixels_of_unknown_brightness_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ImageError, match="8 or 16 bits"):
        decode_rgb(encode(Image.fromarray(values), "TIFF"), "probe.tif")


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_converted(format: str) -> None:
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    pixels = decode_rgb(encode(flat.convert("CMYK"), format))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - (200, 100, 50)).max() < 6


def test_palette_images_give_their_colours() -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((3, 1), 1)
    pixels = decode_rgb(encode(image, "PNG"))
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[1, 3].tolist() == [200, 100, 50]


@pytest.mark.parametrize("mode", ["1", "LA", "RGBA"])
def test_other_modes_become_three_channels(mode: str) -> None:
    assert decode_rgb(encode(RGB.convert(mode), "PNG")).shape == (24, 40, 3)


def test_transparency_is_dropped_and_the_colour_below_kept() -> None:
    image = Image.new("RGBA", (4, 4), (200, 100, 50, 0))
    assert decode_rgb(encode(image, "PNG"))[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_exif_orientation_is_applied(orientation: int, undo: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(photograph())))
    np.testing.assert_array_equal(decode_rgb(encode(stored, "PNG", exif=exif)), photograph())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(changes=st.lists(st.tuples(st.integers(6, 10**4), st.integers(0, 255)), max_size=6), keep=st.integers(0, 400))
def test_odd_metadata_cost_no_photograph(changes: list[tuple[int, int]], keep: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8825] = 6, "drone", {1: "N", 2: (48.0, 12.0, 30.0)}
    data = bytearray(exif.tobytes())
    for place, value in changes:
        data[6 + place % (len(data) - 6)] = value
    del data[6 + keep :]
    segment = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sorted(decode_rgb(JPEG[:2] + segment + JPEG[2:]).shape) == [3, 24, 40]


def test_an_empty_file_is_named() -> None:
    with pytest.raises(ImageError, match=r"tile\.jpg is empty \(0 bytes\)"):
        decode_rgb(b"", "tile.jpg")


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
def test_truncated_files_are_refused(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(noise), format)
    with pytest.raises(ImageError, match=r"damaged or truncated|not an image"):
        decode_rgb(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"no image at all", encode(RGB.convert("P"), "GIF"), encode(RGB, "PPM")])
def test_other_formats_are_refused_whatever_the_name_says(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tile.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match="not an image in a supported format") as caught:
        load_rgb(path)
    assert str(path) in str(caught.value)


def test_a_known_format_under_the_wrong_suffix_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tile.jpg"
    path.write_bytes(PNG)
    np.testing.assert_array_equal(load_rgb(path), photograph())


@pytest.mark.parametrize("limit", [24 * 40 - 1, 24 * 40 // 2 - 1])
@pytest.mark.parametrize("strict", [True, False])
def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, limit: int, strict: bool) -> None:
    """Just above Pillow's limit (where Pillow itself only warns) as well as above twice the limit."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "ignore", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match=f"more than {limit:,} pixels"):
            decode_rgb(PNG)


def test_an_image_at_the_pixel_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 40)
    assert decode_rgb(PNG).shape == (24, 40, 3)


def test_unreadable_paths_are_image_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(ImageError, match="cannot read image") as caught:
            load_rgb(path)
        assert str(path) in str(caught.value)
    assert issubclass(ImageError, CrackError)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(
    data=st.sampled_from(
        [JPEG, PNG, encode(RGB, "TIFF"), encode(RGB, "WEBP"), encode(RGB, "TIFF", compression="tiff_lzw")]
    ),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=8),
    keep=st.floats(0, 1),
)
def test_damaged_bytes_give_pixels_or_an_image_error(data: bytes, flips: list[tuple[int, int]], keep: float) -> None:
    damaged = bytearray(data)
    for position, change in flips:
        # Half of the flips hit the first bytes, where the headers are.
        span = len(damaged) if position % 2 else min(200, len(damaged))
        damaged[position % span] ^= change
    if keep < 0.5:
        del damaged[int(2 * keep * len(damaged)) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        try:
            pixels = decode_rgb(bytes(damaged))
        except ImageError:
            return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.size > 0


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_an_image_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_rgb(data)


def test_load_resizes_the_whole_image_and_bytes_equal_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tile.png"
    path.write_bytes(PNG)
    pixels = load_rgb(path, size=16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, load_rgb(PNG, size=16))
    np.testing.assert_array_equal(pixels, resize_rgb(photograph(), 16))
    assert pixels[0, 0, 0] < 20 < 230 < pixels[-1, -1, 0], "both ends of the picture are still there"


def test_resizing_averages_instead_of_dropping_pixels() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 200  # a hairline crack must not fall between the samples
    assert np.abs(resize_rgb(stripes, 16).astype(int) - 50).max() <= 20


def test_resizing_to_the_same_size_changes_nothing() -> None:
    square = photograph(32, 32)
    np.testing.assert_array_equal(resize_rgb(square, 32), square)


def test_list_images_is_sorted_recursive_and_passes_over_the_rest(tmp_path: Path) -> None:
    names = ["b/2.JPG", "b/10.jpeg", "a.png", "c/d/e.tif", "notes.txt", ".hidden.png", ".git/x.png", "b/.a.partial.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.png", "b/10.jpeg", "b/2.JPG", "c/d/e.tif"]
    assert ".gif" not in SUFFIXES


def test_list_images_works_below_a_hidden_folder(tmp_path: Path) -> None:
    root = tmp_path / ".cache" / "set"
    root.mkdir(parents=True)
    (root / "a.png").write_bytes(PNG)
    assert list_images(root) == [root / "a.png"]
