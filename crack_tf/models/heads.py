"""Heads of the models: pooled features to one logit, or features of every pixel to a map of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PEAK_SHARE = 0.5  # of the highest cell in the logit, where it counts; the rest is that of what is pooled
# What the layers behind a pretrained classifier's backbone begin with: the pooling, those of `logit_head`, and maps of cells.
HEAD_LAYERS = ("features", "dropout", "logit", "cells")


def logit_head(keras: Any, features: Any, dropout: float) -> Any:
    """Dropout and one linear unit on pooled features; the output is a logit, kept in float32 under mixed precision."""
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    return keras.layers.Dense(1, dtype="float32", name="logit")(features)


def logit_map(keras: Any, features: Any, name: str = "logit") -> Any:
    """One linear unit per pixel; the map of logits is kept in float32 under mixed precision.

    Few pixels are cracked. Starting at a probability of 5 % rather than 50 %, the first steps are not spent on learning that
    (Lin et al., Focal Loss, ICCV 2017, section 3.3).
    """
    rare = keras.initializers.Constant(-3.0)
    return keras.layers.Conv2D(1, 1, bias_initializer=rare, dtype="float32", name=name)(features)


def with_cells(keras: Any, model: Any, cells: Mapping[int, str]) -> Any:
    """A classifier that also says where in the tile the crack is: what it is trained as where masks teach it.

    Where the highest cell is a part of the answer, the label teaches what is pooled alone, and masks teach the cells: the answer is the
    mean of two opinions.

    Args:
        keras: the Keras namespace.
        model: a classifier.
        cells: layers whose features are asked, by their stride in pixels, see `ModelSpec.cells`.

    Returns:
        Model of the same layers; outputs are "logit" (b, 1), for each stride "cells_STRIDE" (b, rows, columns, 1), a logit a cell, and
        "answer", the classifier's, which nothing teaches.
    """
    outputs = {layer.name: layer.output for layer in model.layers}
    maps = {}
    for stride, layer in cells.items():
        name = f"cells_{stride}"  # where the classifier itself has such a map, that is the one that is taught
        maps[name] = outputs[name] if name in outputs else logit_map(keras, outputs[layer], name)
    taught = model.output
    if "logit_peak" in outputs:
        taught = keras.layers.Rescaling(1 / (1 - PEAK_SHARE), name="logit_pooled")(outputs["logit_late"])
    return keras.Model(model.input, {"logit": taught, **maps, "answer": model.output}, name=model.name)


def take_weights(model: Any, earlier: Any) -> list[Any] | None:
    """Give a model the weights of an earlier one, layer by name; its last layer may see more (`cells`, `early`).

    Returns:
        Layers with weights that the earlier one has not, as they were; None, and nothing is changed, where the model lacks a layer of the
        earlier one or has it in another shape.
    """
    own = {layer.name: layer for layer in model.layers if layer.weights}
    given = {layer.name: layer.get_weights() for layer in earlier.layers if layer.weights}
    if "logit" in given and "logit_late" in own:
        kept = 1 - PEAK_SHARE if "logit_peak" in own else 1  # of the answer, where the highest cell is the rest
        given["logit_late"] = [kept * value for value in given.pop("logit")]
    for name, weights in given.items():
        if name not in own or [value.shape for value in own[name].get_weights()] != [value.shape for value in weights]:
            return None
    for name, weights in given.items():
        own[name].set_weights(weights)
    return [layer for name, layer in own.items() if name not in given]


def without_cells(keras: Any, model: Any) -> Any:
    """The classifier in what `with_cells` made; any other model as it is."""
    outputs = model.output
    return keras.Model(model.input, outputs["answer"], name=model.name) if isinstance(outputs, dict) else model
