"""Probability of detection against size, from cracks that were found or missed: hit/miss analysis as in non-destructive testing.

The model is that of MIL-HDBK-1823A (2009) for hit/miss data: the logit of the probability is a straight line over the
logarithm of the size. Here the crack's contrast has a slope of its own beside it, so that "how wide" can be answered for faint and for
dark cracks. It is fitted by Firth's penalised likelihood (Biometrika 80, 1993), which has a finite answer where the wide cracks were all
found and the narrow ones all missed (Heinze, Schemper, Statistics in Medicine 21, 2002); bounds are those of the profile of the same
likelihood. a90 is the size from which on nine of ten are found; a90/95 is the same with 95 % confidence.

    pod = fit(widths, contrasts, found)
    pod.size(0.9, 0.5), pod.size(0.9, 0.5, confident=True)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

LEAST_TRIALS = 60  # of hit/miss data, by MIL-HDBK-1823A
REFERENCE = 0.5  # share of the light that a crack of middle contrast takes
_ONE_SIDED_95 = 2.7055  # chi-squared with one degree of freedom exceeds it with probability 0.10: 0.05 on either side
_STEPS = 40
_FARTHEST = 60.0  # logits; as good as 0 or 1
_GRID = 17  # sizes at which bounds are computed


@dataclass(frozen=True)
class Pod:
    """A fitted probability of detection.

    Attributes:
        sizes: float (n,), of the cracks.
        contrasts: float (n,), share of the light that each takes.
        found: bool (n,).
        weights: float (3,): of 1, of ln(size / middle size), and of ln(contrast / REFERENCE).
    """

    sizes: np.ndarray
    contrasts: np.ndarray
    found: np.ndarray
    weights: np.ndarray

    @property
    def rises(self) -> bool:
        """Whether wider cracks are found more often: else no size can be stated."""
        return bool(self.weights[1] > 0)

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest size that was tried. Beyond, nothing is claimed."""
        return float(self.sizes.min()), float(self.sizes.max())

    def probability(self, sizes: np.ndarray, contrast: float | np.ndarray = REFERENCE) -> np.ndarray:
        """The probability of detection, float (n,)."""
        return _sigmoid(self._columns(np.asarray(sizes, float), contrast) @ self.weights)

    def bounds(self, size: float, contrast: float = REFERENCE) -> tuple[float, float]:
        """The probability's lower and upper bound, each with 95 % confidence."""
        centred, start, best = self._centred(size, contrast)
        spread = float(np.sqrt(max(1e-12, np.linalg.inv(_information(centred, start))[0, 0])))

        slopes = start[1:]

        def lacks(value: float) -> float:
            nonlocal slopes  # those of the last value are near the next one's
            found = _solve(centred, self.found, np.array([value, *slopes]), (1, 2))
            slopes = found[1:]
            return 2 * (best - _penalised(centred, self.found, found)) - _ONE_SIDED_95

        edges = [_crossing(lacks, float(start[0]), sign * spread) for sign in (-1.0, 1.0)]
        low, high = _sigmoid(np.array(edges))
        return float(low), float(high)

    def curve(self, contrast: float = REFERENCE) -> np.ndarray:
        """float (m, 4): sizes over the range that was tried, probabilities, lower and upper bounds."""
        if contrast not in self._curves:
            self._curves[contrast] = self._curve(contrast)
        return self._curves[contrast]

    def _curve(self, contrast: float) -> np.ndarray:
        low, high = (math.log(edge) for edge in self.range)
        sizes = np.exp(np.linspace(low, high, _GRID))
        bounds = np.array([self.bounds(float(size), contrast) for size in sizes])
        return np.c_[sizes, self.probability(sizes, contrast), bounds]

    def size(self, probability: float, contrast: float = REFERENCE, *, confident: bool = False) -> float | None:
        """The least size that is found with that probability; None where it is not within the range that was tried.

        Args:
            probability: in (0, 1).
            contrast: share of the light.
            confident: by the lower bound, with 95 % confidence.
        """
        size = self._reached(probability, contrast)
        low, high = self.range
        if size is None or not confident:
            return size if size is not None and low < size <= high else None
        # The lower bound passes the probability where the profile at that probability does. From the least size on from which it always
        # does: what a bound does at the edges, where hardly anything was tried, does not count.
        sizes = np.exp(np.linspace(np.log(max(low, size)), np.log(high), _GRID))
        sure = [self._surely(float(entry), probability, contrast) for entry in sizes]
        if not sure[-1] or all(sure):
            return None if not sure[-1] else (float(sizes[0]) if sizes[0] > low else None)
        first = len(sure) - sure[::-1].index(False)
        near, far = float(sizes[first - 1]), float(sizes[first])
        for _ in range(8):
            middle = math.sqrt(near * far)
            near, far = (near, middle) if self._surely(middle, probability, contrast) else (middle, far)
        return far

    def reaches(self, probability: float, contrast: float = REFERENCE, *, confident: bool = False) -> bool:
        """Whether all sizes that were tried are found with that probability."""
        if confident:
            return all(self._surely(size, probability, contrast) for size in self.range)
        return bool((self.probability(np.array(self.range), contrast) >= probability).all())

    def covariance(self) -> np.ndarray:
        """The weights' covariance, float (3, 3)."""
        return np.asarray(np.linalg.inv(_information(self._design, self.weights)))

    def _reached(self, probability: float, contrast: float) -> float | None:
        """The size at which the fitted probability passes that, wherever it lies; None where it does not rise."""
        if not self.rises:
            return None
        logit = math.log(probability / (1 - probability))
        rest = logit - self.weights[0] - self.weights[2] * math.log(contrast / REFERENCE)
        return math.exp(float(np.clip(self._middle + rest / self.weights[1], -300, 300)))

    def _surely(self, size: float, probability: float, contrast: float) -> bool:
        """Whether the lower bound at a size exceeds a probability."""
        value = math.log(probability / (1 - probability))
        centred, start, best = self._centred(size, contrast)
        return start[0] > value and 2 * (best - _profile(centred, self.found, value, start[1:])) > _ONE_SIDED_95

    def _centred(self, size: float, contrast: float) -> tuple[np.ndarray, np.ndarray, float]:
        """The design with a crack in its origin, the weights there, and the greatest likelihood."""
        (row,) = self._columns(np.array([size]), contrast)
        centred = self._design.copy()
        centred[:, 1:] -= row[1:]
        start = np.array([row @ self.weights, *self.weights[1:]])
        return centred, start, _penalised(centred, self.found, start)

    @cached_property
    def _curves(self) -> dict[float, np.ndarray]:
        return {}

    @cached_property
    def _middle(self) -> float:
        return float(np.log(self.sizes).mean())

    @cached_property
    def _design(self) -> np.ndarray:
        return self._columns(self.sizes, self.contrasts)

    def _columns(self, sizes: np.ndarray, contrast: float | np.ndarray) -> np.ndarray:
        return columns(sizes, np.broadcast_to(np.asarray(contrast, float), sizes.shape), self._middle)


