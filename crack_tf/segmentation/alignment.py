"""Does a mask lie on its crack? Cracks are darker than their surroundings, so a mask moved to fit better gives itself away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACH = 10  # pixels; the largest move tried in each direction
MIN_SHIFT = 3.0  # pixels; the crack literature scores with a tolerance of 2
MIN_GAIN = 1.5  # the contrast after the move is at least so many times the one before
MIN_CONTRAST = 8.0  # grey levels; below, there is no dark line to lie on
_BACKGROUND = 31  # pixels; side of the window whose mean is a pixel's surroundings
_SAMPLE = 4000  # crack pixels looked at


@dataclass(frozen=True)
class Alignment:
    """How well a mask fits.

    Attributes:
        contrast: mean over the mask of how much darker a pixel is than its surroundings, in grey levels.
        x, y: move of the mask (pixels, right and down) with the highest contrast.
        shifted_contrast: contrast after that move.
    """

    contrast: float
    x: int
    y: int
    shifted_contrast: float

    @property
    def misaligned(self) -> bool:
        """Whether the move is large and fits much better; a wide mask around a thin crack fits anywhere and is not."""
        far = np.hypot(self.x, self.y) >= MIN_SHIFT
        better = self.shifted_contrast >= max(MIN_CONTRAST, MIN_GAIN * self.contrast)
        return bool(far and better)


def alignment(grey: np.ndarray, mask: np.ndarray) -> Alignment:
    """Try every move of the mask up to `REACH` pixels. Of equal ones the shortest wins.

    Args:
        grey: uint8 (height, width).
        mask: bool (height, width), True is crack; without a crack there is nothing to align.
    """
    from scipy.ndimage import uniform_filter

    rows, columns = np.nonzero(mask)
    if not rows.size:
        return Alignment(0.0, 0, 0, 0.0)
    levels = grey.astype(np.float32)
    darkness = uniform_filter(levels, _BACKGROUND, mode="nearest") - levels
    chosen = np.linspace(0, rows.size - 1, min(rows.size, _SAMPLE)).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    padded = np.pad(darkness, REACH, constant_values=0)
    moves = range(-REACH, REACH + 1)
    scores = np.array([[padded[rows + REACH + y, columns + REACH + x].mean() for x in moves] for y in moves])
    distance = np.hypot(*np.meshgrid(moves, moves))
    # A move that gains less than half a grey level per ten pixels is none.
    best_y, best_x = np.unravel_index(np.argmax(scores - 0.05 * distance), scores.shape)
    return Alignment(
        float(scores[REACH, REACH]), int(best_x) - REACH, int(best_y) - REACH, float(scores[best_y, best_x])
    )
