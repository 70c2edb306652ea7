"""What a survey says in the terminal when it is done."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from crack_tf.survey.condition import count_states, describe_doubts, read_condition
from crack_tf.survey.findings import CONFIRMED, MEANINGS, REFUTED, Survey
from crack_tf.survey.formats.geojson import write_tables
from crack_tf.survey.reviews.review import Decision, Review
from crack_tf.survey.searching.search import Stopwatch
from crack_tf.survey.surveying import SurveyResult
from crack_tf.survey.told import tell
from tests.crack_tf.survey.drawn_surveys import drawn_survey


def told(survey: Survey, folder: Path, review: Review | None = None) -> list[str]:
    return tell(
        SurveyResult(folder, survey, Stopwatch().performance(0, 0, 1, 0), 0, len(survey.photos), None, review=review),
        auto=False,
    )


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return drawn_survey(tmp_path, 12, limits=(0.3,))


def test_limits_are_counted_as_the_table_says_them_of_confirmed_findings(survey: Survey, tmp_path: Path) -> None:
    doubtful = [replace(finding, width_trusted=bool(number % 2)) for number, finding in enumerate(survey.findings)]
    survey = replace(survey, findings=tuple(doubtful))
    write_tables(tmp_path, survey)
    with (tmp_path / "findings.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    cracks = [row["limit_0.3_mm"] for row in rows if row["validation"] == CONFIRMED]
    assert 0 < cracks.count("exceeds") < len(cracks) < len(rows)
    (line,) = (text for text in told(survey, tmp_path) if text.startswith("limit 0.3 mm"))
    start, bracket, end = re.fullmatch(r"(.*) \((.*)\)(.*)", line).groups()  # type: ignore[union-attr]
    assert sum(int(reason.partition(" ")[0]) for reason in bracket.split("; ")) == cracks.count("cannot tell")
    counted = start + end
    numbers = [int(number) for number in re.findall(r"\b\d+\b(?! mm)", counted.partition(": ")[2])]
    asked = [cracks.count(answer) for answer in ("exceeds", "below", "cannot tell")]
    assert numbers == [len(cracks), *asked, len(rows) - len(cracks)]


def test_what_makes_a_limit_void_is_told_before_it(survey: Survey, tmp_path: Path) -> None:
    coarse = "12 of 12 photographs are too coarse for cracks of 0.3 mm: fly nearer"
    lines = told(replace(survey, warnings=("another", coarse)), tmp_path)
    (limit,) = (number for number, text in enumerate(lines) if text.startswith("limit 0.3 mm"))
    assert lines[limit - 1] == f"note: {coarse}"
    assert lines.count(f"note: {coarse}") == 1
    assert lines.index("note: another") > limit


def test_what_is_proposed_is_told_and_without_a_table_nothing_is(survey: Survey, tmp_path: Path) -> None:
    assert not any(text.startswith("proposed condition") for text in told(survey, tmp_path))
    table = read_condition("mbei-1130")
    cracks = [
        replace(
            finding, condition=table.states[0] if number else None, condition_rule="a rule", width_trusted=number != 1
        )
        for number, finding in enumerate(finding for finding in survey.findings if finding.validation != REFUTED)
    ]
    asked = replace(survey, findings=tuple(cracks), settings={**survey.settings, "condition": table.as_json()})
    (line,) = (text for text in told(asked, tmp_path) if text.startswith("proposed condition"))
    sure, doubtful = count_states(table, cracks)
    assert 0 < doubtful[table.states[0]] < len(cracks) - 1
    counts = f"{sure[table.states[0]]} {table.states[0]}, 1 without a proposal"
    doubts = describe_doubts(table, cracks)
    assert line == f"proposed condition ({table.name}): {counts}; in doubt {doubtful[table.states[0]]} CS1: {doubts}"
    assert doubts is not None
    assert "not to be trusted" in doubts
    asked = replace(asked, findings=tuple(finding for finding in cracks if finding.width_trusted is False))
    assert f"{table.name}): none is sure; in doubt 1 CS1: of 1 the width" in "\n".join(told(asked, tmp_path))


def test_verdicts_that_were_given_are_explained(survey: Survey, tmp_path: Path) -> None:
    given = {finding.validation for finding in survey.findings}
    line = told(survey, tmp_path)[1]
    assert all((f"{verdict}: {meaning}" in line) == (verdict in given) for verdict, meaning in MEANINGS.items())
    confirmed = tuple(finding for finding in survey.findings if finding.validation == CONFIRMED)
    assert told(replace(survey, findings=confirmed), tmp_path)[1] == f"{CONFIRMED}: {MEANINGS[CONFIRMED]}"
    assert not any(
        meaning in text for text in told(replace(survey, findings=()), tmp_path)[1:3] for meaning in MEANINGS.values()
    )


def test_rejected_findings_are_in_no_count_and_accepted_ones_are_cracks(survey: Survey, tmp_path: Path) -> None:
    table = read_condition("mbei-1130")
    findings = [replace(finding, condition=table.states[1], condition_rule="a rule") for finding in survey.findings]
    survey = replace(survey, findings=tuple(findings), settings={**survey.settings, "condition": table.as_json()})
    confirmed = [finding for finding in findings if finding.validation == CONFIRMED]
    others = [finding for finding in findings if finding.validation != CONFIRMED]
    verdicts = {confirmed[0].id: "rejected", others[0].id: "accepted", others[1].id: "accepted"}
    review = Review("", "", "A. Engineer", "", {name: Decision(verdict) for name, verdict in verdicts.items()})
    lines = told(survey, tmp_path, review)
    # The first line counts as the report's head does.
    states = Counter(finding.validation for finding in findings if finding is not confirmed[0])
    assert f": {len(findings) - 1} findings (" in lines[0]
    assert all(f"{count} {name}" in lines[0] for name, count in states.items())
    assert (
        f"review of {len(findings)} findings by A. Engineer: 2 accepted, 1 rejected, {len(findings) - 3} open" in lines
    )
    (limit,) = (line for line in lines if line.startswith("limit 0.3 mm"))
    assert f"of {len(confirmed) + 1} cracks" in limit
    assert f"{len(others) - 1} unclear, refuted or rejected not counted" in limit
    (condition,) = (line for line in lines if line.startswith("proposed condition"))
    assert sum(int(count) for count in re.findall(rf"(\d+) {table.states[1]}", condition)) == len(findings) - 1


def test_models_for_research_only_are_told(survey: Survey, tmp_path: Path) -> None:
    assert not any("research only" in text for text in told(survey, tmp_path))
    models = {role: {**model, "use": "research only"} for role, model in survey.models.items()}
    (line,) = (text for text in told(replace(survey, models=models), tmp_path) if "research only" in text)
    assert line.startswith("note: opnet_lite_small and unet_mobile are research only: ")


def test_an_unknown_coverage_is_said(survey: Survey, tmp_path: Path) -> None:
    (line,) = (text for text in told(survey, tmp_path) if text.startswith("coverage"))
    assert line.startswith("coverage: not known, since no photograph says")
