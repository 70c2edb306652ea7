"""Explain models and keep what was found: `explain_models` is what `crack-tf explain` calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crack_tf.data.registry import prepare
from crack_tf.evaluation.config import refuse_twice, unique_names
from crack_tf.explain import sources
from crack_tf.explain.analysing import analyse_errors
from crack_tf.explain.config import ExplainConfig
from crack_tf.explain.explainer import Explainer
from crack_tf.explain.running import Measuring, explain_all, incomplete, make_job, open_folder, write_outputs
from crack_tf.explain.sources import Tiles
from crack_tf.explain.store import check_out
from crack_tf.explain.tables import write_faithfulness
from crack_tf.inference.predictor import model_file
from tflite.device.tiles import training_side
from tflite.errors import CrackError
from tflite.manifest import refuse_mixed
from tflite.words import counted

LIMIT = 16  # tiles of a split, unless the user says


def explain_models(
    names: Sequence[str], config: ExplainConfig, out: Path, *, resume: bool = False, overwrite: bool = False
) -> list[str]:
    """Explain what classifiers answer to some tiles, or what they get wrong on a split.

    Args:
        names: run folders, .keras or .tflite files, or names of shipped models.
        config: what, and how.
        out: folder for maps, overlays, tables and galleries.
        resume: go on with the run in `out`; finished tiles stay.
        overwrite: replace the run in `out`.

    Returns:
        Lines for the person who asked.

    Raises:
        CrackError: if a model, tile, method or data set cannot be had, or `out` is in use.
    """
    if resume and overwrite:
        raise CrackError("--resume and --overwrite contradict each other: give one of them.")
    check_out(out, resume, overwrite, (*names, *config.tiles, config.data or None, config.disputes, config.training))
    files = [model_file(name) for name in names]
    refuse_twice(files)
    explainers = [Explainer(file, config.layer, config.patch, config.max_steps, config.threads) for file in files]
    models = dict(zip(unique_names([explainer.predictor for explainer in explainers]), explainers, strict=True))
    if config.errors:
        return analyse_errors(models, config, out, resume, overwrite)
    return _explain(models, config, out, resume, overwrite)


def _explain(
    models: Mapping[str, Explainer], config: ExplainConfig, out: Path, resume: bool, overwrite: bool
) -> list[str]:
    """Explain the chosen tiles; returns what is to be printed."""
    tiles = _tiles(config, list(models.values()))
    measuring = Measuring(config.sanity, config.seed) if config.faithfulness else None
    jobs = [make_job(name, explainer, config.methods, tiles) for name, explainer in models.items()]
    with open_folder(out, jobs, measuring, resume, overwrite) as folder:
        found = explain_all(jobs, folder, measuring)
        lines = [f"{tiles.source}: {counted(len(tiles), 'tile')}, {counted(len(jobs), 'model')}", *incomplete(found)]
        if measuring is not None:
            lines.append(write_faithfulness(found, folder.folder))
        write_outputs(found, jobs, folder, tiles.source)
    return [*lines, f"{out}: gallery.png, index.csv, overlays/, arrays/"]


def _tiles(config: ExplainConfig, explainers: Sequence[Explainer]) -> Tiles:
    if config.tiles:
        tiles = sources.from_files(config.tiles)
        for name in sources.much_larger(config.tiles, max(map(_side, explainers))):
            print(
                f"note: {name} is far larger than a training tile; it is shrunk to one. Cut it up for what the model would see.",
                file=sys.stderr,
            )
        return tiles
    limit = config.limit or LIMIT
    if config.faithfulness and config.data == "synthetic":
        return sources.from_generator(limit, config.seed)
    manifest = prepare(config.data, config.policy)
    refuse_mixed(manifest, "explanations")
    if manifest.task == "segment":
        return sources.from_masks(manifest, config.split, limit, config.seed)
    if config.faithfulness:
        print("note: these tiles have no masks: localisation is not measured.", file=sys.stderr)
        return sources.cracked(manifest, config.split, limit, config.seed)
    return sources.from_split(manifest, config.split, limit, config.seed)


def _side(explainer: Explainer) -> int:
    return training_side(explainer.sidecar)
