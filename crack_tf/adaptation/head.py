"""A new last layer on frozen features: logistic regression that is held to the shipped layer, and to its answers elsewhere.

A few dozen labels cannot tell 1,280 weights apart. Two things do: the weights may move from the shipped ones only as far as the labels
pay for it (ridge towards the shipped head), and on tiles of other structures the answers are to stay what they were (learning without
forgetting: Li, Hoiem, ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from tflite.metrics import sigmoid

STRENGTHS = (30.0, 3.0, 0.3)
REPLAY_SHARE = 1.0  # weight of the answers elsewhere, against 1 for the labels here
_STEPS, _TOLERANCE = 60, 1e-7
_LEAST_SCALE = 0.1  # of the shipped logit


@dataclass(frozen=True)
class Head:
    """One linear unit on pooled features.

    Attributes:
        weights: float32 (c,).
        bias: of the logit.
    """

    weights: np.ndarray
    bias: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, c) to float32 (n,)."""
        return (features @ self.weights + self.bias).astype(np.float32)


@dataclass(frozen=True)
class Replay:
    """Tiles of other structures, on which a new head is to answer as the old one did.

    Attributes:
        features: float32 (m, c), m may be 0.
        logits: float32 (m,), the old answers.
    """

    features: np.ndarray
    logits: np.ndarray


def fit_head(features: np.ndarray, labels: np.ndarray, start: Head, replay: Replay, strength: float) -> Head:
    """Fit a head to labelled tiles.

    Args:
        features: float32 (n, c); both classes are there.
        labels: (n,), 1 is cracked. Both classes weigh the same, however many there are of each.
        start: the shipped head.
        replay: what is not to change.
        strength: of the ridge; the larger, the nearer to the shipped head.
    """
    cracked = np.asarray(labels) == 1
    share = np.where(cracked, 0.5 / max(1, cracked.sum()), 0.5 / max(1, (~cracked).sum()))
    both = np.concatenate([features, replay.features]).astype(np.float64)
    spread = both.std(axis=0) + 1e-6
    scaled = (both - both.mean(axis=0)) / spread
    offset = np.concatenate([start.logits(features), replay.logits]).astype(np.float64)
    kept = len(replay.logits)
    targets = np.concatenate([cracked.astype(np.float64), sigmoid(replay.logits.astype(np.float64))])
    weight = np.concatenate([share, np.full(kept, REPLAY_SHARE / max(1, kept))])

    def loss(change: np.ndarray) -> tuple[float, np.ndarray]:
        moved, scale, shift = change[:-2], change[-2], change[-1]
        logits = (1 + scale) * offset + scaled @ moved + shift
        errors = weight * (sigmoid(logits) - targets)
        value = float((weight * (np.logaddexp(0, logits) - targets * logits)).sum())
        value += 0.5 * strength * float(moved @ moved)
        return value, np.concatenate([scaled.T @ errors + strength * moved, [offset @ errors, errors.sum()]])

    size = both.shape[1]
    # How steep the shipped logit is, and where it lies, is free: the ridge need not pay for either. Its sign is not.
    bounds = [(None, None)] * size + [(_LEAST_SCALE - 1, None), (None, None)]
    stop = {"maxiter": _STEPS, "ftol": _TOLERANCE}
    found = minimize(loss, np.zeros(size + 2), jac=True, method="L-BFGS-B", bounds=bounds, options=stop)
    moved, scale, shift = found.x[:-2] / spread, 1 + found.x[-2], found.x[-1]
    bias = scale * start.bias + shift - float(moved @ both.mean(axis=0))
    return Head((scale * start.weights + moved).astype(np.float32), float(bias))


@dataclass(frozen=True)
class Fitted:
    """A head, and those that were fitted without one fold each.

    Attributes:
        head: fitted to all tiles.
        heads: without each fold's tiles, in the order of the folds.
        strength: of the ridge, chosen on the tiles that were held out.
    """

    head: Head
    heads: tuple[Head, ...]
    strength: float

    def held_out(self, features: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Logits of tiles by heads that have not seen their fold: float32 (n, c) and int (n,) to float32 (n,)."""
        logits = np.zeros(len(features), np.float32)
        for fold, head in enumerate(self.heads):
            logits[folds == fold] = head.logits(features[folds == fold])
        return logits


def fit_by_photograph(
    features: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    start: Head,
    replay: Replay,
    strengths: Sequence[float] = STRENGTHS,
) -> Fitted:
    """Choose the strength by cross-validation by photograph, and fit to all tiles.

    Arguments are those of `fit_head`; `folds` are from `crack_tf.adaptation.folds.fold_numbers`, none of them -1.
    """
    best: tuple[float, Fitted] | None = None
    for strength in strengths:
        heads = tuple(
            fit_head(features[folds != fold], labels[folds != fold], start, replay, strength)
            for fold in range(int(folds.max()) + 1)
        )
        fitted = Fitted(start, heads, strength)
        loss = _balanced_loss(fitted.held_out(features, folds), labels)
        if best is None or loss < best[0]:
            best = loss, fitted
    assert best is not None
    chosen = best[1]
    return replace(chosen, head=fit_head(features, labels, start, replay, chosen.strength))


def _balanced_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes of the mean cross-entropy."""
    cracked = np.asarray(labels) == 1
    losses = np.logaddexp(0, np.where(cracked, -logits, logits).astype(np.float64))
    return float(losses[cracked].mean() + losses[~cracked].mean()) / 2
