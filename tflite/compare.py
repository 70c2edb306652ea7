"""What quantisation changed: the logits of two models on the same tiles, side by side. numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite.errors import CrackError
from tflite.metrics import Confusion, confusion, sigmoid, summary


@dataclass(frozen=True)
class Comparison:
    """A quantised model against its float reference, each at its own threshold.

    Attributes:
        reference: counts of the float model.
        quantised: counts of the quantised model.
        reference_threshold: in logits.
        quantised_threshold: in logits.
        agreeing: tiles on which both decide alike.
        agreeing_at_reference: tiles on which both decide alike when both use the reference's threshold.
        drift_mean: mean of |p_reference - p_quantised|, p = sigmoid(logit).
        drift_p95: 95th percentile of the same.
        drift_max: maximum of the same.
        sqnr_db: signal-to-quantisation-noise ratio of the logits in dB, or None when the logits are equal.
    """

    reference: Confusion
    quantised: Confusion
    reference_threshold: float
    quantised_threshold: float
    agreeing: int
    agreeing_at_reference: int
    drift_mean: float
    drift_p95: float
    drift_max: float
    sqnr_db: float | None

    @property
    def tiles(self) -> int:
        return self.reference.positives + self.reference.negatives

    @property
    def agreement(self) -> float:
        """Share of tiles on which both decide alike."""
        return self.agreeing / self.tiles

    @property
    def recall_drop(self) -> float:
        """Points of recall lost by quantisation (negative: gained); NaN without cracked tiles."""
        return 100 * (self.reference.recall - self.quantised.recall)

    @property
    def specificity_drop(self) -> float:
        """Points of specificity lost by quantisation (negative: gained); NaN without clean tiles."""
        return 100 * (self.reference.specificity - self.quantised.specificity)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; a rate over nothing is None."""
        return {
            "tiles": self.tiles,
            "agreement": self.agreement,
            "agreeing": self.agreeing,
            "agreement_at_reference_threshold": self.agreeing_at_reference / self.tiles,
            "recall_drop_points": _finite(self.recall_drop),
            "specificity_drop_points": _finite(self.specificity_drop),
            "cracks_lost": self.reference.true_positive - self.quantised.true_positive,
            "false_alarms_gained": self.quantised.false_positive - self.reference.false_positive,
            "confidence_drift": {"mean": self.drift_mean, "p95": self.drift_p95, "max": self.drift_max},
            "sqnr_db": self.sqnr_db,
            "reference": {"threshold_logit": self.reference_threshold, **summary(self.reference)},
            "quantised": {"threshold_logit": self.quantised_threshold, **summary(self.quantised)},
        }


def compare(
    reference: np.ndarray,
    quantised: np.ndarray,
    labels: np.ndarray,
    reference_threshold: float,
    quantised_threshold: float,
) -> Comparison:
    """Compare two models' logits on the same tiles.

    Args:
        reference: float model's logits, shape (n,), n > 0.
        quantised: quantised model's logits, same tiles in the same order.
        labels: 0 or 1, shape (n,); 1 is cracked.
        reference_threshold: in logits; crack when the logit is at least this.
        quantised_threshold: in logits.

    Raises:
        CrackError: if the shapes differ, there is nothing to compare, or a logit is not finite.
    """
    reference, quantised, labels = (np.asarray(values) for values in (reference, quantised, labels))
    if reference.ndim != 1 or not reference.shape == quantised.shape == labels.shape:
        raise CrackError(
            f"logits of shapes {reference.shape} and {quantised.shape} and labels of shape {labels.shape}: all must be (n,)."
        )
    if not reference.size:
        raise CrackError("there are no tiles to compare the models on. Choose another --measure-split.")
    for name, values in (("float", reference), ("quantised", quantised)):
        if not np.isfinite(values).all():
            raise CrackError(
                f"{int(np.sum(~np.isfinite(values)))} of {values.size} {name} logits are not finite. Train again."
            )
    drift = np.abs(sigmoid(reference) - sigmoid(quantised))
    decided = reference >= reference_threshold
    return Comparison(
        reference=confusion(reference, labels, reference_threshold),
        quantised=confusion(quantised, labels, quantised_threshold),
        reference_threshold=float(reference_threshold),
        quantised_threshold=float(quantised_threshold),
        agreeing=int(np.sum(decided == (quantised >= quantised_threshold))),
        agreeing_at_reference=int(np.sum(decided == (quantised >= reference_threshold))),
        drift_mean=float(drift.mean()),
        drift_p95=float(np.percentile(drift, 95)),
        drift_max=float(drift.max()),
        sqnr_db=sqnr_db(reference, quantised),
    )


def sqnr_db(signal: np.ndarray, noisy: np.ndarray) -> float | None:
    """10 log10 of signal power over error power; None when there is no error or no signal (the ratio has no finite value)."""
    signal = np.asarray(signal, dtype=np.float64)
    power = float(np.sum(signal**2))
    noise = float(np.sum((signal - np.asarray(noisy, dtype=np.float64)) ** 2))
    return 10 * math.log10(power / noise) if power > 0 and noise > 0 else None


def require_recall(comparison: Comparison, max_drop: float, name: str) -> None:
    """Refuse a model that lost too many cracks.

    Args:
        comparison: on real tiles.
        max_drop: points of recall it may lose.
        name: of the model, for the message.

    Raises:
        CrackError: if recall fell by more than `max_drop` points, or there was no cracked tile to measure it on.
    """
    float_counts, counts = comparison.reference, comparison.quantised
    if not counts.positives:
        raise CrackError("recall cannot be measured without cracked tiles. Choose another --measure-split or --data.")
    # Rates are ratios of whole numbers: the margin only undoes binary rounding at equality.
    if comparison.recall_drop > max_drop + 1e-9:
        raise CrackError(
            f"{name} lost {comparison.recall_drop:.2f} points of recall, {max_drop:g} are allowed: it finds "
            f"{counts.true_positive} of {counts.positives} cracks, the float model {float_counts.true_positive} "
            f"(false alarms {counts.false_positive} against {float_counts.false_positive} of {counts.negatives})."
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
