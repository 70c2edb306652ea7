"""Losses on logits, in `keras.ops` so that they run on every backend."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("crack_tf")
class WeightedBinaryCrossentropy(keras.losses.Loss):
    """Binary cross-entropy on a logit, with a weight per class.

    A positive weight above 1 makes a missed crack cost more than a false alarm. With both weights 1 it is the plain
    binary cross-entropy.

    Args:
        positive_weight: factor on cracked tiles, above 0.
        negative_weight: factor on clean tiles, above 0.
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
        """Loss per tile; labels 0 or 1 and logits of shape (batch, 1), result (batch,)."""
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
