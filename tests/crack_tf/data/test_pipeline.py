from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from crack_tf.data.augment import Augmentation
from crack_tf.data.cache import Tiles
from crack_tf.data.pipeline import Balance, EpochPlan, PlannedTiles, plan_epoch, training_batches
from tflite.manifest import Item

# Items name files; batches come from the arrays alone.
TILE = Item("", "", 0, "", "train")


def some_tiles(count: int = 20, size: int = 16) -> Tiles:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return Tiles(images, (np.arange(count) % 2).astype(np.int8), [TILE] * count)


def test_tf_data_and_pydataset_give_the_same_tiles() -> None:
    tiles = some_tiles()
    plan = plan_epoch(20, 6, 16, Augmentation(), seed=3, epoch=1)
    from_tf = list(training_batches(tiles, plan).as_numpy_iterator())
    dataset = PlannedTiles(tiles, plan)
    assert len(from_tf) == len(dataset) == 3
    for (images, labels), index in zip(from_tf, range(3), strict=True):
        other_images, other_labels = dataset[index]
        np.testing.assert_allclose(images, other_images, atol=1e-3)
        np.testing.assert_array_equal(labels, other_labels)
        assert images.dtype == np.float32
        assert labels.shape == (6, 1)


def test_labels_stay_with_their_tiles() -> None:
    tiles = some_tiles()
    tiles.images[tiles.labels == 1] = 255
    tiles.images[tiles.labels == 0] = 0
    plan = plan_epoch(20, 5, 16, Augmentation().scaled(0), seed=0, epoch=0)
    for images, labels in training_batches(tiles, plan).as_numpy_iterator():
        np.testing.assert_array_equal(images.mean((1, 2, 3)) > 128, labels[:, 0] == 1)


def test_epochs_differ_and_repeat_by_seed_alone() -> None:
    def draw(seed: int, epoch: int) -> tuple[bytes, bytes]:
        plan = plan_epoch(20, 5, 16, Augmentation(), seed, epoch)
        return plan.order.tobytes(), plan.parameters.tobytes()

    assert draw(0, 0) == draw(0, 0)
    assert draw(0, 0) != draw(0, 1)
    assert draw(0, 0) != draw(1, 0)


def test_each_tile_comes_at_most_once_and_steps_are_bounded() -> None:
    plan = plan_epoch(23, 5, 16, Augmentation(), 0, 0)
    assert plan.order.shape == (4, 5)
    assert len(np.unique(plan.order)) == 20
    assert plan_epoch(23, 5, 16, Augmentation(), 0, 0, steps=2).steps == 2
    assert plan_epoch(3, 64, 16, Augmentation(), 0, 0).order.shape == (1, 3)


def test_jax_backend_makes_the_same_tiles(tmp_path) -> None:
    """The GPU path: Keras on JAX, fed by the PyDataset, must see what TensorFlow sees."""
    pytest.importorskip("jax")
    tiles = some_tiles()
    plan = plan_epoch(20, 6, 16, Augmentation(), seed=3, epoch=1)
    expected = np.stack([images for images, _ in training_batches(tiles, plan).as_numpy_iterator()])
    code = (
        "import sys, numpy as np; from crack_tf.data.augment import Augmentation; from crack_tf.data.cache import Tiles;"
        "from crack_tf.data.pipeline import training_batches, plan_epoch;"
        "images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8);"
        "tiles = Tiles(images, (np.arange(20) % 2).astype(np.int8), [None] * 20);"
        "batches = training_batches(tiles, plan_epoch(20, 6, 16, Augmentation(), seed=3, epoch=1));"
        "np.save(sys.argv[1], np.stack([batches[i][0] for i in range(len(batches))]));"
        "assert 'tensorflow' not in sys.modules"
    )
    out = tmp_path / "jax.npy"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code, str(out)], check=True, env=environment)
    # Both interpolate in float32; where a sample lies on the border the two reflect within a rounding step of each other.
    np.testing.assert_allclose(np.load(out), expected, atol=0.5)


kinds_of_samples = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=60)


def balance_of(samples: list[tuple[int, int]], power: float) -> Balance:
    domains, labels = (np.array(part) for part in zip(*samples, strict=True))
    return Balance(2 * domains + labels, labels.astype(np.int8), power)


@given(samples=kinds_of_samples, count=st.integers(0, 200), power=st.floats(0, 1), seed=st.integers(0, 99))
def test_both_labels_are_drawn_equally_often_and_samples_of_a_kind_in_turn(
    samples: list[tuple[int, int]], count: int, power: float, seed: int
) -> None:
    balance = balance_of(samples, power)
    order = balance.order(count, np.random.default_rng(seed))
    assert len(order) == count
    np.testing.assert_array_equal(order, balance.order(count, np.random.default_rng(seed)))
    drawn = np.bincount(balance.labels[order], minlength=2)
    if set(balance.labels) == {0, 1}:
        assert abs(int(drawn[0]) - int(drawn[1])) <= 1
    often = np.bincount(order, minlength=len(samples))
    for kind in np.unique(balance.cells):
        assert np.ptp(often[balance.cells == kind]) <= 1


@pytest.mark.parametrize(("power", "shares"), [(0, (0.9, 0.1)), (0.5, (0.75, 0.25)), (1, (0.5, 0.5))])
def test_data_sets_are_drawn_by_their_size_its_root_or_all_alike(power: float, shares: tuple[float, float]) -> None:
    samples = [(domain, label) for label in (0, 1) for domain, size in ((0, 90), (1, 10)) for _ in range(size)]
    order = balance_of(samples, power).order(400, np.random.default_rng(0))
    cells = np.bincount(balance_of(samples, power).cells[order])
    np.testing.assert_array_equal(cells, np.array([shares[0], shares[0], shares[1], shares[1]]) * 200)


def test_a_balanced_epoch_is_a_function_of_seed_and_epoch_and_as_long_as_any() -> None:
    balance = balance_of([(0, 0)] * 15 + [(0, 1)] * 3 + [(1, 0)] * 5, 0.5)

    def plan(seed: int, epoch: int) -> EpochPlan:
        return plan_epoch(23, 5, 16, Augmentation(), seed, epoch, balance=balance)

    assert plan(0, 0).order.tobytes() == plan(0, 0).order.tobytes()
    assert plan(0, 0).order.tobytes() != plan(0, 1).order.tobytes()
    assert plan(0, 0).order.tobytes() != plan(1, 0).order.tobytes()
    assert plan(0, 0).order.shape == (4, 5)
    assert balance.labels[plan(0, 0).order].sum() == 10


def test_without_balance_an_epoch_is_drawn_as_ever() -> None:
    plan = plan_epoch(23, 5, 16, Augmentation(), 3, 2)
    rng = np.random.default_rng([3, 2])
    np.testing.assert_array_equal(plan.order.ravel(), rng.permutation(23)[:20])
    np.testing.assert_array_equal(plan.parameters.reshape(20, -1), Augmentation().draw(20, 16, rng))
