"""What a few labels of a structure bring, on sets that no shipped model was trained on: before and after 0, 10, 20, 50 and 100 labels.

What it makes: results/adapt/runs.csv (a row per set, seed, number of labels and candidate), summary.csv (means over the seeds, with 95 %
intervals by photograph) and adapt.png. Half of a set's photographs, drawn anew for each seed, give the labels, half of them cracks; the
other half is the test. Of the shipped model's float weights: features are computed once and kept, so that a seed costs seconds.
Candidates: shipped; threshold; normalisation (statistics half of the set's, no labels); head (logistic regression held to the shipped
head); nothing (head fitted to tiles that the model is sure are clean, a tenth of the unlabelled ones being cracked, and to their
twins with cracks laid in).
Cost: a quarter of an hour on one core for 300 tiles of each of six sets; stopped, the same command goes on. MORE=n stops after n more
pairs of set and seed.
Expected: docs/adapt.md.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.adaptation.elsewhere import Elsewhere, find_elsewhere
from crack_tf.adaptation.features import Network, renormalised
from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.from_nothing import crack_shapes, sure_to_be_clean, with_cracks
from crack_tf.adaptation.guard import choose_threshold, highest_threshold, least_recall
from crack_tf.adaptation.head import Head, Replay, fit_by_photograph, fit_head
from crack_tf.adaptation.tiles import PERSON, SiteTiles
from crack_tf.data.cache import load_split
from crack_tf.data.patches import load_patches
from crack_tf.evaluation.suite.sets import DOMAINS, Chosen, manifest_of
from crack_tf.evaluation.thresholds import specificity_at_recall
from crack_tf.models.backend import use_tensorflow
from crack_tf.reporting.plots import new_figure, save_png
from crack_tf.zoo.shipped import load
from tflite.cli import named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import cell_value, read_csv, read_json, sha256_file, write_csv, write_json
from tflite.images import resize_rgb
from tflite.metrics import roc_auc
from tflite.sidecar import read_sidecar

SETS = ("brick", "cssc", "crack500 tiles", "conglomerate tiles", "deepcrack tiles", "drone asphalt")
LABELS = (0, 10, 20, 50, 100)
SEEDS = 5
TARGET = 0.98
SHARE = 0.5  # of the set's own normalisation statistics
NOTHING_STRENGTH = 0.3
CRACKED_SHARE = 0.1  # of the tiles that have no label
MOST_CLEAN = 100
DRAWS = 200
ELSEWHERE = 160  # tiles of each set of other structures
OUT, WORK = Path("results/adapt"), Path("runs/adapt")
Row = dict[str, Any]
COLUMNS = (
    *("set", "seed", "labels", "candidate", "auc", "specificity_at_recall", "threshold", "recall", "specificity"),
    *("test_cracks", "test_clean", "test_photographs", "least_margin_elsewhere"),
)


@dataclass(frozen=True)
class Backbones:
    """The network as shipped, and with a set's statistics."""

    shipped: Network
    here: Network


def load_set(chosen: Chosen, size: int, limit: int) -> SiteTiles:
    """At most `limit` tiles of a set at the model's size, with their photographs."""
    manifest = manifest_of(chosen)
    if manifest.task == "segment":
        patches = load_patches(manifest, chosen.split, chosen.side, limit=limit)
        images = np.stack([resize_rgb(np.asarray(image), size) for image in patches.images])
        labels, items = patches.labels, patches.items
    else:
        tiles = load_split(manifest, chosen.split, size, limit=limit)
        images, labels, items = np.asarray(tiles.images), tiles.labels, tiles.items
    names = tuple(f"{number}" for number in range(len(items)))
    return SiteTiles(images, labels, tuple(item.group for item in items), names, (PERSON,) * len(items))


@dataclass(frozen=True)
class Ways:
    """What a candidate answers: to the test's tiles and to those of other structures, and its threshold."""

    test: np.ndarray
    elsewhere: list[np.ndarray]
    threshold: float


