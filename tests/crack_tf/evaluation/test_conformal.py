"""Conformal bounds: the promise holds on exchangeable scores, and is refused when there is too little to go by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.evaluation.conformal import band, miss_threshold, smallest_risk
from tflite.errors import CrackError


@given(st.integers(1, 300), st.floats(0.001, 0.5), st.integers(0, 1000))
def test_no_more_than_the_promised_share_of_calibration_lies_below(count: int, risk: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=count)
    threshold = miss_threshold(scores, risk)
    assert np.sum(scores < threshold) <= risk * (count + 1)
    assert math.isinf(threshold) == (risk < smallest_risk(count) - 1e-9)


def test_new_scores_miss_as_often_as_promised_on_average() -> None:
    rng = np.random.default_rng(0)
    draws, risk = 3000, 0.1
    misses = [rng.normal() < miss_threshold(rng.normal(size=29), risk) for _ in range(draws)]
    # k = 3 of 30: exactly 0.1 for continuous scores. Three standard errors either way.
    error = math.sqrt(risk * (1 - risk) / draws)
    assert abs(np.mean(misses) - risk) < 3 * error


def test_the_band_leaves_the_overlap_of_the_classes_uncertain() -> None:
    clean, cracked = np.arange(0.0, 100.0), np.arange(80.0, 180.0)
    logits = np.concatenate([clean, cracked])
    labels = np.concatenate([np.zeros(100), np.ones(100)])
    found = band(logits, labels, 0.05)
    # k = 5 of 101 on either side.
    assert found.low == 84.0
    assert found.high == np.nextafter(95.0, np.inf)
    assert found.uncertain(np.array([83.0, 84.0, 95.0, 95.1])).tolist() == [False, True, True, False]


def test_nothing_is_uncertain_when_the_classes_lie_apart() -> None:
    logits = np.concatenate([np.linspace(-9, -5, 50), np.linspace(5, 9, 50)])
    found = band(logits, np.repeat([0, 1], 50), 0.05)
    assert not found.uncertain(logits).any()


def test_too_few_cracks_leave_every_low_score_uncertain() -> None:
    found = band(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0, 0, 1, 1]), 0.001)
    assert found.low == -math.inf
    assert found.high == math.inf
    assert found.uncertain(np.array([-50.0, 50.0])).all()


@pytest.mark.parametrize(
    ("scores", "risk", "words"),
    [([1.0], 0.0, "risk"), ([1.0], 1.0, "risk"), ([], 0.1, "at least one"), ([np.nan], 0.1, "not finite")],
)
def test_impossible_arguments_are_refused(scores: list[float], risk: float, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        miss_threshold(np.array(scores), risk)
