"""What a second look at a few cracked tiles brings: photographs called cracked before it and after, with cracks and without.

What it makes: a row per set of photographs, those with and those without a crack apart. The rule (`crack_tf.inference.second_look`) was
chosen on the scenes and on the validation photographs of uav_concrete, deepcrack, crack500 and conglomerate; the other rows took no part.
Cost: some minutes.
Expected: results/second-look.csv. Of 27 crack-free scenes called cracked 15 remain; five photographs of cracked
asphalt are lost, and no other.
Command: CRACK_TF_DATA=/path/to/data python -m studies.second_look --out results/second-look.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from crack_tf.data.patches import photographs
from crack_tf.data.registry import prepare
from crack_tf.inference.second_look import is_doubted
from crack_tf.inference.tiles import PhotoClassifier
from crack_tf.models.shipped import find_model
from tflite.cli import named_path, run_main
from tflite.files import write_csv
from tflite.hardware import describe
from tflite.images import decode_rgb
from tflite.outputs import Output, check_file, csv_with
from tflite.tables import format_table, plain

SETS = (
    ("scenes_whole", "all"),
    *((name, split) for name in ("deepcrack", "conglomerate") for split in ("val", "train", "test")),
    *((name, "val") for name in ("uav_concrete", "crack500")),
    ("uav_asphalt", "all"),
)
GROUND = "caliterra"  # drone views of ground among the scenes: a row of their own
LEAST_PX = 200  # pixels of a mask with a crack
OUTPUT = Output("studies.second_look", csv_with("", "set", "called", "called_after"))
COUNTS = ("photographs", "called", "called_after", "tiles", "tiles_again")
Row = dict[str, Any]


def rows(classifier: PhotoClassifier, model: str) -> list[Row]:
    """Photographs, how many are called cracked by any tile, and how many still are after the second look."""
    found: dict[tuple[str, str, str], Row] = {}
    for data, split in SETS:
        for name, image, cracked in _photographs(data, split):
            key = (f"{data} (ground)" if GROUND in name else data, split, "yes" if cracked else "no")
            named: Row = {"set": key[0], "split": split, "cracks": key[2], "model": model}
            row = found.setdefault(key, named | dict.fromkeys(COUNTS, 0))
            tiles = classifier.score(image)
            again = [0]

            def score(image: np.ndarray, boxes: Any, again: list[int] = again) -> Any:
                again[0] += len(boxes)
                return classifier.score(image, boxes)

            called = any(tile.crack for tile in tiles)
            doubted = is_doubted(image, tiles, score, classifier.sidecar.threshold.logit)
            row["photographs"] += 1
            row["called"] += called
            row["called_after"] += called and not doubted
            row["tiles"] += len(tiles)
            row["tiles_again"] += again[0]
    return list(found.values())


def _photographs(data: str, split: str) -> Iterator[tuple[str, np.ndarray, bool]]:
    manifest = prepare(data)
    if manifest.task == "segment":
        for item, image, mask in photographs(manifest, split):
            yield item.path, image, int(mask.sum()) >= LEAST_PX
    else:
        for item in manifest.split(split):
            yield item.path, decode_rgb(manifest.read(item), item.path), bool(item.label)


def run(args: argparse.Namespace) -> None:
    """Measure, and write the table.

    Raises:
        CrackError: if the table exists, or there is no such model or data.
    """
    check_file(args.out, OUTPUT, args.overwrite)
    chosen = find_model(args.model)
    with PhotoClassifier(chosen.path, jobs=int(describe()["cores"]), side=chosen.tile_side) as classifier:
        found = rows(classifier, chosen.path.parent.name)
    write_csv(args.out, found)
    columns = ("set", "split", "cracks", *COUNTS)
    print(format_table(found, plain(columns)))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.second_look", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--model", metavar="MODEL", help="classifier of the zoo, or a .tflite file (default: the zoo's)"
    )
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