def columns(sizes: np.ndarray, contrasts: np.ndarray, middle: float) -> np.ndarray:
    """What the weights belong to, float (n, 3)."""
    return np.c_[np.ones(len(sizes)), np.log(sizes) - middle, np.log(contrasts / REFERENCE)]


def fit(sizes: ArrayLike, contrasts: ArrayLike, found: ArrayLike) -> Pod:
    """Fit cracks that were found or missed.

    Args:
        sizes: above 0.
        contrasts: in (0, 1), not all the same.
        found: of each.

    Raises:
        ValueError: if there are fewer than four, or a number is out of range.
    """
    size, contrast, hit = np.array(sizes, float), np.array(contrasts, float), np.array(found, bool)
    if not len(size) == len(contrast) == len(hit) >= 4:
        raise ValueError(f"{len(size)} sizes, {len(contrast)} contrasts, {len(hit)} answers: give four or more of each")
    if not (np.isfinite(size).all() and (size > 0).all() and ((contrast > 0) & (contrast < 1)).all()):
        raise ValueError("sizes lie above 0, contrasts between 0 and 1")
    design = columns(size, contrast, float(np.log(size).mean()))
    return Pod(size, contrast, hit, _solve(design, hit, np.zeros(3), (0, 1, 2)))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))


def _information(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    p = _sigmoid(design @ weights)
    return np.asarray(design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(design.shape[1]))


def _penalised(design: np.ndarray, found: np.ndarray, weights: np.ndarray) -> float:
    """Firth's penalised log-likelihood."""
    values = design @ weights
    likelihood = -np.logaddexp(0, np.where(found, -values, values)).sum()
    return float(likelihood + 0.5 * np.linalg.slogdet(_information(design, weights))[1])


def _solve(design: np.ndarray, found: np.ndarray, weights: np.ndarray, free: tuple[int, ...]) -> np.ndarray:
    """The weights at the maximum; those that are not free stay."""
    weights, chosen = weights.astype(float).copy(), list(free)
    value = _penalised(design, found, weights)
    for _ in range(_STEPS):
        p = _sigmoid(design @ weights)
        information = _information(design, weights)
        hat = np.einsum("ni,ij,nj->n", design, np.linalg.inv(information), design) * p * (1 - p)
        score = design.T @ (found - p + hat * (0.5 - p))
        step = np.zeros(len(weights))
        step[chosen] = np.linalg.solve(information[np.ix_(chosen, chosen)], score[chosen])
        step *= min(1.0, 3.0 / max(1e-12, float(np.abs(step).max())))
        while True:
            then = _penalised(design, found, weights + step)
            if then >= value or np.abs(step).max() < 1e-9:
                break
            step /= 2
        weights, value = weights + step, then
        if np.abs(step).max() < 1e-5:
            break
    return weights


def _profile(design: np.ndarray, found: np.ndarray, value: float, start: np.ndarray) -> float:
    """The greatest penalised log-likelihood with the first weight at that value."""
    return _penalised(design, found, _solve(design, found, np.array([value, *start]), (1, 2)))


def _crossing(lacks: Callable[[float], float], start: float, step: float) -> float:
    """Where a function that is negative at the start and rises on either side gets to 0, in the direction of the step."""
    near, far, below, above = start, start + step, -_ONE_SIDED_95, lacks(start + step)
    while above <= 0:
        near, below = far, above
        far = far + 2 * (far - start)
        if abs(far) > _FARTHEST:
            return far
        above = lacks(far)
    for _ in range(20):
        # As far as the chord says, but well inside.
        share = float(np.clip(-below / (above - below), 0.1, 0.9))
        middle = near + share * (far - near)
        value = lacks(middle)
        near, far, below, above = (near, middle, below, value) if value > 0 else (middle, far, value, above)
        if abs(far - near) < 1e-2:
            break
    return far
