"""What a model answers to a set of tiles, kept on disk: the slow part of the suite, done once per model, tiles and corruption."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_tf.common.arrays import write_npy
from crack_tf.data.cache import cache_folder
from crack_tf.evaluation.suite.corruptions import corrupt
from crack_tf.inference.predictor import Predictor, TflitePredictor, load_predictor
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.images import resize_rgb

_VERSION = 1  # raise when a corruption or the resizing changes
_CHUNK = 32


@dataclass(frozen=True)
class TestSet:
    """Tiles with labels that a model is asked about.

    Attributes:
        name: such as "metu-grouped test".
        images: uint8 (n, side, side, 3) at the side the data set has, memory-mapped.
        labels: int8 (n,), 1 is cracked.
        sha256: of the manifest, and
        split: of it that the tiles are.
    """

    __test__ = False  # no test class, whatever pytest makes of the name

    name: str
    images: np.ndarray
    labels: np.ndarray
    sha256: str
    split: str

    def half(self, which: int) -> np.ndarray:
        """Every second tile of each class: bool (n,), for calibration (0) or for evaluation (1)."""
        chosen = np.zeros(len(self.labels), bool)
        for label in (0, 1):
            chosen[np.flatnonzero(self.labels == label)[which::2]] = True
        return chosen


class Answers:
    """Asks models, and remembers.

    Args:
        folder: where answers are kept; None for the user's cache.
        jobs: tiles at the same time; None for all cores.
    """

    def __init__(self, folder: Path | None = None, jobs: int | None = None) -> None:
        self._folder = folder or cache_folder() / "answers"
        self._jobs = jobs or os.cpu_count() or 1
        self._loaded: dict[Path, Sequence[Predictor]] = {}

    def logits(self, model: Path, tiles: TestSet, kind: str | None = None, severity: int = 0) -> np.ndarray:
        """Logits of a model: float32 (n,).

        Args:
            model: `.tflite` or `.keras` file with its sidecar.
            tiles: what to ask about.
            kind: corruption, or None for the tiles as they are.
            severity: of the corruption.

        Raises:
            CrackError: if the model cannot be loaded or answers with a number that is not finite.
        """
        predictors = self._predictors(model)
        size = predictors[0].image_size
        model_id = f"{predictors[0].sidecar.sha256}{predictors[0].sidecar.reading}"
        text = f"{_VERSION} {model_id} {tiles.sha256} {tiles.split} {len(tiles.labels)} {kind} {severity}"
        path = self._folder / f"{sha256_bytes(text.encode())[:20]}.npy"
        try:
            kept = np.load(path)
        except (OSError, ValueError, EOFError):  # not asked yet, or a damaged file: ask again
            kept = None
        if kept is not None and kept.shape == tiles.labels.shape:
            return np.asarray(kept, np.float32)

        def ask(job: int) -> list[tuple[int, np.ndarray]]:
            found = []
            for start in range(job * _CHUNK, len(tiles.labels), _CHUNK * len(predictors)):
                chunk = tiles.images[start : start + _CHUNK]
                ready = [_prepared(tile, kind, severity, start + place, size) for place, tile in enumerate(chunk)]
                found.append((start, predictors[job].logits(np.stack(ready))))
            return found

        with ThreadPoolExecutor(len(predictors)) as pool:
            parts = [part for found in pool.map(ask, range(len(predictors))) for part in found]
        answers = np.concatenate([logits for _, logits in sorted(parts, key=lambda part: part[0])])
        if not np.isfinite(answers).all():
            raise CrackError(f"{model} answers with {int((~np.isfinite(answers)).sum())} numbers that are not finite.")
        write_npy(path, answers.astype(np.float32))
        return answers

    def threshold(self, model: Path) -> float:
        """The model's own decision threshold, a logit."""
        return self._predictors(model)[0].sidecar.threshold.logit

    def predictor(self, model: Path) -> Predictor:
        """The loaded model."""
        return self._predictors(model)[0]

    def _predictors(self, model: Path) -> Sequence[Predictor]:
        """One interpreter per thread: LiteRT's serve one thread at a time. Keras spreads its work itself."""
        if model not in self._loaded:
            first = load_predictor(model, threads=1)
            more = self._jobs - 1 if isinstance(first, TflitePredictor) else 0
            self._loaded[model] = [first, *(load_predictor(model, threads=1, trust=True) for _ in range(more))]
        return self._loaded[model]


def _prepared(tile: np.ndarray, kind: str | None, severity: int, seed: int, size: int) -> np.ndarray:
    if kind is not None:
        tile = corrupt(tile, kind, severity, seed)
    return tile if tile.shape[0] == size == tile.shape[1] else resize_rgb(tile, size)
