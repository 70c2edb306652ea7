"""Parts of one crack are put together across gaps; two cracks never are. On drawn cracks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.linking import FAR, NEAR, crack_darkness, link_cracks

SIZE = 500
Line = Sequence[tuple[float, float]]


def drawn(*lines: Line, width: int = 4, widths: Sequence[int] | None = None) -> np.ndarray:
    """Lines as a mask, bool (SIZE, SIZE)."""
    image = Image.new("1", (SIZE, SIZE))
    pen = ImageDraw.Draw(image)
    for line, wide in zip(lines, widths or [width] * len(lines), strict=True):
        pen.line(list(line), fill=1, width=wide)
    return np.asarray(image)


def groups(mask: np.ndarray, darkness: Sequence[float] | None = None) -> list[list[Crack]]:
    cracks = measure_cracks(mask)
    return [[cracks[number] for number in found.parts] for found in link_cracks(cracks, darkness)]


def along(start: tuple[float, float], degrees: float, *distances: float) -> list[tuple[float, float]]:
    """Places on a ray, at distances from its start."""
    x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(start[0] + distance * x, start[1] + distance * y) for distance in distances]


def wandering(seed: int, turn: float, length: int = 400) -> np.ndarray:
    """A line that changes its direction by some degrees every 8 pixels, about the middle; float (n, 2)."""
    generator = np.random.default_rng(seed)
    angles = np.radians(
        generator.uniform(0, 360) + np.convolve(generator.normal(0, turn, length // 8 + 4), [0.25] * 4, "valid")
    )
    steps = 8 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    places = np.cumsum(steps, axis=0)
    return places - (places.min(axis=0) + places.max(axis=0)) / 2 + SIZE / 2


# --------------------------------------------------------------------------------------------------- one crack


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(0, 360), gap=st.floats(3, FAR - 10), width=st.integers(2, 8))
def test_a_straight_crack_is_one_across_a_gap_in_any_direction(degrees: float, gap: float, width: int) -> None:
    before, after = (
        along((250, 250), degrees, -gap / 2 - 110, -gap / 2),
        along((250, 250), degrees, gap / 2, gap / 2 + 110),
    )
    cracks = measure_cracks(drawn(before, after, width=width))
    (found,) = link_cracks(cracks)
    assert found.parts == tuple(range(len(cracks)))
    whole = sum(crack.length_px for crack in cracks) + sum(found.gaps)
    assert whole == pytest.approx(220 + gap, abs=3 + width)  # tips of wide lines are blunt


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.sets(st.sampled_from([9, 20, 31, 42]), min_size=1),
    width=st.integers(3, 6),
)
def test_a_wandering_crack_is_one_whatever_is_cut_out_of_it(seed: int, cuts: set[int], width: int) -> None:
    places = wandering(seed, turn=12)
    mask = drawn([tuple(place) for place in places], width=width)
    rows, columns = np.indices(mask.shape)
    for cut in cuts:
        x, y = places[cut]
        mask = mask & (np.hypot(columns - x, rows - y) > 10)  # a gap of 20 pixels
    assert len([group for group in groups(mask) if sum(crack.length_px for crack in group) > 20]) == 1


def test_a_bend_goes_on_behind_a_gap() -> None:
    circle = [(250 + 120 * math.cos(t), 250 + 120 * math.sin(t)) for t in np.linspace(0, 4.5, 80)]
    mask = drawn(circle)
    mask = mask & ~drawn(circle[35:43], width=12)
    assert [len(group) for group in groups(mask)] == [2]


def test_a_branch_that_begins_beside_the_stem_belongs_to_it() -> None:
    stem = [(100, 250), (400, 250)]
    branch = along((250, 250), -60, 12, 120)
    assert [len(group) for group in groups(drawn(stem, branch))] == [2]


def test_pieces_that_nearly_touch_are_one_even_side_by_side() -> None:
    assert [len(group) for group in groups(drawn([(100, 250), (300, 250)], [(100, 256), (300, 256)], width=3))] == [2]


def test_a_chain_of_short_pieces_is_one() -> None:
    pieces = [along((60, 300), -20, start, start + 18) for start in range(0, 330, 30)]
    assert [len(group) for group in groups(drawn(*pieces))] == [len(pieces)]


def photographed(*lines: Line, depth: float = 90.0, width: int = 4) -> np.ndarray:
    """Lines as a photograph shows them on concrete, float32 (SIZE, SIZE)."""
    grey = np.random.default_rng(7).normal(160, 5, (SIZE, SIZE)).astype(np.float32)
    return grey - np.float32(depth) * drawn(*lines, width=width)


def linked_by_photograph(mask: np.ndarray, grey: np.ndarray) -> list[int]:
    """How many parts each crack has."""
    cracks = measure_cracks(mask)
    return [len(found.parts) for found in link_cracks(cracks, [crack_darkness(crack, grey) for crack in cracks], grey)]


@settings(max_examples=15, deadline=None)
@given(degrees=st.floats(-90, -60), gap=st.floats(NEAR + 12, FAR - 20))
def test_a_branch_that_only_the_photograph_shows_whole_belongs_to_its_stem(degrees: float, gap: float) -> None:
    stem = [(100.0, 300.0), (400.0, 300.0)]
    whole, branch = along((250, 300), degrees, 0, 200), along((250, 300), degrees, gap, 200)
    assert linked_by_photograph(drawn(stem, branch), photographed(stem, whole)) == [2]
    assert linked_by_photograph(drawn(stem, branch), photographed(stem, branch)) == [1, 1]


def test_a_turn_a_width_and_short_pieces_are_no_matter_where_the_photograph_shows_the_crack() -> None:
    line = [(60.0, 250.0), (230.0, 250.0), (280.0, 200.0), (420.0, 200.0)]
    turned = drawn(line[:2], line[2:])
    assert linked_by_photograph(turned, photographed(line)) == [2]
    widths = drawn([(60, 250), (180, 250)], [(250, 250), (420, 250)], widths=(2, 12))
    assert linked_by_photograph(widths, photographed([(60, 250), (420, 250)])) == [2]
    short = drawn([(60, 250), (200, 250)], [(260, 250), (280, 250)], [(340, 250), (440, 250)])
    assert linked_by_photograph(short, photographed([(60, 250), (440, 250)])) == [3]
    assert linked_by_photograph(short, photographed([(60, 250), (200, 250)], [(340, 250), (440, 250)])) == [1, 1, 1]


# -------------------------------------------------------------------------------------------------- two cracks


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(0, 180), apart=st.floats(12, 60), shift=st.floats(-120, 120))
def test_parallel_neighbours_stay_apart(degrees: float, apart: float, shift: float) -> None:
    one = along((250, 250), degrees, -120, 120)
    middle = along((250, 250), degrees + 90, apart)[0]
    other = along(middle, degrees, shift - 120, shift + 120)
    assert [len(group) for group in groups(drawn(one, other))] == [1, 1]


def test_two_cracks_that_leave_the_photograph_side_by_side_stay_apart() -> None:
    upper, lower = [(400.0, 70.0), (499.0, 230.0)], [(400.0, 422.0), (499.0, 262.0)]
    mask = drawn(upper, lower)
    assert linked_by_photograph(mask, photographed(upper, lower)) == [1, 1]
    inside = np.zeros((SIZE, SIZE + 60), np.uint8)  # the same, and more of the wall beside it
    inside[:] = 160
    inside[:, :SIZE] = photographed(upper, lower)
    cracks = measure_cracks(np.pad(mask, ((0, 0), (0, 60))))
    assert len(link_cracks(cracks, [crack_darkness(crack, inside) for crack in cracks], inside)) == 1


@pytest.mark.parametrize("width", [4, 14])
def test_two_cracks_that_meet_where_they_leave_the_photograph_stay_apart(width: int) -> None:
    upper, lower = [(200.0, 150.0), (499.0, 235.0)], [(200.0, 350.0), (499.0, 243.0 + width)]
    mask, grey = drawn(upper, lower, width=width), photographed(upper, lower, width=width)
    assert linked_by_photograph(mask, grey) == [1, 1]
    wider = np.pad(grey, ((0, 0), (0, 60)), mode="edge")  # the same place inside a photograph
    assert linked_by_photograph(np.pad(mask, ((0, 0), (0, 60))), wider) == [2]


def test_a_speck_leads_from_no_crack_that_leaves_the_photograph_to_another() -> None:
    upper, lower = [(250.0, 60.0), (1.0, 230.0)], [(250.0, 440.0), (30.0, 252.0)]
    speck = [(11.0, 239.0), (20.0, 245.0)]
    assert sorted(linked_by_photograph(drawn(upper, speck, lower), photographed(upper, lower))) == [1, 2]


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(0, 180), between=st.floats(60, 90), gap=st.floats(30, 45))
def test_two_cracks_that_cross_in_a_gap_keep_their_directions(degrees: float, between: float, gap: float) -> None:
    lines = [
        along((250, 250), angle, near, near + 120)
        for angle in (degrees, degrees + 180, degrees + between, degrees + between + 180)
        for near in (gap,)
    ]
    found = groups(drawn(*lines))
    assert [len(group) for group in found] == [2, 2]
    for one, other in found:
        turn = abs(one.orientation_deg - other.orientation_deg) % 180
        assert min(turn, 180 - turn) < 8


@settings(max_examples=20, deadline=None)
# Nearer by, a line that turns back comes within `NEAR` of the tip itself.
@given(degrees=st.floats(0, 360), turn=st.floats(75, 130), side=st.sampled_from([-1, 1]), gap=st.floats(2 * NEAR, FAR))
def test_a_crack_that_begins_in_another_direction_is_another(
    degrees: float, turn: float, side: int, gap: float
) -> None:
    one = along((250, 250), degrees, -120, 0)
    start = along((250, 250), degrees, gap)[0]
    other = along(start, degrees + side * turn, 0, 120)
    assert [len(group) for group in groups(drawn(one, other))] == [1, 1]


def test_a_wide_gap_is_no_continuation_of_a_hairline() -> None:
    lines = along((100, 250), 0, 0, 130), along((250, 250), 0, 0, 150)
    assert [len(group) for group in groups(drawn(*lines, widths=(2, 12)))] == [1, 1]
    assert [len(group) for group in groups(drawn(*lines, widths=(4, 6)))] == [2]


def test_a_faint_line_is_no_continuation_of_a_dark_one() -> None:
    mask = drawn(along((100, 250), 0, 0, 130), along((250, 250), 0, 0, 150))
    assert [len(group) for group in groups(mask, [80.0, 70.0])] == [2]
    assert [len(group) for group in groups(mask, [80.0, 15.0])] == [1, 1]


def test_a_gap_longer_than_the_parts_is_not_bridged() -> None:
    specks = [along((60, 250), 0, start, start + 20) for start in range(0, 360, 70)]
    assert [len(group) for group in groups(drawn(*specks))] == [1] * len(specks)


def test_no_crack_is_no_group() -> None:
    assert link_cracks([]) == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_part_is_in_one_group_and_order_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lines = [
        along(tuple(generator.uniform(60, 440, 2)), generator.uniform(0, 360), 0, generator.uniform(5, 150))
        for _ in range(12)
    ]
    cracks = measure_cracks(drawn(*lines, widths=list(generator.integers(2, 7, 12))), min_area=1)
    found = link_cracks(cracks)
    assert sorted(number for group in found for number in group.parts) == list(range(len(cracks)))
    assert all(len(group.gaps) < len(group.parts) for group in found)
    order = generator.permutation(len(cracks))
    again = link_cracks([cracks[number] for number in order])
    assert {frozenset(group.parts) for group in found} == {
        frozenset(int(order[n]) for n in group.parts) for group in again
    }


# ---------------------------------------------------------------------------------------------------- darkness


@pytest.mark.parametrize("depth", [10, 60])
def test_darkness_is_that_of_the_crack_against_the_concrete_beside_it(depth: int) -> None:
    mask = drawn([(100, 300), (400, 220)], width=5)
    grey = np.linspace(120, 200, SIZE)[np.newaxis].repeat(SIZE, 0) - depth * mask  # light from one side
    (crack,) = measure_cracks(mask)
    assert crack_darkness(crack, grey) == pytest.approx(depth, abs=2)
