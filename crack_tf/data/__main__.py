"""`python -m crack_tf.data VERB`: get a data set, look at it, split it, question its labels. --help lists the verbs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.data.flight import add_options
from crack_tf.data.flight import run as flight
from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import EXIT_GAPS, non_negative_int, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import read_csv, write_csv, write_json
from tflite.manifest import LABELS, SPLITS, Manifest, read_manifest, write_manifest
from tflite.manifest import OUTPUT as MANIFEST
from tflite.outputs import Output, check_file, check_folder, csv_with, json_with, making
from tflite.words import counted

if TYPE_CHECKING:
    from crack_tf.data.audit import Audit

_SOURCE = "data set (see `list`), or a folder with one sub-folder per class, or with images and masks"
_SYNTHETIC = ("synthetic", "synthetic_masks")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    return run_main(lambda: options.run(options), interrupted=options.interrupted, needs=options.needs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crack-tf data", description=__doc__)
    parser.set_defaults(needs=())
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("list", help="the data sets by name, and where they are on this machine")
    verb.set_defaults(run=_list, interrupted="")

    verb = verbs.add_parser("fetch", help="generate, find or download a data set")
    verb.add_argument("name", help="data set, see `list`")
    verb.add_argument("--out", type=Path, help="folder to put it in; default: the cache")
    verb.add_argument("--count", type=positive_int, help="synthetic sets only: number of tiles")
    verb.add_argument("--size", type=positive_int, help="synthetic sets only: side of a tile in pixels")
    verb.add_argument("--seed", type=non_negative_int, help="synthetic sets only: the same seed gives the same tiles")
    verb.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    verb.set_defaults(run=_fetch, interrupted="The same command goes on with, or starts again, what was being fetched.")

    verb = verbs.add_parser("flight", help="draw a drone's photographs of piers with known cracks, from a seed")
    add_options(verb)
    verb.set_defaults(run=flight, interrupted="The same command with --overwrite starts again.", needs=("cv2",))

    verb = verbs.add_parser("audit", help="counts, sizes, unreadable files, copies; tables and plots")
    verb.add_argument("source", help=_SOURCE)
    verb.add_argument(
        "--out", type=Path, required=True, help="folder for audit.csv, copies.csv, summary.* and the plots"
    )
    verb.add_argument("--threshold-masks", action="store_true", help="accept soft masks: crack from grey level 128 on")
    verb.add_argument(
        "--clean", action="store_true", help="every picture is free of cracks; no class folders are needed"
    )
    verb.add_argument("--threads", type=positive_int, help="that decode; default: one per core")
    verb.add_argument("--overwrite", action="store_true", help="replace an audit in --out")
    verb.set_defaults(run=_audit, interrupted="Nothing was written; run the same command again.", needs=("matplotlib",))

    verb = verbs.add_parser("split", help="write a manifest: train, val and test with hashes and groups")
    verb.add_argument("source", help=_SOURCE)
    verb.add_argument("--policy", choices=POLICIES, help=POLICY_HELP)
    verb.add_argument("--seed", type=non_negative_int, default=0, help="default: 0")
    verb.add_argument("--threshold-masks", action="store_true", help="accept soft masks: crack from grey level 128 on")
    verb.add_argument(
        "--leave-out",
        action="store_true",
        help="leave out pairs whose photograph or mask has a problem, instead of stopping; and what is left out of any set is no gap",
    )
    verb.add_argument(
        "--clean", action="store_true", help="every picture is free of cracks; no class folders are needed"
    )
    verb.add_argument("--out", type=Path, required=True, help="manifest file, .csv")
    verb.add_argument("--threads", type=positive_int, help="that decode; default: one per core")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_split, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "convert", help="photographs and masks from annotations: CVAT, LabelMe, COCO, VOC and other masks of classes"
    )
    verb.add_argument("source", type=Path, help="folder that was exported, unpacked; or its one annotation file")
    verb.add_argument(
        "--crack-class",
        action="append",
        default=[],
        metavar="NAME",
        help="class that is a crack: its name, or its number or colour (250,50,83) in masks; repeat; default: crack, crevice, fissure",
    )
    verb.add_argument(
        "--line-width",
        type=positive_float,
        metavar="PX",
        help="draw cracks that are marked as lines that wide; without it their photographs are left out and named, as are boxes",
    )
    verb.add_argument(
        "--out", type=Path, required=True, help="folder for images/, masks/ and conversion.json; must not exist"
    )
    verb.set_defaults(run=_convert, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "joint", help="one training set that is honest for a plain and a grouped test split at once"
    )
    verb.add_argument("plain", type=Path, help="manifest of the plain split")
    verb.add_argument("grouped", type=Path, help="manifest of the grouped split of the same files")
    verb.add_argument("--out", type=Path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_joint, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser("mix", help="one manifest from several, each split from the splits of that name")
    verb.add_argument(
        "manifests", nargs="+", type=Path, metavar="MANIFEST", help="two or more, of tiles, of pairs, or of both"
    )
    verb.add_argument("--out", type=Path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_mix, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "transplant", help="real cracks laid onto crack-free pictures, and lines that only look like cracks"
    )
    verb.add_argument("shapes", type=Path, help="manifest of photographs with masks, whose cracks are taken")
    verb.add_argument(
        "--onto", nargs="+", type=Path, required=True, metavar="MANIFEST", help="with crack-free pictures"
    )
    verb.add_argument(
        "--count", type=positive_int, default=8000, help="of pictures, every second one cracked; default: 8000"
    )
    verb.add_argument("--size", type=positive_int, default=256, help="side in pixels; default: 256")
    verb.add_argument(
        "--ground",
        help="masonry, shuttering, spalling or aggregate: all pictures on it; default: some on the first three",
    )
    verb.add_argument("--seed", type=non_negative_int, default=0, help="default: 0")
    verb.add_argument("--out", type=Path, required=True, help="new folder for images, masks and manifest.csv")
    verb.set_defaults(run=_transplant, interrupted="Nothing was written; run the same command again.", needs=("cv2",))

    verb = verbs.add_parser("mine", help="tiles of crack-free photographs that a model calls cracked, to train on")
    verb.add_argument("model", help="shipped model or .tflite file, a classifier or a segmentation model")
    verb.add_argument("--clean", type=Path, required=True, help="folder of photographs without a crack")
    verb.add_argument("--per-photo", type=positive_int, default=20, help="tiles kept of a photograph; default: 20")
    verb.add_argument("--jobs", type=positive_int, help="threads; default: one per core")
    verb.add_argument("--out", type=Path, required=True, help="folder for no_crack/ and mined.csv")
    verb.set_defaults(run=_mine, interrupted="The same command goes on.")

    verb = verbs.add_parser("disputes", help="tiles whose label a classifier doubts that has not seen them")
    verb.add_argument("data", help=f"{_SOURCE}, or a manifest .csv")
    verb.add_argument(
        "--weights", default="imagenet", help="of MobileNetV2: imagenet (default) or a notop weights file"
    )
    verb.add_argument("--limit", type=positive_int, help="at most this many tiles")
    verb.add_argument("--out", type=Path, required=True, help="folder for disputes.csv and disputes.png")
    verb.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    verb.set_defaults(
        run=_disputes,
        interrupted="Nothing was written; run the same command again.",
        needs=("keras", "sklearn", "matplotlib"),
    )

    verb = verbs.add_parser("review", help="sheets of shuffled tiles without labels, to be looked at by eye")
    verb.add_argument("data", help=f"{_SOURCE}, or a manifest .csv")
    verb.add_argument("--split", choices=(*SPLITS, "all"), default="test", help="default: test")
    verb.add_argument("--seed", type=non_negative_int, default=0, help="of the order; default: 0")
    verb.add_argument("--out", type=Path, required=True, help="folder for sheet-NN.png and review.csv, to fill in")
    verb.add_argument("--overwrite", action="store_true", help="replace what is in --out")
    verb.set_defaults(run=_review, interrupted="Run the same command again, with --overwrite.")

    verb = verbs.add_parser("relabel", help="a manifest with the labels of a review; doubtful tiles are left out")
    verb.add_argument("data", help=f"{_SOURCE}, or a manifest .csv")
    verb.add_argument(
        "--review", required=True, help="filled review.csv, or a review that comes along: sdnet2018_walls"
    )
    verb.add_argument("--out", type=Path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_relabel, interrupted="Nothing was written; run the same command again.")
    return parser


def _list(_: argparse.Namespace) -> None:
    from crack_tf.data.registry import DATASETS

    for entry in DATASETS.values():
        local = entry.local_copy()
        place = f"by hand: {entry.page}" if entry.kaggle is None else f"Kaggle: {entry.kaggle}"
        if local or entry.generated:
            place = f"here: {local}" if local else "made on first use"
        print(f"{entry.name:<16}{entry.summary}")
        print(f"{'':<16}licence {entry.licence}; {place}\n{'':<16}cite: {entry.citation}")
        if entry.left_out:
            print(f"{'':<16}for tests: not to be trained on")
    print(f"{'FOLDER':<16}any folder with one sub-folder per class, such as crack and no_crack,")
    print(f"{'':<16}or with images and masks of the same names")


def _fetch(options: argparse.Namespace) -> None:
    settings = {key: getattr(options, key) for key in ("count", "size", "seed") if getattr(options, key) is not None}
    if settings and options.name not in _SYNTHETIC:
        names = ", ".join(f"--{key}" for key in settings)
        raise CrackError(f"{names}: only the synthetic data sets are generated; {options.name} comes as it is.")
    if options.name in _SYNTHETIC and options.out is not None:
        from crack_tf.synthetic.tiles import write_dataset, write_pairs

        write = write_dataset if options.name == "synthetic" else write_pairs
        folder = write(options.out, overwrite=options.overwrite, **settings)
    elif settings:
        raise CrackError("--count, --size and --seed need --out DIR: the cached synthetic set has its own.")
    else:
        from crack_tf.data.registry import fetch

        folder = fetch(options.name, options.out, options.overwrite)
    print(f"images: {folder}\nnext: python -m crack_tf.data audit {folder} --out audit")


def _audit(options: argparse.Namespace) -> int:
    check_folder(options.out, AUDIT, options.overwrite, inputs=(options.source,))
    result = _run_audit(options.source, options.threshold_masks, options.clean, options.threads)
    with making(options.out, AUDIT):
        write_audit(result, options.out)
    _print_audit(result)
    names = "audit.csv copies.csv summary.json summary.csv overview.png samples.png copies.png"
    more = " misaligned.png" if result.source.task == "segment" else ""
    print(f"written to {options.out}: {names}{more}")
    return _exit_code(result)


def _split(options: argparse.Namespace) -> int:
    from crack_tf.data.notes import audit_notes, split_notes
    from crack_tf.data.split import leaks, split

    _check_manifest_name(options.out, options.overwrite, options.source)
    result = _run_audit(options.source, options.threshold_masks, options.clean, options.threads)
    manifest = split(result, options.policy, options.seed, options.leave_out)
    write_manifest(options.out, manifest, options.overwrite)
    _print_split(manifest, leaks(result, manifest))
    _print_unreadable(result)
    _print_notes([*split_notes(result, manifest), *audit_notes(result)])
    print(f"written: {options.out}")
    return 0 if options.leave_out else _exit_code(result)


def _convert(options: argparse.Namespace) -> int:
    from crack_tf.data.convert import convert

    result = convert(options.source, options.out, options.crack_class, options.line_width)
    print(
        f"{result.kind}: {counted(result.photographs, 'photograph')} converted, {result.crack_free} of them without a crack"
    )
    for what, classes in (("taken as crack", result.crack_classes), ("taken as background", result.other_classes)):
        if classes:
            print(f"{what}: {', '.join(f'{name!r} ({count})' for name, count in sorted(classes.items()))}")
    if result.lines:
        print(
            f"{counted(result.lines, 'crack that was marked as a line is', 'cracks that were marked as lines are')} drawn "
            f"{result.line_width:g} pixels wide, as you said"
        )
    if result.not_annotated:
        print(f"{result.not_annotated} photographs have no annotation, and are left out")
    if result.left:
        print(f"warning: {len(result.left)} not converted:", file=sys.stderr)
        for row in result.left[:10]:
            print(f"  {row.photo} ({row.annotation}): {row.reason}", file=sys.stderr)
        if len(result.left) > 10:
            print(f"  and {len(result.left) - 10} more, see {options.out / 'conversion.json'}", file=sys.stderr)
    print(
        f"written to {options.out}: images masks conversion.json\nnext: python -m crack_tf.data audit {options.out} --out audit"
    )
    return EXIT_GAPS if result.left else 0


def _joint(options: argparse.Namespace) -> None:
    from crack_tf.data.joint import joint_manifest

    _check_manifest_name(options.out, options.overwrite, options.plain, options.grouped)
    manifest = joint_manifest(read_manifest(options.plain), read_manifest(options.grouped))
    write_manifest(options.out, manifest, options.overwrite)
    _print_split(manifest, {})
    print(f"written: {options.out}")


def _mix(options: argparse.Namespace) -> None:
    from crack_tf.data.mix import mix

    _check_manifest_name(options.out, options.overwrite, *options.manifests)
    manifest = mix([read_manifest(path) for path in options.manifests])
    write_manifest(options.out, manifest, options.overwrite)
    _print_split(manifest, {})
    print(f"root: {manifest.root}\nwritten: {options.out}")


def _transplant(options: argparse.Namespace) -> None:
    from crack_tf.synthetic.transplant import write_transplants

    shapes, onto = read_manifest(options.shapes), [read_manifest(path) for path in options.onto]
    manifest = write_transplants(shapes, onto, options.out, options.count, options.size, options.seed, options.ground)
    _print_split(manifest, {})
    print(f"written: {options.out}/manifest.csv")


def _mine(options: argparse.Namespace) -> int:
    import os

    from crack_tf.data.mine import classifier_finder, mine, segmenter_finder
    from crack_tf.inference.tiles import PhotoClassifier
    from crack_tf.zoo.shipped import find_model, read_zoo
    from tflite.segmenter import Segmenter
    from tflite.sidecar import read_sidecar

    shipped = read_zoo()[1].get(options.model)
    chosen = find_model(options.model, task=shipped.task if shipped else "classify")
    sidecar = read_sidecar(chosen.path)
    if sidecar.task == "segment":
        found = mine(
            segmenter_finder(Segmenter(chosen.path)), sidecar.sha256, options.clean, options.out, options.per_photo
        )
    else:
        with PhotoClassifier(
            chosen.path, jobs=options.jobs or os.cpu_count() or 1, side=chosen.tile_side
        ) as classifier:
            found = mine(classifier_finder(classifier), sidecar.sha256, options.clean, options.out, options.per_photo)
    mistakes, unread = found
    print(
        f"{counted(len(mistakes), 'tile')} in {options.out}/no_crack, listed in {options.out}/mined.csv; "
        f"{counted(len(unread), 'photograph')} not read"
    )
    print(
        f"next: python -m crack_tf.data split {options.out} --clean --out mined.csv, and `data mix` it into your training set"
    )
    return EXIT_GAPS if unread else 0


def _disputes(options: argparse.Namespace) -> None:
    import numpy as np

    from crack_tf.data.cache import load_split
    from crack_tf.data.disputes import FEATURE_SIZE, find_disputes, gallery, out_of_fold, pooled_features
    from crack_tf.data.registry import prepare

    check_folder(options.out, DISPUTES, options.overwrite, inputs=(options.data, options.weights))
    _keep_verdicts(options.out / "disputes.csv", "doubtful")
    manifest = prepare(options.data)
    if manifest.task != "classify":
        raise CrackError(f"{options.data} holds masks: labels can be disputed only where tiles have one.")
    tiles = load_split(manifest, "all", FEATURE_SIZE, limit=options.limit)
    groups = np.unique([item.group for item in tiles.items], return_inverse=True)[1]
    probabilities = out_of_fold(pooled_features(tiles, options.weights), tiles.labels, groups)
    found = find_disputes([item.path for item in tiles.items], tiles.labels, probabilities)
    title = f"{manifest.name}: {len(found)} of {len(tiles)} labels disputed, the surest first"
    hashes = {item.path: item.sha256 for item in tiles.items}
    # The table is a review as `relabel` takes it: it leaves disputed tiles out.
    rows = [asdict(dispute) | {"sha256": hashes[dispute.path], "verdict": "doubtful"} for dispute in found]
    with making(options.out, DISPUTES):
        gallery(found, manifest.folder(), title, options.out / "disputes.png")
        write_csv(options.out / "disputes.csv", rows, ["path", "sha256", "label", "probability", "margin", "verdict"])
    print(f"{title}\nwritten: {options.out}/disputes.csv, disputes.png")
    print(
        f"without them: python -m crack_tf.data relabel {options.data} --review {options.out}/disputes.csv --out FILE.csv"
    )


def _review(options: argparse.Namespace) -> None:
    from crack_tf.data.registry import prepare
    from crack_tf.data.reviews import VERDICTS, draw_sheets

    check_folder(options.out, SHEETS, options.overwrite, inputs=(options.data,))
    _keep_verdicts(options.out / "review.csv", "")
    manifest = prepare(options.data)
    with making(options.out, SHEETS):
        sheets = draw_sheets(manifest, options.split, options.out, options.seed)
    print(f"written to {options.out}: {sheets} sheets, review.csv")
    print(f"fill in its last column with one of {', '.join(VERDICTS)}; then: python -m crack_tf.data relabel")


def _relabel(options: argparse.Namespace) -> None:
    from crack_tf.data.registry import prepare
    from crack_tf.data.reviews import VERDICTS, agreement, apply_review, find_review

    _check_manifest_name(options.out, options.overwrite, options.data, options.review)
    manifest = prepare(options.data)
    review = find_review(options.review)
    relabelled = apply_review(manifest, review)
    write_manifest(options.out, relabelled, options.overwrite)
    print("labels of the data set by the reader's verdicts:")
    for row in agreement(manifest, review):
        print(f"  {row['label']}: " + ", ".join(f"{row[verdict]} {verdict}" for verdict in VERDICTS))
    _print_split(relabelled, {})
    print(f"written: {options.out}")


def _check_manifest_name(out: Path, overwrite: bool, *inputs: str | Path) -> None:
    if out.suffix != ".csv":
        raise CrackError(f"--out {out}: a manifest's name must end in .csv.")
    check_file(out, MANIFEST, overwrite, inputs=inputs)


def _keep_verdicts(table: Path, as_written: str) -> None:
    """Refuse to replace a table in which somebody has written verdicts."""
    rows = read_csv(table) if table.is_file() else []
    own = sum(row.get("verdict") != as_written for row in rows)
    if own:
        raise CrackError(f"--overwrite: {table} holds {own} verdicts that a person wrote. Choose another --out.")


AUDIT = Output(
    "crack-tf data audit",
    json_with("summary.json", "classes", "copies"),
    (
        *("audit.csv", "copies.csv", "summary.csv", "summary.json"),
        *("overview.png", "samples.png", "copies.png", "misaligned.png"),
    ),
)
DISPUTES = Output(
    "crack-tf data disputes",
    csv_with("disputes.csv", "path", "sha256", "probability", "margin", "verdict"),
    ("disputes.csv", "disputes.png"),
)
SHEETS = Output(
    "crack-tf data review", csv_with("review.csv", "number", "path", "sha256", "verdict"), ("review.csv", "sheet-*.png")
)


def write_audit(result: Audit, folder: Path) -> None:
    """Write an audit's tables (CSV, JSON) and plots (PNG) into a folder."""
    from dataclasses import fields

    from crack_tf.data import plots
    from crack_tf.data.audit import copy_rows, summary

    # The plots read images again and can fail; the tables come last, so that a folder with a summary is a whole audit.
    plots.overview(result, folder / "overview.png")
    if result.source.task == "segment":
        from crack_tf.data.pair_plots import misaligned_sheet, pair_sheet

        pair_sheet(result, folder / "samples.png")
        misaligned_sheet(result, folder / "misaligned.png")
    else:
        plots.sample_grid(result, folder / "samples.png")
    plots.copies_gallery(result, folder / "copies.png")
    write_csv(folder / "audit.csv", map(asdict, result.records), [field.name for field in fields(result.records[0])])
    columns = ["first", "second", "kind", "transform", "correlation", "detail", "across_classes"]
    write_csv(folder / "copies.csv", copy_rows(result), columns)
    write_csv(folder / "summary.csv", _summary_rows(result), ["quantity", *LABELS, "across", "total"])
    write_json(folder / "summary.json", summary(result))


