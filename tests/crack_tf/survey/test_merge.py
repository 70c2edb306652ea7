"""The same crack on overlapping photographs is one finding; whatever is in doubt stays two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crack_tf.survey.findings import Finding, PhotoRecord, finding_id
from crack_tf.survey.merge import NEIGHBOURS, find_points, merge_findings, near_pairs
from crack_tf.synthetic.wall import Wall, draw_walk
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box

WIDTH, HEIGHT, SHIFT = 640, 480, 220
METRE = 9e-6  # degrees of latitude


@pytest.fixture(scope="module")
def wall() -> Wall:
    rng = np.random.default_rng(3)
    cracks = (draw_walk(rng, (300, 120), 0.3, 260, 7), draw_walk(rng, (300, 320), -0.1, 260, 7))
    return Wall(5, Box(-5000, -5000, 10_000, 10_000), cracks)


def photo(name: str, latitude: float | None = 48.2, longitude: float = 16.4) -> PhotoRecord:
    place = (latitude, None if latitude is None else longitude)
    return PhotoRecord(name, "0" * 64, WIDTH, HEIGHT, None, *place, None, None, 0.2, 9, 3, 1)


def finding(name: str, wall: Wall, crack: int, left: int, **changes) -> Finding:
    """What a perfect survey finds of a crack on the photograph that begins at column `left` of the wall."""
    points = wall.cracks[crack].points - (left, 0)
    points = points[(points[:, 0] >= 0) & (points[:, 0] < WIDTH)]
    reach = np.array([0.0, wall.cracks[crack].mean_width / 2])
    outline = tuple((float(x), float(y)) for x, y in np.concatenate([points - reach, (points + reach)[::-1]]))
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    box = Box(int(low[1]), int(low[0]), int(high[1] - low[1]) + 1, int(high[0] - low[0]) + 1)
    length = float(np.hypot(*np.diff(points, axis=0).T).sum())
    sizes = {
        "mm_per_pixel": 0.2,
        "length_px": length,
        "mean_width_px": 7.0,
        "max_width_px": 9.0,
        "length_mm": length / 5,
        "mean_width_mm": 1.4,
        "max_width_mm": 1.8,
    }
    about = {"id": finding_id(name, box), "box": box, "outline": (outline,), "tiles": 2, "severity": 0.0}
    return some_finding(name, **{**about, **sizes, **changes})


@pytest.fixture(scope="module")
def points(wall: Wall) -> dict[str, np.ndarray]:
    other = Wall(77, wall.pier, wall.cracks)  # the same cracks in other concrete
    return {
        "a": find_points(wall.view(0, 0, WIDTH, HEIGHT)[0]),
        "b": find_points((wall.view(SHIFT, 0, WIDTH, HEIGHT)[0] * 0.9).astype(np.uint8)),
        "elsewhere": find_points(other.view(4000, 0, WIDTH, HEIGHT)[0]),
        "blank": find_points(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)),
    }


def test_a_crack_on_two_photographs_is_one_finding(wall, points):
    whole, part = finding("b", wall, 0, SHIFT, probability=0.7), finding("a", wall, 0, 0, length_mm=20.0)
    merged = merge_findings([photo("a"), photo("b")], [part, whole], points.get, 3.0)
    assert len(merged) == 1
    assert merged[0].probability == 0.9
    assert set(merged[0].seen_on) == {"a", "b"}
    assert merged[0].seen_on[0] == merged[0].photo


def test_the_confirmed_and_longer_one_speaks_for_both(wall, points):
    long, short = finding("a", wall, 0, 0), finding("b", wall, 0, SHIFT, length_px=50.0)
    assert merge_findings([photo("a"), photo("b")], [short, long], points.get, 3.0)[0].photo == "a"
    refuted = replace(long, validation="refuted")
    assert merge_findings([photo("a"), photo("b")], [short, refuted], points.get, 3.0)[0].photo == "b"


def test_a_crack_on_four_photographs_is_one_finding(wall):
    lefts = {"a": 0, "b": 60, "c": 120, "d": 180}
    points = {name: find_points(wall.view(left, 0, WIDTH, HEIGHT)[0]) for name, left in lefts.items()}
    found = [finding(name, wall, crack, left) for name, left in lefts.items() for crack in (0, 1)]
    merged = merge_findings([photo(name) for name in lefts], found, points.get, 3.0)
    assert [len(one.seen_on) for one in merged] == [4, 4]


@pytest.fixture(scope="module")
def long_wall() -> Wall:
    """With a crack of 1,000 pixels, longer than a photograph, and one that ends just before the border of the first."""
    rng = np.random.default_rng(4)
    cracks = (draw_walk(rng, (60, 240), 0.0, 1000, 7), draw_walk(rng, (300, 100), 0.0, 290, 7))
    return Wall(5, Box(-5000, -5000, 10_000, 10_000), cracks)


@pytest.mark.parametrize("lefts", [{"a": 0, "b": 220}, {"a": 0, "b": 220, "c": 440}, {"a": 0, "b": 220, "c": 260}])
def test_a_crack_longer_than_a_photograph_has_the_length_that_all_show_together(long_wall, lefts):
    points = {name: find_points(long_wall.view(left, 0, WIDTH, HEIGHT)[0]) for name, left in lefts.items()}
    found = [finding(name, long_wall, 0, left) for name, left in lefts.items()]
    (merged,) = merge_findings([photo(name) for name in lefts], found, points.get, 3.0)
    line = long_wall.cracks[0].points
    shown = line[line[:, 0] < max(lefts.values()) + WIDTH]
    length = float(np.hypot(*np.diff(shown, axis=0).T).sum())
    assert merged.length_px == pytest.approx(length, rel=0.05)
    assert merged.length_mm == pytest.approx(0.2 * length, rel=0.05)
    assert len(merged.seen_on) == len(lefts)


@pytest.mark.parametrize("speaks", ["a", "b"])
def test_parts_count_that_only_photographs_between_join_to_the_one_that_speaks(speaks):
    """Photographs in a row, each of which overlaps with the next one only, as on a flight along a wall."""
    walk = draw_walk(np.random.default_rng(4), (-60, 240), 0.0, 3000, 7)
    level = replace(walk, points=walk.points * (1, 0.3) + (0, 140))  # on all of them
    wall = Wall(5, Box(-5000, -5000, 10_000, 10_000), (level,))
    lefts = {name: 330 * number for number, name in enumerate("abcd")}
    points = {name: find_points(wall.view(left, 0, WIDTH, HEIGHT)[0]) for name, left in lefts.items()}
    found = [
        finding(name, wall, 0, left, validation="confirmed" if name == speaks else "unclear")
        for name, left in lefts.items()
    ]
    (merged,) = merge_findings([photo(name) for name in lefts], found, points.get, 3.0)
    assert merged.photo == speaks
    line = wall.cracks[0].points
    shown = line[(line[:, 0] >= 0) & (line[:, 0] < max(lefts.values()) + WIDTH)]
    assert merged.length_px == pytest.approx(float(np.hypot(*np.diff(shown, axis=0).T).sum()), rel=0.05)


def test_a_crack_that_ends_on_its_photograph_is_not_made_longer(long_wall):
    lefts = {"a": 0, "b": 220}
    points = {name: find_points(long_wall.view(left, 0, WIDTH, HEIGHT)[0]) for name, left in lefts.items()}
    found = [finding(name, long_wall, 1, left) for name, left in lefts.items()]
    (merged,) = merge_findings([photo(name) for name in lefts], found, points.get, 3.0)
    assert merged.length_px == pytest.approx(found[0].length_px)


def test_two_cracks_stay_two(wall, points):
    found = [
        finding("a", wall, 0, 0),
        finding("b", wall, 1, SHIFT),
        finding("a", wall, 1, 0),
        finding("b", wall, 0, SHIFT),
    ]
    merged = merge_findings([photo("a"), photo("b")], found, points.get, 3.0, jobs=2)
    assert len(merged) == 2
    assert all(len(one.seen_on) == 2 for one in merged)
    assert len(merge_findings([photo("a"), photo("b")], found[:2], points.get, 3.0)) == 2


def tiles(name: str, left: int, right: int) -> Finding:
    ring = ((float(left), 100.0), (float(right), 100.0), (float(right), 300.0), (float(left), 300.0))
    box = Box(100, left, 200, right - left)
    none = dict.fromkeys(("length_px", "mean_width_px", "max_width_px", "length_mm", "mean_width_mm", "max_width_mm"))
    drawn = finding(
        name, Wall(0, Box(0, 0, 9, 9), (draw_walk(np.random.default_rng(0), (300, 200), 0.0, 100, 5),)), 0, 0
    )
    return replace(drawn, id=finding_id(name, box), box=box, outline=(ring,), validation="unclear", **none)  # type: ignore[arg-type]


def test_tiles_that_share_most_are_one_finding_and_the_larger_speaks(points):
    found = [tiles("a", 260, 560), tiles("b", 0, 350)]
    (merged,) = merge_findings([photo("a"), photo("b")], found, points.get, 3.0)
    assert merged.seen_on == ("b", "a")
    assert {merged.id, *merged.merged} == {finding.id for finding in found}


def test_tiles_that_reach_beyond_the_other_photograph_stay(points):
    # On the part of `a` that `b` does not see there may be another crack.
    found = [tiles("a", 0, 500), tiles("b", 0, 500)]
    assert len(merge_findings([photo("a"), photo("b")], found, points.get, 3.0)) == 2


def test_a_drawn_crack_does_not_speak_for_tiles(wall, points):
    found = [finding("a", wall, 0, 0), tiles("b", 0, 400)]
    assert len(merge_findings([photo("a"), photo("b")], found, points.get, 3.0)) == 2


@pytest.mark.parametrize("other", ["elsewhere", "blank", "nowhere"])
def test_what_looks_different_stays_apart(wall, points, other):
    found = [finding("a", wall, 0, 0), finding(other, wall, 0, 0)]
    assert len(merge_findings([photo("a"), photo(other)], found, points.get, 3.0)) == 2


def test_photographs_far_apart_are_not_compared(wall, points):
    found = [finding("a", wall, 0, 0), finding("b", wall, 0, SHIFT)]
    assert len(merge_findings([photo("a"), photo("b", 48.2 + 20 * METRE)], found, points.get, 3.0)) == 2
    assert len(merge_findings([photo("a"), photo("b", 48.2 + 20 * METRE)], found, points.get, 15.0)) == 1


def test_photographs_without_a_position_are_not_merged(wall, points):
    found = [finding("a", wall, 0, 0), finding("b", wall, 0, SHIFT)]
    assert len(merge_findings([photo("a", None), photo("b", None)], found, points.get, 3.0)) == 2


def test_the_antimeridian_separates_nothing():
    pair = [photo("a", -16.5, 179.999999), photo("b", -16.5, -179.999999)]
    assert near_pairs(pair, 1.0) == [tuple(pair)]


def test_a_photograph_is_compared_with_a_bounded_number_of_others():
    crowd = [photo(f"{number:03d}", 48.2 + 0.1 * METRE * number) for number in range(60)]
    pairs = near_pairs(crowd, 5.0)
    assert len(pairs) <= NEIGHBOURS * len(crowd)
    assert len({(one.name, other.name) for one, other in pairs}) == len(pairs)


def test_nothing_to_merge_is_nothing():
    assert merge_findings([photo("a")], [], lambda name: None, 3.0) == []
