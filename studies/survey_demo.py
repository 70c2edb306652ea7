"""Two drawn flights along two piers, a year apart, surveyed with the shipped models, compared with what was drawn and handed over.

What it makes: runs/survey-demo; open runs/survey-demo/found/report.html, and found-later/report.html for what has grown since. Beside them
cracks.json (COCO), found.gpkg and sheets.
Cost: three minutes on two cores.
Expected: the comparison; results/survey has those of ten flights.
Command: make survey-demo   (FLIGHT='--piers 1 --size 640x480' draws a smaller one)
"""

from __future__ import annotations

import os
import sys

from studies.recipe import Copy, Step, follow
from studies.survey_results import RUNS, flight_steps

GROWN_MM = "0,0.1,0,0.3"  # in turn
LASER_M = "0.02"  # the second drone has a laser and a gimbal: it knows the scale well, and which way is up


def steps() -> list[Step | Copy]:
    """The recipe."""
    flight, found = RUNS / "flight", RUNS / "found"
    again, later = RUNS / "flight-later", RUNS / "found-later"
    drawn = os.environ.get("FLIGHT", "").split()
    asked = ("--flight-log", flight / "flight.csv", "--faces", flight / "faces.json", "--condition", "mbei-1130")
    return [
        *flight_steps(0, flight, found, *drawn),
        # On the same photographs: nothing is searched again.
        Step(None, ["survey", flight / "photos", "--out", found, *asked]),
        # The last photograph has no direction of its own: what it shows is on no face.
        *(
            Step(None, ["survey-export", found, "--to", to, "--out", RUNS / name, *more, "--overwrite"], gaps=True)
            for to, name, more in (
                ("coco", "cracks.json", ()),
                ("geopackage", "found.gpkg", ("--crs", "utm")),
                ("sheet", "sheets", ("--photos", flight / "photos")),
            )
        ),
        Step(
            None,
            [
                *("data", "flight", "--out", again, "--epoch", "1", "--grown-mm", GROWN_MM),
                *("--laser-noise-m", LASER_M, "--overwrite", *drawn),
            ],
        ),
        Step(
            None,
            [
                *("survey", again / "photos", "--out", later, "--overwrite", "--since", found),
                *("--flight-log", again / "flight.csv", "--faces", again / "faces.json", "--limit-mm", "ec2"),
            ],
        ),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
