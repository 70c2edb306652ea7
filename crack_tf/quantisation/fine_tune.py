"""Quantisation-aware fine-tuning of an export: which batches, which settings; `tflite.qat` does the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.progress import say_now
from crack_tf.data.cache import Tiles
from crack_tf.quantisation.config import ExportConfig
from crack_tf.quantisation.data import Data, Source
from tflite import qat

_BATCH = {"classify": 32, "segment": 8}
_TURNS = 8  # four quarter turns, each also mirrored


def quantise_aware(
    config: ExportConfig, source: Source, data: Data, checkpoint: Path, resume: bool
) -> tuple[Any, dict[str, Any]]:
    """Fine-tune the quantised twin, resumably; returns it with a record of how."""
    assert data.train is not None
    truth = data.train.labels if isinstance(data.train, Tiles) else data.train.masks
    training = source.sidecar.training
    batch = min(config.qat_batch or _BATCH[source.sidecar.task], len(data.train))
    steps = config.qat_epochs * (len(data.train) // batch)
    settings = qat.QatSettings(
        steps=min(steps, config.qat_steps or steps),
        learning_rate=config.qat_learning_rate,
        positive_weight=float(training.get("positive_weight", 1.0)),
        negative_weight=float(training.get("negative_weight", 1.0)),
    )
    fingerprint = {
        "model": source.sidecar.sha256,
        "manifest": data.manifest.sha256,
        "calibration_samples": len(data.calibration),
        "batch": batch,
        "seed": config.seed,
    }
    twin = qat.build_twin(lambda keras: source.build(keras, raw_pixels=False), source.weights, data.calibration)
    loss = qat.fine_tune(
        twin,
        settings,
        qat_batches(data.train.images, truth, batch, config.seed),
        checkpoint,
        fingerprint=fingerprint,
        resume=resume,
        say=say_now,
    )
    record: dict[str, Any] = {"steps": settings.steps, "batch": batch, "learning_rate": settings.learning_rate}
    return twin, record | {"final_loss": round(loss, 6) if np.isfinite(loss) else None, "seed": config.seed}


def qat_batches(
    images: np.ndarray, labels: np.ndarray, batch: int, seed: int
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Batches for QAT, each a function of its step alone, so that a resumed fine-tune sees what it would have seen.

    Every tile comes once per epoch, mirrored or turned at random by quarter turns: a crack has no upright. Training's stronger
    augmentation is left out, since the observers should see pixels as the camera delivers them.

    Args:
        images: uint8 (n, s, s, 3).
        labels: (n,), or masks (n, s, s), which turn with their tiles.
        batch: tiles per step, 1 <= batch <= n.
        seed: of order and turns.
    """
    per_epoch = len(images) // batch

    def batch_at(step: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, number = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        chosen = np.sort(order[number * batch : (number + 1) * batch])  # sorted: neighbours on disk are read together
        turns = np.random.default_rng([seed, epoch, number]).integers(_TURNS, size=batch)
        tiles = np.stack([_turn(images[i], int(turn)) for i, turn in zip(chosen, turns, strict=True)])
        truth = labels[chosen]
        if labels.ndim > 1:
            truth = np.stack([_turn(mask, int(turn)) for mask, turn in zip(truth, turns, strict=True)])
        return tiles, np.asarray(truth)

    return batch_at


def _turn(tile: np.ndarray, number: int) -> np.ndarray:
    """One of the eight mirrored and turned versions of a tile."""
    turned = np.rot90(tile, number % 4)
    return turned[:, ::-1] if number >= 4 else turned
