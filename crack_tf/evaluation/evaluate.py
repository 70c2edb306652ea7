"""Measure models on one split, `.keras` and `.tflite` alike: `evaluate_models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crack_tf.data.registry import prepare
from crack_tf.evaluation.config import OUTPUT, EvaluateConfig, refuse_twice
from crack_tf.evaluation.lineage import require_same_task
from crack_tf.evaluation.map_results import MapEvaluation
from crack_tf.evaluation.maps import evaluate_maps
from crack_tf.evaluation.tiles import Evaluation, evaluate_tiles
from crack_tf.inference.predictor import model_file
from tflite.manifest import refuse_mixed
from tflite.outputs import check_folder
from tflite.sidecar import read_sidecar


def evaluate_models(
    models: Sequence[str | Path], config: EvaluateConfig, out: str | Path | None = None, *, overwrite: bool = False
) -> Sequence[Evaluation | MapEvaluation]:
    """Measure models on tiles or on photographs with masks, print the table, and keep the results.

    Args:
        models: .keras or .tflite files, or run folders; all for one task.
        config: on what, and how.
        out: folder for tables and pictures; None keeps nothing.
        overwrite: replace results in `out`.

    Returns:
        One evaluation per model, in the order given.

    Raises:
        CrackError: if a model or the data cannot be read, do not belong together, or the data trained the model.
    """
    folder = None if out is None else Path(out)
    if folder is not None:
        check_folder(folder, OUTPUT, overwrite, inputs=(*models, config.data))
    files = [model_file(path) for path in models]
    refuse_twice(files)
    manifest = prepare(config.data, config.policy)
    refuse_mixed(manifest, "an evaluation")
    for file in files:
        require_same_task(file, read_sidecar(file), manifest)
    measure = evaluate_maps if manifest.task == "segment" else evaluate_tiles
    return measure(models, config, manifest, folder, overwrite)
