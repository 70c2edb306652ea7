"""Is one crack one finding? On photographs with masks, through the shipped model and on masks that were broken, and on drawn flights.

What it makes: results/one-crack/photographs.csv (a row per photograph and way) and summary.csv (sums by set). The ways:

* `unet_mobile`: what the shipped model draws, put together as a survey does. Everywhere, not only where the classifier asks.
* `broken masks`: the masks that people drew, with gaps cut into them, put together the same way: the linking alone. Gaps are as long as
  those that the model leaves on the validation splits (from the 5th to the 95th of a hundred), and twice as many.
* `flight`: whole surveys of drawn flights, in which a crack runs over several photographs; twice as many cracks a pier as usual.

Parts of a person's mask within 16 pixels are one crack, and what is shorter than 40 pixels is none (`crack_tf.evaluation.suite.scenes`).
People leave out what they do not see, too: which of these parts go on in each other was looked at once more, on the photographs with the
masks in colours and before anything was linked (results/one-crack/same.csv; each line names parts that are one crack, by their numbers,
or, as `cannot tell`, parts that may be: where a crack leaves the photograph and comes back, goes on behind a crop that was never
published, or belongs to a mesh of which the mask leaves out branches). All other parts are different cracks. Pairs of which nobody can
tell are not counted.
A finding lies on a crack where 40 pixels of its centreline, or half of the crack, are within 8 pixels of it. Counted are: findings per
crack that was found, the longest first as all others; and pairs of different cracks on one photograph, both found, that lie in one
finding. Photographs are all that have several cracks, and some with one.
Crops of Crack500 are put back together to the photographs they were cut from, and these are halved.
The tables are of the test splits, and of the photographs of the training splits with different cracks, since test photographs have few
pairs: the model was trained on these, the linking was not. Nothing was chosen on either (on the validation splits it was). Left out are
training photographs of bridge_deck, and all of uav_asphalt: their cracks are meshes, of which masks leave out branches.
Cost: ten minutes on two cores; photographs that have rows are passed over, so what was stopped goes on.
Expected: docs/results.md#one-crack-one-finding.
Command: CRACK_TF_DATA=/path/to/data python -m studies.one_crack
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.data.patches import photographs
from crack_tf.data.registry import prepare
from crack_tf.evaluation.suite.scenes import true_cracks
from crack_tf.inference.maps import SegmenterPool
from crack_tf.inference.scales import segment_at_scales
from crack_tf.inference.tiles import Tile
from crack_tf.models.shipped import find_model
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.photo.joining import join_cracks
from crack_tf.photo.skeleton import resample
from crack_tf.photo.thinning import thin
from crack_tf.survey.findings import REFUTED, read_survey
from crack_tf.survey.searching.validate import Ground, Opinion, find_candidates
from crack_tf.survey.surveying import survey
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.device.tiles import Box
from tflite.files import read_csv, write_csv
from tflite.metrics import wilson_interval
from tflite.segmenter import Segmenter

OUT, RUNS = Path("results/one-crack"), Path("runs/one-crack")
SETS = ("uav_concrete", "deepcrack", "conglomerate", "bridge_deck", "crack500")
LIMIT = 12  # photographs of each set, those with a crack, evenly out of it; besides those with several
SPLITS = {
    "test": (SETS, LIMIT),
    "train": (tuple(name for name in SETS if name != "bridge_deck"), 0),
    "val": (SETS, LIMIT),
}
ONE_CRACK, CANNOT_TELL = "one crack", "cannot tell"
MODEL, BROKEN, FLIGHT, DRAWN = "unet_mobile", "broken masks", "flight", "drawn"
GAPS_PX, GAP_EVERY_PX = (10.0, 40.0), 155.0  # of crack; the model leaves one in 310, 17 long in the middle
FLIGHTS = (30, 31, 32, 33)  # seeds
_CROP = re.compile(r"(.+?)_(\d+)_(\d+)\.\w+$")
_LEAST_CROPS = 6
_ON, _NEAR = 40.0, 8  # pixels of a finding on a crack, and how near


@dataclass(frozen=True)
class Photo:
    """A photograph and what people drew on it.

    Attributes:
        set, name: where it is from.
        pixels: uint8 (height, width, 3).
        mask: bool (height, width).
        known: bool (height, width), where there is a photograph; None for everywhere.
    """

    set: str
    name: str
    pixels: np.ndarray
    mask: np.ndarray
    known: np.ndarray | None = None


def photos_of(data: str, split: str, limit: int) -> Iterator[Photo]:
    """Photographs of a split with several cracks, and at most `limit` with at least one, evenly out of it."""
    found = list(_whole(data, split) if data == "crack500" else _single(data, split))
    step = max(1, -(-len(found) // limit)) if limit else 0
    for number, photo in enumerate(found):
        if (step and number % step == 0) or true_cracks(photo.mask).max() > 1:
            yield photo


def _single(data: str, split: str) -> Iterator[Photo]:
    for item, photo, mask in photographs(prepare(data), split):
        if true_cracks(mask).any():
            yield Photo(data, Path(item.path).stem, photo, mask)


def _whole(data: str, split: str) -> Iterator[Photo]:
    """Crops put back to where they were cut from; crops without much of a crack were never published, and are grey here."""
    crops: dict[str, list[tuple[int, int, np.ndarray, np.ndarray]]] = {}
    for item, photo, mask in photographs(prepare(data), split):
        found = _CROP.match(Path(item.path).name)
        assert found is not None
        crops.setdefault(found[1], []).append((int(found[2]) - 1, int(found[3]) - 1, photo, mask))
    for name, parts in crops.items():
        if len(parts) < _LEAST_CROPS:
            continue
        width = max(x + photo.shape[1] for x, _, photo, _ in parts)
        height = max(y + photo.shape[0] for _, y, photo, _ in parts)
        pixels = np.full((height, width, 3), 128, np.uint8)
        mask, known = np.zeros((height, width), bool), np.zeros((height, width), bool)
        for x, y, photo, drawn in parts:
            place = (slice(y, y + photo.shape[0]), slice(x, x + photo.shape[1]))
            pixels[place], mask[place], known[place] = photo, drawn, True
        halved = [np.asarray(Image.fromarray(values).reduce(2)) for values in (pixels, mask * np.uint8(255))]
        yield Photo(data, name, halved[0], halved[1] >= 128, known[::2, ::2][: height // 2, : width // 2])


@dataclass(frozen=True)
class Told:
    """What was told of the parts of a photograph's mask, by the numbers of `true_cracks`.

    Attributes:
        same: groups that are one crack.
        unsure: groups that may be one crack, or several.
    """

    same: tuple[tuple[int, ...], ...] = ()
    unsure: tuple[tuple[int, ...], ...] = ()


def cracks_of(photo: Photo, told: Told) -> tuple[np.ndarray, set[tuple[int, int]]]:
    """Numbers of a photograph's cracks, int32 (height, width), 0 elsewhere; and the pairs of them that nobody can tell apart."""
    numbers = true_cracks(photo.mask)
    crack = {part: part for part in range(int(numbers.max()) + 1)}
    for group in told.same:
        crack |= dict.fromkeys(group, min(group))
    present = sorted(set(crack.values()))
    place = {part: present.index(first) for part, first in crack.items()}
    pairs = {(place[a], place[b]) for group in told.unsure for a in group for b in group if place[a] < place[b]}
    return np.array([place[part] for part in sorted(place)], np.int32)[numbers], pairs


