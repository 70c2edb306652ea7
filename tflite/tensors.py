"""What a tensor of a model is: shape and number format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TensorSpec:
    """Shape and number format of a model's input or output.

    Attributes:
        shape: with the batch axis, such as (1, 224, 224, 3).
        dtype: "float32", "int8" or "uint8".
        scale: value of one integer step; 0.0 when the tensor is not quantised.
        zero_point: integer that stands for 0.0.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def quantised(self) -> bool:
        return self.scale != 0.0
