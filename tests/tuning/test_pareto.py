"""The front keeps exactly what nothing beats; the knee is one of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuning.objective import Outcome
from tuning.pareto import costs, finalists, front, knee

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