def read_told(path: Path) -> dict[tuple[str, str], Told]:
    """What was told of parts of masks, by set and photograph; nothing where there is no such file."""
    found: dict[tuple[str, str], Told] = {}
    for row in read_csv(path) if path.is_file() else ():
        key, group = (row["set"], row["photo"]), (tuple(int(number) for number in row["parts"].split()),)
        told = found.get(key, Told())
        if row["told"] == ONE_CRACK:
            found[key] = Told(told.same + group, told.unsure)
        else:
            assert row["told"] == CANNOT_TELL, row
            found[key] = Told(told.same, told.unsure + group)
    return found


Lines = Sequence[Sequence[Sequence[tuple[float, float]]]]  # of each finding, its centreline's branches


def drawn_by_model(photo: Photo, pool: SegmenterPool, threshold: float) -> Lines:
    """Centrelines of what the model draws, put together as in a survey."""

    def ask(image: np.ndarray, region: np.ndarray) -> np.ndarray:
        return segment_at_scales(image, pool, threshold, foreground=region)

    height, width = photo.mask.shape
    tile = Tile(Box(0, 0, height, width), 10.0, 1.0, True)
    found = find_candidates(photo.pixels, [tile], Ground(photo.known, sharp=True), Opinion(ask, threshold))
    return [candidate.centreline for candidate in found if candidate.length_px is not None]


