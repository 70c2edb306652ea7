"""A .tflite file made by hand, without TensorFlow: it calls dark tiles cracked, so that every answer can be foretold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tflite.files import sha256_file, write_bytes
from tflite.metrics import sigmoid
from tflite.sidecar import (
    Golden,
    Sidecar,
    TensorSpec,
    Threshold,
    golden_input,
    raw_threshold,
    write_sidecar,
)

SIZE = 32
STEEPNESS = 8.0  # logit of a black tile; a white one has almost the opposite
OUTPUT = TensorSpec((1, 1), "uint8", 1 / 16, 128)


def logit_of(brightness: float) -> float:
    """What the model answers to a tile of this mean brightness (0 to 255), before rounding to steps of 1/16."""
    return STEEPNESS * (128 - brightness) / 128


def write_dark_model(path: Path, **changes: Any) -> Sidecar:
    """Write the model and its sidecar.

    Args:
        path: of the .tflite file.
        changes: other fields of the sidecar.
    """
    write_bytes(path, _flatbuffer())
    logit = 0.0
    answer = round(logit_of(float(golden_input(SIZE).mean())) / OUTPUT.scale) + OUTPUT.zero_point
    sidecar = Sidecar(
        model="dark",
        scheme="int8-ptq",
        file=path.name,
        sha256=sha256_file(path),
        image_size=SIZE,
        labels=("no_crack", "crack"),
        hyperparameters={},
        input=TensorSpec((1, SIZE, SIZE, 3), "uint8", 1 / 128, 128),
        output=OUTPUT,
        threshold=Threshold(
            float(sigmoid(logit)), logit, raw_threshold(logit, OUTPUT.scale, OUTPUT.zero_point, "uint8"), 0.99, "val"
        ),
        golden=Golden(float(answer), 2.0),
        training={"dataset": "synthetic", "policy": "grouped", "manifest_sha256": "0" * 64, "seed": 0},
        metrics={},
        licence="CC0-1.0",
        versions={"python": "3"},
        git_revision=None,
        created="2025-01-01T00:00:00+00:00",
    )
    sidecar = replace(sidecar, **changes)
    write_sidecar(path, sidecar)
    return sidecar


def _flatbuffer() -> bytes:
    """One FULLY_CONNECTED operator over all pixels, each with the same negative weight."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    pixels = SIZE * SIZE * 3
    weight = STEEPNESS / pixels

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
        tensor("tile", [1, SIZE, SIZE, 3], byte, 0, 1 / 128, 128),
        tensor("weights", [1, pixels], byte, 1, weight, 128),
        tensor("bias", [1], integer, 2, weight / 128, 0),
        tensor("logit", [1, 1], byte, 0, OUTPUT.scale, OUTPUT.zero_point),
    ]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(), buffer(bytes([127]) * pixels), buffer(bytes(4))]
    builder = flatbuffers.Builder(8192)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
