"""Measure one .tflite model in this process: latency, memory, accuracy, and on request how it stands up to minutes of work.

The accuracy of a classifier is that of its tiles. That of a segmentation model is counted over the pixels of photographs, which are
cut into tiles side by side: how the seams between overlapping tiles are blended is no matter of the model or the device.
"""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tflite import hardware
from tflite.bare import BareModel
from tflite.device.tiles import tile_boxes
from tflite.errors import CrackError
from tflite.graph import read_graph
from tflite.hardware import Snapshot
from tflite.manifest import Item, Manifest
from tflite.masks import load_mask
from tflite.metrics import confusion, roc_auc, summary
from tflite.pixels import NO_PIXELS, add_counts, count_pixels, pixel_rates
from tflite.runtime import Classifier, Nodes
from tflite.segmenter import Segmenter, load_model
from tflite.sidecar import golden_input
from tflite.sustained import Load, sustain

MIN_RUNS = 50  # below this the 95th percentile is a guess
MEGABYTE = 1e6
SUSTAINED_TILES = 64  # kept in memory as files and decided in turn
_STAGES = ("decode", "resize", "inference", "total")
_ACCURACY_COLUMNS = (
    *("manifest", "manifest_sha256", "split", "tiles", "auc", "tp", "fn", "tn", "fp"),
    *("recall", "recall_low", "recall_high", "specificity", "specificity_low", "specificity_high"),
    *("precision", "accuracy", "f1"),
    *("photographs", "pixel_f1", "pixel_iou", "pixel_recall", "pixel_precision", "pixel_specificity"),
    *(f"{stage}_{quantile}_ms" for stage in _STAGES for quantile in ("p50", "p90")),
)


@dataclass(frozen=True)
class TileSet:
    """The tiles that accuracy and end-to-end time are measured on.

    Attributes:
        manifest: where they are; its items are left out, since the set travels to a child process.
        sha256: of the whole manifest.
        split: "train", "val", "test" or "all".
        items: the tiles used.
    """

    manifest: Manifest
    sha256: str
    split: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Job:
    """One row to measure.

    Attributes:
        path: the .tflite file.
        name: what the row is called.
        threads: CPU threads.
        delegate: one of `tflite.runtime.DELEGATES`.
        runs: timed inferences, at least `MIN_RUNS`.
        warmup: inferences before them, not timed.
        tiles: for accuracy and end-to-end time, or None; photographs with masks for a segmentation model.
        load: to keep up afterwards, for heat and energy, or None.
        bare: time the file alone, without looking for a sidecar: no answer of it is judged.
    """

    path: Path
    name: str
    threads: int
    delegate: str
    runs: int
    warmup: int
    tiles: TileSet | None
    load: Load | None = None
    bare: bool = False


@dataclass(frozen=True)
class Runner:
    """A loaded model, ready to be timed.

    Attributes:
        infer: one inference: pixels copied in, invoked, output copied out.
        nodes: what the delegate took.
        image_size, sha256: of the model; the former None where its input is no square tile.
        task, scheme: as its sidecar says; None without one.
        judged: the model, whose answers mean something; None without a sidecar.
    """

    infer: Callable[[], object]
    nodes: Nodes
    image_size: int | None
    sha256: str
    task: str | None = None
    scheme: str | None = None
    judged: Classifier | Segmenter | None = None


@dataclass(frozen=True)
class PhotoTime:
    """What a row of a segmentation model says about a whole photograph.

    Attributes:
        photo_megapixels: of it.
        photo_tiles: tiles or windows that it is cut into.
        photo_jobs: threads.
        photo_s: seconds that it takes.
    """

    photo_megapixels: float
    photo_tiles: int
    photo_jobs: int
    photo_s: float


def load_runner(job: Job) -> Runner:
    """Load a job's model.

    Raises:
        CrackError, ModelFileError: see `tflite.runtime.TileModel` and `tflite.bare.BareModel`.
    """
    if job.bare:
        bare = BareModel(job.path, threads=job.threads, delegate=job.delegate)
        return Runner(bare.run, bare.nodes, bare.image_size, bare.sha256)
    model = load_model(job.path, threads=job.threads, delegate=job.delegate)
    tile, sidecar = golden_input(model.image_size), model.sidecar
    about = sidecar.sha256, sidecar.task, sidecar.scheme
    return Runner(lambda: model.raw(tile), model.nodes, model.image_size, *about, model)


