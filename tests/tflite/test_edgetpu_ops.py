"""One operator at a time against the compiler's table: within its limits, beyond one, or not certain."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tflite.edgetpu_parts import tensor
from tflite.edgetpu_ops import CORAL_CUSTOM, SUPPORTED, Node, Tensor, caution, why_not, why_refused


def integers(*values: int) -> Tensor:
    return tensor(len(values), dtype="int32", values=values, scales=0)


def node(name: str, *inputs: Tensor | None, out: Tensor | None = None, **options: int) -> Node:
    functions = SimpleNamespace(**{key: lambda value=value: value for key, value in options.items()})
    outputs = (out or tensor(1, 8, 8, 4),)
    return Node(name, 1, tuple(inputs), outputs, functions if options else None)


IMAGE = tensor(1, 8, 8, 4)
WEIGHTS = tensor(4, 3, 3, 4, values=np.ones((4, 3, 3, 4)), scales=4)
DENSE = tensor(2, 4, values=np.ones((2, 4)))

GOOD = {
    "add": node("ADD", IMAGE, IMAGE, FusedActivationFunction=1),
    "average": node("AVERAGE_POOL_2D", IMAGE, FusedActivationFunction=0),
    "zeros": node("CONCATENATION", IMAGE, tensor(1, 8, 8, 4, values=np.zeros(256)), FusedActivationFunction=0),
    "convolution": node("CONV_2D", IMAGE, WEIGHTS, None, DilationWFactor=2, DilationHFactor=2),
    "dense": node("FULLY_CONNECTED", tensor(1, 4), DENSE, None, out=tensor(1, 2), WeightsFormat=0),
    "mean over area": node("MEAN", IMAGE, integers(1, 2), out=tensor(1, 4)),
    "mean over channels": node("MEAN", IMAGE, integers(-1), out=tensor(1, 8, 8)),
    "pad": node("PAD", IMAGE, tensor(4, 2, dtype="int32", values=[0, 0, 1, 1, 1, 1, 0, 0], scales=0)),
    "prelu": node("PRELU", IMAGE, tensor(1, 1, 4, values=[1, 2, 3, 4])),
    "softmax": node("SOFTMAX", tensor(1, 10)),
    "slice": node("STRIDED_SLICE", IMAGE, *[integers(1, 1, 1, 1)] * 3, EllipsisMask=0, NewAxisMask=0),
    "uint8": node("RELU", tensor(1, 4, dtype="uint8"), out=tensor(1, 4, dtype="uint8")),
    "split": node("SPLIT", integers(3), IMAGE),
    "tile": node("TILE", tensor(1, 1, 1, 4), integers(1, 33, 33, 1), out=tensor(1, 33, 33, 4)),
    "resize": node("RESIZE_BILINEAR", tensor(1, 17, 17, 4), integers(33, 33), out=tensor(1, 33, 33, 4)),
    "pack": node("PACK", tensor(1, 4), tensor(1, 4), out=tensor(1, 2, 4), Axis=1),
}
BAD = {
    "float tensor": (node("RELU", tensor(1, 4, dtype="float32", scales=0)), "is float32"),
    "int16 tensor": (node("RELU", tensor(1, 4, dtype="int16")), "is int16"),
    "no scale": (node("RELU", tensor(1, 4, scales=0)), "is not quantised"),
    "float constant": (
        node("ADD", IMAGE, tensor(1, dtype="float32", values=[1], scales=0)),
        "a constant is float32",
    ),
    "four sides": (node("RELU", tensor(2, 8, 8, 4)), "batch is 1"),
    "fifth side": (node("RELU", tensor(1, 2, 2, 2, 2)), "innermost three"),
    "computed weights": (node("CONV_2D", IMAGE, tensor(4, 3, 3, 4), None), "input 1 must be constant"),
    "computed size": (
        node("RESIZE_NEAREST_NEIGHBOR", IMAGE, tensor(2, dtype="int32", scales=0)),
        "input 1 must be constant",
    ),
    "unknown": (node("LEAKY_RELU", IMAGE), "not among the operators"),
    "swish": (node("HARD_SWISH", IMAGE), "not among the operators"),
    "average": (node("AVERAGE_POOL_2D", IMAGE, FusedActivationFunction=1), "fused activation"),
    "max": (node("MAX_POOL_2D", IMAGE, FusedActivationFunction=3), "fused activation"),
    "concatenation": (node("CONCATENATION", IMAGE, IMAGE, FusedActivationFunction=1), "fused activation"),
    "ones": (node("CONCATENATION", IMAGE, tensor(1, 8, 8, 4, values=np.ones(256))), "all zeros"),
    "zeros of three": (
        node("CONCATENATION", IMAGE, IMAGE, tensor(1, 8, 8, 4, values=np.zeros(256))),
        "only with one other",
    ),
    "dilation": (
        node("DEPTHWISE_CONV_2D", IMAGE, WEIGHTS, None, DilationWFactor=1, DilationHFactor=2),
        "dilation 1 in x and 2 in y",
    ),
    "shuffled": (
        node("FULLY_CONNECTED", tensor(1, 4), DENSE, None, out=tensor(1, 2), WeightsFormat=1),
        "default format",
    ),
    "dense on rows": (node("FULLY_CONNECTED", tensor(3, 4), DENSE, None, out=tensor(3, 2)), "one-dimensional"),
    "mean over batch": (node("MEAN", IMAGE, integers(0)), "batch"),
    "mean over 3": (node("MEAN", tensor(1, 8, 8, 3), integers(3)), "multiple of 4"),
    "mean over much": (node("MEAN", tensor(1, 256, 128, 4), integers(1, 2)), "32,768 positions"),
    "sum over batch": (node("SUM", IMAGE, integers(-4)), "batch"),
    "max over batch": (node("REDUCE_MAX", IMAGE, integers(0, 1)), "batch"),
    "pad batch": (
        node("PAD", IMAGE, tensor(4, 2, dtype="int32", values=[0, 1, 0, 0, 0, 0, 0, 0], scales=0)),
        "pads the batch",
    ),
    "pack batch": (node("PACK", tensor(4), tensor(4), out=tensor(2, 4), Axis=0), "packs along the batch"),
    "split batch": (node("SPLIT", integers(-4), IMAGE), "splits the batch"),
    "prelu": (node("PRELU", IMAGE, tensor(8, 8, 4, values=np.ones(256))), "shared_axes"),
    "softmax of rows": (node("SOFTMAX", tensor(2, 10)), "one-dimensional"),
    "softmax of many": (node("SOFTMAX", tensor(1, 16_001)), "at most 16,000"),
    "strides": (node("STRIDED_SLICE", IMAGE, *[integers(1, 2, 1, 1)] * 3), "all must be 1"),
    "new axis": (node("STRIDED_SLICE", IMAGE, *[integers(1, 1, 1, 1)] * 3, EllipsisMask=0, NewAxisMask=1), "new axes"),
    "resize far": (
        node("RESIZE_BILINEAR", tensor(1, 1, 1, 4), integers(33, 33), out=tensor(1, 33, 33, 4)),
        "left on the CPU",
    ),
    "resize to a large side": (
        node("RESIZE_BILINEAR", tensor(1, 65, 65, 19), integers(513, 513), out=tensor(1, 513, 513, 19)),
        "left on the CPU",
    ),
    "resize to a wide side": (
        node("RESIZE_BILINEAR", tensor(1, 32, 64, 19), integers(256, 512), out=tensor(1, 256, 512, 19)),
        "left on the CPU",
    ),
    "tile batch": (node("TILE", IMAGE, integers(2, 1, 1, 1), out=tensor(1, 8, 8, 4)), "repeats the batch"),
    "computed multiples": (node("TILE", IMAGE, tensor(4, dtype="int32", scales=0)), "input 1 must be constant"),
    "resize large": (
        node("RESIZE_BILINEAR", tensor(1, 256, 256, 32), integers(512, 512), out=tensor(1, 512, 512, 32)),
        "left on the CPU",
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_an_operator_within_its_limits_is_supported(case: str) -> None:
    assert why_not(GOOD[case]) == ""


@pytest.mark.parametrize("case", BAD)
def test_an_operator_beyond_a_limit_is_left_with_the_reason(case: str) -> None:
    operator, reason = BAD[case]
    assert reason in why_not(operator)


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        (
            node("RESIZE_NEAREST_NEIGHBOR", tensor(1, 8, 8, 4), integers(32, 32), out=tensor(1, 32, 32, 4)),
            "large resizes",
        ),
        (
            node("RESIZE_NEAREST_NEIGHBOR", tensor(1, 112, 112, 64), integers(2), out=tensor(1, 224, 224, 64)),
            "large resizes",
        ),
        (node("RESHAPE", tensor(1, 64, 64, 3), integers(1, 12288), out=tensor(1, 12288)), "large reshapes"),
        (node("MEAN", tensor(1, 128, 128, 4), integers(1, 2), out=tensor(1, 4)), "large areas"),
        (node("TRANSPOSE_CONV", integers(1, 8, 8, 4), WEIGHTS, IMAGE), "safer"),
        (node("TILE", IMAGE, integers(1, 2, 2, 1), out=tensor(1, 16, 16, 4)), "no TILE"),
        (node("TILE", tensor(1, 1, 1, 4), integers(1, 1, 1, 2), out=tensor(1, 1, 1, 8)), "no TILE"),
        (node("RELU", tensor(1, 512, 512, 64), out=tensor(1, 512, 512, 64)), "large activation tensors"),
    ],
)
def test_a_limit_without_a_number_is_a_caution(operator: Node, text: str) -> None:
    assert why_not(operator) == ""
    assert text in caution(operator)


def test_nothing_is_said_of_small_operators() -> None:
    assert [case for case, operator in GOOD.items() if caution(operator)] == []


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_version_newer_than_the_compiler_makes_it_refuse_the_file(name: str) -> None:
    newest = replace(node(name, IMAGE), version=SUPPORTED[name].version)
    assert why_refused((newest,)) == ""
    assert f"{name} has version" in why_refused((newest, replace(newest, version=newest.version + 1)))


def test_a_custom_operator_is_left_when_it_is_corals_and_refused_when_not() -> None:
    relu = node("RELU", IMAGE)
    for name in CORAL_CUSTOM:
        assert why_refused((relu, node(name, IMAGE))) == ""
        assert "not among" in why_not(node(name, IMAGE))
    assert "custom operator the compiler does not know" in why_refused((relu, node("CUSTOM:Atan", IMAGE)))
