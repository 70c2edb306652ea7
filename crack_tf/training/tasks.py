"""What training does differently for classification and for segmentation; the loop itself (`crack_tf.training.loop.fit`) is the same.

A task knows its samples (tiles with a label, patches with a mask), what it measures on validation after every epoch, which epoch is the
best, and which threshold the finished model gets.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.data.augment import Augmentation
from crack_tf.data.cache import Tiles, load_split
from crack_tf.data.mix import domain_of
from crack_tf.data.patch_pipeline import PatchAugmentation, patch_batches
from crack_tf.data.patches import Patches, load_patches
from crack_tf.data.pipeline import Balance, Draws, EpochPlan, Soften, plan_epoch, training_batches
from crack_tf.evaluation import plots
from crack_tf.evaluation.pictures import errors
from crack_tf.evaluation.pixels import TOLERANCE, LogitHistogram, PixelCounts, pixel_counts, summarise
from crack_tf.evaluation.thresholds import select_threshold, specificity_at_recall, tells_nothing
from crack_tf.models import get_model
from crack_tf.models.keras_models import map_logits, predict_logits
from crack_tf.training.config import TrainConfig
from crack_tf.training.losses import make_loss
from tflite.errors import CrackError
from tflite.files import atomic_path
from tflite.manifest import LABELS, Manifest
from tflite.metrics import confusion, roc_auc, sigmoid, summary

_PATCHES = 16  # predicted at once on validation, so that memory stays bounded
_EXAMPLES = 6  # patches in the picture of masks


@dataclass(frozen=True)
class Choice:
    """Which samples of the training split are used.

    Attributes:
        limit: at most so many, or a share of them between 0 and 1; None for all.
        empty_share: share of the crack-free patches that is kept, 0 to 1; segmentation only.
        seed: of the draw.
        masks: whether a classifier's tiles bring theirs.
    """

    limit: int | float | None = None
    empty_share: float = 1.0
    seed: int = 0
    masks: bool = False

    def count(self, available: int) -> int | None:
        """The limit as a number of samples, at least 1; None for all."""
        if isinstance(self.limit, float):
            return max(1, round(self.limit * available))
        return self.limit


ALL = Choice()


@dataclass(frozen=True)
class Verdict:
    """What validation says about a finished model.

    Attributes:
        threshold: logit from which a tile or pixel is called crack.
        target_recall: recall the threshold was chosen for, or None.
        metrics: for val_metrics.json and the sidecar.
        line: for the person who waits.
        warning: that the model is of no use, for the same; None about any other.
    """

    threshold: float
    target_recall: float | None
    metrics: dict[str, Any]
    line: str
    warning: str | None = None


class Task(ABC):
    """One kind of training.

    Attributes:
        name: as in `ModelSpec.task` and the sidecar.
        samples: what the data are called in messages.
    """

    name: str
    samples: str

    @abstractmethod
    def check(self, manifest: Manifest) -> None:
        """Refuse a manifest that cannot be trained or validated on.

        Raises:
            CrackError: saying what is missing.
        """

    @abstractmethod
    def load(self, manifest: Manifest, split: str, size: int, choice: Choice = ALL) -> Any:
        """A split's samples, `size` pixels wide."""

    @abstractmethod
    def plan(self, samples: Any, config: TrainConfig, epoch: int) -> EpochPlan:
        """Order and augmentation of an epoch, a function of (config.seed, epoch)."""

    @abstractmethod
    def batches(self, samples: Any, plan: EpochPlan, soften: Soften | None = None, strides: Sequence[int] = ()) -> Any:
        """Batches for `keras.Model.fit`; a classifier's teacher softens, and masks teach it cells of these strides."""

    @abstractmethod
    def row(self, model: Any, val: Any, config: TrainConfig) -> dict[str, float]:
        """Loss and metrics of one epoch on validation."""

    @abstractmethod
    def merit(self, row: Mapping[str, Any]) -> tuple[float, float]:
        """What the best epoch has most of."""

    @abstractmethod
    def line(self, row: Mapping[str, Any]) -> str:
        """The row's figures in a few words."""

    @abstractmethod
    def judge(self, model: Any, val: Any, config: TrainConfig, folder: Path) -> Verdict:
        """Choose the threshold on validation; pictures go to the run folder."""


