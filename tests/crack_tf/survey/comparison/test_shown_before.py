"""What is drawn longer now was there before where the earlier picture shows it as dark, wherever the homography may be off."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.survey.comparison.shown_before import Shown, length_before

REACH = 6.0
LINE = np.c_[np.arange(40.0, 160.0, 4.0), np.full(30, 60.0)]


def shown(darkness: float, row: int = 60, light: float = 1.0, left: int = 0) -> Shown:
    """A rough wall with a dark line three pixels wide, from a column of the photograph on."""
    rng = np.random.default_rng([row, left])
    grey = rng.normal(170, 6, (120, 200 - left))
    grey[row - 1 : row + 2, max(0, 30 - left) : 170 - left] *= 1 - darkness
    return Shown((light * grey).astype(np.float32), np.array([[1.0, 0, -left], [0, 1, 0], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("before", "share"),
    [
        ([shown(0.5)], 1.0),
        ([shown(0.3, row=64, light=0.7)], 1.0),  # off by what a homography may be, in other light, fainter
        ([shown(0.0)], 0.0),
        ([shown(0.1)], 0.0),
        ([], 0.0),
        ([shown(0.5, left=100)], 0.5),  # of the rest nothing is known
    ],
)
def test_a_line_was_there_before_where_the_earlier_picture_shows_it_as_dark(before: list[Shown], share: float) -> None:
    found = length_before([LINE], [shown(0.5)], before, np.eye(3), REACH, 3.0)
    assert found == pytest.approx(120 * share, abs=24)


def test_what_is_too_short_to_have_a_direction_is_not_asked() -> None:
    assert length_before([LINE[:1]], [shown(0.5)], [shown(0.5)], np.eye(3), REACH, 3.0) == 0
