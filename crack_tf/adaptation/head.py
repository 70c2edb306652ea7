"""A new last layer on frozen features: logistic regression that is held to the shipped layer, and to its answers elsewhere.

A few dozen labels cannot tell 1,280 weights apart. Four things do: the weights move along the directions in which features differ most;
they move from the shipped ones only as far as the labels pay for it (a normal prior around the shipped head: the fewer labels, the
stronger); on tiles of other structures the answers are to stay what they were (learning without forgetting: Li, Hoiem, ECCV 2016); and
the weights stay as shipped unless held-out photographs speak against it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from crack_tf.common.progress import bar
from tflite.metrics import sigmoid

# Of the prior, for one label of each class; math.inf moves no weight, and leaves scale and shift of the logit.
STRENGTHS = (math.inf, 300.0, 30.0)
# The same for features of an early block, whose weights are 0 as shipped.
FINE_STRENGTHS = (math.inf, 100.0, 10.0)
REPLAY_SHARE = 1.0  # weight of the answers elsewhere, against 1 for the labels here
DIRECTIONS = 128  # in which the weights may move
_STEPS, _TOLERANCE = 60, 1e-7
# Of a tensor, over its range. A feature that varies by less than one of them is lost in an int8 file, whatever it tells in float: with a
# weight of its own it would take all other weights' steps, too, since they share a scale.
_STEPS_OF_INT8 = 255
_LEAST_SCALE = 0.1  # of the shipped logit
_STEADY = 1.0  # strength of the prior on that scale: labels that a logit tells apart say nothing of how steep it is


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


@dataclass(frozen=True)
class View:
    """What a network sees.

    Attributes:
        features: float32 (n, c), of the structure's tiles; the mean over its looks where it looks twice.
        replay: of other structures' tiles, seen in the same way.
        held: weights of so many of the first features move with the logit's scale only.
    """

    features: np.ndarray
    replay: Replay
    held: int = 0

    def take(self, used: np.ndarray) -> View:
        """Some of the structure's tiles, bool (n,)."""
        return View(self.features[used], self.replay, self.held)

    @cached_property
    def space(self) -> Space:
        """The directions in which these features, but for those that are held, differ most."""
        free = find_space(np.concatenate([self.features, self.replay.features])[:, self.held :].astype(np.float64))
        before = (self.held, 0)
        return Space(
            np.pad(free.mean, before),
            np.pad(free.spread, before, constant_values=1),
            np.pad(free.axes, (before, (0, 0))),
        )


@dataclass(frozen=True)
class Space:
    """Directions of features, those first in which they differ most.

    Attributes:
        mean, spread: of each feature, float64 (c,); the spread is no less than a step of an int8 tensor of them all.
        axes: float64 (c, d).
    """

    mean: np.ndarray
    spread: np.ndarray
    axes: np.ndarray

    def project(self, features: np.ndarray) -> np.ndarray:
        """float (n, c) to float64 (n, d)."""
        return np.asarray(((features - self.mean) / self.spread) @ self.axes)


def find_space(features: np.ndarray) -> Space:
    """The directions of float64 (n, c)."""
    least = max(1e-6, float(np.abs(features).max(initial=0)) / _STEPS_OF_INT8)
    mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), least)
    scaled = (features - mean) / spread
    # The longest axes of the smaller of two products: a tenth of the time of all of them.
    wide = len(scaled) < scaled.shape[1]
    values, vectors = np.linalg.eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
    kept = np.flatnonzero(values > values[-1] * 1e-9)[::-1][:DIRECTIONS]
    axes = scaled.T @ (vectors[:, kept] / np.sqrt(values[kept])) if wide else vectors[:, kept]
    return Space(mean, spread, axes)


@dataclass(frozen=True)
class _Seen:
    """Tiles ready to be fitted to: along the directions, float64 (n, d), and with the shipped logit, (n,)."""

    along: np.ndarray
    offset: np.ndarray

    def take(self, used: np.ndarray) -> _Seen:
        return _Seen(self.along[used], self.offset[used])


