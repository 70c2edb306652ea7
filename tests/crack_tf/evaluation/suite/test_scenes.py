"""Counting what a survey finds on photographs: which findings are right, and what the curve says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.evaluation.suite.scenes import PhotoScore, froc, judge, photo_rows, scene_rows, true_cracks
from crack_tf.survey.findings import CONFIRMED, UNCLEAR, Finding
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box


def finding(x: int, y: int, w: int, h: int, score: float = 0.8, validation: str = CONFIRMED) -> Finding:
    ring = ((float(x), float(y)), (float(x + w), float(y)), (float(x + w), float(y + h)), (float(x), float(y + h)))
    return some_finding(box=Box(y, x, h, w), outline=(ring,), validation=validation, validation_score=score)


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((200, 300), bool)
    mask[50, 20:120] = True  # one crack in two parts
    mask[50, 60:70] = False
    mask[150, 20:280] = True  # another
    mask[100, 250:270] = True  # too short to be one
    return mask


def test_parts_of_one_crack_are_one_and_specks_are_none(mask: np.ndarray) -> None:
    numbers = true_cracks(mask)
    assert numbers.max() == 2
    assert numbers[50, 30] == numbers[50, 100] > 0
    assert numbers[150, 100] not in (0, numbers[50, 30])
    assert numbers[100, 260] == 0
    assert true_cracks(np.zeros((50, 50), bool)).max() == 0


def test_a_finding_is_right_where_most_of_it_lies_on_a_crack(mask: np.ndarray) -> None:
    cracks = true_cracks(mask)
    on, beside, unclear = finding(20, 48, 90, 4), finding(150, 20, 100, 30), finding(20, 148, 90, 4, validation=UNCLEAR)
    found, right, false = judge([on, beside, unclear], cracks)
    assert list(found) == [int(cracks[50, 30])]
    assert right == 1
    assert false == [0.8]


def test_two_findings_on_one_crack_find_it_once_with_the_better_score(mask: np.ndarray) -> None:
    cracks = true_cracks(mask)
    found, right, false = judge([finding(20, 48, 30, 4, 0.6), finding(80, 48, 30, 4, 0.9)], cracks)
    assert found == {int(cracks[50, 30]): 0.9}
    assert (right, false) == (2, [])


def score(cracks: int, hits: tuple[float, ...], false: tuple[float, ...], photo: str = "a") -> PhotoScore:
    return PhotoScore("m", "walls", "test", photo, cracks, len(hits), len(hits), len(false), 0, (hits, false))


def test_rows_add_up_photographs_and_give_intervals() -> None:
    scores = [score(2, (0.9,), (0.7,)), score(0, (), (), "b"), score(1, (0.8,), (0.5, 0.6), "c")]
    (row,) = scene_rows(scores)
    assert (row.photographs, row.cracks, row.found, row.false, row.touched) == (3, 3, 2, 3, 2)
    assert row.recall == pytest.approx(2 / 3)
    assert row.false_per_photograph == pytest.approx(1.0)
    assert row.false_per_photograph_low is not None
    assert row.false_per_photograph_high is not None
    assert row.false_per_photograph_low <= 1.0 <= row.false_per_photograph_high
    assert [r.photo for r in photo_rows(scores)] == ["a", "b", "c"]
    assert scene_rows([score(0, (), ())])[0].recall is None


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.floats(0.5, 1), max_size=5)), min_size=1, max_size=6))
def test_a_higher_cut_never_finds_more_nor_more_that_is_false(photos: list[tuple[int, list[float]]]) -> None:
    scores = [score(cracks, (0.9,) * cracks, tuple(false), str(k)) for k, (cracks, false) in enumerate(photos)]
    rows = froc(scores)
    for before, after in pairwise(rows):
        assert after.least_score > before.least_score
        assert after.false_per_photograph <= before.false_per_photograph
        if after.recall is not None and before.recall is not None:
            assert after.recall <= before.recall