class Classification(Task):
    """Tiles with a label. The best epoch has the highest specificity at the target recall; ties go to the lower loss."""

    name = "classify"
    samples = "tiles"

    def check(self, manifest: Manifest) -> None:
        _require_task(manifest, self.name)
        require_both_classes(manifest)

    def load(self, manifest: Manifest, split: str, size: int, choice: Choice = ALL) -> Tiles:
        available = len(manifest.split(split))
        if isinstance(choice.limit, float) and manifest.task == "mixed":
            # How many views the photographs give is known only once their masks are read.
            available = len(load_split(manifest, split, size))
        tiles = load_split(manifest, split, size, choice.count(available), choice.seed, choice.masks)
        if (
            split == "val" and len(set(tiles.labels.tolist())) < 2
        ):  # of a manifest that passed `check`, what is left of its split
            kept = f"--val-limit {choice.limit} leaves" if choice.limit else f"manifest {manifest.name} gives"
            raise CrackError(f"{kept} tiles of one class on validation, and no threshold can be chosen. Give more.")
        return tiles

    def plan(self, samples: Tiles, config: TrainConfig, epoch: int) -> EpochPlan:
        augmentation = Augmentation(adverse=config.adverse, camera=config.camera, zoom_out=config.zoom_out)
        return _plan(samples, config, augmentation.scaled(config.augmentation), epoch)

    def batches(
        self, samples: Tiles, plan: EpochPlan, soften: Soften | None = None, strides: Sequence[int] = ()
    ) -> Any:
        return training_batches(samples, plan, soften=soften, strides=strides)

    def row(self, model: Any, val: Tiles, config: TrainConfig) -> dict[str, float]:
        return validation_row(predict_logits(model, val.images), val.labels, config)

    def merit(self, row: Mapping[str, Any]) -> tuple[float, float]:
        return row["specificity_at_target"], -row["val_loss"]

    def line(self, row: Mapping[str, Any]) -> str:
        return f"recall {row['recall']:.4f}, specificity {row['specificity']:.4f}, AUC {row['auc']:.4f}"

    def judge(self, model: Any, val: Tiles, config: TrainConfig, folder: Path) -> Verdict:
        logits = predict_logits(model, val.images)
        threshold = select_threshold(logits, val.labels, config.target_recall)
        counts = confusion(logits, val.labels, threshold)
        title = f"{config.model}, validation, threshold {threshold:.2f}"
        plots.confusion_plot(counts, title, folder / "confusion_val.png")
        metrics = {"at_threshold": summary(counts), "at_half": summary(confusion(logits, val.labels, 0.0))}
        line = (
            f"validation recall {counts.recall:.4f} ({counts.true_positive}/{counts.positives}), specificity "
            f"{counts.specificity:.4f} ({counts.true_negative}/{counts.negatives}) at logit {threshold:.3f}"
        )
        warning = tells_nothing(counts, logits, val.labels)
        return Verdict(threshold, config.target_recall, metrics, line, warning)


class Segmentation(Task):
    """Patches with a mask. The best epoch has the highest pixel F1 at its own best threshold; ties go to the higher recall."""

    name = "segment"
    samples = "patches"

    def check(self, manifest: Manifest) -> None:
        _require_task(manifest, self.name)
        for split in ("train", "val"):
            if not any(item.label for item in manifest.split(split)):
                raise CrackError(
                    f"no mask of split {split!r} of manifest {manifest.name} shows a crack: add some, split again."
                )

    def load(self, manifest: Manifest, split: str, size: int, choice: Choice = ALL) -> Patches:
        draw: dict[str, Any] = {"seed": choice.seed, "empty_share": choice.empty_share}
        available = 0
        if isinstance(choice.limit, float):
            # How many patches a split has is known only once they are cut; that is done once, and cached.
            available = len(load_patches(manifest, split, size, **draw))
        return load_patches(manifest, split, size, limit=choice.count(available), **draw)

    def plan(self, samples: Patches, config: TrainConfig, epoch: int) -> EpochPlan:
        augmentation = PatchAugmentation(adverse=config.adverse, camera=config.camera)
        return _plan(samples, config, augmentation.scaled(config.augmentation), epoch)

    def batches(
        self, samples: Patches, plan: EpochPlan, soften: Soften | None = None, strides: Sequence[int] = ()
    ) -> Any:
        return patch_batches(samples, plan)

    def row(self, model: Any, val: Patches, config: TrainConfig) -> dict[str, float]:
        histogram, total = LogitHistogram(), 0.0
        loss = make_loss(config.loss, config.positive_weight, config.negative_weight)
        for _, logits, masks in _map_batches(model, val):
            histogram.add(logits, masks)
            # Dice and Tversky are those of a validation batch, not of the whole split, as they are in training.
            total += len(logits) * float(loss(masks[..., np.newaxis].astype(np.float32), logits[..., np.newaxis]))
        threshold = histogram.best_threshold()
        counts = histogram.counts(threshold)
        rates = {name: getattr(counts, name) for name in ("recall", "precision", "f1", "iou")}
        return {"val_loss": total / len(val), **rates, "threshold": float(sigmoid(threshold))}

    def merit(self, row: Mapping[str, Any]) -> tuple[float, float]:
        return row["f1"], row["recall"]

    def line(self, row: Mapping[str, Any]) -> str:
        return f"F1 {row['f1']:.4f}, IoU {row['iou']:.4f}, recall {row['recall']:.4f}, precision {row['precision']:.4f}"

    def judge(self, model: Any, val: Patches, config: TrainConfig, folder: Path) -> Verdict:
        histogram = LogitHistogram()
        for _, logits, masks in _map_batches(model, val):
            histogram.add(logits, masks)
        threshold = histogram.best_threshold()
        # Predicted a second time rather than kept: the maps of a large split do not fit in memory.
        strict: dict[str, PixelCounts] = {}
        tolerant: dict[str, PixelCounts] = {}
        for start, logits, masks in _map_batches(model, val):
            for number, (called, mask) in enumerate(zip(logits >= threshold, masks > 0, strict=True), start):
                photo = val.items[number].path
                for counts, tolerance in ((strict, 0), (tolerant, TOLERANCE)):
                    here = pixel_counts(called, mask, tolerance)
                    counts[photo] = counts[photo] + here if photo in counts else here
        metrics = {"at_threshold": summarise(list(strict.values()), list(tolerant.values()))}
        examples(model, val, threshold, folder / "masks_val.png")
        total = histogram.counts(threshold)
        line = (
            f"validation F1 {total.f1:.4f}, IoU {total.iou:.4f}, recall {total.recall:.4f}, precision {total.precision:.4f} "
            f"over the pixels of {len(strict)} photographs at logit {threshold:.3f}"
        )
        return Verdict(threshold, None, metrics, line)


_TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Segmentation())}


def task_of(model: str) -> Task:
    """What a registered model is trained for.

    Raises:
        CrackError: if there is no model of that name.
    """
    return _TASKS[get_model(model).task]


def _plan(samples: Tiles | Patches, config: TrainConfig, augmentation: Draws, epoch: int) -> EpochPlan:
    balance = None
    if config.balance is not None:
        domains = np.unique([domain_of(item) for item in samples.items], return_inverse=True)[1]
        balance = Balance(2 * domains + samples.labels, samples.labels, config.balance)
    steps = config.steps_per_epoch
    return plan_epoch(len(samples), config.batch, config.image_size, augmentation, config.seed, epoch, steps, balance)


def require_both_classes(manifest: Manifest) -> None:
    """Refuse a manifest whose training or validation split lacks a class: neither loss nor threshold would mean anything.

    Raises:
        CrackError: naming the split and the class.
    """
    for split in ("train", "val"):
        present = {item.label for item in manifest.split(split)}
        for label, name in enumerate(LABELS):
            if label not in present:
                raise CrackError(
                    f"split {split!r} of manifest {manifest.name} has no {name!r} tile: add some, split again."
                )


def validation_row(logits: np.ndarray, labels: np.ndarray, config: TrainConfig) -> dict[str, float]:
    """Loss and metrics of one epoch: recall, specificity, accuracy and F1 at probability 0.5, AUC, and the specificity
    at the threshold that reaches the target recall, which is what epochs are chosen by."""
    counts = confusion(logits, labels, 0.0)
    auc = roc_auc(logits, labels) if np.isfinite(logits).all() else None
    wide = logits.astype(np.float64)
    losses = np.where(
        labels == 1,
        config.positive_weight * np.logaddexp(0, -wide),
        config.negative_weight * np.logaddexp(0, wide),
    )
    return {
        "val_loss": float(losses.mean()),
        "recall": counts.recall,
        "specificity": counts.specificity,
        "accuracy": counts.accuracy,
        "f1": counts.f1,
        "auc": math.nan if auc is None else auc,
        "specificity_at_target": specificity_at_recall(logits, labels, config.target_recall),
    }


def examples(model: Any, patches: Patches, threshold: float, path: Path) -> None:
    """Some patches with a crack, spread over the split: above the photograph, below what was found, missed and wrongly called."""
    cracked = np.flatnonzero(patches.labels)
    chosen = cracked[np.unique(np.linspace(0, len(cracked) - 1, _EXAMPLES).round().astype(int))]
    photos, masks = patches.images[chosen], patches.masks[chosen]
    called = map_logits(model, photos) >= threshold
    below = [errors(*shown) for shown in zip(photos, called, masks > 0, strict=True)]
    sheet = np.concatenate([np.concatenate(list(photos), axis=1), np.concatenate(below, axis=1)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")


def _map_batches(model: Any, patches: Patches) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(number of the first, logits float32 (b, s, s), masks uint8 (b, s, s)), a few patches at a time."""
    for start in range(0, len(patches), _PATCHES):
        some = slice(start, start + _PATCHES)
        yield start, map_logits(model, patches.images[some]), patches.masks[some]


def _require_task(manifest: Manifest, task: str) -> None:
    if manifest.task in (task, "mixed"):
        return
    has, needs = ("masks", "tiles with labels only") if manifest.task == "segment" else ("no masks", "masks")
    raise CrackError(f"manifest {manifest.name} has {has}; this model needs {needs}. Choose other --data or --model.")
