"""Cheap to dear: another threshold, normalisation statistics, head, finer features, other last blocks. Each is measured held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.adaptation.base import Base
from crack_tf.adaptation.bench import Bench, Seen
from crack_tf.adaptation.features import EARLY, FINE_BLOCK, Network, renormalised, seen_by
from crack_tf.adaptation.head import FINE_STRENGTHS, STRENGTHS, Fitted, Head, View, fit_by_photograph
from crack_tf.adaptation.tuning_blocks import Lesson, tune_blocks
from crack_tf.models import get_model
from crack_tf.models.keras_models import MODEL_FILE, load_keras, predict_logits
from tflite.errors import CrackError
from tflite.files import atomic_path

SHARE = 0.5  # of the structure in the normalisation statistics
BLOCKS_FOLDS = 3  # trainings to hold photographs out, before the one on all


@dataclass(frozen=True)
class Trial:
    """A candidate and its answers.

    Attributes:
        name: of `crack_tf.adaptation.config.CANDIDATES`.
        held_out: float32 (n,), logits of the structure's tiles, each by a model that has not seen its photograph.
        here: the same by the model that would be handed over, which has seen them.
        elsewhere: logits on each set of other structures, by that model.
        build: gives the Keras model that would be handed over; None where the shipped file stays and its threshold changes.
        note: what was chosen, for people.
        changes: hyperparameters of the Keras model that differ from the shipped one's.
    """

    name: str
    held_out: np.ndarray
    here: np.ndarray
    elsewhere: Sequence[np.ndarray]
    build: Callable[[], Any] | None
    note: str = ""
    changes: Mapping[str, float] = field(default_factory=dict)


def threshold_trial(bench: Bench, work: Path) -> Trial:
    """The shipped file with another threshold."""
    return Trial("threshold", bench.here, bench.here, bench.elsewhere, None)


def normalisation_trial(bench: Bench, work: Path) -> Trial:
    """The shipped weights with statistics that are partly this structure's; no label is looked at."""
    own = bench.tiles.take(bench.tiles.labels == -1) if not bench.told else bench.tiles.take(bench.fitted)
    looks = bench.looks
    networks = renormalised(bench.shipped, own.images, SHARE, bench.config.seed, looks)

    def answers(images: np.ndarray) -> np.ndarray:
        return bench.head.logits(seen_by(looks, lambda window: networks[window].features(images)))

    logits = answers(bench.tiles.images)
    elsewhere = [answers(np.asarray(one.images)) for one in bench.others]
    return Trial("normalisation", logits, logits, elsewhere, lambda: networks[looks[0]].model)


def head_trial(bench: Bench, work: Path) -> Trial:
    """A logistic regression on the shipped features, held to the shipped head."""
    return head_fit(bench, "head")[0]


def head_fit(bench: Bench, name: str) -> tuple[Trial, Fitted]:
    """The last layer that the labels prefer, as a candidate of that name."""
    fit = _fit(bench, bench.view, bench.head, STRENGTHS)
    return _fitted_trial(bench, name, fit, bench.seen, bench.view), fit


def fine_trial(bench: Bench, work: Path) -> Trial:
    """The last layer sees an early block too, whose weights are fitted: what this surface's grain and joints look like close up."""
    sidecar = bench.base.sidecar
    if EARLY not in get_model(sidecar.model).hyperparameters or sidecar.hyperparameters.get(EARLY):
        raise CrackError(f"{sidecar.model} has no early block that its last layer does not see already")
    if not bench.told:
        raise CrackError("cracks that were laid in show close up that they were: it takes labels that a person gave")
    return fine_fit(bench)[0]


def fine_fit(bench: Bench) -> tuple[Trial, Fitted]:
    """The weights of an early block that the labels prefer, as a candidate."""
    view = bench.fine_view
    start = Head(np.pad(bench.head.weights, (0, view.features.shape[1] - view.held)), bench.head.bias)
    fit = _fit(bench, view, start, FINE_STRENGTHS)
    return _fitted_trial(bench, "fine", fit, bench.fine, view, FINE_BLOCK), fit


def _fit(bench: Bench, view: View, start: Head, strengths: Sequence[float]) -> Fitted:
    used = bench.fitted
    return fit_by_photograph(view.take(used), bench.truth[used], bench.folds[used], start, strengths)


