"""A compiled file, and tensors of a graph that nobody converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflite.edgetpu_ops import Tensor
from tflite.sidecar import TensorSpec


def compiled_twin(source: bytes) -> bytes:
    """A file as the compiler writes it: the same input and output, one custom operator between them."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source, 0))
    graph = model.subgraphs[0]
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"edgetpu-custom-op", 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, graph.inputs, graph.outputs
    operator.customOptions = [1, 2, 3]
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(*shape: int, dtype: str = "int8", values: Any = None, scales: int = 1, number: int = 0) -> Tensor:
    data = None if values is None else np.asarray(values, dtype).reshape(-1).view(np.uint8)
    scale = 0.5 if scales == 1 else 0.0
    return Tensor(number, TensorSpec(shape, dtype, scale, 0), scales, values is not None, False, False, data)
