"""Where the concrete is: one interface, several ways to find out.

    from crack_tf.photo.foreground import Prompt
    from crack_tf.photo.grabcut import GrabCut

    found = GrabCut().segment(photo, Prompt(foreground=((800, 600),), background=((30, 20),)))
    found.mask                                 # bool (height, width)

Backends are `grabcut` (OpenCV, no weights, the default), `sam` (Segment Anything) and `none` (everything, or a mask file).
Whatever is outside the mask is never searched for cracks. So every backend errs on the side of too much foreground: cracks,
dark as they are, must not be taken for gaps in the concrete (`tidy`), and where nothing sensible is found all is foreground.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from crack_tf.photo.masks import read_mask
from tflite.device.tiles import Box
from tflite.errors import CrackError

MIN_SHARE = 0.1  # an automatic mask that leaves less of the photograph is not believed

_CLOSE_SHARE = 0.015  # of the photograph's longer side
_ISLAND_SHARE = 0.005  # of the photograph's area
_FRAME_SHARE = 0.006  # of the longer side; thinner strips along the border come from the cut, not from the scene
_HOLE_SHARE = 0.05  # a wide, dark crack that reaches the border covers 3 %
_TIDY_SIDE = 1024  # pixels; masks are tidied at this size at most


@dataclass(frozen=True)
class Prompt:
    """What a person says about a photograph. With nothing said, backends work automatically.

    Attributes:
        foreground: (x, y) of points on the concrete, in pixels of the photograph.
        background: (x, y) of points elsewhere.
        box: around the concrete; all outside is background.
    """

    foreground: tuple[tuple[int, int], ...] = ()
    background: tuple[tuple[int, int], ...] = ()
    box: Box | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is said."""
        return not (self.foreground or self.background or self.box)

    def check(self, height: int, width: int) -> None:
        """Raise if the prompt does not fit a photograph of that size.

        Raises:
            CrackError: if a point or the box lies outside, or the prompt contradicts itself.
        """
        for name, points in (("fg", self.foreground), ("bg", self.background)):
            for x, y in points:
                if not (0 <= x < width and 0 <= y < height):
                    raise CrackError(
                        f"{name} point {x},{y} lies outside the photograph: x runs from 0 to {width - 1}, y from 0 to "
                        f"{height - 1}."
                    )
        both = set(self.foreground) & set(self.background)
        if both:
            x, y = min(both)
            raise CrackError(f"point {x},{y} is given as fg and as bg. Give it once.")
        if self.box is None:
            return
        box = self.box
        if box.w < 1 or box.h < 1 or box.x < 0 or box.y < 0 or box.x + box.w > width or box.y + box.h > height:
            raise CrackError(
                f"box {box.x},{box.y},{box.w},{box.h} (x,y,width,height) does not lie inside the photograph of "
                f"{width}x{height} pixels."
            )
        for x, y in self.foreground:
            if not (box.x <= x < box.x + box.w and box.y <= y < box.y + box.h):
                raise CrackError(f"fg point {x},{y} lies outside the box {box.x},{box.y},{box.w},{box.h}.")


@dataclass(frozen=True)
class Foreground:
    """What a backend found.

    Attributes:
        mask: bool (height, width), True on the concrete.
        backend: its name.
        note: what a person should know about it, or "".
    """

    mask: np.ndarray
    backend: str
    note: str = ""

    @property
    def share(self) -> float:
        """Share of the photograph, 0 to 1."""
        return float(self.mask.mean())

    def within(self, opaque: np.ndarray | None) -> Foreground:
        """The same without transparent pixels.

        Args:
            opaque: bool (height, width), see `tflite.images.Picture`; None where all are.
        """
        return self if opaque is None else replace(self, mask=self.mask & opaque)


class Backend(Protocol):
    """Finds the foreground of a photograph."""

    def segment(self, photo: np.ndarray, prompt: Prompt) -> Foreground:
        """Find the foreground.

        Args:
            photo: uint8 (height, width, 3), RGB.
            prompt: what is known; an empty one asks for an automatic mask.

        Raises:
            CrackError: if the prompt does not fit the photograph or the backend cannot work.
        """
        ...


