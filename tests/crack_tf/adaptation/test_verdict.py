from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from crack_tf.adaptation.bench import Bench
from crack_tf.adaptation.candidates import Trial
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.elsewhere import Elsewhere
from crack_tf.adaptation.tiles import COMPOSED, PERSON, UNLABELLED, SiteTiles
from crack_tf.adaptation.verdict import AS_SHIPPED, UNCHANGED, verdict

COUNT = 120


def bench(
    here: np.ndarray, labels: np.ndarray, known: np.ndarray | None = None, origins: tuple[str, ...] = ()
) -> Bench:
    """The shipped model's answers here, and to cracks of another structure, half of them to learn from."""
    count = len(labels)
    photos = tuple(f"IMG_{place // 4}" for place in range(count))
    names = tuple(map(str, range(count)))
    tiles = SiteTiles(np.zeros((count, 2, 2, 3), np.uint8), labels, photos, names, origins or (PERSON,) * count)
    base: Any = SimpleNamespace(device=SimpleNamespace(threshold=SimpleNamespace(logit=0.0)))
    others: tuple[Elsewhere, ...] = ()
    elsewhere: tuple[np.ndarray, ...] = ()
    if known is not None:
        size = len(known)
        images = np.zeros((size, 2, 2, 3), np.uint8)
        others = (Elsewhere("walls", images, np.ones(size, np.int8), np.arange(size) % 2 == 0, "CC0-1.0"),)
        elsewhere = (known,)
    return Bench(AdaptConfig("walls", target_recall=1.0), base, tiles, others, here, elsewhere)


def trial(logits: np.ndarray) -> Trial:
    return Trial("head", logits, logits, [], None, note="fitted")


def logits_of(labels: np.ndarray, seed: int, apart: float, lost: int) -> np.ndarray:
    """Cracks and clean tiles `apart`, and some cracks that look cleaner than anything."""
    logits = np.random.default_rng(seed).normal(0, 1, COUNT) + apart * (labels - 0.5)
    logits[np.flatnonzero(labels == 1)[:lost]] = -9
    return logits.astype(np.float32)


LABELS = (np.arange(COUNT) % 2).astype(np.int8)


def test_as_many_cracks_with_fewer_false_alarms_are_better_where_all_cracks_would_cost_too_many() -> None:
    row, _ = verdict(bench(logits_of(LABELS, 1, 1.5, 6), LABELS), trial(logits_of(LABELS, 2, 5, 6)))
    assert row.passed
    assert row.asked_recall == AS_SHIPPED
    assert row.alarms_after < row.alarms_before
    assert row.found_after >= row.least_recall * row.cracks
    assert row.choice == "fitted"


def test_what_is_asked_for_comes_first() -> None:
    row, _ = verdict(bench(logits_of(LABELS, 1, 1.5, 6), LABELS), trial(logits_of(LABELS, 2, 7, 0)))
    assert row.passed
    assert row.asked_recall == 1.0
    assert row.found_after > row.found_before


def test_one_that_is_better_where_the_threshold_lies_today_passes() -> None:
    """One crack more lies below all clean tiles: to find as many as today would call them all, while today's threshold calls none."""
    here = np.where(LABELS == 1, 2.0, np.where(np.arange(COUNT) % 4 == 0, 1.0, -1.0)).astype(np.float32)
    here[np.flatnonzero(LABELS == 1)[:2]] = -5
    better = np.where(LABELS == 1, 2.0, -1.0).astype(np.float32)
    better[np.flatnonzero(LABELS == 1)[1:4]] = -5
    row, _ = verdict(bench(here, LABELS), trial(better))
    assert row.passed
    assert row.asked_recall is UNCHANGED
    assert row.threshold == 0.0
    assert (row.found_before - row.found_after, row.alarms_after) == (1, 0)


def test_today_s_threshold_is_found_by_rank_elsewhere_and_lies_no_higher_than_cracks_there_allow() -> None:
    known = np.linspace(-1, 3, 200).astype(np.float32)
    here = np.where(LABELS == 1, 1.0, -1.0).astype(np.float32)
    made = bench(here, LABELS, known)
    for scale in (1.0, 3.0):
        each, final = made.thresholds(here * scale, [known * scale + 0.5 * scale], UNCHANGED)
        assert np.isclose(final, 0.5 * scale, atol=0.02 * scale)
        assert np.all(each == final)
    # Ten cracks there change places with ten clean tiles.
    walls = replace(made.others[0], labels=(known > 0).astype(np.int8))
    moved = np.where(np.abs(known) < 0.2, np.sign(-known) * 4, known).astype(np.float32)
    mixed = replace(made, others=(walls,))
    assert mixed.thresholds(here, [moved], UNCHANGED)[1] == mixed.ceiling([moved]) == -4 < mixed.unchanged([moved])


def test_one_that_is_better_at_neither_is_told_at_what_was_asked_for() -> None:
    here = logits_of(LABELS, 1, 1.5, 6)
    row, _ = verdict(bench(here, LABELS), trial(here))
    assert not row.passed
    assert row.asked_recall == 1.0
    assert "errors here are not fewer (" in row.reason


def test_few_cracks_raise_no_threshold_that_other_structures_chose() -> None:
    """Cracks lie above 0.1 and the shipped threshold at 0: of many cracks here it goes up, past false alarms; of few it does not."""
    known = np.linspace(0.1, 4, 200).astype(np.float32)
    for count, raised in ((40, False), (120, True)):
        labels = (np.arange(count) % 2).astype(np.int8)
        here = np.where(labels == 1, 1.0, np.where(np.arange(count) % 4 == 0, 0.14, -2.0)).astype(np.float32)
        found = Trial("threshold", here, here, [known], None)
        row, _ = verdict(bench(here, labels, known), found)
        assert (row.threshold > 0) == raised
        assert row.passed == raised
        assert row.found_after == row.found_before


def test_cracks_that_were_laid_in_raise_no_threshold_however_many() -> None:
    """All laid-in cracks lie far above the threshold, and a quarter of the structure's tiles, cracks perhaps, just above it."""
    known = np.linspace(0.1, 4, 200).astype(np.float32)
    laid = LABELS == 1
    here = np.where(laid, 3.0, np.where(np.arange(COUNT) % 4 == 0, 0.14, -2.0)).astype(np.float32)
    found = Trial("head", here, here, [known], None)
    row, _ = verdict(bench(here, LABELS, known), found)
    assert row.passed
    assert row.threshold > 0.14  # as a person's labels they would
    origins = tuple(COMPOSED if own else UNLABELLED for own in laid)
    row, _ = verdict(bench(here, LABELS, known, origins), found)
    assert not row.passed
    assert row.threshold <= 0
    assert row.alarms_after == row.alarms_before
