"""Widths of a crack from the grey values across it: finer than a mask, whose edge lies where its model was taught to draw it.

Across the centreline, a crack is a valley between two flanks of concrete. A profile is clear when the valley is deeper than noise and
texture, and has the same concrete on both sides, to half its depth. Of the clear ones together two things are asked. From how steep
the walls are (widths at a quarter and at three quarters of the depth) follows the blur, and from blur and the width at half the depth
that of a slit: exact where the picture is sharp, and off by half and more where a crack is hardly wider than its blur, as drawn
cracks show. `crack_tf.photo.slit` weighs all that is seen and says which widths are possible. The first answer is taken as far as it
lies in the middle of the second, which on drawn cracks halves the errors below three pixels.

From place to place the width goes with two readings. The light that is missing across the crack (its deficit) is width times darkness,
however blurred it is, but inside a crack is not as dark everywhere: by this alone, the widest stretch of a wide crack would be the darkest
one, a tenth too wide. The width at half the depth does not ask how dark it is, but shows the width only where that is more than the
blur. Each counts by what it is worth there (least squares).

Where a profile is not clear, the mask's width stands in, times the ratio of the two where it is; a crack with less than half of its
length clear keeps the mask's widths.

What it cannot know: of a line no wider than its blur, width and darkness cannot be told apart, so its width is that of a crack of
usual darkness, and its range is wide; widths below 3 pixels are not trusted (`crack_tf.photo.gsd`). A crack filled with something as
light as the concrete has no valley, and of a crack with spalled edges only the dark part counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from crack_tf.photo.slit import Line, SlitWidths, explain_line

_STEP = 0.25  # pixels between two samples across
_GAP = 1.0  # pixels; a lighter grain that narrow inside the crack does not end it
_ALONG = 3.0  # places; noise is averaged along the crack, with this deviation
_CLEARANCE, _FLANK = 1.5, 6.0  # pixels between the mask's edge and a flank, and of a flank
_BEYOND = 3.0  # pixels that a crack may be wider than its mask
_MIN_DEPTH, _MIN_DEPTH_NOISE = 8.0, 4.0  # grey values, deviations of the flanks
_MAX_TILT = 0.5  # of the depth, between the two flanks
_MIN_CLEAR = 0.5  # of the places
_MAX_BLUR = 2.0  # pixels
_LIKELY = 0.35, 0.65  # of the widths that explain a line: the middle, within which the steepness of its walls decides
_TAILS = 1.1  # widths at half depth on either side of the bottom: beyond, a blurred line has none of its darkness left
_LEVELS = (0.25, 0.5, 0.75)
# From place to place along a crack, standard deviations as shares: of its width, of its missing light where the width is the same, and of
# its width at half the depth (and in pixels).
_WIDTHS_VARY, _LIGHT_VARIES, _WALLS_VARY, _WALLS_VARY_PX = 0.3, 0.086, 0.03, 0.25
_SAME_NOISE = 12.0  # places that share their noise, averaged as they are


@dataclass(frozen=True)
class Valleys:
    """What the grey values across a crack's centreline show, at n places.

    Attributes:
        widths: pixels, float (n,); where a place is not clear, its mask's width corrected by the clear ones.
        clear: whether the valley of a place stands out, bool (n,).
        line: how the clear places look, on average.
        possible: widths that explain them.
        missing_light, half_widths: of the places, as `Line.deficit` and `Line.at_half`, float (n,); NaN where a place is not clear.
    """

    widths: np.ndarray
    clear: np.ndarray
    line: Line
    possible: SlitWidths
    missing_light: np.ndarray
    half_widths: np.ndarray


def photograph_widths(
    grey: np.ndarray, places: np.ndarray, directions: np.ndarray, mask_widths: np.ndarray
) -> Valleys | None:
    """Widths across a crack's centreline.

    Args:
        grey: uint8 (height, width).
        places: float (n, 2), y and x, half a pixel apart along the centreline or several pieces of it.
        directions: float (n, 2), unit vectors across.
        mask_widths: float (n,), pixels, as the mask has them.

    Returns:
        None where too few profiles were clear.
    """
    half = mask_widths / 2
    reach = float(half.max()) + _CLEARANCE + _FLANK
    count = int(np.ceil(reach / _STEP))
    across = _STEP * np.arange(-count, count + 1)
    profiles = _profiles(grey, places, directions, across)
    distance = np.abs(across)[np.newaxis]
    flank = (distance > half[:, np.newaxis] + _CLEARANCE) & (distance <= half[:, np.newaxis] + _CLEARANCE + _FLANK)
    left = _median(profiles, flank & (across < 0))
    right = _median(profiles, flank & (across > 0))
    middle = half + _CLEARANCE + _FLANK / 2  # of the flanks, where their level is met
    base = (left + right)[:, np.newaxis] / 2 + (right - left)[:, np.newaxis] / 2 * across / middle[:, np.newaxis]
    depth = np.where(distance <= half[:, np.newaxis] + 0.5, base - profiles, -np.inf)
    bottom = depth.argmax(axis=1)
    deepest = depth[np.arange(len(places)), bottom]
    noise = 1.4826 * _median(np.abs(profiles - base), flank)
    with np.errstate(divide="ignore", invalid="ignore"):
        valleys = (base - profiles) / deepest[:, np.newaxis]
    quarter, at_half, three_quarters = (_width_at(valleys, bottom, level) for level in _LEVELS)
    clear = (deepest >= np.maximum(_MIN_DEPTH, _MIN_DEPTH_NOISE * noise)) & (
        np.abs(right - left) <= _MAX_TILT * deepest
    )
    clear &= np.isfinite(quarter + at_half) & (at_half <= mask_widths + _BEYOND)
    level = np.maximum((left + right) / 2, 1.0)
    inside = np.abs(across - across[bottom][:, np.newaxis]) <= _TAILS * at_half[:, np.newaxis] + 0.5
    deficit = np.where(inside, base - profiles, 0.0).sum(axis=1) * _STEP / level
    clear &= deficit > 0
    if clear.mean() < _MIN_CLEAR:
        return None

    def mean(values: np.ndarray) -> float:
        return float(values[clear].mean())

    line = Line(
        deficit=mean(deficit),
        depth=mean(deepest / level),
        quarter=mean(quarter),
        at_half=mean(at_half),
        three_quarters=mean(three_quarters),
        noise=mean(noise / level) / mean(deepest / level) / math.sqrt(max(1.0, clear.sum() / _SAME_NOISE)),
    )
    possible = explain_line(line)
    blur = _blur(quarter[clear], at_half[clear], three_quarters[clear])
    by_walls = mean(_slit_width(at_half, blur))
    width = min(max(by_walls, possible.at(_LIKELY[0])), possible.at(_LIKELY[1]))
    widths = np.zeros(len(places))
    widths[clear] = width * _along(deficit[clear], at_half[clear], blur)
    ratio = widths[clear].sum() / max(float(mask_widths[clear].sum()), 1e-6)
    missing, half_widths = (np.where(clear, values, np.nan) for values in (deficit, at_half))
    return Valleys(np.where(clear, widths, ratio * mask_widths), clear, line, possible, missing, half_widths)


def _profiles(grey: np.ndarray, places: np.ndarray, directions: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Grey values across every place, float (n, len(across)), averaged along the crack."""
    from scipy import ndimage

    y, x = (places[:, axis, None] + directions[:, axis, None] * across for axis in (0, 1))
    values = ndimage.map_coordinates(grey, [y, x], np.float32, order=1, mode="nearest")
    return np.asarray(ndimage.gaussian_filter1d(values, _ALONG, axis=0, mode="nearest"))


