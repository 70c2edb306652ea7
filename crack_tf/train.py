"""`python -m crack_tf.train`: train a registered model on a data set, resumably, into a run folder.

The run folder holds config.json, history.csv, curves.png, confusion_val.png, val_metrics.json, checkpoints/, and at the end
model.keras with its sidecar model.keras.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import fraction, non_negative_int, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tflite.files import atomic_path, read_json, sha256_file, write_json
from tflite.locks import FolderLock
from tflite.manifest import LABELS, Manifest
from tflite.outputs import Output, check_folder, clear_folder, json_with, remove_leftovers

if TYPE_CHECKING:
    from crack_tf.training import TrainConfig

# What `fit` and `finish` write. Exports and evaluations beside them are other verbs'.
RUN_FILES = (
    *("config.json", "history.csv", "curves.png", "confusion_val.png", "masks_val.png", "val_metrics.json"),
    *("checkpoints/epoch-*.keras", "model.keras", "model.keras.json"),
)
OUTPUT = Output("crack-tf train", json_with("config.json", "train", "data"), RUN_FILES, first="config.json")
DEFAULT_DATA = {"classify": "synthetic", "segment": "synthetic_masks"}
# Settings that older runs do not record, and what those did.
_OLDER_RUNS = {
    "train.loss": "bce",
    "train.adverse": 0.0,
    "train.camera": 0.0,
    "train.zoom_out": 1.0,
    "train.balance": None,
    "empty_share": 1.0,
    "val_limit": None,
}


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="crack-tf train", description="Train a model that finds or draws cracks.")
    add = parser.add_argument
    add(
        "--model",
        default="mobilenet_v2",
        help="registered model: mobilenet_v2 (default), efficientnet_lite0, opnet, opnet_lite_small ... classify tiles; unet, "
        "unet_mobile draw masks",
    )
    add("--data", default=None, help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--out", default=None, help="run folder (default: runs/MODEL)")
    add("--image-size", type=positive_int, default=None, help="side of the input in pixels (default: the model's own)")
    add(
        "--hp", action="append", default=[], metavar="NAME=VALUE", help="hyperparameter of the model, as Python literal"
    )
    add("--weights", default=None, help="imagenet, none, or a weights file (default: imagenet where Keras has it)")
    add("--init-from", default=None, help="trained .keras or run folder to start from, of any image size")
    add("--epochs", type=positive_int, default=10)
    add("--steps-per-epoch", type=positive_int, default=None, help="shorter epochs, for very large data sets")
    add("--batch", type=positive_int, default=64)
    add("--learning-rate", type=positive_float, default=1e-3)
    add("--schedule", default="cosine", choices=("cosine", "constant"))
    add("--warmup-steps", type=non_negative_int, default=0)
    add("--optimizer", default="adam", choices=("adam", "adamw", "sgd", "rmsprop"))
    add("--loss", default="bce", help="bce, or for masks also dice, tversky, or a sum such as bce+dice")
    add("--positive-weight", type=positive_float, default=1.0, help="weight of cracked tiles or pixels in bce")
    add("--negative-weight", type=positive_float, default=1.0, help="weight of clean tiles or pixels in bce")
    add("--augmentation", type=float, default=1.0, help="strength: 1 is the study's, 0 none")
    add(
        "--adverse",
        type=fraction,
        default=0.0,
        help="share of samples with a drawn shadow; as many get stains, little light and sensor noise (default: 0)",
    )
    add(
        "--camera",
        type=fraction,
        default=0.0,
        help="share of samples with a colour cast; as many are blurred (default: 0)",
    )
    add(
        "--zoom-out",
        type=positive_float,
        default=1.0,
        help="a classifier's tiles are reduced up to this factor (default: 1)",
    )
    add(
        "--balance",
        type=fraction,
        default=None,
        help="draw both labels equally often, and the sets of a mix by size (0), its root (0.5), or all alike (1)",
    )
    add("--freeze-epochs", type=non_negative_int, default=0, help="first epochs in which only the head trains")
    add("--unfreeze-blocks", type=non_negative_int, default=None, help="backbone blocks trained then (default: all)")
    add("--patience", type=non_negative_int, default=5, help="epochs without progress before stopping; 0 never stops")
    add(
        "--target-recall", type=fraction, default=0.998, help="recall that the decision threshold reaches on validation"
    )
    add("--precision", default="float32", choices=("float32", "bfloat16"))
    add(
        "--limit",
        type=count_or_share,
        default=None,
        help="use so many training tiles or patches, or a share such as 0.1",
    )
    add("--val-limit", type=positive_int, default=None, help="validate on at most so many tiles or patches")
    add("--empty-share", type=fraction, default=1.0, help="share of the crack-free patches to train on; masks only")
    add("--seed", type=non_negative_int, default=0)
    add("--resume", action="store_true", help="go on with an interrupted run in --out")
    add("--overwrite", action="store_true", help="replace the run in --out; what else lies there stays")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    again = "Go on with the same command and --resume."
    return run_main(lambda: run(args), interrupted=f"The epoch in progress is lost. {again}")


def run(args: argparse.Namespace) -> None:
    """Train as the parsed options say."""
    from crack_tf.data.registry import prepare
    from crack_tf.provenance import created, data_record, environment
    from crack_tf.tasks import ALL, Choice, task_of

    folder = Path(args.out or f"runs/{args.model}")
    if args.resume and args.overwrite:
        raise CrackError("--resume and --overwrite exclude each other: go on with the run, or delete it.")
    if not args.resume:
        hint = "Add --resume to go on with it, or --overwrite to start again."
        inputs = (args.data, args.init_from, args.weights)
        check_folder(folder, OUTPUT, args.overwrite, inputs=inputs, hint=hint)
    config = make_config(args)
    task = task_of(config.model)
    manifest = prepare(args.data or DEFAULT_DATA[task.name], args.policy, args.seed)
    task.check(manifest)
    record = {
        "train": config.as_dict(),
        "limit": args.limit,
        "empty_share": args.empty_share,
        "val_limit": args.val_limit,
        "data": data_record(manifest),
    }
    if args.resume:
        check_same_run(folder, record)
    with FolderLock(folder, f"another process is training in {folder}. Wait for it, end it, or choose another --out."):
        if args.resume:
            remove_leftovers(folder, OUTPUT)
        else:
            tell_left(folder, clear_folder(folder, OUTPUT))
            write_json(folder / "config.json", record | {"created": created(), **environment()})

        from crack_tf.training import fit  # after all checks: importing Keras takes seconds

        checked = replace(ALL, limit=args.val_limit)
        choice = Choice(args.limit, args.empty_share, args.seed)
        train, val = (
            task.load(manifest, split, config.image_size, c) for split, c in (("train", choice), ("val", checked))
        )
        samples = f"{len(train)} training and {len(val)} validation {task.samples}"
        print(f"{config.model} at {config.image_size} px: {samples}", flush=True)
        finish(config, manifest, fit(config, train, val, folder), val, folder)


def tell_left(folder: Path, left: list[str]) -> None:
    """Say what lies in a run's folder that is not of this run, such as exports of the model before."""
    if left:
        print(f"note: {folder} still holds {', '.join(left)}, which belong to no run of this command.", file=sys.stderr)


