"""What a mask file says, decided once for every verb and for the device. Needs numpy and Pillow only.

A mask is read from one channel, white (or 1) where the crack is. Pixels are looked for where programs put them: in grey of any depth,
in three equal channels, in a palette of greys, or in the alpha channel of a drawing in one colour. Whatever else could be meant is
refused with its reason: a mask that is not understood would pass for a photograph without a crack.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tflite.containers import png_depth
from tflite.errors import CrackError, ImageError
from tflite.formats import FORMATS, HEAD, recognise

if TYPE_CHECKING:
    from PIL import Image

    from tflite.manifest import Item, Manifest

MASK_THRESHOLD = 128
CONVERT_HINT = "Masks of several classes or colours: crack-tf data convert."
_TOPS = (1, 255, 65535)  # white: in masks of 0 and 1, in 8 bits, in 16 bits
_MAX_CRACK_SHARE = 0.5
_CLASSES = 16  # a soft mask has more grey levels than that, a map of class numbers seldom has
_ORIENTATION = 274  # EXIF's tag
_PNG_METADATA = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


class MaskError(ImageError):
    """A mask file that is not read, with what is wrong with it in two or three words, to count by.

    Attributes:
        problem: "in colour", say.
    """

    def __init__(self, problem: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True)
class MaskPixels:
    """The one channel of a mask file that holds the mask, upright if the file has an orientation tag of its own.

    Attributes:
        values: (height, width) of bool, uint8, uint16, int32 or float32, as they are in the file.
        channel: "grey" or "alpha".
    """

    values: np.ndarray
    channel: str


def mask_pixels(data: bytes, name: str = "file") -> MaskPixels:
    """Decode a mask file without judging its values.

    Args:
        data: the file's bytes.
        name: what to call it in an error.

    Raises:
        MaskError: if it cannot be decoded, holds several pictures, or its pixels do not lie in one channel: it is in colour, its
            alpha and its colours tell different things, or its palette or depth loses them.
    """
    # Not `tflite.images.decode_rgb`: that makes 8-bit RGB of everything, in which alpha and the low byte of 16 bits are lost.
    from tflite.images import open_image  # brings Pillow, which --help does not need, as tflite.tiff does

    try:
        return _one_channel(open_image(data, f"mask {name}"), _bits(data) > 8, name)
    except MaskError:
        raise
    except ImageError as error:
        raise MaskError("unreadable", str(error)) from None


def decode_mask(data: bytes, shape: tuple[int, int] | None, name: str = "file", orientation: int = 1) -> np.ndarray:
    """A mask file of a manifest: white is crack, soft ones are cut. Its values were checked when the data set was split.

    Args:
        data: the file's bytes.
        shape: height and width of its photograph, upright; None to take any.
        name: what to call it in an error.
        orientation: EXIF orientation, 1 to 8, by which the mask has to be turned to lie on the upright photograph.

    Returns:
        bool (height, width).

    Raises:
        ImageError: if it cannot be decoded (see `mask_pixels`), has another size, or holds class numbers instead of a mask.
    """
    mask = orient(cut_mask(mask_pixels(data, name).values, name), orientation)
    if shape is not None and mask.shape != tuple(shape):
        raise ImageError(
            f"mask {name} has {mask.shape[1]}x{mask.shape[0]} pixels, its photograph {shape[1]}x{shape[0]}. "
            "Split the data set again."
        )
    return mask


def load_mask(manifest: Manifest, item: Item, shape: tuple[int, int] | None = None) -> np.ndarray:
    """The mask of a manifest's item as it lies on the upright photograph: bool (height, width).

    A crack-free item without a mask, such as a clean tile of a mix, has an empty one.

    Args:
        manifest: that the item is of.
        item: a pair, or a clean tile.
        shape: height and width of its photograph, upright; None to take any.

    Raises:
        CrackError: if the item is cracked and has no mask, or a file is missing, changed or not readable; see `decode_mask`.
    """
    if not item.mask and not item.label:
        from tflite.images import decode_rgb

        return np.zeros(decode_rgb(manifest.read(item), item.path).shape[:2] if shape is None else shape, bool)
    return decode_mask(manifest.read_mask(item), shape, item.mask, item.mask_orientation)


def cut_mask(values: np.ndarray, name: str = "file") -> np.ndarray:
    """A soft mask at the middle of its range, bool (height, width); masks of 0 and 1 are as common as those of 0 and 255.

    Args:
        values: numbers (height, width).
        name: what to call it in an error.

    Raises:
        ImageError: if nothing reaches the middle although it is not black and its few grey levels look like class numbers, or its
            range is none that has a middle.
    """
    if values.dtype == bool:
        return values
    if not np.isfinite(values).all():
        raise MaskError("not black and white", f"mask {name} holds values that are no numbers (NaN or infinity).")
    top = values.max(initial=0)
    if top <= 1:
        return values >= 0.5
    threshold = MASK_THRESHOLD if top <= 255 else (MASK_THRESHOLD << 8)
    inside = values >= threshold
    if not inside.any():
        levels = np.unique(values)
        if len(levels) <= _CLASSES or top > 255:
            found = ", ".join(f"{level:g}" for level in levels[:5])
            raise MaskError(
                "not black and white",
                f"mask {name} has nothing as bright as {threshold} but {len(levels)} grey levels ({found}"
                f"{', ...' if len(levels) > 5 else ''}): it looks like class numbers, not like a mask. {CONVERT_HINT}",
            )
    return inside


def check_mask(mask: np.ndarray, shape: tuple[int, int] | None = None, name: str = "mask") -> np.ndarray:
    """A mask as a bool array; anything that is not plainly one is refused, never guessed.

    Args:
        mask: (height, width) of bool, or of any integer or float type with no other values than 0 and one of 1, 255 and 65535.
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
    brightest = mask.max()
    # A NaN or a soft mask whose brightest pixel is not white falls to the customary range, and is refused below.
    top = brightest if brightest in _TOPS else (255 if brightest > 1 else 1)
    inside = mask == top
    if not (inside | (mask == 0)).all():
        strange = mask[~(inside | (mask == 0))]
        one_value = strange.size == np.count_nonzero(mask) and bool((strange == strange[0]).all())
        raise CrackError(
            f"{name} is not black and white: {strange.size:,} of its {mask.size:,} values are neither 0 nor {top:g} "
            f"(one is {strange[0]}). "
            + (
                f"All are {strange[0]:g}, which looks like a class number. {CONVERT_HINT}"
                if one_value
                else f"Save it as a PNG of pure black and white, or cut it: mask >= {top / 2:g}, in crack-tf photo measure "
                f"--threshold {top / 2:g}."
            )
        )
    return inside


