"""Would a small model in front spare the default work? Tiles that it calls clean at high recall would not be shown to the default.

What it makes: a row per small model: the threshold at which it passes on 99.5 % of the tiles that the default calls cracked, the share
of the other tiles that it then spares, and processor milliseconds per tile of both, resizing included. It pays where the share is
larger than the ratio of the costs. Chosen and measured on the same tiles, so the share is, if anything, too high.
Cost: half a minute.
Expected: results/survey/screening.csv. The model that the default taught would pay; of those taught on METU alone one by a little.
Command: CRACK_TF_DATA=/path/to/data python -m studies.screening --out results/survey/screening.csv
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.data.patches import photographs
from crack_tf.data.registry import prepare
from crack_tf.inference.tiles import PhotoClassifier, Tile
from crack_tf.zoo.shipped import find_model
from tflite.cli import named_path, run_main
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.outputs import Output, check_file, csv_with
from tflite.tables import format_table

RECALL = 0.995
SMALL = ("opnet_lite_nano", "opnet_lite_small", "opnet_lite_base", "mobilenet_v2_035_mixed", "mobilenet_v2_035_real")
OUTPUT = Output("studies.screening", csv_with("", "screen", "passed_on", "spared"))


def spared(screen: np.ndarray, cracked: np.ndarray, recall: float = RECALL) -> tuple[float, float]:
    """What a screen spares where it loses next to nothing.

    Args:
        screen: float (n,), its logits.
        cracked: bool (n,), tiles that have to be passed on.
        recall: least share of these that is.

    Returns:
        The threshold, one of the logits, and the share of the other tiles below it.

    Raises:
        CrackError: if all tiles are of one kind.
    """
    if cracked.all() or not cracked.any():
        raise CrackError(f"{int(cracked.sum())} of {len(cracked)} tiles are called cracked: both kinds are needed.")
    lost = int((1 - recall) * int(cracked.sum()))
    threshold = float(np.sort(screen[cracked])[lost])
    return threshold, float((screen[~cracked] < threshold).mean())


def run(args: argparse.Namespace) -> None:
    """Measure what the command line asks for and write the table.

    Raises:
        CrackError: if the table exists, or there is no such model or data.
    """
    check_file(args.out, OUTPUT, args.overwrite)
    manifest, default = prepare(args.data), find_model(None)
    photos = [photo for _, photo, _ in photographs(manifest, args.split)]
    own, default_ms = _scored(default.path, photos, default.tile_side)
    cracked = np.array([tile.crack for tile in own])
    rows: list[dict[str, Any]] = []
    for name in args.screens:
        tiles, screen_ms = _scored(find_model(name).path, photos, default.tile_side)
        threshold, share = spared(np.array([tile.logit for tile in tiles]), cracked)
        row: dict[str, Any] = {"screen": name, "default": default.path.stem, "data": f"{manifest.name} {args.split}"}
        row |= {"tiles": len(cracked), "cracked": int(cracked.sum()), "passed_on": RECALL, "logit": round(threshold, 3)}
        rows.append(
            {**row, "spared": round(share, 4), "screen_ms": round(screen_ms, 2), "default_ms": round(default_ms, 2)}
        )
    write_csv(args.out, rows)
    print(
        format_table(
            rows,
            {
                "screen": lambda row: str(row["screen"]),
                "spared": lambda row: f"{row['spared']:.3f}",
                "ms per tile": lambda row: f"{row['screen_ms']:.2f}",
                "default's": lambda row: f"{row['default_ms']:.2f}",
            },
        )
    )


def _scored(path: Path, photos: Sequence[np.ndarray], side: int | None) -> tuple[list[Tile], float]:
    """A model's answers to all tiles of some photographs, and its processor milliseconds per tile."""
    with PhotoClassifier(path, jobs=1, side=side) as model:
        model.score(photos[0])  # to warm up
        started = time.process_time()
        tiles = [tile for photo in photos for tile in model.score(photo)]
        return tiles, 1000 * (time.process_time() - started) / len(tiles)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.screening", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", default="uav_concrete", help="photographs with masks (default: uav_concrete)")
    parser.add_argument("--split", default="val", help="of these (default: val)")
    parser.add_argument("--screens", nargs="+", default=list(SMALL), metavar="NAME", help="small models, or files")
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