def make_config(args: argparse.Namespace) -> TrainConfig:
    """Check the options that argparse cannot check alone and fill in the model's own defaults."""
    from crack_tf.models import get_model

    spec = get_model(args.model)
    if args.unfreeze_blocks is not None and (spec.set_trainable is None or args.unfreeze_blocks > spec.blocks):
        raise CrackError(
            f"--unfreeze-blocks {args.unfreeze_blocks}: {args.model} has {spec.blocks} blocks to unfreeze."
        )
    if args.freeze_epochs and spec.set_trainable is None:
        raise CrackError(f"--freeze-epochs {args.freeze_epochs}: {args.model} has no pretrained backbone to freeze.")
    if not 0 < args.target_recall <= 1:
        raise CrackError(f"--target-recall {args.target_recall}: give a share above 0 and at most 1, such as 0.998.")
    if spec.task == "classify" and (args.loss != "bce" or args.empty_share != 1):
        raise CrackError(
            f"--loss {args.loss} --empty-share {args.empty_share:g}: {args.model} classifies whole tiles; these are for masks."
        )
    if spec.task == "segment" and args.zoom_out != 1:
        raise CrackError(
            f"--zoom-out {args.zoom_out:g}: {args.model} draws masks; its patches are enlarged and reduced by --augmentation."
        )
    if not 0 <= args.augmentation <= 4:
        raise CrackError(f"--augmentation {args.augmentation}: give a strength from 0 (none) to 4.")
    if not 1 <= args.zoom_out <= 4:
        raise CrackError(f"--zoom-out {args.zoom_out}: give a factor from 1 (never) to 4.")
    weights = args.weights
    if weights is None:
        weights = "none" if args.init_from else spec.default_weights
    init_from = args.init_from
    if init_from and Path(init_from).is_dir():
        init_from = str(Path(init_from) / "model.keras")
    hyperparameters = spec.hyperparameters | parse_hyperparameters(args.hp, spec.hyperparameters)

    from crack_tf.losses import make_loss
    from crack_tf.training import TrainConfig

    make_loss(args.loss)  # refuses an unknown name
    taken = {name: getattr(args, name) for name in TrainConfig.__dataclass_fields__ if hasattr(args, name)}
    return TrainConfig(
        **taken
        | {
            "image_size": args.image_size or spec.image_size,
            "hyperparameters": hyperparameters,
            "weights": weights,
            "init_from": init_from,
        }
    )


