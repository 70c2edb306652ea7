"""`python -m crack_tf.explain`: what a classifier looks at, how far that can be trusted, and what its errors have in common.

    crack-tf explain opnet mobilenet_v2 --tiles a.jpg b.jpg --out explained        maps of chosen tiles
    crack-tf explain runs/opnet --data metu --limit 20 --out explained             of tiles of a split
    crack-tf explain runs/opnet --data sdnet2018 --errors --out errors             of the errors of a split
    crack-tf explain opnet mobilenet_v2 --faithfulness --data synthetic --out trust

A model is a run folder, a .keras or .tflite file, or the name of a shipped model, which stands for its .tflite.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.explain.attribution import METHODS
from tflite.cli import non_negative_int, positive_int, run_main
from tflite.errors import CrackError
from tflite.manifest import SPLITS, refuse_mixed

if TYPE_CHECKING:
    from crack_tf.explain.explainer import Explainer
    from crack_tf.explain.sources import Tiles

LIMIT = 16  # tiles of a split, unless the user says


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf explain",
        description="Show what a classifier looks at; measure how far the maps can be trusted; analyse errors.",
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="run folder, .keras or .tflite file, or name of a shipped model")
    add("--tiles", nargs="+", metavar="FILE", help="images, or folders of them; each is one tile")
    add("--data", help="manifest .csv, data set name, or folder; --faithfulness also takes segmentation sets")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--split", default="test", choices=(*SPLITS, "all"))
    add("--limit", type=positive_int, help=f"at most this many tiles of the split (default: {LIMIT}; all for --errors)")
    add("--seed", type=non_negative_int, default=0, help="of that draw, random maps and random weights")
    add("--methods", help=f"of {', '.join(METHODS)} (default: gradcam,ig-blurred and, for a .tflite, occlusion)")
    add("--layer", metavar="NAME", help="convolution for Grad-CAM (default: the last)")
    add("--patch", type=positive_int, metavar="PX", help="side of the occluded patch (default: a seventh of the tile)")
    add("--max-steps", type=positive_int, default=512, help="of Integrated Gradients (default: %(default)s)")
    add("--faithfulness", action="store_true", help="measure deletion, insertion, localisation and sanity of the maps")
    add("--sanity", type=non_negative_int, default=8, metavar="N", help="tiles of the sanity check (default: 8)")
    add("--errors", action="store_true", help="evaluate the split and explain what the model gets wrong")
    add("--show", type=positive_int, default=24, metavar="N", help="errors of each kind to explain (default: 24)")
    add("--disputes", type=Path, metavar="CSV", help="label audit with a column path or sha256: its tiles are marked")
    add("--training", type=Path, metavar="CSV", help="manifest that trained the models (default: found by its hash)")
    add("--training-limit", type=positive_int, metavar="N", help="search at most N training tiles for the nearest ones")
    add("--neighbours", type=non_negative_int, default=3, metavar="N", help="nearest training tiles shown (default: 3)")
    add("--threads", type=positive_int, default=None, help="threads of .tflite models (default: all cores)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for maps, overlays, tables and galleries")
    add("--resume", action="store_true", help="go on with the run in --out; finished tiles stay")
    add("--overwrite", action="store_true", help="replace the run in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Finished tiles are kept. Give the same command with --resume.")


def run(args: argparse.Namespace) -> None:
    """Explain as the parsed options say.

    Raises:
        CrackError: if options contradict each other, or a model, tile, method or data set cannot be had.
    """
    from crack_tf.explain.store import check_out

    _check(args)
    methods = _methods(args.methods)
    check_out(
        args.out,
        args.resume,
        args.overwrite,
        (*args.models, *(args.tiles or ()), args.data, args.disputes, args.training),
    )
    from crack_tf.evaluation import refuse_twice, unique_names
    from crack_tf.explain.explainer import Explainer

    files = [_model(text) for text in args.models]
    refuse_twice(files)
    explainers = [Explainer(file, args.layer, args.patch, args.max_steps, args.threads) for file in files]
    models = dict(zip(unique_names([explainer.predictor for explainer in explainers]), explainers, strict=True))
    if args.errors:
        from crack_tf.explain.analysing import analyse_errors

        print("\n".join(analyse_errors(args, models, methods)))
    else:
        print("\n".join(_explain(args, models, methods)))


def _explain(args: argparse.Namespace, models: dict[str, Explainer], methods: tuple[str, ...] | None) -> list[str]:
    """Explain the chosen tiles; returns what is to be printed."""
    from crack_tf.explain.running import Measuring, explain_all, incomplete, make_job, open_folder, write_outputs

    tiles = _tiles(args, list(models.values()))
    measuring = Measuring(args.sanity, args.seed) if args.faithfulness else None
    jobs = [make_job(name, explainer, methods, tiles) for name, explainer in models.items()]
    folder = open_folder(args.out, jobs, measuring, args.resume, args.overwrite)
    found = explain_all(jobs, folder, measuring)
    lines = [f"{tiles.source}: {len(tiles)} tiles, {len(jobs)} models", *incomplete(found)]
    if measuring is not None:
        from crack_tf.explain.tables import write_faithfulness

        lines.append(write_faithfulness(found, folder.folder))
    write_outputs(found, jobs, folder, tiles.source)
    return [*lines, f"{args.out}: gallery.png, index.csv, overlays/, arrays/"]


def _tiles(args: argparse.Namespace, explainers: list[Explainer]) -> Tiles:
    from crack_tf.explain import sources

    if args.tiles:
        tiles = sources.from_files(args.tiles)
        for name in sources.much_larger(args.tiles, max(map(_side, explainers))):
            print(
                f"note: {name} is far larger than a training tile; it is shrunk to one. Cut it up for what the model would see.",
                file=sys.stderr,
            )
        return tiles
    limit = args.limit or LIMIT
    if args.faithfulness and args.data == "synthetic":
        return sources.from_generator(limit, args.seed)
    from crack_tf.data.registry import prepare

    manifest = prepare(args.data, args.policy)
    refuse_mixed(manifest, "explanations")
    if manifest.task == "segment":
        return sources.from_masks(manifest, args.split, limit, args.seed)
    if args.faithfulness:
        print("note: these tiles have no masks: localisation is not measured.", file=sys.stderr)
        return sources.cracked(manifest, args.split, limit, args.seed)
    return sources.from_split(manifest, args.split, limit, args.seed)


def _side(explainer: Explainer) -> int:
    from tflite.device.tiles import training_side

    return training_side(explainer.sidecar)


def _model(text: str) -> Path:
    """The file that a MODEL stands for."""
    from crack_tf.model_zoo import load, read_zoo
    from crack_tf.predictor import model_file

    if not Path(text).exists() and not Path(text).suffix:
        if text not in read_zoo()[1]:
            raise CrackError(
                f"model {text!r} is neither a file, a run folder nor a shipped model ({', '.join(read_zoo()[1])})."
            )
        return load(text, roles=("tflite", "tflite_sidecar", "keras", "keras_sidecar")).tflite
    return model_file(text)


def _methods(text: str | None) -> tuple[str, ...] | None:
    """--methods, each once, in the order given; None when the user leaves it to the models."""
    if text is None:
        return None
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [part for part in chosen if part not in METHODS]
    if unknown or not chosen:
        raise CrackError(f"--methods {text!r}: choose of {', '.join(METHODS)}, with commas between them.")
    return chosen


def _check(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        CrackError: naming them.
    """
    if bool(args.tiles) == bool(args.data):
        raise CrackError("say what to explain: either --tiles FILE ... or --data DATA, and not both.")
    if args.errors and (args.tiles or args.faithfulness):
        other = "--tiles" if args.tiles else "--faithfulness"
        raise CrackError(f"--errors and {other} do not go together: errors are those of a split with labels (--data).")
    if args.faithfulness and args.tiles:
        raise CrackError(
            "--faithfulness needs --data: cracked tiles of a split, of a segmentation set, or synthetic ones."
        )
    if args.disputes and not args.errors:
        raise CrackError(f"--disputes {args.disputes} marks errors: add --errors.")
    if args.resume and args.overwrite:
        raise CrackError("--resume and --overwrite contradict each other: give one of them.")


if __name__ == "__main__":
    sys.exit(main())
