"""A search of the small OPNet family against int8 OPNet on METU, and the published study at a reduced scale.

What it makes: results/tuning. The search takes half of the training tiles; its finalists train on all of them.
Cost: about an hour and a half on two cores, after `make metu`.
Expected: docs/results-metu.md#a-search-on-metu.
Command: CRACK_TF_DATA=/path/to/data make metu-tune
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.metu import JOINT, SPLITS
from studies.metu import RUNS as METU
from studies.recipe import Copy, Files, Step, follow, weights, words

SEARCH = Path("runs/tune-metu")
STUDY = Path("runs/study-metu")
RESULTS = Path("results/tuning")


def steps(weights: str = "imagenet") -> list[Step | Copy]:
    """The recipe; `weights` of MobileNetV2: "imagenet" or a file."""
    finalists = SEARCH / "finalists"
    return [
        Step(
            None,
            words(
                "tune --limit 2700 --min-speedup 4 --vary image_size=64,96,128 --vary optimizer=adam,adamw --vary batch=32,64 "
                "--fix positive_weight=1.0 --finalists 3 --final-epochs 6",
                *("--reference", METU / "opnet/export/opnet-int8-ptq.tflite"),
                *("--data", JOINT, "--out", SEARCH),
            ),
        ),
        Copy([SEARCH / name for name in ("trials.csv", "pareto.csv", "pareto.png", "search.json")], RESULTS),
        Copy([finalists / "test/metrics.csv", Files(finalists / "benchmark", "benchmark-*")], RESULTS / "finalists"),
        # The published study at a reduced scale, which its last line states.
        Step(
            None,
            words(
                "tune --study all --limit 1000 --epochs 3 --fix image_size=96",
                *("--data", SPLITS / "metu-plain.csv", "--weights", weights, "--out", STUDY),
            ),
        ),
        Copy([STUDY / "study.csv"], RESULTS / "study.csv"),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps(weights())))
