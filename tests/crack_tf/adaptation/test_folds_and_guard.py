from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.guard import (
    FEW_CRACKS,
    Answers,
    HeldOut,
    choose_threshold,
    compare_elsewhere,
    compare_here,
    fall_of_errors,
    gain_of_order,
    highest_threshold,
    reachable,
    reasons_as_file,
    reasons_elsewhere,
    same_place,
)

TILES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=60)


@given(TILES)
def test_a_photograph_lies_in_one_fold_and_every_fold_has_cracks_within_and_without(
    tiles: list[tuple[int, int]],
) -> None:
    photos = [f"IMG_{photo}" for photo, _ in tiles]
    labels = np.array([label for _, label in tiles])
    folds = fold_numbers(labels, photos)
    by_label = [{photo for photo, label in tiles if label == wanted} for wanted in (0, 1)]
    if min(map(len, by_label)) < 2:
        assert (folds == -1).all()
        return
    assert len({(photo, int(fold)) for photo, fold in zip(photos, folds, strict=True)}) == len(set(photos))
    assert set(folds.tolist()) == set(range(int(folds.max()) + 1))
    for fold in set(folds.tolist()):
        assert labels[folds == fold].any()
        assert labels[folds != fold].any()


def test_a_threshold_is_no_higher_than_other_structures_allow() -> None:
    logits, labels = np.array([-2.0, -1.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
    assert -1 < choose_threshold(logits, labels, 0.98) <= 3
    assert choose_threshold(logits, labels, 0.98, ceiling=-1.5) == -1.5
    assert highest_threshold(np.array([0.0, 1.0, 2.0, 9.0]), np.array([1, 1, 1, 0]), 2 / 3) == 1.0
    assert highest_threshold(np.array([0.0]), np.array([0]), 0.9) == math.inf


def test_no_more_is_asked_of_a_candidate_than_the_shipped_model_may_reach() -> None:
    labels = np.array([1] * 48 + [0] * 10)
    called = np.array([True] * 47 + [False] * 11)
    assert reachable(called, labels, 0.98) == 47 / 48
    called[:20] = False
    assert reachable(called, labels, 0.98) == 0.98


def answers(called: list[int]) -> Answers:
    return Answers(np.array(called, float), 0.5)


def test_fewer_false_alarms_on_many_photographs_pass_and_on_one_do_not() -> None:
    labels = np.array([1, 0] * 20)
    before, after = [1, 1] * 20, [1, 0] * 20
    many = [f"IMG_{place // 4}" for place in range(40)]
    row = compare_here("head", HeldOut(labels, many), answers(before), answers(after), 0.0, 1.0)
    assert (row.passed, row.reason, row.found_after, row.alarms_before, row.alarms_after) == (True, "", 20, 20, 0)
    assert row.errors_fall == row.errors_fall_low == 1.0
    one_good = [1, 1] * 19 + [1, 0]
    row = compare_here("head", HeldOut(labels, many), answers(before), answers(one_good), 0.0, 1.0)
    assert not row.passed
    assert "errors here are fewer, but on 10 photographs that may be chance" in row.reason


def test_a_change_of_nothing_is_told_without_a_minus() -> None:
    labels = np.array([1, 0] * 20)
    same = Answers(np.arange(40.0), 10.0)
    row = compare_here("head", HeldOut(labels, [f"IMG_{place // 4}" for place in range(40)]), same, same, 0.0, 1.0)
    assert "change by +0.000" in row.reason
    assert "-0.000" not in row.reason


def test_fewer_false_alarms_do_not_pay_for_cracks_that_are_lost() -> None:
    labels = np.array([1, 0] * 20)
    photos = [f"IMG_{place // 4}" for place in range(40)]
    lost = [0, 0] * 8 + [1, 0] * 12  # 12 of 20 found
    row = compare_here("head", HeldOut(labels, photos), answers([1, 1] * 20), answers(lost), 0.0, 1.0)
    assert row.errors_fall_low > 0
    assert not row.passed
    assert "finds 12 of 20 cracks here, the shipped model 20" in row.reason
    assert row.miss_bound_before == pytest.approx(1 / 21)
    assert row.miss_bound_after == pytest.approx(9 / 21)


@pytest.mark.parametrize(("cracks", "passes"), [(10, False), (FEW_CRACKS - 1, False), (FEW_CRACKS, True), (60, True)])
def test_of_few_cracks_none_may_be_lost_however_many_false_alarms_are_saved(cracks: int, passes: bool) -> None:
    labels = np.array([1, 0] * cracks)
    photos = [f"IMG_{place // 2}" for place in range(2 * cracks)]
    before, after = [1, 1] * cracks, [1, 0] * cracks
    assert compare_here("threshold", HeldOut(labels, photos), answers(before), answers(after), 0.0, 1.0).passed
    after[0] = 0
    row = compare_here("threshold", HeldOut(labels, photos), answers(before), answers(after), 0.0, 1.0)
    assert row.passed == passes
    assert ("none may be lost" in row.reason) != passes
    assert row.least_recall == 1 if not passes else row.least_recall < 1


def test_a_file_that_rounding_made_call_everything_is_refused() -> None:
    labels = np.array([1, 0] * 40)
    photos = [f"IMG_{place // 4}" for place in range(80)]
    after = [1, 0] * 40
    row = compare_here("fine", HeldOut(labels, photos), answers([1, 1] * 40), answers(after), 0.0, 1.0)
    assert reasons_as_file(row, 40, 0) == reasons_as_file(row, 38, 40) == []
    assert "finds 20 of 40 cracks" in reasons_as_file(row, 20, 0)[0]
    fewer = compare_here("fine", HeldOut(labels, photos), answers([1, 1, 1, 0] * 20), answers(after), 0.0, 1.0)
    (reason,) = reasons_as_file(fewer, 40, 40)
    assert "calls 40 of 40 clean tiles" in reason


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([1] * 30 + [1, 1, 0] * 20, ""),
        ([0] + [1] * 29 + [1, 1, 0] * 20, "no longer finds 1 crack of those laid in"),
        ([1] * 30 + [1, 0, 0] + [1, 1, 0] * 19, "no longer calls 1 of the 40 tiles here"),
        ([1] * 30 + [1, 1, 1] + [1, 1, 0] * 19, "calls 1 tile more here"),
    ],
)
def test_where_nobody_labelled_what_is_called_stays_called_and_laid_in_cracks_pay_for_nothing(
    after: list[int], told: str
) -> None:
    """Thirty tiles with a crack laid in, of which the shipped model finds 20, and sixty as they are, of which it calls 40."""
    labels = np.array([1] * 30 + [0] * 60)
    before = [1] * 20 + [0] * 10 + [1, 1, 0] * 20
    photos = [f"IMG_{place % 15}" for place in range(90)]
    row = compare_here("head", HeldOut(labels, photos, told=False), answers(before), answers(after), 0.0, 1.0)
    assert row.passed == (not told)
    assert told in row.reason
    assert not told or compare_here("head", HeldOut(labels, photos), answers(before), answers(after), 0.0, 1.0).passed


