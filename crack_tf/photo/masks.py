"""Masks of a photograph as files: reading them, and writing them as PNG and .npy. `tflite.masks` decides what is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from crack_tf.common.arrays import write_npy
from crack_tf.photo.alignment import LOW_CONTRAST, place_mask
from tflite.errors import CrackError, ImageError, first_line
from tflite.files import atomic_path
from tflite.masks import check_crack_mask, check_mask, mask_pixels, stored_orientation
from tflite.outputs import Inputs, Output, check_file

__all__ = ["check_crack_mask", "check_mask", "lay_on_photo", "read_mask", "write_mask"]

# Also what its masks say in their PNG, so that one drawn by hand is never replaced.
_MADE_BY = "crack-tf photo foreground"


def read_mask(
    path: str | Path,
    shape: tuple[int, int] | None = None,
    threshold: float | None = None,
    invert: bool = False,
) -> np.ndarray:
    """Read a mask from a .npy file or an image.

    Args:
        path: .npy, or an image that `tflite.masks` can read, black and white.
        shape: height and width that it must have, or None.
        threshold: if given, a soft mask is cut there: inside is value >= threshold, in the file's own range.
        invert: whether black is inside.

    Returns:
        bool (height, width).

    Raises:
        CrackError: if the file is missing, damaged, in colour, soft with no threshold, or of another size.
    """
    path = Path(path)
    values = _read_npy(path) if path.suffix.lower() == ".npy" else _read_picture(path)
    if threshold is not None:
        if values.ndim == 2 and values.dtype != bool and not values.min() < threshold <= values.max():
            raise CrackError(
                f"threshold {threshold:g} leaves {path} all black or all white: its values run from {values.min():g} to "
                f"{values.max():g}. Choose one between."
            )
        values = values >= threshold
    mask = check_mask(values, shape, str(path))
    return ~mask if invert else mask


def lay_on_photo(
    mask: np.ndarray, photo: np.ndarray, data: bytes, name: str = "mask", upright: bool = False
) -> tuple[np.ndarray, list[str]]:
    """A crack mask as it lies on its upright photograph, whichever way round it was drawn (`crack_tf.photo.alignment`).

    Args:
        mask: bool (height, width), as it is in its file.
        photo: uint8 (height, width, 3), upright.
        data: bytes of the photograph's file, for its orientation tag.
        name: what to call the mask in an error or a note.
        upright: whether it is known to be drawn on the upright photograph.

    Returns:
        bool (height, width), and sentences for the user: that it was turned, that it may have to be, or that it lies on nothing dark.

    Raises:
        CrackError: if it has the photograph's size neither way.
    """
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    orientation = 1 if upright else stored_orientation(data)
    placed = place_mask(grey, mask, orientation)
    if placed is None:
        check_mask(mask, grey.shape, name)
        raise AssertionError("a mask of the photograph's size always has a place on it")
    notes = []
    if placed.orientation != 1:
        notes.append(
            f"{name} was drawn on the pixels as stored, and is turned as the photograph's orientation tag ({orientation}) says."
        )
    if not placed.sure:
        notes.append(
            f"warning: the photograph has an orientation tag ({orientation}), and {name} fits before and after turning; "
            "it is taken as drawn after."
        )
    if mask.any() and placed.fit.contrast < LOW_CONTRAST:
        notes.append(
            f"warning: {name} does not lie on anything darker than its surroundings. Is it turned, mirrored, or that of another photograph?"
        )
    return placed.mask, notes


def write_mask(path: str | Path, mask: np.ndarray, overwrite: bool = False) -> tuple[Path, Path]:
    """Write a mask twice: `path` as PNG of 0 and 255, and beside it the same name with .npy as bool.

    Each file is whole or absent. Nothing is written when one of the two exists and `overwrite` is false or it is another's.

    Args:
        path: ends in .png.
        mask: see `check_mask`.
        overwrite: replace the files, if they were written here.

    Returns:
        The two paths, PNG first.

    Raises:
        CrackError: if the mask is none, the name does not end in .png, or a file exists and may not be replaced.
    """
    png = Path(path)
    if png.suffix.lower() != ".png":
        raise CrackError(f"mask file {png} must end in .png; its .npy twin is written beside it.")
    mask = check_mask(mask)
    npy = png.with_suffix(".npy")
    check_mask_files(png, overwrite)
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", _MADE_BY)
    with atomic_path(png) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, pnginfo=about)
    write_npy(npy, mask)
    return png, npy


def check_mask_files(png: Path, overwrite: bool, inputs: Inputs = ()) -> None:
    """Find out whether `write_mask` may write its two files.

    Raises:
        CrackError: see `tflite.outputs.check_file`.
    """

    def marked(_: Path) -> bool:
        with Image.open(png, formats=("PNG",)) as image:
            return image.info.get("Software") == _MADE_BY

    for target in (png, png.with_suffix(".npy")):
        check_file(target, Output(_MADE_BY, marked), overwrite, inputs=inputs)


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except OSError as error:
        raise CrackError(f"mask {path} cannot be read: {error.strerror or first_line(error)}.") from None
    except (ValueError, EOFError) as error:
        raise CrackError(f"mask {path} is not a .npy file of numbers ({first_line(error)}).") from None


def _read_picture(path: Path) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"mask {path} cannot be read: {error.strerror or first_line(error)}.") from None
    return mask_pixels(data, str(path)).values
