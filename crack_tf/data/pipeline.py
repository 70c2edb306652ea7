"""Training batches from decoded tiles: tf.data under TensorFlow, a PyDataset on other backends, the same tiles from both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from crack_tf.data.augment import Augment, warp
from crack_tf.data.cache import UNKNOWN, Tiles

_CRACKED = 0.4  # of a pixel that is warped from some with a crack and some without
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


def training_batches(
    tiles: Tiles, plan: EpochPlan, workers: int = 2, soften: Soften | None = None, strides: Sequence[int] = ()
) -> Any:
    """Batches for `keras.Model.fit`: (float32 (b, s, s, 3) pixels 0..255, float32 (b, 1) labels), in the plan's order.

    Where the tiles have masks, the targets are those of `crack_tf.models.heads.with_cells`: "logit" the labels, and for each stride
    whether a cell has a crack, (b, rows, columns, 1): 0 or 1, UNKNOWN where a cracked tile has no mask.

    Args:
        tiles: the decoded split.
        plan: from `plan_epoch`.
        workers: batches prepared at the same time.
        soften: makes targets of the tiles that are trained on and their labels, see `crack_tf.training.teacher`.
        strides: of the cells that masks teach, in pixels; none where the tiles come without masks.

    Returns:
        A tf.data.Dataset when Keras runs on TensorFlow, else a PyDataset.
    """
    return as_batches(PlannedTiles(tiles, plan, workers, soften, strides), workers)


class Planned(keras.utils.PyDataset):
    """An epoch plan as a random-access data set for any backend; `fit` must not shuffle it."""

    def __init__(self, plan: EpochPlan, workers: int = 1) -> None:
        super().__init__(workers=workers, max_queue_size=2 * workers)
        self.plan = plan

    def __len__(self) -> int:
        return self.plan.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        found: tuple[np.ndarray, ...] = keras.tree.map_structure(
            keras.ops.convert_to_numpy, self.augment(*self.gather(index))
        )
        return found

    @abstractmethod
    def gather(self, index: int) -> tuple[np.ndarray, ...]:
        """One batch before augmentation."""

    @abstractmethod
    def augment(self, *gathered: Any) -> tuple[Any, Any]:
        """Inputs and targets from what `gather` gives, as arrays or tensors."""


class PlannedTiles(Planned):
    """Tiles and labels by an epoch plan, and cells of their masks."""

    def __init__(
        self,
        tiles: Tiles,
        plan: EpochPlan,
        workers: int = 1,
        soften: Soften | None = None,
        strides: Sequence[int] = (),
    ) -> None:
        super().__init__(plan, workers)
        self._tiles = tiles
        self._augment = Augment()
        self._soften = soften
        self._strides = strides

    def gather(self, index: int) -> tuple[np.ndarray, ...]:
        """uint8 pixels (b, s, s, 3), parameters of the plan, float32 labels (b, 1), and uint8 masks (b, s, s) where cells are taught."""
        chosen = self.plan.order[index]
        labels = self._tiles.labels[chosen].astype(np.float32)[:, None]
        found = self._tiles.images[chosen], self.plan.parameters[index], labels
        return (*found, self._tiles.masks[chosen]) if self._strides and self._tiles.masks is not None else found

    def augment(self, *gathered: Any) -> tuple[Any, Any]:
        images, parameters, labels, *masks = gathered
        pixels = self._augment(images, parameters)
        targets = labels if self._soften is None else self._soften(pixels, labels)
        if masks:
            drawn = warp(keras.ops.cast(masks[0][..., None], "float32"), parameters)
            targets = {"logit": targets, **{f"cells_{stride}": _cells(drawn, stride) for stride in self._strides}}
        return pixels, targets


def _cells(masks: Any, stride: int) -> Any:
    """1 where any of a cell's pixels is a crack's, as warping left it, UNKNOWN without a mask: (b, s, s, 1) to (b, rows, columns, 1)."""
    most = keras.ops.max_pool(masks, stride, strides=stride, padding="same")
    return keras.ops.where(most > 1, float(UNKNOWN), keras.ops.cast(most > _CRACKED, "float32"))


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