def check_crack_mask(mask: np.ndarray, name: str = "mask") -> np.ndarray:
    """`check_mask` for cracks, which never cover most of a photograph: a mask that does is taken for an inverted one.

    Raises:
        CrackError: see `check_mask`; also if more than half of the mask is crack.
    """
    mask = check_mask(mask, name=name)
    share = float(mask.mean())
    if share > _MAX_CRACK_SHARE:
        raise CrackError(
            f"{name} says that {share:.0%} of the photograph is crack: it looks inverted. Cracks are white (255 or True); "
            "turn the mask round if they are black."
        )
    return mask


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as a camera's sensor gave them, made upright: (height, width, ...), turned and mirrored as the EXIF tag says.

    Args:
        pixels: (height, width) or (height, width, channels).
        orientation: EXIF orientation, 1 to 8.

    Raises:
        ValueError: if there is no such orientation.
    """
    if not 1 <= orientation <= 8:
        raise ValueError(f"EXIF orientation {orientation}: 1 to 8.")
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def stored_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, by which a photograph's pixels are turned when they are decoded; 1 without a (valid) tag.

    Args:
        data: bytes of a file that can be decoded.
    """
    from PIL import Image

    from tflite.tiff import choose_page

    kind = recognise(data[:HEAD])
    if kind not in FORMATS or (kind == "PNG" and not any(word in data for word in _PNG_METADATA)):
        # HEIC is decoded upright. And a PNG may have its metadata behind its pixels: none spares decoding it again.
        return 1
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if kind == "TIFF":
            image.seek(choose_page(data).page.number or 0)
        orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _bits(data: bytes) -> int:
    """Bits per channel in a file that can be decoded; Pillow keeps the upper eight of colour, and does not say so."""
    from tflite.tiff import choose_page

    kind = recognise(data[:HEAD])
    return png_depth(data) if kind == "PNG" else choose_page(data).page.stored_bits if kind == "TIFF" else 8


def _one_channel(image: Image.Image, deep: bool, name: str) -> MaskPixels:
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        return MaskPixels(values.astype(values.dtype.newbyteorder("=")), "grey")
    clear = image.mode in ("LA", "RGBA", "RGBa", "PA") or (image.mode == "P" and "transparency" in image.info)
    if not clear and image.mode not in ("RGB", "P", "CMYK", "YCbCr"):
        raise MaskError(
            "in colour",
            f"mask {name} has pixels of mode {image.mode}. Save it as 8-bit grey, white where the crack is.",
        )
    pixels = np.asarray(image.convert("RGBA" if clear else "RGB"))
    if image.mode == "P" and (pixels == pixels[:1, :1]).all() and np.ptp(np.asarray(image)):
        raise MaskError(
            "in colour",
            f"mask {name} has several values in its palette, all of one colour: what they mean is lost. {CONVERT_HINT}",
        )
    found = _from_alpha(pixels, name) if clear else None
    if found is None:
        rgb = pixels[..., :3]
        if (rgb != rgb[..., :1]).any():
            raise MaskError(
                "in colour",
                f"mask {name} is in colour: give a mask of one channel, white where the crack is. {CONVERT_HINT}",
            )
        found = MaskPixels(rgb[..., 0], "grey")
    if deep and found.values.max(initial=0) < 255:
        raise MaskError(
            "of 16 bits in colour",
            f"mask {name} has 16 bits per channel in colour, of which only the upper 8 can be read here, and they are not white "
            "anywhere. Save it as 8-bit grey, white where the crack is.",
        )
    return found


def _from_alpha(rgba: np.ndarray, name: str) -> MaskPixels | None:
    """The mask that the alpha channel draws, or the colours where they are seen; None where alpha says nothing."""
    alpha = rgba[..., 3]
    if not np.ptp(alpha):
        return None
    seen = alpha > 0
    colours = rgba[seen][:, :3]
    if (colours == colours[0]).all():
        return MaskPixels(alpha, "alpha")  # drawn in one colour on nothing
    if (colours != colours[:, :1]).any():
        return None  # in colour, which the caller refuses
    if alpha.min() >= MASK_THRESHOLD and np.isin(colours, (0, 255)).all():
        return None  # black and white that shows through nowhere by half: on any ground the colours tell it
    if (alpha[seen] != 255).any():
        raise MaskError(
            "half transparent",
            f"mask {name} has half transparent parts in several greys. Save it as 8-bit grey, white where the crack is.",
        )
    return MaskPixels(np.where(seen, rgba[..., 0], 0).astype(np.uint8), "grey")
