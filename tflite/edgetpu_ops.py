"""What Coral's edgetpu_compiler can put on an Edge TPU: its table of operators and limits, applied to one operator at a time.

The compiler is closed; these are its published rules and what its users saw it do.

* Table and limits: https://coral.ai/docs/edgetpu/models-intro/#supported-operations, runtime 14 (compiler 16.0, the last one).
* General requirements, same page: 8-bit quantised tensors, sizes fixed at compile time, parameters constant, and in a tensor
  of more than three dimensions only the innermost three larger than 1. So the batch is 1.
* Operator versions: the compiler refuses a file with an operator version newer than itself ("Didn't find op for builtin opcode
  'TRANSPOSE_CONV' version '4'", github.com/google-coral/edgetpu/issues/845; 'CONV_2D' version '6', issues/631). Its runtime was
  released with TensorFlow 2.5.0 (google-coral/libedgetpu, workspace.bzl). The versions below are the newest of TensorFlow 2.5, from
  tensorflow/lite/tools/versioning/runtime_version.cc.
* Where the table says "might not be mapped" and gives no number, `caution` says so, and what was seen: mapping of Coral's public
  models, and reports of users where named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tflite.graph import is_constant, operator_name, read_spec
from tflite.sidecar import TensorSpec

SOFTMAX_ELEMENTS = 16_000
# Custom operators the compiler knows and leaves on the CPU; it stops at others ("Encountered unresolved custom op").
CORAL_CUSTOM = ("CUSTOM:PosenetDecoderOp", "CUSTOM:TFLite_Detection_PostProcess")
# Resizing, by sight. Not mapped: 1x1 to 33x33 in Coral's two DeepLab models; 512x512x32, which is 8 MiB (issues/31); to the
# 513x513 of its input in a DeepLab whose other operators were mapped; to 256x512 in a BiSeNet (issues/377). The table gives "loss in
# precision" as the reason, which fits the side better than the bytes.
# Mapped: doubling to 128x128x32 (issues/31). A U-Net of 256x256 was mapped in part, of 128x128 whole (issues/187).
RESIZE_FACTOR_SEEN_LEFT = 33
RESIZE_SIDE_SEEN_LEFT = 512
RESIZE_BYTES_SEEN_LEFT = 512 * 512 * 32
RESIZE_FACTOR_SEEN_MAPPED = 2
RESIZE_BYTES_SEEN_MAPPED = 128 * 128 * 32
# Means over positions, by sight: 256x128 left on the CPU, 64x128 mapped (issues/461).
MEAN_POSITIONS_SEEN_LEFT = 256 * 128
MEAN_POSITIONS_SEEN_MAPPED = 64 * 128
RESHAPE_BYTES_SEEN_MAPPED = 1001  # the class scores of Coral's MobileNets
ACTIVATION_BYTES_SEEN_MAPPED = 257 * 257 * 96  # Coral's DeepLab
_PARAMETER_TYPES = ("int32", "int64")


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the file.

    Attributes:
        number: in the subgraph.
        spec: shape, type, and the scale where there is a single one.
        scales: how many scales it has; 0 when it is not quantised, more than 1 when quantised per channel.
        constant: stored in the file.
        variable: state that an operator keeps between calls (LSTM).
        dynamic: a side of it is not known before the model runs.
        data: a constant's bytes, else None.
    """

    number: int
    spec: TensorSpec
    scales: int
    constant: bool
    variable: bool
    dynamic: bool
    data: np.ndarray | None

    @property
    def size(self) -> int:
        """Size in bytes of a constant; of other tensors at one byte an element."""
        return len(self.data) if self.data is not None else math.prod(self.spec.shape)

    def integers(self) -> np.ndarray:
        """A constant's values: axes, paddings, strides, or quantised weights.

        Raises:
            ValueError: if the file holds none, as in a damaged one.
        """
        if self.data is None:
            raise ValueError(f"tensor {self.number} has no data")
        return self.data.view(self.spec.dtype).reshape(self.spec.shape or -1)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the file.

    Attributes:
        name: LiteRT's name, such as "CONV_2D".
        version: of the operator, written by the converter.
        inputs: tensors by slot; None where an optional one is absent.
        outputs: tensors.
        options: the schema's options of this kind of operator, or None.
    """

    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = field(repr=False)

    def option(self, name: str) -> int:
        """One of the options, by the schema's name; 0, the default of all that matter here, when there are none."""
        return int(getattr(self.options, name)()) if self.options is not None else 0

    def parameter(self, slot: int) -> Tensor | None:
        """The input in a slot, or None when it is absent."""
        return self.inputs[slot] if slot < len(self.inputs) else None

    @property
    def present(self) -> tuple[Tensor, ...]:
        """Inputs that are there."""
        return tuple(tensor for tensor in self.inputs if tensor is not None)


