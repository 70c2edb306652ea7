"""What a last layer of few labels should see: features of several blocks, pooled, on sites that choices are made on.

What it makes: results/adapt/features.csv, a row per site, number of labels and candidate, means over five draws: false alarms (share of
clean tiles called) at recall 0.98 and 0.9, area under the curve, and by how much that changes on sets of other structures. Half of a
site's photographs, drawn anew for each seed, give the labels, half of them cracks; the other half is the test. Sites are sets, or parts
of sets, that the default was not trained on, at sides of tiles that give clean ones; brick, cssc, crack500 and conglomerate, by which
adaptation is judged, are not among them. Each tile's features are computed once.
Cost: two minutes on one core for the features, five for the candidates; a minute on two cores for every draw of the last blocks.
Expected: docs/results-adapt.md#features-heads-and-the-last-blocks.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt_features
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.adaptation.base import Base, find_base
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.elsewhere import find_elsewhere
from crack_tf.adaptation.features import FINE_BLOCK, Network, seen_by, shipped_looks
from crack_tf.adaptation.folds import fold_numbers
from crack_tf.adaptation.head import FINE_STRENGTHS, Head, Replay, Space, View, find_space, fit_by_photograph, fit_head
from crack_tf.adaptation.tuning_blocks import Lesson, tune_blocks
from crack_tf.evaluation.suite.sets import Chosen
from crack_tf.evaluation.thresholds import specificity_at_recall
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import load_keras, predict_logits
from studies.adapt import ELSEWHERE, SEEDS, load_set
from studies.adapt_tables import TARGET
from tflite.cli import named_path, positive_int, run_main
from tflite.files import atomic_path, read_csv, write_csv
from tflite.metrics import roc_auc

_DECKS = Chosen("bridge decks", "bridge_deck", "grouped", "all", 128)
_WALLS = "sdnet2018_walls"
# Of what the default learned from, only photographs that it did not.
SITES = {
    "deepcrack": (Chosen("deepcrack", "deepcrack", "grouped", "all", 160),),
    "drone asphalt": (Chosen("drone asphalt", "uav_asphalt", "grouped", "all", 128),),
    "bridge decks": (_DECKS,),
    "drone concrete": tuple(
        Chosen("drone concrete", "uav_concrete", "grouped", split, 160) for split in ("test", "val")
    ),
    "sdnet2018": tuple(Chosen("sdnet2018", "sdnet2018", "grouped", split, 256, _WALLS) for split in ("test", "val")),
}
COUNTS = (20, 40, 100)
MOST = 150  # tiles of each kind
# Of a tile's side: what is shorter of a crack, corner to corner, nobody sees in a tile, and the next tile has the crack.
LEAST = 1 / 8
BLOCKS = (3, 6, 10, 13, 16)  # whose expansions are pooled
POOLS = ("mean", "max")
HEADS, NEIGHBOURS = 10, 10
LATE, LATE_MAX, MAP = "late mean", "late max", "map"
OUT, WORK = Path("results/adapt"), Path("runs/adapt-features")
_BATCH = 32
Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """Tiles of which all features are known.

    Attributes:
        labels: int (n,), 1 is cracked.
        images: uint8 (n, s, s, 3).
        photos: (n,) names; of other structures, the sets'.
        learned: bool (n,): of other structures, tiles to learn from.
        features: by name, float32 (n, c), the mean over the looks.
        head: the shipped one.
    """

    labels: np.ndarray
    images: np.ndarray
    photos: np.ndarray
    learned: np.ndarray
    features: dict[str, np.ndarray]
    head: Head

    @cached_property
    def shipped(self) -> np.ndarray:
        """Shipped logits, float32 (n,)."""
        return self.head.logits(self.features[LATE])

    def seen(self, names: Sequence[str]) -> np.ndarray:
        """Some features, float32 (n, c)."""
        return np.concatenate([self.features[name] for name in names], axis=1)

    def without(self, name: str) -> Known:
        """But for the tiles of one set."""
        kept = self.photos != name
        features = {key: values[kept] for key, values in self.features.items()}
        return Known(self.labels[kept], self.images[kept], self.photos[kept], self.learned[kept], features, self.head)


class Pools:
    """All features of tiles in one look."""

    def __init__(self, base: Base, window: int) -> None:
        import keras

        network = Network(base.keras, base.sidecar, smooth=window)
        self.head, layers, ops = network.head, network.model.get_layer, keras.ops
        last = layers("out_relu").output
        weights = ops.convert_to_tensor(self.head.weights[:, np.newaxis])
        outputs = {LATE: ops.mean(last, (1, 2)), LATE_MAX: ops.max(last, (1, 2))}
        outputs[MAP] = ops.max(ops.matmul(last, weights), (1, 2)) + self.head.bias
        for block in BLOCKS:
            found = layers(f"block_{block}_expand_relu").output
            outputs |= {f"{block} mean": ops.mean(found, (1, 2)), f"{block} max": ops.max(found, (1, 2))}
        self.names = tuple(outputs)
        self.model = keras.Model(network.model.input, list(outputs.values()))

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Of raw tiles, uint8 (n, s, s, 3)."""
        parts = []
        for start in range(0, len(images), _BATCH):
            pixels = np.asarray(images[start : start + _BATCH], np.float32)
            filled = np.concatenate([pixels, np.zeros((_BATCH - len(pixels), *pixels.shape[1:]), np.float32)])
            parts.append([np.asarray(found)[: len(pixels)] for found in self.model.predict_on_batch(filled)])
        return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(self.names)}


