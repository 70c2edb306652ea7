"""`python -m studies.seam_check`: how much a map depends on where its tiles lie.

python -m studies.seam_check --data crack500 --out results/segmentation/seams.csv

Every photograph is drawn twice, the second time with the grid of tiles moved by a third of a tile, so that seams lie elsewhere. What
differs is what tiling did: the photograph is the same. A row per data set:

    mask_f1             F1 of one mask against the other; 1 where tiling has no effect
    difference_overlap  mean absolute difference of the probabilities where tiles of the first grid overlap, and
    difference_inside   where they do not
    step_ratio          mean step between neighbouring pixels across tile edges, over that at the same places of the second map, where
                        no edge is; 1 where an edge cannot be seen
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite.cli import named_path, positive_int, run_main
from tflite.files import write_csv
from tflite.outputs import Output, check_file, csv_with
from tflite.tables import format_table

_NEAR = 2  # pixels; an edge of one grid this near to one of the other is not compared
OUTPUT = Output("studies.seam_check", csv_with("", "manifest_sha256", "mask_f1", "step_ratio"))


@dataclass(frozen=True)
class SeamEffect:
    """What moving the grid changed in one photograph, as sums that add up over photographs.

    Attributes:
        both, either: pixels that both masks call crack, and that the two call crack in sum.
        overlap, inside: sums of absolute differences of the probabilities, and numbers of pixels, as (sum, count).
        edge, same_places: sums of absolute steps across tile edges, and at the same places of the other map.
    """

    both: int
    either: int
    overlap: tuple[float, int]
    inside: tuple[float, int]
    edge: float
    same_places: float


@dataclass(frozen=True)
class TilesOnly:
    """A model that is asked for its tiles, not for larger windows.

    Attributes:
        maps: the model, see `crack_tf.inference.maps.TileMaps`.
    """

    maps: Any

    @property
    def image_size(self) -> int:
        """Side of the square tiles in pixels."""
        return int(self.maps.image_size)

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """Of a crack at each pixel of some tiles, float32 (n, size, size)."""
        return np.asarray(self.maps.probabilities(tiles))


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.seam_check",
        description="Measure how much a segmentation model's maps depend on where the tiles lie.",
    )
    add = parser.add_argument
    add("model", nargs="?", help="name in the zoo, or a .tflite file (default: the zoo's)")
    add("--data", nargs="+", required=True, metavar="SET", help="manifests .csv, data set names or folders")
    add("--split", default="test", help="(default: test)")
    add("--limit", type=positive_int, metavar="N", help="at most N photographs of each")
    add("--out", type=named_path, metavar="FILE.csv", help="for the rows (default: none)")
    add("--overwrite", action="store_true", help="replace that file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Measure as the parsed options say.

    Raises:
        CrackError: if the model or the data is not usable, or --out exists.
    """
    from crack_tf.data.patches import photographs
    from crack_tf.data.registry import prepare
    from crack_tf.inference.maps import SegmenterPool
    from crack_tf.models.shipped import find_model
    from tflite.segmenter import Segmenter

    if args.out is not None:
        check_file(args.out, OUTPUT, args.overwrite, inputs=(args.model, *args.data))
    segmenter = Segmenter(find_model(args.model, task="segment").path)
    sidecar = segmenter.sidecar
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        pool = stack.enter_context(SegmenterPool(segmenter, os.cpu_count() or 1))
        for source in args.data:
            manifest = prepare(source)
            effects = [
                seam_effect(photo, pool, segmenter.threshold_probability)
                for _, photo, _ in photographs(manifest, args.split, args.limit)
                if max(photo.shape[:2]) > segmenter.image_size
            ]
            head: dict[str, Any] = {
                "model": f"{sidecar.model}-{sidecar.scheme}",
                "sha256": sidecar.sha256,
                "manifest": manifest.name,
                "manifest_sha256": manifest.sha256,
                "split": args.split,
                "photographs": len(effects),
            }
            rows.append(head | summary(effects))
    print(report(rows))
    if args.out is not None:
        write_csv(args.out, rows)
        print(args.out)


