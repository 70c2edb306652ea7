"""A segmentation .tflite file made by hand, without TensorFlow: dark pixels are crack. The sibling of `dark_model`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.dark_model import STEEPNESS
from tflite.files import sha256_file, write_bytes
from tflite.metrics import sigmoid
from tflite.sidecar import Sidecar, TensorSpec, Threshold, golden_grid, golden_input, raw_threshold, write_sidecar

SIZE = 32
RADIUS = 1  # of the receptive field, pixels
SCALE, ZERO_POINT = 1 / 16, 128


def logits_of(photo: np.ndarray) -> np.ndarray:
    """What the model answers to a photograph of any size, before rounding to steps of 1/16: float (height, width).

    The mean over 3 x 3 pixels decides; outside the photograph lies mid-grey.
    """
    values = (128 - photo.astype(np.float64).mean(axis=2)) / 128
    padded = np.pad(values, RADIUS)
    height, width = values.shape
    rows = range(2 * RADIUS + 1)
    total = sum(padded[y : y + height, x : x + width] for y in rows for x in rows)
    return np.asarray(STEEPNESS * total / 9)


def write_map_model(path: Path, size: int = SIZE, **changes: Any) -> Sidecar:
    """Write the model and its sidecar.

    Args:
        path: of the .tflite file.
        size: side of its tiles in pixels.
        changes: other fields of the sidecar.
    """
    from tflite.segmenter import golden_of

    write_bytes(path, _flatbuffer(size))
    logit = 0.0
    answer = np.clip(np.round(logits_of(golden_input(size)) / SCALE) + ZERO_POINT, 0, 255)
    assert len(golden_grid(answer)) == 64
    sidecar = Sidecar(
        model="dark_map",
        scheme="int8-ptq",
        file=path.name,
        sha256=sha256_file(path),
        image_size=size,
        labels=("no_crack", "crack"),
        hyperparameters={},
        input=TensorSpec((1, size, size, 3), "uint8", 1 / 128, 128),
        output=TensorSpec((1, size, size, 1), "uint8", SCALE, ZERO_POINT),
        threshold=Threshold(
            float(sigmoid(logit)), logit, raw_threshold(logit, SCALE, ZERO_POINT, "uint8"), None, "val"
        ),
        golden=replace(golden_of(answer), tolerance=2.0),
        training={"dataset": "synthetic", "policy": "grouped", "manifest_sha256": "0" * 64, "seed": 0},
        metrics={},
        licence="CC0-1.0",
        versions={"python": "3"},
        git_revision=None,
        created="2025-01-01T00:00:00+00:00",
        task="segment",
    )
    sidecar = replace(sidecar, **changes)
    write_sidecar(path, sidecar)
    return sidecar


def dark_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Light noise crossed by one dark line 4 pixels wide, uint8 (height, width, 3)."""
    photo = np.random.default_rng(seed).integers(150, 230, (height, width, 1)).repeat(3, axis=2)
    row, column = np.ogrid[:height, :width]
    photo[np.abs(row - height / 2 - (column - width / 2) / 3) < 2] = 20
    return photo.astype(np.uint8)


def _flatbuffer(size: int) -> bytes:
    """One 3 x 3 CONV_2D operator to one channel, all weights alike and negative."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    weights = 3 * (2 * RADIUS + 1) ** 2
    weight = STEEPNESS / weights

    def tensor(name: str, shape: list[int], kind: int, buffer: int, scale: float, zero_point: int) -> Any:
        found = schema.TensorT()
        found.name, found.shape, found.type, found.buffer = name, shape, kind, buffer
        found.quantization = schema.QuantizationParametersT()
        found.quantization.scale, found.quantization.zeroPoint = [scale], [zero_point]
        return found

    def buffer(data: bytes | None = None) -> Any:
        found = schema.BufferT()
        if data is not None:
            found.data = np.frombuffer(data, np.uint8)
        return found

    byte, integer = schema.TensorType.UINT8, schema.TensorType.INT32
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("tile", [1, size, size, 3], byte, 0, 1 / 128, 128),
        tensor("weights", [1, 3, 3, 3], byte, 1, weight, 128),
        tensor("bias", [1], integer, 2, weight / 128, 0),
        tensor("logits", [1, size, size, 1], byte, 0, SCALE, ZERO_POINT),
    ]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = schema.Conv2DOptionsT()
    operator.builtinOptions.padding = schema.Padding.SAME
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(), buffer(bytes([127]) * weights), buffer(bytes(4))]
    builder = flatbuffers.Builder(8192)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
