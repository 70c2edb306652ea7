"""A candidate before the guard: at the recall that is asked for, and at that of the model it would replace."""

from __future__ import annotations

from dataclasses import replace

from crack_tf.adaptation.bench import Bench
from crack_tf.adaptation.candidates import Trial
from crack_tf.adaptation.guard import Answers, ElsewhereRow, SiteRow, compare_here, reasons_elsewhere, with_reasons

AS_SHIPPED = 0.0  # recall to reach: that of the shipped model


def verdict(bench: Bench, trial: Trial, seconds: float = 0.0) -> tuple[SiteRow, list[ElsewhereRow]]:
    """A candidate against the shipped model, here and elsewhere.

    Its threshold is to find what is asked for. Where that is not better, as many cracks as today with fewer false alarms would be.

    Args:
        bench: what it was made from.
        trial: the candidate.
        seconds: that it took.
    """
    first = _at(bench, trial, bench.config.target_recall, seconds)
    if first[0].passed:
        return first
    second = _at(bench, trial, AS_SHIPPED, seconds)
    return second if second[0].passed else first


def _at(bench: Bench, trial: Trial, asked: float, seconds: float) -> tuple[SiteRow, list[ElsewhereRow]]:
    each, threshold = bench.thresholds(trial.held_out, trial.elsewhere, asked)
    tested = bench.tested
    photos = [photo for photo, used in zip(bench.tiles.photos, tested, strict=True) if used]
    before = Answers(bench.here[tested], bench.threshold)
    after = Answers(trial.held_out[tested], each[tested])
    truth, seed = bench.truth[tested], bench.config.seed
    row = compare_here(trial.name, truth, photos, before, after, threshold, seconds, seed, told=bench.told)
    outside = bench.rows_elsewhere(trial.name, trial.elsewhere, threshold)
    row = replace(row, asked_recall=asked, choice=trial.note)
    return with_reasons(row, reasons_elsewhere(outside)), outside
