"""What quantisation changed: the logits of two models on the same tiles or pixels, side by side. numpy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite.errors import CrackError
from tflite.metrics import Confusion, confusion, sigmoid, summary
from tflite.pixels import NO_PIXELS, add_counts, count_pixels, iou, pixel_rates

_DRIFT_BINS = 1000  # of equal width over [0, 1]: the percentile of a billion pixels to a thousandth


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
        unit: what is counted, "tiles" of a classifier or "pixels" of a segmentation model.
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
    unit: str = "tiles"

    @property
    def total(self) -> int:
        """Tiles or pixels compared."""
        return self.reference.positives + self.reference.negatives

    @property
    def agreement(self) -> float:
        """Share of tiles or pixels on which both decide alike."""
        return self.agreeing / self.total

    @property
    def recall_drop(self) -> float:
        """Points of recall lost by quantisation (negative: gained); NaN without cracked tiles."""
        return 100 * (self.reference.recall - self.quantised.recall)

    @property
    def specificity_drop(self) -> float:
        """Points of specificity lost by quantisation (negative: gained); NaN without clean tiles."""
        return 100 * (self.reference.specificity - self.quantised.specificity)

    @property
    def f1_drop(self) -> float:
        """Points of F1 lost by quantisation (negative: gained); NaN where neither truth nor model has a crack."""
        return 100 * (self.reference.f1 - self.quantised.f1)

    @property
    def iou_drop(self) -> float:
        """Points of intersection over union lost by quantisation (negative: gained)."""
        return 100 * (iou(self.reference) - iou(self.quantised))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; a rate over nothing is None. Pixels have rates of overlap too, and no intervals."""
        if self.unit == "pixels":
            rates: Callable[[Confusion], dict[str, float | int | None]] = pixel_rates
            lost = {"f1_drop_points": _finite(self.f1_drop), "iou_drop_points": _finite(self.iou_drop)}
        else:
            rates = summary
            lost = {
                "cracks_lost": self.reference.true_positive - self.quantised.true_positive,
                "false_alarms_gained": self.quantised.false_positive - self.reference.false_positive,
            }
        return {
            self.unit: self.total,
            "agreement": self.agreement,
            "agreeing": self.agreeing,
            "agreement_at_reference_threshold": self.agreeing_at_reference / self.total,
            "recall_drop_points": _finite(self.recall_drop),
            "specificity_drop_points": _finite(self.specificity_drop),
            **lost,
            "confidence_drift": {"mean": self.drift_mean, "p95": self.drift_p95, "max": self.drift_max},
            "sqnr_db": self.sqnr_db,
            "reference": {"threshold_logit": self.reference_threshold, **rates(self.reference)},
            "quantised": {"threshold_logit": self.quantised_threshold, **rates(self.quantised)},
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Comparison:
        """The comparison that `as_dict` made a record of; other keys are passed over.

        Raises:
            CrackError: if it is no such record.
        """
        try:
            unit = next(name for name in ("tiles", "pixels") if name in record)
            one, other, drift = record["reference"], record["quantised"], record["confidence_drift"]
            return cls(
                reference=_counts(one),
                quantised=_counts(other),
                reference_threshold=one["threshold_logit"],
                quantised_threshold=other["threshold_logit"],
                agreeing=record["agreeing"],
                agreeing_at_reference=round(record["agreement_at_reference_threshold"] * record[unit]),
                drift_mean=drift["mean"],
                drift_p95=drift["p95"],
                drift_max=drift["max"],
                sqnr_db=record["sqnr_db"],
                unit=unit,
            )
        except (KeyError, TypeError, StopIteration) as error:
            raise CrackError(f"not the record of a comparison: {type(error).__name__} {error}.") from None


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
    _check_finite(reference, quantised, labels)
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


class MapComparison:
    """`compare` for maps of logits, a few tiles at a time: whatever their number, memory stays that of one `add`.

    Args:
        reference_threshold: in logits; crack where the float model's logit is at least this.
        quantised_threshold: in logits.
    """

    def __init__(self, reference_threshold: float, quantised_threshold: float) -> None:
        self._thresholds = reference_threshold, quantised_threshold
        self._reference = self._quantised = NO_PIXELS
        self._agreeing = self._agreeing_at_reference = 0
        self._drift = np.zeros(_DRIFT_BINS, np.int64)
        self._drift_sum = self._drift_max = 0.0
        self._power = self._noise = 0.0

    def add(self, reference: np.ndarray, quantised: np.ndarray, truth: np.ndarray) -> None:
        """Take in some tiles.

        Args:
            reference: float model's logits, any shape.
            quantised: quantised model's logits of the same pixels.
            truth: bool, the same shape; True is crack.

        Raises:
            CrackError: if the shapes differ or a logit is not finite.
        """
        _check_finite(reference, quantised, truth)
        called = reference >= self._thresholds[0]
        called_quantised = quantised >= self._thresholds[1]
        self._reference = add_counts(self._reference, count_pixels(called, truth))
        self._quantised = add_counts(self._quantised, count_pixels(called_quantised, truth))
        self._agreeing += int(np.sum(called == called_quantised))
        self._agreeing_at_reference += int(np.sum(called == (quantised >= self._thresholds[0])))
        drift = np.abs(sigmoid(reference) - sigmoid(quantised))
        self._drift += np.histogram(drift, _DRIFT_BINS, (0.0, 1.0))[0]
        self._drift_sum += float(drift.sum())
        self._drift_max = max(self._drift_max, float(drift.max()))
        self._power += float(np.sum(np.square(reference, dtype=np.float64)))
        self._noise += float(np.sum(np.square(reference.astype(np.float64) - quantised)))

    def result(self) -> Comparison:
        """What was taken in so far.

        Raises:
            CrackError: if nothing was.
        """
        total = int(self._drift.sum())
        if not total:
            raise CrackError("there are no pixels to compare the models on. Choose another --measure-split.")
        place = int(np.searchsorted(np.cumsum(self._drift), 0.95 * total))
        return Comparison(
            reference=self._reference,
            quantised=self._quantised,
            reference_threshold=float(self._thresholds[0]),
            quantised_threshold=float(self._thresholds[1]),
            agreeing=self._agreeing,
            agreeing_at_reference=self._agreeing_at_reference,
            drift_mean=self._drift_sum / total,
            drift_p95=(place + 1) / _DRIFT_BINS,
            drift_max=self._drift_max,
            sqnr_db=_decibels(self._power, self._noise),
            unit="pixels",
        )


def sqnr_db(signal: np.ndarray, noisy: np.ndarray) -> float | None:
    """10 log10 of signal power over error power; None when there is no error or no signal (the ratio has no finite value)."""
    signal = np.asarray(signal, dtype=np.float64)
    power = float(np.sum(signal**2))
    noise = float(np.sum((signal - np.asarray(noisy, dtype=np.float64)) ** 2))
    return _decibels(power, noise)


def require_f1(comparison: Comparison, max_drop: float, name: str) -> None:
    """Refuse a segmentation model that lost too much of the cracks' pixels, or gained too many elsewhere.

    Args:
        comparison: on real tiles.
        max_drop: points of F1 it may lose.
        name: of the model, for the message.

    Raises:
        CrackError: if F1 fell by more than `max_drop` points, or there was no cracked pixel to measure it on.
    """
    before, after = comparison.reference, comparison.quantised
    if not after.positives:
        raise CrackError("F1 cannot be measured without cracked pixels. Choose another --measure-split or --data.")
    if comparison.f1_drop > max_drop + 1e-9:
        raise CrackError(
            f"{name} lost {comparison.f1_drop:.2f} points of F1, {max_drop:g} are allowed: {after.f1:.4f} (recall "
            f"{after.recall:.4f}, precision {after.precision:.4f}) against {before.f1:.4f} of the float model (recall "
            f"{before.recall:.4f}, precision {before.precision:.4f}). Try the other way to int8 (with or without --ptq), or --dynamic."
        )


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


def _check_finite(reference: np.ndarray, quantised: np.ndarray, truth: np.ndarray) -> None:
    if not reference.shape == quantised.shape == truth.shape:
        raise CrackError(f"logits of shapes {reference.shape} and {quantised.shape} for truth of shape {truth.shape}.")
    for name, values in (("float", reference), ("quantised", quantised)):
        if not np.isfinite(values).all():
            raise CrackError(
                f"{int(np.sum(~np.isfinite(values)))} of {values.size} {name} logits are not finite. Train again."
            )


def _decibels(power: float, noise: float) -> float | None:
    return 10 * math.log10(power / noise) if power > 0 and noise > 0 else None


def _counts(row: Mapping[str, Any]) -> Confusion:
    return Confusion(row["tp"], row["fn"], row["tn"], row["fp"])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
