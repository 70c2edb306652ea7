"""What a model from elsewhere makes of a pixel before it looks at it. numpy only.

This project's own models take raw bytes: normalisation is in their graph, or in their input's quantisation. Models from elsewhere
were trained on pixel / 255, on pixel / 127.5 - 1, on ImageNet's mean and deviation, on blue first, on grey. A pixel has 256 values,
so whatever it is, int8 or float, is a table of 256 rows that is looked up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflite.tensors import TensorSpec

COLOURS = ("rgb", "bgr", "grey")


@dataclass(frozen=True)
class Scaling:
    """(pixel - mean) / std, channel by channel.

    Attributes:
        mean: per channel of the model's input, in pixel values.
        std: likewise, above 0.
        colours: the channels of the model's input: "rgb", "bgr", or "grey" for a single one.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    colours: str = "rgb"

    @property
    def channels(self) -> int:
        """The model's input has so many."""
        return 1 if self.colours == "grey" else 3

    def check(self) -> None:
        """Refuse what is no scaling.

        Raises:
            ValueError: naming the field.
        """
        if self.colours not in COLOURS:
            raise ValueError(f"scaling.colours is {self.colours!r}, expected one of {', '.join(COLOURS)}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"scaling has {len(self.mean)} means and {len(self.std)} deviations for {self.colours}")
        if not all(map(math.isfinite, self.mean)) or not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"scaling has means {list(self.mean)} and deviations {list(self.std)}")

    def values(self) -> np.ndarray:
        """What each of the 256 pixel values becomes: float64 (256, channels)."""
        pixels = np.arange(256, dtype=np.float64)[:, np.newaxis]
        return (pixels - np.array(self.mean)) / np.array(self.std)

    def table(self, spec: TensorSpec) -> np.ndarray:
        """The same as the model's input stores it: (256, channels) of the input's dtype.

        Values that an integer input cannot hold become its nearest.
        """
        values = self.values()
        if spec.dtype == "float32":
            return values.astype(np.float32)
        limits = np.iinfo(spec.dtype)
        steps = np.rint(values / (spec.scale or 1.0)) + spec.zero_point
        return steps.clip(limits.min, limits.max).astype(spec.dtype)

    def select(self, tiles: np.ndarray) -> np.ndarray:
        """The channels that the model takes.

        Args:
            tiles: uint8 RGB (..., 3).

        Returns:
            uint8 (..., channels); grey by ITU-R 601-2, rounded as Pillow does.
        """
        if self.colours == "rgb":
            return tiles
        if self.colours == "bgr":
            return tiles[..., ::-1]
        red, green, blue = (tiles[..., channel].astype(np.uint32) for channel in range(3))
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[..., np.newaxis]


def look_up(table: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Each channel's pixels through its own column: uint8 (..., channels) to the table's dtype."""
    return table[pixels, np.arange(table.shape[1])]