@dataclass(frozen=True)
class Rule:
    """What the compiler demands of one kind of operator.

    Attributes:
        version: newest operator version it reads.
        parameters: input slots that must hold constants.
        limit: the table's limit: says what is wrong with an operator, or "".
    """

    version: int
    parameters: tuple[int, ...] = ()
    limit: Callable[[Node], str] = lambda node: ""


def read_nodes(model: Any) -> tuple[Node, ...]:
    """Operators of the main subgraph, in execution order.

    Args:
        model: the schema's Model.
    """
    subgraph = model.Subgraphs(0)
    tensors = [_tensor(model, subgraph, number) for number in range(subgraph.TensorsLength())]
    nodes = []
    for position in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(position)
        code = model.OperatorCodes(operator.OpcodeIndex())
        numbers = [operator.Inputs(slot) for slot in range(operator.InputsLength())]
        inputs = tuple(tensors[number] if number >= 0 else None for number in numbers)
        outputs = tuple(tensors[operator.Outputs(slot)] for slot in range(operator.OutputsLength()))
        nodes.append(Node(operator_name(code), code.Version(), inputs, outputs, _options(operator)))
    return tuple(nodes)


def why_not(node: Node) -> str:
    """Why the Edge TPU cannot run an operator, judged alone; "" when it can."""
    rule = SUPPORTED.get(node.name)
    if rule is None:
        return "not among the operators the Edge TPU supports"
    for slot in rule.parameters:
        tensor = node.parameter(slot)
        if tensor is not None and not tensor.constant:
            return f"input {slot} must be constant, it is computed while the model runs"
    for tensor in (*node.present, *node.outputs):
        if problem := _tensor_problem(tensor):
            return problem
    return rule.limit(node)


def why_refused(nodes: tuple[Node, ...]) -> str:
    """Why the compiler would refuse the whole file; "" when it would not."""
    for number, node in enumerate(nodes):
        rule = SUPPORTED.get(node.name)
        if rule is not None and node.version > rule.version:
            return (
                f"operator {number} {node.name} has version {node.version}, newer than the compiler, which reads versions up to "
                f"{rule.version}"
            )
        if node.name.startswith("CUSTOM:") and node.name not in CORAL_CUSTOM:
            return f"operator {number} {node.name} is a custom operator the compiler does not know"
        if any(tensor.dynamic for tensor in (*node.present, *node.outputs)):
            return f"operator {number} {node.name} has a tensor without a fixed size; convert with a batch of 1"
    if not any(_is_quantised(tensor) for node in nodes for tensor in node.outputs):
        return "the model is not quantised: no operator gives an 8-bit tensor; export with --int8"
    return ""


def caution(node: Node) -> str:
    """What may still keep a supported operator off the Edge TPU, where Coral publishes no number; "" when nothing known."""
    if node.name.startswith("RESIZE_"):
        if _resize_factor(node) > RESIZE_FACTOR_SEEN_MAPPED or node.outputs[0].size > RESIZE_BYTES_SEEN_MAPPED:
            return "large resizes may stay on the CPU; Coral gives no limit, doubling up to 128x128x32 was seen mapped"
    elif node.name == "RESHAPE":
        if node.outputs[0].size > RESHAPE_BYTES_SEEN_MAPPED:
            return "large reshapes may stay on the CPU; Coral gives no limit"
    elif node.name == "MEAN":
        if _positions(node) > MEAN_POSITIONS_SEEN_MAPPED:
            return "means over large areas may stay on the CPU; Coral gives no limit, 64x128 positions were seen mapped"
    elif node.name == "TILE":
        if any(side != 1 for side in _first(node)[:-1]) or _multiples(node)[-1] != 1:
            return "Coral's table has no TILE; it was seen mapped where one position is repeated over an area"
    elif node.name == "TRANSPOSE_CONV":
        return "some transposed convolutions were seen on the CPU (google-coral/edgetpu issues 684, 686); resize and convolve is safer"
    if any(tensor.size > ACTIVATION_BYTES_SEEN_MAPPED for tensor in node.outputs):
        return 'the compiler may stop with "large activation tensors"; nothing this large was seen mapped'
    return ""


def _tensor(model: Any, subgraph: Any, number: int) -> Tensor:
    raw = subgraph.Tensors(number)
    quantisation = raw.Quantization()
    constant = is_constant(model, raw)
    data = model.Buffers(raw.Buffer()).DataAsNumpy() if constant else None
    return Tensor(
        number=number,
        spec=read_spec(raw),
        scales=0 if quantisation is None else quantisation.ScaleLength(),
        constant=constant,
        variable=bool(raw.IsVariable()),
        dynamic=any(raw.ShapeSignature(axis) < 0 for axis in range(raw.ShapeSignatureLength())),
        data=data if isinstance(data, np.ndarray) else None,
    )


