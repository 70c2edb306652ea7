"""The front keeps exactly what nothing beats; the knee is one of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuning.objective import Outcome
from tuning.pareto import costs, finalists, front, knee
from tuning.report import front_table, row, write_report

TILES = 1000


def outcome(
    name: str, specificity: float, latency: float, size: float, recall: float = 1.0, status: str = "ok"
) -> Outcome:
    hits, clean = round(recall * TILES), round(specificity * TILES)
    return Outcome(
        name,
        status,
        specificity,
        {},
        recall=recall,
        specificity=specificity,
        tp=hits,
        fn=TILES - hits,
        tn=clean,
        fp=TILES - clean,
        latency_ms=latency,
        kilobytes=size,
    )


STEPS = st.integers(1, 4).map(float)


@st.composite
def outcomes(draw: st.DrawFn) -> list[Outcome]:
    rows = draw(st.lists(st.tuples(STEPS, STEPS, STEPS, st.sampled_from([0.998, 1.0])), min_size=0, max_size=12))
    return [outcome(str(n), 1 - s / 10, ms, kb, recall) for n, (s, ms, kb, recall) in enumerate(rows)]


def dominates(a: Outcome, b: Outcome) -> bool:
    pairs = list(zip(costs(a), costs(b), strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


@given(outcomes())
def test_nothing_on_the_front_is_beaten_and_everything_off_it_is(trials: list[Outcome]) -> None:
    best = front(trials)
    for one in best:
        assert not any(dominates(other, one) for other in trials)
    for one in trials:
        assert one in best or any(dominates(other, one) or costs(other) == costs(one) for other in best)


@given(outcomes())
def test_equals_stay_once_and_the_front_runs_from_fast_to_slow(trials: list[Outcome]) -> None:
    best = front(trials)
    assert len({costs(one) for one in best}) == len(best)
    assert [one.latency_ms for one in best] == sorted(one.latency_ms for one in best if one.latency_ms)


def test_two_trials_of_one_network_stand_once_whatever_the_clock_said() -> None:
    def trial(name: str, specificity: float, latency: float, macs: int = 5) -> Outcome:
        return replace(outcome(name, specificity, latency, 64.0), parameters=3, macs=macs, activations=7)

    same = [trial("0", 0.95, 0.1556), trial("1", 0.96, 0.1639), trial("2", 0.96, 0.16)]
    assert [one.trial for one in front(same)] == ["1"]
    other = trial("3", 0.95, 0.15, macs=4)
    assert [one.trial for one in front([*same, other])] == ["3", "1"]
    # Accuracy on one axis and on the other is still two things.
    assert len(front([trial("0", 0.95, 0.2), replace(trial("1", 0.96, 0.3), recall=0.999)])) == 2


@given(outcomes())
def test_the_knee_is_on_the_front(trials: list[Outcome]) -> None:
    best = front(trials)
    assert (knee(best) in best) if best else (knee(best) is None)


def test_trials_over_budget_or_failed_are_no_part_of_the_front() -> None:
    assert front([outcome("a", 1.0, 0.1, 1, status="over budget"), outcome("b", 0.9, 9, 9)])[0].trial == "b"


def test_the_knee_is_the_compromise_rather_than_either_end() -> None:
    fast = outcome("fast", 0.90, 1, 10)
    good = outcome("good", 0.999, 100, 1000)
    middle = outcome("middle", 0.998, 3, 30)
    choice = knee(front([fast, good, middle]))
    assert choice is not None
    assert choice.trial == "middle"


def test_a_microsecond_does_not_weigh_as_much_as_a_false_alarm() -> None:
    useless = outcome("useless", 0.0, 0.05, 8)
    right = outcome("right", 1.0, 0.06, 8)
    choice = knee(front([useless, right]))
    assert choice is not None
    assert choice.trial == "right"


@given(outcomes(), st.integers(0, 5))
def test_finalists_begin_with_the_best_score_and_the_knee(trials: list[Outcome], count: int) -> None:
    best = front(trials)
    chosen = finalists(best, count)
    assert len(chosen) == len({one.trial for one in chosen}) == min(count, len(best))
    if chosen:
        assert chosen[0].score == max(one.score for one in best)
    if count >= 2:
        assert not best or knee(best) in chosen


def mask(name: str, f1: float, latency: float, size: float) -> Outcome:
    figures: dict[str, Any] = {
        "recall": f1,
        "specificity": 0.99,
        "tp": 1,
        "fn": 1,
        "tn": 1,
        "fp": 1,
        "f1": f1,
        "iou": f1 / (2 - f1),
    }
    return Outcome(name, "ok", f1, {}, latency_ms=latency, speedup=1.0, kilobytes=size, macs=10**6, **figures)


def test_masks_are_compared_by_f1_latency_and_size() -> None:
    trials = [mask("slow", 0.9, 40, 900), mask("fast", 0.8, 4, 100), mask("beaten", 0.79, 5, 100)]
    assert [o.trial for o in front(trials)] == ["fast", "slow"]
    balanced = mask("balanced", 0.89, 6, 150)
    choice = knee(front([*trials, balanced]))
    assert choice is not None
    assert choice.trial == "balanced"
    assert "recall_low" in row(trials[0])
    assert row(trials[0])["recall_low"] is None  # pixels are not independent: no interval from their number
    assert "f1" not in row(outcome("tiles", 0.9, 1, 1))


def test_a_front_of_masks_is_drawn_and_printed_with_f1(tmp_path: Path) -> None:
    trials = [mask("0", 0.9, 40, 900), mask("1", 0.8, 4, 100)]
    best = write_report(trials, tmp_path, {})
    assert (tmp_path / "pareto.png").stat().st_size > 10_000
    table = front_table(best)
    assert "F1" in table
    assert "0.9000" in table
    assert "specificity" not in table
