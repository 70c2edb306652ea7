"""How dark the darkest line between two places of a photograph is: whether a crack that was drawn in two parts goes on between them."""

from __future__ import annotations

import math

import numpy as np

_BOW = 0.3  # of the distance, that the line may lie beside the straight one
_LEAST_BOW = 6.0  # pixels
_BESIDE = 6  # pixels of concrete on either side, beyond
_FAINTEST = 0.25  # share of the line that may be fainter than what is stated


def darkness_between(
    grey: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, least: float = 0.0
) -> tuple[float, float]:
    """Darkness of the darkest line between two places, and of the darkest line beside it, where no crack is supposed to be.

    Texture has dark lines, too, if one looks for the darkest; how dark, the second one says.

    Args:
        grey: uint8 or float (height, width), the photograph's lightness.
        start, end: (x, y), pixels.
        width: of the crack that is looked for, pixels.
        least: darkness from which a line is of interest: that no line is as dark is often seen at once.

    Returns:
        By how many grey levels both are darker than what lies around them, over three quarters of their length. 0 for places that
        are less than three pixels apart, and where no line between them is as dark as `least`.
    """
    gap = float(np.hypot(*(end - start)))
    if gap < 3:
        return 0.0, 0.0
    reach = math.ceil(max(_LEAST_BOW, _BOW * gap))
    depth, offsets = _strip(grey, start, end, width, reach, 0)
    if np.quantile(depth.max(axis=1), _FAINTEST) < least:  # no path is darker than the darkest pixels on its way
        return 0.0, 0.0
    line = _darkest(depth, offsets, width)
    if line < least:
        return 0.0, 0.0
    aside = 2 * reach + math.ceil(width)
    left, right = (_darkest(*_strip(grey, start, end, width, reach, shift), width) for shift in (-aside, aside))
    return line, max(0.0, min(left, right))  # on one side there may be another crack


def _strip(
    grey: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, reach: int, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """How much darker than its surroundings a strip along the way is, float (steps, places across), and how far aside each place lies.

    Args:
        reach: pixels of the strip to either side.
        shift: by which it is moved sidewards.
    """
    from scipy import ndimage

    way = end - start
    gap = float(np.hypot(*way))
    along, across = way / gap, np.array([-way[1], way[0]]) / gap
    steps = np.arange(round(gap) + 1, dtype=float)
    sides = np.arange(-reach - math.ceil(width) - _BESIDE, reach + math.ceil(width) + _BESIDE + 1, dtype=float)
    x, y = (start[axis] + steps[:, None] * along[axis] + (sides + shift)[None, :] * across[axis] for axis in (0, 1))
    strip = ndimage.map_coordinates(grey, np.stack([y, x]), output=np.float32, order=1, mode="nearest")
    smooth = ndimage.uniform_filter1d(strip, max(1, round(0.7 * width)), axis=1)
    inner = np.abs(sides) <= reach
    return (np.median(strip, axis=1, keepdims=True) - smooth)[:, inner], np.abs(sides[inner])


def _darkest(depth: np.ndarray, offsets: np.ndarray, width: float) -> float:
    """Darkness of the darkest way through a strip, a pixel to a side at each step; it begins and ends where the parts do."""
    ends = offsets <= 2 + width / 2
    best = np.where(ends, depth[0], -np.inf)
    came = np.zeros(depth.shape, int)
    for step in range(1, len(depth)):
        padded = np.pad(best, 1, constant_values=-np.inf)
        choices = np.stack([padded[:-2], padded[1:-1], padded[2:]])
        came[step] = choices.argmax(axis=0) - 1
        best = choices.max(axis=0) + depth[step]
    place = int(np.where(ends, best, -np.inf).argmax())
    path = np.empty(len(depth))
    for step in range(len(depth) - 1, -1, -1):
        path[step] = depth[step, place]
        place += int(came[step, place])
    return float(np.quantile(path, _FAINTEST))
