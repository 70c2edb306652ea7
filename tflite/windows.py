"""Larger windows for a segmentation model: the same network, rewritten in memory for another size than that of its tiles.

Tiles overlap, so that each has surroundings, and what overlaps is computed twice: 22 megapixels for a photograph of 12. A network that
is made of local steps only (convolutions, sums, steps up and down by a fixed factor) answers about any size. Its file states sizes in
two places, the shapes of its tensors and the results of its resizing operators; these numbers are scaled, and nothing else changes.
Inside, a window's answers are those of a tile that had more surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError
from tflite.graph import is_constant, operator_name, read_flatbuffer

_RESIZING = frozenset({"RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"})
# Operators whose answer at a place depends on what is near. A mean over the tile, say, would become one over the window.
_LOCAL = _RESIZING | {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "CONCATENATION", "QUANTIZE", "DEQUANTIZE"),
    *("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "HARD_SWISH", "LOGISTIC"),
}  # fmt: skip


def window_step(path: str | Path) -> int | None:
    """What the sides of a window must be multiples of, in pixels.

    Args:
        path: of a .tflite file that maps a square tile to a map of its size.

    Returns:
        How many times smaller than the tile the smallest map inside the network is; None where it answers about its tiles only.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read.
    """
    return read_flatbuffer(path, lambda model, _: _step(model))


def widened(path: str | Path, height: int, width: int) -> bytes:
    """The model for windows of that size, as the content of a .tflite file.

    Args:
        path: of the .tflite file.
        height, width: multiples of its `window_step`.

    Raises:
        CrackError: if the sides are no such multiples, or the network answers about its tiles only.
        ModelFileError: if the file cannot be read.
    """
    step = window_step(path)
    if step is None or min(height, width) < step or height % step or width % step:
        raise CrackError(f"{path} takes no window of {width}x{height} pixels: its sides must be multiples of {step}.")
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(Path(path).read_bytes())
    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    side = graph.Tensors(graph.Inputs(0)).Shape(1)
    # Views into `data`. Files may keep equal numbers in one place: each place is scaled once.
    places: dict[int, np.ndarray] = {}
    for sizes in (*_shapes(model, graph), *(value for _, value in _resized(model, graph))):
        places[sizes.__array_interface__["data"][0]] = sizes
    for sizes in places.values():
        sizes *= np.array([height, width])
        sizes //= side
    return bytes(data)


def _step(model: Any) -> int | None:
    if model.SubgraphsLength() != 1:
        return None
    graph = model.Subgraphs(0)
    side = graph.Tensors(graph.Inputs(0)).Shape(1)
    for _, inputs, name in _operators(model, graph):
        # Constants of more than one row or column, beside weights, belong to places of the tile.
        fixed = [tensor for tensor in inputs if is_constant(model, tensor) and _is_map(tensor)]
        if name not in _LOCAL or (fixed and not name.endswith("CONV_2D")):
            return None
    shapes = _shapes(model, graph)
    if len(shapes) != sum(not is_constant(model, tensor) for tensor in _tensors(graph)):
        return None  # something in it has no place
    sizes = [*map(tuple, shapes), *(tuple(value) for _, value in _resized(model, graph))]
    if any(len(size) != 2 or size[0] != size[1] or size[0] < 1 or side % size[0] for size in sizes):
        return None
    return int(side // min(size[0] for size in sizes))


def _tensors(graph: Any) -> Iterator[Any]:
    return (graph.Tensors(number) for number in range(graph.TensorsLength()))


def _operators(model: Any, graph: Any) -> Iterator[tuple[Any, list[Any], str]]:
    """Each operator with its inputs and its name."""
    for position in range(graph.OperatorsLength()):
        operator = graph.Operators(position)
        numbers = [operator.Inputs(slot) for slot in range(operator.InputsLength())]
        inputs = [graph.Tensors(number) for number in numbers if number >= 0]
        yield operator, inputs, operator_name(model.OperatorCodes(operator.OpcodeIndex()))


def _is_map(tensor: Any) -> bool:
    return bool(tensor.ShapeLength() == 4 and max(tensor.Shape(1), tensor.Shape(2)) > 1)


def _shapes(model: Any, graph: Any) -> list[np.ndarray]:
    """Height and width of every computed tensor of four axes, as views into the file's bytes."""
    computed = [tensor for tensor in _tensors(graph) if not is_constant(model, tensor)]
    return [tensor.ShapeAsNumpy()[1:3] for tensor in computed if tensor.ShapeLength() == 4]


def _resized(model: Any, graph: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Each resizing operator, and the height and width it makes, as a view into the file's bytes; empty if not stated there."""
    for operator, inputs, name in _operators(model, graph):
        if name in _RESIZING:
            buffer = model.Buffers(inputs[1].Buffer())
            yield operator, buffer.DataAsNumpy().view(np.int32) if buffer.DataLength() else np.zeros(0, np.int32)