def _run_audit(source: str, threshold_masks: bool, clean: bool, threads: int | None) -> Audit:
    from crack_tf.data.audit import audit
    from crack_tf.data.registry import locate

    return audit(locate(source, threshold_masks=threshold_masks, clean=clean), threads)


def _summary_rows(result: Audit) -> list[dict[str, Any]]:
    """The summary as a table: one quantity per row, one column per class."""
    from crack_tf.data.audit import summary

    numbers = summary(result)
    rows: list[dict[str, Any]] = []
    for quantity in next(iter(numbers["classes"].values())):
        row: dict[str, Any] = {"quantity": quantity} | {name: numbers["classes"][name][quantity] for name in LABELS}
        if not quantity.startswith("brightness"):
            row["total"] = sum(row[name] for name in LABELS)
        rows.append(row)
    # A picture with copies in both classes counts in each, once in the total.
    next(row for row in rows if row["quantity"] == "distinct_pictures")["total"] = numbers["distinct_pictures"]
    for entry in numbers["copies"]:
        kind = entry["kind"] if entry["transform"] == "none" else entry["transform"]
        counts = {name: entry[name] for name in (*LABELS, "across")}
        rows.append({"quantity": f"pairs_{kind}"} | counts | {"total": sum(counts.values())})
    return rows


