"""Which network to start from: the classification study's candidates and two more, by size, work and latency.

Every candidate is built at 224 pixels with random weights and one logit, quantised to int8 after training's manner (PTQ on
drawn tiles) and timed with LiteRT. Neither size nor latency depends on the values of the weights; accuracy does, and is not
what this table is about.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.evaluation.suite.rows import CandidateRow
from crack_tf.models import MODELS, build_model
from tflite.convert import convert_ptq
from tflite.errors import CrackError
from tflite.graph import read_graph
from tflite.isolate import in_child

IMAGE_SIZE = 224
_CALIBRATION = 4
_SECONDS = 3.0  # of timing per candidate
_LEAST_RUNS = 10


def _application(function: str, **options: Any) -> Callable[[Any], Any]:
    """A network of keras.applications without its classifier, with one logit on the pooled features."""

    def build(keras: Any) -> Any:
        base = getattr(keras.applications, function)(
            include_top=False, weights=None, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3), pooling="avg", **options
        )
        return keras.Model(base.input, keras.layers.Dense(1, name="logit")(base.output))

    return build


def _vgg16(keras: Any) -> Any:
    """VGG-16 as published, with its two layers of 4,096 units: most of its 138 million parameters are there."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3))
    x = keras.layers.Flatten()(base.output)
    for _ in range(2):
        x = keras.layers.Dense(4096, activation="relu")(x)
    return keras.Model(base.input, keras.layers.Dense(1, name="logit")(x))


def _efficientnet_lite(keras: Any) -> Any:
    return build_model("efficientnet_lite0", keras, image_size=IMAGE_SIZE, raw_pixels=False)


CANDIDATES: dict[str, Callable[[Any], Any]] = {
    "VGG-16": _vgg16,
    "ResNet-50": _application("ResNet50"),
    "MobileNetV2 1.0": _application("MobileNetV2"),
    "EfficientNet-B0": _application("EfficientNetB0"),
    "EfficientNet-Lite0-like": _efficientnet_lite,
    "MobileNetV3-small": _application("MobileNetV3Small", include_preprocessing=False),
}


def candidate_row(name: str, folder: Path, threads: int = 1) -> CandidateRow:
    """Build, quantise and time one candidate.

    Args:
        name: one of `CANDIDATES`, or a registered classifier at its own image size.
        folder: for the .tflite file, which is removed again.
        threads: of LiteRT.

    Returns:
        Parameters, multiply-adds, activations (elements written by all operators), int8 bytes, and latency in ms, batch 1:
        least, median and 90th percentile.

    Raises:
        CrackError: if there is no such candidate or it cannot be converted.
    """
    import keras

    size = IMAGE_SIZE
    if name in CANDIDATES:
        model = CANDIDATES[name](keras)
    elif name in MODELS:
        size = MODELS[name].image_size
        model = build_model(name, keras, image_size=size, raw_pixels=False)
    else:
        raise CrackError(f"candidate {name!r} is unknown: choose among {', '.join([*CANDIDATES, *MODELS])}.")
    tiles = np.random.default_rng(0).integers(0, 256, (_CALIBRATION, size, size, 3), dtype=np.uint8)
    path = folder / "candidate.tflite"
    path.write_bytes(convert_ptq(model, tiles))
    try:
        graph = read_graph(path)
        milliseconds = in_child(_latencies, (path, threads))
    finally:
        path.unlink()
    return CandidateRow(
        model=name,
        image_size=size,
        parameters=int(model.count_params()),
        macs=graph.macs,
        activations=graph.activations,
        int8_bytes=graph.file_bytes,
        threads=threads,
        runs=len(milliseconds),
        min_ms=min(milliseconds),
        p50_ms=statistics.median(milliseconds),
        p90_ms=float(np.quantile(milliseconds, 0.9)),
    )


def _latencies(job: tuple[Path, int]) -> list[float]:
    """Milliseconds of single inferences; run in a process without TensorFlow, as the benchmark does."""
    from ai_edge_litert.interpreter import Interpreter

    path, threads = job
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
    interpreter.invoke()
    found: list[float] = []
    begin = time.perf_counter()
    while len(found) < _LEAST_RUNS or time.perf_counter() - begin < _SECONDS:
        start = time.perf_counter()
        interpreter.invoke()
        found.append(1e3 * (time.perf_counter() - start))
    return found
