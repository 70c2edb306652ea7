"""The last blocks trained on a few tiles: what moves, how far, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from crack_tf.adaptation import candidates, features, tuning_blocks
from crack_tf.adaptation.base import Base
from crack_tf.adaptation.bench import Bench
from crack_tf.adaptation.candidates import TRIALS
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.elsewhere import Elsewhere
from crack_tf.adaptation.tiles import PERSON, SiteTiles
from crack_tf.adaptation.tuning_blocks import Lesson, tune_blocks
from crack_tf.models import build_model
from crack_tf.models.keras_models import load_keras, predict_logits
from tests.crack_tf.adaptation.conftest import SIDE, draw_site_tile
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.metrics import roc_auc
from tflite.sidecar import Sidecar, read_sidecar

LABELS = np.arange(24, dtype=np.int8) % 2
TILES = np.stack([np.asarray(draw_site_tile(int(label), place, SIDE)) for place, label in enumerate(LABELS)])
NONE = np.zeros((0, SIDE, SIDE, 3), np.uint8)
ALONE = Lesson(TILES, LABELS, NONE, np.zeros(0, np.float32))


@pytest.fixture(scope="module")
def shipped(sharp: tuple[Path, Sidecar]) -> Any:
    return load_keras(sharp[0])


@pytest.fixture
def read_once(sharp: tuple[Path, Sidecar], shipped: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every training begins with the shipped weights, which are read once: that takes as long as several steps."""
    values = shipped.get_weights()

    def read(path: Path) -> Any:
        if path != sharp[0]:
            return load_keras(path)
        shipped.set_weights(values)
        return shipped

    for module in (tuning_blocks, candidates, features):
        monkeypatch.setattr(module, "load_keras", read)
    yield
    shipped.set_weights(values)


def weights(model: object) -> dict[str, np.ndarray]:
    return {layer.name + variable.name: np.asarray(variable) for layer in model.layers for variable in layer.weights}  # type: ignore[attr-defined]


def test_blocks_learn_what_tells_these_tiles_apart(
    sharp: tuple[Path, Sidecar], shipped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning_blocks, "WAY", 1.0)  # half-way to a network that knew nothing before knows little
    before = roc_auc(predict_logits(shipped, TILES), LABELS)
    after = roc_auc(predict_logits(tune_blocks(*sharp, ALONE, 17, 30, 0, ""), TILES), LABELS)
    assert before is not None
    assert after is not None
    assert after > max(0.9, before)


@pytest.mark.usefixtures("untraced")
def test_earlier_blocks_and_all_statistics_stay(sharp: tuple[Path, Sidecar], shipped: Any) -> None:
    before, after = weights(shipped), weights(tune_blocks(*sharp, ALONE, 2, 3, 0, ""))
    moved = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    assert moved
    assert not any(name.endswith(("mean", "variance")) for name in moved)
    assert all(name.startswith(("block_15", "block_16", "Conv_1", "logit")) for name in moved)