def _options(operator: Any) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    table, name = operator.BuiltinOptions(), _option_names().get(operator.BuiltinOptionsType(), "NONE")
    if table is None or name == "NONE":
        return None
    options = getattr(schema, name)()
    options.Init(table.Bytes, table.Pos)
    return options


@cache
def _option_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(schema.BuiltinOptions).items() if isinstance(value, int)}


def _is_quantised(tensor: Tensor) -> bool:
    return tensor.spec.dtype in ("int8", "uint8") and tensor.scales > 0


def _tensor_problem(tensor: Tensor) -> str:
    """What the general requirements say against a tensor, or ""."""
    if tensor.variable or (tensor.constant and tensor.spec.dtype in _PARAMETER_TYPES):
        return ""  # an LSTM's state; axes, shapes and biases
    if not _is_quantised(tensor):
        kind = "is not quantised" if tensor.spec.dtype in ("int8", "uint8") else f"is {tensor.spec.dtype}"
        return f"{'a constant' if tensor.constant else 'a tensor'} {kind}, it must be 8-bit quantised"
    shape = tensor.spec.shape
    if not tensor.constant and any(side != 1 for side in shape[:-3]):
        return f"a tensor is {list(shape)}: only the innermost three sides may be larger than 1, so the batch is 1"
    return ""


def _first(node: Node) -> tuple[int, ...]:
    """Shape of the first input."""
    return node.present[0].spec.shape


def _no_fused_activation(node: Node) -> str:
    return "fused activation, which this operator may not have" if node.option("FusedActivationFunction") else ""


def _concatenation(node: Node) -> str:
    constants = [tensor for tensor in node.present if tensor.constant]
    if constants and (len(node.present) != 2 or any(np.any(t.integers() != t.spec.zero_point) for t in constants)):
        return "a constant input is allowed only with one other input and if it is all zeros"
    return _no_fused_activation(node)


def _dilation(node: Node) -> str:
    across, down = node.option("DilationWFactor"), node.option("DilationHFactor")
    return f"dilation {across} in x and {down} in y, they must be the same" if across != down else ""


def _fully_connected(node: Node) -> str:
    weights = node.parameter(1)
    if node.option("WeightsFormat"):
        return "shuffled weights, only the default format is supported"
    if weights is not None and weights.scales > 1:
        # Converters write these since 2024; no kernel of 2021 reads more than the first scale (tflite-micro, pull 2602).
        return "one scale per unit in the weights, the compiler knows one for all; convert without per-channel dense layers"
    if any(side != 1 for side in node.outputs[0].spec.shape[:-1]):
        return f"the output is {list(node.outputs[0].spec.shape)}, it must be one-dimensional"
    return ""


def _mean(node: Node) -> str:
    axes, shape = _axes(node, 1), _first(node)
    if len(shape) - 1 in axes and shape[-1] % 4:
        return f"mean over {shape[-1]} channels, their number must be a multiple of 4"
    if _positions(node) >= MEAN_POSITIONS_SEEN_LEFT:
        return f"mean over {_positions(node):,} positions; so many were seen left on the CPU"
    return _not_over_batch(node)


def _positions(node: Node) -> int:
    """How many positions of the image a reduction goes over; channels do not count."""
    shape = _first(node)
    return math.prod(shape[axis] for axis in _axes(node, 1) if axis != len(shape) - 1)


def _not_over_batch(node: Node) -> str:
    return "works along the batch" if 0 in _axes(node, 1) else ""


def _pad(node: Node) -> str:
    paddings = node.parameter(1)
    return "pads the batch" if paddings is not None and np.any(paddings.integers()[0]) else ""


def _pack(node: Node) -> str:
    return "packs along the batch" if node.option("Axis") % len(node.outputs[0].spec.shape) == 0 else ""


def _split(node: Node) -> str:
    axis = node.parameter(0)
    data = node.parameter(1)
    if axis is None or data is None:
        return ""
    return "splits the batch" if int(axis.integers().reshape(-1)[0]) % len(data.spec.shape) == 0 else ""


def _prelu(node: Node) -> str:
    alpha = node.parameter(1)
    if alpha is not None and any(side != 1 for side in alpha.spec.shape[:-1]):
        return f"alpha is {list(alpha.spec.shape)}, it must be one-dimensional: PReLU(shared_axes=[1, 2])"
    return ""


