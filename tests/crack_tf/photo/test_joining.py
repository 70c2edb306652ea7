"""Parts of one crack become one crack, with the numbers that it would have whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.joining import join_cracks, joined

WIDTH, HEIGHT = 400, 200
Line = tuple[tuple[int, int], tuple[int, int]]


def drawn(*lines: Line, width: int = 6) -> np.ndarray:
    image = Image.new("1", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(image)
    for line in lines:
        pen.line(list(line), fill=1, width=width)
    return np.asarray(image)


def measured(mask: np.ndarray) -> list[Crack]:
    return measure_cracks(mask, mm_per_pixel=0.5)


@settings(max_examples=15, deadline=None)
@given(gap=st.integers(6, 60), at=st.integers(150, 250), rise=st.integers(-40, 40))
def test_a_crack_in_two_pieces_has_the_numbers_of_the_whole_one(gap: int, at: int, rise: int) -> None:
    mask = drawn(((20, 100 - rise), (380, 100 + rise)))
    (whole,) = measured(mask)
    broken = mask.copy()
    broken[:, at : at + gap] = False
    (found,) = join_cracks(measured(broken))
    assert found.parts == 2
    assert found.number == 1
    assert found.length_px == pytest.approx(whole.length_px, rel=0.03)
    assert found.length_mm == pytest.approx(0.5 * found.length_px)
    assert found.mean_width_px == pytest.approx(whole.mean_width_px, abs=0.4)
    assert found.box == whole.box
    assert abs((found.orientation_deg - whole.orientation_deg + 90) % 180 - 90) < 2
    assert found.area_px == broken.sum()
    assert len(found.outline) == len(found.centreline) == 2


def test_two_cracks_stay_two_and_are_numbered_by_length() -> None:
    found = join_cracks(measured(drawn(((20, 40), (150, 40)), ((20, 120), (180, 120)), ((210, 120), (380, 120)))))
    assert [(crack.number, crack.parts) for crack in found] == [(1, 2), (2, 1)]
    assert found[0].length_px > found[1].length_px


def test_the_shortest_length_is_asked_of_the_whole_crack() -> None:
    pieces = measured(drawn(((20, 100), (100, 100)), ((120, 100), (200, 100)), ((300, 20), (380, 20))))
    assert [crack.parts for crack in join_cracks(pieces, min_length=120)] == [2]


def test_a_faint_line_is_not_joined_to_a_dark_one_on_the_photograph() -> None:
    lines = ((20, 100), (180, 100)), ((210, 100), (380, 100))
    photo = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    photo[drawn(lines[0])] = 60
    photo[drawn(lines[1])] = 170
    pieces = measured(drawn(*lines))
    assert [crack.parts for crack in join_cracks(pieces)] == [2]
    assert [crack.parts for crack in join_cracks(pieces, photo)] == [1, 1]


def test_one_part_is_the_crack_itself() -> None:
    (crack,) = measured(drawn(((20, 40), (150, 40))))
    assert joined([crack]) is crack
    assert join_cracks([]) == []


def test_a_crack_that_the_photograph_hardly_shows_has_no_least_width() -> None:
    short, long = ((20, 100), (120, 100)), ((140, 100), (380, 100))
    photo = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    photo[drawn(short)] = 40
    parts = measure_cracks(drawn(short, long), mm_per_pixel=0.5, photo=photo)
    assert sorted(part.width_from for part in parts) == ["mask", "photograph"]
    whole = joined(parts, [20.0])
    assert (whole.width_from, whole.width_trusted) == ("mask", False)
    assert [found.low for found in whole.ranges[1:]] == [0.0, 0.0]
    assert whole.ranges[2].high > whole.max_width_px


def test_what_the_model_draws_up_to_the_border_runs_out_of_it_without_the_photograph_too() -> None:
    pieces = measured(drawn(((2, 60), (200, 60))))
    assert [crack.touches_border for crack in join_cracks(pieces)] == [False]
    (found,) = join_cracks(pieces, shape=(200, 400))
    assert found.touches_border


def test_a_crack_that_ends_before_another_mark_has_no_greatest_length() -> None:
    line = (20, 100), (80, 100)
    # The gap is longer than the line, so that nothing bridges it.
    others = {"ahead": ((160, 100), (380, 100)), "beside": ((20, 160), (80, 160)), "speck": ((160, 100), (185, 100))}
    for name, other in others.items():
        found = join_cracks(measured(drawn(line, other)), min_length=40, shape=(400, 600))
        assert [crack.ranges[0].high == math.inf for crack in found] == [name == "ahead"] * len(found), name
        assert len(found) == (1 if name == "speck" else 2)
        assert not any(crack.touches_border for crack in found)
