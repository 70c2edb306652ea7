"""Where the classifier looks again, and what its answer does to a finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.inference.second_look import square
from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.survey.searching.verify import PLACES, Verifier, places
from tests.crack_tf.survey.searching.test_validate import IMAGE, LINE, found_on, sees, tile
from tests.dark_model import SIZE, write_dark_model


@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_places_lie_on_the_part(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    part = np.zeros((20, 30), bool)
    part.ravel()[rng.choice(part.size, count)] = True
    found = places(part)
    assert len(found) == PLACES
    assert all(part[y, x] for x, y in found)


def test_places_are_spread_along_a_diagonal_line() -> None:
    part = np.eye(100, dtype=bool)
    assert sorted(x for x, _ in places(part, 4)) == [12, 37, 62, 87]


@given(
    st.tuples(st.integers(16, 300), st.integers(16, 300)), st.integers(0, 299), st.integers(0, 299), st.integers(1, 900)
)
def test_a_square_lies_inside_the_picture_and_holds_its_place(
    shape: tuple[int, int], x: int, y: int, side: int
) -> None:
    height, width = shape
    x, y = min(x, width - 1), min(y, height - 1)
    box = square(shape, x, y, side)
    assert box.w == box.h == min(side, height, width)
    assert box.x >= 0
    assert box.y >= 0
    assert box.x + box.w <= width
    assert box.y + box.h <= height
    assert box.x <= x < box.x + box.w
    assert box.y <= y < box.y + box.h


def test_the_classifier_is_asked_about_the_cracks_surroundings(tmp_path: Path) -> None:
    model = tmp_path / "dark.tflite"
    write_dark_model(model)
    image = np.full((400, 400, 3), 250, np.uint8)
    image[:, :150] = 5  # the dark half is "cracked" to this model
    line = np.ones((100, 2), bool)
    with PhotoClassifier(model, jobs=1, side=SIZE) as classifier:
        verifier = Verifier(classifier)
        assert verifier.above(image, line, 60, 100) > 0
        assert verifier.above(image, line, 300, 100) < 0
        near, far = verifier.logit(image, line, 60, 100), verifier.logit(image, line, 300, 100)
    assert near > 0 > far


@pytest.mark.parametrize(("again", "validation"), [(1.0, "confirmed"), (-1.0, "unclear")])
def test_a_drawn_crack_that_the_classifier_does_not_confirm_is_unclear_not_gone(again: float, validation: str) -> None:
    asked = []

    def verify(image: np.ndarray, part: np.ndarray, x: int, y: int) -> float:
        asked.append((image is IMAGE, int(part.sum()), x, y))
        return again

    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(LINE), verify=verify)
    assert found.validation == validation
    ((same, pixels, x, y),) = asked
    assert same
    assert pixels == 5 * 80
    assert x <= 110
    assert y <= 148


def test_specks_are_not_looked_at_again() -> None:
    speck = (slice(148, 150), slice(110, 114))
    found_on(IMAGE, [tile(100, 100)], None, sees(speck), verify=lambda *_: pytest.fail("asked about a speck"))
