"""How many tiles a second the shipped models answer on a board: measured here, measured there, or projected.

Here they are measured by `tflite.measure`, as `crack-tf benchmark` does: a tile resized and answered, one after the other on all threads,
as `python -m tflite.device run` does it. Decoding a photograph is on top.
No Raspberry Pi has been measured by this project. What one would do is projected: every model is taken to be slower there than here by
as much as MobileNetV2 at 224 pixels is, whose time on a Pi 4 is published. Models that are built otherwise will differ.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_tf.models.shipped import read_zoo
from tflite.errors import CrackError
from tflite.files import read_csv
from tflite.images import resize_rgb
from tflite.measure import MIN_RUNS, Job, measure

BOARDS = ("pi4", "pi5", "x86")
# INT8 MobileNet v2 1.0X, all four cores, 64 bit. Source: README of github.com/google/XNNPACK, section Raspberry Pi.
PI4_MOBILENET_MS = 17.0
_REFERENCE = "mobilenet_v2"  # the shipped model that has that architecture and input
_RUNS, _WARM_UP = MIN_RUNS, 5


@dataclass(frozen=True)
class ModelSpeed:
    """A model's speed on a board.

    Attributes:
        name: of a shipped model.
        tile_side: of its tiles in a photograph, pixels.
        tiles_per_s: that it answers.
    """

    name: str
    tile_side: int
    tiles_per_s: float


def board_speeds(board: str, table: Path | None = None) -> tuple[list[ModelSpeed], str]:
    """Speeds of the shipped classifiers.

    Args:
        board: one of `BOARDS`.
        table: CSV that `python -m tflite.benchmark` wrote on that board, or None.

    Returns:
        The speeds, and where they are from, for a person.

    Raises:
        CrackError: if there is no such board, or the table cannot be read or has none of the models.
    """
    if board not in BOARDS:
        raise CrackError(f"--board {board}: choose one of {', '.join(BOARDS)}.")
    if table is not None:
        return table_speeds(table)
    here, reference_ms = measure_here()
    cores = os.cpu_count() or 1
    if board == "x86":
        return here, f"measured now on this machine, {cores} threads, decoding left out"
    slower = PI4_MOBILENET_MS / reference_ms
    speeds = [ModelSpeed(model.name, model.tile_side, model.tiles_per_s / slower) for model in here]
    told = (
        f"PROJECTED, not measured: MobileNetV2 takes {reference_ms:.1f} ms on this machine ({cores} threads) and "
        f"{PI4_MOBILENET_MS:g} ms on a Pi 4 (4 threads, published by XNNPACK), and all models are taken to differ as much"
    )
    if board == "pi5":
        told += ". These are the figures of a Pi 4: of a Pi 5 no published one was found, and it is no slower"
    return speeds, f"{told}. python -m tflite.benchmark on the board measures: --speeds FILE.csv"


def measure_here() -> tuple[list[ModelSpeed], float]:
    """Speeds of the shipped classifiers on this machine, and milliseconds that MobileNetV2 takes at 224 pixels with all threads."""
    models = [model for model in read_zoo()[1].values() if model.task == "classify"]
    threads = os.cpu_count() or 1
    answers = {
        model.name: float(measure(Job(model.tflite, model.name, threads, "xnnpack", _RUNS, _WARM_UP, None))["p50_ms"])
        for model in models
    }
    speeds = [
        ModelSpeed(
            model.name, model.tile_side, 1000 / (answers[model.name] + _resize_ms(model.tile_side, model.image_size))
        )
        for model in models
    ]
    return speeds, answers[_REFERENCE]


def _resize_ms(side: int, image_size: int) -> float:
    """Milliseconds that a tile takes to become a model's input, median."""
    tile = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        resize_rgb(tile, image_size)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def table_speeds(table: Path) -> tuple[list[ModelSpeed], str]:
    """Speeds out of a table that `python -m tflite.benchmark` wrote: of each model the fastest row.

    Raises:
        CrackError: if it cannot be read or has none of the shipped models.
    """
    # By content: several of the files share a name.
    shipped = {model.files["tflite"].sha256: model for model in read_zoo()[1].values() if model.task == "classify"}
    best: dict[str, ModelSpeed] = {}
    hardware = set()
    try:
        rows = read_csv(table)
    except CrackError as error:
        raise CrackError(f"--speeds {error}") from None
    for row in rows:
        model = shipped.get(row.get("sha256") or "")
        # A photograph is decoded once for all its tiles; each is cut out, resized and answered.
        parts = [_number(row.get(column)) for column in ("resize_p50_ms", "inference_p50_ms")]
        milliseconds = parts[0] + parts[1] if parts[0] and parts[1] else _number(row.get("p50_ms"))
        if model is None or milliseconds is None:
            continue
        hardware.add(row.get("hardware") or "another machine")
        speed = ModelSpeed(model.name, model.tile_side, 1000 / milliseconds)
        if model.name not in best or speed.tiles_per_s > best[model.name].tiles_per_s:
            best[model.name] = speed
    if not best:
        names = ", ".join(model.name for model in shipped.values())
        raise CrackError(
            f"--speeds {table} has a time of none of the shipped models ({names}). Measure them on the board: "
            "python -m tflite.benchmark *.tflite --out results"
        )
    return list(best.values()), f"measured on {', '.join(sorted(hardware))} ({table.name})"


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < 1e9 else None
