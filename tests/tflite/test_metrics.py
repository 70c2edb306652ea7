"""Counts, rates and intervals against published values and against their own definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.metrics import Confusion, confusion, logit, roc_auc, sigmoid, summary, wilson_interval

counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


# Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (score without continuity correction).
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(counts)
def test_wilson_contains_the_share_and_lies_in_0_1(pair: tuple[int, int]) -> None:
    successes, trials = pair
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


@settings(deadline=None)
@given(counts)
def test_wilson_is_symmetric_in_hits_and_misses(pair: tuple[int, int]) -> None:
    successes, trials = pair
    low, high = wilson_interval(successes, trials)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@settings(deadline=None)
@given(counts)
def test_wilson_shrinks_with_more_trials_of_the_same_share(pair: tuple[int, int]) -> None:
    successes, trials = pair
    low, high = wilson_interval(successes, trials)
    low4, high4 = wilson_interval(4 * successes, 4 * trials)
    assert high4 - low4 < high - low


@settings(deadline=None)
@given(counts)
def test_wilson_widens_with_confidence(pair: tuple[int, int]) -> None:
    low95, high95 = wilson_interval(*pair)
    low99, high99 = wilson_interval(*pair, confidence=0.99)
    assert low99 <= low95
    assert high95 <= high99


@settings(deadline=None)
@given(st.integers(1, 10**6))
def test_wilson_bounds_are_exact_at_none_and_all(trials: int) -> None:
    assert wilson_interval(0, trials)[0] == 0.0
    assert wilson_interval(trials, trials)[1] == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (1, 0), (0, -1), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="must"):
        wilson_interval(successes, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, -0.5, math.nan])
def test_wilson_refuses_a_confidence_outside_0_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(3, 5, confidence)


def test_confusion_counts_a_logit_at_the_threshold_as_crack() -> None:
    logits = np.array([2.0, 0.5, 0.49, -3.0, 0.5, -1.0, 4.0])
    labels = np.array([1, 1, 1, 1, 0, 0, 0])
    assert confusion(logits, labels, 0.5) == Confusion(
        true_positive=2, false_negative=2, true_negative=1, false_positive=2
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 1)), max_size=40), st.floats(-50, 50))
def test_confusion_agrees_with_counting_one_by_one(rows: list[tuple[float, int]], threshold: float) -> None:
    found = confusion(np.array([r[0] for r in rows]), np.array([r[1] for r in rows], np.int8), threshold)
    assert found.true_positive == sum(score >= threshold and label == 1 for score, label in rows)
    assert found.false_positive == sum(score >= threshold and label == 0 for score, label in rows)
    assert found.positives == sum(label for _, label in rows)
    assert found.positives + found.negatives == len(rows)


def test_confusion_takes_infinite_logits_as_sure() -> None:
    found = confusion(np.array([np.inf, -np.inf]), np.array([1, 0]), 0.0)
    assert (found.true_positive, found.true_negative) == (1, 1)


def test_confusion_refuses_nan_which_would_pass_for_crack_free() -> None:
    with pytest.raises(CrackError, match="1 of 2 logits are NaN"):
        confusion(np.array([1.0, np.nan]), np.array([1, 1]), 0.0)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((3, 1)), np.zeros(3)),
        (np.zeros(3), np.zeros(2)),
        (np.zeros(3), np.array([0, 1, 2])),
        (np.zeros(()), 0),
    ],
)
def test_confusion_refuses_arrays_that_do_not_fit(logits: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must"):
        confusion(logits, labels, 0.0)


def test_rates_follow_their_definitions() -> None:
    found = Confusion(true_positive=8, false_negative=2, true_negative=15, false_positive=5)
    assert found.recall == pytest.approx(0.8)
    assert found.specificity == pytest.approx(0.75)
    assert found.precision == pytest.approx(8 / 13)
    assert found.accuracy == pytest.approx(23 / 30)
    assert found.f1 == pytest.approx(2 * 0.8 * (8 / 13) / (0.8 + 8 / 13))


def test_summary_is_the_published_opnet_row() -> None:
    """3,000 cracked and 3,000 clean tiles: recall 0.9983 is 5 missed, specificity 0.9967 is 10 false alarms."""
    row = summary(Confusion(true_positive=2995, false_negative=5, true_negative=2990, false_positive=10))
    assert (row["tp"], row["fn"], row["tn"], row["fp"]) == (2995, 5, 2990, 10)
    assert row["recall"] == pytest.approx(0.9983, abs=5e-5)
    assert row["specificity"] == pytest.approx(0.9967, abs=5e-5)
    assert (row["recall_low"], row["recall_high"]) == wilson_interval(2995, 3000)
    assert (row["specificity_low"], row["specificity_high"]) == wilson_interval(2990, 3000)


@pytest.mark.parametrize(
    ("found", "missing", "present"),
    [
        (
            Confusion(0, 0, 9, 1),
            ("recall", "recall_low", "recall_high"),
            ("specificity", "accuracy", "precision", "f1"),
        ),
        (Confusion(9, 1, 0, 0), ("specificity", "specificity_low", "specificity_high"), ("recall", "accuracy", "f1")),
        (Confusion(0, 0, 10, 0), ("recall", "precision", "f1"), ("specificity", "accuracy")),
        (Confusion(0, 0, 0, 0), ("recall", "specificity", "precision", "accuracy", "f1"), ("tp", "fn", "tn", "fp")),
    ],
)
def test_summary_gives_none_for_a_rate_over_nothing(
    found: Confusion, missing: tuple[str, ...], present: tuple[str, ...]
) -> None:
    row = summary(found)
    assert [name for name in missing if row[name] is not None] == []
    assert [name for name in present if row[name] is None] == []


@settings(deadline=None)
@given(st.floats(-30, 30))
def test_logit_undoes_sigmoid(value: float) -> None:
    # Near 1 a float64 keeps few digits of its distance to 1; near 0 it keeps them all.
    assert logit(float(sigmoid(value))) == pytest.approx(value, abs=1e-2 if value > 20 else 1e-6)
    assert logit(float(sigmoid(-abs(value)))) == pytest.approx(-abs(value), abs=1e-9)


@settings(deadline=None)
@given(st.floats(1e-9, 1 - 1e-9))
def test_sigmoid_undoes_logit(probability: float) -> None:
    assert float(sigmoid(logit(probability))) == pytest.approx(probability, rel=1e-6)


def test_sigmoid_is_quiet_and_exact_at_the_ends() -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert sigmoid(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]
    assert sigmoid(np.zeros(2, np.float32)).dtype == np.float64


def test_logit_is_infinite_at_the_ends() -> None:
    assert (logit(0.0), logit(1.0), logit(0.5)) == (-math.inf, math.inf, 0.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float32)
    labels = np.array([label for _, label in pairs], dtype=int)
    cracked, clean = scores[labels == 1], scores[labels == 0]
    if not len(cracked) or not len(clean):
        assert roc_auc(scores, labels) is None
        return
    difference = cracked[:, None] - clean[None, :]
    assert roc_auc(scores, labels) == pytest.approx(float(np.mean((difference > 0) + 0.5 * (difference == 0))))
