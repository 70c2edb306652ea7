"""The documents' pictures, from runs and results.

What it makes: docs/figures. The pictures of METU tiles are CC BY 4.0, see docs/explain.md.
Cost: minutes, after `make metu` and `make metu-tune`.
Expected: the pictures as they are in git, but for what has been trained anew.
Command: CRACK_TF_DATA=/path/to/data make figures
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.metu import RUNS, SPLITS
from studies.recipe import Step, follow, words

ZOO = Path("crack_tf/zoo_models")
SHIPPED = [ZOO / "opnet/opnet-int8-qat.tflite", ZOO / "mobilenet_v2/mobilenet_v2-int8-qat.tflite"]
FIGURES = "--figures docs/figures --overwrite"


def steps() -> list[Step]:
    """The recipe."""
    return [
        Step(
            None,
            [
                *("report", RUNS / "opnet", RUNS / "mobilenet_v2"),
                *words(f"--set evaluation=results/metu-grouped {FIGURES}"),
                *words("--pick 'scores of opnet-int8-qat' --pick 'scores of mobilenet_v2-int8-qat'"),
            ],
        ),
        Step(None, words(f"report results/tuning {FIGURES}")),
        Step(
            None,
            [
                *(
                    "report",
                    *SHIPPED,
                    *words(f"--set comparisons=results/export --set benchmark=results/benchmark {FIGURES}"),
                ),
                *words("--pick Latency --pick opnet-int8-qat"),
            ],
        ),
        Step(
            None,
            [
                *("report", *SHIPPED, *words(f"--notebook 05 --set data={SPLITS}/metu-grouped.csv --set shown=3")),
                *words(f"--set measured=4 --set training_limit=1000 {FIGURES} --pick 'Maps of test tiles'"),
            ],
        ),
        Step(None, words(f"report --notebook 06 {FIGURES} --pick 'Cracks with'")),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
