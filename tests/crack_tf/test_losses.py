from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from crack_tf.losses import WeightedBinaryCrossentropy  # noqa: E402

logits = st.floats(-30, 30, width=32)


@given(st.lists(st.tuples(logits, st.integers(0, 1)), min_size=1, max_size=8))
def test_unit_weights_equal_keras_binary_crossentropy(pairs) -> None:
    z = np.array([[p[0]] for p in pairs], np.float32)
    y = np.array([[p[1]] for p in pairs], np.float32)
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(y, z)
    np.testing.assert_allclose(float(WeightedBinaryCrossentropy()(y, z)), float(expected), rtol=1e-4, atol=1e-6)


def test_weights_scale_their_own_class_only() -> None:
    z = np.array([[0.3], [0.3]], np.float32)
    plain = WeightedBinaryCrossentropy(reduction=None)
    weighted = WeightedBinaryCrossentropy(3.0, 0.5, reduction=None)
    y = np.array([[1.0], [0.0]], np.float32)
    ratio = np.asarray(weighted(y, z)) / np.asarray(plain(y, z))
    np.testing.assert_allclose(ratio, [3.0, 0.5], rtol=1e-6)


def test_loss_survives_serialisation_with_its_weights() -> None:
    config = keras.losses.serialize(WeightedBinaryCrossentropy(2.0, 0.25))
    restored = keras.losses.deserialize(config)
    assert (restored.positive_weight, restored.negative_weight) == (2.0, 0.25)


def test_extreme_logits_give_finite_loss() -> None:
    z = np.array([[1e4], [-1e4]], np.float32)
    assert np.isfinite(float(WeightedBinaryCrossentropy()(np.array([[0.0], [1.0]]), z)))
