"""Looks at tiles: the same weights behind an average over pixels, from features to a file for the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from crack_tf.adaptation import features
from crack_tf.adaptation.base import Base
from crack_tf.adaptation.bench import Bench, Ready, ask
from crack_tf.adaptation.candidates import TRIALS, Trial
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.deliver import build
from crack_tf.adaptation.elsewhere import Elsewhere
from crack_tf.adaptation.features import FINE_BLOCK, Network, renormalised, shipped_looks
from crack_tf.adaptation.guard import Answers, HeldOut, compare_here
from crack_tf.adaptation.head import Head
from crack_tf.adaptation.sources import TILES
from crack_tf.adaptation.tiles import COMPOSED, PERSON, SiteTiles
from crack_tf.adaptation.verdict import UNCHANGED
from crack_tf.common import progress
from crack_tf.inference.predictor import load_predictor
from crack_tf.models import build_model
from crack_tf.models.keras_models import load_keras
from tests.crack_tf.adaptation.conftest import IMAGES, SIDE
from tflite.errors import CrackError
from tflite.metrics import roc_auc
from tflite.sidecar import Sidecar, read_sidecar


@pytest.fixture(scope="module")
def once(sharp: tuple[Path, Sidecar]) -> Network:
    """The shipped network as it is: reading it takes seconds, and so does its first answer."""
    return Network(*sharp)


@pytest.mark.parametrize("smooth", [2, 3])
def test_a_smooth_look_is_the_same_weights_at_averaged_pixels(
    sharp: tuple[Path, Sidecar], once: Network, smooth: int
) -> None:
    import keras

    soft = Network(*sharp, once.model, smooth=smooth)
    assert soft.changes == {"smooth": smooth}
    assert once.changes == {}
    pixels = np.asarray(keras.ops.average_pool(IMAGES.astype(np.float32), smooth, strides=1, padding="same"))
    expected = np.asarray(once.model.predict_on_batch(pixels))[:, 0]
    assert np.allclose(soft.head.logits(soft.features(IMAGES)), expected, atol=0.01)
    assert not np.allclose(once.head.logits(once.features(IMAGES)), expected, atol=0.1)


class _Silent:
    """Answers nothing."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.zeros(len(images), np.float32)


def test_who_waits_hears_how_many_tiles_are_seen(
    once: Network, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0)
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))  # nothing is known already
    once.features(np.concatenate([IMAGES] * 7))
    assert capsys.readouterr().err == "features: 32 of 35 tiles\nfeatures: 35 of 35 tiles\n"
    networks = renormalised(once, np.concatenate([IMAGES] * 7), 0.5, looks=(1, 3))
    assert {window: network.smooth for window, network in networks.items()} == {1: 1, 3: 3}
    assert (
        capsys.readouterr().err == "statistics: 32 of 35 tiles\n"
    )  # once for both looks; three are too few for a batch
    silent: Any = _Silent()
    ask(silent, np.zeros((65, 1, 1, 3), np.uint8))
    assert capsys.readouterr().err == "answers: 64 of 65 tiles\nanswers: 65 of 65 tiles\n"


def test_a_file_looks_once_or_twice_as_its_sidecar_says(sharp: tuple[Path, Sidecar]) -> None:
    device = replace(sharp[1], second_view=3)
    assert shipped_looks(sharp[1]) == (1,)
    assert shipped_looks(device) == (1, 3)
    smooth = replace(device, hyperparameters={"smooth": 2})
    assert shipped_looks(replace(smooth, second_view=0)) == (2,)
    with pytest.raises(CrackError, match="averages its input and looks twice"):
        shipped_looks(smooth)


