"""Masks of a photograph: what counts as one, and reading and writing them as PNG and .npy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tflite.errors import CrackError, ImageError, first_line
from tflite.files import atomic_path, refuse_existing
from tflite.images import FORMATS

_MAX_CRACK_SHARE = 0.5


def check_mask(mask: np.ndarray, shape: tuple[int, int] | None = None, name: str = "mask") -> np.ndarray:
    """A mask as a bool array; anything that is not plainly one is refused, never guessed.

    Args:
        mask: (height, width) of bool, or of any integer or float type with no other values than 0 and 1 or 0 and 255.
        shape: height and width that it must have, or None.
        name: what to call it in an error.

    Returns:
        bool (height, width).

    Raises:
        CrackError: if it has channels, other values, no pixels, or another size.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise CrackError(
            f"{name} has shape {mask.shape}: a mask has height and width only. Give one channel, such as mask[..., 0]."
        )
    if mask.size == 0:
        raise CrackError(f"{name} has no pixels (shape {mask.shape}).")
    if shape is not None and mask.shape != tuple(shape):
        raise CrackError(
            f"{name} has {mask.shape[1]}x{mask.shape[0]} pixels, its photograph {shape[1]}x{shape[0]} (width x height). "
            "Give the mask of this photograph at its full size."
        )
    if mask.dtype == bool:
        return mask
    if mask.dtype.kind not in "iuf":
        raise CrackError(f"{name} has elements of type {mask.dtype}. Give bool, or numbers that are 0 or 255.")
    top = 255 if mask.max() > 1 else 1
    inside = mask == top
    if not (inside | (mask == 0)).all():
        strange = mask[~(inside | (mask == 0))]
        raise CrackError(
            f"{name} is not black and white: {strange.size:,} of its {mask.size:,} values are neither 0 nor {top} "
            f"(one is {strange[0]}). Cut it at a threshold first, such as mask >= {top / 2:g}."
        )
    return inside


def check_crack_mask(mask: np.ndarray, shape: tuple[int, int] | None = None, name: str = "mask") -> np.ndarray:
    """`check_mask` for cracks, which never cover most of a photograph: a mask that does is taken for an inverted one.

    Raises:
        CrackError: see `check_mask`; also if more than half of the mask is crack.
    """
    mask = check_mask(mask, shape, name)
    share = float(mask.mean())
    if share > _MAX_CRACK_SHARE:
        raise CrackError(
            f"{name} says that {share:.0%} of the photograph is crack: it looks inverted. Cracks are white (255 or True); "
            "turn the mask round if they are black."
        )
    return mask


def read_mask(
    path: str | Path,
    shape: tuple[int, int] | None = None,
    threshold: float | None = None,
    invert: bool = False,
) -> np.ndarray:
    """Read a mask from a .npy file or a greyscale image.

    Args:
        path: .npy, or an image of one channel (or of three equal ones), black and white.
        shape: height and width that it must have, or None.
        threshold: if given, a soft mask is cut there: inside is value >= threshold, in the file's own range.
        invert: whether black is inside.

    Returns:
        bool (height, width).

    Raises:
        CrackError: if the file is missing, damaged, in colour, soft with no threshold, or of another size.
    """
    path = Path(path)
    values = _read_npy(path) if path.suffix.lower() == ".npy" else _read_grey(path)
    if threshold is not None:
        if values.ndim == 2 and values.dtype != bool and not values.min() < threshold <= values.max():
            raise CrackError(
                f"threshold {threshold:g} leaves {path} all black or all white: its values run from {values.min():g} to "
                f"{values.max():g}. Choose one between."
            )
        values = values >= threshold
    mask = check_mask(values, shape, str(path))
    return ~mask if invert else mask


def write_mask(path: str | Path, mask: np.ndarray, overwrite: bool = False) -> tuple[Path, Path]:
    """Write a mask twice: `path` as PNG of 0 and 255, and beside it the same name with .npy as bool.

    Each file is whole or absent. Nothing is written when one of the two exists and `overwrite` is false.

    Args:
        path: ends in .png.
        mask: see `check_mask`.
        overwrite: replace the files.

    Returns:
        The two paths, PNG first.

    Raises:
        CrackError: if the mask is none, the name does not end in .png, or a file exists already.
    """
    png = Path(path)
    if png.suffix.lower() != ".png":
        raise CrackError(f"mask file {png} must end in .png; its .npy twin is written beside it.")
    mask = check_mask(mask)
    npy = png.with_suffix(".npy")
    for target in (png, npy):
        refuse_existing(target, overwrite)
    with atomic_path(png) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)
    with atomic_path(npy) as temporary:
        np.save(temporary, mask)
    return png, npy


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except OSError as error:
        raise CrackError(f"mask {path} cannot be read: {error.strerror or first_line(error)}.") from None
    except (ValueError, EOFError) as error:
        raise CrackError(f"mask {path} is not a .npy file of numbers ({first_line(error)}).") from None


def _read_grey(path: Path) -> np.ndarray:
    # Not through tflite.images: that makes RGB of everything, and a palette or an alpha channel would pass for grey.
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            if image.mode in ("RGB", "RGBA", "P", "LA"):
                rgb = np.asarray(image.convert("RGB"))
                if (rgb == rgb[..., :1]).all():
                    return rgb[..., 0]
            elif image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
                return np.asarray(image)
            mode = image.mode
    except OSError as error:
        raise ImageError(f"mask {path} cannot be read: {error.strerror or first_line(error)}.") from None
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged files
        raise ImageError(f"mask {path} is damaged or truncated ({first_line(error)}).") from None
    raise ImageError(f"mask {path} is in colour (mode {mode}): give a mask of one channel, not the photograph.")
