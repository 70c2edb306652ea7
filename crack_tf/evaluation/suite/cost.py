"""What a survey costs: tiles per second and seconds per 12-megapixel photograph, from the file to the decision."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.evaluation.suite.rows import CostRow
from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.synthetic.tiles import render_tile
from tflite.hardware import board

WIDTH, HEIGHT = 4000, 3000
_REPEATS = 3


def write_photo(path: Path, seed: int = 0) -> None:
    """A drawn 12-megapixel photograph of concrete: patches of the synthetic surface side by side, as a JPEG of quality 92.

    Only its cost is measured, so the seams between the patches do not matter.
    """
    side = 500
    photo = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    number = 0
    for y in range(0, HEIGHT, side):
        for x in range(0, WIDTH, side):
            photo[y : y + side, x : x + side] = render_tile(seed, number % 8, number % 5 == 0, side).image
            number += 1
    Image.fromarray(photo).save(path, "JPEG", quality=92)


def cost_rows(models: dict[str, Path], jobs: int | None = None) -> list[CostRow]:
    """Time whole photographs with every model, all in turn so that they meet the same machine.

    Args:
        models: name -> .tflite file.
        jobs: threads; None for all cores.

    Returns:
        Per model the number of tiles, median seconds per photograph, tiles per second, and the machine.
    """
    threads = jobs or os.cpu_count() or 1
    seconds: dict[str, list[float]] = {name: [] for name in models}
    tiles: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "photo.jpg"
        write_photo(path)
        for _ in range(_REPEATS):
            for name, model in models.items():
                with PhotoClassifier(model, jobs=threads) as classifier:
                    start = time.perf_counter()
                    with classifier.photo(path) as photo:
                        tiles[name] = len(photo.tiles)
                    seconds[name].append(time.perf_counter() - start)
    hardware = board()
    return [
        CostRow(
            model=name,
            photo=f"{WIDTH}x{HEIGHT}",
            tiles=tiles[name],
            threads=threads,
            p50_s=statistics.median(seconds[name]),
            min_s=min(seconds[name]),
            tiles_per_s=tiles[name] / statistics.median(seconds[name]),
            hardware=hardware["model"] or hardware["cpu"],
            cores=hardware["cores"],
        )
        for name in models
    ]
