"""The whole chain on tiles made up from a seed: data, training, int8 export, comparison, benchmark. OPNet at half its width.

What it makes: runs/demo. It shows that the chain works, and nothing about real concrete.
Cost: four minutes on two cores. Training has a budget of three minutes: a slow machine gets fewer epochs, a very slow one fewer tiles
too, and one that becomes busy meanwhile stops early; each is told so.
Expected: recall and specificity above 0.9 after all 16 epochs.
Command: make demo   (COUNT=400 EPOCHS=2 makes it shorter)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from studies.recipe import Step, follow, words
from tflite.files import read_csv

DEMO = Path("runs/demo")
SPLIT = DEMO / "split.csv"
RUN = DEMO / "opnet"
SPEED = DEMO / "throughput.csv"
EXPORTED = [RUN / f"export/opnet-{scheme}.tflite" for scheme in ("float32", "int8-qat", "int8-ptq")]
COUNT = 1600  # tiles
EPOCHS = 16
FEWEST = 3
BUDGET = 180.0  # seconds of training
# A tile of an epoch is trained on or, one in five and at a third of the cost, validated on; 15 of 100 are kept for the test.
_WORK_PER_TILE = 0.70 + 0.15 / 3
_LEAST_TILES = 64  # two batches
MODEL = '--model opnet --hp "widths=(16,32,64,128)" --hp dropout=0.2 --image-size 96 --batch 32'


def preparation(count: int) -> list[Step]:
    """Draw tiles, and measure how fast this machine trains on them."""
    return [
        Step(None, ["data", "fetch", "synthetic", "--out", DEMO / "data", *words(f"--count {count} --size 96")]),
        Step(None, ["data", "split", DEMO / "data/images", "--out", SPLIT, "--overwrite"]),
        Step(None, ["throughput", *words(MODEL), "--data", SPLIT, "--out", SPEED, "--overwrite"]),
    ]


def affordable(tiles_per_second: float, count: int) -> tuple[int, int | None]:
    """Epochs that training has time for, between `FEWEST` and `EPOCHS`, and where even the fewest are too many, tiles to train on.

    Args:
        tiles_per_second: that were measured.
        count: tiles of all splits.
    """
    passes = BUDGET * tiles_per_second / (count * _WORK_PER_TILE)
    epochs = max(FEWEST, min(EPOCHS, int(passes)))
    return epochs, None if passes >= FEWEST else max(_LEAST_TILES, int(count * 0.70 * passes / FEWEST))


def chain(epochs: int, limit: int | None = None) -> list[Step]:
    """Training and what follows."""
    # The export's usual limit is 0.1 point of recall; in a test split of 120 cracks a single tile is 0.8 points. A model that has
    # hardly learned may lose anything.
    drop = "5" if epochs >= EPOCHS / 2 else "100"
    short = ["--qat-steps", "12"] if epochs < EPOCHS else []
    return [
        Step(
            None,
            words(
                f"train {MODEL} --epochs {epochs} --learning-rate 3e-3 --warmup-steps 30 --augmentation 0.3 "
                f"--target-recall 0.95 --patience 0 --max-minutes {BUDGET / 60:g} --overwrite",
                *(["--limit", str(limit), "--val-limit", str(limit * 15 // 70)] if limit else []),
                *("--data", SPLIT, "--out", RUN),
            ),
        ),
        Step(None, words(f"export --float32 --int8 --max-recall-drop {drop} --overwrite", *short, RUN)),
        Step(None, words(f"export --int8 --ptq --max-recall-drop {drop} --overwrite", RUN)),
        Step(
            None,
            ["evaluate", RUN, *EXPORTED[1:], "--data", SPLIT, "--out", DEMO / "evaluation", "--overwrite"],
        ),
        Step(
            None,
            [*EXPORTED, "--manifest", SPLIT, "--compare", "--out", DEMO / "benchmark", "--overwrite"],
            module="tflite.benchmark",
        ),
    ]


def main() -> int:
    """Run the demonstration; $COUNT tiles and $EPOCHS epochs, where set, make it shorter."""
    count = int(os.environ.get("COUNT", COUNT))
    code = follow(preparation(count))
    if code:
        return code
    speed = float(read_csv(SPEED)[0]["training_per_s"])
    wanted = int(os.environ.get("EPOCHS", 0))
    epochs, limit = (wanted, None) if wanted else affordable(speed, count)
    if not wanted and epochs < EPOCHS:
        fewer = f" on {limit} tiles" if limit else ""
        print(
            f"\nThis machine trains on {speed:.0f} tiles a second: {epochs} epochs{fewer} instead of {EPOCHS}, so that training takes "
            f"about {BUDGET / 60:.0f} minutes, and a shorter fine-tune. The figures below are worse than they could be.\n"
        )
    code = follow(chain(epochs, limit))
    if not code:
        print(
            "\nPlots:", *sorted(path for path in DEMO.rglob("*.png") if DEMO / "data" not in path.parents), sep="\n  "
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
