"""The models that were taught on real scenes: the default classifier, and the segmentation model that validates it.

What it makes: `real`, MobileNetV2 at 160 pixels from data that may be shipped (METU, SDNET2018's walls, concrete from a drone, crops
of real scenes without a crack, and cracks transplanted onto these, a part of them on drawn brickwork and coarse surfaces);
for the device, taught by it, `mobilenet_v2_104_real` at the same width and fewer pixels, `mobilenet_v2_035_real` at 0.35 of the width, and
`mobilenet_v2_035_112_real` and `mobilenet_v2_035_64_real` at both; and, research only, `mobilenet_v2_research`, which learns from more
sets, and `unet_mobile`, on the encoder of `real`, from all sets with masks, with crack-free tiles and scenes as empty masks.
Ideas: masks and tile labels in one training set; cracks transplanted onto other backgrounds, and lines that only look like cracks
(crack_tf/synthetic/transplant.py); balanced draws of data sets; colour casts, blur, adverse conditions. docs/decisions.md says what
each is for.
`real` ends with epochs at a constant rate whose weights are averaged: flat minima hold better on data never seen (Izmailov et
al., UAI 2018; Cha et al., SWAD, NeurIPS 2021).
Cost: about eight hours on two cores with AVX-512.
Expected: results/real-scenes, made by `crack-tf evaluate --suite` (docs/results.md).
Command: CRACK_TF_DATA=/path/to/data python -m studies.real_scenes   (the folder must be writable: drawn sets go there)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.recipe import Files, Step, follow, train_step, words

RUNS = Path("runs/real")
MANIFESTS = RUNS / "manifests"
OPEN = ("metu", "sdnet2018", "uav_concrete", "scenes_clean")  # models trained on these may be shipped
RESEARCH = ("cssc", "crack500", "deepcrack", "conglomerate", "bridge_deck", "uav_asphalt")
# Name of a drawn set: what it is drawn onto, and how.
DRAWN = {
    "transplants": (("metu", "scenes_clean", "sdnet2018"), "--count 16000 --seed 1"),
    "masonry": (("metu", "scenes_clean", "sdnet2018"), "--count 4000 --seed 2 --ground masonry"),
    "aggregate": (("metu", "sdnet2018"), "--count 4000 --seed 3 --ground aggregate"),
}
DEVICE_MODELS = (
    "mobilenet_v2_104_real",
    "mobilenet_v2_035_real",
    "mobilenet_v2_035_112_real",
    "mobilenet_v2_035_64_real",
)
_CLASSIFIER = "--model mobilenet_v2 --unfreeze-blocks 13 --batch 32 --zoom-out 1.6 --balance 0.65 --target-recall 0.9"
CLASSIFIER = f"{_CLASSIFIER} --image-size 160 --val-limit 1500"
SHARED = "--augmentation 1.5 --adverse 0.12 --camera 0.35"


def steps(data: Path, weights: str = "imagenet") -> list[Step]:
    """The recipe.

    Args:
        data: $CRACK_TF_DATA; transplants and synthetic masks are written into it.
        weights: of MobileNetV2 1.0: "imagenet", or a file where that cannot be downloaded.
    """
    drawn, masks = {name: data / name for name in DRAWN}, data / "synthetic_masks"
    made = {
        name: MANIFESTS / f"{name}.csv"
        for name in (*OPEN, *RESEARCH, "synthetic_masks", "first", "open", "research", "all")
    }
    first, second, flat, classifier = RUNS / "first", RUNS / "second", RUNS / "flat", RUNS / "real"
    segmenter = RUNS / "unet_mobile"
    found = [Step(made[name], ["data", "split", name, "--out", made[name]]) for name in (*OPEN, *RESEARCH)]
    of_first = [*(made[name] for name in OPEN), drawn["transplants"] / "manifest.csv"]
    of_open = [*of_first, *(drawn[name] / "manifest.csv" for name in ("masonry", "aggregate"))]
    # DeepCrack and the Conglomerate stay left out, to tell whether more kinds of concrete help on others.
    of_research = [made[name] for name in ("cssc", "crack500", "bridge_deck", "uav_asphalt")]
    of_all = [*of_first, *(made[name] for name in RESEARCH), made["synthetic_masks"]]
    return [
        *found,
        Step(
            masks / "images",
            words("data fetch synthetic_masks --count 320 --size 256 --seed 7 --out", masks),
        ),
        Step(made["synthetic_masks"], ["data", "split", masks, "--out", made["synthetic_masks"]]),
        *(
            Step(
                drawn[name] / "manifest.csv",
                [
                    *words("data transplant", made["uav_concrete"]),
                    *words("--onto", *(made[other] for other in onto)),
                    *words(f"{how} --out", drawn[name]),
                ],
            )
            for name, (onto, how) in DRAWN.items()
        ),
        Step(made["first"], ["data", "mix", *of_first, "--out", made["first"]]),
        Step(made["open"], ["data", "mix", *of_open, "--out", made["open"]]),
        Step(made["all"], ["data", "mix", *of_all, "--out", made["all"]]),
        train_step(
            first,
            words(
                f"--freeze-epochs 1 --epochs 7 --learning-rate 8e-4 --warmup-steps 100 --steps-per-epoch 380 {CLASSIFIER} {SHARED}",
                *("--weights", weights, "--data", made["first"]),
            ),
        ),
        train_step(
            second,
            words(
                f"--epochs 10 --learning-rate 6e-4 --warmup-steps 20 --steps-per-epoch 380 {CLASSIFIER} {SHARED}",
                *("--init-from", first, "--data", made["open"]),
            ),
        ),
        train_step(
            flat,
            words(
                "--epochs 12 --learning-rate 4e-4 --schedule constant --warmup-steps 50 --steps-per-epoch 150 --seed 1 "
                f"{CLASSIFIER} {SHARED}",
                *("--init-from", second, "--data", made["open"]),
            ),
        ),
        *averaged(flat, made["open"], classifier, second_view=5),
        *device_models(classifier, made["open"]),
        Step(made["research"], ["data", "mix", *of_open, *of_research, "--out", made["research"]]),
        *research_model(classifier, made["research"]),
        train_step(
            segmenter,
            words(
                "--model unet_mobile --loss bce+dice --freeze-epochs 1 --epochs 20 --steps-per-epoch 180 --batch 12 --learning-rate 1e-3 "
                "--warmup-steps 60 --precision bfloat16 --balance 0.5 --val-limit 300 --patience 0 " + SHARED,
                *("--weights", classifier / "model.keras", "--data", made["all"]),
            ),
        ),
        Step(segmenter / "export" / "unet_mobile-int8-ptq.tflite", words("export --int8 --ptq", segmenter)),
    ]


def mean_step(
    run: Path, data: Path, out: Path, *options: str, epochs: Sequence[str] = ("*",), recall: float = 0.9
) -> Step:
    """The mean of a run's epochs. The run itself comes first and says what they are: its best epoch counts twice."""
    checkpoints = [Files(run / "checkpoints", f"epoch-{some}.keras") for some in epochs]
    target = words(f"--target-recall {recall} --data", data, "--out", out)
    return Step(out / "model.keras.json", ["average", run, *checkpoints, *options, *target])