def know(path: Path, base: Base, pools: dict[int, Pools], load: Callable[[], tuple[np.ndarray, ...]]) -> Known:
    """Features of tiles, computed once and kept.

    Args:
        path: where they are kept.
        base: the shipped model.
        pools: of its looks, made where they are needed.
        load: gives images, labels, photographs, and which are learned from.
    """
    if not path.is_file():
        images, labels, photos, learned = load()
        looks = shipped_looks(base.device)
        for window in looks:
            if window not in pools:
                pools[window] = Pools(base, window)
        parts = {window: pools[window](images) for window in looks}
        names = pools[looks[0]].names
        found = {name: seen_by(looks, {window: parts[window][name] for window in looks}.__getitem__) for name in names}
        head = pools[looks[0]].head
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {f"of {name}": values for name, values in found.items()}
            arrays |= {
                "labels": labels,
                "images": images,
                "photos": photos,
                "learned": learned,
                "weights": head.weights,
                "bias": head.bias,
            }
            np.savez(stream, **arrays)
        print(f"{path.stem}: {len(labels)} tiles of {len(set(photos))} photographs", flush=True)
    with np.load(path) as kept:
        features = {name[3:]: kept[name] for name in kept.files if name.startswith("of ")}
        head = Head(kept["weights"], float(kept["bias"]))
        return Known(kept["labels"], kept["images"], kept["photos"], kept["learned"], features, head)


def load_site(parts: Sequence[Chosen], size: int) -> tuple[np.ndarray, ...]:
    """At most `MOST` tiles of each kind, of as many photographs as there are."""
    sets = [load_set(chosen, size, None, LEAST) for chosen in parts]
    images, labels = (np.concatenate([getattr(one, name) for one in sets]) for name in ("images", "labels"))
    photos = np.concatenate([np.array(one.photos) for one in sets])
    rng, kept = np.random.default_rng(3), list[int]()
    for label in (0, 1):
        places = rng.permutation(np.flatnonzero(labels == label))
        times: dict[str, int] = {}
        order = []
        for place in places:
            times[photos[place]] = times.get(photos[place], 0) + 1
            order.append(times[photos[place]])
        kept += places[np.argsort(order, kind="stable")][:MOST].tolist()
    kept.sort()
    return images[kept], labels[kept], photos[kept], np.zeros(len(kept), bool)


def load_others(size: int) -> tuple[np.ndarray, ...]:
    """Tiles of other structures."""
    sets = find_elsewhere(size, ELSEWHERE).sets
    images, labels = (np.concatenate([getattr(one, name) for one in sets]) for name in ("images", "labels"))
    photos = np.concatenate([[one.name] * len(one.labels) for one in sets])
    return images, labels, photos, ~np.concatenate([one.test for one in sets])


@dataclass(frozen=True)
class Along:
    """The shipped logit of all tiles, and their features along the directions in which these differ most: float32 (n, 1 + d)."""

    here: np.ndarray
    others: np.ndarray


class StudyView(View):
    """Tiles whose directions are known: the axes themselves, but for the shipped logit."""

    @cached_property
    def space(self) -> Space:
        count = self.features.shape[1]
        return Space(np.zeros(count), np.ones(count), np.eye(count)[:, 1:])


