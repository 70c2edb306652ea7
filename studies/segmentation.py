"""The first `unet_mobile`: trained, exported and tested on pairs of photographs and masks.

What it makes: results/segmentation, and the start of `python -m studies.real_scenes`. Research only, as its data are. The manifests name
drawn pairs below $CRACK_TF_DATA too, which the first step draws: the folder must be writable.
Cost: an hour on two cores.
Expected: F1 0.7538 on Crack500, 0.8484 on DeepCrack, 0.4751 on the Conglomerate (docs/results-metu.md#masks).
Command: CRACK_TF_DATA=/path/to/data make segmentation   (WEIGHTS names the file for alpha 0.35 where Keras cannot download)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from studies.metu import SPLITS
from studies.recipe import Copy, Files, Step, follow, train_step, weights, words

RUN = Path("runs/segmentation/unet_mobile")
SETS = SPLITS / "segmentation"
RESULTS = Path("results/segmentation")


def steps(data: Path, weights: str = "imagenet") -> list[Step | Copy]:
    """The recipe.

    Args:
        data: $CRACK_TF_DATA.
        weights: of MobileNetV2 0.35: "imagenet", or a file.
    """
    drawn, file = data / "synthetic_masks", RUN / "export/unet_mobile-int8-ptq.tflite"
    return [
        Step(drawn, words("data fetch synthetic_masks --count 320 --size 256 --seed 7 --out", drawn)),
        train_step(
            RUN,
            words(
                "--model unet_mobile --hp alpha=0.35 --loss bce+dice --epochs 12 --steps-per-epoch 80 --batch 16 "
                "--learning-rate 2e-3 --warmup-steps 40 --empty-share 0.4",
                *("--weights", weights, "--data", SETS / "mix.csv"),
            ),
        ),
        Step(None, words("export --int8 --ptq --resume", "--data", SETS / "mix.csv", RUN)),
        *(
            Step(
                None,
                ["evaluate", RUN, file, "--data", SETS / f"{name}.csv", "--out", RESULTS / name, "--overwrite"],
            )
            for name in ("crack500", "deepcrack", "conglomerate", "mix")
        ),
        Step(
            None,
            words(
                f"--out {RESULTS}/seams.csv --overwrite",
                *(file, "--data"),
                *(SETS / f"{name}.csv" for name in ("crack500", "deepcrack", "conglomerate")),
            ),
            module="studies.seam_check",
        ),
        Step(
            None,
            [file, "--threads", "1,2", "--out", RESULTS / "latency.csv", "--overwrite"],
            module="studies.map_latency",
        ),
        Copy([RUN / "history.csv"], Path("results/training/unet_mobile.csv")),
        Copy([RUN / "curves.png"], Path("results/training/unet_mobile.png")),
        Copy([Files(RUN / "export", "*.md"), Files(RUN / "export", "*.comparison.json")], Path("results/export")),
    ]


def main() -> int:
    """Follow the recipe with the data in $CRACK_TF_DATA."""
    data = os.environ.get("CRACK_TF_DATA")
    if not data:
        print("error: set CRACK_TF_DATA to the folder with the data sets.", file=sys.stderr)
        return 2
    return follow(steps(Path(data), weights()))


if __name__ == "__main__":
    sys.exit(main())