@dataclass(frozen=True)
class Given:
    """Backend `none`: everything is foreground, or what a mask file says.

    Attributes:
        path: a mask, .png or .npy, of the photograph's size; None takes everything.
        invert: whether black is the foreground in that file.
    """

    path: Path | None = None
    invert: bool = False

    def segment(self, photo: np.ndarray, prompt: Prompt) -> Foreground:
        """See `Backend.segment`; a prompt is refused, since nothing would heed it."""
        height, width = check_photo(photo)
        if not prompt.empty:
            raise CrackError(
                "points and boxes do nothing with the backend none. Leave them out, or take grabcut or sam."
            )
        if self.path is None:
            return Foreground(np.ones((height, width), bool), "none")
        mask = read_mask(self.path, (height, width), invert=self.invert)
        if not mask.any():
            raise CrackError(f"mask {self.path} is empty: no pixel is foreground. Is it inverted?")
        return Foreground(mask, "none", f"from {self.path.name}")


def check_photo(photo: np.ndarray) -> tuple[int, int]:
    """Height and width of an RGB photograph.

    Raises:
        CrackError: if it is not uint8 (height, width, 3).
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or 0 in photo.shape:
        raise CrackError(f"photo is {photo.dtype} {photo.shape}: give uint8 RGB of shape (height, width, 3).")
    return photo.shape[0], photo.shape[1]


def tidy(mask: np.ndarray, prompt: Prompt) -> np.ndarray:
    """Give a raw mask plain outlines and give cracks back to the concrete.

    Gaps narrower than 3 % of the photograph's longer side are closed (a crack from edge to edge is one), so are strips along its
    border of up to 0.6 %; background below 5 % of its area is filled, islands below 0.5 % are dropped. What a person pointed at stays
    as told.

    Args:
        mask: bool (height, width).
        prompt: its points keep islands and holes.

    Returns:
        bool (height, width).
    """
    from scipy import ndimage

    height, width = mask.shape
    # At a moderate size: outlines of concrete need no single pixels, and closing takes time with the square of the size.
    scale = min(1.0, _TIDY_SIDE / max(height, width))
    small = resize_mask(mask, max(1, round(height * scale)), max(1, round(width * scale)))
    radius = max(1, round(_CLOSE_SHARE * max(small.shape)))
    padded = np.pad(small, radius, mode="edge")  # else closing would eat into the mask at the photograph's border
    grown = ndimage.distance_transform_edt(~padded) <= radius if padded.any() else padded
    closed = (ndimage.distance_transform_edt(grown) > radius if not grown.all() else grown)[
        radius:-radius, radius:-radius
    ]
    closed |= small
    if prompt.box is None:  # else the strip may be what a person left outside
        closed |= _frame(closed)
    kept = _without_small(closed, _ISLAND_SHARE, _scaled(prompt.foreground, scale, closed.shape))
    kept = ~_without_small(~kept, _HOLE_SHARE, _scaled(prompt.background, scale, closed.shape))
    result = resize_mask(kept, height, width)
    for points, value in ((prompt.foreground, True), (prompt.background, False)):
        for x, y in points:
            result[y, x] = value
    return result


def _frame(mask: np.ndarray) -> np.ndarray:
    """What a mask lacks along the photograph's border only, in strips too thin to be sky, ground or leaves: bool (height, width)."""
    from scipy import ndimage

    widest = max(2, round(_FRAME_SHARE * max(mask.shape)))
    border = np.ones(mask.shape, bool)
    border[widest:-widest, widest:-widest] = False
    square = np.ones((widest + 1, widest + 1), bool)
    return np.asarray(border & ~mask & ~ndimage.binary_opening(~mask, square))


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask at another size: inside is where at least half of a pixel was."""
    from PIL import Image

    if mask.shape == (height, width):
        return mask.copy()
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(grey) >= 128


def _scaled(points: tuple[tuple[int, int], ...], scale: float, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Points (x, y) as (row, column) of the reduced mask."""
    return [(min(int(y * scale), shape[0] - 1), min(int(x * scale), shape[1] - 1)) for x, y in points]


def _without_small(mask: np.ndarray, share: float, keep: list[tuple[int, int]]) -> np.ndarray:
    """The mask less its parts below `share` of all pixels that hold none of the points."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    large = np.bincount(labels.ravel()) >= share * mask.size
    for place in keep:
        large[labels[place]] = True
    large[0] = False
    return np.asarray(large[labels])
