"""Counts and rates over the pixels of masks. numpy only, so that the device reports as the host does.

Positive means crack. No intervals here: neighbouring pixels are anything but independent, so an interval over pixels would be far
too narrow. `crack_tf.evaluation.pixels` gives intervals over photographs.
"""

from __future__ import annotations

import math

import numpy as np

from tflite.masks import MASK_THRESHOLD, decode_mask
from tflite.metrics import Confusion

# Masks are decoded in `tflite.masks`; two of its names were published here first.
__all__ = ["MASK_THRESHOLD", "NO_PIXELS", "add_counts", "count_pixels", "decode_mask", "iou", "pixel_rates"]

NO_PIXELS = Confusion(0, 0, 0, 0)


def count_pixels(called: np.ndarray, truth: np.ndarray) -> Confusion:
    """Count outcomes.

    Args:
        called: bool, any shape.
        truth: bool, the same shape.

    Raises:
        ValueError: if the shapes differ.
    """
    if called.shape != truth.shape:
        raise ValueError(f"masks of shapes {called.shape} and {truth.shape} cannot be compared")
    hits, total = int(np.sum(called & truth)), int(np.sum(called))
    cracked = int(np.sum(truth))
    return Confusion(hits, cracked - hits, called.size - cracked - total + hits, total - hits)


def add_counts(one: Confusion, other: Confusion) -> Confusion:
    """The counts of two disjoint sets of pixels together."""
    return Confusion(
        one.true_positive + other.true_positive,
        one.false_negative + other.false_negative,
        one.true_negative + other.true_negative,
        one.false_positive + other.false_positive,
    )


def iou(counts: Confusion) -> float:
    """Intersection over union (Jaccard index) of crack: hits over all pixels that either side calls crack; NaN over nothing."""
    union = counts.true_positive + counts.false_negative + counts.false_positive
    return counts.true_positive / union if union else math.nan


def pixel_rates(counts: Confusion) -> dict[str, float | int | None]:
    """Counts and rates as one flat row, micro-averaged: all pixels count alike. A rate over nothing is None."""
    rates = {
        **{name: getattr(counts, name) for name in ("recall", "specificity", "precision", "accuracy", "f1")},
        "iou": iou(counts),
    }
    return {
        "tp": counts.true_positive,
        "fn": counts.false_negative,
        "tn": counts.true_negative,
        "fp": counts.false_positive,
        **{name: None if math.isnan(value) else value for name, value in rates.items()},
    }
