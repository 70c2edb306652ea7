"""MobileNetV2 for concrete of unknown kind: METU and SDNET2018 together, means of weights, drawn adverse conditions.

What it makes: the shipped `mobilenet_v2_mixed` and `mobilenet_v2_035_mixed`, results/before-adverse.
Ideas: first fine-tuning on two data sets; of 1.0 then the mean of three epochs (each counted twice) and of the METU model: the largest
share of the latter that costs less than 0.005 AUC on SDNET2018's validation tiles. The shipped file was made when seven of the ten
epochs had run. Then training under drawn adverse conditions: 1.0 is a mean of before and after, three to one, 0.35 of epochs after
alone (docs/decisions.md).
Cost: hours on two cores, after `make metu`.
Expected: 825/825 and 824/825 on METU's grouped test split; AUC 0.888 on SDNET2018's walls, 0.931 on brick, which it never saw.
Command: CRACK_TF_DATA=/path/to/data make generalise   (WEIGHTS and WEIGHTS_035 name files where Keras cannot download)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.metu import RUNS as METU
from studies.metu import SPLITS
from studies.recipe import Copy, Files, Step, follow, train_step, weights, words

RUNS = Path("runs/generalise")
BOTH = SPLITS / "metu-sdnet2018.csv"
TRAINING = SPLITS / "mobilenet_v2_mixed-train.csv"
ADVERSE = "--model mobilenet_v2 --epochs 10 --batch 32 --adverse 0.3"


def mean_step(run: Path, models: Sequence[Path]) -> Step:
    """Average models, or leave a finished mean alone."""
    return Step(run, ["average", *models, "--data", BOTH, "--out", run])


def steps(weights: str = "imagenet", weights_035: str = "imagenet") -> list[Step | Copy]:
    """The recipe.

    Args:
        weights: of MobileNetV2 1.0: "imagenet", or a file.
        weights_035: of MobileNetV2 0.35.
    """
    tuned, mixed, adverse = RUNS / "mn", RUNS / "mobilenet_v2_mixed", RUNS / "adverse"
    small, adverse_small = RUNS / "mobilenet_v2_035", RUNS / "adverse_035"
    mean_adverse, mean_small = RUNS / "mobilenet_v2_adverse", RUNS / "mobilenet_v2_035_adverse"
    epochs = [tuned / f"checkpoints/epoch-00{epoch}.keras" for epoch in (5, 6, 7) for _ in range(2)]
    return [
        train_step(
            tuned,
            words(
                "--model mobilenet_v2 --freeze-epochs 1 --unfreeze-blocks 12 --epochs 10 --batch 32 --learning-rate 5e-4",
                *("--weights", weights, "--data", TRAINING),
            ),
        ),
        mean_step(mixed, [METU / "mobilenet_v2", *epochs]),
        train_step(
            adverse,
            words(f"{ADVERSE} --unfreeze-blocks 6 --learning-rate 3e-4", "--init-from", mixed, "--data", TRAINING),
        ),
        mean_step(mean_adverse, [mixed, mixed, mixed, adverse / "checkpoints/epoch-010.keras"]),
        train_step(
            small,
            words(
                "--model mobilenet_v2 --hp alpha=0.35 --freeze-epochs 1 --epochs 8 --steps-per-epoch 90 --batch 32",
                *("--weights", weights_035, "--data", BOTH),
            ),
        ),
        train_step(
            adverse_small,
            words(f"{ADVERSE} --hp alpha=0.35 --learning-rate 5e-4", "--init-from", small, "--data", TRAINING),
        ),
        mean_step(
            mean_small,
            [adverse_small, *(adverse_small / f"checkpoints/epoch-{n}.keras" for n in ("008", "009", "010"))],
        ),
        *(Step(None, words("export --int8 --qat-steps 60 --resume", run)) for run in (mixed, mean_adverse, mean_small)),
        Step(None, words("export --int8 --ptq --resume", small)),
        # What adverse conditions brought: these are the models before them, the suite has those after.
        Step(
            None,
            [
                *words("evaluate --suite --parts splits,matrix,corruptions --corruption-limit 300"),
                *words("--out results/before-adverse --overwrite"),
                *(Files(mixed / "export", "*.tflite"), Files(small / "export", "*.tflite")),
            ],
        ),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps(weights(), os.environ.get("WEIGHTS_035", "imagenet"))))
