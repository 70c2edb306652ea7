"""Walls with one pattern: the same from the same seed, inside the view, and told as what they are."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.photo.patterns import JOINT, PATTERNS, Lines, patterns_of
from studies.patterned_wall import patterned_wall

SIZE = (800, 600)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_wall_is_the_same_from_the_same_seed_and_its_cracks_lie_in_the_view(pattern: str) -> None:
    one, again, other = (patterned_wall(seed, pattern, SIZE) for seed in (4, 4, 5))
    points = np.concatenate([crack.points for crack in one.wall.cracks])
    assert np.array_equal(points, np.concatenate([crack.points for crack in again.wall.cracks]))
    assert len(points) != sum(len(crack.points) for crack in other.wall.cracks) or one.wall.seed != other.wall.seed
    assert (points > -1).all()
    assert (points < np.array(SIZE) + 1).all()


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "map"])
def test_lines_of_its_cracks_are_told_as_the_pattern_that_was_drawn(pattern: str) -> None:
    for seed in range(8):
        drawn = patterned_wall(seed, pattern, SIZE)
        found = patterns_of([Lines([crack.points.tolist()]) for crack in drawn.wall.cracks])
        assert {one.name for one in found} == {pattern}


def test_a_mesh_of_separate_sides_is_told_as_one() -> None:
    told = [
        one.name
        for seed in range(8)
        for one in patterns_of(
            [Lines([crack.points.tolist()]) for crack in patterned_wall(seed, "map", SIZE).wall.cracks]
        )
    ]
    assert told.count("map") > 0.95 * len(told)


def test_a_joint_of_any_length_is_drawn() -> None:
    (crack,) = patterned_wall(29, JOINT, (1200, 900)).wall.cracks
    assert len(crack.points) % 40 == 0  # its unevenness is drawn every 40 points
    assert np.isfinite(crack.points).all()
