"""Training batches from decoded tiles: tf.data under TensorFlow, a PyDataset on other backends, the same tiles from both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from crack_tf.data.augment import Augment
from crack_tf.data.cache import Tiles

# Targets (b, 1) of pixels (b, s, s, 3) and labels (b, 1).
Soften = Callable[[Any, Any], Any]


class Draws(Protocol):
    """What `plan_epoch` needs of an augmentation."""

    def draw(self, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Parameters for `count` tiles of `size` pixels: float32 (count, numbers)."""


@dataclass(frozen=True)
class EpochPlan:
    """Which tile goes where in one epoch, and how it is augmented: a function of (seed, epoch) alone.

    Attributes:
        order: int64 (steps, batch), indices into the tiles.
        parameters: float32 (steps, batch, numbers), as the augmentation drew them.
    """

    order: np.ndarray
    parameters: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Balance:
    """How often samples of each kind are drawn, where sets of very different size are learned together.

    Attributes:
        cells: int64 (n,), kind of each sample: its data set and label.
        labels: int8 (n,), 0 or 1; both are drawn equally often, to within one sample.
        power: within a label 0 draws a data set as often as it has samples, 1 all data sets equally often, 0.5 by the root of their
            size.
    """

    cells: np.ndarray
    labels: np.ndarray
    power: float

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 (count,): samples in random order; one of a small kind comes again only when all of its kind have come."""
        kinds, first, sizes = np.unique(self.cells, return_index=True, return_counts=True)
        shares = sizes.astype(float) ** (1 - self.power)
        of_label = self.labels[first]
        present = np.unique(of_label)
        numbers = np.zeros(len(kinds), int)
        for label, total in zip(present, _apportioned(np.ones(len(present)), count), strict=True):
            numbers[of_label == label] = _apportioned(shares[of_label == label], total)
        drawn = []
        for kind, number in zip(kinds, numbers, strict=True):
            members = np.flatnonzero(self.cells == kind)
            rounds = [rng.permutation(members) for _ in range(-(-number // len(members)))]
            drawn.append(np.concatenate(rounds)[:number] if rounds else members[:0])
        return rng.permutation(np.concatenate(drawn))


def _apportioned(shares: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers in proportion to the shares that sum up to `count`: the largest remainders are rounded up."""
    wanted = shares / shares.sum() * count
    numbers = np.floor(wanted).astype(int)
    numbers[np.argsort(numbers - wanted, kind="stable")[: count - numbers.sum()]] += 1
    return numbers


def plan_epoch(
    count: int,
    batch: int,
    size: int,
    augmentation: Draws,
    seed: int,
    epoch: int,
    steps: int | None = None,
    balance: Balance | None = None,
) -> EpochPlan:
    """Draw an epoch.

    Every tile comes at most once, unless kinds of tiles are balanced. A last batch that would be smaller is dropped (other tiles
    fall out each epoch): batch statistics over a handful of tiles are noise, and one shape compiles once.

    Args:
        count: tiles in the training split.
        batch: tiles per step; at most `count` are used.
        size: side of a tile in pixels.
        augmentation: how far tiles are changed.
        seed: of the run.
        epoch: number of the epoch, from 0.
        steps: at most this many batches, or None for all.
        balance: of kinds of tiles, or None to take them as they come.
    """
    rng = np.random.default_rng([seed, epoch])
    batch = min(batch, count)
    available = count // batch
    steps = available if steps is None else min(steps, available)
    order = rng.permutation(count)[: steps * batch] if balance is None else balance.order(steps * batch, rng)
    order = order.reshape(steps, batch)
    parameters = augmentation.draw(steps * batch, size, rng).reshape(steps, batch, -1)
    return EpochPlan(order, parameters)


def training_batches(tiles: Tiles, plan: EpochPlan, workers: int = 2, soften: Soften | None = None) -> Any:
    """Batches for `keras.Model.fit`: (float32 (b, s, s, 3) pixels 0..255, float32 (b, 1) labels), in the plan's order.

    Args:
        tiles: the decoded split.
        plan: from `plan_epoch`.
        workers: batches prepared at the same time.
        soften: makes targets of the tiles that are trained on and their labels, see `crack_tf.training.teacher`.

    Returns:
        A tf.data.Dataset when Keras runs on TensorFlow, else a PyDataset.
    """
    return as_batches(PlannedTiles(tiles, plan, workers, soften), workers)


class Planned(keras.utils.PyDataset):
    """An epoch plan as a random-access data set for any backend; `fit` must not shuffle it."""

    def __init__(self, plan: EpochPlan, workers: int = 1) -> None:
        super().__init__(workers=workers, max_queue_size=2 * workers)
        self.plan = plan

    def __len__(self) -> int:
        return self.plan.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(keras.ops.convert_to_numpy(part) for part in self.augment(*self.gather(index)))

    @abstractmethod
    def gather(self, index: int) -> tuple[np.ndarray, ...]:
        """One batch before augmentation."""

    @abstractmethod
    def augment(self, *gathered: Any) -> tuple[Any, Any]:
        """Inputs and targets from what `gather` gives, as arrays or tensors."""


class PlannedTiles(Planned):
    """Tiles and labels by an epoch plan."""

    def __init__(self, tiles: Tiles, plan: EpochPlan, workers: int = 1, soften: Soften | None = None) -> None:
        super().__init__(plan, workers)
        self._tiles = tiles
        self._augment = Augment()
        self._soften = soften

    def gather(self, index: int) -> tuple[np.ndarray, ...]:
        """uint8 pixels (b, s, s, 3), parameters of the plan, float32 labels (b, 1)."""
        chosen = self.plan.order[index]
        labels = self._tiles.labels[chosen].astype(np.float32)[:, None]
        return self._tiles.images[chosen], self.plan.parameters[index], labels

    def augment(self, *gathered: Any) -> tuple[Any, Any]:
        images, parameters, labels = gathered
        pixels = self._augment(images, parameters)
        return pixels, labels if self._soften is None else self._soften(pixels, labels)


def as_batches(planned: Planned, workers: int) -> Any:
    """The data set as `fit` takes it fastest: a tf.data.Dataset when Keras runs on TensorFlow, else as it is."""
    return _tf_dataset(planned, workers) if keras.backend.backend() == "tensorflow" else planned


def _tf_dataset(planned: Planned, workers: int) -> Any:
    import tensorflow as tf

    kinds = [(tf.as_dtype(part.dtype), part.shape) for part in planned.gather(0)]

    def gather(index: Any) -> Any:
        parts = tf.numpy_function(
            lambda i: planned.gather(int(i)), [index], [kind for kind, _ in kinds], stateful=False
        )
        return planned.augment(*(tf.ensure_shape(part, shape) for part, (_, shape) in zip(parts, kinds, strict=True)))

    dataset = tf.data.Dataset.range(len(planned))
    return dataset.map(gather, num_parallel_calls=workers, deterministic=True).prefetch(2)