def test_an_adapted_file_looks_as_the_shipped_one_and_tells_its_own_threshold(
    sharp: tuple[Path, Sidecar], once: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Untrained: a crack is what both looks together call one."""
    path, sidecar = sharp
    device = replace(sidecar, second_view=3)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (24, SIDE, SIDE, 3), np.uint8) // rng.integers(1, 6, (24, 1, 1, 1), np.uint8)
    soft = Network(path, sidecar, once.model, smooth=3)
    sharply, softly = (network.head.logits(network.features(images)) for network in (once, soft))
    logits = (2 * sharply + softly) / 3
    border = float(np.median(logits))
    labels = (logits >= border).astype(np.int8)
    photos = tuple(f"IMG_{place // 2}" for place in range(24))
    tiles = SiteTiles(images, labels, photos, tuple(map(str, range(24))), (PERSON,) * 24)
    known = Elsewhere("walls", images, labels, np.arange(24) < 12, "CC0-1.0")
    base = Base("sharp", path, sidecar, path, device, SIDE)
    bench = Bench(AdaptConfig("walls"), base, tiles, (known,), logits, (logits,))
    assert np.allclose(bench.head.logits(bench.seen.here), logits, atol=0.01)
    trial = Trial("head", logits, logits, [logits], lambda: once.model, note="fitted")
    answers = Answers(logits, border)
    row = replace(compare_here("head", HeldOut(labels, photos), answers, answers, border, 1.0), asked_recall=UNCHANGED)
    built = build(Ready(TILES, bench, ("head",), (), (), ()), trial, row, tmp_path / "bridge")
    found = read_sidecar(built.file)
    assert found.second_view == 3
    int8 = ask(load_predictor(built.file), images)
    assert np.corrcoef(int8, logits)[0, 1] > 0.5  # rounding an untrained network costs much
    record = found.training["adapted"]
    assert built.threshold == found.threshold.logit == record["here"]["threshold"]
    assert (record["to"], record["kind"], record["choice"]) == ("walls", TILES, "fitted")
    assert found.training["run"] == "bridge"
    card = built.file.with_name(built.file.name.replace(".tflite", ".md")).read_text(encoding="utf-8")
    assert "by the candidate *head* (fitted)." in card
    assert "Its threshold lies as high as the shipped one" in card
    assert "no more was to be had" not in card
    told = capfd.readouterr()
    assert "threshold" not in told.out  # of a file that is not finished
    assert "fully_quantize" not in told.err


def test_finer_features_beside_the_last_ones_change_no_answer_before_they_have_weights(
    sharp: tuple[Path, Sidecar], once: Network
) -> None:
    fine = Network(*sharp, once.model, early=FINE_BLOCK)
    assert fine.changes == {"early": FINE_BLOCK}
    late, both = once.features(IMAGES), fine.features(IMAGES)
    assert both.shape[1] > late.shape[1]
    assert np.allclose(both[:, : late.shape[1]], late, atol=1e-4)
    assert np.allclose(fine.head.logits(both), once.head.logits(late), atol=1e-4)
    assert np.allclose(fine.model.predict_on_batch(IMAGES.astype(np.float32))[:, 0], once.head.logits(late), atol=1e-4)


@pytest.mark.usefixtures("untraced")
def test_the_highest_cell_is_one_of_the_last_layers_features(sharp: tuple[Path, Sidecar], tmp_path: Path) -> None:
    import keras

    sidecar = sharp[1]
    settings = sidecar.hyperparameters | {"cells": 16}
    model = build_model(sidecar.model, keras, image_size=sidecar.image_size, **settings)
    model.save(tmp_path / "model.keras")
    peaked = replace(sidecar, hyperparameters=settings, sha256="peaked")
    expected = model.predict_on_batch(IMAGES.astype(np.float32))[:, 0]
    read = Network(tmp_path / "model.keras", peaked)
    for network in (read, Network(tmp_path / "model.keras", peaked, read.model, early=FINE_BLOCK)):
        features = network.features(IMAGES)
        assert np.allclose(network.head.logits(features), expected, atol=1e-3)
        moved = Head(network.head.weights * 2, network.head.bias * 2)
        doubled = network.with_head(moved).predict_on_batch(IMAGES.astype(np.float32))[:, 0]
        assert np.allclose(doubled, 2 * expected, atol=2e-3)


def test_a_surface_that_only_finer_features_tell_is_told_and_exported(
    sharp: tuple[Path, Sidecar], once: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cracked is, of tiles of an untrained network, what the largest of an early block's features says."""
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path / "cache"))
    path, sidecar = sharp
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (80, SIDE, SIDE, 3), np.uint8) // rng.integers(1, 6, (80, 1, 1, 1), np.uint8)
    fine = Network(path, sidecar, once.model, early=FINE_BLOCK)
    logits = once.head.logits(once.features(images))
    seen = fine.features(images)[:, len(once.head.weights) :]
    told = seen[:, int(np.argmax(seen.std(axis=0)))]
    labels = (told > np.median(told)).astype(np.int8)
    photos = tuple(f"IMG_{place // 2}" for place in range(80))
    tiles = SiteTiles(images, labels, photos, tuple(map(str, range(80))), (PERSON,) * 80)
    base = Base("sharp", path, sidecar, path, sidecar, SIDE)
    bench = Bench(AdaptConfig("walls"), base, tiles, (), logits, ())
    read = Mock(side_effect=load_keras)
    monkeypatch.setattr(features, "load_keras", read)
    trial = TRIALS["fine"](bench, tmp_path)
    read.assert_called_once_with(path)  # for all that is asked
    better, before = roc_auc(trial.held_out, labels), roc_auc(logits, labels)
    assert better is not None
    assert before is not None
    assert better > before + 0.2
    assert trial.build is not None
    model = trial.build()
    assert np.allclose(model.predict_on_batch(images.astype(np.float32))[:, 0], trial.here, atol=0.01)
    assert np.array_equal(bench.shipped.model.get_layer("logit").get_weights()[0][:, 0], once.head.weights)
    with pytest.raises(CrackError, match="labels that a person gave"):
        TRIALS["fine"](replace(bench, tiles=replace(tiles, origins=(COMPOSED,) * 80)), tmp_path)
    seeing = replace(sidecar, hyperparameters=sidecar.hyperparameters | {"early": FINE_BLOCK})
    with pytest.raises(CrackError, match="does not see already"):
        TRIALS["fine"](replace(bench, base=replace(base, sidecar=seeing)), tmp_path)
