"""How many tiles a second the shipped models answer on a board: measured here, measured there, or projected.

Here they are measured in several short rounds: a tile resized and answered, one after the other on all threads, as
`python -m tflite.device run` does it. The fastest answer of a round counts, since a board in flight does nothing else. Decoding a
photograph is on top.
No Raspberry Pi has been measured by this project. What one would do is projected: every model is taken to be slower there than here by
as much as MobileNetV2 at 224 pixels is, whose time on a Pi 4 is published. Models that are built otherwise will differ.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from crack_tf.common.progress import say_now
from crack_tf.models.shipped import read_zoo
from tflite.errors import CrackError
from tflite.files import read_csv
from tflite.images import resize_rgb
from tflite.measure import Job, load_runner
from tflite.words import counted

BOARDS = ("pi4", "pi5", "x86")
# INT8 MobileNet v2 1.0X, all four cores, 64 bit. Source: README of github.com/google/XNNPACK, section Raspberry Pi.
PI4_MOBILENET_MS = 17.0
_REFERENCE = "mobilenet_v2"  # the shipped model that has that architecture and input
# Which to take, the best first (docs/photographs.md): what is not here is for research, for concrete like METU's, or was before these.
RECOMMENDED = ("mobilenet_v2_real", "mobilenet_v2_104_real", "mobilenet_v2_035_112_real", "mobilenet_v2_035_64_real")
# Models are asked in turn: what slows the machine for a moment slows all of a round, and shows as a difference between rounds.
ROUNDS = 5
_RUNS, _WARM_UP = 11, 2  # in a round
_BUSY = 0.5  # load of a core beside what is measured here


@dataclass(frozen=True)
class ModelSpeed:
    """A model's speed on a board.

    Attributes:
        name: of a shipped model.
        tile_side: of its tiles in a photograph, pixels.
        tiles_per_s: that it answers.
        rounds: the same in each round that was measured; none where a table has one figure.
    """

    name: str
    tile_side: int
    tiles_per_s: float
    rounds: tuple[float, ...] = ()

    @property
    def least(self) -> float:
        """Tiles a second of the slowest round."""
        return min(self.rounds, default=self.tiles_per_s)

    @property
    def most(self) -> float:
        """Tiles a second of the fastest round."""
        return max(self.rounds, default=self.tiles_per_s)


@dataclass(frozen=True)
class Measured:
    """What was measured on this machine, in milliseconds by round.

    Attributes:
        models: name, tile_side, and shortest time of a tile that is resized and answered.
        reference: shortest time of an answer of MobileNetV2 at 224 pixels, with all threads.
        load: processes that wanted a core beside these; None where the system does not say.
    """

    models: tuple[tuple[str, int, tuple[float, ...]], ...]
    reference: tuple[float, ...]
    load: float | None = None


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
    here = measure_here()
    cores = os.cpu_count() or 1
    rounds = f"{len(here.reference)} rounds"
    busy = ""
    if here.load is not None and here.load > _BUSY * cores:
        busy = f". This machine was busy (load {here.load:.1f} on {cores} cores): plan again on an idle one"
    if board == "x86":
        told = f"measured now on this machine in {rounds}, {cores} threads, decoding left out{busy}"
        return [_speed(model, [1.0] * len(here.reference)) for model in here.models], told
    # Round by round: what slows this machine slows both.
    speeds = [_speed(model, [PI4_MOBILENET_MS / time for time in here.reference]) for model in here.models]
    reference_ms = statistics.median(here.reference)
    told = (
        f"PROJECTED, not measured: MobileNetV2 takes {reference_ms:.1f} ms on this machine ({cores} threads, {rounds}) "
        f"and {PI4_MOBILENET_MS:g} ms on a Pi 4 (4 threads, published by XNNPACK), and all models are taken to differ as much"
    )
    if board == "pi5":
        told += ". These are the figures of a Pi 4: of a Pi 5 no published one was found, and it is no slower"
    return speeds, f"{told}{busy}. python -m tflite.benchmark on the board measures: --speeds FILE.csv"


def _speed(model: tuple[str, int, tuple[float, ...]], slower: Sequence[float]) -> ModelSpeed:
    """A model where each round takes so many times as long."""
    name, side, times = model
    rounds = tuple(1000 / (time * factor) for time, factor in zip(times, slower, strict=True))
    return ModelSpeed(name, side, statistics.median(rounds), rounds)


def measure_here() -> Measured:
    """Speeds of the shipped classifiers on this machine, all models in turn, round by round."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    models = [model for model in read_zoo()[1].values() if model.task == "classify"]
    threads = os.cpu_count() or 1
    say_now(f"measuring {counted(len(models), 'model')} on this machine")
    runners = [
        load_runner(Job(model.tflite, model.name, threads, "xnnpack", _RUNS, _WARM_UP, None)) for model in models
    ]
    times: list[list[float]] = [[] for _ in models]
    reference = []
    for _ in range(ROUNDS):
        for number, (model, runner) in enumerate(zip(models, runners, strict=True)):
            answer = _least_ms(runner.infer)
            tile = np.random.default_rng(0).integers(0, 256, (model.tile_side, model.tile_side, 3), dtype=np.uint8)
            times[number].append(answer + _least_ms(partial(resize_rgb, tile, model.image_size)))
            if model.name == _REFERENCE:
                reference.append(answer)
    found = tuple((model.name, model.tile_side, tuple(own)) for model, own in zip(models, times, strict=True))
    return Measured(found, tuple(reference), load)


def _least_ms(work: Callable[[], object]) -> float:
    """Milliseconds that something takes after it has warmed up, when nothing interrupts it: the longer it takes, the oftener others do."""
    times = []
    for _ in range(_WARM_UP + _RUNS):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return min(times[_WARM_UP:])


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
