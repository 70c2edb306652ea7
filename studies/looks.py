"""What it costs to look a second time only where the first look leaves a doubt: `tflite.runtime.Classifier` with and without `quick`.

What it makes: a row per set of tiles: tiles called cracked by both looks at every tile, how many of these a quick classifier calls clean,
how many clean tiles it looks at twice, and processor milliseconds per tile of both, resizing not included.
Cost: some minutes on two cores; at most --limit tiles of every set.
Expected: results/looks.csv. No crack is lost, and most clean tiles of real scenes and concrete are looked at once.
Command: CRACK_TF_DATA=/path/to/data python -m studies.looks --out results/looks.csv
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from crack_tf.evaluation.suite.answers import TestSet
from crack_tf.evaluation.suite.sets import DOMAINS, load_set
from crack_tf.models.shipped import find_model
from tflite.cli import named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.images import resize_rgb
from tflite.outputs import Output, check_file, csv_with
from tflite.runtime import Classifier
from tflite.tables import format_table, plain

OUTPUT = Output("studies.looks", csv_with("", "model", "set", "looked_twice"))


def run(args: argparse.Namespace) -> None:
    """Measure what the command line asks for and write the table.

    Raises:
        CrackError: if the table exists, the model looks once, or there are no data.
    """
    check_file(args.out, OUTPUT, args.overwrite)
    path = find_model(args.model).path
    both, quick = Classifier(path), Classifier(path, quick=True)
    if both.sidecar.second_view_gain is None:
        raise CrackError(
            f"MODEL {path} looks once: there is nothing to spare. crack-tf export --second-view makes one that looks twice."
        )
    found = [row(both, quick, load_set(chosen, args.limit)) for chosen in DOMAINS]
    write_csv(args.out, found)
    shown = ("set", "called_cracked", "called_clean_now", "clean", "looked_twice", "both_ms", "quick_ms")
    print(format_table(found, plain(shown)))


def row(both: Classifier, quick: Classifier, tested: TestSet) -> dict[str, Any]:
    """One set of tiles, asked of both in turn.

    Args:
        both: looks twice at every tile.
        quick: only where the second look may matter.
        tested: the tiles.
    """
    spent = {both: 0.0, quick: 0.0}
    called: dict[Classifier, list[bool]] = {both: [], quick: []}
    again = 0
    for image, label in zip(tested.images, tested.labels, strict=True):
        tile = resize_rgb(np.ascontiguousarray(image), both.image_size)
        for classifier in (both, quick):
            before, started = quick.second_looks, time.process_time()
            called[classifier].append(classifier.is_crack(tile))
            spent[classifier] += time.process_time() - started
            again += bool(not label and quick.second_looks > before)
    ours, theirs = np.array(called[both]), np.array(called[quick])
    if (theirs & ~ours).any():
        raise CrackError(
            "a quick classifier called a tile cracked that both looks do not: the file is cut in a wrong place."
        )
    count, clean = len(tested.labels), int((tested.labels == 0).sum())
    return {
        "model": both.path.stem,
        "set": tested.name,
        "split": tested.split,
        "tiles": count,
        "called_cracked": int(ours.sum()),
        "called_clean_now": int((ours & ~theirs).sum()),
        "cracks_lost": int((ours & ~theirs & (tested.labels == 1)).sum()),
        "clean": clean,
        "looked_twice": again,
        "both_ms": round(1000 * spent[both] / count, 2),
        "quick_ms": round(1000 * spent[quick] / count, 2),
        "gain": round(float(quick.sidecar.second_view_gain or 0), 3),
        "manifest_sha256": tested.sha256,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.looks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--model", metavar="MODEL", help="that looks twice: a name of the zoo, or a file (default: the default)"
    )
    parser.add_argument("--limit", type=positive_int, default=400, help="tiles of each set (default: 400)")
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
