from __future__ import annotations

import numpy as np

from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.head import Head, Replay, fit_by_photograph, fit_head
from tflite.metrics import roc_auc

RNG = np.random.default_rng(0)
START = Head(np.array([1.0, 0, 0, 0], np.float32), -0.5)
NOTHING = Replay(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


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
    head = fit_head(features, labels, START, NOTHING, 0.03)
    before, after = roc_auc(START.logits(unseen), truth), roc_auc(head.logits(unseen), truth)
    assert before is not None
    assert before < 0.65
    assert after is not None
    assert after > 0.95
    assert START.weights.tolist() == [1, 0, 0, 0]


def test_a_strong_ridge_keeps_the_shipped_order_of_tiles() -> None:
    features, labels = tiles(40, 1)
    head = fit_head(features, labels, START, NOTHING, 1e6)
    assert np.allclose(head.weights / head.weights[0], START.weights, atol=1e-3)
    assert head.weights[0] > 0


def test_answers_elsewhere_stay_what_they_were() -> None:
    features, labels = tiles(40, 1)
    others = RNG.normal(0, 1, (300, 4)).astype(np.float32) + np.array([0, 2, 3, 0], np.float32)
    old = START.logits(others)
    held = fit_head(features, labels, START, Replay(others, old), 0.03)
    free = fit_head(features, labels, START, NOTHING, 0.03)
    assert np.abs(held.logits(others) - old).mean() < 0.8 * np.abs(free.logits(others) - old).mean()


def test_held_out_answers_are_by_heads_that_have_not_seen_the_photograph() -> None:
    features, labels = tiles(40, 3)
    photos = [f"IMG_{place // 4}" for place in range(40)]
    folds = fold_numbers(labels, photos)
    fit = fit_by_photograph(features, labels, folds, START, NOTHING)
    assert len(fit.heads) == folds.max() + 1
    out = folds == 0
    alone = fit_head(features[~out], labels[~out], START, NOTHING, fit.strength)
    assert np.allclose(fit.held_out(features, folds)[out], alone.logits(features[out]), atol=1e-4)
