"""A few cracked tiles make a photograph cracked only where they are still cracked in other squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.inference.second_look import BELOW, FEW, around, is_doubted
from tflite.device.tiles import Box

IMAGE = np.zeros((400, 600, 3), np.uint8)
THRESHOLD = -0.4


@dataclass(frozen=True)
class Answer:
    box: Box
    logit: float
    crack: bool


class Model:
    """Answers with the same logit wherever it is asked, and counts how often."""

    def __init__(self, logit: float) -> None:
        self.logit, self.asked = logit, 0

    def __call__(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Answer]:
        self.asked += len(boxes)
        return [Answer(box, self.logit, self.logit >= THRESHOLD) for box in boxes]


def tiles(cracked: int, clean: int = 3) -> list[Answer]:
    boxes = [Box(0, 20 * number, 100, 100) for number in range(cracked + clean)]
    return [Answer(box, 2.0 if n < cracked else -3.0, n < cracked) for n, box in enumerate(boxes)]


@pytest.mark.parametrize(
    ("cracked", "seen_again", "doubted"),
    [
        (1, THRESHOLD - BELOW - 0.1, True),
        (1, THRESHOLD - BELOW + 0.1, False),
        (FEW, -5.0, True),
        (FEW + 1, -5.0, False),
        (0, -5.0, False),
    ],
)
def test_few_tiles_have_to_hold_when_they_are_seen_again(cracked: int, seen_again: float, doubted: bool) -> None:
    assert is_doubted(IMAGE, tiles(cracked), Model(seen_again), THRESHOLD) is doubted


def test_one_tile_that_holds_is_enough_and_the_rest_is_not_asked_about() -> None:
    model = Model(1.0)
    assert not is_doubted(IMAGE, tiles(3), model, THRESHOLD)
    assert model.asked == len(around(IMAGE.shape[:2], Box(0, 0, 100, 100)))


def test_a_clean_photograph_and_one_with_many_cracked_tiles_cost_nothing_more() -> None:
    model = Model(-5.0)
    for cracked in (0, FEW + 1):
        is_doubted(IMAGE, tiles(cracked), model, THRESHOLD)
    assert model.asked == 0


def test_a_photograph_that_is_one_tile_has_no_other_surroundings() -> None:
    whole = [Answer(Box(0, 0, 400, 600), 2.0, True)]
    assert not is_doubted(IMAGE, whole, Model(-5.0), THRESHOLD)


@given(
    height=st.integers(16, 500),
    width=st.integers(16, 500),
    x=st.integers(0, 400),
    y=st.integers(0, 400),
    side=st.integers(16, 300),
)
def test_all_squares_lie_inside_the_photograph(height: int, width: int, x: int, y: int, side: int) -> None:
    box = Box(min(y, height - 1), min(x, width - 1), max(1, min(side, height - y)), max(1, min(side, width - x)))
    for square in around((height, width), box):
        assert min(square.x, square.y) >= 0
        assert square.w == square.h >= 1
        assert square.x + square.w <= width
        assert square.y + square.h <= height