def seam_effect(photo: np.ndarray, maps: Any, threshold: float) -> SeamEffect:
    """Draw a photograph with two grids of tiles and compare; of tiles also where the model takes larger windows.

    Args:
        photo: uint8 (height, width, 3), larger than a tile.
        maps: a model, see `crack_tf.inference.maps.TileMaps`.
        threshold: probability from which a pixel is crack.
    """
    from crack_tf.inference.maps import segment

    maps = TilesOnly(maps)
    tile, (height, width) = maps.image_size, photo.shape[:2]
    move = tile // 3
    first = segment(photo, maps)
    # Mirrored all round, so that the photograph's own borders are as far inside as the grid has moved.
    around = np.pad(photo, ((move, move), (move, move), (0, 0)), mode="symmetric")
    second = segment(around, maps)[move : move + height, move : move + width]
    difference = np.abs(first - second)
    covers = np.outer(*(coverage(length, tile) for length in (height, width)))
    shared = covers > 1
    edge = same_places = 0.0
    for axis, length in enumerate((height, width)):
        others = edges(length + 2 * move, tile) - move
        places = [place for place in edges(length, tile) if not (np.abs(others - place) <= _NEAR).any()]
        edge += float(np.abs(np.diff(first, axis=axis)).take(places, axis=axis).sum())
        same_places += float(np.abs(np.diff(second, axis=axis)).take(places, axis=axis).sum())
    one, other = first >= threshold, second >= threshold
    return SeamEffect(
        int((one & other).sum()),
        int(one.sum()) + int(other.sum()),
        (float(difference[shared].sum()), int(shared.sum())),
        (float(difference[~shared].sum()), int((~shared).sum())),
        edge,
        same_places,
    )


def coverage(length: int, tile: int) -> np.ndarray:
    """How many tiles cover each pixel along an axis, int (length,)."""
    covers = np.zeros(length, int)
    for start in starts(length, tile):
        covers[start : start + tile] += 1
    return covers


def edges(length: int, tile: int) -> np.ndarray:
    """Numbers of the steps between neighbouring pixels that a tile's edge lies on; step k is between pixels k and k + 1."""
    found = {edge - 1 for start in starts(length, tile) for edge in (start, start + tile)}
    return np.array(sorted(step for step in found if 0 <= step < length - 1), int)


def starts(length: int, tile: int) -> list[int]:
    """First pixels of the tiles along an axis, as `crack_tf.photo.stitch` lays them by default."""
    from crack_tf.photo.stitch import OVERLAP
    from tflite.device.tiles import tile_boxes

    return [box.x for box in tile_boxes(max(length, tile), tile, tile, OVERLAP)]


def summary(effects: Sequence[SeamEffect]) -> dict[str, float | None]:
    """The figures of some photographs together; None over nothing."""

    def ratio(above: float, below: float) -> float | None:
        return round(above / below, 6) if below and math.isfinite(above) else None

    return {
        "mask_f1": ratio(2 * sum(e.both for e in effects), sum(e.either for e in effects)),
        "difference_overlap": ratio(sum(e.overlap[0] for e in effects), sum(e.overlap[1] for e in effects)),
        "difference_inside": ratio(sum(e.inside[0] for e in effects), sum(e.inside[1] for e in effects)),
        "step_ratio": ratio(sum(e.edge for e in effects), sum(e.same_places for e in effects)),
    }


def report(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""

    def cell(name: str, digits: int) -> Any:
        return lambda row: "-" if row[name] is None else f"{row[name]:.{digits}f}"

    return format_table(
        rows,
        {
            "model": lambda row: str(row["model"]),
            "data": lambda row: f"{row['manifest']} {row['split']}",
            "photographs": lambda row: str(row["photographs"]),
            "mask F1": cell("mask_f1", 4),
            "difference, overlap": cell("difference_overlap", 5),
            "inside": cell("difference_inside", 5),
            "step ratio": cell("step_ratio", 3),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