def _resize(node: Node) -> str:
    far = (
        _resize_factor(node) >= RESIZE_FACTOR_SEEN_LEFT or max(node.outputs[0].spec.shape[1:3]) >= RESIZE_SIDE_SEEN_LEFT
    )
    if far or node.outputs[0].size >= RESIZE_BYTES_SEEN_LEFT:
        return f"resizes {list(_first(node)[1:])} to {list(node.outputs[0].spec.shape[1:])}; so large a step was seen left on the CPU"
    return ""


def _resize_factor(node: Node) -> float:
    return max(new / old for new, old in zip(node.outputs[0].spec.shape[1:3], _first(node)[1:3], strict=True))


def _softmax(node: Node) -> str:
    shape = _first(node)
    if any(side != 1 for side in shape[:-1]) or shape[-1] > SOFTMAX_ELEMENTS:
        return f"softmax over {list(shape)}, it must be one-dimensional with at most {SOFTMAX_ELEMENTS:,} elements"
    return ""


def _strided_slice(node: Node) -> str:
    strides = node.parameter(3)
    if strides is not None and np.any(strides.integers() != 1):
        return f"strides {strides.integers().tolist()}, all must be 1"
    if node.option("EllipsisMask") or node.option("NewAxisMask"):
        return "ellipsis or new axes in the slice"
    return ""


def _tile(node: Node) -> str:
    return "repeats the batch" if len(_first(node)) > 3 and _multiples(node)[0] != 1 else ""


def _multiples(node: Node) -> list[int]:
    """How often a TILE repeats each side of its input."""
    tensor = node.parameter(1)
    return [1] * len(_first(node)) if tensor is None else [int(times) for times in tensor.integers().reshape(-1)]


def _axes(node: Node, slot: int) -> set[int]:
    tensor, rank = node.parameter(slot), len(_first(node))
    return set() if tensor is None else {int(axis) % rank for axis in tensor.integers().reshape(-1)}


# Names are LiteRT's; the page writes them as Conv2d, ResizeBilinear and so on.
SUPPORTED: dict[str, Rule] = {
    "ADD": Rule(3),
    "AVERAGE_POOL_2D": Rule(3, limit=_no_fused_activation),
    "CONCATENATION": Rule(3, limit=_concatenation),
    "CONV_2D": Rule(5, (1, 2), _dilation),
    "DEPTHWISE_CONV_2D": Rule(6, (1, 2), _dilation),
    "EXPAND_DIMS": Rule(1, (1,)),
    "FULLY_CONNECTED": Rule(9, (1, 2), _fully_connected),
    "L2_NORMALIZATION": Rule(2),
    "LOGISTIC": Rule(3),
    "MAXIMUM": Rule(4),
    "MAX_POOL_2D": Rule(3, limit=_no_fused_activation),
    "MEAN": Rule(3, (1,), _mean),
    "MINIMUM": Rule(4),
    "MUL": Rule(4),
    "PACK": Rule(3, limit=_pack),
    "PAD": Rule(3, (1,), _pad),
    "PRELU": Rule(1, (1,), _prelu),
    "QUANTIZE": Rule(2),
    "REDUCE_MAX": Rule(3, (1,), _not_over_batch),
    "REDUCE_MIN": Rule(3, (1,), _not_over_batch),
    "RELU": Rule(3),
    "RELU6": Rule(3),
    "RELU_N1_TO_1": Rule(1),
    "RESHAPE": Rule(1, (1,)),
    "RESIZE_BILINEAR": Rule(4, (1,), _resize),
    "RESIZE_NEAREST_NEIGHBOR": Rule(4, (1,), _resize),
    "RSQRT": Rule(2),
    "SLICE": Rule(5, (1, 2)),
    "SOFTMAX": Rule(3, limit=_softmax),
    "SPACE_TO_DEPTH": Rule(2),
    "SPLIT": Rule(4, (0,), _split),
    "SQUARED_DIFFERENCE": Rule(2),
    "SQUEEZE": Rule(2),
    "STRIDED_SLICE": Rule(5, (1, 2, 3), _strided_slice),
    "SUB": Rule(5),
    "SUM": Rule(2, (1,), _not_over_batch),
    "TANH": Rule(3),
    # Not in the table, and seen mapped: a DeepLab whose pooled branch is tiled back over the area. Version 2 came with 2.2.0.
    "TILE": Rule(2, (1,), _tile),
    "TRANSPOSE": Rule(5, (1,)),
    "TRANSPOSE_CONV": Rule(3, (0, 1, 3)),
    # The table's "LSTM: unidirectional only". Slots 1 to 8 hold weights, 12 to 15 biases.
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(3, (*range(1, 9), *range(12, 16))),
}