def select_tiles(manifest: Manifest, split: str, limit: int | None = None) -> TileSet:
    """The tiles of a split; with `limit`, that many spread evenly over the sorted split, so that classes keep their shares.

    Raises:
        CrackError: if the split is unknown or empty, or the images' folder does not exist.
    """
    manifest.folder()
    items = manifest.split(split)
    if limit is not None:
        items = _spread(items, limit)
    return TileSet(replace(manifest, items=()), manifest.sha256, split, tuple(items))


def measure(job: Job) -> dict[str, Any]:
    """Measure one row in this process.

    Returns:
        One flat row (times in ms, memory in MB of 1e6 bytes, temperatures in degrees Celsius, clocks in MHz), under
        "latencies_ms" every timed run, and under "sustained" the series of the load (see `tflite.sustained.Sustained.series`), or None.

    Raises:
        CrackError: if the number of runs is below `MIN_RUNS`, or the model, a tile or the power cannot be read.
    """
    _check_runs(job.runs)
    _import_runtime()
    before = hardware.snapshot()
    base = peak_rss_mb()
    started = time.perf_counter_ns()
    runner = load_runner(job)
    load_ms = _milliseconds(started)
    for _ in range(job.warmup):
        runner.infer()
    latencies = [_timed(runner) for _ in range(job.runs)]
    peak = peak_rss_mb()  # before any photograph is decoded: Pillow's memory is not the model's
    timed = hardware.snapshot()
    graph = read_graph(job.path)
    nodes = runner.nodes
    row: dict[str, Any] = {
        "model": job.name,
        "task": runner.task,
        "scheme": runner.scheme,
        "image_size": runner.image_size,
        "threads": job.threads,
        "delegate": job.delegate,
        "delegate_nodes": nodes.delegates,
        "nodes_total": nodes.total,
        "nodes_remaining": nodes.remaining,
        "runs": job.runs,
        "warmup": job.warmup,
        **latency_statistics(latencies),
        "load_ms": round(load_ms, 4),
        "peak_rss_mb": round(peak, 3),
        "base_rss_mb": round(base, 3),
        "file_bytes": graph.file_bytes,
        "parameters": graph.parameters,
        "macs": graph.macs,
        "activations": graph.activations,
        "load_average": round(os.getloadavg()[0], 2),
        "sha256": runner.sha256,
        **dict.fromkeys(_ACCURACY_COLUMNS),
    }
    series, bits = None, [timed.throttled]
    if job.tiles is not None and runner.judged is not None:
        if isinstance(runner.judged, Segmenter):
            row |= _map_accuracy(runner.judged, job.tiles)
        else:
            row |= _accuracy(runner.judged, job.tiles)
    if job.load is not None:
        work, decide = _decision(runner, job.tiles)
        kept = sustain(decide, job.load)
        row |= {"sustained_work": work, **kept.columns()}
        series, bits = kept.series(), [*bits, *(sample.state.throttled for sample in kept.samples)]
    row |= _board_columns(before, hardware.snapshot(), bits)
    return row | {"latencies_ms": [round(value, 4) for value in latencies], "sustained": series}


@dataclass(frozen=True)
class Compared:
    """A model that ran in turn with others. Below 1 it is faster than the first of them.

    Attributes:
        model, threads, delegate, runs: of its job.
        p50_ms, ratio: its median, and that over the first model's.
        paired_ratio: median over rounds of its time over the first model's time in the same round.
        min_ms, min_ratio: its fastest run, and that over the first model's: the fairest on a busy machine, since a long inference is
            interrupted more often than a short one.
    """

    model: str
    threads: int
    delegate: str
    runs: int
    p50_ms: float
    ratio: float
    paired_ratio: float
    min_ms: float
    min_ratio: float


