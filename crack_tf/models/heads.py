"""Heads of the models: pooled features to one logit, or features of every pixel to a map of them."""

from __future__ import annotations

from typing import Any

# What the layers behind a pretrained classifier's backbone are called: the pooling, and those of `logit_head`.
HEAD_LAYERS = ("features", "dropout", "logit")


def logit_head(keras: Any, features: Any, dropout: float) -> Any:
    """Dropout and one linear unit on pooled features; the output is a logit, kept in float32 under mixed precision."""
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    return keras.layers.Dense(1, dtype="float32", name="logit")(features)


def logit_map(keras: Any, features: Any) -> Any:
    """One linear unit per pixel; the map of logits is kept in float32 under mixed precision.

    Few pixels are cracked. Starting at a probability of 5 % rather than 50 %, the first steps are not spent on learning that
    (Lin et al., Focal Loss, ICCV 2017, section 3.3).
    """
    rare = keras.initializers.Constant(-3.0)
    return keras.layers.Conv2D(1, 1, bias_initializer=rare, dtype="float32", name="logit")(features)