@dataclass(frozen=True)
class Draw:
    """One draw of labels at a site.

    Attributes:
        here: the site.
        others: tiles of other structures.
        chosen: places of those that are labelled.
        flight: of all tiles of photographs that labels may be of.
        known: what was computed for all numbers of labels, by features.
    """

    here: Known
    others: Known
    chosen: np.ndarray
    flight: np.ndarray
    known: dict[tuple[str, ...], Along]

    @property
    def labels(self) -> np.ndarray:
        return self.here.labels[self.chosen]

    def along(self, names: tuple[str, ...]) -> Along:
        """Features by their directions on the flight, labelled or not, and on what is learned from."""
        if names not in self.known:
            here, others = (one.seen(names).astype(np.float64) for one in (self.here, self.others))
            space = find_space(np.concatenate([here[self.flight], others[self.others.learned]]))
            found = [
                np.concatenate([one.shipped[:, np.newaxis], space.project(values)], axis=1).astype(np.float32)
                for one, values in ((self.here, here), (self.others, others))
            ]
            self.known[names] = Along(*found)
        return self.known[names]

    def view(self, names: tuple[str, ...]) -> StudyView:
        """Labelled tiles, and others with their shipped answers."""
        along, learned = self.along(names), self.others.learned
        return StudyView(along.here[self.chosen], Replay(along.others[learned], self.others.shipped[learned]), held=1)

    def answers(self, head: Head, names: tuple[str, ...]) -> Answers:
        """Of all tiles here, and of the others."""
        along = self.along(names)
        return head.logits(along.here), head.logits(along.others)


Answers = tuple[np.ndarray, np.ndarray]
Candidate = Callable[[Draw], Answers]


def of(*blocks: int, pools: Sequence[str] = POOLS) -> tuple[str, ...]:
    """Names of pooled blocks."""
    return tuple(f"{block} {pool}" for block in blocks for pool in pools)


def _start(view: View) -> Head:
    """The shipped logit, to which other features say nothing."""
    return Head(np.eye(view.features.shape[1], dtype=np.float32)[0], 0.0)


def fitted(names: tuple[str, ...], strength: float) -> Candidate:
    """Logistic regression beside the shipped layer, by a prior of fixed strength."""

    def candidate(draw: Draw) -> Answers:
        view = draw.view(names)
        return draw.answers(fit_head(view, draw.labels, _start(view), strength), names)

    return candidate


def by_photograph(names: tuple[str, ...]) -> Candidate:
    """The same with the strength chosen by photograph, as `crack-tf adapt` does."""

    def candidate(draw: Draw) -> Answers:
        view, folds = draw.view(names), fold_numbers(draw.labels, draw.here.photos[draw.chosen].tolist())
        if folds.min() < 0:
            return draw.here.shipped, draw.others.shipped
        return draw.answers(fit_by_photograph(view, draw.labels, folds, _start(view), FINE_STRENGTHS).head, names)

    return candidate


def averaged(names: tuple[str, ...], strength: float) -> Candidate:
    """The mean of heads fitted to labels drawn with replacement, of each kind."""

    def candidate(draw: Draw) -> Answers:
        rng, view, heads = np.random.default_rng(5), draw.view(names), list[Head]()
        for _ in range(HEADS):
            kinds = [np.flatnonzero(draw.labels == label) for label in (0, 1)]
            drawn = np.concatenate([rng.choice(places, len(places)) for places in kinds])
            some = StudyView(view.features[drawn], view.replay, view.held)
            heads.append(fit_head(some, draw.labels[drawn], _start(view), strength))
        mean = Head(np.mean([head.weights for head in heads], axis=0), float(np.mean([head.bias for head in heads])))
        return draw.answers(mean, names)

    return candidate


def whitened(names: tuple[str, ...], share: float = 0.3) -> Candidate:
    """Linear discriminant with the flight's own covariance, drawn towards a multiple of one, added to the shipped logit."""

    def candidate(draw: Draw) -> Answers:
        here, others = draw.along(names).here[:, 1:], draw.along(names).others[:, 1:]
        cracked = draw.labels == 1
        between = here[draw.chosen][cracked].mean(axis=0) - here[draw.chosen][~cracked].mean(axis=0)
        spread = np.cov(here[draw.flight].T)
        spread = (1 - share) * spread + share * np.trace(spread) / len(spread) * np.eye(len(spread))
        direction = np.linalg.solve(spread, between)
        return _beside(draw, here @ direction, others @ direction)

    return candidate


