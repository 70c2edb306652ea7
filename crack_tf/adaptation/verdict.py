"""A candidate before the guard: at the recall that is asked for, at that of the model it would replace, and at its threshold."""

from __future__ import annotations

from dataclasses import replace

from crack_tf.adaptation.bench import Bench
from crack_tf.adaptation.candidates import Trial
from crack_tf.adaptation.guard import Answers, ElsewhereRow, SiteRow, compare_here, reasons_elsewhere, with_reasons

AS_SHIPPED = 0.0  # recall to reach: that of the shipped model
UNCHANGED = None  # no recall: the threshold stays where it is


def verdict(bench: Bench, trial: Trial, seconds: float = 0.0) -> tuple[SiteRow, list[ElsewhereRow]]:
    """A candidate against the shipped model, here and elsewhere.

    Its threshold is to find what is asked for. Where that is not better, as many cracks as today with fewer false alarms would be, and
    last what it says where today's threshold lies: one that few cracks choose lies just below the lowest of them, and the next draw of
    labels has another lowest.

    Args:
        bench: what it was made from.
        trial: the candidate.
        seconds: that it took.
    """
    first = found = _at(bench, trial, bench.config.target_recall, seconds)
    for asked in (AS_SHIPPED, UNCHANGED):
        if found[0].passed:
            break
        found = _at(bench, trial, asked, seconds)
    return found if found[0].passed else first


def _at(bench: Bench, trial: Trial, asked: float | None, seconds: float) -> tuple[SiteRow, list[ElsewhereRow]]:
    each, threshold = bench.thresholds(trial.held_out, trial.elsewhere, asked)
    tested = bench.tested
    before = Answers(bench.here[tested], bench.threshold)
    after = Answers(trial.held_out[tested], each[tested])
    row = compare_here(trial.name, bench.held_out, before, after, threshold, seconds, bench.config.seed)
    outside = bench.rows_elsewhere(trial.name, trial.elsewhere, threshold)
    row = replace(row, asked_recall=asked, choice=trial.note)
    return with_reasons(row, reasons_elsewhere(outside)), outside
