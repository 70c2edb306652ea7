"""Models as people bring them, made by hand and without TensorFlow: dark tiles are cracked, whatever the head and number format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tflite.files import write_bytes

SIZE = 32
STEEPNESS = 8.0  # logit of a black tile; a white one has the opposite
DARK, BRIGHT = 60, 200


def logit_of(brightness: float) -> float:
    """What the model means by a tile of this mean brightness, 0 to 255."""
    return STEEPNESS * (1 - 2 * brightness / 255)


def write_pictures(folder: Path, side: int = SIZE) -> tuple[Path, Path]:
    """A dark picture, which is "cracked", and a bright one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "dark.png", folder / "bright.png"
    for path, brightness in zip(paths, (DARK, BRIGHT), strict=True):
        Image.fromarray(np.full((side, side, 3), brightness, np.uint8)).save(path)
    return paths


def write_own_model(
    path: Path, kind: str, *, quantised: bool = False, crack: int = 1, open_batch: bool = False, channels: int = 3
) -> Path:
    """A .tflite file that takes pixels / 255.

    Args:
        path: to write.
        kind: of head, see `tflite.heads`.
        quantised: uint8 at both ends, or float32.
        crack: which class means a crack; of one output 0 turns its sign.
        open_batch: leave the batch open, as Keras's converter does.
        channels: 1 or 3.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    types, operators = schema.TensorType, schema.BuiltinOperator
    pixels, outputs = SIZE * SIZE * channels, 2 if kind in ("logits", "softmax") else 1
    # Each of two logits is half of what a single one is.
    signs = np.array([1.0 if number == crack else -1.0 for number in range(2)])[-outputs:]
    size = STEEPNESS / outputs
    end = {"probability": operators.LOGISTIC, "softmax": operators.SOFTMAX}.get(kind)
    buffers = [schema.BufferT()]
    tensors: list[Any] = []

    def tensor(name: str, shape: list[int], kind: int, values: np.ndarray | None, scale: float, zero_point: int) -> int:
        found = schema.TensorT()
        found.name, found.shape, found.type, found.buffer = name, shape, kind, 0
        if values is not None:
            data = schema.BufferT()
            data.data = np.frombuffer(values.tobytes(), np.uint8)
            buffers.append(data)
            found.buffer = len(buffers) - 1
        elif open_batch:
            found.shapeSignature = [-1, *shape[1:]]
        if scale:
            found.quantization = schema.QuantizationParametersT()
            found.quantization.scale, found.quantization.zeroPoint = [scale], [zero_point]
        tensors.append(found)
        return len(tensors) - 1

    weight = 2 * size / pixels
    if quantised:
        byte, wide = types.UINT8, types.INT32
        steps = np.repeat((128 - signs).astype(np.uint8)[:, np.newaxis], pixels, axis=1)
        bias = np.rint(signs * size * 255 / weight).astype(np.int32)
        tensor("tile", [1, SIZE, SIZE, channels], byte, None, 1 / 255, 0)
        tensor("weights", [outputs, pixels], byte, steps, weight, 128)
        tensor("bias", [outputs], wide, bias, weight / 255, 0)
        tensor("logit", [1, outputs], byte, None, 1 / 16, 128)
    else:
        rows = np.repeat((-signs * weight).astype(np.float32)[:, np.newaxis], pixels, axis=1)
        tensor("tile", [1, SIZE, SIZE, channels], types.FLOAT32, None, 0.0, 0)
        tensor("weights", [outputs, pixels], types.FLOAT32, rows, 0.0, 0)
        tensor("bias", [outputs], types.FLOAT32, (signs * size).astype(np.float32), 0.0, 0)
        tensor("logit", [1, outputs], types.FLOAT32, None, 0.0, 0)
    steps_of = [(operators.FULLY_CONNECTED, "FullyConnectedOptions", [0, 1, 2], [3])]
    if end is not None:
        scale = 1 / 256 if quantised else 0.0
        last = tensor("share", [1, outputs], types.UINT8 if quantised else types.FLOAT32, None, scale, 0)
        steps_of.append((end, "SoftmaxOptions" if kind == "softmax" else "", [3], [last]))
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [len(tensors) - 1], []
    codes = []
    for number, (code, options, inputs, given) in enumerate(steps_of):
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs, given
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            if options == "SoftmaxOptions":
                operator.builtinOptions.beta = 1.0
        graph.operators.append(operator)
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 1
        codes.append(entry)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, codes, [graph], buffers
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    write_bytes(path, bytes(builder.Output()))
    return path