def neighbours(names: tuple[str, ...], spread: float = 0.0) -> Candidate:
    """What the nearest labels are, by distance along the directions, added to the shipped logit.

    Args:
        names: of features.
        spread: how much a tile of the flight takes over of its neighbours' labels, label propagation; 0 for nothing.
    """

    def candidate(draw: Draw) -> Answers:
        here, others = draw.along(names).here[:, 1:], draw.along(names).others[:, 1:]
        known = np.zeros(len(here))
        known[draw.chosen] = np.where(draw.labels == 1, 1.0, -1.0)
        places = draw.chosen
        if spread:
            places = draw.flight
            near = _near(here[places], here[places])
            np.fill_diagonal(near, 0)
            near = np.maximum(near, near.T)
            degree = np.sqrt(near.sum(axis=1)) + 1e-9
            steps = near / degree[:, np.newaxis] / degree
            told = np.linalg.solve(np.eye(len(places)) - spread * steps, known[places])
            known[places] = told / (np.abs(told).max() + 1e-9)
        return _beside(draw, *(_near(found, here[places]) @ known[places] for found in (here, others)))

    return candidate


def _near(tiles: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Weights of the nearest, (n, m), each row of sum 1: a normal kernel as wide as the distance to the last of them."""
    apart = (tiles**2).sum(axis=1)[:, np.newaxis] - 2 * tiles @ to.T + (to**2).sum(axis=1)
    last = np.partition(apart, NEIGHBOURS - 1, axis=1)[:, [NEIGHBOURS - 1]]
    weights = np.where(apart <= last, np.exp(-np.maximum(apart, 0) / np.maximum(last, 1e-9)), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _beside(draw: Draw, here: np.ndarray, others: np.ndarray) -> Answers:
    """The shipped logit and another answer, each by its spread on the flight."""
    scale, spread = draw.here.shipped[draw.flight].std(), here[draw.flight].std() + 1e-9
    return draw.here.shipped / scale + here / spread, draw.others.shipped / scale + others / spread


def pooled_otherwise(name: str, share: float) -> Candidate:
    """The shipped logit with another way to pool it; no label is looked at."""

    def candidate(draw: Draw) -> Answers:
        here, others = (
            (1 - share) * known.shipped + share * known.features[name].ravel() for known in (draw.here, draw.others)
        )
        return here, others

    return candidate


def last_blocks(draw: Draw) -> Answers:
    """The last blocks trained on, as `crack-tf adapt` does; the other candidates freeze them."""
    base, config, learned = find_base(), AdaptConfig("study"), draw.others.learned
    replayed = draw.others.images[learned]
    told = predict_logits(load_keras(base.keras), replayed)
    lesson = Lesson(draw.here.images[draw.chosen], draw.labels, replayed, told)
    model = tune_blocks(base.keras, base.sidecar, lesson, config.blocks, config.steps, config.seed, "blocks")
    here, others = (
        predict_logits(model, np.asarray(known.images), second_view=base.device.second_view)
        for known in (draw.here, draw.others)
    )
    return here, others


FINE, MIDDLE = of(FINE_BLOCK), of(13)
ALL = (*of(*BLOCKS), LATE_MAX)
BLOCKS_COUNT = 40  # labels: it takes a minute a draw
CANDIDATES: dict[str, Candidate] = {
    "shipped": lambda draw: (draw.here.shipped, draw.others.shipped),
    "last blocks": last_blocks,
    "fine, as chosen": by_photograph(FINE),
    "all blocks, as chosen": by_photograph(ALL),
    "highest of the map": pooled_otherwise(MAP, 1.0),
    "mean and highest": pooled_otherwise(MAP, 0.5),
    **{
        f"{title}, {strength:g}": fitted(names, strength)
        for title, names in {
            "late again": (LATE,),
            "late max": (LATE_MAX,),
            "block 3": of(3),
            "block 6": FINE,
            "block 10": of(10),
            "block 13": MIDDLE,
            "block 16": of(16),
            "block 13, mean": of(13, pools=("mean",)),
            "block 13, max": of(13, pools=("max",)),
            "6 and 13": of(6, 13),
            "all blocks": ALL,
        }.items()
        for strength in (100.0, 10.0, 1.0)
    },
    "block 6, averaged": averaged(FINE, 10.0),
    "all blocks, averaged": averaged(ALL, 10.0),
    "block 6, whitened": whitened(FINE),
    "block 13, whitened": whitened(MIDDLE),
    "all blocks, whitened": whitened(ALL),
    "block 6, neighbours": neighbours(FINE),
    "all blocks, neighbours": neighbours(ALL),
    "all blocks, propagated": neighbours(ALL, spread=0.9),
}
SHOWN = (
    *("shipped", "last blocks", "fine, as chosen", "all blocks, as chosen", "highest of the map"),
    *("late max, 10", "block 3, 10", "block 6, 100"),
    *("block 13, 100", "block 13, max, 100", "6 and 13, 100", "all blocks, 10", "all blocks, averaged", "block 13, whitened"),
    *("all blocks, neighbours", "all blocks, propagated"),
)  # fmt: skip
FIGURES = ("false_alarms_at_98", "false_alarms_at_90", "auc", "auc_change_elsewhere")


def figures(draw: Draw, found: Answers, test: np.ndarray) -> tuple[float, ...]:
    """What a candidate does on the test, and on the tests of other structures' sets."""
    here, labels = found[0][test], draw.here.labels[test]
    others, changes = draw.others, []
    for name in np.unique(others.photos):
        used = (others.photos == name) & ~others.learned
        changes.append(_area(found[1][used], others.labels[used]) - _area(others.shipped[used], others.labels[used]))
    alarms = (1 - specificity_at_recall(here, labels, recall) for recall in (TARGET, 0.9))
    return *alarms, _area(here, labels), float(np.mean(changes))


def _area(logits: np.ndarray, labels: np.ndarray) -> float:
    area = roc_auc(logits, labels)
    return float("nan") if area is None else area


def measure(site: str, here: Known, others: Known, seeds: int, candidates: dict[str, Candidate]) -> list[Row]:
    """Means over draws of labels."""
    found: dict[tuple[int, str], list[tuple[float, ...]]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 7])
        names = rng.permutation(np.unique(here.photos))
        own = np.isin(here.photos, names[: len(names) // 2])
        flight, test = np.flatnonzero(own), np.flatnonzero(~own)
        drawn = {label: rng.permutation(flight[here.labels[flight] == label]) for label in (0, 1)}
        known: dict[tuple[str, ...], Along] = {}
        for count in COUNTS:
            half = count // 2
            if min(len(places) for places in drawn.values()) < half:
                continue
            draw = Draw(here, others, np.concatenate([drawn[0][:half], drawn[1][:half]]), flight, known)
            for name, candidate in candidates.items():
                if candidate is last_blocks and count != BLOCKS_COUNT:
                    continue
                found.setdefault((count, name), []).append(figures(draw, candidate(draw), test))
    return [
        {"site": site, "labels": count, "candidate": name, "draws": len(values)}
        | dict(zip(FIGURES, (round(float(value), 4) for value in np.mean(values, axis=0)), strict=True))
        for (count, name), values in found.items()
    ]


def table(rows: Sequence[Row], count: int, names: Sequence[str] | None = None) -> str:
    """In Markdown: false alarms at the target recall of each candidate, or of some, at each site, and their mean."""
    sites = list(dict.fromkeys(row["site"] for row in rows))
    found = {(row["site"], row["candidate"]): float(row[FIGURES[0]]) for row in rows if int(row["labels"]) == count}
    lines = [f"| {count} labels | {' | '.join(sites)} | mean |", "|---" * (len(sites) + 2) + "|"]
    for name in names or dict.fromkeys(row["candidate"] for row in rows):
        values = [found.get((site, name)) for site in sites]
        there = [value for value in values if value is not None]
        if there:
            cells = ["-" if value is None else f"{value:.2f}" for value in values]
            lines.append(f"| {name} | {' | '.join(cells)} | {np.mean(there):.3f} |")
    return "\n".join(lines)


def run(out: Path, work: Path, seeds: int) -> None:
    """Compute features that are missing, and try the candidates."""
    use_tensorflow()
    base = find_base()
    size, pools = base.sidecar.image_size, dict[int, Pools]()
    others = know(work / "others.npz", base, pools, partial(load_others, size))
    rows: list[Row] = []
    for site, parts in SITES.items():
        kept = work / f"{site.replace(' ', '-')}.csv"
        if not kept.is_file():
            here = know(kept.with_suffix(".npz"), base, pools, partial(load_site, parts, size))
            own = next((name for name in np.unique(others.photos) if str(name).startswith(site)), "")
            write_csv(kept, measure(site, here, others.without(own), seeds, CANDIDATES))
        rows += read_csv(kept)
        print(f"{site}: measured", flush=True)
    write_csv(out / "features.csv", rows)
    print("\n\n".join(table(rows, count) for count in COUNTS))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.adapt_features", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, default=OUT, help=f"folder of the result (default: {OUT})")
    parser.add_argument("--work", type=named_path, default=WORK, help=f"folder of features (default: {WORK})")
    parser.add_argument("--seeds", type=positive_int, default=SEEDS, help=f"draws of labels (default: {SEEDS})")
    args = parser.parse_args(argv)
    return run_main(
        lambda: run(args.out, args.work, args.seeds), interrupted="Run the same command again: features are kept."
    )


if __name__ == "__main__":
    sys.exit(main())
