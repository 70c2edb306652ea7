"""A .tflite file of which nothing is known but the file: it can be timed, and no answer of it can be judged.

Without a sidecar nobody has said what the pixels are to become, which output means a crack, or that the file is whole. So it gets
made-up input of its own shapes, and what it answers is thrown away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.runtime import DELEGATES, Nodes, count_nodes, load_interpreter
from tflite.sidecar import sidecar_path


class BareModel:
    """A loaded model without sidecar.

    Args:
        path: the .tflite file.
        threads: CPU threads, at least 1.
        delegate: one of `tflite.runtime.DELEGATES`.

    Raises:
        CrackError: if an argument is out of range or LiteRT is not installed.
        ModelFileError: if LiteRT cannot load or run the file. A damaged one may end the process: run it in one of its own.
    """

    def __init__(self, path: str | Path, *, threads: int = 1, delegate: str = "xnnpack") -> None:
        if threads < 1 or delegate not in DELEGATES:
            raise CrackError(
                f"threads {threads}, delegate {delegate!r}: at least 1, and one of {', '.join(DELEGATES)}."
            )
        self.path = Path(path)
        self._interpreter = load_interpreter(self.path, threads, delegate)
        self.nodes: Nodes = count_nodes(self._interpreter._get_ops_details())
        self._inputs = [
            (int(entry["index"]), _made_up(self.path, entry)) for entry in self._interpreter.get_input_details()
        ]
        self._outputs = [int(entry["index"]) for entry in self._interpreter.get_output_details()]
        try:
            self.run()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelFileError(f"LiteRT cannot run {self.path} ({reason}). Convert or copy it again.") from None

    @property
    def image_size(self) -> int | None:
        """Side of the input in pixels, or None when that is no square picture."""
        shape = self._inputs[0][1].shape if self._inputs else ()
        return int(shape[1]) if len(shape) == 4 and shape[1] == shape[2] else None

    @property
    def sha256(self) -> str:
        """The file's."""
        return sha256_file(self.path)

    def run(self) -> None:
        """One inference: input copied in, invoked, every output copied out."""
        for index, values in self._inputs:
            self._interpreter.set_tensor(index, values)
        self._interpreter.invoke()
        for index in self._outputs:
            self._interpreter.get_tensor(index)


def is_bare(path: str | Path) -> bool:
    """Whether a model file has no sidecar beside it."""
    return not sidecar_path(path).exists()


def _made_up(path: Path, entry: dict[str, Any]) -> np.ndarray:
    """Values that are no constant, since some kernels are faster on zeros; numbers that count or index something are 0."""
    shape, dtype = tuple(int(side) for side in entry["shape"]), np.dtype(entry["dtype"])
    count = int(np.prod(shape))
    texture = (np.arange(count, dtype=np.uint32) * 7919 % 251).astype(np.uint8)
    if dtype.itemsize == 1 and dtype.kind in "iu":
        return texture.view(dtype).reshape(shape)
    if dtype.kind == "f":
        return (texture / 251).astype(dtype).reshape(shape)
    if dtype.kind in "iub":
        return np.zeros(shape, dtype)
    raise ModelFileError(f"{path} takes {dtype} input, and no picture is that. Name another model.")
