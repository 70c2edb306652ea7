"""What candidates are made from and measured on: a structure's tiles, other structures' tiles, and the shipped model's answers to both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crack_tf.adaptation.base import Base, find_start
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.elsewhere import Elsewhere
from crack_tf.adaptation.features import FINE_BLOCK, Looks, Network, looking, seen_by, shipped_looks
from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.guard import (
    Answers,
    ElsewhereRow,
    HeldOut,
    are_few,
    choose_threshold,
    compare_elsewhere,
    highest_threshold,
    least_recall,
    reachable,
    same_place,
)
from crack_tf.adaptation.head import Head, Replay, View
from crack_tf.adaptation.tiles import ASSUMED, COMPOSED, PERSON, UNLABELLED, SiteTiles
from crack_tf.common.progress import bar
from crack_tf.inference.predictor import Predictor, load_predictor

_CHUNK = 64


@dataclass(frozen=True)
class Seen:
    """Features in a file's looks together, float32 (n, c): of the structure's tiles, and of each set of other structures."""

    here: np.ndarray
    elsewhere: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Bench:
    """One adaptation's material.

    Attributes:
        config: what was asked for.
        base: what is adapted.
        tiles: of the structure.
        others: of other structures.
        here: float32 (n,), the shipped int8 model's logits on `tiles`.
        elsewhere: the same on each of `others`.
    """

    config: AdaptConfig
    base: Base
    tiles: SiteTiles
    others: tuple[Elsewhere, ...]
    here: np.ndarray
    elsewhere: tuple[np.ndarray, ...]

    @property
    def threshold(self) -> float:
        """The shipped one, a logit."""
        return self.base.device.threshold.logit

    @property
    def looks(self) -> Looks:
        """The shipped file's looks at a tile."""
        return shipped_looks(self.base.device)

    @cached_property
    def shipped(self) -> Network:
        """The float model, read once for all that ask it; what changes a model reads the file itself."""
        return Network(self.base.keras, self.base.sidecar)

    @cached_property
    def start(self) -> Base:
        """The model whose last blocks are trained."""
        return find_start(self.config.start, self.base)

    @property
    def starts_elsewhere(self) -> bool:
        """Whether that is another model than the one that is adapted."""
        return self.start.sidecar.sha256 != self.base.sidecar.sha256

    @property
    def head(self) -> Head:
        """The shipped one."""
        return self.shipped.head

    @cached_property
    def told(self) -> bool:
        """Whether a person labelled any tile."""
        return bool(self.tiles.with_origin(PERSON).any())

    @cached_property
    def fitted(self) -> np.ndarray:
        """bool (n,): tiles that models are fitted to."""
        return self.tiles.with_origin(PERSON, ASSUMED, COMPOSED)

    @cached_property
    def tested(self) -> np.ndarray:
        """bool (n,): tiles that they are held against, each without its photograph: a person's labels; without any, laid-in cracks and
        all of the photographs' own tiles, which are taken for clean."""
        return self.tiles.with_origin(PERSON) if self.told else self.tiles.with_origin(COMPOSED, UNLABELLED)

    @cached_property
    def truth(self) -> np.ndarray:
        """int8 (n,): labels; what is not known counts as clean, for the shipped model and for its rivals alike."""
        return np.where(self.tiles.labels == 1, 1, 0).astype(np.int8)

    @cached_property
    def held_out(self) -> HeldOut:
        """The tiles of `tested`."""
        photos = [photo for photo, used in zip(self.tiles.photos, self.tested, strict=True) if used]
        return HeldOut(self.truth[self.tested], photos, self.told)

    @cached_property
    def folds(self) -> np.ndarray:
        """int (n,): the fold in which a tile is held out, by photograph; where there is none, -1."""
        return fold_numbers(self.truth, self.tiles.photos, seed=self.config.seed)

    @cached_property
    def floors(self) -> tuple[float, ...]:
        """Recall that a threshold has to keep on each of `others`' tiles to learn from: half of the interval is kept in reserve."""
        floors = []
        for one, logits in zip(self.others, self.elsewhere, strict=True):
            called, labels = logits[~one.test] >= self.threshold, one.labels[~one.test]
            cracks = labels == 1
            recall = float(called[cracks].mean()) if cracks.any() else 0.0
            floors.append((recall + least_recall(called, labels)) / 2)
        return tuple(floors)

    def ceiling(self, elsewhere: Sequence[np.ndarray]) -> float:
        """The highest threshold that other structures allow a model that answers them so.

        Where few cracks are known here, or none, it is no higher than the shipped one: neither what so few answer nor cracks that were laid
        in are a reason to raise what hundreds chose.
        """
        allowed = [
            highest_threshold(logits[~one.test], one.labels[~one.test], floor)
            for one, logits, floor in zip(self.others, elsewhere, self.floors, strict=True)
        ]
        if self.others and (not self.told or are_few(self.truth[self.tested])):
            allowed.append(self.unchanged(elsewhere))
        return min(allowed, default=math.inf)

    def unchanged(self, elsewhere: Sequence[np.ndarray]) -> float:
        """Where the shipped threshold lies, by rank among tiles of other structures to learn from, on a model that answers them so."""
        if not self.others:
            return self.threshold
        known = np.concatenate([~one.test for one in self.others])
        before, after = (np.concatenate(answers)[known] for answers in (self.elsewhere, elsewhere))
        return same_place(before, after, self.threshold)

    def target(self, kept: np.ndarray, asked: float) -> float:
        """The recall that a threshold is to reach on some of the tiles, bool (n,): what is asked for; where the shipped model reaches that
        as far as so few labels can tell, what it finds, or one crack in fifty would be bought with any number of false alarms."""
        return reachable(self.here[kept] >= self.threshold, self.truth[kept], asked)

    def thresholds(
        self, held_out: np.ndarray, elsewhere: Sequence[np.ndarray], asked: float | None
    ) -> tuple[np.ndarray, float]:
        """Thresholds chosen on held-out answers: for each tile without its fold's tiles, and one on all.

        Args:
            held_out: (n,), logits of each tile by a model that has not seen its photograph.
            elsewhere: its answers to `others`.
            asked: recall here; 0 for that of the shipped model; None where the threshold is to lie as high as the shipped one, or as
                other structures allow.

        Returns:
            float (n,), and the one that is handed over.
        """
        ceiling, labels = self.ceiling(elsewhere), self.truth
        if asked is None:
            final = min(self.unchanged(elsewhere), ceiling)
            return np.full(len(labels), final), final
        each = np.full(len(labels), math.nan)
        for fold in range(int(self.folds.max()) + 1):
            kept = self.tested & (self.folds != fold)
            each[self.folds == fold] = choose_threshold(held_out[kept], labels[kept], self.target(kept, asked), ceiling)
        final = choose_threshold(held_out[self.tested], labels[self.tested], self.target(self.tested, asked), ceiling)
        return each, final

    @cached_property
    def seen(self) -> Seen:
        """What is seen of all tiles."""
        return self._look()

    @cached_property
    def fine(self) -> Seen:
        """The same where the last layer sees an early block too."""
        return self._look(FINE_BLOCK)

    def _look(self, early: int | None = None) -> Seen:
        networks = looking(self.base.keras, self.base.sidecar, self.looks, self.shipped.model, early=early)

        def features(images: np.ndarray) -> np.ndarray:
            return seen_by(self.looks, lambda window: networks[window].features(np.asarray(images)))

        return Seen(features(self.tiles.images), tuple(features(one.images) for one in self.others))

    @cached_property
    def view(self) -> View:
        """All tiles, and other structures' tiles to learn from with the shipped float model's answers to them."""
        features = self._replayed(self.seen)
        return View(self.seen.here, Replay(features, self.head.logits(features)))

    @cached_property
    def fine_view(self) -> View:
        """The same of `fine`: of its features, those of the shipped last layer are held."""
        held = len(self.head.weights)
        features = self._replayed(self.fine)
        return View(self.fine.here, Replay(features, self.head.logits(features[:, :held])), held)

    def _replayed(self, seen: Seen) -> np.ndarray:
        """Features of other structures' tiles to learn from."""
        empty = np.zeros((0, seen.here.shape[1]), np.float32)
        parts = (features[~one.test] for features, one in zip(seen.elsewhere, self.others, strict=True))
        return np.concatenate([empty, *parts])

    def rows_elsewhere(self, candidate: str, answers: Sequence[np.ndarray], threshold: float) -> list[ElsewhereRow]:
        """A candidate on the tests of `others`."""
        return [
            compare_elsewhere(
                candidate,
                one.name,
                one.labels[one.test],
                Answers(before[one.test], self.threshold),
                Answers(after[one.test], threshold),
            )
            for one, before, after in zip(self.others, self.elsewhere, answers, strict=True)
        ]


