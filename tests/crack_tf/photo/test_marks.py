"""What was drawn is told apart: cracks, shapes that may be none, and marks too short to say."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.doubt import MAX_WIDTH, MIN_LENGTH_PX, OUTSIDE_NOTE, WIDE_NOTE, others, too_wide
from crack_tf.photo.limits import BELOW, CANNOT_TELL, EXCEEDS
from crack_tf.photo.marks import tell_apart


def measured(*bars: tuple[int, int, int], mm_per_pixel: float | None = 0.1) -> list[Crack]:
    """Bars of (top, height, length), from column 20 on."""
    mask = np.zeros((400, 400), bool)
    for top, height, length in bars:
        mask[top : top + height, 20 : 20 + length] = True
    return measure_cracks(mask, mm_per_pixel)


def test_a_shape_that_is_wide_for_its_length_is_no_crack_and_exceeds_nothing() -> None:
    marks = tell_apart(measured((20, 5, 100), (100, 40, 90), (200, 20, 90)))
    assert [(crack.number, crack.note) for crack in marks.cracks] == [(1, None), (2, None)]
    (blot,) = marks.unclear
    assert (blot.number, blot.note, blot.too_wide, blot.width_trusted) == (3, WIDE_NOTE, True, False)
    assert [crack.judged(0.3) for crack in marks.cracks] == [EXCEEDS, CANNOT_TELL]  # the second is short for its width
    assert (blot.judged(0.3), blot.judged(30)) == (CANNOT_TELL, BELOW)


def test_marks_that_are_shorter_than_asked_for_are_counted_and_left_out() -> None:
    found = measured((20, 5, 100), (100, 5, 30), (150, 5, 25))
    assert [len(tell_apart(found, least).cracks) for least in (0, 28, MIN_LENGTH_PX)] == [3, 2, 1]
    assert [len(tell_apart(found, least).short) for least in (0, 28, MIN_LENGTH_PX)] == [0, 1, 2]


def test_marks_off_the_concrete_are_unclear_whatever_their_shape_and_are_numbered_on_by_length() -> None:
    outside = measured((300, 6, 200))
    marks = tell_apart(measured((20, 5, 100), (100, 40, 90)), outside=outside)
    assert [(crack.number, crack.note) for crack in marks.unclear] == [(2, OUTSIDE_NOTE), (3, WIDE_NOTE)]
    assert marks.unclear[0].width_trusted
    assert marks.unclear[0].judged(0.3) == CANNOT_TELL


def test_without_a_scale_nobody_can_tell() -> None:
    (crack,) = tell_apart(measured((20, 5, 100), mm_per_pixel=None)).cracks
    assert crack.judged(0.3) == CANNOT_TELL


@pytest.mark.parametrize(("width", "wide"), [(100 * MAX_WIDTH, False), (100 * MAX_WIDTH + 0.1, True)])
def test_the_limit_itself_is_still_a_crack(width: float, wide: bool) -> None:
    assert too_wide(100, width) is wide


@pytest.mark.parametrize(
    ("unclear", "short", "words"),
    [
        ({}, 0, ""),
        ({WIDE_NOTE: 2}, 0, ", 2 unclear (too wide for a crack)"),
        (
            {WIDE_NOTE: 2, OUTSIDE_NOTE: 1},
            1,
            ", 3 unclear (1 where nothing was taken for concrete, 2 too wide for a crack), 1 short mark left out",
        ),
    ],
)
def test_others_are_told_by_their_reasons(unclear: dict[str | None, int], short: int, words: str) -> None:
    assert others(unclear, short) == words
