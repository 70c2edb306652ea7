"""Counts and rates of a yes/no classifier, with their uncertainty. numpy only, so that the device reports as the host does.

Positive means cracked. Recall (share of cracks found) comes first, specificity (share of clean tiles left alone) second.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from tflite.errors import CrackError


@dataclass(frozen=True)
class Confusion:
    """The four counts at one threshold."""

    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int

    @property
    def positives(self) -> int:
        return self.true_positive + self.false_negative

    @property
    def negatives(self) -> int:
        return self.true_negative + self.false_positive

    @property
    def recall(self) -> float:
        return _ratio(self.true_positive, self.positives)

    @property
    def specificity(self) -> float:
        return _ratio(self.true_negative, self.negatives)

    @property
    def precision(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def accuracy(self) -> float:
        return _ratio(self.true_positive + self.true_negative, self.positives + self.negatives)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def confusion(logits: np.ndarray, labels: np.ndarray, threshold: float) -> Confusion:
    """Count outcomes; a tile is called cracked when its logit is at least the threshold.

    Args:
        logits: float, shape (n,).
        labels: 0 or 1, shape (n,); 1 is cracked.
        threshold: in logits.

    Raises:
        ValueError: if the shapes differ or a label is neither 0 nor 1.
        CrackError: if a logit is NaN, which would pass for crack-free.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 1 or logits.shape != labels.shape:
        raise ValueError(f"logits and labels must both have shape (n,), got {logits.shape} and {labels.shape}")
    if np.isnan(logits).any():
        bad = int(np.isnan(logits).sum())
        raise CrackError(f"{bad} of {logits.size} logits are NaN: training diverged. Train with a lower learning rate.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {np.unique(labels).tolist()}")
    called = logits >= threshold
    cracked = labels == 1
    return Confusion(
        true_positive=int(np.sum(called & cracked)),
        false_negative=int(np.sum(~called & cracked)),
        true_negative=int(np.sum(~called & ~cracked)),
        false_positive=int(np.sum(called & ~cracked)),
    )


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval for a proportion (Wilson, JASA 1927): honest near 0 and 1, where recall lives.

    Args:
        successes: how often it held, 0 <= successes <= trials.
        trials: how often it was tried, > 0.
        confidence: coverage, between 0 and 1.

    Returns:
        (low, high), both in [0, 1].

    Raises:
        ValueError: if trials is not positive, successes lies outside [0, trials] or confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if trials <= 0:
        raise ValueError(f"trials must be positive, got {trials}")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie in [0, {trials}], got {successes}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    scale = 1 / (1 + z * z / trials)
    centre = scale * (share + z * z / (2 * trials))
    half = scale * z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At 0 and at `trials` the exact bounds are 0 and 1; rounding must not push them inside.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def roc_auc(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a random crack scores above a random clean tile, ties counted half.

    Args:
        logits: float, shape (n,).
        labels: 0 or 1, shape (n,).

    Returns:
        A number in [0, 1], or None when a class is absent.
    """
    cracked = np.asarray(labels) == 1
    positives, negatives = int(cracked.sum()), int((~cracked).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(logits, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # tied scores share their mean rank
    return float((ranks[cracked].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclass(frozen=True)
class Rates:
    """Counts and what they come to, as tables and files have them. A rate over nothing is None, never 0 or NaN.

    Attributes:
        tp, fn, tn, fp: the counts.
        recall, specificity, precision, accuracy, f1: from these; `..._low` and `..._high` bound the 95 % interval (Wilson).
    """

    tp: int
    fn: int
    tn: int
    fp: int
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    specificity: float | None
    specificity_low: float | None
    specificity_high: float | None
    precision: float | None
    accuracy: float | None
    f1: float | None


def rates_of(counts: Confusion) -> Rates:
    """The counts at one threshold, with rates and intervals."""

    def rate(successes: int, trials: int) -> tuple[float | None, float | None, float | None]:
        return (successes / trials, *wilson_interval(successes, trials)) if trials else (None, None, None)

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    recall = rate(counts.true_positive, counts.positives)
    specificity = rate(counts.true_negative, counts.negatives)
    found = (counts.true_positive, counts.false_negative, counts.true_negative, counts.false_positive)
    return Rates(*found, *recall, *specificity, known(counts.precision), known(counts.accuracy), known(counts.f1))


def summary(counts: Confusion) -> dict[str, float | int | None]:
    """`rates_of` as one flat row, JSON-ready."""
    return asdict(rates_of(counts))


def sigmoid(logits: np.ndarray | float) -> np.ndarray:
    """Logistic function in float64: no overflow, and small probabilities keep all their digits."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))


def logit(probability: float) -> float:
    """Inverse of the logistic function; -inf at 0 and inf at 1."""
    if probability <= 0.0:
        return -math.inf
    if probability >= 1.0:
        return math.inf
    return math.log(probability) - math.log1p(-probability)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
