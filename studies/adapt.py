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
Expected: docs/results-adapt.md.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt
The last blocks, which take five minutes a draw, beside the candidates of as many labels, in results/adapt/blocks (an hour on one core):
python -m studies.adapt --parts labels --parts blocks --seeds 1 --out results/adapt/blocks \
    --work runs/adapt-blocks
What they bring by the number of labels, without the guard, in results/adapt/blocks-by-labels (an hour on one core for a draw of six sets):
python -m studies.adapt --parts unjudged --seeds 1 --out results/adapt/blocks-by-labels \
    --work runs/adapt-by-labels
The same of two numbers of labels in three draws, and the change on the mean, in results/adapt/blocks-draws (half an hour a draw):
python -m studies.adapt --parts unjudged --labels 20 --labels 40 --seeds 3 --out results/adapt/blocks-draws \
    --work runs/adapt-draws
In these the last blocks begin as the default's own; in `studies.adapt_cells` as another model's.
What the default learned from is left out in turn by `studies.adapt_left_out`.
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
    looking,
    renormalised,
    seen_by,
    shipped_looks,
)
from crack_tf.adaptation.from_nothing import crack_shapes, sure_to_be_clean, with_cracks
from crack_tf.adaptation.guard import least_recall
from crack_tf.adaptation.tiles import COMPOSED, PERSON, UNLABELLED, SiteTiles, join
from crack_tf.adaptation.verdict import verdict
from crack_tf.data.cache import load_split
from crack_tf.data.patches import load_patches
from crack_tf.evaluation.suite.sets import DOMAINS, Chosen, manifest_of
from crack_tf.evaluation.thresholds import specificity_at_recall
from crack_tf.models import get_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import predict_logits
from studies.adapt_tables import (
    BLOCKS_LABELS,
    LABELS,
    SETS,
    TARGET,
    UNJUDGED_LABELS,
    Row,
    blocks_table,
    draw,
    gains,
    gains_table,
    guard_rows,
    guard_table,
    labels_table,
    summary,
    tables,
)
from tflite.cli import named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, read_json, write_csv, write_json
from tflite.images import resize_rgb
from tflite.metrics import roc_auc

