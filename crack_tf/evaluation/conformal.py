"""Bounds that hold without trusting the model: how many cracks can be missed below a threshold, and which tiles stay uncertain.

Split conformal prediction per class (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005; Angelopoulos and
Bates, arXiv:2107.07511). The promise is about tiles exchangeable with the calibration tiles, on average over draws of
them: another bridge is not exchangeable with METU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflite.errors import CrackError


@dataclass(frozen=True)
class Band:
    """Scores that decide nothing by themselves.

    Attributes:
        low: tiles below are called clean; a crack falls there with probability `risk` at most. -inf when no threshold can
            promise that with so few calibration cracks.
        high: tiles from here on are called cracked; a clean tile gets there with probability `risk` at most. inf likewise.
        risk: that was asked for.
    """

    low: float
    high: float
    risk: float

    def uncertain(self, logits: np.ndarray) -> np.ndarray:
        """Which tiles go to the validator: bool (n,)."""
        scores = np.asarray(logits)
        return np.asarray((scores >= self.low) & (scores < max(self.low, self.high)))


def smallest_risk(calibration: int) -> float:
    """The least risk that so many calibration tiles of a class can promise: 1 / (n + 1)."""
    return 1 / (calibration + 1)


def miss_threshold(crack_logits: np.ndarray, risk: float) -> float:
    """The highest threshold below which a new crack falls with probability `risk` at most.

    With k = floor(risk (n + 1)), it is the k-th smallest calibration score: a new, exchangeable score is among the k smallest
    of n + 1 with probability k / (n + 1) at most. Only scores strictly below the threshold are called clean.

    Args:
        crack_logits: (n,) scores of calibration cracks, finite.
        risk: accepted miss rate, in (0, 1).

    Returns:
        A threshold in logits; -inf if n is too small for the risk.

    Raises:
        CrackError: if the risk is outside (0, 1), there are no scores, or one is not finite.
    """
    scores = _checked(crack_logits, risk)
    k = math.floor(risk * (scores.size + 1) + 1e-9)
    return float(np.sort(scores)[k - 1]) if k else -math.inf


def band(logits: np.ndarray, labels: np.ndarray, risk: float) -> Band:
    """Both thresholds from calibration tiles.

    Args:
        logits: (n,) scores.
        labels: (n,), 1 is cracked; both classes present.
        risk: for each class, in (0, 1).

    Raises:
        CrackError: see `miss_threshold`.
    """
    scores, cracked = np.asarray(logits, np.float64), np.asarray(labels) == 1
    low = miss_threshold(scores[cracked], risk)
    # Clean tiles mirrored: "at least high" must hold for few of them, so the next number above the mirrored threshold.
    high = np.nextafter(-miss_threshold(-scores[~cracked], risk), math.inf)
    return Band(low, float(high), risk)


def _checked(logits: np.ndarray, risk: float) -> np.ndarray:
    if not 0 < risk < 1:
        raise CrackError(f"risk {risk}: choose a share strictly between 0 and 1, such as 0.001.")
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 1 or not scores.size:
        raise CrackError("calibration needs at least one tile of each class.")
    if not np.isfinite(scores).all():
        raise CrackError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} logits are not finite.")
    return scores
