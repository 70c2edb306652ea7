"""Thresholds keep their promise on recall and give away no specificity for it."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crack_tf.evaluation.thresholds import select_threshold, specificity_at_recall, tells_nothing, threshold_record
from tflite.errors import CrackError
from tflite.metrics import confusion, sigmoid
from tflite.sidecar import dequantise

# A busy machine is not a failure: a deadline per example would make it one.
SETTINGS = settings(deadline=None, max_examples=50)
# Few distinct values as well as many: ties are what int8 outputs are made of.
VALUES = st.one_of(st.integers(-4, 4).map(float), st.floats(-50, 50, width=32))


@st.composite
def scored_tiles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(1, 60))
    logits = draw(hnp.arrays(np.float32, count, elements=VALUES))
    labels = draw(hnp.arrays(np.int8, count, elements=st.integers(0, 1)))
    labels[draw(st.integers(0, count - 1))] = 1
    return logits, labels


TARGETS = st.one_of(st.sampled_from([0.5, 0.9, 0.998, 1.0]), st.floats(0.01, 1.0))


@SETTINGS
@given(scored_tiles(), TARGETS)
def test_recall_reaches_the_target(tiles: tuple[np.ndarray, np.ndarray], target: float) -> None:
    assert confusion(*tiles, select_threshold(*tiles, target)).recall >= target


@SETTINGS
@given(scored_tiles(), TARGETS)
def test_no_other_threshold_with_that_recall_has_a_better_specificity(
    tiles: tuple[np.ndarray, np.ndarray], target: float
) -> None:
    logits, labels = tiles
    chosen = confusion(logits, labels, select_threshold(logits, labels, target))
    every = [confusion(logits, labels, value) for value in np.unique(logits)]
    best = max(counts.true_negative for counts in every if counts.recall >= target)
    assert chosen.true_negative == best


@SETTINGS
@given(scored_tiles(), TARGETS, st.randoms())
def test_the_order_of_tiles_does_not_matter(
    tiles: tuple[np.ndarray, np.ndarray], target: float, random: Random
) -> None:
    logits, labels = tiles
    order = list(range(len(logits)))
    random.shuffle(order)
    assert select_threshold(logits, labels, target) == select_threshold(logits[order], labels[order], target)


@SETTINGS
@given(scored_tiles(), TARGETS)
def test_a_threshold_survives_the_move_to_float32(tiles: tuple[np.ndarray, np.ndarray], target: float) -> None:
    threshold = select_threshold(*tiles, target)
    assert float(np.float32(threshold)) == threshold


@SETTINGS
@given(scored_tiles(), TARGETS)
def test_a_lower_threshold_would_cost_a_false_alarm_or_find_no_crack_more(
    tiles: tuple[np.ndarray, np.ndarray], target: float
) -> None:
    logits, labels = tiles
    chosen = confusion(logits, labels, select_threshold(logits, labels, target))
    every = [confusion(logits, labels, value) for value in np.unique(logits)]
    same = [counts.true_positive for counts in every if counts.true_negative == chosen.true_negative]
    assert chosen.true_positive == max(same)


def test_the_threshold_lies_midway_between_the_highest_rejected_clean_tile_and_the_next_score() -> None:
    logits = np.array([3.0, 1.0, -1.0, -2.0], np.float32)
    assert select_threshold(logits, np.array([1, 1, 0, 0]), 1.0) == 0.0
    # Two of three cracks reach the target; the third lies above every clean tile, so finding it costs nothing.
    assert select_threshold(logits, np.array([1, 1, 1, 0]), 0.6) == -1.5
    # Here it lies below a clean tile: finding it would cost a false alarm.
    assert select_threshold(logits, np.array([1, 1, 0, 1]), 0.6) == 0.0


def test_adjacent_floats_have_no_midway_and_the_accepted_score_is_kept() -> None:
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2.0))
    threshold = select_threshold(np.array([high, low]), np.array([1, 0]), 1.0)
    assert threshold == float(high)


def test_a_split_of_cracks_only_takes_the_lowest_score() -> None:
    assert select_threshold(np.array([2.0, 1.0]), np.array([1, 1]), 1.0) == 1.0
    assert math.isnan(specificity_at_recall(np.array([2.0, 1.0]), np.array([1, 1]), 1.0))


def test_two_in_a_thousand_may_be_missed_at_0_998() -> None:
    logits = np.arange(2000, dtype=np.float32)
    labels = np.arange(2000) % 2
    counts = confusion(logits, labels, select_threshold(logits, labels, 0.998))
    assert (counts.false_negative, counts.true_negative) == (2, 3)


def test_specificity_at_recall_counts_the_clean_tiles_below_the_threshold() -> None:
    logits = np.array([5.0, 4.0, 0.0, 4.5, 1.0, -1.0, -2.0])
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    assert specificity_at_recall(logits, labels, 1.0) == 0.5
    assert specificity_at_recall(logits, labels, 0.6) == 0.75


@pytest.mark.parametrize(
    ("logits", "labels", "target", "words"),
    [
        ([1.0, 2.0], [0, 0], 0.9, "needs cracked tiles"),
        ([1.0, math.nan], [0, 1], 0.9, "1 of 2 logits are not finite"),
        ([1.0, math.inf], [0, 1], 0.9, "training diverged"),
        ([1.0, 2.0], [0, 1, 1], 0.9, "both must be"),
        ([[1.0], [2.0]], [[0], [1]], 0.9, "both must be"),
        ([1.0, 2.0], [0, 1], 0.0, "target recall 0.0"),
        ([1.0, 2.0], [0, 1], 1.5, "target recall 1.5"),
        ([], [], 0.9, "needs cracked tiles"),
    ],
)
def test_bad_input_is_named(logits: list, labels: list, target: float, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        select_threshold(np.array(logits), np.array(labels), target)


@SETTINGS
@given(st.floats(-20, 20, width=32), st.floats(0.01, 0.5), st.sampled_from(["int8", "uint8"]), st.data())
def test_the_raw_threshold_decides_as_the_logit_does(
    logit: float, scale: float, dtype: str, data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    zero_point = data.draw(st.integers(int(limits.min), int(limits.max)))
    record = threshold_record(logit, scale, zero_point, dtype, target_recall=0.998, split="val")
    raw = np.arange(limits.min, limits.max + 1)
    assert record.raw is not None
    assert np.array_equal(raw >= record.raw, dequantise(raw, scale, zero_point) >= np.float32(logit))


def test_a_float_model_records_no_raw_value() -> None:
    record = threshold_record(-1.25, target_recall=0.998, split="val")
    assert (record.raw, record.logit, record.target_recall, record.split) == (None, -1.25, 0.998, "val")
    assert record.probability == pytest.approx(float(sigmoid(-1.25)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((math.inf,), "not finite"),
        ((0.0, 0.0, 0, "int8"), "scale 0.0"),
        ((0.0, 0.1, 0, None), "scale 0.1"),
    ],
)
def test_a_contradictory_record_is_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        threshold_record(*arguments)


@pytest.mark.parametrize(
    ("logits", "threshold", "told"),
    [
        ([1, 2, 3, 4], 0.0, "calls every tile cracked, all 2 clean ones too"),
        ([1, 2, 3, 4], 9.0, "finds none of 2 cracks"),
        ([1, 4, 2, 3], 2.5, "AUC 0.50, where 0.5 is a guess"),
        ([1, 2, 3, 4], 2.5, None),
    ],
)
def test_a_model_that_tells_nothing_apart_is_warned_of(logits: list[float], threshold: float, told: str | None) -> None:
    scores, labels = np.array(logits, np.float32), np.array([0, 0, 1, 1])
    found = tells_nothing(confusion(scores, labels, threshold), scores, labels)
    assert found is None if told is None else found is not None and told in found
