"""A .tflite file made by hand, without TensorFlow: it calls dark tiles cracked, so that every answer can be foretold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tflite.files import sha256_file, write_bytes
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
    pixels = SIZE * SIZE * 3
    weight = STEEPNESS / pixels
    tensors = [
        ("tile", [1, SIZE, SIZE, 3], "UINT8", 1 / 128, 128),
        ("weights", [1, pixels], "UINT8", weight, 128),
        ("bias", [1], "INT32", weight / 128, 0),
        ("logit", [1, 1], "UINT8", OUTPUT.scale, OUTPUT.zero_point),
    ]
    write_bytes(path, one_operator("FULLY_CONNECTED", "FullyConnectedOptions", {}, tensors))
    answer = round(logit_of(float(golden_input(SIZE).mean())) / OUTPUT.scale) + OUTPUT.zero_point
    fields = {"model": "dark", "image_size": SIZE, "output": OUTPUT, "golden": Golden(float(answer), 2.0)}
    return describe(path, fields | changes, target_recall=0.99)


def describe(path: Path, fields: dict[str, Any], target_recall: float | None = None) -> Sidecar:
    """The sidecar of a model made by hand, written beside it; the threshold lies at probability 0.5.

    Args:
        path: of the .tflite file.
        fields: of the sidecar, `image_size` and `output` among them.
        target_recall: of the threshold.
    """
    size, output = fields["image_size"], fields["output"]
    raw = raw_threshold(0.0, output.scale, output.zero_point, "uint8")
    common: dict[str, Any] = {
        "scheme": "int8-ptq",
        "file": path.name,
        "sha256": sha256_file(path),
        "labels": ("no_crack", "crack"),
        "hyperparameters": {},
        "input": TensorSpec((1, size, size, 3), "uint8", 1 / 128, 128),
        "threshold": Threshold(0.5, 0.0, raw, target_recall, "val"),
        "training": {"dataset": "synthetic", "policy": "grouped", "manifest_sha256": "0" * 64, "seed": 0},
        "metrics": {},
        "licence": "CC0-1.0",
        "versions": {"python": "3"},
        "git_revision": None,
        "created": "2025-01-01T00:00:00+00:00",
    }
    sidecar = Sidecar(**common | fields)
    write_sidecar(path, sidecar)
    return sidecar


def one_operator(
    kind: str, options: str, settings: dict[str, Any], tensors: Sequence[tuple[str, list[int], str, float, int]]
) -> bytes:
    """A .tflite file with one operator, all of whose weights are alike and negative; the bias is 0.

    Args:
        kind: of the operator, as the schema calls it.
        options, settings: the schema's table of its options, and what is set there.
        tensors: input, weights, bias and output: name, shape, type, scale and zero point.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(buffer: int, name: str, shape: list[int], kind: str, scale: float, zero_point: int) -> Any:
        found = schema.TensorT()
        found.name, found.shape, found.type, found.buffer = name, shape, getattr(schema.TensorType, kind), buffer
        found.quantization = schema.QuantizationParametersT()
        found.quantization.scale, found.quantization.zeroPoint = [scale], [zero_point]
        return found

    def buffer(data: bytes | None = None) -> Any:
        found = schema.BufferT()
        if data is not None:
            found.data = np.frombuffer(data, np.uint8)
        return found

    graph = schema.SubGraphT()
    graph.tensors = [tensor(number, *about) for number, about in zip((0, 1, 2, 0), tensors, strict=True)]
    graph.inputs, graph.outputs = [0], [3]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
    operator.builtinOptions = getattr(schema, f"{options}T")()
    for name, value in settings.items():
        setattr(operator.builtinOptions, name, value)
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(), buffer(bytes([127]) * math.prod(tensors[1][1])), buffer(bytes(4))]
    builder = flatbuffers.Builder(8192)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
