"""How often the ranges of lengths hold what people drew on real photographs.

What it makes: results/real-lengths/cracks.csv (a row per crack) and coverage.csv (how often the ranges hold the truth, by way, split and
set). The truth is the length of the mask that a person drew, measured and put together as a survey does it. The ways:

* `unet_mobile`: what the shipped model draws, put together as a survey does. Everywhere, not only where the classifier asks.
* `own mask`: the person's mask, a pixel wider all around: the measuring alone.

Parts of a person's mask within 16 pixels are one crack, and what is shorter than 40 pixels is none; a finding lies on a crack as in
`studies.one_crack`. Compared are cracks that one finding lies on, which lies on no other one: what a network draws in pieces, or two cracks
that it draws as one, have no one length to compare.
A crack that runs out of the photograph has a lower end alone: the range holds what is not below it. `below` counts cracks that are shorter
than their range, `above` those that are longer.
Chosen on the validation splits: by how much lower the lower end of a drawn length is (`crack_tf.photo.ranges`). Nothing was on the test
splits.
Cost: some minutes on two cores.
Expected: docs/results.md#lengths-on-real-photographs.
Command: CRACK_TF_DATA=/path/to/data python -m studies.real_lengths
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
from crack_tf.survey.searching.validate import Ground, Opinion, find_candidates
from studies.one_crack import on_cracks
from tflite.cli import named_path, run_main
from tflite.device.tiles import Box
from tflite.files import write_csv
from tflite.metrics import wilson_interval
from tflite.segmenter import Segmenter

OUT = Path("results/real-lengths")
SETS = ("uav_concrete", "deepcrack", "conglomerate")
SPLITS = ("val", "test")
MODEL, MASK = "unet_mobile", "own mask"
COLUMNS = ("way", "split", "set", "photo", "true_px", "stated_px", "low_px", "high_px", "touches_border")

Found = tuple[
    Sequence[Sequence[tuple[float, float]]], float, float, float, bool
]  # centreline, length, its range, whether it leaves


def drawn_by_model(pixels: np.ndarray, pool: SegmenterPool, threshold: float) -> list[Found]:
    """What the model draws on a photograph, uint8 (height, width, 3), put together as in a survey."""

    def ask(image: np.ndarray, region: np.ndarray) -> np.ndarray:
        return segment_at_scales(image, pool, threshold, foreground=region)

    tile = Tile(Box(0, 0, *pixels.shape[:2]), 10.0, 1.0, True)
    found = find_candidates(pixels, [tile], Ground(), Opinion(ask, threshold))
    return [
        (one.centreline, one.length_px, one.ranges[0].low, one.ranges[0].high, bool(one.touches_border))
        for one in found
        if one.length_px is not None and one.ranges is not None
    ]


def drawn_by_hand(mask: np.ndarray, pixels: np.ndarray) -> list[Found]:
    """A person's mask, bool (height, width), a pixel wider all around, measured."""
    from scipy import ndimage

    cracks = measure_cracks(ndimage.binary_dilation(mask), photo=pixels)
    return [
        (one.centreline, one.length_px, one.ranges[0].low, one.ranges[0].high, one.touches_border)
        for one in cracks
        if one.length_px >= MIN_LENGTH_PX
    ]


def true_lengths(mask: np.ndarray, cracks: np.ndarray) -> dict[int, float]:
    """Pixels of each crack of a mask.

    Args:
        mask: bool (height, width).
        cracks: from `true_cracks`: int (height, width), numbers within 8 pixels of each crack.
    """
    return {
        number: sum(part.length_px for part in join_cracks(measure_cracks(mask & (cracks == number), min_area=1)))
        for number in range(1, int(cracks.max()) + 1)
    }


def compared(found: Sequence[Found], on: Sequence[set[int]], lengths: dict[int, float]) -> Iterator[dict[str, Any]]:
    """A row for each crack that one finding lies on, which lies on no other one.

    Args:
        found: the findings.
        on: numbers of the cracks that each lies on.
        lengths: of the cracks, by their numbers.
    """
    for (_, stated, low, high, leaves), numbers in zip(found, on, strict=True):
        if len(numbers) == 1 and sum(numbers <= others for others in on) == 1:
            (number,) = numbers
            yield {
                "true_px": round(lengths[number], 1),
                "stated_px": round(stated, 1),
                "low_px": round(low, 1),
                "high_px": "" if math.isinf(high) else round(high, 1),
                "touches_border": int(leaves),
            }


def coverage(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often ranges hold the truth, by way, split and set, and all sets of a split together."""
    table = []
    for way in (MODEL, MASK):
        for split in SPLITS:
            for name in (*SETS, "all"):
                some = [
                    row for row in rows if (row["way"], row["split"]) == (way, split) and name in (row["set"], "all")
                ]
                below = sum(row["true_px"] < row["low_px"] for row in some)
                above = sum(row["high_px"] != "" and row["true_px"] > row["high_px"] for row in some)
                held = len(some) - below - above
                low, high = wilson_interval(held, len(some)) if some else (math.nan, math.nan)
                table.append(
                    {
                        "way": way,
                        "split": split,
                        "set": name,
                        "cracks": len(some),
                        "touch_border": sum(row["touches_border"] for row in some),
                        "held": held,
                        "below": below,
                        "above": above,
                        "held_share": round(held / len(some), 3) if some else "",
                        "held_low": round(low, 3),
                        "held_high": round(high, 3),
                    }
                )
    return table


def run(out: Path) -> None:
    """Measure all photographs and write the tables."""
    segmenter = Segmenter(find_model(None, task="segment").path)
    rows: list[dict[str, Any]] = []
    with SegmenterPool(segmenter, 2) as pool:
        for split in SPLITS:
            for name in SETS:
                for item, pixels, mask in photographs(prepare(name), split):
                    cracks = true_cracks(mask)
                    if not cracks.any():
                        continue
                    lengths = true_lengths(mask, cracks)
                    ways = {
                        MODEL: drawn_by_model(pixels, pool, segmenter.threshold_probability),
                        MASK: drawn_by_hand(mask, pixels),
                    }
                    for way, found in ways.items():
                        on = on_cracks([one[0] for one in found], cracks)
                        about = {"way": way, "split": split, "set": name, "photo": Path(item.path).stem}
                        rows += [about | row for row in compared(found, on, lengths)]
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "cracks.csv", rows, COLUMNS)
    table = coverage(rows)
    write_csv(out / "coverage.csv", table)
    for row in table:
        print(", ".join(f"{name} {value}" for name, value in row.items()))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.real_lengths", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=named_path, default=OUT, metavar="DIR", help=f"({OUT})")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args.out), interrupted="")


if __name__ == "__main__":
    sys.exit(main())
