"""Decision thresholds: chosen on validation logits for a target recall, kept as probability, logit and raw integer."""

from __future__ import annotations

import math

import numpy as np

from tflite.errors import CrackError
from tflite.heads import OWN_HEAD, Head
from tflite.metrics import Confusion, confusion, roc_auc, sigmoid
from tflite.sidecar import Threshold

TARGET_RECALL = 0.998
_LEAST_AUC = 0.6


def tells_nothing(counts: Confusion, logits: np.ndarray, labels: np.ndarray) -> str | None:
    """A warning about a classifier that is of no use; None about any other.

    Args:
        counts: at its threshold.
        logits: float, shape (n,).
        labels: 0 or 1, shape (n,); 1 is cracked.
    """
    auc = roc_auc(logits, labels)
    if counts.negatives and not counts.true_negative:
        found = f"this model calls every tile cracked, all {counts.negatives:,} clean ones too"
    elif counts.positives and not counts.true_positive:
        found = f"this model finds none of {counts.positives:,} cracks"
    elif auc is not None and auc < _LEAST_AUC:
        found = f"this model hardly tells cracked tiles from clean ones: AUC {auc:.2f}, where 0.5 is a guess"
    else:
        return None
    return f"warning: {found}. Do not use it; train it longer, or on more or other tiles."


def select_threshold(logits: np.ndarray, labels: np.ndarray, target_recall: float = TARGET_RECALL) -> float:
    """The threshold with the best specificity that finds `target_recall` of the cracks, and every crack that costs none.

    The specificity is that of the largest threshold that reaches the target. With that specificity kept, the threshold
    is lowered to midway between the highest rejected clean tile and the next score above it: the cracks in between are
    found for nothing, and neither side is lost to the first rounding step of quantisation.

    Args:
        logits: float, shape (n,), finite.
        labels: 0 or 1, shape (n,); 1 is cracked.
        target_recall: in (0, 1].

    Returns:
        Threshold in logits, exact in the logits' own dtype; a tile is called cracked when its logit is at least this.

    Raises:
        CrackError: if there is no cracked tile, a logit is not finite, shapes differ, or the target is not in (0, 1].
    """
    scores, cracked = _checked(logits, labels)
    if not 0 < target_recall <= 1:
        raise CrackError(f"target recall {target_recall}: choose a number above 0 and at most 1.")
    positives = np.sort(scores[cracked])[::-1]
    if not positives.size:
        raise CrackError(
            "a threshold for a target recall needs cracked tiles, and this split has none. Use another split."
        )
    # The tolerance undoes binary rounding (0.07 * 100 > 7); the second line makes sure of `recall >= target`.
    needed = max(1, math.ceil(target_recall * positives.size - 1e-9))
    needed += needed / positives.size < target_recall
    rejected = scores[~cracked & (scores < positives[needed - 1])]
    if not rejected.size:
        return float(scores.min())
    highest = rejected.max()
    lowest = scores[scores > highest].min()
    midway = scores.dtype.type((float(lowest) + float(highest)) / 2)
    # Between adjacent floats there is no midway: rounding may land on the rejected score.
    return float(midway if highest < midway <= lowest else lowest)


def specificity_at_recall(logits: np.ndarray, labels: np.ndarray, target_recall: float = TARGET_RECALL) -> float:
    """Specificity at the threshold of `select_threshold`; NaN when there is no clean tile.

    Raises:
        CrackError: see `select_threshold`.
    """
    return confusion(*_checked(logits, labels), threshold=select_threshold(logits, labels, target_recall)).specificity


def threshold_record(
    logit: float,
    scale: float = 0.0,
    zero_point: int = 0,
    dtype: str | None = None,
    target_recall: float | None = None,
    split: str | None = None,
    head: Head = OWN_HEAD,
) -> Threshold:
    """The sidecar's record of a threshold.

    Args:
        logit: finite; crack when the model's logit is at least this.
        scale: of the output tensor; 0 when it is not quantised.
        zero_point: of the output tensor.
        dtype: "int8" or "uint8" for a quantised output, None or "float32" otherwise.
        target_recall: that the threshold was chosen for, if any.
        split: that it was chosen on, if any.
        head: how the model answers.

    Raises:
        CrackError: if the logit is not finite, or the dtype and scale contradict each other.
    """
    if not math.isfinite(logit):
        raise CrackError(f"threshold logit {logit} is not finite: choose a probability strictly between 0 and 1.")
    quantised = dtype in ("int8", "uint8")
    if quantised != (scale > 0):
        raise CrackError(
            f"output dtype {dtype} with scale {scale}: a quantised output has a scale above 0, a float output 0."
        )
    return Threshold(
        probability=float(sigmoid(logit)),
        logit=float(logit),
        raw=head.raw_threshold(logit, scale, zero_point, str(dtype)) if quantised else None,
        target_recall=target_recall,
        split=split,
    )


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floating scores and a boolean "cracked" mask, both of shape (n,)."""
    scores = np.asarray(logits)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    cracked = np.asarray(labels) == 1
    if scores.ndim != 1 or scores.shape != cracked.shape:
        raise CrackError(f"logits of shape {scores.shape} and labels of shape {cracked.shape}: both must be (n,).")
    if not np.isfinite(scores).all():
        bad = int(np.sum(~np.isfinite(scores)))
        raise CrackError(f"{bad} of {scores.size} logits are not finite: training diverged. Lower the learning rate.")
    return scores, cracked
