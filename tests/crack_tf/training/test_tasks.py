from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("keras")

from crack_tf.data.patches import Patches
from crack_tf.evaluation.pixels import pixel_counts
from crack_tf.training.config import TrainConfig
from crack_tf.training.tasks import ALL, Choice, task_of
from tests.pairs_on_disk import write_pairs
from tflite.device.tiles import Box
from tflite.manifest import Item

SIZE = 32
CONFIG = TrainConfig(model="unet", image_size=SIZE)


class Darkness:
    """Stands for a model: the logit is how much darker than 100 a pixel is."""

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        return (100 - pixels[..., :1]) / 50


def patches_of(photos: list[str]) -> Patches:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (len(photos), SIZE, SIZE, 3)).astype(np.uint8)
    masks = (images[..., 0] < 90 + rng.integers(-60, 60, images.shape[:3])).astype(np.uint8)
    items = [Item(path, "", 1, path, "val") for path in photos]
    return Patches(images, masks, items, [Box(0, 0, SIZE, SIZE)] * len(photos))


@pytest.mark.parametrize(
    ("limit", "available", "count"), [(None, 50, None), (7, 50, 7), (0.1, 50, 5), (0.1, 3, 1), (0.999, 1000, 999)]
)
def test_a_choice_is_a_number_or_a_rounded_share_of_at_least_one(limit: float, available: int, count: int) -> None:
    assert Choice(limit).count(available) == count


def test_an_epochs_figures_are_those_at_its_best_threshold_over_all_pixels() -> None:
    patches = patches_of(["a"] * 20)  # more than one batch
    row = task_of("unet").row(Darkness(), patches, CONFIG)
    logits = Darkness().predict_on_batch(patches.images.astype(np.float32))[..., 0]
    threshold = np.log(row["threshold"] / (1 - row["threshold"]))
    called, truth = logits >= threshold - 1e-9, patches.masks == 1
    hits = float((called & truth).sum())
    assert row["recall"] == pytest.approx(hits / truth.sum())
    assert row["precision"] == pytest.approx(hits / called.sum())
    assert row["iou"] == pytest.approx(hits / (called | truth).sum())
    for other in (logits >= cut for cut in (-2, -1, 0, 1)):
        assert row["f1"] >= 2 * (other & truth).sum() / (other.sum() + truth.sum()) - 1e-9
    cross_entropy = np.where(truth, np.logaddexp(0, -logits), np.logaddexp(0, logits)).mean()
    assert row["val_loss"] == pytest.approx(cross_entropy, rel=1e-5)


def test_the_verdict_counts_photographs_not_patches(tmp_path: Path) -> None:
    patches = patches_of(["a", "a", "b"])
    verdict = task_of("unet").judge(Darkness(), patches, CONFIG, tmp_path)
    metrics = verdict.metrics["at_threshold"]
    called = Darkness().predict_on_batch(patches.images.astype(np.float32))[..., 0] >= verdict.threshold
    counts = [pixel_counts(c, m == 1) for c, m in zip(called, patches.masks, strict=True)]
    assert metrics["photographs"] == 2
    assert metrics["f1"] == pytest.approx((counts[0] + counts[1] + counts[2]).f1)
    assert metrics["mean_f1"] == pytest.approx(((counts[0] + counts[1]).f1 + counts[2].f1) / 2)
    assert metrics["tolerant_f1"] >= metrics["f1"]
    assert verdict.target_recall is None
    assert "2 photographs" in verdict.line
    with Image.open(tmp_path / "masks_val.png") as sheet:
        assert sheet.size == (3 * SIZE, 2 * SIZE)


def test_patches_are_limited_by_number_and_by_share_and_crack_free_ones_can_stay_out(tmp_path: Path) -> None:
    manifest, task = write_pairs(tmp_path), task_of("unet")
    every = task.load(manifest, "train", 32, ALL)
    assert len(task.load(manifest, "train", 32, Choice(3))) == 3
    assert len(task.load(manifest, "train", 32, Choice(0.5))) == round(len(every) / 2)
    cracked = task.load(manifest, "train", 32, Choice(empty_share=0.0))
    assert cracked.labels.all()
    assert len(cracked) == every.labels.sum()
    share = task.load(manifest, "train", 32, Choice(0.5, empty_share=0.0))
    assert len(share) == round(len(cracked) / 2)


def test_the_plan_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    patches, task = patches_of(["a"] * 8), task_of("unet")
    settings = TrainConfig(model="unet", image_size=SIZE, batch=4)
    one, again, other = (task.plan(patches, settings, epoch) for epoch in (2, 2, 3))
    np.testing.assert_array_equal(one.parameters, again.parameters)
    assert not np.array_equal(one.parameters, other.parameters)
    assert one.steps == 2
