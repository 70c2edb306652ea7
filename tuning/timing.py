"""Latency of int8 candidates on LiteRT: measured in a process of its own, in turn with a reference model."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.provenance import created, environment
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.models import build_model, get_model
from tflite.convert import convert_ptq, write_model
from tflite.files import sha256_file
from tflite.graph import read_graph
from tflite.isolate import in_child
from tflite.manifest import LABELS
from tflite.measure import Job, compare
from tflite.sidecar import Sidecar, write_sidecar

RUNS, WARMUP = 60, 5
_TILES = 4  # an untrained model's ranges mean nothing; latency does not depend on them


@dataclass(frozen=True)
class Cost:
    """What one int8 file costs.

    Attributes:
        latency_ms: median of one inference on one thread.
        speedup: the reference's fastest run over this one's fastest, both timed in turn. Medians would flatter small models
            when other work shares the machine, as a search's own workers do: a long inference is interrupted more often.
        kilobytes: of the file, in units of 1000 bytes.
        parameters: numbers stored.
        macs: multiply-adds.
        activations: output elements of convolutions and dense layers.
    """

    latency_ms: float
    speedup: float
    kilobytes: float
    parameters: int
    macs: int
    activations: int


def measure_cost(path: Path, reference: Path, lock: Path) -> Cost:
    """Time a .tflite file against the reference, one pair at a time on this machine.

    Args:
        path: model with its sidecar beside it.
        reference: likewise.
        lock: file that workers on one machine share: two that time at once would time each other.

    Raises:
        CrackError: if a model does not load.
    """
    jobs = [Job(p, p.stem, 1, "xnnpack", RUNS, WARMUP, None) for p in (reference, path)]
    with exclusive(lock):
        _, timed = in_child(compare, jobs)
    graph = read_graph(path)
    return Cost(
        latency_ms=timed.p50_ms,
        speedup=round(1 / max(timed.min_ratio, 1e-4), 3),
        kilobytes=graph.file_bytes / 1000,
        parameters=graph.parameters,
        macs=graph.macs,
        activations=graph.activations,
    )


def write_untrained(model: str, image_size: int, hyperparameters: dict[str, Any], path: Path) -> None:
    """Write an int8 model with random weights: as fast and as large as a trained one, made in seconds.

    Args:
        model: registry name.
        image_size: side of the input in pixels.
        hyperparameters: keyword arguments of its builder.
        path: .tflite file to write, with a sidecar.

    Raises:
        CrackError: if the model cannot be built or converted.
    """
    import keras

    keras.utils.set_random_seed(0)
    network = build_model(model, keras, image_size=image_size, raw_pixels=False, **hyperparameters)
    tiles = np.random.default_rng(0).integers(0, 256, (_TILES, image_size, image_size, 3)).astype(np.uint8)
    graph = write_model(path, convert_ptq(network, tiles))
    output = graph.outputs[0]
    here = environment()
    sidecar = Sidecar(
        model=model,
        scheme="int8-ptq",
        file=path.name,
        sha256=sha256_file(path),
        image_size=image_size,
        labels=LABELS,
        hyperparameters=hyperparameters,
        input=graph.inputs[0],
        output=output,
        threshold=threshold_record(0.0, output.scale, output.zero_point, output.dtype),
        golden=None,
        training={"untrained": True},
        metrics={},
        licence="Apache-2.0",
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        task=get_model(model).task,
    )
    write_sidecar(path, sidecar)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file's lock; the kernel releases it when a process dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
