"""The last blocks of a classifier trained on a few dozen tiles of a structure, among tiles of others, and drawn half-way back.

Four things keep so few labels from spoiling what thousands of tiles taught. Every batch is half of the structure's tiles, as many of
each kind, and half of other structures', whose targets are the shipped model's own answers (learning without forgetting: Li, Hoiem,
ECCV 2016). Statistics of batch normalisation stay. The training is short and its rate falls to nearly nothing. And what is handed over
lies half-way between the shipped weights and the trained ones (WiSE-FT: Wortsman et al., CVPR 2022), which tells cracks apart better
than either and forgets less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crack_tf.common.progress import bar, say_now
from crack_tf.data.augment import Augment, Augmentation
from crack_tf.models import get_model
from crack_tf.models.keras_models import load_keras
from tflite.metrics import sigmoid
from tflite.sidecar import Sidecar
from tflite.words import counted

BATCH = 32  # half of it the structure's
RATE, LAST_RATE = 3e-4, 0.05  # Adam's at the first step, and the share of it that is left at the last
WAY = 0.5  # from the shipped weights to the trained ones


@dataclass(frozen=True)
class Lesson:
    """What is learned from.

    Attributes:
        images: uint8 (n, s, s, 3), of the structure; where a fold leaves one kind alone, others teach what the other is.
        labels: (n,), 1 is cracked.
        others: uint8 (m, s, s, 3), of other structures; m may be 0.
        answers: float32 (m,), the shipped model's logits on these.
    """

    images: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    answers: np.ndarray


def tune_blocks(path: Path, sidecar: Sidecar, lesson: Lesson, blocks: int, steps: int, seed: int, title: str) -> Any:
    """Train a shipped model's last blocks on a lesson.

    Args:
        path: of the shipped .keras file.
        sidecar: the file's.
        lesson: with at least one tile.
        blocks: how many train, see the registry; all of a network that has fewer.
        steps: batches.
        seed: of batches and augmentation.
        title: of the line that is told, and of the progress bar.

    Returns:
        The Keras model half-way between the shipped one and the trained one.
    """
    keras.utils.set_random_seed(seed)
    model: Any = load_keras(path)
    shipped = model.get_weights()
    spec = get_model(sidecar.model)
    if spec.set_trainable is not None:
        spec.set_trainable(model, min(blocks, spec.blocks))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # a few dozen tiles say too little of means and variances
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps, alpha=LAST_RATE)
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    # Else the first step is traced twice, as in `crack_tf.training.loop`.
    model.optimizer.build(model.trainable_variables)
    batches = _batches(lesson, sidecar.image_size, steps, seed)
    say_now(f"{title}: {counted(steps, 'batch', 'batches')}")  # a log file hears of the first steps after half a minute
    for pixels, targets in bar(batches, title, steps, "step"):
        model.train_on_batch(pixels, targets)
    trained = model.get_weights()
    model.set_weights([old + WAY * (new - old) for old, new in zip(shipped, trained, strict=True)])
    return model


def _batches(lesson: Lesson, size: int, steps: int, seed: int) -> Iterator[tuple[Any, np.ndarray]]:
    """(float32 pixels (b, s, s, 3), float32 targets (b, 1)) of every step, augmented as tiles are in training."""
    rng, augment, augmentation = np.random.default_rng(seed), Augment(), Augmentation()
    found = (np.flatnonzero(np.asarray(lesson.labels) == label) for label in (0, 1))
    kinds = [places for places in found if len(places)]
    soft = sigmoid(lesson.answers.astype(np.float64))
    for _ in range(steps):
        own = np.concatenate([rng.choice(places, BATCH // 2 // len(kinds)) for places in kinds])
        other = rng.choice(len(soft), BATCH // 2) if len(soft) else np.zeros(0, int)
        pixels = np.concatenate([lesson.images[own], lesson.others[other]])
        targets = np.concatenate([lesson.labels[own] == 1, soft[other]]).astype(np.float32)
        yield augment(pixels, augmentation.draw(len(pixels), size, rng)), targets[:, np.newaxis]
