"""Weights of an earlier network in one whose last layer sees more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crack_tf.models.heads import PEAK_SHARE, take_weights

keras = pytest.importorskip("keras")


def network(*units: str, wide: int = 2) -> Any:
    """One unit of each name on a layer of so many, with weights of 1."""
    seen = keras.layers.Dense(wide, kernel_initializer="ones", name="body")(inputs := keras.Input((3,)))
    parts = [keras.layers.Dense(1, kernel_initializer="ones", name=name)(seen) for name in units]
    return keras.Model(inputs, parts)


def kernel(model: Any, name: str) -> np.ndarray:
    return np.asarray(model.get_layer(name).get_weights()[0])


def scaled(model: Any, factor: float) -> Any:
    model.set_weights([factor * value for value in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("before", "after", "share", "new"),
    [
        (("logit",), ("logit",), 1, []),
        (("logit",), ("logit_late", "logit_max"), 1, ["logit_max"]),
        (("logit",), ("logit_late", "logit_peak"), 1 - PEAK_SHARE, ["logit_peak"]),
        (
            ("logit_late", "logit_peak"),
            ("logit_late", "logit_peak", "logit_max"),
            1,
            ["logit_max"],
        ),  # its share already
    ],
)
def test_a_network_has_the_earlier_ones_weights_and_names_what_is_new(
    before: tuple[str, ...], after: tuple[str, ...], share: float, new: list[str]
) -> None:
    earlier, model = scaled(network(*before), 3), network(*after)
    found = take_weights(model, earlier)
    assert found is not None
    assert [layer.name for layer in found] == new
    assert (kernel(model, "body") == 3).all()
    assert (kernel(model, after[0]) == 3 * share).all()
    assert all((kernel(model, name) == 1).all() for name in new)


@pytest.mark.parametrize(
    "earlier", [network("logit", "other"), network("logit", wide=4), network("logit_late", "logit_peak")]
)
def test_a_network_that_lacks_or_changes_an_earlier_layer_keeps_its_own_weights(earlier: Any) -> None:
    model = network("logit")
    assert take_weights(model, scaled(earlier, 3)) is None
    assert (kernel(model, "body") == 1).all()