def _median(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Each row's, of the chosen values."""
    return np.asarray(np.nanmedian(np.where(where, values, np.nan), axis=1))


def _width_at(valleys: np.ndarray, bottom: np.ndarray, level: float) -> np.ndarray:
    """Pixels between the two places where a valley (1 at its bottom, 0 at its flanks) reaches a level; NaN where it does not."""
    rows, last = np.arange(len(valleys)), valleys.shape[1] - 1
    total = np.zeros(len(valleys))
    for side in (1, -1):
        inside = np.zeros(len(valleys), int)  # steps from the bottom to the last sample inside
        for step in range(1, last + 1):
            at = bottom + side * step
            going = (at >= 0) & (at <= last) & (step - inside <= _GAP / _STEP)
            if not going.any():
                break
            inside[going & (valleys[rows, np.clip(at, 0, last)] >= level)] = step
        here, beyond = bottom + side * inside, bottom + side * (inside + 1)
        found = (beyond >= 0) & (beyond <= last)
        value, after = valleys[rows, here], valleys[rows, np.clip(beyond, 0, last)]
        with np.errstate(divide="ignore", invalid="ignore"):
            total += np.where(found, _STEP * (inside + (value - level) / (value - after)), np.nan)
    return total


def _blur(quarter: np.ndarray, at_half: np.ndarray, three_quarters: np.ndarray) -> float:
    """Deviation of the blur in pixels, from widths at three depths; the median over all places, at most `_MAX_BLUR`."""
    _, widths = _slits()
    steep = widths[:, 2] / widths[:, 0]  # rises with the width of the slit
    ratio = np.clip(three_quarters / quarter, steep[0], steep[-1])
    at_place = at_half / np.interp(ratio, steep, widths[:, 1])
    return float(min(np.median(at_place), _MAX_BLUR))


def _slit_width(at_half: np.ndarray, blur: float) -> np.ndarray:
    """Width of the slit that appears that wide at half its depth under a blur."""
    slits, widths = _slits()
    scale = max(blur, 1e-6)
    known = np.interp(at_half / scale, widths[:, 1], slits) * scale
    return np.where(at_half / scale >= widths[-1, 1], at_half, known)


def _along(deficit: np.ndarray, at_half: np.ndarray, blur: float) -> np.ndarray:
    """How wide a crack is at its places, by its mean width.

    Args:
        deficit: missing light, above 0, float (n,).
        at_half: width at half the depth, above 0, float (n,).
        blur: deviation in pixels.

    Returns:
        float (n,), 1 on average.
    """
    slits, widths = _slits()
    # A share more of width is that share more of missing light, and this part of it more of the width at half the depth.
    follows = np.gradient(np.log(widths[:, 1]), np.log(slits))
    part = float(np.interp(at_half.mean() / max(blur, 1e-6), widths[:, 1], follows))
    light, walls = (np.log(values) - np.log(values).mean() for values in (deficit, at_half))
    by_light = 1 / _LIGHT_VARIES**2
    by_walls = part / (_WALLS_VARY**2 + (_WALLS_VARY_PX / at_half.mean()) ** 2)
    wider = np.exp((by_light * light + by_walls * walls) / (1 / _WIDTHS_VARY**2 + by_light + part * by_walls))
    return np.asarray(wider / wider.mean())


@cache
def _slits() -> tuple[np.ndarray, np.ndarray]:
    """Slits (m,) and their widths at the three depths (m, 3) under a Gaussian blur, all in deviations of the blur."""
    from scipy.special import ndtr

    slits = np.concatenate([np.arange(0.05, 6, 0.05), np.arange(6, 60, 2.0)])
    t = np.arange(0, 40, 0.005)
    rows = []
    for slit in slits:
        valley = ndtr(t + slit / 2) - ndtr(t - slit / 2)
        # np.interp wants rising values; the valley falls outwards.
        rows.append([2 * float(np.interp(-level, -valley / valley[0], t)) for level in _LEVELS])
    return slits, np.array(rows)
