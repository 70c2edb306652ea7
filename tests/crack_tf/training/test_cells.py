"""What masks teach a classifier beside the label: where in the tile the crack is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from crack_tf.data.augment import Augmentation  # noqa: E402
from crack_tf.data.cache import UNKNOWN, Tiles, load_split, mask_at  # noqa: E402
from crack_tf.data.pipeline import PlannedTiles, plan_epoch, training_batches  # noqa: E402
from crack_tf.models.heads import with_cells, without_cells  # noqa: E402
from crack_tf.models.keras_models import load_keras, predict_logits  # noqa: E402
from crack_tf.training.config import TrainConfig  # noqa: E402
from crack_tf.training.loop import fit, initial_model, train  # noqa: E402
from crack_tf.training.losses import CellLoss  # noqa: E402
from tests.crack_tf.training.test_loop import config, last_weights, separable_tiles  # noqa: E402
from tests.mixed_on_disk import write_mixed  # noqa: E402
from tflite.errors import CrackError  # noqa: E402
from tflite.manifest import read_manifest, write_manifest  # noqa: E402

STILL = Augmentation().scaled(0)
TAUGHT: dict[str, Any] = {"model": "mobilenet_v2", "mask_weight": 0.5}


def masked_tiles(count: int = 16) -> Tiles:
    """Tiles with a black bar and the mask that shows it; the mask of every fourth cracked one is not known."""
    tiles = separable_tiles(count)
    masks = np.zeros(tiles.images.shape[:3], np.uint8)
    masks[tiles.labels == 1, 12:20] = 1
    masks[1::8] = UNKNOWN
    return replace(tiles, masks=masks)


@given(side=st.integers(1, 90), size=st.integers(1, 64), seed=st.integers(0, 99))
def test_no_hairline_is_lost_to_a_smaller_mask(side: int, size: int, seed: int) -> None:
    mask = np.zeros((side, side), bool)
    row, column = np.random.default_rng(seed).integers(0, side, 2)
    mask[row, column] = True
    small = mask_at(mask, size)
    assert small.shape == (size, size)
    if size <= side:
        assert small.sum() == 1
        assert small[np.searchsorted(np.arange(size) * side // size, row, "right") - 1].any()
    assert (mask_at(~np.zeros_like(mask), size) == 1).all()


def test_masks_are_cut_and_reduced_with_their_views(tmp_path: Path) -> None:
    manifest = write_mixed(tmp_path)
    plain, tiles = (load_split(manifest, "train", 24, masks=masks) for masks in (False, True))
    assert plain.masks is None
    assert tiles.masks is not None
    assert tiles.masks.shape == tiles.images.shape[:3]
    np.testing.assert_array_equal(plain.images, tiles.images)
    for mask, label, item in zip(tiles.masks, tiles.labels, tiles.items, strict=True):
        expected = {0} if not label else {0, 1} if item.mask else {UNKNOWN}
        assert set(np.unique(mask)) == expected


def test_a_cell_is_cracked_where_the_warped_mask_is() -> None:
    tiles = masked_tiles()
    plan = plan_epoch(16, 8, 32, STILL, seed=0, epoch=0)
    from_tf = list(training_batches(tiles, plan, strides=(16, 32)).as_numpy_iterator())
    for number, (pixels, targets) in enumerate(from_tf):
        other_pixels, other = PlannedTiles(tiles, plan, strides=(16, 32))[number]
        np.testing.assert_allclose(pixels, other_pixels, atol=1e-3)
        assert set(targets) == {"logit", "cells_16", "cells_32"}
        for name, values in targets.items():
            np.testing.assert_array_equal(values, other[name])
        for index, label, coarse, fine in zip(plan.order[number], *(targets[name] for name in other), strict=True):
            assert label[0] == index % 2
            expected = UNKNOWN if index % 8 == 1 else index % 2
            assert (coarse == expected).all()
            assert fine.shape == (1, 1, 1)
            assert fine[0, 0, 0] == expected


def test_the_loss_knows_nothing_of_tiles_without_a_mask() -> None:
    rng = np.random.default_rng(0)
    truth, logits = rng.integers(0, 2, (4, 2, 2, 1)).astype(np.float32), rng.normal(size=(4, 2, 2, 1)).astype("f")
    known = float(CellLoss()(truth[:3], logits[:3]))
    wide = logits[:3].astype(float)
    assert known == pytest.approx(float(np.mean(np.logaddexp(0, np.where(truth[:3] == 1, -wide, wide)))), rel=1e-5)
    truth[3] = UNKNOWN
    assert float(CellLoss()(truth, logits)) == pytest.approx(known, rel=1e-5)
    assert float(CellLoss()(truth[3:], logits[3:])) == 0


def test_the_classifier_inside_is_the_one_that_was_wrapped() -> None:
    model = initial_model(config("mobilenet_v2"))
    learner = with_cells(keras, model, {16: "block_13_expand_relu", 32: "out_relu"})
    tiles = separable_tiles(4).images
    inner = without_cells(keras, learner)
    np.testing.assert_allclose(predict_logits(inner, tiles), predict_logits(model, tiles), rtol=1e-5)
    assert [weight.path for weight in inner.weights] == [weight.path for weight in model.weights]
    assert without_cells(keras, model) is model


@pytest.mark.usefixtures("untraced")
def test_taught_by_masks_it_learns_resumes_and_ends_as_a_classifier(tmp_path: Path) -> None:
    tiles = masked_tiles()
    settings = config(**TAUGHT, epochs=2)
    model = fit(settings, tiles, tiles, tmp_path / "whole")
    assert model.output_shape == (None, 1)
    loaded = load_keras(tmp_path / "whole" / "checkpoints" / "epoch-002.keras")
    assert loaded.output_shape == (None, 1)
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole", cut)
    (cut / "checkpoints" / "epoch-002.keras").unlink()
    fit(settings, tiles, tiles, cut)
    plain = fit(replace(settings, mask_weight=0.0), tiles, tiles, tmp_path / "plain").get_weights()
    whole = last_weights(tmp_path / "whole", 2)
    for one, other in zip(whole, last_weights(cut, 2), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert any(not np.allclose(one, other, atol=1e-4) for one, other in zip(whole, plain, strict=True))


def test_what_has_no_masks_or_no_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"--mask-weight 0\.5: masks teach mobilenet_v2 where a crack is, not opnet"):
        TrainConfig(model="opnet", mask_weight=0.5)
    with pytest.raises(CrackError, match="--mask-weight 11: give a weight from 0"):
        TrainConfig(mask_weight=11)
    mixed = write_mixed(tmp_path / "mixed")
    bare = tmp_path / "tiles.csv"
    tiles = tuple(replace(item, mask="", mask_sha256="") for item in mixed.items)
    write_manifest(bare, replace(mixed, items=tiles, source=None))
    assert read_manifest(bare).task == "classify"
    with pytest.raises(CrackError, match=r"--mask-weight 0\.5: manifest .* has no masks\. Mix a set in"):
        train(config(**TAUGHT, data=str(bare)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("untraced")
def test_the_highest_cell_counts_beside_what_is_pooled(tmp_path: Path) -> None:
    """Such a classifier starts from one without cells, learns with masks, and is a file that looks twice as any other."""
    plain = initial_model(config("mobilenet_v2"))
    plain.save(tmp_path / "plain.keras")
    settings = config(
        **TAUGHT | {"hyperparameters": {"alpha": 0.35, "cells": 16}}, init_from=str(tmp_path / "plain.keras")
    )
    model = initial_model(settings)
    tiles = masked_tiles()
    pixels = tiles.images.astype(np.float32)
    peak = keras.Model(model.input, model.get_layer("features_peak").output).predict_on_batch(pixels)
    map_of = keras.Model(model.input, model.get_layer("cells_16").output).predict_on_batch(pixels)
    np.testing.assert_allclose(peak[:, 0], map_of.max(axis=(1, 2, 3)), rtol=1e-5)
    expected = (predict_logits(plain, tiles.images) + peak[:, 0]) / 2
    np.testing.assert_allclose(predict_logits(model, tiles.images), expected, rtol=1e-3, atol=1e-3)
    learner = with_cells(keras, model, {16: "block_13_expand_relu", 32: "out_relu"})
    assert sum(layer.name == "cells_16" for layer in learner.layers) == 1
    said = learner.predict_on_batch(pixels)
    np.testing.assert_allclose(said["logit"][:, 0], predict_logits(plain, tiles.images), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(said["answer"][:, 0], expected, rtol=1e-3, atol=1e-3)
    taught = fit(replace(settings, epochs=1), tiles, tiles, tmp_path / "run")
    assert not np.allclose(taught.get_layer("cells_16").get_weights()[0], model.get_layer("cells_16").get_weights()[0])
    assert taught.get_layer("logit_peak").get_weights()[0] == 0.5
    resumed = fit(replace(settings, epochs=1), tiles, tiles, tmp_path / "run")
    np.testing.assert_array_equal(predict_logits(resumed, tiles.images), predict_logits(taught, tiles.images))
    with pytest.raises(CrackError, match="--hp cells=8: give 0, 16 or 32"):
        initial_model(config("mobilenet_v2", hyperparameters={"cells": 8}))
    taught.save(tmp_path / "taught.keras")
    with pytest.raises(CrackError, match="holds another architecture"):
        initial_model(config("mobilenet_v2", init_from=str(tmp_path / "taught.keras")))
