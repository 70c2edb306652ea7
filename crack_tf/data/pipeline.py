"""Training batches from decoded tiles: tf.data under TensorFlow, a PyDataset on other backends, the same tiles from both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from crack_tf.data.augment import PARAMETERS, Augment, Augmentation
from crack_tf.data.cache import Tiles


@dataclass(frozen=True)
class EpochPlan:
    """Which tile goes where in one epoch, and how it is augmented: a function of (seed, epoch) alone.

    Attributes:
        order: int64 (steps, batch), indices into the tiles.
        parameters: float32 (steps, batch, PARAMETERS).
    """

    order: np.ndarray
    parameters: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.order)


def plan_epoch(
    count: int, batch: int, size: int, augmentation: Augmentation, seed: int, epoch: int, steps: int | None = None
) -> EpochPlan:
    """Draw an epoch.

    Every tile comes at most once. A last batch that would be smaller is dropped (other tiles fall out each epoch): batch
    statistics over a handful of tiles are noise, and one shape compiles once.

    Args:
        count: tiles in the training split.
        batch: tiles per step; at most `count` are used.
        size: side of a tile in pixels.
        augmentation: how far tiles are changed.
        seed: of the run.
        epoch: number of the epoch, from 0.
        steps: at most this many batches, or None for all.
    """
    rng = np.random.default_rng([seed, epoch])
    batch = min(batch, count)
    available = count // batch
    steps = available if steps is None else min(steps, available)
    order = rng.permutation(count)[: steps * batch].reshape(steps, batch)
    parameters = augmentation.draw(steps * batch, size, rng).reshape(steps, batch, PARAMETERS)
    return EpochPlan(order, parameters)


def training_batches(tiles: Tiles, plan: EpochPlan, workers: int = 2) -> Any:
    """Batches for `keras.Model.fit`: (float32 (b, s, s, 3) pixels 0..255, float32 (b, 1) labels), in the plan's order.

    Args:
        tiles: the decoded split.
        plan: from `plan_epoch`.
        workers: batches prepared at the same time.

    Returns:
        A tf.data.Dataset when Keras runs on TensorFlow, else a PyDataset.
    """
    dataset = PlannedTiles(tiles, plan, workers=workers)
    return _tf_dataset(dataset, workers) if keras.backend.backend() == "tensorflow" else dataset


class PlannedTiles(keras.utils.PyDataset):
    """An epoch plan as a random-access data set for any backend; `fit` must not shuffle it."""

    def __init__(self, tiles: Tiles, plan: EpochPlan, workers: int = 1) -> None:
        super().__init__(workers=workers, max_queue_size=2 * workers)
        self._tiles = tiles
        self._plan = plan
        self._augment = Augment()

    def __len__(self) -> int:
        return self._plan.steps

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        return tuple(self._tiles.images.shape[1:])

    @property
    def batch(self) -> int:
        return int(self._plan.order.shape[1])

    def gather(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One batch before augmentation: uint8 pixels, parameters, labels."""
        chosen = self._plan.order[index]
        labels = self._tiles.labels[chosen].astype(np.float32)[:, None]
        return self._tiles.images[chosen], self._plan.parameters[index], labels

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, parameters, labels = self.gather(index)
        return keras.ops.convert_to_numpy(self._augment(images, parameters)), labels


def _tf_dataset(planned: PlannedTiles, workers: int) -> Any:
    import tensorflow as tf

    augment = Augment()
    batch = planned.batch

    def gather(index: Any) -> Any:
        images, parameters, labels = tf.numpy_function(
            lambda i: planned.gather(int(i)), [index], (tf.uint8, tf.float32, tf.float32), stateful=False
        )
        images = tf.ensure_shape(images, (batch, *planned.tile_shape))
        parameters = tf.ensure_shape(parameters, (batch, PARAMETERS))
        return augment(images, parameters), tf.ensure_shape(labels, (batch, 1))

    dataset = tf.data.Dataset.range(len(planned))
    return dataset.map(gather, num_parallel_calls=workers, deterministic=True).prefetch(2)
