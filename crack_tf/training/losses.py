"""Losses on logits, in `keras.ops` so that they run on every backend: one logit per tile, or a map of them.

`make_loss` puts them together by name:

bce       binary cross-entropy with a weight per class
dice      1 - Dice coefficient of the batch's soft masks (Milletari et al., V-Net, 3DV 2016)
tversky   the same with misses counted more than false alarms (Salehi et al., MLMI 2017)
bce+dice  their sum; any of them may be added

`CellLoss` is that of cells, see `crack_tf.models.heads.with_cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from crack_tf.data.cache import UNKNOWN
from crack_tf.training.config import loss_names


@keras.saving.register_keras_serializable("crack_tf")
class WeightedBinaryCrossentropy(keras.losses.Loss):
    """Binary cross-entropy on a logit, with a weight per class.

    A positive weight above 1 makes a missed crack cost more than a false alarm. With both weights 1 it is the plain
    binary cross-entropy.

    Args:
        positive_weight: factor on cracked tiles or pixels, above 0.
        negative_weight: factor on clean ones, above 0.
    """

    def __init__(
        self,
        positive_weight: float = 1.0,
        negative_weight: float = 1.0,
        name: str = "weighted_bce",
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss per tile or pixel; labels 0 or 1 and logits of shape (..., 1), result (...)."""
        y_true = keras.ops.cast(y_true, y_pred.dtype)
        missed = self.positive_weight * y_true * keras.ops.softplus(-y_pred)
        false_alarm = self.negative_weight * (1 - y_true) * keras.ops.softplus(y_pred)
        return keras.ops.mean(missed + false_alarm, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "positive_weight": self.positive_weight,
            "negative_weight": self.negative_weight,
        }


@keras.saving.register_keras_serializable("crack_tf")
class TverskyLoss(keras.losses.Loss):
    """One minus the Tversky index, hits / (hits + miss * misses + false_alarm * false alarms), of soft counts.

    A pixel with probability p counts as p of a crack pixel. Counts are summed over the batch before they are divided: patches without
    a crack would otherwise give an index of nothing. One pixel is added above and below, so that a batch without cracks has a loss.

    Args:
        miss: weight of missed crack pixels.
        false_alarm: weight of clean pixels called crack; with both weights 0.5 it is the Dice loss.
    """

    def __init__(
        self,
        miss: float = 0.7,
        false_alarm: float = 0.3,
        name: str = "tversky",
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.miss = miss
        self.false_alarm = false_alarm

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of the batch, a scalar; labels 0 or 1 and logits of one shape."""
        y_true = keras.ops.cast(y_true, y_pred.dtype)
        probability = keras.ops.sigmoid(y_pred)
        hits = keras.ops.sum(probability * y_true)
        misses = keras.ops.sum((1 - probability) * y_true)
        false_alarms = keras.ops.sum(probability * (1 - y_true))
        return 1 - (hits + 1) / (hits + self.miss * misses + self.false_alarm * false_alarms + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "miss": self.miss, "false_alarm": self.false_alarm}


@keras.saving.register_keras_serializable("crack_tf")
class SumOfLosses(keras.losses.Loss):
    """The sum of several losses.

    Args:
        parts: the losses; each reduces to a scalar itself.
    """

    def __init__(
        self,
        parts: Sequence[keras.losses.Loss],
        name: str = "sum_of_losses",
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.parts = list(parts)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of the batch, a scalar; labels 0 or 1 and logits of one shape."""
        return sum(part(y_true, y_pred) for part in self.parts)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parts": [keras.losses.serialize(part) for part in self.parts]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SumOfLosses:
        return cls(**{**config, "parts": [keras.losses.deserialize(part) for part in config["parts"]]})


@keras.saving.register_keras_serializable("crack_tf")
class CellLoss(keras.losses.Loss):
    """Cross-entropy of a map of cells, the mean over the tiles whose mask is known; 0 where none is."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of the batch, a scalar; 0, 1 or UNKNOWN, and logits, (b, rows, columns, 1)."""
        ops = keras.ops
        known = ops.cast(ops.max(y_true, axis=(1, 2, 3)) < UNKNOWN, y_pred.dtype)
        errors = ops.softplus(y_pred) - ops.cast(y_true, y_pred.dtype) * y_pred
        return ops.sum(ops.mean(errors, axis=(1, 2, 3)) * known) / ops.maximum(ops.sum(known), 1.0)


_PARTS: dict[str, Callable[[float, float], keras.losses.Loss]] = {
    "bce": WeightedBinaryCrossentropy,
    "dice": lambda positive, negative: TverskyLoss(0.5, 0.5, name="dice"),
    "tversky": lambda positive, negative: TverskyLoss(),
}


def make_loss(name: str, positive_weight: float = 1.0, negative_weight: float = 1.0) -> keras.losses.Loss:
    """A loss by name.

    Args:
        name: "bce", "dice" or "tversky", or several joined by "+".
        positive_weight: of crack in the cross-entropy.
        negative_weight: of everything else in the cross-entropy.

    Raises:
        CrackError: for another name.
    """
    parts = [_PARTS[part](positive_weight, negative_weight) for part in loss_names(name)]
    return parts[0] if len(parts) == 1 else SumOfLosses(parts)
