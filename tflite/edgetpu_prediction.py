"""What Coral's edgetpu_compiler is predicted to do with a model, from the file alone.

Every operator is judged by itself (`tflite.edgetpu_ops`). Then the graph is cut as the compiler does: into one subgraph. What waits
for an operator that stays on the CPU stays there too, although it is supported
(https://coral.ai/docs/edgetpu/models-intro/#compiling).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite import edgetpu_ops as ops
from tflite.errors import CrackError, ModelFileError
from tflite.files import csv_rows
from tflite.graph import EDGETPU_OPERATOR, read_flatbuffer

# "Roughly 8 MB of SRAM that can cache the model's parameter data" (coral.ai/docs/edgetpu/compiler). The compiler reports up to
# 8.05 MiB free for small models and 6.9 to 7.7 MiB for larger ones, whose code takes the rest.
CACHE_BYTES = 8 * 2**20
REFUSED = "the compiler refuses the file"


@dataclass(frozen=True)
class Placement:
    """Where one operator is predicted to run.

    Attributes:
        number: position in the file.
        name: LiteRT's name.
        mapped: whether it goes to the Edge TPU.
        reason: why it does not; "" when it does.
        caution: for a mapped one, what may still keep it away; usually "".
    """

    number: int
    name: str
    mapped: bool
    reason: str
    caution: str


@dataclass(frozen=True)
class Prediction:
    """What the compiler is predicted to do with a model.

    Attributes:
        placements: one per operator, in execution order.
        refused: why the compiler would refuse the whole file, or "".
        parameter_bytes: weights and biases of the mapped operators.
    """

    placements: tuple[Placement, ...]
    refused: str
    parameter_bytes: int

    @property
    def mapped(self) -> int:
        """How many operators go to the Edge TPU."""
        return sum(placement.mapped for placement in self.placements)

    @property
    def verdict(self) -> str:
        """ "full", "part" or "none" of the operators mapped."""
        return "none" if not self.mapped else "full" if self.mapped == len(self.placements) else "part"

    @property
    def left(self) -> Counter[str]:
        """Operators left on the CPU, counted by name."""
        return Counter(placement.name for placement in self.placements if not placement.mapped)

    @property
    def streamed_bytes(self) -> int:
        """Parameters that do not fit into the cache and cross the USB cable for every inference."""
        return max(0, self.parameter_bytes - CACHE_BYTES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": self.verdict,
            "refused": self.refused,
            "operators": len(self.placements),
            "mapped": self.mapped,
            "parameter_bytes": self.parameter_bytes,
            "cache_bytes": CACHE_BYTES,
            "streamed_bytes": self.streamed_bytes,
            "placements": [vars(placement) for placement in self.placements],
        }


def predict(path: str | Path) -> Prediction:
    """Predict what edgetpu_compiler 16.0 does with a .tflite file, with its default options.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read, is no .tflite file, or is compiled for the Edge TPU already.
    """

    def read(model: Any, file_bytes: int) -> Prediction:
        return predict_nodes(ops.read_nodes(model))

    prediction = read_flatbuffer(path, read)
    if any(placement.name == EDGETPU_OPERATOR for placement in prediction.placements):
        raise ModelFileError(f"{path} is compiled for the Edge TPU already. Give the file it was compiled from.")
    return prediction


def compare(prediction: Prediction, mapped: Mapping[str, int], left: Mapping[str, int]) -> tuple[str, ...]:
    """Where a prediction and the compiler's table differ: one sentence for each kind of operator, none when they agree.

    The table counts all custom operators as "CUSTOM".
    """
    predicted = Counter(_log_name(placement.name) for placement in prediction.placements if placement.mapped)
    total = Counter(_log_name(placement.name) for placement in prediction.placements)
    return tuple(
        f"{name}: {predicted[name]} of {total[name]} predicted mapped, the compiler mapped {mapped.get(name, 0)} of "
        f"{mapped.get(name, 0) + left.get(name, 0)}"
        for name in sorted({*total, *mapped, *left})
        if (predicted[name], total[name]) != (mapped.get(name, 0), mapped.get(name, 0) + left.get(name, 0))
    )


def validate(mapping: str | Path) -> list[dict[str, Any]]:
    """Compare predictions with what the compiler really did.

    Args:
        mapping: CSV with the columns model (file beside the CSV), operators, mapped and left_on_cpu ("CONV_2Dx2;ARG_MAXx1").

    Returns:
        One row per model: the file's name, counts, and whether the same operators are left on the CPU.

    Raises:
        CrackError: if the CSV cannot be read or lacks a column.
        ModelFileError: if a model cannot be read.
    """
    mapping = Path(mapping)
    try:
        with mapping.open(newline="", encoding="utf-8") as stream:
            table = [
                (line["model"], int(line["operators"]), int(line["mapped"]), line["left_on_cpu"])
                for line in csv_rows(stream)
            ]
    except OSError as error:
        raise CrackError(f"cannot read {mapping}: {error.strerror}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CrackError(
            f"{mapping} is not a table of compiled models ({error}): columns model, operators, mapped, left_on_cpu."
        ) from None
    rows = []
    for model, operators, mapped, left in table:
        prediction = predict(mapping.parent / model)
        real = Counter(dict(_counted(item) for item in left.split(";") if item))
        rows.append(
            {
                "model": model,
                "operators": operators,
                "mapped": mapped,
                "predicted_mapped": prediction.mapped,
                "left": listed(real),
                "predicted_left": listed(prediction.left),
                "agrees": (len(prediction.placements), prediction.left) == (operators, real),
            }
        )
    return rows


def listed(counts: Mapping[str, int]) -> str:
    """Operators and how many of each, as in tables: "CONV_2Dx2;MEANx1", by name."""
    return ";".join(f"{name}x{counts[name]}" for name in sorted(counts))


def predict_nodes(nodes: tuple[ops.Node, ...]) -> Prediction:
    """As `predict`, of the operators of a graph in execution order."""
    refused = ops.why_refused(nodes)
    reasons = [ops.why_not(node) for node in nodes]
    if refused:
        reasons = [reason or REFUSED for reason in reasons]
    else:
        taken, blame = _partition(nodes, [not reason for reason in reasons])
        for number in range(len(nodes)):
            if not reasons[number] and number not in taken:
                before = blame[number]
                reasons[number] = (
                    f"supported, but comes after operator {before} {nodes[before].name}, which stays on the CPU"
                )
    mapped = [not reason for reason in reasons]
    constants = {
        tensor.number: tensor.size
        for node, is_mapped in zip(nodes, mapped, strict=True)
        for tensor in node.present
        if is_mapped and tensor.constant
    }
    return Prediction(
        placements=tuple(
            Placement(number, node.name, not reason, reason, "" if reason else ops.caution(node))
            for number, (node, reason) in enumerate(zip(nodes, reasons, strict=True))
        ),
        refused=refused,
        parameter_bytes=sum(constants.values()),
    )


def _partition(nodes: Sequence[ops.Node], supported: Sequence[bool]) -> tuple[set[int], dict[int, int]]:
    """Cut the graph as TensorFlow Lite does for a delegate (PartitionGraphIntoIndependentNodeSubsets in graph_info.cc).

    Subsets alternate: as many ready nodes of one kind as there are, then as many of the other. The compiler, unless told
    otherwise, keeps the first subset of supported nodes and leaves the later ones on the CPU.

    Returns:
        Numbers of the nodes taken, and for each other supported one the unsupported node it waits for.
    """
    waiting = dict(enumerate(nodes))
    produced_by = {tensor.number: number for number, node in waiting.items() for tensor in node.outputs}
    taken: set[int] = set()
    blame: dict[int, int] = {}
    done: set[int] = set()
    while waiting:
        kind: bool | None = None
        subset: list[int] = []
        progress = True
        while progress:
            progress = False
            for number, node in list(waiting.items()):
                sources = {produced_by[tensor.number] for tensor in node.present if tensor.number in produced_by}
                if not sources <= done or (kind is not None and supported[number] != kind):
                    continue
                kind = supported[number]
                late = [source for source in sources if source not in taken]
                blame[number] = max(
                    (blame.get(source, source) if supported[source] else source for source in late), default=number
                )
                done.add(number)
                subset.append(number)
                del waiting[number]
                progress = True
        if not subset:
            raise ValueError("its operators wait for each other")
        if kind and not taken:
            taken = set(subset)
    return taken, blame


def _log_name(name: str) -> str:
    return name.partition(":")[0]


def _counted(item: str) -> tuple[str, int]:
    name, _, count = item.rpartition("x")
    return name, int(count)
