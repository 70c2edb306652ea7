"""Photographs of two surveys are paired, and cracks known again: from another place, in other light, grown or new."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from crack_tf.photo.ranges import AT_BORDER_PX
from crack_tf.survey.comparison.epochs import (
    Matched,
    PhotoPair,
    called_over,
    match_cracks,
    pair_photographs,
    shared_part,
    view_of,
)
from crack_tf.survey.findings import Finding, PhotoRecord
from crack_tf.survey.merge import find_points
from crack_tf.synthetic.wall import Wall
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box

SIZE = (900, 700)
# The later photograph: turned, nearer, from the side.
LATER = np.array([[1.12, -0.09, -30.0], [0.07, 1.08, -60.0], [4e-5, 2e-5, 1.0]])
PLACE = (47.07, 15.44)


_ROWS = tuple(tuple(float(value) for value in row) for row in LATER)
PAIR = PhotoPair("old", "new", (_ROWS[0], _ROWS[1], _ROWS[2]), 99, 1.0, 1.0)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Epochs:
    """An old photograph of a wall and a new one, with what points were found on them."""

    points: dict[str, np.ndarray]

    def pair(self, old: str = "old", new: str = "new") -> list[PhotoPair]:
        return pair_photographs([record(old)], [record(new)], self.points.get, self.points.get, 3.0)


@pytest.fixture(scope="module")
def epochs() -> Epochs:
    rng = np.random.default_rng(5)
    old = Wall(3, Box(-9000, -9000, 20000, 20000), ()).view(0, 0, *SIZE)[0]
    other = Wall(4, Box(-9000, -9000, 20000, 20000), ()).view(0, 0, *SIZE)[0]
    new = cv2.warpPerspective(old, LATER, SIZE, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    shade = np.linspace(0.7, 1.05, SIZE[0], dtype=np.float32)[None, :, None]
    new = (0.9 * new * shade + rng.normal(0, 2, new.shape)).clip(0, 255).astype(np.uint8)
    return Epochs({"old": find_points(old), "new": find_points(new), "other": find_points(other)})


def record(name: str, latitude: float | None = PLACE[0]) -> PhotoRecord:
    place = (latitude, None if latitude is None else PLACE[1])
    return PhotoRecord(name, "0" * 64, *SIZE, None, *place, 350.0, None, 1.0, 12, 1, 1)


def crack(number: int, photo: str, line: np.ndarray) -> Finding:
    low, high = line.min(axis=0).astype(int), line.max(axis=0).astype(int) + 1
    points = tuple((round(float(x), 1), round(float(y), 1)) for x, y in line)
    return some_finding(
        photo,
        id=f"{number:012x}",
        box=Box(int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0])),
        outline=(points,),
        mm_per_pixel=1.0,
        length_px=100.0,
        mean_width_px=3.0,
        max_width_px=4.0,
        length_mm=100.0,
        mean_width_mm=3.0,
        max_width_mm=4.0,
        centreline=(points,),
    )


def line(x: float, y: float, to_x: float, to_y: float) -> np.ndarray:
    along = np.linspace(0, 1, 40)[:, None]
    return np.array([x, y]) + along * np.array([to_x - x, to_y - y]) + np.c_[np.zeros(40), 5 * np.sin(9 * along[:, 0])]


def later(points: np.ndarray) -> np.ndarray:
    found = np.c_[points, np.ones(len(points))] @ LATER.T
    return np.asarray(found[:, :2] / found[:, 2:])


def matched(epochs: Epochs, old: list[Finding], new: list[Finding]) -> Matched:
    return match_cracks(epochs.pair(), old, new, [record("old")], [record("new")])


def test_a_wall_is_known_again_from_another_place_in_other_light(epochs: Epochs) -> None:
    (pair,) = epochs.pair()
    corners = np.array([[150.0, 150.0], [750, 150], [150, 600], [700, 550]])
    found = np.c_[corners, np.ones(4)] @ np.array(pair.homography).T
    assert np.hypot(*(found[:, :2] / found[:, 2:] - later(corners)).T).max() < 2.0
    assert pair.points >= 12
    assert 0.5 < pair.overlap <= 1


def test_another_wall_is_not(epochs: Epochs) -> None:
    assert epochs.pair("other") == []
    assert epochs.pair("away") == []


def test_photographs_far_apart_are_not_compared_and_those_without_a_place_are(epochs: Epochs) -> None:
    points = epochs.points.get
    assert pair_photographs([record("old", PLACE[0] + 0.01)], [record("new")], points, points, 3.0) == []
    assert len(pair_photographs([record("old", None)], [record("new")], points, points, 3.0)) == 1
    assert len(pair_photographs([record("old")], [record("new", None)], points, points, 3.0)) == 1


def test_a_crack_that_has_grown_is_the_same_crack(epochs: Epochs) -> None:
    grown = line(250, 300, 600, 370)
    found = matched(epochs, [crack(1, "old", grown[:24])], [crack(2, "new", later(grown))])
    assert [(pair.old, pair.new) for pair in found.pairs] == [(f"{1:012x}", f"{2:012x}")]
    assert found.pairs[0].cover > 0.9
    assert found.appeared == found.gone == found.unseen_before == found.unseen_now == ()


def test_what_is_new_and_what_is_gone_are_told_apart_from_what_nobody_looked_at(epochs: Epochs) -> None:
    old = [crack(1, "old", line(250, 300, 450, 340)), crack(2, "old", line(300, 500, 500, 480))]
    new = [crack(3, "new", later(line(250, 300, 450, 340))), crack(4, "new", later(line(500, 200, 700, 220)))]
    elsewhere = crack(5, "third", line(100, 100, 200, 200))
    found = matched(epochs, [*old, elsewhere], [*new, replace(elsewhere, id=f"{6:012x}")])
    assert [(pair.old, pair.new) for pair in found.pairs] == [(f"{1:012x}", f"{3:012x}")]
    assert found.gone == (f"{2:012x}",)
    assert found.appeared == (f"{4:012x}",)
    assert found.unseen_now == (f"{5:012x}",)
    assert found.unseen_before == (f"{6:012x}",)


def test_cracks_side_by_side_are_two(epochs: Epochs) -> None:
    found = matched(
        epochs, [crack(1, "old", line(250, 300, 450, 340))], [crack(2, "new", later(line(250, 330, 450, 370)))]
    )
    assert found.pairs == ()


def test_a_line_is_cut_off_where_either_photograph_ends(epochs: Epochs) -> None:
    old, new = record("old"), record("new")
    away = np.array([[1.0, 0, -300], [0, 1, 0], [0, 0, 1]])  # the later photograph begins 300 pixels farther right
    across = np.c_[np.linspace(200, 899, 100), np.full(100, 350.0)]
    inside = shared_part(crack(1, "old", across[40:80]), old, away, new, [])
    assert (inside.cut, inside.beside) == (False, 0.0)
    assert inside.own == pytest.approx(np.ptp(across[40:80, 0]), abs=0.1)
    before = shared_part(crack(1, "old", across), old, away, new, [])
    now = shared_part(crack(2, "new", np.c_[np.linspace(0, 800, 100), across[:, 1]]), new, np.linalg.inv(away), old, [])
    assert before.cut
    assert now.cut
    assert before.own == pytest.approx(600 - 2 * AT_BORDER_PX, abs=8)  # places are four pixels apart
    assert now.own == pytest.approx(before.own, abs=8)


def test_what_the_other_survey_drew_as_part_of_another_crack_is_counted(epochs: Epochs) -> None:
    same = np.eye(3)
    long = np.c_[np.linspace(200, 600, 100), np.full(100, 350.0)]
    found = shared_part(
        crack(1, "new", long), record("new"), same, record("old"), [crack(2, "old", long[:25] + np.array([0, 2]))]
    )
    assert found.beside == pytest.approx(0.25, abs=0.02)
    away = shared_part(
        crack(1, "new", long), record("new"), same, record("old"), [crack(2, "old", long[:25] + np.array([0, 20]))]
    )
    assert away.beside == 0


def test_a_crack_that_is_shown_in_part_counts_with_its_mean_width(epochs: Epochs) -> None:
    long, photo = np.c_[np.linspace(200, 880, 100), np.full(100, 350.0)], record("new")
    for shift, width in ((0, 4.0), (200, 3.0)):
        view = view_of(photo, crack(1, "old", long), np.array([[1.0, 0, shift], [0, 1, 0], [0, 0, 1]]))
        assert view is not None
        assert view.width_px == pytest.approx(width)


def test_findings_without_a_drawn_crack_are_left_out(epochs: Epochs) -> None:
    tiles = replace(crack(1, "old", line(250, 300, 450, 340)), centreline=())
    assert matched(epochs, [tiles], []) == Matched((), (), (), (), ())


def around(points: np.ndarray, reach: float) -> tuple[tuple[float, float], ...]:
    """A strip along a line that runs to the right."""
    aside = np.array([0.0, reach])
    both = np.concatenate([points - aside, points[::-1] + aside])
    return tuple((float(x), float(y)) for x, y in both)


def test_a_strip_over_a_crack_is_called_over_it_and_a_crack_beside_it_or_around_it_is_not() -> None:
    own = line(250, 300, 600, 370)
    thin = replace(crack(1, "old", own), outline=(around(own, 2),))
    # As wide as the wet part of a wall along which the crack runs: its line is another.
    other = later(own) + np.array([0.0, 40.0])
    strip = replace(crack(2, "new", other), outline=(around(other, 60),))
    back = np.linalg.inv(LATER)
    assert match_cracks([PAIR], [thin], [strip], [record("old")], [record("new")]).pairs == ()
    assert called_over(thin, record("old"), LATER, record("new"), [strip])
    assert called_over(strip, record("new"), back, record("old"), [thin])
    assert called_over(thin, record("old"), LATER, record("new"), [replace(strip, centreline=(), length_px=None)])
    assert not called_over(thin, record("old"), LATER, record("new"), [])
    beside = replace(strip, outline=(around(other + np.array([0.0, 50.0]), 60),))
    assert not called_over(thin, record("old"), LATER, record("new"), [beside])
    field = replace(strip, holes=(around(later(own), 12),))
    assert not called_over(thin, record("old"), LATER, record("new"), [field])
