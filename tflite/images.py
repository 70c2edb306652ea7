"""Decoding: bytes of any reasonable photograph to uint8 RGB, the same way on the workstation and on the device.

Training, calibration, evaluation and the Pi all come through here, so that a tile has one set of pixels everywhere. Every file is
read right or refused with the reason: a picture that was guessed, or is half there, would pass for concrete without a crack.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tflite import containers, tiff
from tflite.errors import DamageError, ImageError, first_line
from tflite.formats import FORMATS as FORMATS
from tflite.formats import HEAD, advice, recognise
from tflite.formats import SUFFIXES as SUFFIXES
from tflite.heic import open_heic
from tflite.jpeg import decode_jpeg
from tflite.photographs import list_pictures
from tflite.transparency import fill, opaque_pixels, opaque_where

# As long as a JPEG can be. A strip of 20 x 2,000,000 pixels stays below the limit of pixels, and would become 130,000 tiles.
MAX_SIDE = 65_535
_NEAR_BLACK = 64  # of 255: a picture of 16 bits with nothing brighter holds fewer bits than it says


_ORIENTATION = 0x0112
_TURNS = dict(
    enumerate(
        (
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90,
        ),
        2,
    )
)


@dataclass(frozen=True)
class Picture:
    """A decoded photograph.

    Attributes:
        pixels: uint8 (height, width, 3), upright; transparent ones are coloured like their surroundings.
        opaque: bool (height, width), which pixels are there; None where all are.
    """

    pixels: np.ndarray
    opaque: np.ndarray | None = None


def decode_picture(data: bytes, name: str = "image") -> Picture:
    """Decode a photograph in which cracks are looked for: `decode_rgb` that knows about transparent parts.

    Args:
        data: the file's bytes.
        name: what to call the image in an error.

    Raises:
        ImageError: see `decode_rgb`; also when all of it is transparent.
    """
    opened = _open(data, name)
    opaque = opaque_pixels(opened.image)
    pixels = np.asarray(_to_rgb(opened, name))
    if opaque is None and (seen := _seen(opened)) is not None:
        opaque = opaque_where(seen)
    if opaque is None:
        return Picture(pixels)
    if not opaque.any():
        raise ImageError(f"{name} is transparent everywhere: it shows nothing. Export it without its alpha channel.")
    return Picture(fill(pixels, opaque), opaque)


def load_picture(path: str | Path) -> Picture:
    """`decode_picture` of a file.

    Raises:
        ImageError: see `decode_picture`; also when the file cannot be opened.
    """
    return decode_picture(_read(path), str(path))


def decode_rgb(data: bytes, name: str = "image") -> np.ndarray:
    """Decode an image to RGB with its EXIF orientation applied.

    Greyscale is repeated to three channels, 16-bit (and 10 to 14 bits in 16) is scaled to 8, CMYK is converted, transparency is
    dropped. Of several pictures in one file the one that is the photograph is taken: the first of an MPO, the largest of a TIFF whose
    others are previews of it.

    Args:
        data: the file's bytes.
        name: what to call the image in an error.

    Returns:
        uint8 array of shape (height, width, 3).

    Raises:
        ImageError: if the bytes are empty, damaged or incomplete in any way that can be found out, of another format, of several
            pictures of which none is the photograph, or larger than Pillow's pixel limit or `MAX_SIDE`.
    """
    return np.asarray(_to_rgb(_open(data, name), name))


def load_rgb(source: str | Path | bytes, size: int | None = None) -> np.ndarray:
    """Decode a file or bytes and, if `size` is given, resize the whole image to a square.

    Args:
        source: a path, or the file's bytes.
        size: side of the result in pixels, or None to keep the image's own size.

    Returns:
        uint8 array of shape (height, width, 3), or (size, size, 3).

    Raises:
        ImageError: see `decode_rgb`; also when the file cannot be opened.
    """
    image = decode_rgb(source) if isinstance(source, bytes) else decode_rgb(_read(source), str(source))
    return resize_rgb(image, size) if size is not None else image


def open_image(data: bytes, name: str = "image") -> Image.Image:
    """Check and decode a file, in the mode it has: for who needs more than RGB, such as the values of a mask.

    Args:
        data: the file's bytes.
        name: what to call the image in an error.

    Returns:
        A loaded Pillow image, its EXIF orientation applied.

    Raises:
        ImageError: see `decode_rgb`, but for pixels of a kind that does not become RGB.
    """
    return _open(data, name).image


def header_pixels(path: str | Path) -> int:
    """Pixels of a photograph by its header; 0 if it cannot be read, which decoding will then report in words."""
    size = header_size(path)
    return 0 if size is None else size[0] * size[1]


def header_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of a photograph as stored, in pixels, by its header; None if it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format == "TIFF":
                page = tiff.choose_page(Path(path).read_bytes()).page
                return page.size
            return image.size
    except Exception:  # damaged headers raise nearly anything
        return None


def resize_rgb(image: np.ndarray | Image.Image, size: int) -> np.ndarray:
    """Resize to (size, size, 3) uint8, bilinear with antialiasing (Pillow's reducing filter).

    Args:
        image: uint8 (height, width, 3), or a Pillow RGB image.
        size: side of the result in pixels.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def list_images(folder: str | Path) -> list[Path]:
    """All pictures below a folder, masks among them, sorted by their path: for data sets. See `list_pictures`."""
    listing = list_pictures(folder)
    return sorted((*listing.photographs, *listing.drawn))


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image {path}: {error.strerror}.") from None
    except ValueError as error:  # a name that holds a zero byte
        raise ImageError(f"cannot read image {str(path)!r}: {error}.") from None


@dataclass(frozen=True)
class _Opened:
    """A loaded, upright image, and what its file says about its values.

    Attributes:
        image: in the mode it has.
        stored: bits per channel in the file; of colour with more than 8, Pillow gives the upper 8.
        used: bits that are said to be used, where they are fewer.
        negative: whether 0 is white.
        nodata: value of pixels that hold nothing, as it is stored.
    """

    image: Image.Image
    stored: int = 8
    used: int | None = None
    negative: bool = False
    nodata: int | None = None


def _open(data: bytes, name: str) -> _Opened:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Copy it again from its source.")
    kind = recognise(data[:HEAD])
    try:
        if kind == "HEIC":
            heic = open_heic(data, name)
            _check_size(heic.size, name)
            opened = _Opened(heic.to_pillow())
        elif kind == "TIFF":
            opened = _open_tiff(data, name)
        else:
            opened = _open_single(data, name)
        return replace(opened, image=_upright(opened.image))
    except ImageError:
        raise
    except DamageError as error:
        raise ImageError(f"{name} is damaged or truncated ({error}). Copy it again from its source.") from None
    except tiff.UnclearError as error:
        raise ImageError(f"{name} {error}. Export the photograph as JPEG, or as TIFF of one page.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels. Cut it into tiles first.") from None
    except UnidentifiedImageError:
        what, hint = ("", "") if kind is None or kind in FORMATS else (f"{kind}, ", f" {advice(kind)}")
        raise ImageError(f"{name} is {what}not an image in a supported format ({', '.join(FORMATS)}).{hint}") from None
    except Exception as error:
        # On damaged files Pillow's parsers raise nearly anything: OSError, SyntaxError, struct.error, zlib.error ...
        reason = first_line(error)
        raise ImageError(f"{name} is damaged or truncated ({reason}). Copy it again from its source.") from None


def _open_single(data: bytes, name: str) -> _Opened:
    """A file of one picture."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image.size, name)
        zeros, frames, stored = 0, 1, 8
        if image.format in ("JPEG", "MPO"):
            return _Opened(decode_jpeg(data))
        if image.format == "PNG":
            containers.check_png(data)
            frames, stored = containers.png_frames(data), containers.png_depth(data)
        elif image.format == "WEBP":
            zeros, frames = containers.check_webp(data), containers.webp_frames(data)
        elif image.format == "BMP":
            containers.check_bmp(data)
        if frames > 1:
            raise ImageError(f"{name} is an animation of {frames} pictures. Export the photograph as JPEG or PNG.")
        image.load()
        if zeros and _flat_pixels(image) < zeros * containers.WEBP_FLAT:
            raise DamageError(f"{zeros} zeros instead of data")
        # Pillow makes no alpha channel of a transparent grey of 16 bits.
        nothing = image.info.get("transparency") if image.mode.startswith("I") else None
        return _Opened(image, stored, nodata=nothing if isinstance(nothing, int) else None)


def _open_tiff(data: bytes, name: str) -> _Opened:
    chosen = tiff.choose_page(data)
    page = chosen.page
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        if page.number:
            image.seek(page.number)
        _check_size(image.size, name)
        tiff.check_data(data, page)
        image.load()
        if chosen.mask is not None and image.mode in ("L", "RGB"):
            image.putalpha(tiff.open_mask(data, chosen.mask, image.size))
        return _Opened(image, page.stored_bits, page.used_bits, page.negative, page.nodata)


def _upright(image: Image.Image) -> Image.Image:
    """Turned by the EXIF orientation. Not by Pillow's function, which writes the EXIF data anew and fails where they are odd."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # parsers of damaged metadata raise nearly anything, and the picture is whole without them
        return image
    return image if turn is None else image.transpose(turn)


def _check_size(size: tuple[int, int], name: str) -> None:
    # Between one and two times its limit Pillow only warns, after reading the header. Turning that warning into
    # an error would change the filters of every thread that decodes.
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    if max(size) > MAX_SIDE:
        raise ImageError(
            f"{name} has {size[0]}x{size[1]} pixels: no side may be longer than {MAX_SIDE:,}. Cut it into tiles first."
        )


def _flat_pixels(image: Image.Image) -> int:
    pixels = np.asarray(image.convert("RGB"))
    return int((pixels[:, 1:] == pixels[:, :-1]).all(axis=2).sum())


def _to_rgb(opened: _Opened, name: str) -> Image.Image:
    image = opened.image
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels. Save it with 8 or 16 bits per channel.")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # 16-bit greyscale PNGs open as 32-bit "I" in some Pillow versions.
        return Image.fromarray(_to_8_bits(np.asarray(image), opened, name)).convert("RGB")
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if opened.stored > 8 and 0 < _brightest(rgb, opened) < _NEAR_BLACK:
        raise ImageError(f"{name} uses few of its {opened.stored} bits per channel. Save it with 8 bits per channel.")
    return rgb


def _seen(opened: _Opened) -> np.ndarray | None:
    """Which pixels hold something, bool (height, width); None where the file states no value for nothing."""
    image, nothing = opened.image, opened.nodata
    if nothing is None or opened.stored not in (8, 16):
        return None
    if image.mode.startswith("I") or image.mode == "P":  # numbers, of a palette too
        return np.asarray(image) != nothing
    # Of colour with 16 bits the upper 8 are left.
    return (np.asarray(image.convert("RGB")) != nothing >> (opened.stored - 8)).any(axis=2)


def _brightest(rgb: Image.Image, opened: _Opened) -> int:
    """The highest value of the pixels that are there: white, where nothing is, must not pass for the photograph's."""
    seen = _seen(opened)
    if "A" in opened.image.getbands():
        seen = np.asarray(opened.image.getchannel("A")) > 0
    pixels = np.asarray(rgb)
    return int(pixels.max() if seen is None else pixels[seen].max(initial=0))


def _to_8_bits(values: np.ndarray, opened: _Opened, name: str) -> np.ndarray:
    """Whole numbers as uint8 by the bits that they use: 10 or 12 bits taken for 16 are black, which passes for crack-free."""
    seen = _seen(opened)
    held = values if seen is None or not seen.any() else values[seen]
    low, high = int(held.min()), int(held.max())
    if low < 0 or high > 65535 or 0 < high < 256:  # no agreed brightness
        raise ImageError(
            f"{name} has {opened.stored}-bit pixels from {low} to {high}. Save it with 8 or 16 bits per channel."
        )
    used = max(opened.used or 0, next(bits for bits in (10, 12, 14, 16) if high < 1 << bits))
    grey = np.clip(values >> (used - 8), 0, 255).astype(np.uint8)
    return 255 - grey if opened.negative else grey
