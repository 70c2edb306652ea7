"""A drawn flight along two piers, surveyed with the shipped models and compared with what was drawn.

What it makes: runs/survey-demo; open runs/survey-demo/found/report.html.
Cost: a minute on two cores.
Expected: the comparison at its end; results/survey has those of ten flights.
Command: make survey-demo
"""

from __future__ import annotations

import sys

from studies.recipe import follow
from studies.survey_results import RUNS, flight_steps

if __name__ == "__main__":
    sys.exit(follow(flight_steps(0, RUNS / "flight", RUNS / "found")))
