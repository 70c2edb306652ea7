"""Proposed conditions: the presets at their limits, tables of one's own, and what is said where a number is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.photo.patterns import MAP, PARALLEL, SINGLE
from crack_tf.survey.condition import PRESETS, count_states, describe_doubts, propose, read_condition, with_conditions
from tests.crack_tf.survey.known_surveys import drawn_finding, line_mask, photo_record
from tflite.errors import CrackError

LINE = line_mask([(40, 60), (150, 90), (260, 80)], 5)


@pytest.mark.parametrize(
    ("preset", "width", "pattern", "spacing", "state"),
    [
        ("mbei-1130", 0.30, SINGLE, None, "CS1"),
        ("mbei-1130", 0.31, SINGLE, None, "CS2"),
        ("mbei-1130", 1.27, SINGLE, None, "CS2"),
        ("mbei-1130", 1.28, SINGLE, None, "CS3"),
        ("mbei-1130", 0.2, MAP, 200.0, "CS3"),
        ("mbei-1130", 0.2, PARALLEL, 600.0, "CS2"),
        ("mbei-1130", 0.2, PARALLEL, 1000.0, "CS1"),
        ("osim", 0.05, SINGLE, None, "Good"),
        ("osim", 0.29, MAP, 100.0, "Good"),
        ("osim", 0.3, SINGLE, None, "Fair"),
        ("osim", 1.0, SINGLE, None, "Fair"),
        ("osim", 1.01, SINGLE, None, "Poor"),
        ("width-classes", 0.09, SINGLE, None, "below 0.1 mm"),
        ("width-classes", 0.35, SINGLE, None, "0.3 to 0.4 mm"),
    ],
)
def test_presets_decide_at_their_limits(
    preset: str, width: float, pattern: str, spacing: float | None, state: str
) -> None:
    assert read_condition(preset.upper()) == read_condition(preset)
    found = propose(read_condition(preset), width, pattern, spacing, spacing is not None)
    assert found.state == state
    assert f"maximum width {width:.2f} mm" in found.rule


@given(st.sampled_from(PRESETS), st.floats(0, 100), st.floats(0, 100), st.floats(1, 5000))
def test_a_wider_crack_is_never_proposed_a_better_state(preset: str, one: float, other: float, spacing: float) -> None:
    table = read_condition(preset)
    narrow, wide = (propose(table, width, PARALLEL, spacing, True).state for width in sorted((one, other)))
    assert narrow is not None
    assert wide is not None
    assert table.states.index(narrow) <= table.states.index(wide)


def test_without_a_scale_nothing_is_proposed_and_that_is_said() -> None:
    photo = photo_record("a.png", mm_per_pixel=None)
    (found,) = with_conditions(read_condition("osim"), [drawn_finding(photo, LINE)])
    assert found.condition is None
    assert found.condition_rule is not None
    assert "no proposal, maximum width in millimetres not known" in found.condition_rule


def test_a_finding_says_which_rule_decided_with_which_numbers() -> None:
    photo = photo_record("a.png", mm_per_pixel=0.1)
    finding = replace(drawn_finding(photo, LINE), pattern=SINGLE)
    refuted = replace(finding, validation="refuted")
    found, left = with_conditions(read_condition("osim"), [finding, refuted])
    assert found.condition == "Fair"
    assert found.condition_rule is not None
    assert found.condition_rule.startswith(
        "proposal by OSIM crack widths: Fair: maximum width at least 0.3 mm (maximum width 0.5"
    )
    assert (left.condition, left.condition_rule) == (None, None)


def test_a_width_of_few_pixels_is_called_doubtful() -> None:
    thin = drawn_finding(photo_record("a.png"), line_mask([(40, 60), (260, 80)], 2))
    (found,) = with_conditions(read_condition("osim"), [thin])
    assert found.condition_rule is not None
    assert "not to be trusted" in found.condition_rule


def test_a_range_that_reaches_into_another_state_is_told() -> None:
    finding = replace(drawn_finding(photo_record("a.png", mm_per_pixel=0.1), LINE), pattern=SINGLE)
    told = "; the range of the width, 0.20 to 1.20 mm, reaches from Good to Poor"
    for ends, end in (((0.2, 1.2), told), ((0.4, 0.6), ", single)")):
        wide = replace(finding, max_width_low_mm=ends[0], max_width_high_mm=ends[1], width_trusted=True)
        (found,) = with_conditions(read_condition("osim"), [wide])
        assert found.condition == "Fair"
        assert found.condition_rule is not None
        assert found.condition_rule.endswith(end)


def test_how_many_proposals_are_in_doubt_is_told_with_both_reasons() -> None:
    table = read_condition("osim")
    sure = replace(drawn_finding(photo_record("a.png", mm_per_pixel=0.1), LINE), pattern=SINGLE, width_trusted=True)
    sure = replace(sure, max_width_low_mm=0.4, max_width_high_mm=0.6)
    wide = replace(sure, max_width_low_mm=0.2)
    found = with_conditions(table, [sure, wide, replace(wide, width_trusted=False), replace(sure, width_trusted=False)])
    assert found[2].condition_rule is not None
    assert found[2].condition_rule.endswith(
        "not to be trusted; the range of the width, 0.20 to 0.60 mm, reaches from Good to Fair"
    )
    assert describe_doubts(table, found) == (
        "of 2 the width is not to be trusted and of 1 more the range of the width reaches into another state"
    )
    assert describe_doubts(table, found[:1]) is None
    assert [finding.condition_sure for finding in found] == [True, False, False, False]
    assert count_states(table, found) == ({"Fair": 1}, {"Fair": 3})


def test_where_nothing_is_proposed_nothing_is_in_doubt() -> None:
    unscaled = replace(drawn_finding(photo_record("a.png"), LINE), width_trusted=False)
    unscaled = replace(unscaled, max_width_mm=None, max_width_low_mm=None)
    (found,) = with_conditions(read_condition("osim"), [unscaled])
    assert (found.condition, found.condition_sure) == (None, None)
    assert count_states(read_condition("osim"), [found]) == ({None: 1}, {})


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'format = "crack_tf.condition/1"\nname = "mine"\nstates = ["ok", "look"]\n'
        '[[rule]]\nstate = "look"\npatterns = ["map"]\nwidth_at_least_mm = 1\n[[rule]]\nstate = "ok"\n'
    )
    table = read_condition(str(path))
    assert propose(table, 2.0, MAP, 10.0, True).state == "look"
    assert propose(table, 2.0, SINGLE, None, False).state == "ok"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "its format must be"),
        ("format = ", "is no TOML"),
        pytest.param("width = " + "9" * 5000, "is no TOML", id="a number of 5000 digits"),
        ('format = "crack_tf.condition/1"\nname = "x"\nstates = ["a"]\nrule = []', r"no \[\[rule\]\]"),
        ('format = "crack_tf.condition/1"\nname = "x"\nstates = ["a"]\n[[rule]]\nstate = "b"', "state 'b'"),
        ('format = "crack_tf.condition/1"\nname = "x"\nstates = ["a"]\n[[rule]]\nstate = "a"\nwidth = 3', "width"),
        (
            'format = "crack_tf.condition/1"\nname = "x"\nstates = ["a"]\n[[rule]]\nstate = "a"\nwidth_above_mm = "3"',
            "width_above_mm",
        ),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(CrackError, match=told):
        read_condition(str(path))


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(CrackError, match="mbei-1130, osim, width-classes"):
        read_condition("mbei")
