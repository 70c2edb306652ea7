"""Run a crack segmentation model from a .tflite file: a map of logits per tile. numpy and LiteRT only.

The file is checked like a classifier's (`tflite.runtime`): sha256, tensors, and one known answer, here of 64 pixels.

Example:
    segmenter = Segmenter("unet-int8-qat.tflite", threads=4)
    tile = load_rgb("tile.jpg", segmenter.image_size)
    print(segmenter.mask(tile).mean())

`crack_tf.inference.maps.segment` puts whole photographs together from such tiles.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tflite.foreign import kind_of
from tflite.metrics import sigmoid
from tflite.runtime import Classifier, TileModel, load_interpreter
from tflite.sidecar import Golden, Sidecar, dequantise, golden_grid, golden_input, read_sidecar
from tflite.windows import widened, window_step

_WINDOWS = 4  # sizes of windows that are kept ready: photographs of a flight have one or two


class Segmenter(TileModel):
    """A loaded, checked model that says for every pixel of a tile how likely it is crack.

    Arguments and errors: see `tflite.runtime.TileModel`. One instance serves one thread at a time.
    """

    task = "segment"

    def __init__(self, path: str | Path, *, threads: int = 1, delegate: str = "xnnpack", trust: bool = False) -> None:
        super().__init__(path, threads=threads, delegate=delegate, trust=trust)
        self.delegate = delegate
        self._threads = threads
        self._windows: dict[tuple[int, int], Any] = {}

    def another(self) -> Segmenter:
        """A second interpreter of the same file, for another thread. The file was compared with its sidecar before."""
        return Segmenter(self.path, threads=self._threads, delegate=self.delegate, trust=True)

    def raw(self, tile: np.ndarray) -> np.ndarray:
        """One inference on raw pixels.

        Args:
            tile: uint8 RGB of shape (image_size, image_size, 3).

        Returns:
            The output map (image_size, image_size) in its own units: int8 or uint8 integers, or float32 logits.

        Raises:
            CrackError: if the tile has another shape or dtype.
        """
        return self.run(tile)[0, :, :, 0]

    def golden(self) -> Golden:
        """What the model answers to `golden_input` here, with tolerance 0."""
        return golden_of(self.raw(golden_input(self.image_size)))

    @cached_property
    def window_step(self) -> int | None:
        """What the sides of larger windows have to be multiples of, in pixels; None where it takes its tiles only."""
        return None if self.delegate == "edgetpu" else window_step(self.path)

    def mask(self, tile: np.ndarray) -> np.ndarray:
        """Which pixels of one tile are crack at the sidecar's threshold, bool (image_size, image_size).

        Quantised models compare integers; nothing is dequantised.
        """
        raw, threshold = self.raw(tile), self.sidecar.threshold
        # In a wider type: the threshold may lie one past the largest output.
        return (
            raw.astype(np.int16) >= threshold.raw if threshold.raw is not None else raw >= np.float32(threshold.logit)
        )

    def logits(self, tile: np.ndarray) -> np.ndarray:
        """Logits of one tile: uint8 (image_size, image_size, 3) to float32 (image_size, image_size)."""
        raw, output = self.raw(tile), self.sidecar.output
        return dequantise(raw, output.scale, output.zero_point) if output.quantised else raw.astype(np.float32)

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """Probability of a crack at every pixel, one inference per tile.

        Args:
            tiles: uint8 (n, image_size, image_size, 3), or windows of another size, see `window_step`.

        Returns:
            float32 of the first three axes' shape.

        Raises:
            CrackError: if the model takes no tiles of that shape.
        """
        found = np.empty(tiles.shape[:3], np.float32)
        for number, tile in enumerate(tiles):
            raw = self._raw_window(tile)
            if self.sidecar.output.quantised:
                # Clipping never happens, and spares a check and a copy of every pixel.
                np.take(self._probability_of, raw.view(np.uint8), out=found[number], mode="clip")
            else:
                found[number] = sigmoid(raw)
        return found

    def _raw_window(self, pixels: np.ndarray) -> np.ndarray:
        """`raw` of a tile or of a window, whose interpreter is made when its size is first asked for."""
        height, width, *channels = pixels.shape
        whole = channels == [3] and pixels.dtype == np.uint8  # else refused as a tile is
        if height == width == self.image_size or self.window_step is None or not whole:
            return self.raw(pixels)
        found = self._windows.pop((height, width), None)
        if found is None:
            content = widened(self.path, height, width)
            found = load_interpreter(self.path, self._threads, self.delegate, content)
        self._windows[height, width] = found
        if len(self._windows) > _WINDOWS:
            del self._windows[next(iter(self._windows))]  # the one that was not used for longest
        return self._ask(found, pixels)[0, :, :, 0]

    @property
    def threshold_probability(self) -> float:
        """Where a stitched map of probabilities is to be cut."""
        return cut_probability(self.sidecar)

    @cached_property
    def _probability_of(self) -> np.ndarray:
        """Probability by output byte: an integer output has 256 values only."""
        output = self.sidecar.output
        values = np.arange(256, dtype=np.uint8).view(output.dtype)
        return sigmoid(dequantise(values, output.scale, output.zero_point)).astype(np.float32)


def golden_of(values: np.ndarray) -> Golden:
    """The golden answer that a map (image_size, image_size) gives, with tolerance 0."""
    grid = golden_grid(values)
    return Golden(float(np.mean(grid)), 0.0, grid)


def cut_probability(sidecar: Sidecar) -> float:
    """The threshold for averages of probabilities, as `stitch` makes them where tiles overlap.

    Of an integer output it is midway between the two steps on either side of the threshold: the average of equal values
    may differ from them in its last bit, and exactly on a step that bit would decide.
    """
    threshold, output = sidecar.threshold, sidecar.output
    if threshold.raw is None:
        return threshold.probability
    return float(sigmoid(output.scale * (threshold.raw - 0.5 - output.zero_point)))


def load_model(
    path: str | Path, *, threads: int = 1, delegate: str = "xnnpack", trust: bool = False
) -> Classifier | Segmenter:
    """A `Classifier` or a `Segmenter`, as the file's sidecar says. Arguments and errors: see `tflite.runtime.TileModel`."""
    # A file that is missing, empty or of another format is named first, as the constructors do.
    known = Path(path).is_file() and kind_of(path) is None
    kind = Segmenter if known and read_sidecar(path).task == "segment" else Classifier
    return kind(path, threads=threads, delegate=delegate, trust=trust)