def _print_audit(result: Audit) -> None:
    from crack_tf.data.notes import audit_notes

    rows = _summary_rows(result)
    print(f"{result.source.name} in {result.source.folder}")
    print(f"{'':<24}{LABELS[0]:>12}{LABELS[1]:>12}{'across':>12}{'total':>12}")
    for row in rows:
        values = (row.get(name) for name in (*LABELS, "across", "total"))
        cells = "".join(f"{'' if value is None else value:>12}" for value in values)
        print(f"{row['quantity'].replace('_', ' '):<24}{cells}")
    if result.source.task == "segment":
        _print_masks(result)
    _print_unreadable(result)
    _print_notes(audit_notes(result))
    print(f"seconds: read {result.seconds['read']}, compare {result.seconds['compare']}")


def _print_masks(result: Audit, shown: int = 10) -> None:
    from crack_tf.data.pairs import PairRecord, pair_summary

    numbers = pair_summary(result.records)
    quartiles = ", ".join(f"{share:.2%}" for share in numbers["crack_share_quartiles"])
    print(f"{counted(numbers['pairs'], 'pair')}, {numbers['crack_free']} of them crack-free")
    print(
        f"crack pixels: {numbers['crack_pixels_share'] or 0:.2%} of all; quartiles of the cracked photographs: {quartiles}"
    )
    print(
        f"cracks no darker than their surroundings: {numbers['not_darker_than_surroundings']}; "
        f"not clearly darker: {numbers['not_on_a_dark_line']}"
    )
    for problem, count in numbers["problems"].items():
        print(f"problem: {count} {problem}")
    moved = [record for record in result.records if isinstance(record, PairRecord) and record.misaligned]
    print(f"masks that fit much better when moved: {len(moved)}{', the largest moves:' if moved else ''}")
    moved.sort(key=lambda record: -max(abs(record.shift_x), abs(record.shift_y)))
    for record in moved[:shown]:
        move = f"{record.shift_x:+d} right, {record.shift_y:+d} down"
        print(f"  {record.mask}: {move} (contrast {record.contrast:.0f} -> {record.shifted_contrast:.0f} grey levels)")


