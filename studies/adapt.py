"""What a few labels of a structure bring, on sets that no shipped model was trained on: before and after 0 to 100 labels.

What it makes: results/adapt/runs.csv (a row per set, seed, number of labels and candidate), summary.csv (means over the seeds, with 95 %
intervals by photograph), guard.csv (how often the guard accepts what helps, and what does not) and adapt.png. Half of a set's photographs,
drawn anew for each seed, give the labels, half of them cracks; the other half is the test, and tells whether a candidate truly helps. Of
the shipped model's float weights: features are computed once and kept, so that a seed costs seconds. Candidates are those of
`crack_tf.adaptation.candidates`: shipped; threshold; normalisation (half of the statistics the set's, no labels
looked at); head; fine; nothing (a head without labels: tiles that the model is sure are clean, a tenth of the unlabelled ones being
cracked, and their twins with cracks laid in).
Cost: half an hour on one core for 300 tiles of each of six sets; stopped, the same command goes on. MORE=n stops after n more
parts of pairs of set and seed; those without labels come first, at a few seconds each.
Expected: docs/adapt.md.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt
The last blocks, which take five minutes a draw, beside the candidates of as many labels, in results/adapt/blocks (an hour on one core):
python -m studies.adapt --parts labels --parts blocks --seeds 1 --out results/adapt/blocks --work runs/adapt-blocks
What they bring by the number of labels, without the guard, in results/adapt/blocks-by-labels (an hour on one core for a draw of six sets):
python -m studies.adapt --parts unjudged --seeds 1 --out results/adapt/blocks-by-labels --work runs/adapt-by-labels
What the default learned from can be left out by models that learned less, which stand in for trainings without each set:
python -m studies.adapt --model mobilenet_v2 --sets "sdnet2018 reviewed" --sets "drone concrete" --seeds 3 --out results/adapt/left-out
--work runs/adapt-left-out
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crack_tf.adaptation.base import Base, find_base
from crack_tf.adaptation.bench import Bench, Seen
from crack_tf.adaptation.candidates import SHARE, Trial, blocks_trial, fine_fit, head_fit, tuned_blocks
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.elsewhere import Elsewhere, find_elsewhere
from crack_tf.adaptation.features import (
    EARLY,
    FINE_BLOCK,
    Network,
    renormalised,
    seen_by,
    shipped_looks,
)
from crack_tf.adaptation.from_nothing import crack_shapes, sure_to_be_clean, with_cracks
from crack_tf.adaptation.guard import least_recall
from crack_tf.adaptation.tiles import COMPOSED, PERSON, UNLABELLED, SiteTiles, join
from crack_tf.adaptation.verdict import verdict
from crack_tf.common.plotting import new_figure, save_png
from crack_tf.data.cache import load_split
from crack_tf.data.patches import load_patches
from crack_tf.evaluation.suite.sets import DOMAINS, Chosen, manifest_of
from crack_tf.evaluation.thresholds import specificity_at_recall
from crack_tf.models import get_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import predict_logits
from tflite.cli import named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, read_json, write_csv, write_json
from tflite.images import resize_rgb
from tflite.metrics import roc_auc

SETS = ("brick", "cssc", "crack500 tiles", "conglomerate tiles", "deepcrack tiles", "drone asphalt")
LABELS = (0, 10, 20, 40, 50, 100)
SEEDS = 5
TARGET = 0.98
CRACKED_SHARE = 0.1  # of the tiles that have no label
MOST_CLEAN = 100
DRAWS = 200
ELSEWHERE = 160  # tiles of each set of other structures
HELPS = 0.02  # by which missed and called shares together fall on the test of what helps
# A head without labels; candidates of labels; those with other statistics, and with other blocks, which ask about all tiles anew.
# Last: other blocks without the guard, whose cross-validation is three quarters of the time.
UNLABELLED_HEAD, LABELLED, STATISTICS, BLOCKS, UNJUDGED = "nothing", "labels", "statistics", "blocks", "unjudged"
PARTS = (UNLABELLED_HEAD, LABELLED, STATISTICS, BLOCKS, UNJUDGED)
# The last blocks take minutes a draw: fewer numbers of labels.
BLOCKS_LABELS, BLOCKS_SEEDS = (20, 40), 2
UNJUDGED_LABELS = (0, 10, 20, 40, 100)
OUT, WORK = Path("results/adapt"), Path("runs/adapt")
Row = dict[str, Any]
COLUMNS = (
    *("set", "seed", "labels", "candidate", "auc", "specificity_at_recall", "specificity_at_90", "threshold", "recall", "specificity"),
    *("shipped_recall", "shipped_specificity", "accepted", "asked_recall", "choice", "seconds"),
    *("test_cracks", "test_clean", "test_photographs", "least_margin_elsewhere"),
)  # fmt: skip
_FIGURES = ("auc", "specificity_at_recall", "specificity_at_90")


@dataclass(frozen=True)
class StudyBench(Bench):
    """A bench whose features are known."""

    known: Seen
    known_fine: Seen | None = None

    @cached_property
    def seen(self) -> Seen:
        return self.known

    @cached_property
    def fine(self) -> Seen:
        assert self.known_fine is not None
        return self.known_fine


@dataclass(frozen=True)
class Answer:
    """What a candidate says: logits of all the set's tiles and of each set of other structures, and its threshold; whether the guard
    accepts it, None where that is not asked; what it chose, and the seconds of processor time that took, features being there."""

    logits: np.ndarray
    elsewhere: Sequence[np.ndarray]
    threshold: float
    accepted: bool | None = None
    asked_recall: float | None = None
    choice: str = ""
    seconds: float | None = None


def load_set(chosen: Chosen, size: int, limit: int | None, least: float = 0.0) -> SiteTiles:
    """At most `limit` tiles of a set at the model's size, all if None, with their photographs.

    Args:
        chosen: the set; tiles that are cut from photographs with masks are cracked where a pixel is.
        size: side of the model's input.
        limit: tiles at most.
        least: of those that are cut, cracked ones are left out where what they have of a crack is shorter than this share of their side.
    """
    manifest = manifest_of(chosen)
    if manifest.task == "segment":
        patches = load_patches(manifest, chosen.split, chosen.side, limit=limit)
        kept = [place for place, mask in enumerate(patches.masks) if extent(mask) >= least or not mask.any()]
        images = np.stack([resize_rgb(np.asarray(patches.images[place]), size) for place in kept])
        labels, items = patches.labels[kept], [patches.items[place] for place in kept]
    else:
        tiles = load_split(manifest, chosen.split, size, limit=limit)
        images, labels, items = np.asarray(tiles.images), tiles.labels, tiles.items
    names = tuple(f"{number}" for number in range(len(items)))
    return SiteTiles(images, labels, tuple(item.group for item in items), names, (PERSON,) * len(items))


def extent(mask: np.ndarray) -> float:
    """How long what a mask (s, s) has of a crack is from corner to corner, as a share of the mask's side."""
    rows, columns = np.nonzero(mask)
    return float(np.hypot(np.ptp(rows), np.ptp(columns))) / len(mask) if len(rows) else 0.0


