"""OPNet and MobileNetV2 on METU, trained once and tested on both splits: the figures of docs/results-metu.md.

What it makes: the shipped `opnet` and `mobilenet_v2`, results/metu-plain, results/metu-grouped, results/benchmark, results/throughput.csv.
Idea: OPNet learns at half size first, where a step costs a quarter, and ends at its own 224 pixels: four short epochs, then ten longer
ones with colour casts and blur (the shipped one had one of the longer ones more, at the start, of a schedule that was cut short).
Cost: about three hours on two slow cores.
Expected: recall 825/825 and specificity 825/825 (OPNet), 823/825 (MobileNetV2) on the grouped test split, int8.
Command: CRACK_TF_DATA=/path/to/data make metu   (WEIGHTS=/path/to/notop.weights.h5 where Keras cannot download)
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.recipe import Copy, Files, Step, Word, follow, train_step, weights, words

RUNS = Path("runs/metu")
SPLITS = Path("results/data")
JOINT = SPLITS / "metu-joint.csv"


def steps(weights: str = "imagenet") -> list[Step | Copy]:
    """The recipe; `weights` of MobileNetV2: "imagenet" or a file."""
    half, short, opnet, mobilenet = RUNS / "opnet-112", RUNS / "opnet-short", RUNS / "opnet", RUNS / "mobilenet_v2"
    models: list[Word] = [
        opnet,
        Files(opnet / "export", "*.tflite"),
        mobilenet,
        Files(mobilenet / "export", "*.tflite"),
    ]
    files = [model for model in models if isinstance(model, Files)]
    return [
        train_step(half, words("--model opnet --image-size 112 --epochs 5 --data", JOINT)),
        train_step(
            short,
            words(
                "--model opnet --epochs 4 --steps-per-epoch 60 --batch 32 --learning-rate 5e-4",
                *("--init-from", half, "--data", JOINT),
            ),
        ),
        train_step(
            opnet,
            words(
                "--model opnet --epochs 10 --steps-per-epoch 84 --batch 32 --learning-rate 9e-4 --warmup-steps 0 --camera 0.2 "
                "--patience 0 --val-limit 700",
                *("--init-from", short, "--data", JOINT),
            ),
        ),
        train_step(
            mobilenet,
            words(
                "--model mobilenet_v2 --freeze-epochs 1 --epochs 4 --steps-per-epoch 50 --batch 32 --learning-rate 5e-4",
                *("--weights", weights, "--data", JOINT),
            ),
        ),
        *(
            Step(None, words("export --int8 --resume", *options, run))
            for run in (opnet, mobilenet)
            for options in (("--qat-steps", "60"), ("--ptq",))
        ),
        *(
            Step(
                None,
                words(f"evaluate --out results/metu-{split} --overwrite --data {SPLITS}/metu-{split}.csv", *models),
            )
            for split in ("plain", "grouped")
        ),
        Step(
            None,
            [
                *files,
                *words("--threads 1,2 --compare --overwrite --out results/benchmark --manifest"),
                SPLITS / "metu-grouped.csv",
            ],
            module="tflite.benchmark",
        ),
        *(
            Copy([run / name], Path("results/training") / f"{run.name}{Path(name).suffix}")
            for run in (half, short, opnet, mobilenet)
            for name in ("history.csv", "curves.png")
        ),
        Copy([Files(RUNS, "*/export/*.md"), Files(RUNS, "*/export/*.comparison.*")], Path("results/export")),
        Step(
            None,
            words(
                "throughput --model opnet mobilenet_v2 --batch 32 --out results/throughput.csv --overwrite --data",
                JOINT,
            ),
        ),
    ]


if __name__ == "__main__":
    sys.exit(follow(steps(weights())))
