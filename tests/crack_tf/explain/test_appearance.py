"""What is measured on tiles, on tiles whose looks are known, and how groups of errors are counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crack_tf.explain.appearance import GROUPS, SIDE, Look, groups_of, look_at
from crack_tf.explain.odds import cells, compare, hypothesis, odds_ratio

NAMES = [group.name for group in GROUPS]


def concrete(seed: int = 0, level: float = 160, noise: float = 4) -> Image.Image:
    pixels = np.random.default_rng(seed).normal(level, noise, (SIDE, SIDE, 1)).clip(0, 255).repeat(3, axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def with_line(points: list[tuple[int, int]], width: int = 4, fill: int = 60) -> Look:
    image = concrete()
    ImageDraw.Draw(image).line(points, (fill, fill, fill), width)
    return look_at(np.asarray(image))


def test_plain_concrete_has_no_line() -> None:
    look = look_at(np.asarray(concrete()))
    assert look.line_length == 0
    assert look.line_width is look.line_depth is look.line_bend is look.line_at_edge is None
    assert look.brightness == pytest.approx(160, abs=1)


def test_a_joint_is_straight_and_a_crack_is_not() -> None:
    joint = with_line([(0, 50), (127, 70)])
    crack = with_line([(0, 30), (30, 60), (60, 40), (90, 90), (127, 80)])
    member, _ = groups_of([joint, crack])
    assert member[:, NAMES.index("straight line")].tolist() == [1, 0]
    assert joint.line_length > 0.9
    assert crack.line_length > 0.9


@pytest.mark.parametrize("width", [2, 4, 8, 12])
def test_width_and_depth_of_a_line_are_measured(width: int) -> None:
    look = with_line([(0, 64), (127, 64)], width)
    assert look.line_width == pytest.approx(width, abs=1.6)
    assert look.line_depth is not None
    assert 40 < look.line_depth < 105  # the blur against noise takes some of a thin line's


def test_a_line_along_the_border_is_at_the_edge() -> None:
    member, _ = groups_of([with_line([(0, 6), (127, 6)]), with_line([(0, 64), (127, 64)])])
    assert member[:, NAMES.index("at the edge")].tolist() == [1, 0]


def test_the_outermost_fifth_is_a_group_and_its_limit_is_told() -> None:
    looks = [look_at(np.asarray(concrete(seed, 60 + 10 * seed))) for seed in range(10)]
    member, rules = groups_of(looks)
    assert member[:, NAMES.index("dark")].tolist() == [1, 1] + [0] * 8
    assert member[:, NAMES.index("bright")].tolist() == [0] * 8 + [1, 1]
    assert rules[NAMES.index("dark")].startswith("mean grey level at most 7")


def test_questions_about_lines_do_not_apply_where_there_is_none() -> None:
    member, rules = groups_of([look_at(np.asarray(concrete()))])
    for name in ("straight line", "thin line", "faint line", "at the edge"):
        assert math.isnan(member[0, NAMES.index(name)])
    assert member[0, NAMES.index("no dark line")] == 1
    assert rules[NAMES.index("thin line")] == "line at most - px wide"


def test_a_tile_of_another_size_is_measured_at_the_same_size() -> None:
    image = concrete()
    ImageDraw.Draw(image).line([(0, 64), (127, 64)], (60, 60, 60), 6)
    large = look_at(np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)))
    assert large.line_length > 0.9
    assert large.line_width == pytest.approx(6, abs=2)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 20, 255]))
def test_any_tile_can_be_looked_at(seed: int, span: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, span + 1, (16, 16, 3), dtype=np.uint8)
    look = look_at(pixels)
    assert 0 <= look.spots <= 1
    assert 0 <= look.line_length < 1.5
    assert all(value is None or math.isfinite(value) for value in look.as_row().values())


def test_groups_are_counted_among_errors_and_among_correct_tiles() -> None:
    member = np.zeros((40, len(GROUPS)))
    wrong = np.zeros(40, bool)
    wrong[:10] = True
    member[:9, 0] = 1  # nine of ten errors are dark
    member[10:13, 0] = 1  # and three of thirty others
    member[:, 1] = np.nan
    rows = compare("false negative", member, wrong, [group.rule for group in GROUPS])
    dark, bright = rows[0], rows[1]
    assert (dark.errors_in, dark.errors, dark.correct_in, dark.correct) == (9, 10, 3, 30)
    assert dark.finding == "more often"
    assert dark.low is not None
    assert dark.low > 1
    assert (bright.errors, bright.correct, bright.odds_ratio, bright.finding) == (0, 0, None, "too few")
    assert cells(dark)[2:4] == ("9 of 10", "3 of 30")
    assert hypothesis(dark).startswith("False negatives occur more often on 'dark' tiles")


def test_chance_is_not_called_a_finding() -> None:
    member = np.zeros((40, len(GROUPS)))
    member[::2, 0] = 1
    wrong = np.arange(40) < 12
    assert compare("false positive", member, wrong, NAMES)[0].finding == "not supported"
    assert compare("false positive", member, np.arange(40) < 3, NAMES)[0].finding == "too few"


def test_odds_ratios_have_exact_intervals_and_empty_margins_say_nothing() -> None:
    # Fisher's tea tasting: R's fisher.test gives 6.408 [0.2117, 621.9].
    ratio, low, high = odds_ratio([[3, 1], [1, 3]])
    assert ratio == pytest.approx(6.408, abs=0.01)
    assert low == pytest.approx(0.2117, abs=0.001)
    assert high == pytest.approx(621.9, rel=0.01)  # scipy stops its search early
    assert odds_ratio([[0, 4], [0, 9]]) == (1.0, 0.0, math.inf)
    assert math.isinf(odds_ratio([[4, 0], [3, 5]])[2])
