"""The two looks of a classifier's file one by one, so that the second is taken only where it could matter.

A file may look at a tile and at its blurred copy and answer with the mean of both logits (`tflite.convert`). Where the first look is far
below the threshold, the second cannot change the decision, and most tiles of a flight are like that. The file is cut in memory: into the
operators that lead to the first look's logit, and all others, which take that logit as a second input. Both together compute what the
whole file computes, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tflite.graph import read_flatbuffer


def cut_looks(path: str | Path) -> tuple[bytes, bytes] | None:
    """The first look, and what turns its logit and the tile into the file's answer.

    Args:
        path: of the .tflite file.

    Returns:
        The contents of two .tflite files, tile to logit and (tile, logit) to answer; None where the file looks once, or in another way.

    Raises:
        CrackError: if LiteRT is not installed.
        ModelFileError: if the file cannot be read.
    """
    return read_flatbuffer(path, lambda model, _: _cut(model))


def _cut(model: Any) -> tuple[bytes, bytes] | None:
    from ai_edge_litert import schema_py_generated as schema

    whole = schema.ModelT.InitFromObj(model)
    whole.signatureDefs = []  # they name tensors of the whole
    graph = whole.subgraphs[0]
    pixels, answer = int(graph.inputs[0]), int(graph.outputs[0])
    logit = _first_logit(graph, pixels, answer)
    if logit is None:
        return None
    operators = graph.operators
    return _between(whole, operators, [pixels], [logit]), _between(whole, operators, [pixels, logit], [answer])


def _first_logit(graph: Any, pixels: int, answer: int) -> int | None:
    """The tensor that counts more than once in the mean of logits at the graph's end: the sharp look's."""
    made_by = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    place = answer
    while place in made_by:
        inputs = [int(tensor) for tensor in made_by[place].inputs]
        counts = Counter(inputs)
        found, times = counts.most_common(1)[0]
        if len(counts) == 2 and times > 1 and all(tensor in made_by for tensor in counts):
            return found
        if sum(tensor in made_by for tensor in inputs) != 1 or place == pixels:
            return None  # a network begins here
        place = next(tensor for tensor in inputs if tensor in made_by)
    return None


def _between(model: Any, operators: list[Any], inputs: list[int], outputs: list[int]) -> bytes:
    """The model with those of its operators alone that lead from some tensors to others."""
    import flatbuffers

    graph = model.subgraphs[0]
    needed, kept = set(outputs), []
    for operator in reversed(operators):  # in the order of computation
        if needed & ({int(tensor) for tensor in operator.outputs} - set(inputs)):
            needed |= {int(tensor) for tensor in operator.inputs}
            kept.append(operator)
    graph.operators, graph.inputs, graph.outputs = kept[::-1], inputs, outputs
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