def averaged(
    run: Path,
    data: Path,
    out: Path,
    *options: str,
    second_view: int = 0,
    epochs: Sequence[str] = ("*",),
    recall: float = 0.9,
    ptq: bool = False,
) -> list[Step]:
    """The mean of a run's epochs, and its int8 file."""
    scheme = "--ptq" if ptq else "--qat-steps 60"
    looks = words(f"--second-view {second_view}") if second_view else []
    return [
        mean_step(run, data, out, *options, epochs=epochs, recall=recall),
        Step(
            out / "export" / f"mobilenet_v2-int8-{'ptq' if ptq else 'qat'}.tflite",
            [*words(f"export --int8 {scheme}"), *looks, out],
        ),
    ]


def device_models(teacher: Path, data: Path) -> list[Step]:
    """Four taught by the default: at full width and 104 pixels, and at 0.35 of the width at 160, 112 and 64.

    The one at 160 pixels looks twice, the others once. Thresholds find fewer of validation's cracks than the default's. Those at 104 and
    112 pixels learn at another side, 112 and 96: crops are enlarged in training, so that what is in them looks larger than in whole tiles
    (Touvron et al., "Fixing the train-test resolution discrepancy", NeurIPS 2019).
    """
    shared = (
        "--model mobilenet_v2 --hp alpha=0.35 --batch 32 --learning-rate 6e-4 --schedule constant --warmup-steps 30 "
        "--steps-per-epoch 150 --epochs 10 --augmentation 1.5 --zoom-out 1.6 --adverse 0.12 --camera 0.35 --balance 0.65 "
        "--target-recall 0.9 --val-limit 1000"
    )
    taught = words(shared, *("--teacher", teacher, "--data", data))
    last = words(
        "--model mobilenet_v2 --hp alpha=0.35 --batch 32 --learning-rate 4e-4 --schedule constant --warmup-steps 30 "
        f"--steps-per-epoch 150 --epochs 12 --zoom-out 1.6 --balance 0.65 --target-recall 0.9 --val-limit 600 --seed 1 {SHARED}",
        *("--teacher", teacher, "--data", data),
    )
    before, small = Path("crack_tf/zoo_models/mobilenet_v2_035_mixed/model.keras"), RUNS / "small"
    wide = (
        "--epochs 12 --image-size 112 --val-limit 1000 --learning-rate 4e-4 --schedule constant --warmup-steps 50 "
        f"--steps-per-epoch 150 --seed 1 --patience 0 {_CLASSIFIER} {SHARED}"
    )
    return [
        train_step(RUNS / "wide_flat", words(wide, *("--init-from", teacher, "--teacher", teacher, "--data", data))),
        *averaged(RUNS / "wide_flat", data, RUNS / "wide", "--image-size", "104", recall=0.88, ptq=True),
        train_step(RUNS / "small_flat", [*taught, *words("--image-size 160 --init-from", before)]),
        *averaged(RUNS / "small_flat", data, small, second_view=7, epochs=("00[5-9]", "010"), recall=0.88),
        train_step(RUNS / "smallest_flat", [*taught, *words("--image-size 96 --patience 0 --init-from", small)]),
        *averaged(RUNS / "smallest_flat", data, RUNS / "smallest", "--image-size", "112", epochs=("00[3-9]", "010")),
        train_step(RUNS / "tiny_flat", [*last, *words("--image-size 64 --patience 0 --init-from", RUNS / "smallest")]),
        *averaged(RUNS / "tiny_flat", data, RUNS / "tiny", recall=0.85),
    ]


