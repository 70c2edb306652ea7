"""The segmentation study's twenty runs at a reduced scale, on DeepCrack.

What it makes: results/tuning/unet-study.csv.
Cost: half an hour on two cores.
Expected: that file; its last line states the scale.
Command: CRACK_TF_DATA=/path/to/data make unet-study
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.metu import SPLITS
from studies.recipe import Copy, Step, follow, words

RUN = Path("runs/unet-study")


def steps() -> list[Step | Copy]:
    """The recipe."""
    return [
        Step(
            None,
            words(
                "tune --study unet --limit 0.1 --epochs 2 --fix width=4 --fix image_size=128 --fix learning_rate=1e-3 "
                "--fix batch=8",
                *("--data", SPLITS / "segmentation/deepcrack.csv", "--out", RUN),
            ),
        ),
        Copy([RUN / "study.csv"], Path("results/tuning/unet-study.csv")),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
