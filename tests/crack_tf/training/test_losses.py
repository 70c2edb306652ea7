from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from crack_tf.training.losses import WeightedBinaryCrossentropy, make_loss  # noqa: E402
from tflite.errors import CrackError  # noqa: E402

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


def loss_of(name: str, truth: list, logits: list, **weights: float) -> float:
    return float(make_loss(name, **weights)(np.array(truth, np.float32), np.array(logits, np.float32)))


# Logit 0 is probability 1/2, logit log 3 is 3/4, logit -log 3 is 1/4.
LOG3 = float(np.log(3))
MASK = [[[[1.0], [0.0]], [[0.0], [0.0]]]]
MAP = [[[[LOG3], [0.0]], [[-LOG3], [-LOG3]]]]


def test_weighted_cross_entropy_of_a_map_is_the_mean_over_its_pixels() -> None:
    expected = (1.1 * -np.log(3 / 4) + 0.9 * (-np.log(1 / 2) - 2 * np.log(3 / 4))) / 4
    assert loss_of("bce", MASK, MAP, positive_weight=1.1, negative_weight=0.9) == pytest.approx(expected, rel=1e-6)


def test_dice_and_tversky_are_those_of_the_soft_counts() -> None:
    hits, misses, false_alarms = 3 / 4, 1 / 4, 1 / 2 + 1 / 4 + 1 / 4
    dice = 1 - (hits + 1) / (hits + 0.5 * misses + 0.5 * false_alarms + 1)
    tversky = 1 - (hits + 1) / (hits + 0.7 * misses + 0.3 * false_alarms + 1)
    assert loss_of("dice", MASK, MAP) == pytest.approx(dice, rel=1e-6)
    assert loss_of("tversky", MASK, MAP) == pytest.approx(tversky, rel=1e-6)


def test_a_joined_name_is_the_sum_of_its_parts() -> None:
    parts = loss_of("bce", MASK, MAP, positive_weight=2.0) + loss_of("dice", MASK, MAP)
    assert loss_of("bce+dice", MASK, MAP, positive_weight=2.0) == pytest.approx(parts, rel=1e-6)


def test_tversky_counts_a_miss_more_than_a_false_alarm() -> None:
    sure = 20.0
    missed = loss_of("tversky", [[[[1.0], [1.0]]]], [[[[sure], [-sure]]]])
    false_alarm = loss_of("tversky", [[[[1.0], [0.0]]]], [[[[sure], [sure]]]])
    assert missed > false_alarm > 0


@pytest.mark.parametrize("name", ["dice", "tversky", "bce+dice"])
def test_a_perfect_map_costs_nothing_and_an_empty_mask_gives_a_finite_loss(name: str) -> None:
    assert loss_of(name, MASK, [[[[40.0], [-40.0]], [[-40.0], [-40.0]]]]) == pytest.approx(0, abs=1e-5)
    empty = np.zeros((1, 2, 2, 1)).tolist()
    assert 0 < loss_of(name, empty, MAP) < 10


@pytest.mark.parametrize("name", ["bce", "dice", "tversky", "bce+dice"])
def test_a_loss_made_by_name_survives_serialisation(name: str) -> None:
    loss = make_loss(name, 1.1, 0.9)
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    truth, logits = np.array(MASK, np.float32), np.array(MAP, np.float32)
    assert float(restored(truth, logits)) == pytest.approx(float(loss(truth, logits)), rel=1e-6)


@pytest.mark.parametrize("name", ["focal", "bce+", "bce+bce", ""])
def test_an_unknown_loss_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(CrackError, match=r"choose bce, dice, tversky.*bce\+dice"):
        make_loss(name)
