"""The smallest model of the family on METU, beside the shipped OPNet.

What it makes: the shipped `opnet_lite_nano`, results/nano.
Cost: ten minutes on two cores.
Expected: 825/825 and 824/825 on METU's grouped test split, 39 kB, 67 times as fast as OPNet.
Command: CRACK_TF_DATA=/path/to/data make nano
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.metu import JOINT, RUNS
from studies.recipe import Copy, Files, Step, follow, train_step, words

RUN = RUNS / "opnet_lite_nano"
SHIPPED_OPNET = Path("crack_tf/zoo_models/opnet/opnet-int8-qat.tflite")


def steps() -> list[Step | Copy]:
    """The recipe."""
    files = Files(RUN / "export", "*.tflite")
    return [
        train_step(
            RUN,
            words(
                "--model opnet_lite --image-size 96 --hp width=9 --hp blocks=3 --hp separable=False --hp dropout=0.2 "
                "--epochs 36 --batch 64 --learning-rate 3e-3 --warmup-steps 80 --data",
                JOINT,
            ),
        ),
        Step(None, words("export --int8 --resume", RUN)),
        Step(
            None,
            ["evaluate", RUN, files, SHIPPED_OPNET, "--data", JOINT, *words("--out results/nano --overwrite")],
        ),
        Step(
            None,
            [files, SHIPPED_OPNET, "--manifest", JOINT, *words("--compare --out results/nano/benchmark --overwrite")],
            module="tflite.benchmark",
        ),
        Copy([RUN / "history.csv"], Path("results/training/opnet_lite_nano.csv")),
        Copy([RUN / "curves.png"], Path("results/training/opnet_lite_nano.png")),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