def _see(features: np.ndarray, start: Head, space: Space | None) -> _Seen:
    along = space.project(features) if space is not None else np.zeros((len(features), 0))
    return _Seen(along, start.logits(features).astype(np.float64))


def fit_head(view: View, labels: np.ndarray, start: Head, strength: float) -> Head:
    """Fit a head to labelled tiles.

    Args:
        view: of n tiles; both classes are there.
        labels: (n,), 1 is cracked. Both classes weigh the same, however many there are of each.
        start: the shipped head.
        strength: of the prior, for one label of each class; the larger, the nearer to the shipped head. Infinite: only how steep its logit
            is and where it lies changes.
    """
    space = None if math.isinf(strength) else view.space
    tiles, others = (_see(features, start, space) for features in (view.features, view.replay.features))
    return _solve(tiles, labels, others, view.replay.logits, start, strength, space)


def _solve(
    tiles: _Seen,
    labels: np.ndarray,
    others: _Seen,
    answers: np.ndarray,
    start: Head,
    strength: float,
    space: Space | None,
) -> Head:
    """The head that fits labelled tiles and the shipped answers to other structures' tiles best, as far as the prior lets it."""
    cracked = np.asarray(labels) == 1
    fewest = max(1, min(int(cracked.sum()), int((~cracked).sum())))
    share = np.where(cracked, 0.5 / max(1, cracked.sum()), 0.5 / max(1, (~cracked).sum()))
    scaled = np.concatenate([tiles.along, others.along])
    offset = np.concatenate([tiles.offset, others.offset])
    size, kept = scaled.shape[1], len(answers)
    targets = np.concatenate([cracked.astype(np.float64), sigmoid(answers.astype(np.float64))])
    weight = np.concatenate([share, np.full(kept, REPLAY_SHARE / max(1, kept))])
    # The more labels there are, the less the prior weighs against their mean.
    ridge, steady = strength / fewest if size else 0.0, _STEADY / fewest

    def loss(change: np.ndarray) -> tuple[float, np.ndarray]:
        moved, scale, shift = change[:-2], change[-2], change[-1]
        logits = (1 + scale) * offset + scaled @ moved + shift
        errors = weight * (sigmoid(logits) - targets)
        value = float((weight * (np.logaddexp(0, logits) - targets * logits)).sum())
        value += 0.5 * (ridge * float(moved @ moved) + steady * float(scale) ** 2)
        slope = [scaled.T @ errors + ridge * moved, [offset @ errors + steady * scale, errors.sum()]]
        return value, np.concatenate(slope)

    # Where the shipped logit lies is free, and how steep it is nearly so: the prior need not pay for either. Its sign is not.
    bounds = [(None, None)] * size + [(_LEAST_SCALE - 1, None), (None, None)]
    stop = {"maxiter": _STEPS, "ftol": _TOLERANCE}
    found = minimize(loss, np.zeros(size + 2), jac=True, method="L-BFGS-B", bounds=bounds, options=stop)
    scale, shift = 1 + found.x[-2], found.x[-1]
    weights, bias = scale * start.weights, scale * start.bias + shift
    if space is not None:
        moved = space.axes @ found.x[:-2] / space.spread
        weights, bias = weights + moved, bias - float(moved @ space.mean)
    return Head(weights.astype(np.float32), float(bias))


@dataclass(frozen=True)
class Fitted:
    """A head, and those that were chosen and fitted without one fold each.

    Attributes:
        head: fitted to all tiles.
        strength: of the prior.
        heads: without each fold's tiles, in the order of the folds.
        choices: strength of each of `heads`.
    """

    head: Head
    strength: float
    heads: tuple[Head, ...]
    choices: tuple[float, ...]

    def held_out(self, view: View, folds: np.ndarray) -> np.ndarray:
        """Logits of tiles by heads that have not seen their fold, int (n,): float32 (n,)."""
        logits = np.zeros(len(folds), np.float32)
        for fold, head in enumerate(self.heads):
            logits[folds == fold] = head.logits(view.features[folds == fold])
        return logits


