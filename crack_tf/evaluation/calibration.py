"""Can the probability be believed, and what do the rates mean where cracks are rare? numpy only.

Functions take logits of shape (n,) and labels of shape (n,), 1 for cracked and 0 for clean; probability is the logit's
sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite.errors import CrackError
from tflite.metrics import Confusion, sigmoid, wilson_interval

BINS = 15
# METU is half cracked, a bridge is not: cracked to clean tiles 1:1, 1:5 and 1:10.
PREVALENCES = (1 / 2, 1 / 6, 1 / 11)


@dataclass(frozen=True)
class ReliabilityBin:
    """Tiles of neighbouring probability.

    Attributes:
        count: how many tiles.
        probability: their mean predicted probability of a crack.
        share: the share of them that is cracked; equal to `probability` for a calibrated model.
    """

    count: int
    probability: float
    share: float


def reliability_bins(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[ReliabilityBin]:
    """Equal-mass bins: tiles sorted by probability, cut into `bins` runs of equal length.

    Tiles of equal score stay in one bin, so that the result does not depend on the order of tiles. An int8 model has at
    most 256 scores, and a good one puts most tiles on a few of them: fewer, fuller bins come back then.

    Returns:
        Bins in rising probability, none of them empty.

    Raises:
        CrackError: if there are no tiles, shapes differ, a logit is not finite, or `bins` is below 1.
    """
    if bins < 1:
        raise CrackError(f"bins {bins}: at least 1 is needed.")
    scores, cracked = _checked(logits, labels)
    ordered = np.sort(scores)
    first_of_run = np.searchsorted(ordered, scores, side="left")
    index = first_of_run * bins // scores.size
    counts = np.bincount(index, minlength=bins)
    probabilities = np.bincount(index, weights=sigmoid(scores), minlength=bins)
    cracks = np.bincount(index, weights=cracked, minlength=bins)
    return [
        ReliabilityBin(int(count), float(probability / count), float(crack / count))
        for count, probability, crack in zip(counts, probabilities, cracks, strict=True)
        if count
    ]


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between predicted probability and observed share of cracks, weighted by tiles per bin.

    ECE = sum over bins of count/n * |mean probability - share cracked| (Naeini, Cooper, Hauskrecht, AAAI 2015), on the
    probability of a crack rather than of the winning class, with the equal-mass bins of Nguyen and O'Connor (EMNLP
    2015): equal-width bins would leave all but the first and the last nearly empty here.

    Returns:
        A number in [0, 1]; 0 is calibrated.

    Raises:
        CrackError: see `reliability_bins`.
    """
    parts = reliability_bins(logits, labels, bins)
    total = sum(part.count for part in parts)
    return sum(part.count * abs(part.probability - part.share) for part in parts) / total


def brier_score(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance between probability and label (Brier, Monthly Weather Review 1950); 0 is best, 1 worst.

    Raises:
        CrackError: if there are no tiles, shapes differ or a logit is not finite.
    """
    scores, cracked = _checked(logits, labels)
    return float(np.mean((sigmoid(scores) - cracked) ** 2))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log(probability given to the true class), in nats: binary cross-entropy without weights.

    Raises:
        CrackError: if there are no tiles, shapes differ or a logit is not finite.
    """
    scores, cracked = _checked(logits, labels)
    # -log(sigmoid(z)) = log(1 + exp(-z)), and sigmoid(-z) is the clean class.
    return float(np.mean(np.logaddexp(0.0, np.where(cracked == 1, -scores, scores))))


@dataclass(frozen=True)
class PrevalenceRow:
    """Measured rates at another share of cracked tiles. None is what the counts leave undefined.

    Attributes:
        cracked_to_clean: the share as text, such as "1:5".
        prevalence: share of cracked tiles.
        recall, specificity: as measured: they do not depend on the share.
        precision: with `precision_low` and `precision_high`: both rates at the lower, or both at the upper end of
            their Wilson 95 % intervals, a cautious range.
        npv: negative predictive value.
        false_alarms_per_1000, missed_cracks_per_1000: of the tiles seen.
    """

    cracked_to_clean: str
    prevalence: float
    recall: float | None
    specificity: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    npv: float | None
    false_alarms_per_1000: float | None
    missed_cracks_per_1000: float | None


def prevalence_table(counts: Confusion, prevalences: Sequence[float] = PREVALENCES) -> list[PrevalenceRow]:
    """What the measured recall and specificity mean at other shares of cracked tiles, by Bayes' rule.

    Recall and specificity do not depend on prevalence; precision does. A specificity of 0.997 that gives three false
    alarms per 1,000 cracks at 1:1 gives thirty at 1:10.

    Args:
        counts: measured at the threshold in use.
        prevalences: shares of cracked tiles, each strictly between 0 and 1.

    Returns:
        One row per prevalence.

    Raises:
        CrackError: if a prevalence does not lie strictly between 0 and 1.
    """
    recall, recall_low, recall_high = _rate(counts.true_positive, counts.positives)
    specificity, specificity_low, specificity_high = _rate(counts.true_negative, counts.negatives)
    rows = []
    for prevalence in prevalences:
        if not 0 < prevalence < 1:
            raise CrackError(f"prevalence {prevalence}: choose a share of cracked tiles strictly between 0 and 1.")
        rows.append(
            PrevalenceRow(
                cracked_to_clean=f"1:{(1 - prevalence) / prevalence:.4g}",
                prevalence=prevalence,
                recall=recall,
                specificity=specificity,
                precision=_predictive_value(recall, specificity, prevalence),
                precision_low=_predictive_value(recall_low, specificity_low, prevalence),
                precision_high=_predictive_value(recall_high, specificity_high, prevalence),
                # The same rule with the classes exchanged.
                npv=_predictive_value(specificity, recall, 1 - prevalence),
                false_alarms_per_1000=None if specificity is None else 1000 * (1 - prevalence) * (1 - specificity),
                missed_cracks_per_1000=None if recall is None else 1000 * prevalence * (1 - recall),
            )
        )
    return rows


def _predictive_value(hit_rate: float | None, rejection_rate: float | None, share: float) -> float | None:
    """Bayes: the share of right calls of a class that has this `share` of tiles, given both classes' rates."""
    if hit_rate is None or rejection_rate is None:
        return None
    right, wrong = share * hit_rate, (1 - share) * (1 - rejection_rate)
    return right / (right + wrong) if right + wrong > 0 else None


def _rate(successes: int, trials: int) -> tuple[float, float, float] | tuple[None, None, None]:
    if not trials:
        return None, None, None
    return successes / trials, *wilson_interval(successes, trials)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float64 scores and labels as 0.0 / 1.0, both of shape (n,)."""
    scores = np.asarray(logits, dtype=np.float64)
    cracked = (np.asarray(labels) == 1).astype(np.float64)
    if scores.ndim != 1 or scores.shape != cracked.shape or not scores.size:
        raise CrackError(
            f"logits of shape {scores.shape} and labels of shape {cracked.shape}: both must be (n,) with n > 0."
        )
    if not np.isfinite(scores).all():
        raise CrackError(
            f"{int(np.sum(~np.isfinite(scores)))} of {scores.size} logits are not finite: the model is damaged."
        )
    return scores, cracked
