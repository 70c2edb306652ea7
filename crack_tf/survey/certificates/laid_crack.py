"""One crack laid into a photograph and searched for: what a certificate asks many times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crack_tf.survey.findings import CONFIRMED, VALIDATIONS
from crack_tf.survey.searching.search import Searcher
from crack_tf.survey.searching.validate import AROUND, Candidate
from crack_tf.survey.truth import lies_on
from crack_tf.synthetic.wall import WallCrack, crack_light
from tflite.device.tiles import Box

_CELL = 32  # pixels: where windows begin, as the maps of a whole photograph would (`crack_tf.inference.maps`)
_PARTS = 0.6  # of a picture: where more of it is asked for, a map is drawn of all of it (the same)
_MARGIN = 32  # pixels around a crack that its halo reaches
_LENS = 0.6  # pixels, standard deviation of a sharp photograph's blur


def search_for(
    crack: WallCrack,
    seed: int,
    image: np.ndarray,
    window: Box,
    boxes: Sequence[Box],
    concrete: np.ndarray | None,
    side: int,
    searcher: Searcher,
) -> str | None:
    """Lay a crack into a photograph and search for it.

    Args:
        crack: in pixels of the photograph.
        seed: of how evenly it is dark.
        image: uint8 (height, width, 3), the photograph; not changed.
        window: of it that the search looks at, see `window_around`.
        boxes: the photograph's tiles.
        concrete: bool (height, width), less its edge; None for everywhere.
        side: of the tiles in pixels.
        searcher: the survey's.

    Returns:
        The best verdict of the findings that lie on it; None where none does.
    """
    part = np.s_[window.y : window.y + window.h, window.x : window.x + window.w]
    here = replace(crack, points=crack.points - (window.x, window.y))
    pixels, cover = lay(image[part], here, seed)
    inside = [box for box in (_moved(box, window) for box in boxes) if _is_inside(box, cover.shape)]
    where = None if concrete is None else concrete[part]
    tiles = [box for box in inside if _shows(cover, box, 0)]
    verdict = verdict_on(searcher.judge(pixels, tiles, where, side), here)
    if verdict == CONFIRMED:
        return verdict
    # Doubtful tiles beside it let the segmentation model look there, too. Where it is confirmed already, that changes nothing.
    near = [box for box in inside if _shows(cover, box, round(AROUND * side))]
    return verdict if len(near) == len(tiles) else verdict_on(searcher.judge(pixels, near, where, side), here)


def verdict_on(candidates: Sequence[Candidate], crack: WallCrack) -> str | None:
    """The best verdict of the findings that lie on a crack; None where none does."""
    widest = float(crack.widths.max())
    hits = [
        candidate.validation
        for candidate in candidates
        if lies_on(candidate.outline, candidate.length_px is not None, crack.points, widest)
    ]
    return min(hits, key=VALIDATIONS.index, default=None)


def lay(pixels: np.ndarray, crack: WallCrack, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay a crack over a part of a photograph, as sharp as a lens draws.

    Args:
        pixels: uint8 (height, width, 3); not changed.
        crack: in its pixels.
        seed: of how evenly it is dark.

    Returns:
        uint8 (height, width, 3), and float32 (height, width): the share of each pixel that it covers.
    """
    import cv2

    margin = _MARGIN + crack.widths.max()
    left, top = np.maximum(0, np.floor(crack.points.min(axis=0) - margin).astype(int))
    right, bottom = np.minimum(pixels.shape[1::-1], np.ceil(crack.points.max(axis=0) + margin).astype(int))
    part = np.s_[top:bottom, left:right]
    around = replace(crack, points=crack.points - (left, top))
    light, drawn = crack_light(around, right - left, bottom - top, seed)
    light = cv2.GaussianBlur(light, (0, 0), _LENS)
    laid, cover = pixels.copy(), np.zeros(pixels.shape[:2], np.float32)
    laid[part] = (pixels[part] * light[..., None]).round().clip(0, 255).astype(np.uint8)
    cover[part] = drawn
    return laid, cover


def window_around(width: int, height: int, place: np.ndarray, reach: float, side: int) -> Box:
    """What of a photograph the search for a crack has to look at to answer as it would on all of it.

    The tiles that show the crack reach a tile beyond it, and the segmentation model is asked half a tile around these, by squares
    that are no more than `_PARTS` of what it is given. Squares of the second look, two tiles wide around places of the crack, lie inside.

    Args:
        width, height: of the photograph in pixels.
        place: float (2,), the crack's middle.
        reach: pixels around it within which the crack lies.
        side: of a tile in pixels.

    Returns:
        All of a photograph that is hardly larger.
    """
    wide = (reach + (1 + AROUND) * side + _CELL) / math.sqrt(_PARTS)
    left, top = (max(0, int(value - wide)) // _CELL * _CELL for value in place)
    right, bottom = (
        min(most, math.ceil((value + wide) / _CELL) * _CELL) for value, most in zip(place, (width, height), strict=True)
    )
    if (right - left) * (bottom - top) > _PARTS * width * height:
        return Box(0, 0, height, width)
    return Box(top, left, bottom - top, right - left)


def _moved(box: Box, window: Box) -> Box:
    return Box(box.y - window.y, box.x - window.x, box.h, box.w)


def _is_inside(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a tile lies in a window."""
    return min(box.x, box.y) >= 0 and box.x + box.w <= shape[1] and box.y + box.h <= shape[0]


def _shows(cover: np.ndarray, box: Box, around: int) -> bool:
    """Whether a tile, or so many pixels around it, shows something of the crack."""
    rows = slice(max(0, box.y - around), box.y + box.h + around)
    return bool(cover[rows, max(0, box.x - around) : box.x + box.w + around].any())
