"""Recall first, then the budget, then specificity: what beats what."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.errors import CrackError
from tuning.objective import FAILED_SCORE, Budget, Outcome, feasible_score, outcome_from, over_budget_score

SHARE = st.floats(0, 1)
LOSS = st.floats(0, 1e6)
COST = st.floats(1e-3, 1e4)


@given(SHARE, SHARE, LOSS, LOSS, st.integers(1, 9000))
def test_one_more_clean_tile_beats_any_loss(recall: float, start: float, a: float, b: float, tiles: int) -> None:
    correct = int(start * (tiles - 1))
    floor = recall
    better = feasible_score(recall, (correct + 1) / tiles, a, floor)
    assert better > feasible_score(recall, correct / tiles, b, floor)


@given(SHARE, SHARE, LOSS, st.floats(0.5, 1))
def test_a_missed_recall_floor_loses_against_any_trial_that_reaches_it(
    recall: float, specificity: float, loss: float, floor: float
) -> None:
    score = feasible_score(recall, specificity, loss, floor)
    worst_that_reaches_it = feasible_score(1.0, 0.0, 1e9, floor)
    assert (score < worst_that_reaches_it) == (recall < floor) or recall >= floor


@given(SHARE, SHARE, LOSS, SHARE, st.floats(1e-6, 1e6))
def test_every_trial_within_the_budget_beats_every_trial_outside_and_that_every_failed_one(
    recall: float, specificity: float, loss: float, floor: float, excess: float
) -> None:
    assert feasible_score(recall, specificity, loss, floor) >= -2 > over_budget_score(excess) > FAILED_SCORE


@given(COST, COST, COST, COST, COST, COST)
def test_excess_is_zero_exactly_when_every_limit_is_met(
    latency: float, size: float, speedup: float, most_ms: float, most_kb: float, least: float
) -> None:
    excess = Budget(most_ms, most_kb, least).excess(latency, size, speedup)
    met = latency / most_ms <= 1 and size / most_kb <= 1 and least / speedup <= 1
    assert (excess == 0) == met
    assert excess >= 0


def test_no_limit_is_never_exceeded_and_is_false() -> None:
    assert not Budget()
    assert Budget().excess(1e9, 1e9, 1e-9) == 0
    assert str(Budget()) == "none"
    assert str(Budget(2.5, 100, 4)) == "at most 2.5 ms, at most 100 kB, at least 4 times as fast as the reference"


def test_being_farther_outside_scores_lower() -> None:
    assert over_budget_score(0.1) > over_budget_score(0.5) > over_budget_score(5)


def test_an_outcome_survives_json() -> None:
    outcome = Outcome("0001", "ok", 0.99, {"width": 8, "learning_rate": 1e-3}, recall=1.0, latency_ms=0.5)
    assert outcome_from(json.loads(json.dumps(outcome.as_dict()))) == outcome


def test_a_foreign_result_is_refused() -> None:
    with pytest.raises(CrackError, match="no trial's result"):
        outcome_from({"trial": "1", "colour": "red"})