@dataclass(frozen=True)
class Ready:
    """What candidates are tried with, all of it read: from here on no input can be at fault.

    Attributes:
        kind: of source, see `crack_tf.adaptation.sources`.
        bench: with the tiles that candidates are held to.
        names: of the candidates, cheap to dear.
        shapes: where cracks that were laid in are from.
        missing: sets of other structures that nothing was asked about.
        gaps: what could not be read or asked.
    """

    kind: str
    bench: Bench
    names: tuple[str, ...]
    shapes: tuple[str, ...]
    missing: tuple[str, ...]
    gaps: tuple[str, ...]


def make_bench(
    config: AdaptConfig, base: Base, tiles: SiteTiles, others: tuple[Elsewhere, ...], here: np.ndarray | None = None
) -> Bench:
    """Ask the shipped int8 model about everything.

    Args:
        here: its answers to `tiles`, where they are known.
    """
    predictor = load_predictor(base.tflite)
    found = ask(predictor, tiles.images) if here is None else here
    return Bench(config, base, tiles, others, found, tuple(ask(predictor, one.images) for one in others))


def ask(predictor: Predictor, images: np.ndarray) -> np.ndarray:
    """Logits of raw tiles, uint8 (n, s, s, 3) to float32 (n,)."""
    parts = [np.zeros(0, np.float32)]
    starts = range(0, len(images), _CHUNK)
    for start in bar(starts, "answers", len(starts), "tile", each=_CHUNK, units=len(images)):
        parts.append(predictor.logits(np.ascontiguousarray(images[start : start + _CHUNK])))
    return np.concatenate(parts)
