"""Patterns of cracks whose lines are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.photo.patterns import ALL_WAYS, JOINT, MAP, PARALLEL, SINGLE, Lines, Pattern, patterns_of
from crack_tf.synthetic.wall import draw_walk


def walk(seed: int, x: float, y: float, degrees: float, length: float = 600.0) -> Lines:
    """A crack as cracks run, from (x, y); degrees anticlockwise as seen."""
    crack = draw_walk(np.random.default_rng(seed), (x, y), -math.radians(degrees), length, 3.0)
    return Lines([crack.points.tolist()])


def line(x: float, y: float, degrees: float, length: float) -> Lines:
    angle = math.radians(degrees)
    return Lines([[(x, y), (x + length * math.cos(angle), y - length * math.sin(angle))]])


def turned(lines: Lines, degrees: float) -> Lines:
    """About the origin, anticlockwise as seen."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Lines([[(c * x + s * y, -s * x + c * y) for x, y in branch] for branch in lines.branches], lines.fields)


def off(one: float, other: float) -> float:
    return abs((one - other + 90) % 180 - 90)


@pytest.mark.parametrize(
    ("degrees", "word"), [(0, "horizontal"), (12, "horizontal"), (45, "diagonal"), (135, "diagonal"), (84, "vertical")]
)
def test_a_lone_crack_has_its_direction(degrees: float, word: str) -> None:
    (found,) = patterns_of([walk(1, 500, 500, degrees)])
    assert (found.name, found.orientation, found.spacing_px) == (SINGLE, word, None)
    assert found.orientation_deg is not None
    assert off(found.orientation_deg, degrees) < 8


def test_the_cameras_roll_is_taken_off() -> None:
    # Rolled clockwise, a camera shows what is upright leaning to the left.
    (plain,) = patterns_of([turned(line(500, 900, 90, 600), 30)])
    (told,) = patterns_of([turned(line(500, 900, 90, 600), 30)], roll_deg=30)
    assert (plain.orientation, told.orientation) == ("diagonal", "vertical")


@pytest.mark.parametrize("degrees", [0, 20, 90, 91, 160])
def test_cracks_side_by_side_are_a_set_with_its_spacing(degrees: float) -> None:
    aside = math.radians(degrees)
    cracks = [walk(k, 1000 + 150 * k * math.sin(aside), 1000 + 150 * k * math.cos(aside), degrees) for k in range(4)]
    for found in patterns_of(cracks):
        assert found.name == PARALLEL
        # Middles wander, too: a crack of 600 pixels by about 40.
        assert found.spacing_px == pytest.approx(150, rel=0.4)


def test_two_cracks_and_the_parts_of_one_are_no_set() -> None:
    assert {found.name for found in patterns_of([walk(1, 0, 0, 0), walk(2, 0, 100, 0)])} == {SINGLE}
    parts = [walk(k, 700 * k, 40 * k, 0) for k in range(4)]
    assert {found.name for found in patterns_of(parts)} == {SINGLE}


def test_a_mesh_is_map_cracking_with_the_size_of_its_fields() -> None:
    side, count = 80, 5
    ends = [k * side for k in range(count + 1)]
    steps = [(a, a + side) for a in ends[:-1]]
    branches = [[(a, y), (b, y)] for y in ends for a, b in steps] + [[(x, a), (x, b)] for x in ends for a, b in steps]
    (found,) = patterns_of([Lines(branches, fields=count**2)])
    assert (found.name, found.orientation, found.orientation_deg) == (MAP, ALL_WAYS, None)
    assert found.spacing_px == pytest.approx(side, rel=0.25)


def test_a_mesh_in_pieces_is_map_cracking_too() -> None:
    pieces = [walk(10 * i + j, 150 * i, 150 * j, 90 * ((i + j) % 2) + 10, 140) for i in range(4) for j in range(4)]
    names = [found.name for found in patterns_of(pieces)]
    assert names.count(MAP) >= 14


def test_two_cracks_that_cross_and_a_fork_are_no_mesh() -> None:
    cross = patterns_of([walk(1, 300, 500, 0), walk(2, 600, 800, 90)])
    assert {found.name for found in cross} == {SINGLE}
    trunk, arm = walk(3, 0, 500, 0).branches[0], walk(4, 300, 480, 50, 200).branches[0]
    assert patterns_of([Lines([trunk, arm])])[0].name == SINGLE


def test_separate_lines_in_all_directions_enclose_nothing_and_are_no_mesh() -> None:
    # As on a photograph of three hairlines that do not reach each other.
    cracks = [walk(1, 100, 300, 10, 360), walk(2, 60, 210, 58, 147), walk(3, 260, 200, 88, 116)]
    assert {found.name for found in patterns_of(cracks)} == {SINGLE}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0, 179), st.floats(20, 60), st.floats(0, 300))
def test_a_crumb_changes_no_pattern_of_longer_cracks(seed: int, degrees: float, length: float, aside: float) -> None:
    cross = [walk(seed, 300, 500, 0), walk(seed + 1, 600, 800, 90)]
    crumb = walk(seed + 2, 500 + aside, 500 - aside, degrees, length)
    assert patterns_of([*cross, crumb])[:2] == patterns_of(cross)


def test_a_third_crack_of_their_length_makes_a_mesh_of_two_that_cross() -> None:
    cracks = [walk(1, 300, 500, 0), walk(2, 600, 800, 90), walk(3, 650, 700, 60, 250)]
    assert {found.name for found in patterns_of(cracks)} == {MAP}


def test_a_line_as_straight_as_formwork_is_at_a_joint() -> None:
    (found,) = patterns_of([line(0, 300, 1, 900)])
    assert (found.name, found.orientation) == (JOINT, "horizontal")
    assert patterns_of([line(0, 300, 0, 40)])[0].name == SINGLE  # too short to tell


def test_no_cracks_have_no_pattern() -> None:
    assert patterns_of([]) == []


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 1000), st.floats(0, 179), st.floats(-40, 40), st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
)
def test_what_is_turned_and_moved_keeps_its_pattern(
    seed: int, degrees: float, roll: float, shift: tuple[float, float]
) -> None:
    cracks = [walk(seed + k, 100 * k, 130 * k, degrees + 9 * k, 500) for k in range(3)]
    moved = [Lines([[(x + shift[0], y + shift[1]) for x, y in branch] for branch in one.branches]) for one in cracks]
    plain, other = patterns_of(cracks), patterns_of([turned(one, roll) for one in moved], roll_deg=roll)

    def told(found: Pattern) -> tuple[str, float]:
        return found.name, found.spacing_px or 0.0

    for one, two in zip(plain, other, strict=True):
        assert told(one)[0] == told(two)[0]
        assert told(one)[1] == pytest.approx(told(two)[1], abs=0.3)
        assert one.orientation_deg is not None
        assert two.orientation_deg is not None
        assert off(one.orientation_deg, two.orientation_deg) < 0.5