def research_model(start: Path, data: Path) -> list[Step]:
    """The default trained on with sets for research only: asphalt, bridge decks, and CSSC with spalling and rust that are no cracks."""
    further = "--epochs 12 --learning-rate 4e-4 --schedule constant --warmup-steps 50 --steps-per-epoch 150 --seed 1 --patience 0"
    return [
        train_step(
            RUNS / "research_flat",
            words(f"{further} {CLASSIFIER} {SHARED}", *("--init-from", start, "--data", data)),
        ),
        *averaged(RUNS / "research_flat", data, RUNS / "research", second_view=5, epochs=("00[3-9]", "01*")),
    ]


def sets_table(matrix: Sequence[Mapping[str, str]], models: Sequence[str]) -> str:
    """Models side by side on every data set, as Markdown: area under the curve, cracks found, clean tiles left alone.

    Args:
        matrix: rows of results/real-scenes/matrix.csv.
        models: their names, a column each.
    """
    cells = {(row["set"].removesuffix(" test"), row["model"]): _cell(row) for row in matrix}
    sets = dict.fromkeys(row["set"].removesuffix(" test") for row in matrix)
    lines = [f"| set | {' | '.join(models)} |", "|---" * (1 + len(models)) + "|"]
    lines += [f"| {name} | {' | '.join(cells[name, model] for model in models)} |" for name in sets]
    return "\n".join(lines)


def _cell(row: Mapping[str, str]) -> str:
    counts = [
        f"{row[hits]}/{int(row[hits]) + int(row[misses])}" if int(row[hits]) + int(row[misses]) else "-"
        for hits, misses in (("tp", "fn"), ("tn", "fp"))
    ]
    return ", ".join([f"{float(row['auc']):.3f}" if row["auc"] else "-", *counts])


def main() -> int:
    """Follow the recipe with the data in $CRACK_TF_DATA."""
    data = os.environ.get("CRACK_TF_DATA")
    if not data or not os.access(data, os.W_OK):
        print("error: set CRACK_TF_DATA to a writable folder with the data sets.", file=sys.stderr)
        return 2
    return follow(steps(Path(data), os.environ.get("WEIGHTS", "imagenet")))


if __name__ == "__main__":
    sys.exit(main())