def compare(jobs: Sequence[Job]) -> list[Compared]:
    """Load all models in this process and run them in turn: A B C A B C...

    Whatever slows the machine for a moment slows neighbours alike, so ratios are steadier than the latencies themselves.

    Args:
        jobs: one per model, alike in threads, delegate, runs and warm-up.

    Raises:
        CrackError: if a model cannot be loaded or the number of runs is below `MIN_RUNS`.
    """
    first = jobs[0]
    _check_runs(first.runs)
    runners = [load_runner(job) for job in jobs]
    for _ in range(first.warmup):
        for runner in runners:
            runner.infer()
    rounds = np.array([[_timed(runner) for runner in runners] for _ in range(first.runs)])
    medians, fastest = np.median(rounds, axis=0), rounds.min(axis=0)
    paired = np.median(rounds / rounds[:, :1], axis=0)
    columns = np.stack([medians, medians / medians[0], paired, fastest, fastest / fastest[0]], axis=1).round(4).tolist()
    return [
        Compared(job.name, job.threads, job.delegate, job.runs, *times)
        for job, times in zip(jobs, columns, strict=True)
    ]


def latency_statistics(latencies: Sequence[float]) -> dict[str, float]:
    """Mean, sample standard deviation, minimum and percentiles of at least two times, in the unit given (ms)."""
    percentiles = {f"p{share}_ms": float(np.percentile(latencies, share)) for share in (50, 90, 95, 99)}
    values = {
        "mean_ms": statistics.fmean(latencies),
        "stdev_ms": statistics.stdev(latencies),
        "min_ms": min(latencies),
        **percentiles,
    }
    return {name: round(value, 4) for name, value in values.items()}


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB of 1e6 bytes.

    VmHWM starts at zero when a program starts. ru_maxrss does not: on Linux a child inherits its parent's peak, which would
    charge TensorFlow in the parent to a model in the child. It is the fallback where /proc is missing.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MEGABYTE
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def _check_runs(runs: int) -> None:
    if runs < MIN_RUNS:
        raise CrackError(f"--runs {runs}: at least {MIN_RUNS} are needed for percentiles that mean something.")


def _spread(items: list[Item], count: int) -> list[Item]:
    if count >= len(items):
        return items
    return [items[number] for number in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _accuracy(classifier: Classifier, tiles: TileSet) -> dict[str, Any]:
    """Classify every tile from the bytes of its file, as the device does, timing each stage."""
    from tflite.images import decode_rgb, resize_rgb  # brings Pillow, which --help does not need

    # The first image makes Pillow import its decoder: not part of any tile's time.
    resize_rgb(decode_rgb(tiles.manifest.read(tiles.items[0])), classifier.image_size)
    times = np.empty((len(tiles.items), len(_STAGES)))
    logits = np.empty(len(tiles.items), dtype=np.float32)
    decisions = np.empty(len(tiles.items), dtype=np.int8)
    for number, item in enumerate(tiles.items):
        data = tiles.manifest.read(item)
        start = time.perf_counter_ns()
        image = decode_rgb(data, item.path)
        decoded = time.perf_counter_ns()
        tile = resize_rgb(image, classifier.image_size)
        resized = time.perf_counter_ns()
        raw = classifier.raw(tile)
        decisions[number] = classifier.decide(raw)
        done = time.perf_counter_ns()
        logits[number] = classifier.to_logit(raw)
        times[number] = (decoded - start, resized - decoded, done - resized, done - start)
    times /= 1e6
    labels = np.array([item.label for item in tiles.items])
    # The decisions themselves are counted (integers compared with the raw threshold), not logits compared once more.
    rates = summary(confusion(decisions, labels, threshold=1))
    auc = roc_auc(logits, labels)
    return {
        "manifest": tiles.manifest.name,
        "manifest_sha256": tiles.sha256,
        "split": tiles.split,
        "tiles": len(tiles.items),
        "auc": None if auc is None else round(auc, 6),
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in rates.items()},
        **{
            f"{stage}_p{share}_ms": round(float(np.percentile(times[:, number], share)), 4)
            for number, stage in enumerate(_STAGES)
            for share in (50, 90)
        },
    }


