"""`python -m crack_tf.throughput`: is the input pipeline the bottleneck? Tiles (or patches) per second of each stage, in one run.

Stages: decoding files (once per data set, then cached), the pipeline alone (gather and augment), and training steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tflite.cli import positive_int, run_main
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.images import decode_rgb, resize_rgb
from tflite.outputs import Output, check_file, csv_with

OUTPUT = Output("crack-tf throughput", csv_with("", "model", "decode_per_s", "pipeline_per_s", "training_per_s"))


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="crack-tf throughput", description="Tiles per second of each training stage.")
    parser.add_argument(
        "--data", default=None, help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)"
    )
    parser.add_argument("--model", nargs="+", default=["opnet"], help="registered models to train")
    parser.add_argument(
        "--image-size", type=positive_int, default=None, help="side in pixels (default: the model's own)"
    )
    parser.add_argument(
        "--hp", action="append", default=[], metavar="NAME=VALUE", help="hyperparameter of the models, as for train"
    )
    parser.add_argument("--batch", type=positive_int, default=64)
    parser.add_argument("--steps", type=positive_int, default=8, help="timed steps per stage, after one to warm up")
    parser.add_argument("--out", default=None, help="CSV to write")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), needs=("keras",))


def run(args: argparse.Namespace) -> None:
    """Measure and print one row per model."""
    from crack_tf.data.registry import prepare
    from crack_tf.models import get_model
    from crack_tf.train import parse_hyperparameters
    from crack_tf.training.config import DEFAULT_DATA
    from tflite import hardware

    if args.out:
        check_file(Path(args.out), OUTPUT, args.overwrite, inputs=(args.data,))
    specs = [get_model(name) for name in args.model]
    rows = []
    for spec in specs:
        manifest = prepare(args.data or DEFAULT_DATA[spec.task])
        size = args.image_size or spec.image_size
        row = {"model": spec.name, "data": manifest.name, "manifest_sha256": manifest.sha256[:12], "image_size": size}
        changes = parse_hyperparameters(args.hp, spec.hyperparameters)
        row |= {"batch": args.batch, **measure(spec.name, manifest, size, args.batch, args.steps, changes)}
        row["cpu"] = hardware.describe()["slug"]
        rows.append(row)
        print(
            f"{spec.name} at {size} px: decode {row['decode_per_s']}, pipeline {row['pipeline_per_s']}, "
            f"training {row['training_per_s']} tiles/s: the pipeline is {row['pipeline_over_training']} times as fast"
        )
    if args.out:
        write_csv(Path(args.out), rows)


def measure(
    model_name: str, manifest: Any, size: int, batch: int, steps: int, hyperparameters: dict[str, Any] | None = None
) -> dict[str, float]:
    """Samples per second of decoding (one thread), of the pipeline alone, and of training fed by that pipeline.

    Raises:
        CrackError: if the training split is smaller than the timed steps need.
    """
    from crack_tf.training.config import TrainConfig
    from crack_tf.training.loop import compile_model, initial_model
    from crack_tf.training.tasks import Choice, task_of

    task = task_of(model_name)
    task.check(manifest)
    samples = task.load(manifest, "train", size, Choice(batch * (steps + 1)))
    if len(samples) < batch * 2:
        raise CrackError(
            f"--batch {batch}: the training split has {len(samples)} {task.samples}, at least {2 * batch} are needed."
        )
    sample = samples.items[: min(200, len(samples))]
    started = time.perf_counter()
    for item in sample:
        resize_rgb(decode_rgb(manifest.read(item), item.path), size)
    decode = len(sample) / (time.perf_counter() - started)

    changes = dict(hyperparameters or {})
    config = TrainConfig(model=model_name, image_size=size, batch=batch, weights="none", hyperparameters=changes)
    plan = task.plan(samples, config, 0)
    batches = task.batches(samples, plan)
    pipeline = _rate(batches, plan.steps, batch, lambda images, labels: None)

    model = initial_model(config)
    compile_model(model, config, plan.steps)
    training = _rate(batches, plan.steps, batch, model.train_on_batch)
    return {
        "decode_per_s": round(decode, 1),
        "pipeline_per_s": round(pipeline, 1),
        "training_per_s": round(training, 1),
        "pipeline_over_training": round(pipeline / training, 1),
    }


def _rate(batches: Any, steps: int, batch: int, step: Any) -> float:
    """Tiles per second of `step` over the batches after the first, which pays for compilation."""
    iterator = iter(batches) if not hasattr(batches, "__getitem__") else (batches[i] for i in range(len(batches)))
    step(*next(iterator))
    started = time.perf_counter()
    for images, labels in iterator:
        step(images, labels)
    return (steps - 1) * batch / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
