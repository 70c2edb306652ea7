"""What a crack's width says about a limit: exceeds and below only where the whole interval does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.photo.limits import (
    ANSWERS,
    BELOW,
    CANNOT_TELL,
    EXCEEDS,
    PRESETS,
    RANGE,
    Untold,
    column,
    judge,
    parse_limits,
    read_limits,
    tell,
    untold,
)
from crack_tf.photo.measure_config import MeasureConfig
from crack_tf.survey.config import SurveyConfig
from tflite.errors import CrackError


def test_numbers_and_tables_are_taken_together_and_each_limit_once() -> None:
    assert parse_limits("0.4,0.2, 0.30") == (0.2, 0.3, 0.4)
    assert parse_limits("ec2") == (0.2, 0.3, 0.4)
    assert parse_limits("EC2,0.5,aci224") == (0.1, 0.15, 0.18, 0.2, 0.3, 0.4, 0.41, 0.5)
    assert parse_limits(None) == ()


@pytest.mark.parametrize(
    "text", ["", "0", "-0.3", "nan", "inf", "0,3", "wide", "0.3,,0.4", "0.3;0.4", "101", "1e-300", "ec3"]
)
def test_what_is_no_limit_is_named(text: str) -> None:
    with pytest.raises(CrackError, match="--limit-mm"):
        parse_limits(text)


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        (None, ()),
        ([], ()),
        (0.3, (0.3,)),
        (1, (1.0,)),
        ("ec2", (0.2, 0.3, 0.4)),
        ("0.3,0.2", (0.2, 0.3)),
        (["ec2", 0.5], (0.2, 0.3, 0.4, 0.5)),
        (("0.2", "EC2", 0.2), (0.2, 0.3, 0.4)),
    ],
)
def test_a_configuration_takes_what_the_command_line_takes_and_numbers(value: Any, limits: tuple[float, ...]) -> None:
    assert read_limits(value) == limits
    assert MeasureConfig(limit_mm=value).limits == SurveyConfig(limit_mm=value).limits == limits
    assert replace(MeasureConfig(limit_mm=value), min_area=3).limits == limits


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {0.3: "ec2"},
            r"--limit-mm \{0.3: 'ec2'\}: give millimetres such as 0.3, a table's name \('ec2' or 'aci224'\)",
        ),
        ([0.3, None], "--limit-mm .* a list of these"),
        ([[0.3]], "--limit-mm .* a list of these"),
        (True, "--limit-mm True: give millimetres"),
        (["ec3", 0.3], "--limit-mm ec3: 'ec3' is neither millimetres such as 0.3 nor the name of a table"),
        ([0.3, -1], "got -1"),
        (math.nan, "got nan"),
        pytest.param(
            10**400, r"--limit-mm 10+\.\.\.0+: widths lie above 0 and up to 100 mm, got 10+\.\.\.0+\.", id="huge"
        ),
        ([0.3, 10**5000], "--limit-mm 0.3,a number of too many digits: widths lie above 0"),
    ],
)
def test_what_a_configuration_cannot_take_is_told(value: Any, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        read_limits(value)


def test_a_crowd_of_limits_is_refused() -> None:
    with pytest.raises(CrackError, match="too many"):
        parse_limits(",".join(str(number / 10) for number in range(1, 30)))


def test_only_a_whole_interval_says_more_than_cannot_tell() -> None:
    assert judge(0.3, (0.31, 0.5)) == EXCEEDS
    assert judge(0.3, (0.1, 0.29)) == BELOW
    assert judge(0.3, (0.1, 0.31)) == CANNOT_TELL
    assert judge(0.3, (0.3, 0.5)) == CANNOT_TELL
    assert judge(0.3, None) == CANNOT_TELL
    assert judge(0.3, (0.0, math.inf)) == CANNOT_TELL


def test_a_width_that_is_not_trusted_exceeds_nothing() -> None:
    assert judge(0.3, (0.31, 0.5), trusted=False) == CANNOT_TELL
    assert judge(0.3, (0.1, 0.29), trusted=False) == BELOW  # what makes a width untrusted makes it too large


@given(limit=st.floats(0.01, 100), low=st.floats(0, 100), more=st.floats(0, 100), factor=st.floats(1.01, 10))
def test_a_higher_limit_is_never_exceeded_sooner(limit: float, low: float, more: float, factor: float) -> None:
    order = [BELOW, CANNOT_TELL, EXCEEDS]
    answers = [judge(value, (low, low + more)) for value in (limit, limit * factor)]
    assert set(answers) <= set(ANSWERS)
    assert order.index(answers[1]) <= order.index(answers[0])


def why(limit: float, ends: tuple[float, float] | None, mean_px: float | None = 4.0, source: str = "photograph") -> str:
    return untold(limit, ends, mean_width_px=mean_px, mm_per_pixel=0.136, width_from=source).describe()


def test_an_answer_that_nobody_can_give_has_its_reason_and_the_scale_that_would_do() -> None:
    assert why(0.3, (0.32, 0.56), 2.94) == "too fine, below 3 pixels: 0.13 mm per pixel would do"
    assert why(0.4, (0.32, 0.56), 2.94) == "with the limit in the range of the width"
    assert why(0.3, (0.32, 0.56), source="mask") == "not clear enough in the photograph"
    assert why(0.3, (0.32, 0.56)) == "short or wide for a crack"
    assert why(0.3, None) == "without a scale"
    assert why(0.3, None, None) == "not measured"


def test_a_line_about_a_limit_counts_the_reasons_and_asks_for_the_finest_scale() -> None:
    fine = [untold(0.3, (0.31, 0.5), mean_width_px=px, mm_per_pixel=0.2, width_from="photograph") for px in (2.0, 1.0)]
    assert tell(0.3, [EXCEEDS, *[CANNOT_TELL] * 3], why=[*fine, Untold(RANGE)]) == (
        "limit 0.3 mm: of 4 cracks 1 exceeds it, 0 are below, 3 cannot be told (2 too fine, below 3 pixels: 0.066 mm per pixel would do; "
        "1 with the limit in the range of the width)"
    )


def test_columns_have_the_limit_in_their_name() -> None:
    assert [column(limit) for limit in PRESETS["aci224"]][:2] == ["limit_0.1_mm", "limit_0.15_mm"]
