"""Surveys of drawn flights compared with what was drawn, and the survey's speed and memory.

What it makes: results/survey. One flight alone, as a demonstration: `make survey-demo`.
Cost: a quarter of an hour on a machine that does nothing else.
Expected: docs/results.md#the-survey-on-synthetic-flights and #surveys.
Command: make survey-results
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.recipe import Copy, Step, follow, words

RUNS = Path("runs/survey-demo")
SEEDS = range(10)


def flight_steps(seed: int, flight: Path, found: Path, *drawn: str) -> list[Step]:
    """Draw a flight, with options of `crack-tf data flight`, survey it and compare the findings with what was drawn."""
    return [
        Step(None, ["data", "flight", "--seed", str(seed), "--out", flight, "--overwrite", *drawn]),
        Step(
            None,
            [
                *("survey", flight / "photos", "--out", found, "--overwrite"),
                *("--flight-log", flight / "flight.csv", "--truth", flight / "truth.json", "--limit-mm", "ec2"),
            ],
        ),
    ]


def steps() -> list[Step | Copy]:
    """The recipe."""
    made: list[Step | Copy] = []
    for seed in SEEDS:
        found = RUNS / f"found-{seed}"
        made += flight_steps(seed, RUNS / f"flight-{seed}", found)
        made.append(Copy([found / "comparison.json"], Path(f"results/survey/seed-{seed}.json")))
    return [
        *made,
        Step(None, words("--out results/survey/performance.csv --overwrite"), module="studies.survey_scaling"),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
