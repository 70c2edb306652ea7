from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from crack_tf.data.augment import Augmentation
from crack_tf.data.cache import Tiles
from crack_tf.data.pipeline import PlannedTiles, plan_epoch, training_batches
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
