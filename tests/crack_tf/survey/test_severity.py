"""The order of findings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.survey.findings import MEANINGS, VALIDATIONS
from crack_tf.survey.severity import (
    ASSUMED_MM_PER_PIXEL,
    DISCLAIMER,
    RULE,
    VALIDATION_WEIGHTS,
    in_order,
    ranked,
    severity,
)
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tflite.device.tiles import Box
from tflite.errors import CrackError

BOX = Box(0, 0, 100, 400)
POSITIVE = st.floats(0.1, 5000)


def score(scale: float | None = 0.1, box: Box = BOX, **changes: Any) -> float:
    values: dict[str, Any] = {
        "length_px": 500.0,
        "max_width_px": 4.0,
        "probability": 0.9,
        "validation": "confirmed",
    }
    return severity(box, scale, **values | changes)


def test_severity_is_length_times_width_times_confidence_in_millimetres() -> None:
    assert score() == pytest.approx(50 * 0.4 * 0.9)
    assert score(validation="unclear") == pytest.approx(score() / 2)
    assert score(validation="refuted") == pytest.approx(score() / 10)


@given(POSITIVE, POSITIVE, st.floats(0.01, 1), st.sampled_from(VALIDATIONS), st.floats(1.1, 10))
def test_longer_wider_or_surer_never_comes_later(
    length: float, width: float, probability: float, validation: str, factor: float
) -> None:
    values: dict[str, Any] = {"length_px": length, "max_width_px": width, "probability": probability}
    lower = score(validation=validation, **values)
    for name, top in (("length_px", math.inf), ("max_width_px", math.inf), ("probability", 1.0)):
        higher = score(validation=validation, **values | {name: min(values[name] * factor, top)})
        assert higher >= lower


def test_an_unknown_scale_is_assumed_and_does_not_send_a_finding_to_the_end() -> None:
    assert score(scale=None) == score(scale=ASSUMED_MM_PER_PIXEL)
    assert score(scale=None) > score(scale=0.1)


def test_a_finding_without_a_drawn_crack_counts_with_its_box_and_one_pixel() -> None:
    assert score(length_px=None, max_width_px=None) == score(length_px=400.0, max_width_px=1.0)


def test_a_width_that_is_not_to_be_trusted_counts_as_three_pixels_at_most() -> None:
    assert score(max_width_px=30.0, width_trusted=False) == score(max_width_px=3.0)
    assert score(max_width_px=2.0, width_trusted=False) == score(max_width_px=2.0)
    assert score(max_width_px=30.0, width_trusted=True) == score(max_width_px=30.0) > score(max_width_px=4.0)
    assert "counts as 3 pixels at most" in RULE


def test_a_refuted_finding_keeps_a_place_in_the_order() -> None:
    assert score(validation="refuted") > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": "maybe"}, "'maybe' is unknown"),
        ({"probability": 1.1}, r"between 0 and 1, got 1\.1"),
        ({"probability": math.nan}, "got nan"),
        ({"length_px": -1.0}, r"length_px must be .* got -1"),
        ({"max_width_px": math.inf}, r"max_width_px must be .* got inf"),
        ({"scale": math.nan}, r"mm_per_pixel must be .* got nan"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CrackError, match=message):
        score(**changes)


def test_the_printed_rule_names_every_number_that_it_uses() -> None:
    assert tuple(VALIDATION_WEIGHTS) == tuple(MEANINGS) == VALIDATIONS
    for name, weight in VALIDATION_WEIGHTS.items():
        assert f"{weight:g} ({name})" in RULE
    assert f"{ASSUMED_MM_PER_PIXEL:g} mm per pixel" in RULE


def test_no_unclear_finding_stands_above_a_confirmed_one_however_large_it_is(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6)
    some = [
        replace(finding, validation=validation, severity=value)
        for finding, (validation, value) in zip(
            survey.findings,
            (
                ("unclear", 9000.0),
                ("confirmed", 2.0),
                ("refuted", 99_000.0),
                ("confirmed", 30.0),
                ("unclear", 1.0),
                ("refuted", 0.0),
            ),
            strict=True,
        )
    ]
    assert [finding.severity for finding in in_order(some)] == [30.0, 2.0, 9000.0, 1.0, 99_000.0, 0.0]
    assert in_order(reversed(some)) == in_order(some)
    assert "Confirmed findings come first, then unclear, then refuted ones" in RULE


def test_a_survey_of_an_earlier_rule_gets_todays_severities_and_order(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6)
    first, *others = survey.findings
    wide = replace(first, validation="confirmed", length_px=500.0, mean_width_px=2.0, max_width_px=90.0, severity=9e9)
    old = replace(survey, findings=(wide, *(replace(finding, severity=1.0) for finding in others)))
    today = ranked(old)
    assert {finding.id for finding in today.findings} == {finding.id for finding in old.findings}
    assert list(today.findings) == in_order(today.findings)
    scale = wide.mm_per_pixel or ASSUMED_MM_PER_PIXEL
    (again,) = (finding for finding in today.findings if finding.id == wide.id)
    assert again.severity == pytest.approx(500 * 3 * scale**2 * wide.probability, abs=1e-3)
    assert replace(again, severity=wide.severity) == wide
    assert ranked(today) == today


def test_the_report_claims_no_safety() -> None:
    assert "not a safety assessment" in DISCLAIMER
    assert "without findings is not a sound structure" in DISCLAIMER