def broken_mask(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask with gaps across its cracks, bool (height, width)."""
    from scipy import ndimage

    spine = thin(mask)
    places = np.argwhere(spine)
    cut = np.zeros(mask.shape, bool)
    for _ in range(rng.poisson(len(places) / GAP_EVERY_PX)):
        half = 0.5 * math.exp(rng.uniform(*np.log(GAPS_PX)))
        centre = places[rng.integers(len(places))]
        near = places[np.hypot(*(places - centre).T) <= half]
        # Of this crack only, not of another one beside it.
        here = np.zeros(mask.shape, bool)
        here[tuple(near.T)] = True
        labels, _ = ndimage.label(here, np.ones((3, 3), bool))
        cut |= labels == labels[tuple(centre)]
    nearest = ndimage.distance_transform_edt(~spine, return_distances=False, return_indices=True)
    return np.asarray(mask & ~cut[tuple(nearest)])


def put_together(photo: Photo, mask: np.ndarray) -> Lines:
    """Centrelines of a mask's cracks, put together as `photo segment` does."""
    cracks = measure_cracks(mask, photo=photo.pixels) if mask.any() else []
    return [crack.centreline for crack in join_cracks(cracks, photo.pixels, MIN_LENGTH_PX)]


def on_cracks(lines: Lines, cracks: np.ndarray) -> list[set[int]]:
    """Numbers of the cracks that each finding lies on.

    Args:
        lines: of the findings.
        cracks: from `true_cracks`: int (height, width), numbers within 8 pixels of each crack.
    """
    lengths = {number: int(thin(cracks == number).sum()) for number in range(1, int(cracks.max()) + 1)}
    found = []
    for branches in lines:
        places = np.concatenate([resample(np.array(branch, float), 1.0) for branch in branches])
        columns, rows = np.clip(np.rint(places).astype(int).T, 0, np.array(cracks.shape[::-1])[:, None] - 1)
        counts = np.bincount(cracks[rows, columns], minlength=len(lengths) + 1)
        found.append({n for n, length in lengths.items() if counts[n] >= min(_ON, 0.5 * length)})
    return found


def counted(on: Sequence[set[int]], cracks: int, unsure: Collection[tuple[int, int]] = ()) -> dict[str, int]:
    """What is counted on one photograph, or of one flight.

    Args:
        on: numbers of the cracks that each finding lies on.
        cracks: how many there are.
        unsure: pairs of them that nobody can tell apart, the lower number first.
    """
    there = set().union(*on) if on else set()
    pairs = {(a, b) for a in there for b in there if a < b}.difference(unsure)
    joined = {(a, b) for numbers in on for a in numbers for b in numbers if (a, b) in pairs}
    return {
        "cracks": cracks,
        "found": len(there),
        "findings_on_them": sum(len(numbers) for numbers in on),
        "pairs": len(pairs),
        "joined": len(joined),
        "in_a_join": len({number for pair in joined for number in pair}),
    }


def fly(seed: int) -> dict[str, Any]:
    """A row of a drawn flight that was surveyed."""
    folder = RUNS / str(seed)
    truth = write_flight(folder / "flight", Plan(seed=seed, piers=1, cracks=10), overwrite=True)
    out = folder / "found"
    survey(folder / "flight" / "photos", out, flight_log=folder / "flight" / "flight.csv", overwrite=True, say=_quiet)
    on = []
    for finding in read_survey(out).findings:
        if finding.validation == REFUTED or finding.length_px is None:
            continue
        here: set[int] = set()
        for crack in truth["cracks"]:
            shown = crack["photos"].get(Path(finding.photo).name)
            if shown is not None:
                line = np.array(shown["points"], float)
                away = _distances(finding.centreline, line) <= _NEAR + crack["max_width_px"] / 2
                if away.sum() >= min(_ON, 0.5 * float(np.hypot(*np.diff(line, axis=0).T).sum())):
                    here.add(crack["id"])
        on.append(here)
    return {
        "way": FLIGHT,
        "set": "drawn",
        "split": "test",
        "photo": f"seed {seed}",
        **counted(on, len(truth["cracks"])),
    }


def _distances(branches: Sequence[Sequence[tuple[float, float]]], line: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    places = np.concatenate([resample(np.array(branch, float), 1.0) for branch in branches])
    return np.asarray(cKDTree(resample(line, 1.0)).query(places)[0])


def _quiet(_: str) -> None:
    """Says nothing."""


def rows_of(split: str, done: Collection[tuple[str, str]]) -> Iterator[list[dict[str, Any]]]:
    """Rows of all photographs of a split, both ways, and of the flights.

    Args:
        split: of SPLITS.
        done: sets and names of those that have rows.
    """
    segmenter = Segmenter(find_model(None, task="segment").path)
    told = read_told(OUT / "same.csv")
    with SegmenterPool(segmenter, 2) as pool:
        sets, limit = SPLITS[split]
        for data in sets:
            for number, photo in enumerate(photos_of(data, split, limit)):
                if (data, photo.name) in done:
                    continue
                cracks, unsure = cracks_of(photo, told.get((data, photo.name), Told()))
                count = int(cracks.max())
                if limit == 0 and len(unsure) == count * (count - 1) // 2:
                    continue  # nothing to be joined
                about = {"set": data, "split": split, "photo": photo.name}
                drawn = drawn_by_model(photo, pool, segmenter.threshold_probability)
                broken = put_together(photo, broken_mask(photo.mask, np.random.default_rng([number, 3])))
                yield [
                    {"way": way, **about, **counted(on_cracks(lines, cracks), count, unsure)}
                    for way, lines in ((MODEL, drawn), (BROKEN, broken))
                ]
    for seed in FLIGHTS if split == "test" else ():
        if (DRAWN, f"seed {seed}") not in done:
            yield [fly(seed)]


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums by way, split and set, of all sets of a split, and of all photographs."""
    made = []
    for way in dict.fromkeys(row["way"] for row in rows):
        mine = [row for row in rows if row["way"] == way]
        for split in dict.fromkeys(row["split"] for row in mine):
            some = [row for row in mine if row["split"] == split]
            for data in dict.fromkeys(row["set"] for row in some):
                made.append(_sums(way, split, data, [row for row in some if row["set"] == data]))
            if way != FLIGHT:
                made.append(_sums(way, split, "all", some))
        if way != FLIGHT:
            made.append(_sums(way, "all", "all", mine))
    return made


def _sums(way: str, split: str, data: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = {name: sum(int(row[name]) for row in rows) for name in counted([], 0)}
    low, high = wilson_interval(total["joined"], total["pairs"]) if total["pairs"] else (math.nan, math.nan)
    return {
        "way": way,
        "split": split,
        "set": data,
        "photographs": len(rows),
        **total,
        "findings_per_found_crack": _share(total["findings_on_them"], total["found"]),
        "joined_share": _share(total["joined"], total["pairs"]),
        "joined_low": None if math.isnan(low) else round(low, 4),
        "joined_high": None if math.isnan(high) else round(high, 4),
        "in_a_join_share": _share(total["in_a_join"], total["found"]),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what has no rows yet, write the tables and print the summary."""
    parser = argparse.ArgumentParser("python -m studies.one_crack")
    parser.add_argument(
        "--split", nargs="+", default=["test", "train"], choices=tuple(SPLITS), help="of the photographs"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(argv)
    path = args.out / "photographs.csv"
    rows: list[dict[str, Any]] = list(read_csv(path)) if path.is_file() else []
    for split in args.split:
        for more in rows_of(split, {(row["set"], row["photo"]) for row in rows}):
            rows += more
            write_csv(path, rows)
    rows.sort(key=lambda row: (MODEL, BROKEN, FLIGHT).index(row["way"]))
    found = summary(rows)
    write_csv(args.out / "summary.csv", found)
    for row in found:
        print(
            f"{row['way']}, {row['split']}, {row['set']}: {row['photographs']} photographs, "
            f"{row['found']} of {row['cracks']} cracks found, "
            f"{row['findings_per_found_crack']} findings each; {row['joined']} of {row['pairs']} pairs joined ({row['joined_share']})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
