"""What a .tflite file contains, read from the flatbuffer without running it: operators, parameters, work and memory traffic.

MACs (multiply-accumulates) say how much is computed, activations how much is written to memory in between. On a CPU the
latency of a small net follows the activations at least as much as the MACs, and parameters hardly at all.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tflite.errors import CrackError, ModelFileError
from tflite.foreign import refuse_foreign
from tflite.sidecar import TensorSpec

# Where each counted operator keeps its weights and its bias among its inputs.
_WEIGHTS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
# Constants of these types are weights; integers of other types are shapes, axes and paddings, unless they are a bias.
_WEIGHT_TYPES = frozenset({"float32", "float16", "int8", "uint8", "int16", "int4", "int2", "bfloat16"})
EDGETPU_OPERATOR = "CUSTOM:edgetpu-custom-op"  # what Coral's compiler replaces the mapped operators with
Result = TypeVar("Result")


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        name: LiteRT's name, such as "CONV_2D"; custom ones as "CUSTOM:PosenetDecoderOp".
        outputs: its output tensors.
        macs: multiply-accumulates of one inference; 0 for operators that are not counted.
        activations: output elements, for counted operators.
    """

    name: str
    outputs: tuple[TensorSpec, ...]
    macs: int
    activations: int


@dataclass(frozen=True)
class Graph:
    """A model file's main subgraph.

    Attributes:
        inputs, outputs: of the model.
        operators: in execution order.
        parameters: elements of all constant weights and biases. Batch normalisation is folded away in a converted file, so
            the number lies a little below Keras's.
        file_bytes: size of the file.
        weight_types: number formats of the weights, such as {"int8"}.
        open_batch: whether the first side of an input is left open until it runs.
        open_sides: whether another side of an input is.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[Operator, ...]
    parameters: int
    file_bytes: int
    weight_types: frozenset[str] = frozenset()
    open_batch: bool = False
    open_sides: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, depthwise and transposed convolutions and fully connected layers."""
        return sum(operator.macs for operator in self.operators)

    @property
    def activations(self) -> int:
        """Output elements of the operators counted in `macs` (timm's definition)."""
        return sum(operator.activations for operator in self.operators)


def read_graph(path: str | Path) -> Graph:
    """Read a .tflite file.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read or is not a LiteRT flatbuffer.
    """
    return read_flatbuffer(path, _read)


def read_flatbuffer(path: str | Path, read: Callable[[Any, int], Result]) -> Result:
    """Open a .tflite file and turn what its reader stumbles over into one clear error.

    Args:
        path: the model file.
        read: takes the generated schema's Model and the file's size in bytes.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read or is not a LiteRT flatbuffer.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise CrackError(f"LiteRT is not installed ({error}). Run: pip install -r requirements-device.txt") from None
    path = Path(path)
    refuse_foreign(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read model {path}: {error.strerror}.") from None
    if data[4:8] != b"TFL3":
        raise ModelFileError(f"{path} is not a .tflite file (no TFL3 mark). Export or copy it again.")
    try:
        return read(schema.Model.GetRootAs(data, 0), len(data))
    except (struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The generated reader checks nothing: a damaged offset ends in any of these.
        raise ModelFileError(f"{path} is damaged ({error}). Export or copy it again.") from None


def _read(model: Any, file_bytes: int) -> Graph:
    subgraph = model.Subgraphs(0)
    tensors = [subgraph.Tensors(number) for number in range(subgraph.TensorsLength())]
    specs = [read_spec(tensor) for tensor in tensors]
    constants = {number for number, tensor in enumerate(tensors) if is_constant(model, tensor)}
    parameters = {number for number in constants if specs[number].dtype in _WEIGHT_TYPES}
    operators = []
    for position in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(position)
        name = operator_name(model.OperatorCodes(operator.OpcodeIndex()))
        inputs = [operator.Inputs(slot) for slot in range(operator.InputsLength())]
        outputs = [specs[operator.Outputs(slot)] for slot in range(operator.OutputsLength())]
        bias = _BIAS.get(name)
        if bias is not None and bias < len(inputs) and inputs[bias] in constants:
            parameters.add(inputs[bias])
        macs = _macs(name, [specs[number].shape if number >= 0 else () for number in inputs], outputs)
        activations = sum(math.prod(spec.shape) for spec in outputs) if name in _WEIGHTS else 0
        operators.append(Operator(name, tuple(outputs), macs, activations))
    open_axes = [_open_axes(tensors[subgraph.Inputs(slot)]) for slot in range(subgraph.InputsLength())]
    return Graph(
        inputs=tuple(specs[subgraph.Inputs(slot)] for slot in range(subgraph.InputsLength())),
        outputs=tuple(specs[subgraph.Outputs(slot)] for slot in range(subgraph.OutputsLength())),
        operators=tuple(operators),
        parameters=sum(math.prod(specs[number].shape) for number in parameters),
        file_bytes=file_bytes,
        weight_types=frozenset(specs[number].dtype for number in parameters if specs[number].dtype in _WEIGHT_TYPES),
        open_batch=any(0 in axes for axes in open_axes),
        open_sides=any(axes - {0} for axes in open_axes),
    )


def _open_axes(tensor: Any) -> set[int]:
    """Axes whose size is left open: the signature says -1 there, and the shape 1."""
    return {axis for axis in range(tensor.ShapeSignatureLength()) if tensor.ShapeSignature(axis) < 0}


def _macs(name: str, inputs: list[tuple[int, ...]], outputs: list[TensorSpec]) -> int:
    if name not in _WEIGHTS:
        return 0
    weights = inputs[_WEIGHTS[name]]
    produced = math.prod(outputs[0].shape)
    if name == "FULLY_CONNECTED":  # weights (out, in)
        return produced * weights[-1]
    if name == "CONV_2D":  # weights (out, h, w, in / groups)
        return produced * math.prod(weights[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights (1, h, w, out)
        return produced * weights[1] * weights[2]
    # TRANSPOSE_CONV spreads every input element over (out, h, w); inputs are (output shape, weights, data).
    return math.prod(inputs[2]) * math.prod(weights[:3])


def read_spec(tensor: Any) -> TensorSpec:
    """Shape, type and quantisation of a schema tensor."""
    shape = tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
    quantisation = tensor.Quantization()
    scale, zero_point = 0.0, 0
    # Per-channel tensors (weights) have one scale per channel and no single one to name.
    if quantisation is not None and quantisation.ScaleLength() == 1:
        scale, zero_point = float(quantisation.Scale(0)), int(quantisation.ZeroPoint(0))
    return TensorSpec(shape, _type_names()[tensor.Type()], scale, zero_point)


def is_constant(model: Any, tensor: Any) -> bool:
    """Whether a schema tensor's value is stored in the file."""
    buffer = model.Buffers(tensor.Buffer())
    # Files beyond 2 GB keep the bytes outside the flatbuffer and store their place (Offset is 0 or 1 otherwise).
    return bool(buffer.DataLength() > 0 or buffer.Offset() > 1)


def operator_name(code: Any) -> str:
    """LiteRT's name of a schema operator code, such as "CONV_2D" or "CUSTOM:edgetpu-custom-op"."""
    # Operators numbered below 127 may be in the old one-byte field only; the larger of the two is the right one.
    name = _operator_names()[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    return f"CUSTOM:{code.CustomCode().decode('utf-8', 'replace')}" if name == "CUSTOM" else name


@cache
def _operator_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@cache
def _type_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
