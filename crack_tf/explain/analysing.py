"""The run behind `--errors`: evaluate the split, explain the errors, find their nearest training tiles, write what they share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.cache import load_split
from crack_tf.data.registry import prepare
from crack_tf.evaluation.lineage import find_training_manifest, lineage, notes
from crack_tf.evaluation.tiles import evaluate
from crack_tf.explain.appearance import SIDE, Look, look_at
from crack_tf.explain.config import ExplainConfig
from crack_tf.explain.errors import Analysis, Disputes, analyse, error_rows, gallery, write_report
from crack_tf.explain.explainer import Explainer
from crack_tf.explain.neighbours import Neighbour, TrainingTiles
from crack_tf.explain.odds import KINDS, SUPPORTED
from crack_tf.explain.running import Job, explain_all, incomplete, make_job, open_folder, save_image
from crack_tf.explain.sources import Tiles, from_split
from crack_tf.explain.store import INDEX, Explained, RunFolder, index_rows, plain
from crack_tf.models.shipped import shipped_as
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.manifest import Manifest, read_manifest, refuse_mixed


@dataclass(frozen=True)
class _Shown:
    """The errors of one model that are explained: places in the split, in the order of the job's tiles."""

    analysis: Analysis
    job: Job
    places: list[int]


def analyse_errors(
    models: Mapping[str, Explainer], config: ExplainConfig, out: Path, resume: bool, overwrite: bool
) -> list[str]:
    """Analyse the errors of each model on one split.

    Args:
        models: by name.
        config: what is analysed, and how.
        out: folder for tables and galleries.
        resume: go on with the run in `out`.
        overwrite: replace it.

    Returns:
        What is to be printed.

    Raises:
        CrackError: if the split has masks but no classes, a file is missing, or --out is in use.
    """
    manifest = prepare(config.data, config.policy)
    refuse_mixed(manifest, "--errors")
    if manifest.task == "segment":
        raise CrackError(
            f"--errors needs tiles of two classes; {manifest.name} is a segmentation set. See --faithfulness."
        )
    disputes = None if config.disputes is None else Disputes(config.disputes)
    wanted = config.neighbours > 0
    training = None if config.training is None else read_manifest(config.training)
    tiles = from_split(manifest, config.split, config.limit, config.seed)
    looks = _looks(tiles)
    shown = [_errors_of(name, explainer, tiles, looks, manifest, config) for name, explainer in models.items()]
    with open_folder(out, [entry.job for entry in shown], None, resume, overwrite) as folder:
        explained = explain_all([entry.job for entry in shown], folder, None)
        rows = []
        for entry in shown:
            own = {entry.places[tile.number]: tile for tile in explained if tile.model == entry.job.name}
            trained_on = (training or _training(entry.job, manifest)) if wanted else None
            neighbours = _nearest(entry, trained_on, config)
            overlays = {place: _overlay(folder, tile) for place, tile in own.items()}
            rows += error_rows(entry.analysis, looks, neighbours[0], disputes, overlays)
            _write_galleries(entry, own, neighbours, disputes, folder)
        write_csv(folder.folder / INDEX, index_rows(explained, folder) or [], None if explained else ("model", "tile"))
        write_report(folder, [entry.analysis for entry in shown], rows, f"{manifest.name}, split {config.split}")
    return [
        *incomplete(explained),
        *(_told(entry) for entry in shown),
        f"{out}: errors.md, errors.csv, groups.csv, false_negatives_*.png, false_positives_*.png, index.csv, overlays/",
    ]


def _looks(tiles: Tiles) -> list[Look]:
    images = tiles.images(SIDE)
    return [look_at(np.asarray(image)) for image in bar(images, "looking", len(images), "tile")]


def _errors_of(
    name: str,
    explainer: Explainer,
    tiles: Tiles,
    looks: Sequence[Look],
    manifest: Manifest,
    config: ExplainConfig,
) -> _Shown:
    """Evaluate one model and choose the errors to explain."""
    split = load_split(manifest, config.split, explainer.image_size, config.limit, config.seed)
    origin = lineage(explainer.sidecar, explainer.path, manifest, split.items)
    for note in notes(name, explainer.sidecar, manifest, origin):
        print(f"note: {note}", file=sys.stderr)
    evaluation = evaluate(explainer.predictor, name, split, manifest, config.split, origin=origin)
    analysis = analyse(evaluation, looks)
    places = [place for kind in KINDS for place in analysis.worst[kind][: config.show]]
    return _Shown(analysis, make_job(name, explainer, config.methods, tiles.take(places)), places)


def _training(job: Job, manifest: Manifest) -> Manifest | None:
    """The manifest that trained a model, if it and its images are here."""
    found = find_training_manifest(job.explainer.sidecar, job.explainer.path, manifest)
    if found is None:
        name = "Name it" if shipped_as(job.explainer.sidecar) is None else "Name one of tiles that it learned from"
        print(
            f"note: the manifest that trained {job.name} was not found: no nearest training tiles. {name} with --training.",
            file=sys.stderr,
        )
    return found


def _nearest(
    entry: _Shown, training: Manifest | None, config: ExplainConfig
) -> tuple[dict[int, list[Neighbour]], TrainingTiles | None]:
    """Nearest training tiles by place of the error, and the tiles they are of."""
    if training is None or not entry.places:
        return {}, None
    pool = TrainingTiles(entry.job.explainer, training, config.training_limit)
    found = pool.nearest(entry.job.tiles.images(entry.job.explainer.image_size), config.neighbours)
    return dict(zip(entry.places, found, strict=True)), pool


def _write_galleries(
    entry: _Shown,
    explained: Mapping[int, Explained],
    neighbours: tuple[dict[int, list[Neighbour]], TrainingTiles | None],
    disputes: Disputes | None,
    folder: RunFolder,
) -> None:
    pictures = entry.job.tiles.images(entry.job.explainer.image_size) if entry.places else np.zeros((0, 1, 1, 3))
    images = dict(zip(entry.places, pictures, strict=True))
    nearest, pool = neighbours
    for kind in KINDS:
        if entry.analysis.worst[kind]:
            sheet = gallery(entry.analysis, kind, explained, images, nearest, pool, disputes)
            kinds = kind.replace(" ", "_") + "s"
            save_image(sheet, folder.folder / f"{kinds}_{plain(entry.job.name)}.png")


def _overlay(folder: RunFolder, tile: Explained) -> str:
    path = folder.overlay_path(tile.model, tile.number, tile.name)
    return path.relative_to(folder.folder).as_posix()


def _told(entry: _Shown) -> str:
    counts = entry.analysis.evaluation.counts
    supported = [row for row in entry.analysis.rows if row.finding in SUPPORTED]
    told = "; ".join(f"{row.kind}s {row.finding} on {row.group!r} tiles" for row in supported)
    return (
        f"{entry.job.name}: {counts.false_negative}/{counts.positives} cracks missed, "
        f"{counts.false_positive}/{counts.negatives} false alarms. "
        + (f"Supported: {told}." if told else "No group of errors stands out beyond chance.")
    )
