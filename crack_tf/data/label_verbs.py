"""The sub-verbs of `crack-tf data` that question labels: mine, disputes, review, relabel."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from tflite.cli import EXIT_GAPS, named_path, non_negative_int, positive_int
from tflite.manifest import SPLITS
from tflite.words import counted


def add_verbs(verbs: Any, source: str) -> None:
    """Add them to a parser's sub-commands.

    Args:
        verbs: what `add_subparsers` gave.
        source: help of the argument that names a data set.
    """
    verb = verbs.add_parser("mine", help="tiles of crack-free photographs that a model calls cracked, to train on")
    verb.add_argument("model", help="shipped model or .tflite file, a classifier or a segmentation model")
    verb.add_argument("--clean", type=named_path, required=True, help="folder of photographs without a crack")
    verb.add_argument("--per-photo", type=positive_int, default=20, help="tiles kept of a photograph; default: 20")
    verb.add_argument("--jobs", type=positive_int, help="threads; default: one per core")
    verb.add_argument("--out", type=named_path, required=True, help="folder for no_crack/ and mined.csv")
    verb.set_defaults(run=_mine, interrupted="The same command goes on.")

    verb = verbs.add_parser("disputes", help="tiles whose label a classifier doubts that has not seen them")
    verb.add_argument("data", help=f"{source}, or a manifest .csv")
    verb.add_argument(
        "--weights", default="imagenet", help="of MobileNetV2: imagenet (default) or a notop weights file"
    )
    verb.add_argument("--limit", type=positive_int, help="at most this many tiles")
    verb.add_argument("--out", type=named_path, required=True, help="folder for disputes.csv and disputes.png")
    verb.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    verb.set_defaults(
        run=_disputes,
        interrupted="Nothing was written; run the same command again.",
        needs=("keras", "sklearn", "matplotlib"),
    )

    verb = verbs.add_parser("review", help="sheets of shuffled tiles without labels, to be looked at by eye")
    verb.add_argument("data", help=f"{source}, or a manifest .csv")
    verb.add_argument("--split", choices=(*SPLITS, "all"), default="test", help="default: test")
    verb.add_argument("--seed", type=non_negative_int, default=0, help="of the order; default: 0")
    verb.add_argument(
        "--out", type=named_path, required=True, help="folder for sheet-NN.png and review.csv, to fill in"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    verb.set_defaults(run=_review, interrupted="Run the same command again, with --overwrite.")

    verb = verbs.add_parser("relabel", help="a manifest with the labels of a review; doubtful tiles are left out")
    verb.add_argument("data", help=f"{source}, or a manifest .csv")
    verb.add_argument(
        "--review", required=True, help="filled review.csv, or a review that comes along: sdnet2018_walls"
    )
    verb.add_argument("--out", type=named_path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_relabel, interrupted="Nothing was written; run the same command again.")


def _mine(options: argparse.Namespace) -> int:
    from crack_tf.inference.mine import mine_with

    found = mine_with(options.model, options.clean, options.out, options.per_photo, options.jobs)
    listed = f"{options.out}/no_crack, listed in {options.out}/mined.csv"
    print(f"{counted(len(found.mistakes), 'tile')} in {listed}; {counted(len(found.unread), 'photograph')} not read")
    if found.mistakes:
        split = f"crack-tf data split {shlex.quote(str(options.out))} --clean --out mined.csv"
        print(f"next: {split}, and `data mix` it into your training set")
    return EXIT_GAPS if found.unread else 0


def _disputes(options: argparse.Namespace) -> None:
    from crack_tf.data.disputes import dispute_labels

    found = dispute_labels(options.data, options.out, options.weights, options.limit, options.overwrite)
    print(f"{found.title}\nwritten: {options.out}/disputes.csv, disputes.png")
    relabel = f"crack-tf data relabel {options.data} --review {options.out}/disputes.csv --out FILE.csv"
    print(f"without them: {relabel}")


def _review(options: argparse.Namespace) -> None:
    from crack_tf.data.registry import prepare
    from crack_tf.data.reviews import OUTPUT, VERDICTS, draw_sheets, keep_verdicts
    from tflite.outputs import check_folder, making

    check_folder(options.out, OUTPUT, options.overwrite, inputs=(options.data,))
    keep_verdicts(options.out / "review.csv", "")
    manifest = prepare(options.data)
    with making(options.out, OUTPUT, options.overwrite):
        sheets = draw_sheets(manifest, options.split, options.out, options.seed)
    print(f"written to {options.out}: {sheets} sheets, review.csv")
    print(f"fill in its last column with one of {', '.join(VERDICTS)}; then: crack-tf data relabel")


def _relabel(options: argparse.Namespace) -> None:
    from crack_tf.data.registry import prepare
    from crack_tf.data.reviews import VERDICTS, agreement, apply_review, find_review
    from crack_tf.data.texts import split_lines
    from tflite.manifest import check_out, write_manifest

    check_out(options.out, options.overwrite, options.data, options.review)
    manifest = prepare(options.data)
    review = find_review(options.review)
    relabelled = apply_review(manifest, review)
    write_manifest(options.out, relabelled, options.overwrite)
    print("labels of the data set by the reader's verdicts:")
    for row in agreement(manifest, review):
        print(f"  {row['label']}: " + ", ".join(f"{row[verdict]} {verdict}" for verdict in VERDICTS))
    print("\n".join([*split_lines(relabelled, {}), f"written: {options.out}"]))