def _map_accuracy(segmenter: Segmenter, tiles: TileSet) -> dict[str, Any]:
    """Draw the cracks of every photograph from the bytes of its file and count its pixels.

    Times are per tile for the inference, per photograph for the decoding and in total.
    """
    from tflite.images import decode_rgb

    counts, number = NO_PIXELS, 0
    decoding, total, inference = [], [], []
    for item in tiles.items:
        data = tiles.manifest.read(item)
        start = time.perf_counter_ns()
        photo = decode_rgb(data, item.path)
        decoding.append(_milliseconds(start))
        called, times = draw(segmenter, photo)
        total.append(_milliseconds(start))
        inference += times
        number += len(times)
        counts = add_counts(counts, count_pixels(called, load_mask(tiles.manifest, item, called.shape)))
    rates = pixel_rates(counts)
    return {
        "manifest": tiles.manifest.name,
        "manifest_sha256": tiles.sha256,
        "split": tiles.split,
        "tiles": number,
        "photographs": len(tiles.items),
        **{
            f"pixel_{name}": None if rates[name] is None else round(float(rates[name] or 0), 6)
            for name in ("f1", "iou", "recall", "precision", "specificity")
        },
        **{
            f"{stage}_p{share}_ms": round(float(np.percentile(times, share)), 4)
            for stage, times in (("decode", decoding), ("inference", inference), ("total", total))
            for share in (50, 90)
        },
    }


def draw(segmenter: Segmenter, photo: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The mask of a photograph from tiles side by side, each decided by its own integers; no blending.

    Args:
        segmenter: the model.
        photo: uint8 (height, width, 3), any size; a small one is mirrored at its edges.

    Returns:
        bool (height, width), and the milliseconds of each inference.
    """
    height, width = photo.shape[:2]
    side = segmenter.image_size
    tall, wide = max(height, side), max(width, side)
    if (tall, wide) != (height, width):
        photo = np.pad(photo, ((0, tall - height), (0, wide - width), (0, 0)), mode="symmetric")
    called, times = np.zeros((tall, wide), bool), []
    for box in tile_boxes(wide, tall, side):
        tile = photo[box.y : box.y + side, box.x : box.x + side]
        started = time.perf_counter_ns()
        called[box.y : box.y + side, box.x : box.x + side] = segmenter.mask(tile)
        times.append(_milliseconds(started))
    return called[:height, :width], times


def _decision(runner: Runner, tiles: TileSet | None) -> tuple[str, Callable[[], bool]]:
    """One decision of the sustained load, and what it comprises: all from a file's bytes, or the inference alone."""
    classifier = runner.judged
    if isinstance(classifier, Segmenter):
        segmenter, pixels = classifier, golden_input(classifier.image_size)
        return "inference", lambda: bool(segmenter.mask(pixels).any())
    if classifier is None:
        return "inference", lambda: runner.infer() is not None
    if tiles is None:
        tile = golden_input(classifier.image_size)
        return "inference", lambda: classifier.is_crack(tile)
    from tflite.images import decode_rgb, resize_rgb

    files = [tiles.manifest.read(item) for item in _spread(list(tiles.items), SUSTAINED_TILES)]
    turn = itertools.cycle(files)
    return "file to decision", lambda: classifier.is_crack(resize_rgb(decode_rgb(next(turn)), classifier.image_size))


def _board_columns(before: Snapshot, after: Snapshot, between: Sequence[int | None]) -> dict[str, Any]:
    """The board before and after; "throttled_during" names what slowed it ("" for nothing, None where it is unknown)."""
    known = before.throttled is not None and after.throttled is not None
    during = hardware.throttling(before.throttled, *between, after.throttled)
    return {
        "governor": before.governor,
        "temperature_before_c": before.temperature_c,
        "temperature_c": after.temperature_c,
        "clock_before_mhz": before.clock_mhz,
        "clock_after_mhz": after.clock_mhz,
        "throttled_before": hardware.throttled_text(before.throttled),
        "throttled_after": hardware.throttled_text(after.throttled),
        "throttled_during": "; ".join(during) if known else None,
    }


def _timed(runner: Runner) -> float:
    """Milliseconds of one inference."""
    started = time.perf_counter_ns()
    runner.infer()
    return _milliseconds(started)


def _milliseconds(started: int) -> float:
    return (time.perf_counter_ns() - started) / 1e6


def _import_runtime() -> None:
    """Import LiteRT now, so that neither load time nor the memory attributed to the model contains it."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise CrackError(f"LiteRT is not installed ({error}). Run: pip install -r requirements-device.txt") from None
