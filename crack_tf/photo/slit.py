"""The width of the slit that explains a dark line: a range, where blur and darkness leave several.

A crack is taken for a slit of width w that is darker than the concrete by a share D of its grey value, seen through a Gaussian blur of
deviation s, and, on half of all cameras, a tone curve that lightens mixed pixels. Such a line is told by four things: how much light it
takes away altogether (its deficit, w D without a tone curve), how deep it is, and how wide it is at a quarter, at half and at three
quarters of its depth. Wide lines show w and D; of a line no wider than its blur the deficit alone tells something, w D, and D is only
known to lie between that of a shallow line and black. So the answer is the posterior (Bayes) over a grid of w, D, s and tone curve:
its middle, and the range that holds 95 % of it.

That a line's missing light, and not its apparent width, says how wide it is where blur is wider, is Steger's result (IEEE PAMI 1998,
20(2), 113-125): the apparent width of a narrow line is that of the blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

# What is taken for possible, each share of these ranges as likely as another.
_DARKNESS = np.linspace(0.3, 0.95, 10)
_BLURS = np.geomspace(0.3, 2.4, 11)  # pixels
_GAMMAS = (1.0, 2.2)
_RATIOS = np.geomspace(0.02, 60.0, 90)  # of width by blur
# Standard deviations of what is read off a photograph against this model, as shares and in pixels. Measured on drawn cracks
# (`studies.width_intervals`, seeds that its tests leave out).
_DEFICIT, _DEPTH, _WALLS, _STEEPNESS = 0.10, 0.10, 0.03, 0.05
_WALLS_PX = 0.25


@dataclass(frozen=True)
class Line:
    """How a dark line appears.

    Attributes:
        deficit: missing light across it, pixels of quite black line.
        depth: of its bottom, as a share of the grey value beside it.
        quarter, at_half, three_quarters: pixels between its walls at these shares of the depth.
        noise: standard deviation of deficit and depth by the sensor's noise, as a share.
    """

    deficit: float
    depth: float
    quarter: float
    at_half: float
    three_quarters: float
    noise: float = 0.0


@dataclass(frozen=True)
class SlitWidths:
    """Widths that explain a line.

    Attributes:
        widths: pixels, float (n,), ascending.
        below: share of the posterior at or below each, float (n,).
    """

    widths: np.ndarray
    below: np.ndarray

    def at(self, share: float) -> float:
        """The width, in pixels, that a share of the posterior lies below."""
        return float(np.exp(np.interp(share, self.below, np.log(self.widths))))


def explain_line(line: Line) -> SlitWidths:
    """Which widths explain a line.

    Args:
        line: with positive numbers.
    """
    table, widths = _forward()
    seen = np.log(
        [line.deficit, line.depth, line.at_half, line.quarter / line.at_half, line.three_quarters / line.at_half]
    )
    walls = np.hypot(_WALLS, _WALLS_PX / line.at_half)
    spread = np.array(
        [
            np.hypot(_DEFICIT, line.noise),
            np.hypot(_DEPTH, line.noise),
            walls,
            np.hypot(_STEEPNESS, 0.5 * line.noise),
            np.hypot(_STEEPNESS, 0.5 * line.noise),
        ]
    )
    # Tails heavier than a Gaussian's: one reading may be quite off.
    away = (table - seen) / spread
    fit = -2.5 * np.log1p(away**2 / 4).sum(axis=-1)
    weights = np.exp(fit - fit.max())
    order = _order()
    below = np.cumsum(weights[order])
    keep = np.flatnonzero(np.diff(below, prepend=0.0) > 1e-9 * below[-1])
    return SlitWidths(widths[order][keep], below[keep] / below[-1])


@cache
def _forward() -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of what is read off a line, float (m, 5), for every slit of the grid, and the slits' widths in pixels (m,)."""
    from scipy.special import ndtr

    rows, widths = [], []
    for ratio in _RATIOS:
        t = np.linspace(0, ratio / 2 + 5, 400)  # deviations of the blur from the middle
        share = ndtr(t + ratio / 2) - ndtr(t - ratio / 2)
        for gamma in _GAMMAS:
            dark = 1 - (1 - _DARKNESS[:, None]) ** gamma
            valley = 1 - (1 - dark * share) ** (1 / gamma)
            deficit = 2 * np.trapezoid(valley, t, axis=1)
            walls = [[2 * float(np.interp(-level * row[0], -row, t)) for level in (0.5, 0.25, 0.75)] for row in valley]
            at_half, quarter, three_quarters = np.array(walls).T
            for blur in _BLURS:
                rows.append(
                    np.log(
                        [deficit * blur, valley[:, 0], at_half * blur, quarter / at_half, three_quarters / at_half]
                    ).T
                )
                widths.append(np.full(len(_DARKNESS), ratio * blur))
    return np.concatenate(rows), np.concatenate(widths)


@cache
def _order() -> np.ndarray:
    return np.argsort(_forward()[1], kind="stable")