def _print_unreadable(result: Audit, shown: int = 10) -> None:
    if not result.unreadable:
        return
    if result.source.task == "segment":
        print(f"{counted(len(result.unreadable), 'pair')} with a problem:")
    else:
        print(f"{len(result.unreadable)} unreadable files, left out of every split:")
    for record in result.unreadable[:shown]:
        print(f"  {record.path}: {record.error}")
    if len(result.unreadable) > shown:
        print(f"  and {len(result.unreadable) - shown} more")


def _exit_code(result: Audit) -> int:
    """That of gaps where something of the set is missing from the result, said last, where it is seen; else 0."""
    from crack_tf.data.notes import gap_note

    note = gap_note(result)
    if note is not None:
        print(f"warning: {note}", file=sys.stderr)
    return EXIT_GAPS if note is not None else 0


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr if note.startswith("warning") else sys.stdout)


def _print_split(manifest: Manifest, leaks: dict[str, int]) -> None:
    groups = len({item.group for item in manifest.items})
    print(
        f"{manifest.name}, seed {manifest.seed}: {counted(len(manifest.items), 'file')} in {counted(groups, 'group')}, "
        f"sha256 {manifest.sha256[:12]}"
    )
    print(f"{'':<8}{LABELS[0]:>10}{LABELS[1]:>10}{'of them copies of a train picture':>36}")
    for name in SPLITS:
        counts = [sum(item.split == name and item.label == label for item in manifest.items) for label in range(2)]
        print(f"{name:<8}{counts[0]:>10}{counts[1]:>10}{leaks.get(name, ''):>36}")


if __name__ == "__main__":
    sys.exit(main())
