"""What an exported file is worth: its threshold chosen again on validation, and its answers beside the float model's.

Tiles are classified, and all logits are kept. Maps are compared a few tiles at a time, since their pixels do not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.cache import Tiles
from crack_tf.data.patches import Patches
from crack_tf.evaluation.pixels import LogitHistogram
from crack_tf.evaluation.thresholds import select_threshold
from crack_tf.models.keras_models import map_logits
from tflite.compare import Comparison, MapComparison, compare
from tflite.metrics import confusion, summary
from tflite.runtime import Classifier
from tflite.segmenter import Segmenter
from tflite.sidecar import Golden, Sidecar

GOLDEN_STEPS = 2.0  # int8 steps by which kernels of another CPU may round the golden answer differently
SAMPLE = 20_000  # pixels in the picture of a comparison
_CHUNK = 8  # tiles of maps in memory at a time


@dataclass(frozen=True)
class Measured:
    """What was found out about one file.

    Attributes:
        threshold: in logits.
        split: on which it was chosen, or None.
        comparison: with the float model, each at its own threshold.
        golden: its answer to the golden tile, with the tolerance for other CPUs.
        at_half: counts and rates at probability 0.5; of a classifier only.
        reference, quantised: logits of tiles, or of a sample of pixels, float32 (n,).
        labels: of the same, 1 is crack.
        warning: of a classifier whose answer hangs on which kernels run it.
    """

    threshold: float
    split: str | None
    comparison: Comparison
    golden: Golden
    at_half: dict[str, float | int | None]
    reference: np.ndarray
    quantised: np.ndarray
    labels: np.ndarray
    warning: str | None = None


@dataclass(frozen=True)
class Reference:
    """The float classifier's logits.

    Attributes:
        val: float32 (n,), on the validation split.
        measured: float32 (m,), on the measured split.
        threshold: its own, in logits.
        gain: see `tflite.sidecar.Sidecar.second_view_gain`.
    """

    val: np.ndarray
    measured: np.ndarray
    threshold: float
    gain: float | None = None


def measure_tiles(
    path: Path, scheme: str, before: Sidecar, reference: Reference, val: Tiles, measured: Tiles, threads: int
) -> Measured:
    """Run a classifier's file as the device will.

    Args:
        path: of the .tflite file, with a sidecar that lacks threshold and golden answer.
        scheme: of the file.
        before: the float model's sidecar: its target recall is reached again.
        reference: the float model's logits, and the threshold that is compared with.
        val: the threshold is chosen on it.
        measured: both are compared on it.
        threads: CPU threads.
    """
    classifier = Classifier(path, threads=threads)
    threshold, target, split = before.threshold.logit, before.threshold.target_recall, before.threshold.split
    if target is not None:
        threshold, split = select_threshold(classifier.logits(val.images), val.labels, target), "val"
    logits = classifier.logits(measured.images)
    labels = measured.labels
    comparison = compare(reference.measured, logits, labels, reference.threshold, threshold)
    answer = classifier.golden()
    golden = replace(answer, tolerance=golden_tolerance(scheme, answer, logits))
    at_half = summary(confusion(logits, labels, 0.0))
    other = Classifier(path, threads=threads, delegate="none")
    warning = hangs_on_kernels(golden, other.golden(), other.unit)
    return Measured(threshold, split, comparison, golden, at_half, reference.measured, logits, labels, warning)


def hangs_on_kernels(here: Golden, other: Golden, unit: str) -> str | None:
    """A warning about a classifier that other kernels give another answer, as `bundle` refuses it; None about any other.

    Args:
        here: its answer as the sidecar keeps it, with the tolerance.
        other: with LiteRT's own kernels.
        unit: of both.
    """
    apart = abs(here.output - other.output)
    if apart <= here.tolerance:
        return None
    return (
        f"warning: this model's answer hangs on which kernels run it: {here.output:g} to the golden tile with XNNPACK, "
        f"{other.output:g} with LiteRT's own, {apart:.3g} {unit}s apart where {here.tolerance:g} are rounding. A board may answer "
        "otherwise than this machine, and crack-tf bundle will not pack it. Train it longer, and export it again."
    )


def measure_maps(
    path: Path, scheme: str, before: Sidecar, model: Any, val: Patches, measured: Patches, threads: int
) -> Measured:
    """Run a segmentation model's file as the device will; arguments as for `measure_tiles`, but for the Keras `model`.

    The threshold is the one with the highest F1 over all pixels of the validation patches.
    """
    segmenter = Segmenter(path, threads=threads)
    histogram = LogitHistogram()
    for images, masks in _chunks(val, "threshold"):
        histogram.add(_maps(segmenter, images), masks)
    threshold = float(histogram.best_threshold())
    comparison = MapComparison(before.threshold.logit, threshold)
    share = -(-SAMPLE // len(measured))
    rng = np.random.default_rng(0)
    samples = []
    for images, masks in _chunks(measured, "compare"):
        reference, logits = map_logits(model, images), _maps(segmenter, images)
        comparison.add(reference, logits, masks)
        samples += [_sample(*maps, share, rng) for maps in zip(reference, logits, masks, strict=True)]
    kept = np.concatenate(samples, axis=1)
    answer = segmenter.golden()
    other = Segmenter(path, threads=threads, delegate="none").golden()
    # A map has many pixels and a deep net many roundings: what the two sets of kernels at hand differ by, twice, if that is more.
    spread = 2 * max(abs(here - there) for here, there in zip(answer.grid, other.grid, strict=True))
    golden = replace(answer, tolerance=max(golden_tolerance(scheme, answer, kept[1]), spread))
    return Measured(threshold, "val", comparison.result(), golden, {}, kept[0], kept[1], kept[2].astype(np.int8))


def golden_tolerance(scheme: str, answer: Golden, logits: np.ndarray) -> float:
    """How far another CPU's kernels may round the golden answer away.

    int8 kernels differ by a step or two. Float kernels differ in the last bits; with dynamic quantisation one of those bits
    can move a whole activation step, hence a share of the spread of real logits.
    """
    if scheme.startswith("int8"):
        return GOLDEN_STEPS
    spread = max(1.0, *map(abs, (answer.output, *answer.grid)), float(np.std(logits)))
    return spread * (0.05 if scheme == "dynamic" else 0.005)


def _chunks(patches: Patches, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images uint8 (n, s, s, 3) and masks bool (n, s, s), a few at a time."""
    starts = range(0, len(patches), _CHUNK)
    for start in bar(starts, what, len(starts), "tile", each=_CHUNK):
        images = np.asarray(patches.images[start : start + _CHUNK])
        yield images, np.asarray(patches.masks[start : start + _CHUNK]) > 0


def _maps(segmenter: Segmenter, images: np.ndarray) -> np.ndarray:
    return np.stack([segmenter.logits(tile) for tile in images])


def _sample(
    reference: np.ndarray, logits: np.ndarray, mask: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Some pixels of one tile, half of them cracked where there are so many: (3, n) of reference, logit and label."""
    cracked, clean = np.flatnonzero(mask), np.flatnonzero(~mask)
    places = np.concatenate([rng.permutation(cracked)[: count // 2], rng.permutation(clean)[: -(-count // 2)]])
    return np.stack([reference.ravel()[places], logits.ravel()[places], mask.ravel()[places]]).astype(np.float32)