SEEDS = 5
CRACKED_SHARE = 0.1  # of the tiles that have no label
MOST_CLEAN = 100
ELSEWHERE = 160  # tiles of each set of other structures
# A head without labels; candidates of labels; those with other statistics, and with other blocks, which ask about all tiles anew.
# Last: other blocks without the guard, whose cross-validation is three quarters of the time.
UNLABELLED_HEAD, LABELLED, STATISTICS, BLOCKS, UNJUDGED = "nothing", "labels", "statistics", "blocks", "unjudged"
PARTS = (UNLABELLED_HEAD, LABELLED, STATISTICS, BLOCKS, UNJUDGED)
BLOCKS_SEEDS = 2  # they take minutes a draw
OUT, WORK = Path("results/adapt"), Path("runs/adapt")
COLUMNS = (
    *("set", "seed", "labels", "candidate", "auc", "specificity_at_recall", "specificity_at_90", "threshold", "recall", "specificity"),
    *("shipped_recall", "shipped_specificity", "accepted", "asked_recall", "choice", "seconds"),
    *("test_cracks", "test_clean", "test_photographs", "least_margin_elsewhere"),
)  # fmt: skip


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
        start: whose last blocks are trained, as in `AdaptConfig`.
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
        start: str = "",
    ) -> None:
        self.start = start
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
        config = AdaptConfig("study", start=self.start, seed=seed)
        return StudyBench(config, self.base, tiles, self.others, logits, self.before, known)

    def rows(
        self, seed: int, part: str, counts: Sequence[int] = LABELS
    ) -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
        """(row, places of the test's tiles, their logits) of every number of labels, and of the candidates of one of `PARTS`."""
        rng = np.random.default_rng([seed, 7])
        photos = np.array(self.tiles.photos)
        names = rng.permutation(np.unique(photos))
        pool = np.flatnonzero(np.isin(photos, names[: len(names) // 2]))
        test = np.flatnonzero(~np.isin(photos, names[: len(names) // 2]))
        drawn = {label: rng.permutation(pool[self.tiles.labels[pool] == label]) for label in (0, 1)}
        labels = self.tiles.labels[test]
        before = self.shipped[test] >= self.threshold
        for count in counts:
            half = count // 2
            if min(len(found) for found in drawn.values()) < half:
                continue
            chosen = np.concatenate([drawn[0][:half], drawn[1][:half]])
            if part == UNLABELLED_HEAD:
                found = {} if half else self.nothing(drawn, seed)
            elif part == BLOCKS:
                found = self.blocks(chosen, seed) if count in BLOCKS_LABELS else {}
            elif part == UNJUDGED:
                found = self.unjudged(chosen, seed) if not count or count in UNJUDGED_LABELS else {}
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
    counts: Sequence[int] = LABELS,
    whole: bool = False,
    start: str = "",
) -> None:
    """Measure what is missing, a pair of set and seed at a time.

    Raises:
        CrackError: if the folder holds results of another model, limit or split, or of other numbers of labels.
    """
    use_tensorflow()
    base = find_base(model or "")
    asked = {
        "format": "crack_tf.study_adapt/4",
        "model": base.name,
        "sha256": base.sidecar.sha256,
        "limit": limit,
        "looks": list(shipped_looks(base.device)),
        **({"labels": list(counts)} if tuple(counts) != LABELS else {}),
        **({"whole": True} if whole else {}),
        **({"start": start} if start else {}),
    }
    record = work / "study.json"
    if record.is_file():
        before = read_json(record)
        unsaid = dict.fromkeys(("labels", "whole", "start"))
        if unsaid | before != unsaid | asked:
            raise CrackError(
                f"{work} has results of {before.get('model')} with limit {before.get('limit')}, "
                f"{before.get('labels', list(LABELS))} labels{', of whole sets' if before.get('whole') else ''}"
                f"{', started from ' + before['start'] if before.get('start') else ''}. "
                "Remove it, or give another --work."
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
    networks = looking(base.keras, base.sidecar, looks)
    others = tuple(one for one in find_elsewhere(size, ELSEWHERE).sets if one.name not in sets)
    shapes, _ = crack_shapes()

    def finely() -> dict[int, Network]:
        return looking(base.keras, base.sidecar, looks, networks[looks[0]].model, early=FINE_BLOCK)

    fine = finely if EARLY in get_model(base.sidecar.model).hyperparameters else None

    def study_of(name: str) -> SetStudy:
        chosen = next(one for one in DOMAINS if one.label == name)
        tiles = load_set(replace(chosen, split="all") if whole else chosen, size, limit)

        def here() -> dict[int, Network]:
            return renormalised(networks[looks[0]], tiles.images, SHARE, 0, looks)

        return SetStudy(tiles, base, networks, here, others, shapes, fine, start)

    studies: dict[str, SetStudy] = {}
    for name, seed, part in units[:more]:
        if name not in studies:
            studies[name] = study_of(name)
        write_unit(studies[name], work, name, seed, part, counts)


def write_unit(study: SetStudy, work: Path, name: str, seed: int, part: str, counts: Sequence[int] = LABELS) -> None:
    """Measure one part of a pair of set and seed, and keep it."""
    rows: list[Row] = []
    kept: dict[str, Any] = {}
    for number, (row, places, logits) in enumerate(study.rows(seed, part, counts)):
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


Answers = dict[tuple[str, int, int, str], tuple[np.ndarray, np.ndarray, np.ndarray]]


def read_measured(work: Path) -> tuple[list[Row], Answers]:
    """What is measured so far: rows, and logits, labels and photographs by set, seed, number of labels and candidate."""
    rows: list[Row] = []
    answers: Answers = {}
    for path in sorted(work.glob("*.csv")):
        kept = read_json(path.with_suffix(".json"))
        for number, text in enumerate(read_csv(path)):
            row = {name: cell_value(value) for name, value in text.items()}
            key = (str(row["set"]), int(row["seed"] or 0), int(row["labels"] or 0), str(row["candidate"]))
            if key in answers:  # the shipped model stands beside the candidates of several parts
                continue
            rows.append(row)
            answers[key] = (np.array(kept[f"logits{number}"]), np.array(kept["truth"]), np.array(kept["photos"]))
    return rows, answers


def collect(out: Path, work: Path) -> None:
    """Write runs.csv, summary.csv and the plot of what is measured."""
    rows, answers = read_measured(work)
    write_csv(out / "runs.csv", rows, COLUMNS)
    write_json(out / "study.json", read_json(work / "study.json"))
    found = summary(rows, answers)
    write_csv(out / "summary.csv", found)
    changed = gains(rows, answers)
    write_csv(out / "gains.csv", changed)
    if judged := guard_rows(rows):
        write_csv(out / "guard.csv", judged)
    draw(found, out / "adapt.png")
    print(
        "\n\n".join(
            [*tables(found), guard_table(judged), blocks_table(rows), labels_table(found), gains_table(changed)]
        )
    )


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser("python -m studies.adapt", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, default=OUT, help=f"folder of the results (default: {OUT})")
    parser.add_argument(
        "--work", type=named_path, default=WORK, help=f"folder of what is measured so far (default: {WORK})"
    )
    parser.add_argument("--model", help="a shipped classifier or a run folder (default: the default)")
    parser.add_argument("--start", default="", help="whose last blocks are trained, as in crack-tf adapt")
    parser.add_argument("--limit", type=positive_int, default=300, help="tiles of each set (default: 300)")
    parser.add_argument("--seeds", type=positive_int, default=SEEDS, help=f"draws of labels (default: {SEEDS})")
    parser.add_argument(
        "--sets", action="append", metavar="SET", help="of the suite, that the model did not learn from (default: six)"
    )
    parser.add_argument(
        "--whole", action="store_true", help="all splits of each set: for a model that learned nothing from it"
    )
    parser.add_argument("--parts", action="append", choices=PARTS, help="candidates that are tried (default: all)")
    parser.add_argument(
        "--labels",
        action="append",
        type=int,
        choices=LABELS[1:],
        help="numbers of labels, beside none (default: all)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)

    def body() -> None:
        more = int(os.environ["MORE"]) if os.environ.get("MORE") else None
        counts = tuple(count for count in LABELS if not count or not args.labels or count in args.labels)
        sets, parts = args.sets or SETS, args.parts or PARTS
        measure(args.work, args.model, args.limit, args.seeds, more, sets, parts, counts, args.whole, args.start)
        collect(args.out, args.work)

    return run_main(body, interrupted="Run the same command again to go on.")


if __name__ == "__main__":
    sys.exit(main())
