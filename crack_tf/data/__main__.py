"""`python -m crack_tf.data VERB`: get a data set, look at it, split it, question its labels. --help lists the verbs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields

from crack_tf.data.flight import add_options
from crack_tf.data.flight import run as flight
from crack_tf.data.label_verbs import add_verbs
from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import EXIT_GAPS, Parser, named_path, non_negative_int, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tflite.manifest import check_out, read_manifest, write_manifest
from tflite.outputs import check_folder, making

_SOURCE = "data set (see `list`), or a folder with one sub-folder per class, or with images and masks"
_SYNTHETIC = ("synthetic", "synthetic_masks")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    return run_main(lambda: options.run(options), interrupted=options.interrupted, needs=options.needs)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="crack-tf data", description=__doc__)
    parser.set_defaults(needs=())
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("list", help="the data sets by name, and where they are on this machine")
    verb.set_defaults(run=_list, interrupted="")

    verb = verbs.add_parser("fetch", help="generate, find or download a data set")
    verb.add_argument("name", help="data set, see `list`")
    verb.add_argument("--out", type=named_path, help="folder to put it in; default: the cache")
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
        "--out", type=named_path, required=True, help="folder for audit.csv, copies.csv, summary.* and the plots"
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
    verb.add_argument("--out", type=named_path, required=True, help="manifest file, .csv")
    verb.add_argument("--threads", type=positive_int, help="that decode; default: one per core")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_split, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "convert", help="photographs and masks from annotations: CVAT, LabelMe, COCO, VOC and other masks of classes"
    )
    verb.add_argument("source", type=named_path, help="folder that was exported, unpacked; or its one annotation file")
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
        "--out", type=named_path, required=True, help="folder for images/, masks/ and conversion.json; new or empty"
    )
    verb.set_defaults(run=_convert, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "joint", help="one training set that is honest for a plain and a grouped test split at once"
    )
    verb.add_argument("plain", type=named_path, help="manifest of the plain split")
    verb.add_argument("grouped", type=named_path, help="manifest of the grouped split of the same files")
    verb.add_argument("--out", type=named_path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_joint, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser("mix", help="one manifest from several, each split from the splits of that name")
    verb.add_argument(
        "manifests", nargs="+", type=named_path, metavar="MANIFEST", help="two or more, of tiles, of pairs, or of both"
    )
    verb.add_argument("--out", type=named_path, required=True, help="manifest file, .csv")
    verb.add_argument("--overwrite", action="store_true", help="replace the manifest")
    verb.set_defaults(run=_mix, interrupted="Nothing was written; run the same command again.")

    verb = verbs.add_parser(
        "transplant", help="real cracks laid onto crack-free pictures, and lines that only look like cracks"
    )
    verb.add_argument("shapes", type=named_path, help="manifest of photographs with masks, whose cracks are taken")
    verb.add_argument(
        "--onto", nargs="+", type=named_path, required=True, metavar="MANIFEST", help="with crack-free pictures"
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
    verb.add_argument("--out", type=named_path, required=True, help="new folder for images, masks and manifest.csv")
    verb.set_defaults(run=_transplant, interrupted="Nothing was written; run the same command again.", needs=("cv2",))
    add_verbs(verbs, _SOURCE)
    return parser


def _list(_: argparse.Namespace) -> None:
    from crack_tf.data.texts import dataset_lines

    _tell(dataset_lines())


def _fetch(options: argparse.Namespace) -> None:
    settings = {key: getattr(options, key) for key in ("count", "size", "seed") if getattr(options, key) is not None}
    if settings and options.name not in _SYNTHETIC:
        names = ", ".join(f"--{key}" for key in settings)
        raise CrackError(f"{names}: only the synthetic data sets have them; {options.name} comes as it is.")
    if options.name in _SYNTHETIC and options.out is not None:
        from crack_tf.synthetic.tiles import write_dataset, write_pairs

        write = write_dataset if options.name == "synthetic" else write_pairs
        folder = write(options.out, overwrite=options.overwrite, **settings)
    elif settings:
        raise CrackError("--count, --size and --seed need --out DIR: the cached synthetic set has its own.")
    else:
        from crack_tf.data.registry import fetch

        folder = fetch(options.name, options.out, options.overwrite)
    print(f"images: {folder}\nnext: crack-tf data audit {folder} --out audit")


def _audit(options: argparse.Namespace) -> int:
    from crack_tf.data.audit import audit
    from crack_tf.data.audit_files import OUTPUT, write_audit
    from crack_tf.data.notes import gap_note
    from crack_tf.data.registry import locate
    from crack_tf.data.texts import audit_lines

    check_folder(options.out, OUTPUT, options.overwrite, inputs=(options.source,))
    place = locate(options.source, threshold_masks=options.threshold_masks, clean=options.clean)
    result = audit(place, options.threads)
    with making(options.out, OUTPUT, options.overwrite):
        write_audit(result, options.out)
    names = "audit.csv copies.csv summary.json summary.csv overview.png samples.png copies.png"
    more = " misaligned.png" if result.source.task == "segment" else ""
    _tell([*audit_lines(result), f"written to {options.out}: {names}{more}"])
    return _exit_code(gap_note(result))


def _split(options: argparse.Namespace) -> int:
    from crack_tf.data.splitting import SplitConfig, split_source

    config = SplitConfig(**{entry.name: getattr(options, entry.name) for entry in fields(SplitConfig)})
    done = split_source(options.source, options.out, config, overwrite=options.overwrite)
    _tell(done.lines())
    return 0 if options.leave_out else _exit_code(done.gap)


def _convert(options: argparse.Namespace) -> int:
    from crack_tf.data.convert import convert
    from crack_tf.data.texts import conversion_lines, left_lines

    result = convert(options.source, options.out, options.crack_class, options.line_width)
    _tell(conversion_lines(result))
    print("".join(f"{line}\n" for line in left_lines(result, options.out)), end="", file=sys.stderr)
    print(f"written to {options.out}: images masks conversion.json")
    print(f"next: crack-tf data audit {options.out} --out audit")
    return EXIT_GAPS if result.left else 0


def _joint(options: argparse.Namespace) -> None:
    from crack_tf.data.joint import joint_manifest
    from crack_tf.data.texts import split_lines

    check_out(options.out, options.overwrite, options.plain, options.grouped)
    manifest = joint_manifest(read_manifest(options.plain), read_manifest(options.grouped))
    write_manifest(options.out, manifest, options.overwrite)
    _tell([*split_lines(manifest, {}), f"written: {options.out}"])


def _mix(options: argparse.Namespace) -> None:
    from crack_tf.data.mix import mix
    from crack_tf.data.texts import split_lines

    check_out(options.out, options.overwrite, *options.manifests)
    manifest = mix([read_manifest(path) for path in options.manifests])
    write_manifest(options.out, manifest, options.overwrite)
    _tell([*split_lines(manifest, {}), f"root: {manifest.root}", f"written: {options.out}"])


def _transplant(options: argparse.Namespace) -> None:
    from crack_tf.data.texts import split_lines
    from crack_tf.data.transplants import write_transplants

    shapes, onto = read_manifest(options.shapes), [read_manifest(path) for path in options.onto]
    manifest = write_transplants(shapes, onto, options.out, options.count, options.size, options.seed, options.ground)
    _tell([*split_lines(manifest, {}), f"written: {options.out}/manifest.csv"])


def _exit_code(gap: str | None) -> int:
    """That of gaps where something of the set is missing from the result, said last, where it is seen; else 0."""
    if gap is not None:
        print(f"warning: {gap}", file=sys.stderr)
    return EXIT_GAPS if gap is not None else 0


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr if line.startswith("warning") else sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
