"""From what a model answers to one number, a logit and a decision: the one place where a head is read. numpy only.

This project's classifiers answer with one logit. Models from elsewhere (`crack-tf adopt`) have one probability or two classes as
well, and any of them may be stored in 8-bit integers. Each head is first boiled down to one number in units of the output, the raw
answer, larger the more it speaks for a crack; integers stay integers, so that the device compares integers whatever the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflite.errors import CrackError

KINDS = ("logit", "probability", "logits", "softmax")
LEAST_PROBABILITY = 1e-7  # of a float head; what it calls 0 or 1 has a finite logit, +-16
PROBABILITY_SLACK = 0.01  # by which rounding may take a probability out of 0 to 1


@dataclass(frozen=True)
class Head:
    """How an answer says crack.

    Attributes:
        kind: "logit" (one logit), "probability" (one probability), "logits" (two logits), "softmax" (two probabilities).
        crack: which of two classes means crack, 0 or 1. A single output stands for class 1: with `crack` 0 it speaks against one.
    """

    kind: str = "logit"
    crack: int = 1

    @property
    def outputs(self) -> int:
        """How many numbers the model answers with."""
        return 2 if self.kind in ("logits", "softmax") else 1

    @property
    def unit(self) -> str:
        """What a float output's raw answer counts."""
        return "probability" if self._is_probability else "logit"

    @property
    def _is_probability(self) -> bool:
        return self.kind in ("probability", "softmax")

    @property
    def _against(self) -> bool:
        """Whether the number that is read speaks against a crack."""
        return self.outputs == 1 and self.crack == 0

    def raw(self, values: np.ndarray) -> np.ndarray:
        """The raw answer: the output for a crack, the negative of an output against one, of two logits the difference.

        Args:
            values: (..., outputs), in units of the output tensor.

        Returns:
            float64 (...); whole numbers for an integer output.
        """
        wide = np.asarray(values, dtype=np.float64)
        if self.kind == "logits":
            return wide[..., self.crack] - wide[..., 1 - self.crack]
        if self.kind == "softmax":
            return wide[..., self.crack]
        return -wide[..., 0] if self._against else wide[..., 0]

    def logit(self, raw: np.ndarray | float, scale: float = 0.0, zero_point: int = 0) -> np.ndarray:
        """The logit that a raw answer stands for.

        A quantised probability has no value between 0 and its first step: what it calls 0 is taken for half a step, so that the
        logit is finite, and 1 likewise.

        Args:
            raw: from `raw`, any shape.
            scale: of the output tensor; 0 when it is not quantised.
            zero_point: of the output tensor.

        Returns:
            float32 of that shape.
        """
        wide = np.asarray(raw, dtype=np.float64)
        if self.kind == "logits":
            return _dequantised(wide, scale, 0)  # in a difference the zero points cancel
        value = _dequantised(-wide if self._against else wide, scale, zero_point)
        if not self._is_probability:
            return -value if self._against else value
        least = scale / 2 if scale else LEAST_PROBABILITY
        share = np.clip(value.astype(np.float64), least, 1 - least)
        logits = np.log(share) - np.log1p(-share)
        return (-logits if self._against else logits).astype(np.float32)

    def raw_threshold(self, logit: float, scale: float, zero_point: int, dtype: str = "int8") -> int:
        """Smallest integer answer that counts as a crack, so that `raw >= raw_threshold` decides what `logit >= threshold` would.

        Values are compared as float32, the type the logits have: a threshold taken from the model's own logits keeps its tile.

        Args:
            logit: threshold in logits; may be infinite.
            scale: of the output tensor, > 0.
            zero_point: of the output tensor.
            dtype: "int8" or "uint8".

        Returns:
            An integer of the answer's range, or one past its maximum (of a single int8 logit 128) when even the largest lies below
            the threshold: compared in a wider type, nothing is then called a crack.

        Raises:
            CrackError: if the logit is NaN, the scale is not positive, or the dtype is neither int8 nor uint8.
        """
        if dtype not in ("int8", "uint8"):
            raise CrackError(f"dtype {dtype!r}: a raw threshold exists for int8 and uint8 outputs only.")
        if math.isnan(logit) or not 0 < scale < math.inf:
            raise CrackError(
                f"a raw threshold needs a number and a positive scale, got logit {logit} and scale {scale}."
            )
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        if self.kind == "logits":
            low, high = low - high, high - low
        elif self._against:
            low, high = -high, -low
        values = self.logit(np.arange(low, high + 1), scale, zero_point)
        # `values` never falls, so the first index at or above the threshold is the number of values below it.
        return low + int(np.searchsorted(values, np.float32(logit), side="left"))


OWN_HEAD = Head()  # of this project's models


def dequantise(raw: np.ndarray | int, scale: float, zero_point: int) -> np.ndarray:
    """float32 value of quantised integers: scale * (raw - zero_point).

    The product of a float32 scale and a 9-bit integer is exact in float64, so the single rounding to float32 makes the
    result the same everywhere, the device's C code included.
    """
    return (float(scale) * (np.asarray(raw, dtype=np.int64) - zero_point)).astype(np.float32)


def raw_threshold(logit: float, scale: float, zero_point: int, dtype: str = "int8") -> int:
    """`Head.raw_threshold` of a single logit."""
    return OWN_HEAD.raw_threshold(logit, scale, zero_point, dtype)


def _dequantised(raw: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    return dequantise(raw.astype(np.int64), scale, zero_point) if scale else raw.astype(np.float32)
