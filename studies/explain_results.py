"""What the maps of the two main models are worth, on tiles whose cracks are known; and errors of the shipped models.

What it makes: results/explain.
Cost: 20 minutes of CPU time; stopped, it goes on where it was.
Expected: docs/explain.md.
Command: CRACK_TF_DATA=/path/to/data make explain-results
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.metu import JOINT, SPLITS
from studies.recipe import Copy, Step, Word, follow, words

RUNS = Path("runs/explain")
RESULTS = Path("results/explain")
MASKED = ("deepcrack", "conglomerate", "crack500")


def explain_step(name: str, text: str, *more: Word) -> Step:
    """One explanation; it goes on with what it has."""
    out = RUNS / name
    return Step(None, ["explain", *words(text), *more, "--out", out], resume=out / "settings.json")


def steps() -> list[Step | Copy]:
    """The recipe."""
    measure = "opnet mobilenet_v2 --faithfulness --limit 12 --sanity 4 --data"
    return [
        *(explain_step(name, measure, SPLITS / f"segmentation/{name}.csv") for name in MASKED),
        explain_step("synthetic", measure, "synthetic"),
        explain_step(
            "errors-metu",
            "opnet mobilenet_v2 opnet_lite_nano opnet_lite_small opnet_lite_base --errors --methods gradcam "
            "--training-limit 1000 --data",
            JOINT,
        ),
        explain_step(
            "errors-sdnet2018",
            "opnet mobilenet_v2 opnet_lite_small --errors --split all --methods gradcam --show 6 --neighbours 0 --data",
            "sdnet2018",
        ),
        Step(
            None,
            [*(RUNS / name for name in (*MASKED, "synthetic")), "--out", RESULTS, "--overwrite"],
            module="studies.explain_summary",
        ),
        *(
            Copy([RUNS / f"errors-{name}" / source], RESULTS / target)
            for name in ("metu", "sdnet2018")
            for source, target in (("errors.md", f"errors-{name}.md"), ("groups.csv", f"groups-{name}.csv"))
        ),
        Copy([RUNS / "errors-metu/errors.csv"], RESULTS / "errors-metu.csv"),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