class SetStudy:
    """One set, all candidates.

    Args:
        tiles: of the set.
        nets: networks.
        others: other structures.
        threshold: the shipped one.
        shapes: to lay into clean tiles.
    """

    def __init__(
        self, tiles: SiteTiles, nets: Backbones, others: Sequence[Elsewhere], threshold: float, shapes: list[Any]
    ) -> None:
        self.tiles, self.nets, self.others, self.threshold, self.shapes = tiles, nets, others, threshold, shapes
        self.features = {"shipped": nets.shipped.features(tiles.images), "here": nets.here.features(tiles.images)}
        self.outside = {
            name: [net.features(one.images) for one in others]
            for name, net in (("shipped", nets.shipped), ("here", nets.here))
        }
        head = nets.shipped.head
        self.before = [head.logits(found) for found in self.outside["shipped"]]
        self.least = [
            least_recall((logits >= threshold)[one.test], one.labels[one.test])
            for logits, one in zip(self.before, others, strict=True)
        ]
        # Thresholds are chosen on tiles that the test has not; half of the interval is kept in reserve.
        self.floor = [
            (least_recall((logits >= threshold)[~one.test], one.labels[~one.test]) + _recall(logits, one, threshold))
            / 2
            for logits, one in zip(self.before, others, strict=True)
        ]
        self.replay = Replay(
            np.concatenate([found[~one.test] for found, one in zip(self.outside["shipped"], others, strict=True)]),
            np.concatenate([logits[~one.test] for logits, one in zip(self.before, others, strict=True)]),
        )

    def ceiling(self, elsewhere: Sequence[np.ndarray]) -> float:
        """The highest threshold that other structures allow."""
        return min(
            highest_threshold(logits[~one.test], one.labels[~one.test], floor)
            for logits, one, floor in zip(elsewhere, self.others, self.floor, strict=True)
        )

    def rows(self, seed: int) -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
        """(row, places of the test's tiles, their logits) of every number of labels and candidate."""
        rng = np.random.default_rng([seed, 7])
        photos = np.array(self.tiles.photos)
        names = rng.permutation(np.unique(photos))
        pool = np.flatnonzero(np.isin(photos, names[: len(names) // 2]))
        test = np.flatnonzero(~np.isin(photos, names[: len(names) // 2]))
        drawn = {label: rng.permutation(pool[self.tiles.labels[pool] == label]) for label in (0, 1)}
        for count in LABELS:
            half = count // 2
            if min(len(found) for found in drawn.values()) < half:
                continue
            chosen = np.concatenate([drawn[0][:half], drawn[1][:half]])
            for name, way in self.ways(chosen, drawn, seed).items():
                logits = way.test[test]
                labels = self.tiles.labels[test]
                called = logits >= way.threshold
                margins = [
                    _recall(found, one, way.threshold, test=True) - least
                    for found, one, least in zip(way.elsewhere, self.others, self.least, strict=True)
                ]
                row = {
                    "seed": seed,
                    "labels": count,
                    "candidate": name,
                    "auc": roc_auc(logits, labels),
                    "specificity_at_recall": specificity_at_recall(logits, labels, TARGET),
                    "threshold": way.threshold,
                    "recall": float(called[labels == 1].mean()),
                    "specificity": float((~called[labels == 0]).mean()),
                    "test_cracks": int((labels == 1).sum()),
                    "test_clean": int((labels == 0).sum()),
                    "test_photographs": len(set(photos[test])),
                    "least_margin_elsewhere": min(margins),
                }
                yield row, test, logits

    def ways(self, chosen: np.ndarray, drawn: dict[int, np.ndarray], seed: int) -> dict[str, Ways]:
        """All candidates that so many labels allow."""
        head, labels = self.nets.shipped.head, self.tiles.labels[chosen]
        plain, here = self.features["shipped"], self.features["here"]
        outside, outside_here = self.outside["shipped"], self.outside["here"]
        moved = [head.logits(found) for found in outside_here]
        if not len(chosen):
            found: dict[str, Ways] = {"shipped": Ways(head.logits(plain), self.before, self.threshold)}
            found["normalisation"] = Ways(head.logits(here), moved, self.threshold)
            fitted = self.from_nothing(drawn, seed)
            found["nothing"] = Ways(fitted.logits(plain), [fitted.logits(one) for one in outside], self.threshold)
            return found
        shipped = head.logits(plain)
        found = {
            "threshold": Ways(
                shipped, self.before, choose_threshold(shipped[chosen], labels, TARGET, self.ceiling(self.before))
            ),
            "normalisation": Ways(
                head.logits(here),
                moved,
                choose_threshold(head.logits(here)[chosen], labels, TARGET, self.ceiling(moved)),
            ),
        }
        photos = [self.tiles.photos[place] for place in chosen]
        folds = fold_numbers(labels, photos, seed=seed)
        if folds.min() >= 0:
            fit = fit_by_photograph(plain[chosen], labels, folds, head, self.replay)
            answers = [fit.head.logits(one) for one in outside]
            threshold = choose_threshold(fit.held_out(plain[chosen], folds), labels, TARGET, self.ceiling(answers))
            found["head"] = Ways(fit.head.logits(plain), answers, threshold)
        return found

    def from_nothing(self, drawn: dict[int, np.ndarray], seed: int) -> Head:
        """A head fitted to tiles without labels."""
        cracks = drawn[1][: round(len(drawn[0]) * CRACKED_SHARE)]
        unlabelled = self.tiles.take(np.concatenate([drawn[0], cracks]))
        logits = self.nets.shipped.head.logits(self.features["shipped"][np.concatenate([drawn[0], cracks])])
        clean = sure_to_be_clean(unlabelled, logits, self.threshold, MOST_CLEAN, seed)
        made = with_cracks(clean, self.shapes, seed)
        head = self.nets.shipped.head
        if len(set(made.labels.tolist())) < 2:
            return head
        return fit_head(self.nets.shipped.features(made.images), made.labels, head, self.replay, NOTHING_STRENGTH)


def _recall(logits: np.ndarray, one: Elsewhere, threshold: float, test: bool = False) -> float:
    cracks = (one.labels == 1) & (one.test if test else ~one.test)
    return float((logits[cracks] >= threshold).mean())


def measure(out: Path, work: Path, model: str | None, limit: int, seeds: int, more: int | None) -> None:
    """Measure what is missing, a pair of set and seed at a time.

    Raises:
        CrackError: if the folder holds results of another model or limit.
    """
    use_tensorflow()
    shipped = load(model, roles=("keras", "keras_sidecar"))
    sidecar = read_sidecar(shipped.keras)
    asked = {
        "format": "crack_tf.study_adapt/1",
        "model": shipped.name,
        "sha256": sha256_file(shipped.keras),
        "limit": limit,
    }
    record = work / "study.json"
    if record.is_file():
        before = read_json(record)
        if {name: before.get(name) for name in asked} != asked:
            raise CrackError(
                f"{work} has results of {before.get('model')} with limit {before.get('limit')}. Remove it, or give another --work."
            )
    write_json(record, asked)
    size, threshold = sidecar.image_size, sidecar.threshold.logit
    units = [(name, seed) for name in SETS for seed in range(seeds) if not _unit(work, name, seed).is_file()]
    if not units:
        return
    net = Network(shipped.keras, sidecar)
    others = find_elsewhere(size, ELSEWHERE).sets
    shapes, _ = crack_shapes()
    study, current = None, ""
    for name, seed in units[:more]:
        if name != current:
            tiles = load_set(next(one for one in DOMAINS if one.label == name), size, limit)
            here = renormalised(net, tiles.images, SHARE)
            study, current = SetStudy(tiles, Backbones(net, here), others, threshold, shapes), name
        assert study is not None
        rows, kept = [], {}
        for number, (row, test, logits) in enumerate(study.rows(seed)):
            rows.append({"set": name, **row})
            kept[f"logits{number}"] = logits.tolist()
            kept["test"] = test.tolist()
        kept["photos"] = [study.tiles.photos[place] for place in kept["test"]]
        kept["truth"] = study.tiles.labels[kept["test"]].tolist()
        write_json(_unit(work, name, seed).with_suffix(".json"), kept)
        write_csv(_unit(work, name, seed), rows, COLUMNS)
        print(f"{name}, seed {seed}: {len(rows)} rows", flush=True)


def _unit(work: Path, name: str, seed: int) -> Path:
    return work / f"{name.replace(' ', '-')}-{seed}.csv"


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
    draw(found, out / "adapt.png")
    print("\n\n".join(tables(found)))


def summary(rows: Sequence[Row], answers: dict[tuple[str, int, int, str], Any]) -> list[Row]:
    """Means over the seeds, with 95 % intervals: whole photographs are drawn with replacement, the same ones for all seeds."""
    found = []
    for name in SETS:
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
            )  # (draws, seeds, 2)
            for number, figure in enumerate(("auc", "specificity_at_recall")):
                entry[figure] = float(np.mean([row[figure] for row in here]))
                low, high = np.nanquantile(np.nanmean(spread[:, :, number], axis=1), (0.025, 0.975))
                entry[f"{figure}_low"], entry[f"{figure}_high"] = float(low), float(high)
            for figure in ("recall", "specificity", "least_margin_elsewhere"):
                entry[figure] = float(np.mean([row[figure] for row in here]))
            entry["worst_margin_elsewhere"] = float(min(row["least_margin_elsewhere"] for row in here))
            found.append(entry)
    return found


def _figures(logits: np.ndarray, labels: np.ndarray, photos: np.ndarray, draw: dict[str, int]) -> tuple[float, float]:
    times = np.array([draw[photo] for photo in photos])
    places = np.repeat(np.arange(len(labels)), times)
    truth = labels[places]
    if not truth.any() or truth.all():
        return float("nan"), float("nan")
    auc = roc_auc(logits[places], truth)
    return (float("nan") if auc is None else auc), specificity_at_recall(logits[places], truth, TARGET)


def tables(rows: Sequence[Row]) -> list[str]:
    """Two tables in Markdown: specificity at the target recall with its interval; recall and specificity at the threshold chosen."""
    found = {(str(row["set"]), int(row["labels"]), str(row["candidate"])): row for row in rows}
    names = [name for name in SETS if (name, 0, "shipped") in found]

    def figure(key: tuple[str, int, str]) -> str:
        row = found.get(key)
        if row is None:
            return "-"
        value, low, high = (float(row[f"specificity_at_recall{end}"]) for end in ("", "_low", "_high"))
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    def pair(key: tuple[str, int, str]) -> str:
        row = found.get(key)
        return "-" if row is None else f"{float(row['recall']):.2f}, {float(row['specificity']):.2f}"

    heads = [count for count in LABELS if count]
    first = [
        f"| set | shipped | normalisation | nothing | {' | '.join(f'head, {count}' for count in heads)} |",
        "|---" * (4 + len(heads)) + "|",
    ]
    second = [
        f"| set | shipped | {' | '.join(f'threshold, {count}' for count in heads)} |",
        "|---" * (2 + len(heads)) + "|",
    ]
    for name in names:
        unlabelled = [figure((name, 0, candidate)) for candidate in ("shipped", "normalisation", "nothing")]
        first.append(f"| {name} | {' | '.join(unlabelled + [figure((name, count, 'head')) for count in heads])} |")
        chosen = [pair((name, 0, "shipped")), *(pair((name, count, "threshold")) for count in heads)]
        second.append(f"| {name} | {' | '.join(chosen)} |")
    return ["\n".join(first), "\n".join(second)]


def draw(rows: Sequence[Row], path: Path) -> None:
    """Specificity at the target recall over the number of labels, a panel per set."""
    names = [name for name in SETS if any(row["set"] == name for row in rows)]
    if not names:
        return
    picture = new_figure(10, 6)
    panels = np.atleast_1d(picture.subplots(2, 3, sharex=True, sharey=True)).ravel()
    colours = {"head": "#D55E00", "normalisation": "#0072B2", "nothing": "#CC79A7"}
    for axes, name in zip(panels, names, strict=False):
        mine = [row for row in rows if row["set"] == name]
        for row in mine:
            if row["candidate"] == "shipped":
                axes.axhspan(
                    row["specificity_at_recall_low"], row["specificity_at_recall_high"], color="0.85", zorder=0
                )
                axes.axhline(row["specificity_at_recall"], color="0.4", linewidth=1, label="shipped")
        for candidate, colour in colours.items():
            line = sorted((row for row in mine if row["candidate"] == candidate), key=lambda row: row["labels"])
            places = [LABELS.index(row["labels"]) for row in line]
            value, low, high = (
                np.array([row[f"specificity_at_recall{end}"] for row in line]) for end in ("", "_low", "_high")
            )
            axes.errorbar(
                places, value, np.clip([value - low, high - value], 0, None),
                color=colour, marker="o", markersize=3, linewidth=1.2, capsize=2, label=candidate,
            )  # fmt: skip
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(LABELS)), map(str, LABELS))
        axes.set_ylim(-0.03, 1.03)
        axes.grid(alpha=0.3)
    picture.supxlabel("labels of the set, half of them cracks")
    picture.supylabel(f"specificity at recall {TARGET}")
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
    args = parser.parse_args(argv)

    def body() -> None:
        more = os.environ.get("MORE")
        measure(args.out, args.work, args.model, args.limit, args.seeds, int(more) if more else None)
        collect(args.out, args.work)

    return run_main(body, interrupted="Run the same command again to go on.")


if __name__ == "__main__":
    sys.exit(main())
