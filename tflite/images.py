"""Decoding: bytes of any reasonable photograph to uint8 RGB, the same way on the workstation and on the device.

Training, calibration, evaluation and the Pi all come through here, so that a tile has one set of pixels everywhere.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tflite.errors import ImageError

# Formats cameras and data sets use. Pillow knows many more; each further decoder is one more parser exposed to untrusted
# files. Pillow's JPEG opener takes MPO (the stereo and burst files of some cameras) along: it has no opener of its own.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})


def decode_rgb(data: bytes, name: str = "image") -> np.ndarray:
    """Decode an image to RGB with its EXIF orientation applied.

    Greyscale is repeated to three channels, 16-bit is scaled to 8, CMYK is converted, transparency is dropped.

    Args:
        data: the file's bytes.
        name: what to call the image in an error.

    Returns:
        uint8 array of shape (height, width, 3).

    Raises:
        ImageError: if the bytes are empty, truncated, of another format, or larger than Pillow's pixel limit.
    """
    return np.asarray(_open_rgb(data, name))


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
    if isinstance(source, bytes):
        image = _open_rgb(source, "image")
    else:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read image {source}: {error.strerror}.") from None
        image = _open_rgb(data, str(source))
    return resize_rgb(image, size) if size is not None else np.asarray(image)


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
    """All image files below a folder, by suffix, sorted by their path. Hidden files and folders are passed over."""
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _open_rgb(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Copy it again from its source.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # Between one and two times its limit Pillow only warns, after reading the header. Turning that warning into
            # an error would change the filters of every thread that decodes.
            if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), name)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels. Cut it into tiles first.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image in a supported format ({', '.join(FORMATS)}).") from None
    except Exception as error:
        # On damaged files Pillow's parsers raise nearly anything: OSError, SyntaxError, struct.error, zlib.error ...
        raise ImageError(f"{name} is damaged or truncated ({error}). Copy it again from its source.") from None


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint16)
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        # 16-bit greyscale PNGs open as 32-bit "I" in some Pillow versions. Other ranges have no agreed brightness, and
        # taking 8-bit values for 16-bit ones would turn a photograph black, which passes for crack-free.
        values = np.asarray(image)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535 or 0 < high < 256:
            raise ImageError(f"{name} has 32-bit pixels from {low} to {high}. Save it with 8 or 16 bits per channel.")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels. Save it with 8 or 16 bits per channel.")
    return image if image.mode == "RGB" else image.convert("RGB")
