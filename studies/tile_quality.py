"""What blur, darkness, burnt-out light and oblique views do to the classifier's recall, by the measures of
`crack_tf.survey.searching.quality`.

What it makes: results/tile-quality/<model>.csv: tiles with a crack that the shipped classifier finds, degraded step by step; recall with
a 95 % interval, and the tenth, middle and ninetieth percentile of each measure. The cracks are those of METU, which are wide, and dark
lines of three pixels, the narrowest whose width is trusted, drawn on METU's clean tiles. The limits in
`crack_tf/survey/searching/quality.py` and `crack_tf/survey/ledger.py` are read from it: where recall falls below 0.95.
Cost: two minutes on two cores for twice 40 tiles.
Expected: results/tile-quality.
Command: CRACK_TF_DATA=/path/to/data python -m studies.tile_quality
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.models.shipped import find_model
from crack_tf.survey.searching.quality import sharpness
from tflite.files import write_csv
from tflite.images import load_picture
from tflite.metrics import wilson_interval

OUT = Path("results/tile-quality")
TILES = 40
BLURS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # pixels, standard deviation
SMEARS = (4, 8, 12, 16, 24)  # pixels that a moving camera's picture is drawn out over
GAINS = (0.4, 0.2, 0.1, 0.05)  # of light; the camera's noise stays
BURNS = (1.5, 2.0, 2.5, 3.0)
ANGLES = (30.0, 45.0, 60.0, 70.0)  # degrees off square
NOISE = 2.0  # grey levels
DARKNESS = 0.45  # of the drawn lines, by their surroundings


def degraded(tile: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, float, np.ndarray]]:
    """Name, amount and pixels of each worse version of a tile, uint8 (side, side, 3); the first is the tile itself."""
    import cv2

    side = tile.shape[0]
    noise = rng.normal(0, NOISE, tile.shape)
    floats = tile.astype(np.float32)

    def taken(pixels: np.ndarray) -> np.ndarray:
        return np.asarray((pixels + noise).clip(0, 255).astype(np.uint8))

    yield "none", 0.0, tile
    for sigma in BLURS:
        yield "blur", sigma, taken(cv2.GaussianBlur(floats, (0, 0), sigma))
    for length in SMEARS:
        angle = rng.uniform(0, math.pi)
        kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
        reach = length / 2 * np.array([math.cos(angle), math.sin(angle)])
        cv2.line(kernel, *(tuple(round(length + sign * value) for value in reach) for sign in (-1, 1)), 1.0)
        yield (
            "smear",
            float(length),
            taken(cv2.filter2D(floats, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)),
        )
    for gain in GAINS:
        yield "dark", gain, taken(floats * gain)
    for gain in BURNS:
        yield "burnt", gain, taken(floats * gain)
    for angle in ANGLES:
        narrow = max(8, round(side * math.cos(math.radians(angle))))
        squeezed = cv2.resize(tile, (narrow, side), interpolation=cv2.INTER_AREA)
        more = side - narrow
        filled = np.pad(squeezed, ((0, 0), (more // 2, more - more // 2), (0, 0)), mode="symmetric")
        yield "oblique", angle, taken(filled.astype(np.float32))


def with_line(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A clean tile with a dark, winding line of three pixels across it."""
    import cv2

    side = tile.shape[0]
    steps = np.linspace(-0.1, 1.1, 30) * side
    winding = side / 2 + np.cumsum(rng.normal(0, side / 40, len(steps)))
    angle = rng.uniform(0, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = (np.c_[steps, winding] - side / 2) @ turn.T * 1.2 + side / 2
    large = np.zeros((4 * side, 4 * side), np.uint8)
    cv2.polylines(large, [(4 * points).round().astype(np.int32)], False, 255, 12, cv2.LINE_AA)
    cover = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    cover = cv2.GaussianBlur(cover, (0, 0), 0.6)[..., None]
    return np.asarray((tile * (1 - (1 - DARKNESS) * cover)).astype(np.uint8))


def main() -> int:
    """Measure, and write the table; $TILES of each kind, where it is set."""
    data, tiles = os.environ.get("CRACK_TF_DATA"), int(os.environ.get("TILES", TILES))
    if not data:
        print("error: set CRACK_TF_DATA to the folder with the data sets.", file=sys.stderr)
        return 2
    folder = Path(data) / "metu"
    rng = np.random.default_rng(17)
    chosen = find_model(None)
    kept: dict[tuple[str, str, float], list[tuple[bool, float, float, float]]] = {}
    with PhotoClassifier(chosen.path, jobs=1, side=chosen.tile_side) as classifier:
        for cracks, kind in (("metu", "Positive"), ("3 px", "Negative")):
            for path in rng.permutation(sorted((folder / kind).iterdir()))[:tiles]:
                tile = load_picture(path).pixels
                tile = tile if cracks == "metu" else with_line(tile, rng)
                for name, amount, pixels in degraded(tile, rng):
                    found = classifier.score(pixels)[0].crack
                    if name == "none" and not found:
                        break
                    grey = np.asarray(pixels.mean(axis=2).round().astype(np.uint8))
                    sharp = min(9.99, float(sharpness(grey)[0, 0]))
                    measured = found, sharp, float(grey.mean()), float((grey >= 250).mean())
                    kept.setdefault((cracks, name, amount), []).append(measured)
    rows = []
    for (cracks, name, amount), group in kept.items():
        hits = sum(found for found, *_ in group)
        low, high = wilson_interval(hits, len(group))
        row: dict[str, Any] = {
            "cracks": cracks,
            "degradation": name, "amount": amount, "tiles": len(group), "found": hits,
            "recall": round(hits / len(group), 4), "low": round(low, 4), "high": round(high, 4),
        }  # fmt: skip
        for place, measure in enumerate(("sharpness", "brightness", "burnt"), 1):
            values = [entry[place] for entry in group]
            row |= {f"{measure}_{share}": round(float(np.percentile(values, share)), 3) for share in (10, 50, 90)}
        rows.append(row)
        print(row, flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    write_csv(OUT / f"{chosen.path.stem}.csv", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