@pytest.mark.usefixtures("untraced", "read_once")
def test_what_is_handed_over_lies_between_the_shipped_and_the_trained_weights(
    sharp: tuple[Path, Sidecar], shipped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainings differ in the last digits, so how far it lies is told by the mean."""
    start, far = weights(shipped), []
    for way in (0.0, 0.5, 1.0):
        monkeypatch.setattr(tuning_blocks, "WAY", way)
        found = weights(tune_blocks(*sharp, ALONE, 3, 3, 0, ""))
        far.append(sum(float(np.abs(found[name] - value).sum()) for name, value in start.items()))
    assert far[0] == 0
    assert far[1] == pytest.approx(far[2] / 2, rel=0.2)


def test_batches_are_half_this_structure_with_both_kinds_and_half_others_as_they_were_answered() -> None:
    rng = np.random.default_rng(1)
    others, answers = rng.integers(0, 256, (6, SIDE, SIDE, 3), np.uint8), rng.normal(0, 3, 6).astype(np.float32)
    soft = set(np.round(1 / (1 + np.exp(-answers.astype(np.float64))), 5))
    for pixels, targets in tuning_blocks._batches(Lesson(TILES, LABELS, others, answers), SIDE, 4, 0):
        half = tuning_blocks.BATCH // 2
        assert pixels.shape == (2 * half, SIDE, SIDE, 3)
        assert targets[:half].sum() == half / 2
        assert set(np.round(targets[half:, 0].astype(np.float64), 5)) <= soft


@pytest.mark.parametrize("kind", [0, 1])
def test_a_fold_that_leaves_one_kind_alone_is_trained_on(kind: int) -> None:
    only = TILES[kind == LABELS]
    lesson = Lesson(only, np.full(len(only), kind, np.int8), NONE, np.zeros(0, np.float32))
    ((pixels, targets),) = tuning_blocks._batches(lesson, SIDE, 1, 0)
    assert len(pixels) == len(targets) == tuning_blocks.BATCH // 2
    assert set(targets[:, 0].tolist()) == {float(kind)}


@pytest.mark.usefixtures("untraced", "read_once")
def test_a_fold_is_answered_by_a_training_without_it_and_what_is_trained_is_kept(
    sharp: tuple[Path, Sidecar], shipped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def spied(path: Path, sidecar: Sidecar, lesson: Lesson, *rest: object) -> object:
        seen.append(lesson.images)
        return tune_blocks(path, sidecar, lesson, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(candidates, "tune_blocks", spied)
    photos = tuple(f"IMG_{place // 4}" for place in range(24))
    tiles = SiteTiles(TILES, LABELS, photos, tuple(map(str, range(24))), (PERSON,) * 24)
    logits = predict_logits(shipped, TILES)
    walls = Elsewhere("walls", TILES, LABELS, np.arange(24) < 12, "CC0-1.0")
    base = Base("sharp", sharp[0], sharp[1], sharp[0], sharp[1], SIDE)
    bench = Bench(AdaptConfig("walls", steps=2, blocks=2), base, tiles, (walls,), logits, (logits,))
    trial = TRIALS["blocks"](bench, tmp_path)
    folds = bench.folds % 3
    assert len(seen) == 4
    for fold, images in zip((0, 1, 2), seen, strict=False):
        assert np.array_equal(images, TILES[folds != fold])
    assert np.array_equal(seen[3], TILES)
    assert trial.build is not None
    assert np.allclose(predict_logits(trial.build(), TILES), trial.here, atol=1e-4)
    again = TRIALS["blocks"](bench, tmp_path)
    assert len(seen) == 4
    assert np.allclose(again.held_out, trial.held_out, atol=1e-5)


@pytest.mark.usefixtures("untraced")
def test_blocks_may_begin_as_those_of_another_network(
    sharp: tuple[Path, Sidecar], shipped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    path = tmp_path / "model.keras"
    keras.utils.set_random_seed(2)
    other = build_model("mobilenet_v2", keras, image_size=SIDE, alpha=0.35, cells=16)
    other.save(path)
    sidecar = replace(sharp[1], sha256=sha256_file(path), hyperparameters={"alpha": 0.35, "cells": 16})
    start = Base("cells", path, sidecar, path, sidecar, SIDE)
    monkeypatch.setattr("crack_tf.adaptation.bench.find_start", lambda *_: start)
    told: list[Lesson] = []

    def untrained(path: Path, sidecar: Sidecar, lesson: Lesson, *_: object) -> Any:
        told.append(lesson)
        return load_keras(path)

    monkeypatch.setattr(candidates, "tune_blocks", untrained)
    tiles = SiteTiles(TILES, LABELS, tuple(f"{place // 4}" for place in range(24)), ("",) * 24, (PERSON,) * 24)
    logits = predict_logits(shipped, TILES)
    walls = Elsewhere("walls", TILES, LABELS, np.arange(24) < 12, "CC0-1.0")
    base = Base("sharp", sharp[0], sharp[1], sharp[0], sharp[1], SIDE)
    trial = TRIALS["blocks"](Bench(AdaptConfig("walls"), base, tiles, (walls,), logits, (logits,)), tmp_path / "work")
    assert trial.changes == {"cells": 16}
    assert trial.note == "they began as those of cells"
    assert trial.build is not None
    assert trial.build().get_layer("features_peak") is not None
    expected = predict_logits(other, TILES)
    assert np.allclose(trial.here, expected, atol=1e-4)
    assert not np.allclose(trial.here, logits, atol=1e-2)
    assert np.allclose(told[0].answers, expected[12:], atol=1e-4)  # its own answers are what it is to keep


def test_a_network_without_blocks_says_so(tiny_base: Path, tmp_path: Path) -> None:
    keras = tiny_base / "model.keras"
    sidecar = read_sidecar(keras)
    base = Base("tiny", keras, sidecar, keras, sidecar, 64)
    tiles = SiteTiles(TILES, LABELS, ("a",) * 24, ("b",) * 24, (PERSON,) * 24)
    bench = Bench(AdaptConfig("walls"), base, tiles, (), np.zeros(24, np.float32), ())
    with pytest.raises(CrackError, match="no blocks"):
        TRIALS["blocks"](bench, tmp_path)
