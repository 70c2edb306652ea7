"""What may be searched: small declared objects that stand beside each model and say nothing of any tuner.

A search space is a dictionary from a name to a dimension. The name is a hyperparameter of the model's builder or a field of
`crack_tf.TrainConfig` (image_size, learning_rate, ...).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tflite.arguments import is_list, is_number, is_whole


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Attributes:
        values: in the order in which a grid tries them; numbers, strings, booleans or tuples.
        default: the published or customary one, among the values.
        least: smallest number that the model takes; of a tuple's numbers, too.
        below: the model takes smaller numbers than this only; None for any.
        closed: there are no words but the values.
    """

    values: tuple[Any, ...]
    default: Any
    least: float = 0
    below: float | None = None
    closed: bool = False

    def __post_init__(self) -> None:
        assert self.default in self.values, f"default {self.default} is not among {self.values}"

    def with_default(self, value: Any) -> Choice:
        """The same choice with another default, which becomes one of the values if it is none yet."""
        return replace(self, values=self.values if value in self.values else (*self.values, value), default=value)

    def wanted(self, value: Any) -> str:
        """What to give instead of a value, declared or not, that no model takes; "" for one that it may."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else "True or False"
        if isinstance(self.default, str):
            if self.closed:
                return "" if value in self.values else f"one of {', '.join(self.values)}"
            return "" if isinstance(value, str) else "a word"
        several = isinstance(self.default, tuple)
        kind = is_whole if several or is_whole(self.default) else is_number
        if (is_list(value) and len(value) > 0) if several else not is_list(value):
            numbers = value if several else [value]
            if all(kind(one) and one >= self.least and (self.below is None or one < self.below) for one in numbers):
                return ""
        what = "whole numbers" if several else "a whole number" if kind is is_whole else "a number"
        what += f" from {self.least:g}" + ("" if self.below is None else f" to below {self.below:g}")
        return what + (", with commas between" if several else "")

    def __str__(self) -> str:
        return " | ".join(f"[{v}]" if v == self.default else str(v) for v in self.values)


@dataclass(frozen=True)
class Range:
    """A number between two bounds, both included.

    Attributes:
        low: lower bound.
        high: upper bound, above low.
        default: the published or customary one.
        log: drawn evenly on a logarithmic scale; low is then above 0.
    """

    low: float
    high: float
    default: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high, f"{self.low} is not below {self.high}"
        assert self.low <= self.default <= self.high, f"default {self.default} lies outside"

    def with_default(self, value: float) -> Range:
        """The same range with another default, inside it."""
        return Range(self.low, self.high, value, self.log)

    def __str__(self) -> str:
        return f"{self.low:g} ... {self.high:g}{' (log)' if self.log else ''}, default {self.default:g}"


Space = dict[str, Choice | Range]

# How any of the models that classify tiles is trained.
TRAINING: Space = {
    "learning_rate": Range(1e-4, 1e-2, 1e-3, log=True),
    "batch": Choice((16, 32, 64), 32),
    "optimizer": Choice(("adam", "adamw", "rmsprop"), "adam"),
    "positive_weight": Choice((1.0, 2.0, 3.0), 1.0),
    "augmentation": Choice((0.5, 1.0, 1.5), 1.0),
}

# How any of the models that draw masks is trained. Weights and rate around the segmentation study's.
MASK_TRAINING: Space = {
    "learning_rate": Range(1e-4, 1e-2, 1e-3, log=True),
    "batch": Choice((4, 8, 16), 8),
    "optimizer": Choice(("adam", "adamw", "rmsprop"), "adam"),
    "loss": Choice(("bce", "dice", "tversky", "bce+dice", "bce+tversky"), "bce+dice"),
    "positive_weight": Choice((1.0, 1.1, 1.5), 1.1),
    "negative_weight": Choice((0.9, 1.0), 0.9),
    "augmentation": Choice((0.5, 1.0, 1.5), 1.0),
}
