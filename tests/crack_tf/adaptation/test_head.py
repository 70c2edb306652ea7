from __future__ import annotations

import math

import numpy as np
import pytest

from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.head import Head, Replay, View, fit_by_photograph, fit_head
from tflite.metrics import roc_auc

RNG = np.random.default_rng(0)
START = Head(np.array([1.0, 0, 0, 0], np.float32), -0.5)
NOTHING = Replay(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def view(features: np.ndarray, replay: Replay = NOTHING) -> View:
    return View(features, replay)


def tiles(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cracks differ in the second feature, which the shipped head does not look at."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(0, 1, (count, 4)).astype(np.float32)
    features[:, 1] += 4 * labels
    return features, labels


def test_a_head_learns_what_the_shipped_one_did_not_look_at() -> None:
    features, labels = tiles(40, 1)
    unseen, truth = tiles(200, 2)
    head = fit_head(view(features), labels, START, 0.03)
    before, after = roc_auc(START.logits(unseen), truth), roc_auc(head.logits(unseen), truth)
    assert before is not None
    assert before < 0.65
    assert after is not None
    assert after > 0.95
    assert START.weights.tolist() == [1, 0, 0, 0]


def test_what_an_int8_file_cannot_see_weighs_next_to_nothing() -> None:
    """The third feature tells cracks without an error, but varies by less than a step of the features' range."""
    features, labels = tiles(40, 1)
    features[:, 2] = 1e-4 * labels
    head = fit_head(view(features), labels, START, 0.03)
    step = float(np.abs(features).max()) / 255
    rounded = np.round(features / step) * step
    weights = np.round(head.weights / np.abs(head.weights).max() * 127) / 127 * np.abs(head.weights).max()
    assert np.corrcoef(rounded @ weights, features @ head.weights)[0, 1] > 0.99
    assert abs(float(head.weights[2])) < 10 * float(np.abs(head.weights).max(initial=0, where=np.arange(4) != 2))


def test_a_strong_ridge_keeps_the_shipped_order_of_tiles() -> None:
    features, labels = tiles(40, 1)
    head = fit_head(view(features), labels, START, 1e6)
    assert np.allclose(head.weights / head.weights[0], START.weights, atol=1e-3)
    assert head.weights[0] > 0


def test_answers_elsewhere_stay_what_they_were() -> None:
    features, labels = tiles(40, 1)
    others = RNG.normal(0, 1, (300, 4)).astype(np.float32) + np.array([0, 2, 3, 0], np.float32)
    old = START.logits(others)
    held = fit_head(view(features, Replay(others, old)), labels, START, 0.03)
    free = fit_head(view(features), labels, START, 0.03)
    assert np.abs(held.logits(others) - old).mean() < 0.8 * np.abs(free.logits(others) - old).mean()


def test_few_labels_move_a_head_less_than_many() -> None:
    moved = []
    for count in (6, 60):
        features, labels = tiles(count, 1)
        head = fit_head(view(features), labels, START, 30.0)
        moved.append(abs(head.weights[1] / head.weights[0]))
    assert moved[0] < 0.5 * moved[1]


def test_an_infinite_prior_changes_scale_and_shift_alone() -> None:
    features, labels = tiles(40, 1)
    head = fit_head(view(features), labels, START, math.inf)
    assert np.allclose(head.weights[1:], 0)
    assert head.weights[0] > 0


def folds_of(labels: np.ndarray, each: int = 4) -> np.ndarray:
    return fold_numbers(labels, [f"IMG_{place // each}" for place in range(len(labels))])


def test_held_out_answers_are_by_heads_that_have_not_seen_the_photograph() -> None:
    features, labels = tiles(40, 3)
    folds = folds_of(labels)
    fit = fit_by_photograph(view(features), labels, folds, START)
    assert len(fit.heads) == len(fit.choices) == folds.max() + 1
    out = folds == 0
    changed = features.copy()
    changed[out] = 100.0
    assert not np.allclose(fit.held_out(view(changed), folds)[out], fit.held_out(view(features), folds)[out])
    other = fit_by_photograph(view(features), np.where(out, 1 - labels, labels), folds, START)
    assert fit.choices[0] == other.choices[0]
    assert np.allclose(fit.held_out(view(features), folds)[out], other.held_out(view(features), folds)[out], atol=1e-4)


def test_fits_that_take_long_say_how_far_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crack_tf.common.progress.EVERY_S", 0.0)
    features, labels = tiles(40, 3)
    folds = folds_of(labels)
    fit_by_photograph(view(features), labels, folds, START)
    told = capsys.readouterr().err.splitlines()
    count = folds.max() + 1
    assert told == [f"last layer: {number} of {count} folds" for number in range(1, count + 1)]


def test_without_folds_to_choose_on_all_stays_as_shipped() -> None:
    features, labels = tiles(8, 5)
    clear = features + 5 * labels[:, np.newaxis].astype(np.float32)
    fit = fit_by_photograph(view(clear), labels, folds_of(labels), START)
    assert fit.choices == (math.inf,) * 2