class SetStudy:
    """One set, all candidates.

    Args:
        tiles: of the set.
        base: the shipped model.
        networks: by the number of pixels that they average over, one for each of the file's looks.
        fine: gives those whose last layer sees an early block too; None where there are none.
        here: gives the same with the set's statistics.
        others: other structures.
        shapes: to lay into clean tiles.
    """

    def __init__(
        self,
        tiles: SiteTiles,
        base: Base,
        networks: dict[int, Network],
        here: Callable[[], dict[int, Network]],
        others: tuple[Elsewhere, ...],
        shapes: list[Any],
        fine: Callable[[], dict[int, Network]] | None = None,
    ) -> None:
        self.tiles, self.base, self.networks, self.others, self.shapes = tiles, base, networks, others, shapes
        self.looks = shipped_looks(base.device)
        self.head, self.threshold = networks[self.looks[0]].head, base.device.threshold.logit
        self.seen = Seen(self.features(tiles.images), tuple(self.features(one.images) for one in others))
        self.shipped = self.head.logits(self.seen.here)
        self.before = tuple(self.head.logits(features) for features in self.seen.elsewhere)
        self.least = [
            least_recall((logits >= self.threshold)[one.test], one.labels[one.test])
            for logits, one in zip(self.before, others, strict=True)
        ]
        self.here, self.networks_fine = here, fine

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the shipped last layer sees of tiles."""
        return seen_by(self.looks, lambda window: self.networks[window].features(np.asarray(images)))

    @cached_property
    def fine(self) -> Seen | None:
        """What a last layer that sees an early block too sees of the set's tiles, and of other structures'."""
        if self.networks_fine is None:
            return None
        networks = self.networks_fine()

        def seen(images: np.ndarray) -> np.ndarray:
            return seen_by(self.looks, lambda window: networks[window].features(np.asarray(images)))

        return Seen(seen(self.tiles.images), tuple(seen(one.images) for one in self.others))

    @cached_property
    def networks_here(self) -> dict[int, Network]:
        """Those with the set's statistics."""
        return self.here()

    def renewed(self, images: np.ndarray) -> np.ndarray:
        """Answers with the set's statistics."""
        networks = self.networks_here
        return self.head.logits(seen_by(self.looks, lambda window: networks[window].features(np.asarray(images))))

    @cached_property
    def moved(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The same to the set's tiles, and to each set of other structures."""
        return self.renewed(self.tiles.images), [self.renewed(one.images) for one in self.others]

    def bench(self, tiles: SiteTiles, features: np.ndarray, logits: np.ndarray, seed: int) -> StudyBench:
        """Some tiles with their features, and the shipped answers."""
        known = Seen(features, self.seen.elsewhere)
        config = AdaptConfig("study", seed=seed)
        return StudyBench(config, self.base, tiles, self.others, logits, self.before, known)

    def rows(self, seed: int, part: str) -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
        """(row, places of the test's tiles, their logits) of every number of labels, and of the candidates of one of `PARTS`."""
        rng = np.random.default_rng([seed, 7])
        photos = np.array(self.tiles.photos)
        names = rng.permutation(np.unique(photos))
        pool = np.flatnonzero(np.isin(photos, names[: len(names) // 2]))
        test = np.flatnonzero(~np.isin(photos, names[: len(names) // 2]))
        drawn = {label: rng.permutation(pool[self.tiles.labels[pool] == label]) for label in (0, 1)}
        labels = self.tiles.labels[test]
        before = self.shipped[test] >= self.threshold
        for count in LABELS:
            half = count // 2
            if min(len(found) for found in drawn.values()) < half:
                continue
            chosen = np.concatenate([drawn[0][:half], drawn[1][:half]])
            if part == UNLABELLED_HEAD:
                found = {} if half else self.nothing(drawn, seed)
            elif part == BLOCKS:
                found = self.blocks(chosen, seed) if count in BLOCKS_LABELS else {}
            elif part == UNJUDGED:
                found = self.unjudged(chosen, seed) if count in UNJUDGED_LABELS else {}
            elif part == STATISTICS:
                found = self.renormalised(chosen, seed) if half else self.normalised(drawn, seed)
            else:
                found = self.labelled(chosen, seed) if half else {"shipped": self.unchanged}
            for name, answer in found.items():
                logits = answer.logits[test]
                called = logits >= answer.threshold
                margins = [
                    _recall(found, one, answer.threshold) - least
                    for found, one, least in zip(answer.elsewhere, self.others, self.least, strict=True)
                ]
                row = {
                    "seed": seed,
                    "labels": count,
                    "candidate": name,
                    "auc": roc_auc(logits, labels),
                    "specificity_at_recall": specificity_at_recall(logits, labels, TARGET),
                    "specificity_at_90": specificity_at_recall(logits, labels, 0.9),
                    "threshold": answer.threshold,
                    "recall": float(called[labels == 1].mean()),
                    "specificity": float((~called[labels == 0]).mean()),
                    "shipped_recall": float(before[labels == 1].mean()),
                    "shipped_specificity": float((~before[labels == 0]).mean()),
                    "accepted": "" if answer.accepted is None else int(answer.accepted),
                    "asked_recall": "" if answer.asked_recall is None else answer.asked_recall,
                    "choice": answer.choice,
                    "seconds": "" if answer.seconds is None else round(answer.seconds, 1),
                    "test_cracks": int((labels == 1).sum()),
                    "test_clean": int((labels == 0).sum()),
                    "test_photographs": len(set(photos[test])),
                    "least_margin_elsewhere": min(margins),
                }
                yield row, test, logits

    @property
    def unchanged(self) -> Answer:
        """The shipped model."""
        return Answer(self.shipped, self.before, self.threshold)

    def of_labels(self, chosen: np.ndarray, seed: int) -> StudyBench:
        """What so many labels allow."""
        bench = self.bench(self.tiles.take(chosen), self.seen.here[chosen], self.shipped[chosen], seed)
        return replace(bench, known_fine=Seen(self.fine.here[chosen], self.fine.elsewhere)) if self.fine else bench

    def labelled(self, chosen: np.ndarray, seed: int) -> dict[str, Answer]:
        """Candidates of so many labels."""
        bench = self.of_labels(chosen, seed)
        if bench.folds.min() < 0:
            return {}
        found = {
            "threshold": _judged(bench, Trial("threshold", bench.here, bench.here, self.before, None), self.shipped)
        }
        started = time.process_time()
        trial, fit = head_fit(bench, "head")
        seconds = time.process_time() - started
        found["head"] = replace(_judged(bench, trial, fit.head.logits(self.seen.here)), seconds=seconds)
        if self.fine is not None:
            started = time.process_time()
            trial, fit = fine_fit(bench)
            seconds = time.process_time() - started
            answer = _judged(bench, trial, fit.head.logits(self.fine.here))
            found["fine"] = replace(answer, seconds=seconds)
        return found

    def renormalised(self, chosen: np.ndarray, seed: int) -> dict[str, Answer]:
        """The set's statistics, with a threshold that so many labels choose."""
        bench, (here, elsewhere) = self.of_labels(chosen, seed), self.moved
        if bench.folds.min() < 0:
            return {}
        trial = Trial("normalisation", here[chosen], here[chosen], elsewhere, None)
        return {"normalisation": _judged(bench, trial, here)}

    def blocks(self, chosen: np.ndarray, seed: int) -> dict[str, Answer]:
        """The last blocks trained on so many labels."""
        bench = self.of_labels(chosen, seed)
        if bench.folds.min() < 0:
            return {}
        started = time.process_time()
        with TemporaryDirectory() as work:
            trial = blocks_trial(bench, Path(work))
            assert trial.build is not None
            model = trial.build()
            logits = predict_logits(model, np.asarray(self.tiles.images), second_view=self.base.device.second_view)
        answer = _judged(bench, trial, logits)
        return {"blocks": replace(answer, seconds=time.process_time() - started)}

    def unjudged(self, chosen: np.ndarray, seed: int) -> dict[str, Answer]:
        """The last blocks trained on so many labels, at the shipped threshold; the shipped model without any."""
        if not len(chosen):
            return {"shipped": self.unchanged}
        started = time.process_time()
        model = tuned_blocks(self.of_labels(chosen, seed))

        def answers(images: np.ndarray) -> np.ndarray:
            return predict_logits(model, np.asarray(images), second_view=self.base.device.second_view)

        here, elsewhere = answers(self.tiles.images), [answers(one.images) for one in self.others]
        return {"blocks": Answer(here, elsewhere, self.threshold, seconds=time.process_time() - started)}

    def unlabelled(self, drawn: dict[int, np.ndarray], seed: int) -> tuple[StudyBench, SiteTiles, np.ndarray] | None:
        """What no label allows, the tiles that were made for it, and places of the clean ones; None where no crack can be laid in."""
        places = np.concatenate([drawn[0], drawn[1][: round(len(drawn[0]) * CRACKED_SHARE)]])
        tiles = self.tiles.take(places)
        tiles = replace(tiles, origins=(UNLABELLED,) * len(tiles), labels=np.full(len(tiles), -1, np.int8))
        made = with_cracks(
            sure_to_be_clean(tiles, self.shipped[places], self.threshold, MOST_CLEAN, seed), self.shapes, seed
        )
        laid = made.with_origin(COMPOSED)
        if not laid.any():
            return None
        known = np.concatenate([places, [int(name) for name, new in zip(made.names, laid, strict=True) if not new]])
        cracked = made.take(laid)  # all others are seen already
        features = np.concatenate([self.seen.here[known], self.features(cracked.images)])
        bench = self.bench(join([tiles, made]), features, self.head.logits(features), seed)
        return (bench, cracked, known) if bench.folds.min() >= 0 else None

    def nothing(self, drawn: dict[int, np.ndarray], seed: int) -> dict[str, Answer]:
        """A head without labels."""
        found = self.unlabelled(drawn, seed)
        if found is None:
            return {}
        trial, fit = head_fit(found[0], "nothing")
        return {"nothing": _judged(found[0], trial, fit.head.logits(self.seen.here))}

    def normalised(self, drawn: dict[int, np.ndarray], seed: int) -> dict[str, Answer]:
        """The set's statistics without labels."""
        here, elsewhere = self.moved
        found = self.unlabelled(drawn, seed)
        if found is None:
            return {"normalisation": Answer(here, elsewhere, self.threshold)}
        bench, cracked, known = found
        logits = np.concatenate([here[known], self.renewed(cracked.images)])
        return {"normalisation": _judged(bench, Trial("normalisation", logits, logits, elsewhere, None), here)}


def _judged(bench: Bench, trial: Trial, logits: np.ndarray) -> Answer:
    row, _ = verdict(bench, trial)
    return Answer(logits, trial.elsewhere, row.threshold, row.passed, row.asked_recall, row.choice)


def _recall(logits: np.ndarray, one: Elsewhere, threshold: float) -> float:
    return float((logits[(one.labels == 1) & one.test] >= threshold).mean())


def measure(
    work: Path,
    model: str | None,
    limit: int,
    seeds: int,
    more: int | None,
    sets: Sequence[str] = SETS,
    parts: Sequence[str] = PARTS,
) -> None:
    """Measure what is missing, a pair of set and seed at a time.

    Raises:
        CrackError: if the folder holds results of another model or limit.
    """
    use_tensorflow()
    base = find_base(model or "")
    asked = {
        "format": "crack_tf.study_adapt/4",
        "model": base.name,
        "sha256": base.sidecar.sha256,
        "limit": limit,
        "looks": list(shipped_looks(base.device)),
    }
    record = work / "study.json"
    if record.is_file():
        before = read_json(record)
        if {name: before.get(name) for name in asked} != asked:
            raise CrackError(
                f"{work} has results of {before.get('model')} with limit {before.get('limit')}. Remove it, or give another --work."
            )
    write_json(record, asked)
    size = base.sidecar.image_size
    units = [
        (name, seed, part)
        for part in parts
        for seed in range(min(seeds, BLOCKS_SEEDS) if part == BLOCKS else seeds)
        for name in sets
        if not _unit(work, name, seed, part).is_file()
    ]
    if not units:
        return
    looks = shipped_looks(base.device)
    networks = {window: Network(base.keras, base.sidecar, smooth=window) for window in looks}
    others = tuple(one for one in find_elsewhere(size, ELSEWHERE).sets if one.name not in sets)
    shapes, _ = crack_shapes()

    def finely() -> dict[int, Network]:
        return {window: Network(base.keras, base.sidecar, smooth=window, early=FINE_BLOCK) for window in looks}

    fine = finely if EARLY in get_model(base.sidecar.model).hyperparameters else None

    def study_of(name: str) -> SetStudy:
        tiles = load_set(next(one for one in DOMAINS if one.label == name), size, limit)

        def here() -> dict[int, Network]:
            return {window: renormalised(networks[looks[0]], tiles.images, SHARE, 0, window) for window in looks}

        return SetStudy(tiles, base, networks, here, others, shapes, fine)

    studies: dict[str, SetStudy] = {}
    for name, seed, part in units[:more]:
        if name not in studies:
            studies[name] = study_of(name)
        write_unit(studies[name], work, name, seed, part)


def write_unit(study: SetStudy, work: Path, name: str, seed: int, part: str) -> None:
    """Measure one part of a pair of set and seed, and keep it."""
    rows: list[Row] = []
    kept: dict[str, Any] = {}
    for number, (row, places, logits) in enumerate(study.rows(seed, part)):
        rows.append({"set": name, **row})
        kept[f"logits{number}"] = logits.tolist()
        kept["test"] = places.tolist()
    test = kept.get("test", [])
    kept["photos"] = [study.tiles.photos[place] for place in test]
    kept["truth"] = study.tiles.labels[test].tolist() if test else []
    path = _unit(work, name, seed, part)
    write_json(path.with_suffix(".json"), kept)
    write_csv(path, rows, COLUMNS)
    print(f"{name}, seed {seed}, {part}: {len(rows)} rows", flush=True)


def _unit(work: Path, name: str, seed: int, part: str) -> Path:
    return work / f"{name.replace(' ', '-')}-{seed}-{part}.csv"


def collect(out: Path, work: Path) -> None:
    """Write runs.csv, summary.csv and the plot of what is measured."""
    rows: list[Row] = []
    answers: dict[tuple[str, int, int, str], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for path in sorted(work.glob("*.csv")):
        kept = read_json(path.with_suffix(".json"))
        for number, text in enumerate(read_csv(path)):
            row = {name: cell_value(value) for name, value in text.items()}
            rows.append(row)
            key = (str(row["set"]), int(row["seed"] or 0), int(row["labels"] or 0), str(row["candidate"]))
            answers[key] = (np.array(kept[f"logits{number}"]), np.array(kept["truth"]), np.array(kept["photos"]))
    write_csv(out / "runs.csv", rows, COLUMNS)
    write_json(out / "study.json", read_json(work / "study.json"))
    found = summary(rows, answers)
    write_csv(out / "summary.csv", found)
    if judged := guard_rows(rows):
        write_csv(out / "guard.csv", judged)
    draw(found, out / "adapt.png")
    print("\n\n".join([*tables(found), guard_table(judged), blocks_table(rows), labels_table(found)]))


def summary(rows: Sequence[Row], answers: dict[tuple[str, int, int, str], Any]) -> list[Row]:
    """Means over the seeds, with 95 % intervals: whole photographs are drawn with replacement, the same ones for all seeds."""
    found = []
    for name in _sets_of(rows):
        mine = [row for row in rows if row["set"] == name]
        photos = sorted({photo for key, kept in answers.items() if key[0] == name for photo in kept[2]})
        if not photos:
            continue
        rng = np.random.default_rng(11)
        draws = [
            dict(zip(photos, rng.multinomial(len(photos), np.full(len(photos), 1 / len(photos))), strict=True))
            for _ in range(DRAWS)
        ]
        for labels, candidate in sorted({(row["labels"], row["candidate"]) for row in mine}, key=str):
            here = [row for row in mine if (row["labels"], row["candidate"]) == (labels, candidate)]
            kept = [answers[(name, row["seed"], labels, candidate)] for row in here]
            entry: Row = {"set": name, "labels": labels, "candidate": candidate, "seeds": len(here)}
            spread = np.array(
                [[_figures(one[0], one[1], one[2], drawn) for one in kept] for drawn in draws]
            )  # (draws, seeds, figures)
            for number, figure in enumerate(_FIGURES):
                entry[figure] = float(np.mean([row[figure] for row in here]))
                low, high = np.nanquantile(np.nanmean(spread[:, :, number], axis=1), (0.025, 0.975))
                entry[f"{figure}_low"], entry[f"{figure}_high"] = float(low), float(high)
            for figure in ("recall", "specificity", "least_margin_elsewhere"):
                entry[figure] = float(np.mean([row[figure] for row in here]))
            entry["worst_margin_elsewhere"] = float(min(row["least_margin_elsewhere"] for row in here))
            found.append(entry)
    return found


def _sets_of(rows: Sequence[Row]) -> list[str]:
    """Their names, in the order of `SETS`, then others."""
    there = dict.fromkeys(str(row["set"]) for row in rows)
    return [*(name for name in SETS if name in there), *(name for name in there if name not in SETS)]


def _figures(logits: np.ndarray, labels: np.ndarray, photos: np.ndarray, draw: dict[str, int]) -> tuple[float, ...]:
    times = np.array([draw[photo] for photo in photos])
    places = np.repeat(np.arange(len(labels)), times)
    truth = labels[places]
    if not truth.any() or truth.all():
        return (float("nan"),) * len(_FIGURES)
    auc = roc_auc(logits[places], truth)
    at = (specificity_at_recall(logits[places], truth, recall) for recall in (TARGET, 0.9))
    return float("nan") if auc is None else auc, *at


def guard_rows(rows: Sequence[Row]) -> list[Row]:
    """By candidate and number of labels: how often the guard accepts what helps on the test, and what does not; and what accepted ones do.

    A candidate helps where the shares of cracks missed and of clean tiles called fall by `HELPS` or more together; one between that and
    none is counted as neither. First: the first in the order of the candidates that is accepted, which is what is handed over.
    """
    judged = [row for row in rows if row["accepted"] in (0, 1)]
    for row in judged:
        row["fall"] = row["recall"] + row["specificity"] - row["shipped_recall"] - row["shipped_specificity"]
    order = ("threshold", "normalisation", "head", "fine")
    found = []
    for count in sorted({int(row["labels"]) for row in judged}):
        mine = [row for row in judged if row["labels"] == count]
        for name in dict.fromkeys(row["candidate"] for row in mine):
            found.append(_guard_row(count, name, [row for row in mine if row["candidate"] == name]))
        sites = dict.fromkeys((row["set"], row["seed"]) for row in mine if row["candidate"] in order)
        firsts = []
        for site in sites:
            tried = sorted(
                (row for row in mine if (row["set"], row["seed"]) == site and row["candidate"] in order),
                key=lambda row: order.index(row["candidate"]),
            )
            taken = next((row for row in tried if row["accepted"]), None)
            firsts.append(taken or {**max(tried, key=lambda row: row["fall"]), "accepted": 0})
        if firsts:
            found.append(_guard_row(count, "first", firsts))
    return found


def _guard_row(count: int, name: str, rows: Sequence[Row]) -> Row:
    helps, harms = [row for row in rows if row["fall"] >= HELPS], [row for row in rows if row["fall"] <= 0]
    taken = [row for row in rows if row["accepted"]]

    def mean(figure: str) -> float | str:
        return float(np.mean([row[figure] for row in taken])) if taken else ""

    return {
        "labels": count,
        "candidate": name,
        "tried": len(rows),
        "helps": len(helps),
        "helps_accepted": sum(row["accepted"] for row in helps),
        "harms": len(harms),
        "harms_accepted": sum(row["accepted"] for row in harms),
        "accepted": len(taken),
        **{
            figure: mean(figure)
            for figure in ("shipped_recall", "recall", "shipped_specificity", "specificity", "fall")
        },
        "worst_fall": min((row["fall"] for row in taken), default=""),
    }


def guard_table(rows: Sequence[Row]) -> str:
    """In Markdown: what the guard does with candidates that help, and with those that do not."""
    lines = [
        "| labels | candidate | helps, accepted | does not, accepted | recall of the accepted | specificity of the accepted |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        ends = [
            f"{float(row[f'shipped_{figure}']):.2f} -> {float(row[figure]):.2f}" if int(row["accepted"]) else "-"
            for figure in ("recall", "specificity")
        ]
        lines.append(
            f"| {row['labels']} | {row['candidate']} | {row['helps_accepted']} of {row['helps']} | {row['harms_accepted']} of "
            f"{row['harms']} | {' | '.join(ends)} |"
        )
    return "\n".join(lines)


SHOWN = (
    *((0, "shipped"), (0, "normalisation"), (0, "nothing")),
    *((40, "head"), (100, "head"), (20, "fine"), (40, "fine"), (100, "fine")),
)


def tables(rows: Sequence[Row]) -> list[str]:
    """In Markdown: specificity at the target recall and at 0.9 with intervals, area under the curve; recall and specificity at the
    threshold that labels choose."""
    found = {(str(row["set"]), int(row["labels"]), str(row["candidate"])): row for row in rows}
    names = [name for name in _sets_of(rows) if (name, 0, "shipped") in found]
    shown = [one for one in SHOWN if any((name, *one) in found for name in names)]
    made = []
    for figure in ("specificity_at_recall", "specificity_at_90", "auc"):

        def cell(key: tuple[str, int, str], figure: str = figure) -> str:
            row = found.get(key)
            if row is None:
                return "-"
            value, low, high = (float(row[f"{figure}{end}"]) for end in ("", "_low", "_high"))
            return f"{value:.2f} [{low:.2f}, {high:.2f}]"

        heads = [f"{candidate}, {count}" if count else candidate for count, candidate in shown]
        lines = [f"| set | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
        lines += [f"| {name} | {' | '.join(cell((name, *one)) for one in shown)} |" for name in names]
        made.append("\n".join(lines))
    counts = [count for count in LABELS if count]

    def pair(key: tuple[str, int, str]) -> str:
        row = found.get(key)
        return "-" if row is None else f"{float(row['recall']):.2f}, {float(row['specificity']):.2f}"

    lines = [
        f"| set | shipped | {' | '.join(f'threshold, {count}' for count in counts)} |",
        "|---" * (2 + len(counts)) + "|",
    ]
    for name in names:
        chosen = [pair((name, 0, "shipped")), *(pair((name, count, "threshold")) for count in counts)]
        lines.append(f"| {name} | {' | '.join(chosen)} |")
    return [*made, "\n".join(lines)]


def blocks_table(runs: Sequence[Row]) -> str:
    """In Markdown, means over draws: what as many labels bring by `fine` and by the last blocks, and how often the guard accepts it,
    where it was asked."""
    runs = [row for row in runs if row["candidate"] == "shipped" or row["accepted"] not in ("", None)]
    lines = [
        "| set | candidate | AUC | specificity at recall 0.98 | at 0.9 | accepted | recall | specificity |",
        "|---" * 8 + "|",
    ]
    for name in _sets_of(runs):
        for count, candidate in (
            (0, "shipped"),
            *((count, some) for count in BLOCKS_LABELS for some in ("fine", "blocks")),
        ):
            mine = [
                row for row in runs if (row["set"], int(row["labels"]), row["candidate"]) == (name, count, candidate)
            ]
            if mine:
                means = [f"{np.mean([float(row[figure]) for row in mine]):.2f}" for figure in _FIGURES]
                rates = [f"{np.mean([float(row[rate]) for row in mine]):.2f}" for rate in ("recall", "specificity")]
                taken = f"{sum(int(row['accepted']) for row in mine)} of {len(mine)}" if count else "-"
                title = f"{candidate}, {count}" if count else candidate
                lines.append(f"| {' | '.join([name, title, *means, taken, *rates])} |")
    return "\n".join(lines)


def labels_table(rows: Sequence[Row]) -> str:
    """In Markdown: what the last blocks bring by the number of labels: area under the curve, and recall and specificity at the shipped
    threshold where no guard was asked."""
    found = {(row["set"], int(row["labels"])): row for row in rows if row["candidate"] in ("shipped", "blocks")}
    figures = ("auc", "recall", "specificity")

    def cell(some: Sequence[Row]) -> str:
        auc, *rates = (f"{np.mean([float(row[figure]) for row in some]):.2f}" for figure in figures)
        return f"{auc}: {', '.join(rates)}"

    lines = [
        f"| set | {' | '.join(str(count) if count else 'shipped' for count in UNJUDGED_LABELS)} |",
        "|---" * (1 + len(UNJUDGED_LABELS)) + "|",
    ]
    names = _sets_of(rows)
    for name in names:
        mine = [found.get((name, count)) for count in UNJUDGED_LABELS]
        lines.append(f"| {name} | {' | '.join(cell([row]) if row else '-' for row in mine)} |")
    for title, those in (
        ("mean", names),
        ("mean of those with 40 labels", [name for name in names if (name, 40) in found]),
    ):
        cells = []
        for count in UNJUDGED_LABELS:
            there = [found[name, count] for name in those if (name, count) in found]
            cells.append(cell(there) if there and len(there) == len(those) else "-")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Area under the curve over the number of labels, a panel per set."""
    names = _sets_of(rows)
    if not names:
        return
    lines = -(-len(names) // 3)
    picture = new_figure(10, 3 * lines)
    panels = np.atleast_1d(picture.subplots(lines, 3, sharex=True, sharey=True)).ravel()
    colours = {
        "head": "#D55E00",
        "fine": "#E69F00",
        "blocks": "#009E73",
        "normalisation": "#0072B2",
        "nothing": "#CC79A7",
    }
    for axes, name in zip(panels, names, strict=False):
        mine = [row for row in rows if row["set"] == name]
        for row in mine:
            if row["candidate"] == "shipped":
                axes.axhspan(row["auc_low"], row["auc_high"], color="0.85", zorder=0)
                axes.axhline(row["auc"], color="0.4", linewidth=1, label="shipped")
        for candidate, colour in colours.items():
            line = sorted((row for row in mine if row["candidate"] == candidate), key=lambda row: row["labels"])
            if not line:
                continue
            places = [LABELS.index(row["labels"]) for row in line]
            value, low, high = (np.array([row[f"auc{end}"] for row in line]) for end in ("", "_low", "_high"))
            axes.errorbar(
                places, value, np.clip([value - low, high - value], 0, None),
                color=colour, marker="o", markersize=3, linewidth=1.2, capsize=2, label=candidate,
            )  # fmt: skip
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(LABELS)), map(str, LABELS))
        axes.set_ylim(0.55, 1.01)
        axes.grid(alpha=0.3)
    picture.supxlabel("labels of the set, half of them cracks")
    picture.supylabel("area under the curve")
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    save_png(picture, path)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.adapt", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, default=OUT, help=f"folder of the results (default: {OUT})")
    parser.add_argument(
        "--work", type=named_path, default=WORK, help=f"folder of what is measured so far (default: {WORK})"
    )
    parser.add_argument("--model", help="a shipped classifier (default: the default)")
    parser.add_argument("--limit", type=positive_int, default=300, help="tiles of each set (default: 300)")
    parser.add_argument("--seeds", type=positive_int, default=SEEDS, help=f"draws of labels (default: {SEEDS})")
    parser.add_argument(
        "--sets", action="append", metavar="SET", help="of the suite, that the model did not learn from (default: six)"
    )
    parser.add_argument("--parts", action="append", choices=PARTS, help="candidates that are tried (default: all)")
    args = parser.parse_args(argv)

    def body() -> None:
        more = int(os.environ["MORE"]) if os.environ.get("MORE") else None
        measure(args.work, args.model, args.limit, args.seeds, more, args.sets or SETS, args.parts or PARTS)
        collect(args.out, args.work)

    return run_main(body, interrupted="Run the same command again to go on.")


if __name__ == "__main__":
    sys.exit(main())