def _fitted_trial(bench: Bench, name: str, fit: Fitted, seen: Seen, view: View, early: int | None = None) -> Trial:
    base = bench.base
    return Trial(
        name=name,
        held_out=fit.held_out(view, bench.folds),
        here=fit.head.logits(seen.here),
        elsewhere=[fit.head.logits(features) for features in seen.elsewhere],
        build=lambda: Network(base.keras, base.sidecar, smooth=bench.looks[0], early=early).with_head(fit.head),
        note=_in_words(fit.strength),
        changes={} if early is None else {EARLY: early},
    )


def _in_words(strength: float) -> str:
    """What was fitted, for people."""
    if math.isinf(strength):
        return "its weights stay, scale and place of its answer are fitted"
    return f"its weights are fitted, held to the shipped ones with strength {strength:g}"


def blocks_trial(bench: Bench, work: Path) -> Trial:
    """The last blocks trained on; see `crack_tf.adaptation.tuning_blocks`."""
    if get_model(bench.base.sidecar.model).set_trainable is None:
        raise CrackError(f"{bench.base.sidecar.model} has no blocks to train apart from the others")
    folds = bench.folds % BLOCKS_FOLDS
    parts = sorted(set(folds.tolist()))
    lesson, start, base = _lesson(bench), bench.start, bench.base
    began = f"they began as those of {start.name}" if bench.starts_elsewhere else ""

    def trained(used: np.ndarray, file: Path, number: int) -> Any:
        """Trained on some of the structure's tiles, now or before."""
        if file.is_file():
            return load_keras(file)
        model = _tuned(bench, _part(lesson, used[bench.fitted]), f"blocks {number}/{len(parts) + 1}")
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            model.save(temporary)
        return model

    def answers(model: Any, images: np.ndarray) -> np.ndarray:
        return predict_logits(model, np.asarray(images), second_view=bench.base.device.second_view, title="answers")

    held_out = np.zeros(len(bench.tiles), np.float32)
    folder = f"blocks-{start.sidecar.sha256[:8]}"  # of an interrupted run: of this start
    for number, fold in enumerate(parts, 1):
        out = folds == fold
        model = trained(~out, work / f"{folder}-{fold}" / MODEL_FILE, number)
        held_out[out] = answers(model, bench.tiles.images[out])
    final = work / f"{folder}-all" / MODEL_FILE
    model = trained(np.ones(len(bench.tiles), bool), final, len(parts) + 1)
    elsewhere = [answers(model, one.images) for one in bench.others]
    return Trial(
        name="blocks",
        held_out=held_out,
        here=answers(model, bench.tiles.images),
        elsewhere=elsewhere,
        build=partial(load_keras, final),
        note=began,
        changes=_changed(start, base),
    )


def _changed(start: Base, base: Base) -> dict[str, float]:
    """Hyperparameters of a start that differ from those of what is adapted."""
    usual = get_model(base.sidecar.model).hyperparameters
    ours, theirs = (usual | one.sidecar.hyperparameters for one in (base, start))
    return {name: value for name, value in theirs.items() if value != ours[name]}


def tuned_blocks(bench: Bench) -> Any:
    """The model that `blocks_trial` would hand over, without asking whether it is better."""
    return _tuned(bench, _lesson(bench), "blocks")


def _tuned(bench: Bench, lesson: Lesson, title: str) -> Any:
    config, start = bench.config, bench.start
    return tune_blocks(start.keras, start.sidecar, lesson, config.blocks, config.steps, config.seed, title)


def _lesson(bench: Bench) -> Lesson:
    """All that may be learned from here, among the tiles of other structures that are not tested on, with the start's own answers."""
    used = bench.fitted
    none = np.zeros((0, *bench.tiles.images.shape[1:]), np.uint8)
    replayed = np.concatenate([none, *(np.asarray(one.images)[~one.test] for one in bench.others)])
    model = load_keras(bench.start.keras) if bench.starts_elsewhere else bench.shipped.model
    return Lesson(bench.tiles.images[used], bench.truth[used], replayed, predict_logits(model, replayed))


def _part(lesson: Lesson, used: np.ndarray) -> Lesson:
    return replace(lesson, images=lesson.images[used], labels=lesson.labels[used])


TRIALS: dict[str, Callable[[Bench, Path], Trial]] = {
    "threshold": threshold_trial,
    "normalisation": normalisation_trial,
    "head": head_trial,
    "fine": fine_trial,
    "blocks": blocks_trial,
}