def parse_hyperparameters(texts: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """Turn ["alpha=0.35"] into {"alpha": 0.35}.

    Raises:
        CrackError: for a text without "=", an unknown name, or a value that is no Python literal.
    """
    import ast

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise CrackError(f"--hp {text!r}: write NAME=VALUE with one of {', '.join(known)}.")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise CrackError(
                f"--hp {text!r}: {value!r} is not a number, list or string in Python's notation."
            ) from None
    return values


def count_or_share(text: str) -> int | float:
    """argparse type: a whole number of at least 1, or a share between 0 and 1 (neither included)."""
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError:
        share = fraction(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1, or a share such as 0.1, got {text}")
    return share


def check_same_run(folder: Path, record: dict[str, Any]) -> None:
    """Refuse to go on with a run under other settings.

    Raises:
        CrackError: if there is no run in the folder, or a setting differs.
    """
    if not (folder / "config.json").exists():
        raise CrackError(f"--resume: there is no run in {folder}. Leave --resume out to start one.")
    old, new = _OLDER_RUNS | flatten(read_json(folder / "config.json")), flatten(record)
    for name, value in new.items():
        if name != "data.manifest" and old.get(name) != value:  # the manifest may have moved; its hash may not change
            raise CrackError(
                f"--resume: {folder} was started with {name} = {old.get(name)!r}, now it is {value!r}. "
                "Use the same settings, or another --out."
            )


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots, tuples as lists (as JSON gives them back)."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= flatten(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(item) if isinstance(item, tuple) else item
    return flat


def finish(config: TrainConfig, manifest: Manifest, model: Any, val: Any, folder: Path) -> None:
    """Choose the threshold on validation and write the model, its sidecar, metrics and pictures.

    A folder without a history holds a model that was not trained there, such as an average: it gets no curves.
    """
    from crack_tf import plots
    from crack_tf.models import get_model
    from crack_tf.provenance import created, environment
    from crack_tf.tasks import task_of
    from crack_tf.thresholds import threshold_record
    from crack_tf.training import best_epoch, read_history
    from tflite.sidecar import Sidecar, TensorSpec, write_sidecar

    task = task_of(config.model)
    verdict = task.judge(model, val, config, folder)
    history = read_history(folder)
    best = {"epoch": best_epoch(history, task)} if history else {}
    metrics = {"split": "val", **best, **verdict.metrics}
    write_json(folder / "val_metrics.json", metrics)
    if history:
        plots.history_curves(history, folder / "curves.png")

    path = folder / "model.keras"
    with atomic_path(path) as temporary:
        model.save(temporary)
    size = config.image_size
    here = environment()
    note = get_model(config.model).licence_note if config.weights != "none" else ""
    licence = f"{manifest.licence}. {note}" if note else manifest.licence
    sidecar = Sidecar(
        model=config.model,
        scheme="keras",
        file=path.name,
        sha256=sha256_file(path),
        image_size=size,
        labels=LABELS,
        hyperparameters=dict(config.hyperparameters or {}),
        input=TensorSpec((1, size, size, 3), "float32", 0.0, 0),
        output=TensorSpec((1, *model.output_shape[1:]), "float32", 0.0, 0),
        threshold=threshold_record(verdict.threshold, target_recall=verdict.target_recall, split="val"),
        golden=None,
        training={
            "dataset": manifest.dataset,
            "policy": manifest.policy,
            "manifest": manifest.source.name if manifest.source else None,
            "manifest_sha256": manifest.sha256,
            "run": folder.name,
            "seed": config.seed,
            "positive_weight": config.positive_weight,
            "negative_weight": config.negative_weight,
            **({"loss": config.loss} if task.name == "segment" else {}),
        },
        metrics=metrics,
        licence=licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        task=task.name,
    )
    write_sidecar(path, sidecar)
    epoch = f"best epoch {metrics['epoch']}, " if history else ""
    print(f"{path}: {epoch}{verdict.line}; see {folder}")


if __name__ == "__main__":
    sys.exit(main())