def fit_by_photograph(
    view: View,
    labels: np.ndarray,
    folds: np.ndarray,
    start: Head,
    strengths: Sequence[float] = STRENGTHS,
) -> Fitted:
    """Choose the strength by cross-validation by photograph, and fit to all tiles.

    What a fold's tiles answer is chosen without them too, on heads that have seen neither them nor another fold: else the choice
    would be held against the tiles that it was made on. With two folds nothing is left to choose on, and all stays as shipped.
    The fewer labels, the clearer they have to speak for leaving the strongest prior.

    Args:
        view: of n tiles.
        labels: (n,), 1 is cracked.
        folds: int (n,), from `crack_tf.adaptation.folds.fold_numbers`, none of them -1.
        start: the shipped head.
        strengths: see `fit_head`, the strongest first.
    """
    count = int(folds.max()) + 1
    cracked = np.asarray(labels) == 1
    replay, heads = view.replay, dict[tuple[float, frozenset[int]], Head]()
    space = view.space if any(math.isfinite(strength) for strength in strengths) else None
    free = tuple(_see(some, start, space) for some in (view.features, replay.features))
    still = tuple(_Seen(seen.along[:, :0], seen.offset) for seen in free)

    def fit(strength: float, without: frozenset[int]) -> Head:
        """Fitted to all folds but some."""
        key = strength, without
        if key not in heads:
            fixed, used = math.isinf(strength), ~np.isin(folds, list(without))
            tiles, others = still if fixed else free
            heads[key] = _solve(
                tiles.take(used), labels[used], others, replay.logits, start, strength, None if fixed else space
            )
        return heads[key]

    def answers(strength: float, without: frozenset[int]) -> np.ndarray:
        """Logits of all tiles but those of some folds, each by a head that has seen neither these nor its own fold."""
        found = np.zeros(len(labels), np.float32)
        for fold in set(range(count)) - without:
            out = folds == fold
            found[out] = fit(strength, without | {fold}).logits(view.features[out])
        return found

    def away(strength: float, without: frozenset[int]) -> float:
        """How far these heads' answers to other structures' tiles are from the shipped ones: mean cross-entropy."""
        targets = sigmoid(replay.logits.astype(np.float64))
        lost = []
        for fold in set(range(count)) - without if len(targets) else ():
            logits = fit(strength, without | {fold}).logits(replay.features).astype(np.float64)
            lost.append(float((np.logaddexp(0, logits) - targets * logits).mean()))
        return REPLAY_SHARE * float(np.mean(lost)) if lost else 0.0

    def choose(without: frozenset[int]) -> float:
        used = ~np.isin(folds, list(without))
        if count - len(without) < 2 or len(strengths) == 1:
            return strengths[0]
        # What is held out here, and what may not be forgotten elsewhere: as in each fit. Leaving what is shipped has a price, or of a few
        # labels the luckiest strength would be taken: to say which of so many it is, in nats, shared among the labels.
        price = math.log(len(strengths)) / int(used.sum())
        lost = [
            _loss(answers(strength, without)[used], cracked[used])
            + away(strength, without)
            + price * (strength != strengths[0])
            for strength in strengths
        ]
        return strengths[int(np.argmin(lost))]

    # Nearly all the fits are in here.
    choices = tuple(choose(frozenset({fold})) for fold in bar(range(count), "last layer", count, "fold"))
    final = choose(frozenset())
    apart = tuple(fit(strength, frozenset({fold})) for fold, strength in enumerate(choices))
    return Fitted(fit(final, frozenset()), final, apart, choices)


def _loss(logits: np.ndarray, cracked: np.ndarray) -> float:
    """Mean over the classes of the mean cross-entropy."""
    losses = np.logaddexp(0, np.where(cracked, -logits, logits).astype(np.float64))
    return float(losses[cracked].mean() + losses[~cracked].mean()) / 2
