"""The Pareto front: models that no other model beats in everything, and the knee, where giving up more stops paying."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tuning.objective import Outcome

# A factor of two begins to matter, in false alarms, latency or size. A front that spans less on some axis is not
# stretched to fill it, or a microsecond would weigh as much as a crack.
_LEAST_SPAN = math.log(2)


def costs(outcome: Outcome) -> tuple[float, ...]:
    """(1 - recall, 1 - specificity, latency, size), all to be small; of masks, and where sets are left out, (shortfall, latency, size)."""
    cost = float(outcome.latency_ms or 0), float(outcome.kilobytes or 0)
    if outcome.f1 is not None or outcome.left_out:
        return (shortfall(outcome), *cost)
    assert outcome.recall is not None
    assert outcome.specificity is not None
    return (1 - outcome.recall, 1 - outcome.specificity, *cost)


def front(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes within the budget that are not dominated, fastest first.

    One dominates another when it is nowhere worse and somewhere better. Of equals, the first stays. Trials of one network are equally
    fast, whatever the clock said: its fastest reading counts for all, or one that learned less would stand there for a microsecond.
    """
    fine = [outcome for outcome in outcomes if outcome.status == "ok"]
    fastest: dict[object, float] = {}
    for outcome in fine:
        fastest[_network(outcome)] = min(costs(outcome)[-2], fastest.get(_network(outcome), math.inf))
    points = [(*costs(outcome)[:-2], fastest[_network(outcome)], costs(outcome)[-1]) for outcome in fine]
    kept = [
        number
        for number, point in enumerate(points)
        if not any(
            all(a <= b for a, b in zip(other, point, strict=True)) and (other != point or index < number)
            for index, other in enumerate(points)
            if index != number
        )
    ]
    return sorted((fine[number] for number in kept), key=lambda outcome: float(outcome.latency_ms or 0))


def _network(outcome: Outcome) -> object:
    """What two trials of one network share: their files' bytes and counts; where these were not counted, a trial is one by itself."""
    counted = outcome.kilobytes, outcome.parameters, outcome.macs, outcome.activations
    return outcome.trial if None in counted else counted


def knee(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The front's best compromise: nearest to the point that has the best of everything.

    The axes are errors, latency and size, logarithmic (half as many errors, or twice as fast, is worth the same anywhere) and
    scaled between the front's extremes. Errors are a classifier's false alarms, or what the area over the sets left out or a mask's F1
    lacks. A classifier's recall is no axis: every trial reaches its floor, and the one or two tiles above it are chance.

    Args:
        outcomes: a front.

    Returns:
        One of them, or None when there is none.
    """
    if not outcomes:
        return None
    points = np.log([(shortfall(o), *costs(o)[-2:]) for o in outcomes])
    scaled = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), _LEAST_SPAN)
    return outcomes[int(np.argmin((scaled**2).sum(axis=1)))]


def shortfall(outcome: Outcome) -> float:
    """Share of errors: a classifier's false alarms, where sets are left out 1 - their mean area, of masks 1 - F1.

    The latter two are at least a thousandth, since 0 has no logarithm.
    """
    reached = outcome.f1 if outcome.draws_masks else outcome.left_out_auc
    return false_alarms(outcome) if reached is None else max(1 - reached, 1e-3)


def false_alarms(outcome: Outcome) -> float:
    """Share of clean tiles called cracked; half a tile stands for none, which has no logarithm."""
    assert outcome.tn is not None
    assert outcome.fp is not None
    return max(outcome.fp, 0.5) / max(1, outcome.tn + outcome.fp)


def finalists(best: Sequence[Outcome], count: int) -> list[Outcome]:
    """Which of a front to finish: the highest score, the knee, then the next highest scores.

    Args:
        best: the front.
        count: at most this many.
    """
    by_score = sorted(best, key=lambda outcome: -outcome.score)
    choice = knee(best)
    ordered = [*by_score[:1], *([choice] if choice else []), *by_score[1:]]
    return list({outcome.trial: outcome for outcome in ordered}.values())[:count]
