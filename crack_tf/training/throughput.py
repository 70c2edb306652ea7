"""Is the input pipeline the bottleneck? Samples per second of each stage of a training: `measure`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from crack_tf.data.registry import prepare
from crack_tf.models import get_model
from crack_tf.training.config import DEFAULT_DATA, TrainConfig
from crack_tf.training.loop import compile_model, initial_model
from crack_tf.training.tasks import Choice, task_of
from tflite import hardware
from tflite.arguments import check_counts, check_types
from tflite.errors import CrackError
from tflite.images import decode_rgb, resize_rgb
from tflite.outputs import Output, csv_with

OUTPUT = Output("crack-tf throughput", csv_with("", "model", "decode_per_s", "pipeline_per_s", "training_per_s"))


@dataclass(frozen=True)
class ThroughputConfig:
    """What is timed, and on what.

    Attributes:
        model: name of a registered model.
        data: manifest .csv, data set or folder; None for the drawn set of the model's task.
        image_size: side in pixels; None for the model's own.
        batch: samples of a step.
        steps: timed steps per stage, after one to warm up.
        hyperparameters: of the model, where they are not the registered ones.

    Raises:
        CrackError: naming the field as the command line does.
    """

    model: str = "opnet"
    data: str | None = None
    image_size: int | None = None
    batch: int = 64
    steps: int = 8
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(self, "image_size", "batch", "steps")


@dataclass(frozen=True)
class Throughput:
    """What one model's stages managed. The fields are the table's columns.

    Attributes:
        model: its name.
        data: name of the manifest that the samples are from.
        manifest_sha256: the first twelve digits of its hash.
        image_size: side in pixels.
        batch: samples of a step.
        decode_per_s: files decoded and resized per second, by one thread.
        pipeline_per_s: samples per second of gathering and augmentation alone.
        training_per_s: samples per second of training fed by that pipeline.
        pipeline_over_training: how many times as fast the pipeline is.
        cpu: what it ran on.
    """

    model: str
    data: str
    manifest_sha256: str
    image_size: int
    batch: int
    decode_per_s: float
    pipeline_per_s: float
    training_per_s: float
    pipeline_over_training: float
    cpu: str


def measure(config: ThroughputConfig) -> Throughput:
    """Time decoding (one thread), the pipeline alone, and training fed by that pipeline.

    Raises:
        CrackError: if there is no such model or data set, or the training split is smaller than the timed steps need.
    """
    spec = get_model(config.model)
    manifest = prepare(config.data or DEFAULT_DATA[spec.task])
    size, batch = config.image_size or spec.image_size, config.batch
    task = task_of(spec.name)
    task.check(manifest)
    samples = task.load(manifest, "train", size, Choice(batch * (config.steps + 1)))
    if len(samples) < batch * 2:
        raise CrackError(
            f"--batch {batch}: the training split has {len(samples)} {task.samples}, at least {2 * batch} are needed."
        )
    sample = samples.items[: min(200, len(samples))]
    started = time.perf_counter()
    for item in sample:
        resize_rgb(decode_rgb(manifest.read(item), item.path), size)
    decode = len(sample) / (time.perf_counter() - started)

    train = TrainConfig(
        model=spec.name, image_size=size, batch=batch, weights="none", hyperparameters=dict(config.hyperparameters)
    )
    plan = task.plan(samples, train, 0)
    batches = task.batches(samples, plan)
    pipeline = _rate(batches, plan.steps, batch, lambda images, labels: None)

    model = initial_model(train)
    compile_model(model, train, plan.steps)
    training = _rate(batches, plan.steps, batch, model.train_on_batch)
    return Throughput(
        model=spec.name,
        data=manifest.name,
        manifest_sha256=manifest.sha256[:12],
        image_size=size,
        batch=batch,
        decode_per_s=round(decode, 1),
        pipeline_per_s=round(pipeline, 1),
        training_per_s=round(training, 1),
        pipeline_over_training=round(pipeline / training, 1),
        cpu=hardware.describe()["slug"],
    )


def _rate(batches: Any, steps: int, batch: int, step: Any) -> float:
    """Tiles per second of `step` over the batches after the first, which pays for compilation."""
    iterator = iter(batches) if not hasattr(batches, "__getitem__") else (batches[i] for i in range(len(batches)))
    step(*next(iterator))
    started = time.perf_counter()
    for images, labels in iterator:
        step(images, labels)
    return (steps - 1) * batch / (time.perf_counter() - started)
