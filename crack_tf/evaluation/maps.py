"""`python -m crack_tf.evaluate` for segmentation models: whole photographs, stitched as `crack-tf photo segment` stitches them.

With --out the results are kept:
    metrics.csv         a row per model: micro and mean figures, with a tolerance of 2 pixels too, of centre lines (clIoU) and
                        boundaries (NSD), 95 % intervals over photographs
    metrics_aligned.csv where masks lie beside their crack (crack_tf.photo.alignment), the same without those photographs,
                        and with every mask moved by the few pixels at which it lies on the darkest line
    metrics.json        all of this, where it came from, and the curves
    per_photo.csv       a row per model and photograph
    pr_curves.png       precision over recall of all models, with their thresholds
    gallery_MODEL.png   the best, middle and worst photographs by F1

`crack_tf.evaluation.pixels` defines the figures.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.common.progress import bar
from crack_tf.common.provenance import created, environment
from crack_tf.data.cache import subset
from crack_tf.data.patches import photographs
from crack_tf.evaluation.config import FORMAT, OUTPUT, EvaluateConfig, subject, unique_names
from crack_tf.evaluation.lineage import Lineage, check_origins
from crack_tf.evaluation.map_results import MapEvaluation, PhotoResult, steps_ratio
from crack_tf.evaluation.pictures import choose_examples, gallery, pr_curves
from crack_tf.evaluation.pixels import (
    CENTRE_TOLERANCE,
    TOLERANCE,
    LogitHistogram,
    MaskCounts,
    mask_counts,
    summarise_masks,
)
from crack_tf.evaluation.rows import AlignedRow, MapRow
from crack_tf.inference.maps import SegmenterPool, TileMaps, photo_seams
from crack_tf.inference.predictor import MapPredictor, TfliteMapPredictor, load_map_predictor
from crack_tf.inference.scales import segment_at_scales
from crack_tf.photo.alignment import alignment
from tflite.files import write_csv, write_json
from tflite.manifest import Manifest
from tflite.metrics import sigmoid
from tflite.outputs import making
from tflite.tables import format_table
from tflite.words import counted

_CURVE_POINTS = 200  # of a curve in metrics.json
_LEAST = 1e-7  # probability that stands for 0: its logit is on the edge of LogitHistogram


def evaluate_maps(
    models: Sequence[str | Path], config: EvaluateConfig, manifest: Manifest, out: Path | None, overwrite: bool = False
) -> list[MapEvaluation]:
    """Measure segmentation models on photographs; arguments as for `crack_tf.evaluation.evaluate.evaluate_models`.

    Raises:
        CrackError: if a model cannot be loaded, or a photograph trained it.
    """
    items = subset(manifest.split(config.split), config.limit, 0)
    cores = config.threads or os.cpu_count() or 1
    # Threads take tiles of their own, which uses them better than sharing one tile.
    predictors = [load_map_predictor(path, threads=1, delegate=config.delegate) for path in models]
    names = unique_names(predictors)
    origins = check_origins(names, predictors, manifest, items, config.split, config.allow_training_tiles)
    evaluations = [
        evaluate_map(predictor, name, manifest, config.split, config.limit, config.threshold, origin, cores)
        for name, predictor, origin in zip(names, predictors, origins, strict=True)
    ]
    print(report(evaluations, manifest, config.split))
    if out is not None:
        with making(out, OUTPUT, overwrite):
            write_map_results(out, evaluations, predictors, manifest, config.split, config.limit, cores)
        print(f"results and pictures: {out}/metrics.csv, per_photo.csv, pr_curves.png, gallery_*.png")
    return evaluations


def evaluate_map(
    predictor: MapPredictor,
    name: str,
    manifest: Manifest,
    split: str,
    limit: int | None = None,
    threshold: float | None = None,
    origin: Lineage | None = None,
    jobs: int = 1,
) -> MapEvaluation:
    """Draw the cracks of every photograph of a split and count.

    Args:
        predictor: the model.
        name: to report it under.
        manifest: of photographs with masks.
        split: of that manifest.
        limit: at most this many photographs.
        threshold: a probability; None takes the model's own.
        origin: how the photographs relate to the model's training, if known.
        jobs: threads of a .tflite model.

    Raises:
        CrackError: if a photograph cannot be read.
    """
    used = predictor.threshold_probability if threshold is None else threshold
    histogram, photos = LogitHistogram(), []
    total = len(subset(manifest.split(split), limit, 0))
    with _parallel(predictor, jobs) as maps:
        found = bar(photographs(manifest, split, limit), name, total, "photo")
        for item, photo, truth in found:
            started = time.perf_counter()
            probability = segment_at_scales(photo, maps, used)
            seconds = time.perf_counter() - started
            histogram.add(_logits(probability), truth)
            called = probability >= used
            fit = alignment(_grey(photo), truth)
            there = moved(truth, fit.x, fit.y)
            photos.append(
                PhotoResult(
                    item,
                    photo.shape[1],
                    photo.shape[0],
                    mask_counts(called, truth),
                    photo_seams(probability, maps),
                    fit,
                    mask_counts(called, there),
                    seconds,
                )
            )
    origin = origin or Lineage(None)
    best = _best_threshold(histogram)

    def row(some: Sequence[PhotoResult], counts: Sequence[MaskCounts]) -> MapRow:
        megapixels = sum(photo.width * photo.height for photo in some) / 1e6
        ratio = steps_ratio([photo.steps for photo in some])
        return MapRow(
            **vars(subject(name, predictor, manifest, split)),
            cracked_photographs=sum(photo.item.label for photo in some),
            displaced_masks=sum(photo.displaced for photo in some),
            megapixels=round(megapixels, 3),
            median_mask_move_px=_median_move(some),
            **dict[str, Any](summarise_masks(counts)),
            tolerance_px=TOLERANCE,
            cl_iou_tolerance_px=CENTRE_TOLERANCE,
            nsd_tolerance_px=TOLERANCE,
            threshold_probability=used,
            best_threshold_probability=best,
            seam_ratio=None if ratio is None else round(ratio, 4),
            seconds_per_megapixel=round(sum(photo.seconds for photo in some) / megapixels, 4),
            training_photographs=origin.trained if origin.manifest else None,
            related_to_training=origin.related if origin.manifest else None,
        )

    fitting = [photo for photo in photos if not photo.displaced]
    counted = [photo.counts for photo in photos]
    aligned = []
    if 0 < len(fitting) < len(photos):
        left = [photo.counts for photo in fitting]
        aligned = [
            AlignedRow("without displaced ones", row(fitting, left)),
            AlignedRow("moved to where they fit", row(photos, [photo.moved for photo in photos])),
        ]
    return MapEvaluation(name, used, photos, histogram, row(photos, counted), aligned)


def moved(mask: np.ndarray, x: int, y: int) -> np.ndarray:
    """A mask, bool (h, w), moved right and down by that many pixels; what comes in at the edges is background."""
    found = np.zeros_like(mask)
    height, width = mask.shape
    if abs(y) >= height or abs(x) >= width:
        return found
    found[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)] = mask[
        max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)
    ]
    return found


def report(evaluations: Sequence[MapEvaluation], manifest: Manifest, split: str) -> str:
    """The table to print: models as rows, figures with 95 % intervals over photographs."""
    first = evaluations[0].row

    def cell(name: str) -> Any:
        def text(row: MapRow) -> str:
            value, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
            if value is None:
                return "-"
            return f"{value:.4f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")

        return text

    table = format_table(
        [item.row for item in evaluations],
        {
            "model": lambda row: str(row.name),
            "threshold": lambda row: f"{row.threshold_probability:.3f}",
            "F1": cell("f1"),
            "IoU": cell("iou"),
            "recall": cell("recall"),
            "precision": cell("precision"),
            "mIoU": cell("miou"),
            "mean F1": cell("mean_f1"),
            f"F1, {TOLERANCE} px": cell("tolerant_f1"),
            f"clIoU, {CENTRE_TOLERANCE} px": cell("cl_iou"),
            f"NSD, {TOLERANCE} px": cell("nsd"),
            "s/MP": lambda row: f"{row.seconds_per_megapixel:.2f}",
        },
    )
    aligned = [one for item in evaluations for one in item.aligned]
    beside = [
        f"\n{one.row.name}, masks {one.masks}: F1 {cell('f1')(one.row)}, IoU {cell('iou')(one.row)}, "
        f"F1 {TOLERANCE} px {cell('tolerant_f1')(one.row)}"
        for one in aligned
    ]
    return (
        f"{manifest.name} {split}: {counted(first.photographs, 'photograph')}, {first.cracked_photographs} with a crack, "
        f"{first.megapixels:.1f} megapixels\n{table}"
        + (f"\n{first.displaced_masks} masks lie beside their crack" if aligned else "")
        + "".join(beside)
    )


def write_map_results(
    folder: Path,
    evaluations: Sequence[MapEvaluation],
    predictors: Sequence[MapPredictor],
    manifest: Manifest,
    split: str,
    limit: int | None,
    jobs: int,
) -> None:
    """Write all files; metrics.json comes last, so that its presence says the others are complete."""
    rows = []
    for evaluation, predictor in zip(evaluations, predictors, strict=True):
        rows += [{"name": evaluation.name, **_photo_row(photo)} for photo in evaluation.photos]
        stem = re.sub(r"[^\w.-]+", "_", evaluation.name)
        with _parallel(predictor, jobs) as maps:
            examples = choose_examples(evaluation.photos)
            gallery(manifest, examples, maps, evaluation.threshold, folder / f"gallery_{stem}.png")
    pr_curves(evaluations, f"{manifest.name} {split}", folder / "pr_curves.png")
    write_csv(folder / "per_photo.csv", rows)
    models = [asdict(item.row) for item in evaluations]
    write_csv(folder / "metrics.csv", models)
    aligned = [one.columns() for item in evaluations for one in item.aligned]
    if aligned:
        write_csv(folder / "metrics_aligned.csv", aligned)
    write_json(
        folder / "metrics.json",
        {
            "format": FORMAT,
            "task": "segment",
            "manifest": {"name": manifest.name, "sha256": manifest.sha256, "licence": manifest.licence},
            "split": split,
            "limit": limit,
            "models": models,
            "aligned": aligned,
            "curves": {item.name: _curve(item.histogram) for item in evaluations},
            **environment(),
            "created": created(),
        },
    )


def _parallel(predictor: MapPredictor, jobs: int) -> AbstractContextManager[TileMaps]:
    """A .tflite model on several threads; Keras sees to that itself."""
    if isinstance(predictor, TfliteMapPredictor):
        return SegmenterPool(predictor.segmenter, jobs)
    return nullcontext(predictor)


def _median_move(photos: Sequence[PhotoResult]) -> float | None:
    """Median over the cracked photographs of how far a mask moves to where it fits best, in pixels."""
    moves = [math.hypot(photo.fit.x, photo.fit.y) for photo in photos if photo.item.label]
    return round(float(np.median(moves)), 2) if moves else None


def _grey(photo: np.ndarray) -> np.ndarray:
    """Grey levels of a photograph, as the audit of its mask takes them."""
    return np.asarray(Image.fromarray(photo).convert("L"))


def _logits(probability: np.ndarray) -> np.ndarray:
    """Inverse of the sigmoid, finite: a stitched map has probabilities only."""
    clipped = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _best_threshold(histogram: LogitHistogram) -> float | None:
    """The probability with the highest F1 on these very photographs, for comparison; None where there is no crack."""
    if histogram.counts(0.0).found + histogram.counts(0.0).fn == 0:
        return None
    return float(sigmoid(histogram.best_threshold()))


def _photo_row(photo: PhotoResult) -> dict[str, Any]:
    strict = photo.strict
    rates = {name: getattr(strict, name) for name in ("f1", "iou", "precision", "recall", "specificity")}
    rates |= {
        "tolerant_f1": photo.tolerant.f1,
        "cl_iou": photo.counts.lines.cl_iou,
        "nsd": photo.counts.boundaries.nsd,
    }
    counts = {name: value for name, value in asdict(strict).items() if name != "found"}
    return {
        "path": photo.item.path,
        "label": photo.item.label,
        "width": photo.width,
        "height": photo.height,
        **counts,
        **{name: None if math.isnan(value) else round(value, 6) for name, value in rates.items()},
        "displaced_mask": photo.displaced,
        "mask_move_x": photo.fit.x,
        "mask_move_y": photo.fit.y,
        "seam_ratio": None if photo.seam_ratio is None else round(photo.seam_ratio, 4),
        "seconds": round(photo.seconds, 4),
    }


def _curve(histogram: LogitHistogram) -> dict[str, list[float | None]]:
    """Threshold (probability), precision and recall at places spread over the curve."""
    edges, precision, recall = histogram.curve()
    places = np.linspace(0, len(edges) - 1, _CURVE_POINTS).round().astype(int)
    return {
        name: [None if math.isnan(value) else round(float(value), 6) for value in values[places]]
        for name, values in (("threshold", sigmoid(edges)), ("precision", precision), ("recall", recall))
    }
