"""A crack is as long as it is drawn, wherever the edge of the foreground happens to lie; long marks beyond are none of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.photo.ends import is_cut_off, longest_end, with_ends
from crack_tf.photo.ranges import AT_BORDER_PX
from tflite.device.tiles import Box

SHAPE = (120, 200)
END = longest_end(SHAPE)


def drawn(*places: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


def left_of(column: int) -> np.ndarray:
    return drawn((slice(None), slice(0, column)))


def test_a_crack_keeps_its_end_beyond_the_foreground_up_to_a_length() -> None:
    for beyond, kept in ((END - 2, True), (END + 2, False)):
        crack = drawn((slice(60, 62), slice(40, 100 + beyond)))
        found = with_ends(crack, left_of(100))
        assert np.array_equal(found, crack if kept else crack & left_of(100))


def test_what_does_not_touch_a_crack_on_concrete_stays_out() -> None:
    crack, mark = (slice(60, 62), slice(40, 90)), (slice(60, 62), slice(103, 107))
    assert np.array_equal(with_ends(drawn(crack, mark), left_of(100)), drawn(crack))
    assert not with_ends(drawn(mark), left_of(100)).any()


def test_the_silhouette_that_a_crack_runs_into_is_no_part_of_it() -> None:
    crack, silhouette = (slice(60, 62), slice(40, 102)), (slice(0, 120), slice(102, 104))
    assert np.array_equal(with_ends(drawn(crack, silhouette), left_of(100)), drawn(crack) & left_of(100))


@pytest.mark.parametrize(("reached", "cut_off"), [(100 + AT_BORDER_PX - 1, True), (100 + AT_BORDER_PX, False)])
def test_a_crack_is_cut_off_as_near_to_the_unknown_as_to_the_photographs_border(reached: int, cut_off: bool) -> None:
    part = np.ones((2, 60), bool)
    assert is_cut_off(part, Box(118, 40, 2, 60), ~left_of(reached)) is cut_off
    assert is_cut_off(part, Box(0, 40, 2, 60), ~left_of(reached)) is cut_off
    assert not is_cut_off(part, Box(60, 40, 2, 60), drawn())


@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
def test_nothing_is_lost_or_made_up(seed: int, column: int) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < 0.2
    inside = left_of(column)
    found = with_ends(mask, inside)
    assert not (found & ~mask).any()
    assert np.array_equal(found & inside, mask & inside)
    assert np.array_equal(with_ends(found, inside), found)
