"""A search for small classifiers that hold on concrete they never saw: scored on six data sets left out whole, taught by the default.

What it makes: results/tuning/left-out. Trials are MobileNetV2 at 0.35 of its width, on the encoder of `mobilenet_v2_035_real`, at several
input sizes and learning rates, at least four times as fast as the classification study's MobileNetV2 at 224 pixels.
The sets left out are looked at in the choice, but for their test tiles.
Cost: about half an hour on two cores, after the manifests of `python -m studies.real_scenes`.
Expected: docs/results.md#a-search-over-sets-left-out.
Command: CRACK_TF_DATA=/path/to/data python -m studies.domain_tune
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.real_scenes import MANIFESTS
from studies.recipe import Copy, Step, follow, words
from tuning.report import AREA

SEARCH = Path("runs/tune-left-out")
RESULTS = Path("results/tuning/left-out")
ZOO = Path("crack_tf/zoo_models")
# And brick, which has no name in the registry.
LEFT_OUT = ("crack500", "deepcrack", "conglomerate", "uav_asphalt", "cssc")


def steps(data: Path) -> list[Step | Copy]:
    """The recipe; `data` is $CRACK_TF_DATA, with brick."""
    brick = MANIFESTS / "brick.csv"
    return [
        Step(brick, ["data", "split", data / "brick", "--out", brick]),
        Step(
            None,
            words(
                "tune --model mobilenet_v2 --algorithm random --trials 12 --epochs 3 --steps-per-epoch 100 --target-recall 0.9 "
                "--min-speedup 4 --only image_size,learning_rate --vary image_size=48,64,80,96,112 --fix alpha=0.35 --fix batch=32 "
                "--fix unfreeze_blocks=13 --fix schedule=constant --fix warmup_steps=30 --fix balance=0.65 --fix zoom_out=1.6 "
                "--fix augmentation=1.5 --fix adverse=0.12 --fix camera=0.35 --fix val_limit=1000",
                *("--reference", ZOO / "mobilenet_v2/mobilenet_v2-int8-qat.tflite"),
                *("--teacher", ZOO / "mobilenet_v2_real/model.keras"),
                *("--weights", ZOO / "mobilenet_v2_035_real/model.keras"),
                *("--data", MANIFESTS / "open.csv", "--out", SEARCH),
                *("--left-out", brick),
                *(MANIFESTS / f"{name}.csv" for name in LEFT_OUT),
            ),
        ),
        Copy([SEARCH / name for name in ("trials.csv", "pareto.csv", "pareto.png", "search.json")], RESULTS),
    ]


def table(front: Sequence[Mapping[str, str]]) -> str:
    """The front as Markdown.

    Args:
        front: rows of pareto.csv.
    """
    lines = ["| trial | pixels | learning rate | mean AUC | worst AUC | times as fast |", "|---" * 6 + "|"]
    for row in front:
        areas = {name.removeprefix(AREA): float(area) for name, area in row.items() if name.startswith(AREA)}
        worst = min(areas, key=areas.__getitem__)
        lines.append(
            f"| {row['trial']} | {row['image_size']} | {float(row['learning_rate']):.4f} | {float(row['left_out_auc']):.3f} | "
            f"{areas[worst]:.3f} {worst} | {float(row['speedup']):.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Follow the recipe with the data in $CRACK_TF_DATA."""
    data = os.environ.get("CRACK_TF_DATA")
    if not data or not (Path(data) / "brick").is_dir():
        print("error: set CRACK_TF_DATA to a folder with the data sets, brick among them.", file=sys.stderr)
        return 2
    return follow(steps(Path(data)))


if __name__ == "__main__":
    sys.exit(main())
