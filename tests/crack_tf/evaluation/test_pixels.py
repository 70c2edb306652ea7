"""Pixel metrics: definitions, the tolerance, thresholds from a bounded histogram, intervals over photographs."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crack_tf.evaluation.pixels import (
    LogitHistogram,
    PixelCounts,
    boundary_counts,
    centre_line_counts,
    mask_counts,
    pixel_counts,
    summarise,
    summarise_masks,
)
from tflite.errors import CrackError

masks = arrays.arrays(bool, (9, 11))


@given(masks, masks)
def test_counts_and_rates_are_those_of_the_definitions(predicted: np.ndarray, truth: np.ndarray) -> None:
    counts = pixel_counts(predicted, truth)
    assert counts.tp + counts.fp + counts.fn + counts.tn == predicted.size
    assert counts.found == counts.tp == int((predicted & truth).sum())
    union = int((predicted | truth).sum())
    if union:
        assert counts.iou == pytest.approx(counts.tp / union)
        assert counts.f1 == pytest.approx(2 * counts.tp / (int(predicted.sum()) + int(truth.sum())))
        assert counts.iou == pytest.approx(counts.f1 / (2 - counts.f1))
        if union < predicted.size:
            assert counts.miou == pytest.approx((counts.iou + counts.tn / (counts.tn + counts.fp + counts.fn)) / 2)
    else:
        assert math.isnan(counts.f1)
        assert math.isnan(counts.iou)
        assert counts.miou == 1
    if not truth.all():
        assert counts.specificity == pytest.approx(counts.tn / int((~truth).sum()))


@given(masks, masks, st.integers(0, 3))
def test_a_tolerance_counts_pixels_within_its_distance(
    predicted: np.ndarray, truth: np.ndarray, tolerance: int
) -> None:
    counts = pixel_counts(predicted, truth, tolerance)
    called, real = np.argwhere(predicted), np.argwhere(truth)
    distance = np.hypot(*(called[:, None] - real[None]).transpose(2, 0, 1)) if called.size and real.size else None
    near = (lambda axis: int((distance.min(axis=axis) <= tolerance).sum())) if distance is not None else lambda _: 0
    assert (counts.tp, counts.found) == (near(1), near(0))
    assert (counts.fp, counts.fn) == (len(called) - near(1), len(real) - near(0))
    assert counts.tn == int((~predicted & ~truth).sum())
    if not math.isnan(counts.f1):
        assert counts.f1 >= pixel_counts(predicted, truth).f1 - 1e-12


@pytest.mark.parametrize(("shift", "strict", "tolerant"), [(0, 1, 1), (1, 0, 1), (2, 0, 1), (3, 0, 0)])
def test_a_thin_crack_off_by_up_to_the_tolerance_counts_as_found(shift: int, strict: float, tolerant: float) -> None:
    truth, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[8], predicted[8 + shift] = True, True
    assert pixel_counts(predicted, truth).f1 == strict
    assert pixel_counts(predicted, truth, 2).f1 == tolerant


def test_a_miss_and_a_false_alarm_score_zero_and_nothing_scores_nothing() -> None:
    nothing, something = np.zeros((5, 5), bool), np.eye(5, dtype=bool)
    assert pixel_counts(nothing, something).f1 == pixel_counts(something, nothing).f1 == 0
    assert pixel_counts(nothing, something, 2).f1 == 0
    assert math.isnan(pixel_counts(nothing, something).precision)
    assert math.isnan(pixel_counts(something, nothing).recall)
    assert math.isnan(pixel_counts(nothing, nothing).f1)


def test_counts_of_photographs_add_up() -> None:
    assert PixelCounts(1, 2, 3, 4, 1) + PixelCounts(10, 20, 30, 40, 10) == PixelCounts(11, 22, 33, 44, 11)


@pytest.mark.parametrize(
    ("shapes", "tolerance", "message"),
    [(((3, 3), (3, 4)), 0, "both have shape"), (((9,), (9,)), 0, "both have shape"), (((3, 3), (3, 3)), -1, "-1")],
)
def test_masks_that_do_not_belong_together_are_refused(
    shapes: tuple[tuple[int, ...], ...], tolerance: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pixel_counts(np.zeros(shapes[0], bool), np.zeros(shapes[1], bool), tolerance)


logits = arrays.arrays(np.float32, 60, elements=st.floats(-20, 20, width=32))


@given(logits, arrays.arrays(bool, 60), st.integers(0, 4096))
def test_the_histogram_counts_exactly_at_its_edges(values: np.ndarray, truth: np.ndarray, position: int) -> None:
    histogram = LogitHistogram()
    for part in np.array_split(np.arange(60), 3):
        histogram.add(values[part], truth[part])
    threshold = float(histogram.edges[position])
    called = values.astype(np.float64) >= threshold
    direct = pixel_counts(called[None], truth[None])
    assert histogram.counts(threshold) == direct


@given(logits, arrays.arrays(bool, 60))
def test_no_edge_beats_the_best_threshold(values: np.ndarray, truth: np.ndarray) -> None:
    histogram = LogitHistogram()
    histogram.add(values, truth)
    if not truth.any():
        with pytest.raises(CrackError, match="needs crack pixels"):
            histogram.best_threshold()
        return
    best = histogram.counts(histogram.best_threshold())
    scores = [histogram.counts(float(edge)).f1 for edge in histogram.edges[::64]]
    assert best.f1 >= max(scores) - 1e-12


def test_the_best_threshold_lies_midway_in_a_gap() -> None:
    histogram = LogitHistogram()
    histogram.add(np.array([[-3.0, -1.0], [2.0, 5.0]]), np.array([[0, 0], [1, 1]]))
    assert histogram.best_threshold() == pytest.approx(0.5, abs=0.02)


def test_of_equal_f1_the_higher_recall_is_taken() -> None:
    histogram = LogitHistogram()
    # One of two cracks with no false alarm, or both with two: F1 is 2/3 each time.
    histogram.add(np.array([4.0, 1.0, 1.0, 1.0]), np.array([1, 1, 0, 0]))
    assert histogram.counts(histogram.best_threshold()).recall == 1


def test_logits_far_outside_the_edges_are_counted() -> None:
    histogram = LogitHistogram()
    histogram.add(np.array([-1e9, -17, 17, np.inf, -np.inf]), np.array([0, 0, 1, 1, 1]))
    assert histogram.counts(0.0) == PixelCounts(2, 0, 1, 2, 2)
    _, precision, recall = histogram.curve()
    assert recall[0] == recall[-1] == pytest.approx(2 / 3)
    assert precision[-1] == 1


def test_nan_logits_and_other_shapes_are_refused() -> None:
    histogram = LogitHistogram()
    with pytest.raises(CrackError, match="1 of 2 logits are NaN"):
        histogram.add(np.array([0.0, np.nan]), np.array([0, 1]))
    with pytest.raises(ValueError, match="one shape"):
        histogram.add(np.zeros((2, 2)), np.zeros((2, 2, 1)))


def row_of(*counts: PixelCounts) -> dict:
    row = summarise(list(counts), list(counts))
    json.dumps(row, allow_nan=False)
    return row


def test_micro_and_mean_differ_as_defined() -> None:
    large, small = PixelCounts(900, 100, 100, 8900, 900), PixelCounts(1, 9, 9, 81, 1)
    row = row_of(large, small)
    assert row["photographs"] == 2
    assert (row["tp"], row["fp"], row["fn"], row["tn"]) == (901, 109, 109, 8981)
    assert row["f1"] == pytest.approx(901 / 1010)
    assert row["mean_f1"] == pytest.approx((0.9 + 0.1) / 2)
    assert row["mean_iou"] == pytest.approx((900 / 1100 + 1 / 19) / 2)
    assert row["f1_low"] <= row["f1"] <= row["f1_high"]


def test_a_clean_photograph_left_alone_does_not_count_in_means_and_a_false_alarm_does() -> None:
    good, clean, alarm = PixelCounts(8, 2, 2, 88, 8), PixelCounts(0, 0, 0, 100, 0), PixelCounts(0, 10, 0, 90, 0)
    assert row_of(good, clean)["mean_f1"] == pytest.approx(0.8)
    assert row_of(good, alarm)["mean_f1"] == pytest.approx(0.4)
    assert row_of(clean, clean)["f1"] is None
    assert row_of(clean, clean)["specificity"] == 1


def test_intervals_are_over_photographs_and_narrow_with_their_number() -> None:
    rng = np.random.default_rng(0)

    def width(count: int) -> float:
        hits = rng.integers(0, 100, count)
        row = row_of(*(PixelCounts(int(h), 20, int(100 - h), 9000, int(h)) for h in hits))
        assert row["recall_low"] < row["recall"] < row["recall_high"]
        return row["recall_high"] - row["recall_low"]

    assert width(200) < width(8) / 2
    assert row_of(PixelCounts(5, 1, 1, 9, 5))["f1_low"] is None


def test_the_tolerant_row_comes_from_the_tolerant_counts() -> None:
    strict, tolerant = PixelCounts(0, 10, 10, 80, 0), PixelCounts(10, 0, 0, 80, 10)
    row = summarise([strict, strict], [tolerant, tolerant])
    assert (row["f1"], row["tolerant_f1"], row["tolerant_precision"]) == (0, 1, 1)


def test_no_photographs_or_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="0 and 0"):
        summarise([], [])
    with pytest.raises(ValueError, match="1 and 0"):
        summarise([PixelCounts(1, 1, 1, 1, 1)], [])


def line(width: int, row: int = 20) -> np.ndarray:
    """A horizontal crack through a picture of 40 x 60."""
    mask = np.zeros((40, 60), bool)
    mask[row - width // 2 : row - width // 2 + width] = True
    return mask


@pytest.mark.parametrize(("shift", "expected"), [(0, 1), (4, 1), (5, 0)])
def test_centre_lines_agree_up_to_four_pixels_apart(shift: int, expected: float) -> None:
    assert centre_line_counts(line(1, 20 + shift), line(1)).cl_iou == expected


def test_how_wide_a_crack_is_drawn_hardly_matters_to_its_centre_line() -> None:
    counts = centre_line_counts(line(7), line(1))
    assert counts.cl_iou > 0.95
    assert pixel_counts(line(7), line(1)).iou == pytest.approx(1 / 7)


def test_a_missed_branch_and_a_false_one_each_cost_their_length() -> None:
    truth, called = np.zeros((60, 100), bool), np.zeros((60, 100), bool)
    truth[10, 10:50] = truth[30, 10:30] = True  # 40 and 20 pixels
    called[10, 10:50] = called[50, 10:50] = True  # 40, and 40 that are wrong
    counts = centre_line_counts(called, truth)
    assert (counts.found, counts.fp, counts.fn) == (40, 40, 20)
    assert counts.cl_iou == pytest.approx(40 / 100)


def test_the_surface_distance_counts_both_boundaries_within_the_tolerance() -> None:
    truth, called = line(1), line(7)
    # Of 130 + 60 pixels only those at the picture's edge, where the called boundary closes, lie within 2; at 3 nearly all do.
    assert boundary_counts(called, truth, 2).nsd == pytest.approx((2 * 5 + 2 * 3) / (130 + 60))
    assert boundary_counts(called, truth, 3).nsd > 0.95
    assert boundary_counts(line(5), truth).nsd > 0.95


def test_the_boundary_of_a_filled_square_is_its_outline() -> None:
    square = np.zeros((12, 12), bool)
    square[2:10, 2:10] = True
    counts = boundary_counts(square, square)
    assert (counts.tp, counts.fp, counts.fn) == (28, 0, 0)
    assert boundary_counts(np.ones((6, 6), bool), np.ones((6, 6), bool)).tp == 20  # the picture's edge counts


@given(masks, masks, st.integers(0, 5))
def test_shape_figures_are_shares_that_do_not_fall_with_the_tolerance(
    predicted: np.ndarray, truth: np.ndarray, tolerance: int
) -> None:
    for count, name in ((centre_line_counts, "cl_iou"), (boundary_counts, "nsd")):
        value = getattr(count(predicted, truth, tolerance), name)
        if not predicted.any() and not truth.any():
            assert math.isnan(value)
            continue
        assert 0 <= value <= 1
        assert getattr(count(predicted, truth, tolerance + 1), name) >= value
        assert getattr(count(truth, truth, tolerance), name) == 1 or not truth.any()
        if not predicted.any() or not truth.any():
            assert value == 0
    forth, back = boundary_counts(predicted, truth, tolerance), boundary_counts(truth, predicted, tolerance)
    assert forth.nsd == back.nsd or math.isnan(forth.nsd)


@given(masks, masks)
def test_the_surface_distance_is_that_of_the_definition(predicted: np.ndarray, truth: np.ndarray) -> None:
    def edge(mask: np.ndarray) -> np.ndarray:
        height, width = mask.shape
        inside = lambda y, x: 0 <= y < height and 0 <= x < width and mask[y, x]  # noqa: E731
        near = ((0, 1), (1, 0), (0, -1), (-1, 0))
        return np.array([(y, x) for y, x in np.argwhere(mask) if not all(inside(y + v, x + u) for v, u in near)])

    one, other = edge(predicted), edge(truth)
    if not len(one) or not len(other):
        return
    distance = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1))
    within = int((distance.min(axis=1) <= 2).sum()) + int((distance.min(axis=0) <= 2).sum())
    assert boundary_counts(predicted, truth).nsd == pytest.approx(within / (len(one) + len(other)))


def test_a_row_has_shape_figures_with_intervals_and_those_of_before() -> None:
    counts = [mask_counts(line(3), line(5)), mask_counts(line(3, 8), line(3)), mask_counts(line(1), line(1))]
    row: dict[str, Any] = dict(summarise_masks(counts))
    json.dumps(row, allow_nan=False)
    assert row.items() >= summarise([c.strict for c in counts], [c.tolerant for c in counts]).items()
    assert row["mean_cl_iou"] == pytest.approx(2 / 3)
    assert row["cl_iou"] == pytest.approx(0.5, abs=0.02)  # the missed line counts twice, called and true
    assert row["nsd_low"] <= row["nsd"] <= row["nsd_high"]
    clean = np.zeros((40, 60), bool)
    assert summarise_masks([mask_counts(clean, clean)])["cl_iou"] is None
