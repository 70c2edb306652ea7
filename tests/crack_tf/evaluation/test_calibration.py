"""Calibration measures against values computed by hand, by scikit-learn and by counting."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import brier_score_loss, log_loss

from crack_tf.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    prevalence_table,
    reliability_bins,
)
from tflite.errors import CrackError
from tflite.metrics import Confusion, logit, sigmoid

# A busy machine is not a failure: a deadline per example would make it one.
SETTINGS = settings(deadline=None, max_examples=50)


@st.composite
def scored_tiles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(1, 80))
    logits = draw(hnp.arrays(np.float32, count, elements=st.one_of(st.integers(-3, 3), st.floats(-30, 30, width=32))))
    return logits, draw(hnp.arrays(np.int8, count, elements=st.integers(0, 1)))


@SETTINGS
@given(scored_tiles(), st.integers(1, 20))
def test_bins_hold_every_tile_once_and_rise(tiles: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    logits, labels = tiles
    parts = reliability_bins(logits, labels, bins)
    assert 1 <= len(parts) <= bins
    assert sum(part.count for part in parts) == len(logits)
    assert sum(part.count * part.share for part in parts) == pytest.approx(int(labels.sum()))
    assert sum(part.count * part.probability for part in parts) == pytest.approx(float(sigmoid(logits).sum()))
    probabilities = [part.probability for part in parts]
    assert probabilities == sorted(probabilities)


@SETTINGS
@given(scored_tiles(), st.integers(1, 20), st.randoms())
def test_the_order_of_tiles_does_not_change_the_error(
    tiles: tuple[np.ndarray, np.ndarray], bins: int, random: Random
) -> None:
    logits, labels = tiles
    order = list(range(len(logits)))
    random.shuffle(order)
    shuffled = expected_calibration_error(logits[order], labels[order], bins)
    assert expected_calibration_error(logits, labels, bins) == pytest.approx(shuffled, abs=1e-12)
    assert 0 <= shuffled <= 1


def test_distinct_scores_fill_bins_equally() -> None:
    parts = reliability_bins(np.arange(30.0), np.zeros(30), 15)
    assert [part.count for part in parts] == [2] * 15


def test_tied_scores_share_a_bin() -> None:
    parts = reliability_bins(np.array([0.0] * 20 + [5.0] * 4), np.zeros(24), 4)
    assert [part.count for part in parts] == [20, 4]


def test_calibration_error_by_hand() -> None:
    # Two bins: 4 tiles at 0.25 of which 2 are cracked, 2 tiles at 0.9 of which 2 are: 4/6 * 0.25 + 2/6 * 0.1.
    logits = np.array([logit(0.25)] * 4 + [logit(0.9)] * 2)
    labels = np.array([1, 1, 0, 0, 1, 1])
    assert expected_calibration_error(logits, labels, 2) == pytest.approx(4 / 6 * 0.25 + 2 / 6 * 0.1)


def test_a_calibrated_model_has_almost_no_error_and_an_overconfident_one_does() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < sigmoid(logits)).astype(int)
    assert expected_calibration_error(logits, labels) < 0.015
    assert expected_calibration_error(3 * logits, labels) > 0.08


@SETTINGS
@given(scored_tiles())
def test_brier_and_likelihood_agree_with_scikit_learn(tiles: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = tiles
    probabilities = sigmoid(logits)
    brier = brier_score_loss(labels, probabilities, pos_label=1, labels=[0, 1])
    assert brier_score(logits, labels) == pytest.approx(brier, abs=1e-12)
    likelihood = log_loss(labels, probabilities, labels=[0, 1])
    # scikit-learn clips probabilities near 0 and 1, this code does not need to.
    assert negative_log_likelihood(logits, labels) == pytest.approx(likelihood, rel=1e-3, abs=1e-9)


def test_likelihood_stays_finite_for_huge_logits() -> None:
    assert negative_log_likelihood(np.array([1000.0, -1000.0]), np.array([0, 1])) == 1000.0
    assert negative_log_likelihood(np.array([1000.0, -1000.0]), np.array([1, 0])) == 0.0


COUNTS = st.builds(Confusion, *[st.integers(0, 500)] * 4)


@SETTINGS
@given(COUNTS.filter(lambda c: c.positives and c.negatives and c.true_positive + c.false_positive))
def test_at_the_measured_prevalence_the_table_gives_the_measured_precision(counts: Confusion) -> None:
    total = counts.positives + counts.negatives
    (row,) = prevalence_table(counts, [counts.positives / total])
    assert row.precision == pytest.approx(counts.precision)
    assert row.false_alarms_per_1000 == pytest.approx(1000 * counts.false_positive / total)
    assert row.missed_cracks_per_1000 == pytest.approx(1000 * counts.false_negative / total)
    calls = counts.true_negative + counts.false_negative
    if calls:
        assert row.npv == pytest.approx(counts.true_negative / calls)


@SETTINGS
@given(COUNTS, st.floats(0.001, 0.999))
def test_rates_stay_rates_and_precision_lies_in_its_range(counts: Confusion, prevalence: float) -> None:
    (row,) = prevalence_table(counts, [prevalence])
    for key in ("recall", "specificity", "precision", "npv"):
        value = getattr(row, key)
        assert value is None or (isinstance(value, float) and 0 <= value <= 1)
    if row.precision is not None:
        assert row.precision_low <= row.precision + 1e-12  # type: ignore[operator]
        assert row.precision <= row.precision_high + 1e-12  # type: ignore[operator]


def test_rarer_cracks_lower_precision_and_leave_recall_alone() -> None:
    rows = prevalence_table(Confusion(998, 2, 997, 3))
    assert [row.cracked_to_clean for row in rows] == ["1:1", "1:5", "1:10"]
    assert [row.recall for row in rows] == [0.998] * 3
    assert [row.precision for row in rows] == pytest.approx([998 / 1001, 998 / 1013, 998 / 1028])
    assert rows[2].false_alarms_per_1000 == pytest.approx(1000 * 10 / 11 * 0.003)
    assert rows[2].missed_cracks_per_1000 == pytest.approx(1000 / 11 * 0.002)


def test_a_missing_class_leaves_its_columns_empty() -> None:
    row = prevalence_table(Confusion(9, 1, 0, 0))[0]
    assert row.recall == 0.9
    assert row.missed_cracks_per_1000 == pytest.approx(50)
    assert [getattr(row, key) for key in ("specificity", "precision", "npv", "false_alarms_per_1000")] == [None] * 4


def test_a_model_that_never_calls_has_no_precision() -> None:
    assert prevalence_table(Confusion(0, 5, 5, 0))[0].precision is None


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, math.nan])
def test_an_impossible_prevalence_is_refused(prevalence: float) -> None:
    with pytest.raises(CrackError, match="prevalence"):
        prevalence_table(Confusion(1, 1, 1, 1), [prevalence])


@pytest.mark.parametrize("measure", [brier_score, negative_log_likelihood, expected_calibration_error])
@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [([], [], "n > 0"), ([1.0], [1, 0], "both must be"), ([math.nan, 1.0], [0, 1], "1 of 2 logits are not finite")],
)
def test_bad_input_is_named(measure: Callable[..., float], logits: list, labels: list, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        measure(np.array(logits), np.array(labels))


def test_no_bins_is_refused() -> None:
    with pytest.raises(CrackError, match="bins 0"):
        reliability_bins(np.array([0.0]), np.array([1]), 0)