def test_what_is_forgotten_elsewhere_is_named() -> None:
    labels = np.ones(100, int)
    kept = compare_elsewhere("head", "metu", labels, answers([1] * 100), answers([1] * 97 + [0] * 3))
    lost = compare_elsewhere("head", "metu", labels, answers([1] * 100), answers([1] * 90 + [0] * 10))
    assert kept.passed
    assert not lost.passed
    assert reasons_elsewhere([kept, lost]) == ["on metu it finds 90 of 100 cracks, the shipped model 100"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.booleans()), min_size=1, max_size=40))
def test_the_same_answers_are_no_better(tiles: list[tuple[int, int, bool]]) -> None:
    tiles = [*tiles, (0, 0, True), (1, 1, True)]
    labels = np.array([label for _, label, _ in tiles])
    called = np.array([by for *_, by in tiles])
    fall, low = fall_of_errors(labels, [str(photo) for photo, *_ in tiles], called, called)
    assert fall == 0
    assert low <= 0


def ordered(apart: float, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """80 tiles of 40 photographs, cracks and clean ones so far apart."""
    labels = np.arange(80) % 2
    logits = np.random.default_rng(seed).normal(0, 1, 80) + apart * labels
    return logits, labels, [f"IMG_{place // 2}" for place in range(80)]


def test_the_area_grows_by_the_pairs_that_are_in_order_now() -> None:
    gain, low = gain_of_order(np.array([1, 0, 1, 0]), list("abcd"), np.array([1, 2, 3, 0]), np.array([3, 2, 4, 0]))
    assert gain == pytest.approx(0.25)
    assert low <= gain
    before, labels, photos = ordered(1, 1)
    after, _, _ = ordered(3, 2)
    assert gain_of_order(labels, photos, before, after)[1] > 0
    assert gain_of_order(labels, photos, after, before)[1] < 0
    assert gain_of_order(labels, photos, before, before) == (0, 0)


def test_cracks_told_better_without_more_errors_pass_where_a_person_labelled() -> None:
    logits, labels, photos = ordered(1, 1)
    better, _, _ = ordered(2.5, 2)
    # At a threshold that finds every crack or calls every tile, errors are the same; the order is not.
    before, after = Answers(logits, -99.0), Answers(better, -99.0)
    assert compare_here("head", HeldOut(labels, photos), before, after, 0.0, 0.0).passed
    assert not compare_here("head", HeldOut(labels, photos, told=False), before, after, 0.0, 0.0).passed
    worse = compare_here("head", HeldOut(labels, photos), Answers(logits, 0.5), Answers(better, -99.0), 0.0, 0.0)
    assert not worse.passed  # more errors
    refused = compare_here("head", HeldOut(labels, photos), after, before, 0.0, 0.0)
    assert "nor are cracks told better" in refused.reason


@given(
    st.lists(st.floats(-9, 9), min_size=1, max_size=40),
    st.floats(-10, 10),
    st.floats(0.1, 5),
    st.floats(-5, 5),
)
def test_a_threshold_that_is_carried_over_calls_the_same_tiles(
    logits: list[float], threshold: float, scale: float, shift: float
) -> None:
    before = np.array(logits)
    after = before * scale + shift
    assert same_place(before, before, threshold) == pytest.approx(threshold)
    found = same_place(before, after, threshold)
    assert (after >= found + 1e-9).sum() <= (before >= threshold).sum() <= (after >= found - 1e-9).sum()
