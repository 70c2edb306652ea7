"""What notebooks show of a search's folder and of a survey."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from crack_tf.survey.findings import VALIDATIONS, Survey
from crack_tf.survey.report.page_map import flight_figures
from crack_tf.survey.reviews.review import Review, describe_decisions, not_rejected
from crack_tf.survey.severity import in_order
from tflite.files import cell_value, read_csv, read_json
from tuning.objective import Outcome
from tuning.project import PROJECT, SEARCH, read_outcomes
from tuning.report import AREA


def search_results(folder: str | Path) -> tuple[dict[str, Any], list[Outcome]]:
    """What a search was asked for, and what became of its trials.

    Args:
        folder: of crack-tf tune, finished or running; or one that holds a finished search's search.json and trials.csv alone.

    Returns:
        The record of the search, and the outcomes of its trials.

    Raises:
        CrackError: if neither is there.
    """
    folder = Path(folder)
    if (folder / PROJECT).is_file():
        return read_json(folder / PROJECT), read_outcomes(folder / SEARCH)
    record = read_json(folder / "search.json")
    names = {field.name for field in fields(Outcome)}
    outcomes = []
    for row in read_csv(folder / "trials.csv"):
        found: dict[str, Any] = {name: cell_value(value) for name, value in row.items() if name in names and value}
        found |= {name: row[name] for name in ("trial", "status", "message", "folder")}  # a trial's id is no number
        areas = {
            name.removeprefix(AREA): cell_value(value) for name, value in row.items() if name.startswith(AREA) and value
        }
        found |= {"left_out": areas or None}
        values = {name: cell_value(row[name]) for name in record["recipe"]["space"] if row.get(name)}
        outcomes.append(Outcome(**found, values=values))
    return record, outcomes


def survey_counts(survey: Survey, review: Review | None) -> dict[str, Any]:
    """How many findings there are, as the survey's own report counts: what was not rejected. With a review, what it decided, too."""
    verdicts = Counter(finding.validation for finding in not_rejected(survey.findings, review))
    counts: dict[str, Any] = {"findings": verdicts.total()} | {name: verdicts[name] for name in VALIDATIONS}
    if review is not None:
        counts["review"] = f"{len(survey.findings):,} in all: {describe_decisions(survey.findings, review)}"
    return counts


def survey_map(survey: Survey) -> str:
    """Where a survey's photographs, findings and gaps lie, as in its own report: HTML with inline SVG; a sentence without positions."""
    findings = in_order(survey.findings)
    figures = flight_figures(survey, {finding.id: number for number, finding in enumerate(findings, 1)})
    if not figures:
        return "<p>No photograph has a position: there is no map.</p>"
    style = resources.files("crack_tf.survey").joinpath("assets", "report.css").read_text(encoding="utf-8")
    # The light colours and the map's own rules: the rest would restyle the notebook around it.
    colours = " ".join(re.findall(r"--[\w-]+: [^;]+;", style.partition("@media")[0]))
    rules = "\n".join(line for line in style.splitlines() if line.startswith((".plot", ".marks")))
    return f'<style>.survey-map {{ {colours} }}\n{rules}</style><div class="survey-map">{figures}</div>'
