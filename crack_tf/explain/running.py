"""Explaining tile after tile into a run's folder, and the tables and pictures made from it at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.common.progress import bar
from crack_tf.explain import faithfulness
from crack_tf.explain.attribution import rank_correlation
from crack_tf.explain.drawing import CLEAN, Panel, Row, completeness, draw_sheet, mask_panel, panels_of, score_lines
from crack_tf.explain.explainer import Explainer
from crack_tf.explain.sources import Tiles
from crack_tf.explain.store import GALLERY, INDEX, Explained, RunFolder, index_rows
from crack_tf.inference.overlay import CRACK
from tflite.drawn import marked
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv
from tflite.locks import FolderLock
from tflite.manifest import LABELS
from tflite.metrics import sigmoid
from tflite.words import counted

# A tile and its maps by method to what is known about their likeness to an untrained network's.
Sanity = Callable[[np.ndarray, Mapping[str, np.ndarray]], dict[str, Any]]
GALLERY_ROWS = 24  # more would make a picture that no viewer likes; overlays/ has them all


@dataclass(frozen=True)
class Job:
    """What one model has to explain.

    Attributes:
        name: of the model, unique in the run.
        explainer: of the model.
        methods: maps to make.
        tiles: to make them of.
    """

    name: str
    explainer: Explainer
    methods: tuple[str, ...]
    tiles: Tiles


@dataclass(frozen=True)
class Measuring:
    """What is measured on the maps besides.

    Attributes:
        sanity: compare the maps of this many tiles with those of a network that was never trained.
        seed: of random maps and weights.
    """

    sanity: int
    seed: int


def make_job(name: str, explainer: Explainer, methods: Sequence[str] | None, tiles: Tiles) -> Job:
    """A job with the methods given, or those that suit the kind of file; checks that they can be had.

    Raises:
        CrackError: see `Explainer.prepare`.
    """
    chosen = tuple(methods or explainer.default_methods)
    explainer.prepare(chosen)
    return Job(name, explainer, chosen, tiles)


@contextmanager
def open_folder(
    out: Path, jobs: Sequence[Job], measuring: Measuring | None, resume: bool, overwrite: bool
) -> Iterator[RunFolder]:
    """The folder of a run, claimed by what decides its results, and locked.

    Raises:
        CrackError: see `RunFolder`; if another process is writing there.
    """
    models = {
        job.name: {
            "sha256": job.explainer.sidecar.sha256,
            **({"reading": reading} if (reading := job.explainer.sidecar.reading) else {}),
            "methods": job.methods,
            "layer": job.explainer.layer,
            "patch_px": job.explainer.patch,
            "max_steps": job.explainer.max_steps,
            "tiles": len(job.tiles),
            "source": job.tiles.source,
            "tiles_sha256": job.tiles.identity,
        }
        for job in jobs
    }
    settings = {"models": models, "measuring": None if measuring is None else asdict(measuring)}
    with FolderLock(out):
        yield RunFolder(out, settings, resume, overwrite)


def incomplete(tiles: Sequence[Explained]) -> list[str]:
    """One line for each map of Integrated Gradients that does not add up."""
    return [
        f"note: {part.method} of {tile.name} ({tile.model}) adds up to the logit difference only within "
        f"{completeness(part):.1%} after {part.facts['steps']} steps"
        for tile in tiles
        for part in tile.explanations
        if part.facts.get("complete") is False
    ]


def explain_all(jobs: Sequence[Job], folder: RunFolder, measuring: Measuring | None) -> list[Explained]:
    """Explain every tile of every job, passing over those that the folder has already.

    Args:
        jobs: one for each model.
        folder: of the run.
        measuring: what to measure, or None.

    Returns:
        All tiles, model after model.
    """
    done = []
    for job in jobs:
        missing = []
        for number, name in enumerate(job.tiles.names):
            found = folder.load(job.name, number, name)
            missing += [number] if found is None else []
            done += [] if found is None else [found]
        if missing:
            done += _explain_job(job, folder, measuring, bar(missing, job.name, len(missing), "tile"))
    order = {job.name: place for place, job in enumerate(jobs)}
    return sorted(done, key=lambda tile: (order[tile.model], tile.number))


def _explain_job(job: Job, folder: RunFolder, measuring: Measuring | None, numbers: Any) -> list[Explained]:
    explainer, tiles = job.explainer, job.tiles
    images = tiles.images(explainer.image_size)
    masks = None if tiles.masks is None or measuring is None else tiles.masks(explainer.image_size)
    sanity = _sanity(job, measuring)
    found = []
    for number in numbers:
        image = np.asarray(images[number])
        logit, threshold = float(explainer.predictor.logits(image[None])[0]), explainer.sidecar.threshold.logit
        if not math.isfinite(logit):
            raise CrackError(
                f"{job.name} answers {logit} to {tiles.names[number]}: there is nothing to explain. Train it again."
            )
        parts = tuple(explainer.explain(image, job.methods))
        measured: dict[str, Any] = {}
        if measuring is not None:
            maps = {part.method: part.map for part in parts}
            mask = None if masks is None else masks[number]
            logits, seed = explainer.predictor.logits, measuring.seed + number
            measured["methods"] = faithfulness.measure(logits, image, maps, mask, seed)
            if sanity is not None and number < measuring.sanity:
                measured["sanity"] = sanity(image, maps)
        tile = Explained(job.name, number, tiles.names[number], tiles.labels[number], logit, threshold, parts, measured)
        save_image(_strip(tile, image), folder.overlay_path(job.name, number, tile.name))
        folder.save(tile)
        found.append(tile)
    return found


def _sanity(job: Job, measuring: Measuring | None) -> Sanity | None:
    """Maps of a tile to their rank correlations with those of the same network, untrained; None when it is not asked for."""
    explainer = job.explainer
    methods = [method for method in job.methods if method != "occlusion"]
    if measuring is None or not measuring.sanity or not methods:
        return None
    random = explainer.network.randomised(measuring.seed)

    def compare(image: np.ndarray, maps: Mapping[str, np.ndarray]) -> dict[str, Any]:
        rows = {}
        for method in methods:
            gradcam = method == "gradcam"
            other, _ = explainer.grad_cam(random, image) if gradcam else explainer.integrated(random, image, method)
            rows[method] = {
                "spearman": rank_correlation(maps[method], other),
                "spearman_abs": None if gradcam else rank_correlation(np.abs(maps[method]), np.abs(other)),
            }
        return rows

    return compare


def write_outputs(tiles: Sequence[Explained], jobs: Sequence[Job], folder: RunFolder, source: str) -> None:
    """Write the index and, where all models explain the same tiles, the gallery.

    Args:
        tiles: of `explain_all`.
        jobs: that gave them.
        folder: of the run.
        source: the tiles, in words.
    """
    write_csv(folder.folder / INDEX, index_rows(list(tiles), folder))
    save_image(_gallery(tiles, jobs, source), folder.folder / GALLERY)


def _gallery(tiles: Sequence[Explained], jobs: Sequence[Job], source: str) -> Image.Image:
    """A row for each tile: the tile, then each model's maps."""
    by_place = {(tile.model, tile.number): tile for tile in tiles}
    images = {job.name: job.tiles.images(job.explainer.image_size) for job in jobs}
    side, make_masks = jobs[0].explainer.image_size, jobs[0].tiles.masks
    masks = None if make_masks is None else make_masks(side)
    headings = ["tile", *([] if masks is None else [""])]
    headings += [part for job in jobs for part in (job.name, *[""] * (len(job.methods) - 1))]
    count = len(jobs[0].tiles)
    rows = []
    for number in range(min(count, GALLERY_ROWS)):
        first = by_place[jobs[0].name, number]
        text = [first.name[-34:]]
        panels = [_tile_panel(first, images[jobs[0].name][number])]
        panels += [] if masks is None else [mask_panel(images[jobs[0].name][number], masks[number])]
        for job in jobs:
            tile = by_place[job.name, number]
            verdict = "crack" if tile.crack else "no crack"
            text += [job.name, f"  p {float(sigmoid(tile.logit)):.3f}: {verdict}"]
            panels += panels_of(images[job.name][number], tile)
        rows.append(Row(tuple(text), tuple(panels)))
    title = (
        f"{source}: {len(rows)} of {counted(count, 'tile')}"
        if count > len(rows)
        else f"{source}: {counted(count, 'tile')}"
    )
    return draw_sheet(title, headings, rows, method_notes(jobs))


def method_notes(jobs: Sequence[Job]) -> list[str]:
    """What has to be known about the maps of a sheet."""
    notes = []
    methods = {method for job in jobs for method in job.methods}
    twins = [job.name for job in jobs if job.explainer.path.suffix == ".tflite" and set(job.methods) - {"occlusion"}]
    if twins:
        notes.append(
            f"gradcam and ig of {', '.join(twins)}: gradients of the float twin; occlusion: the .tflite itself."
        )
    if "ig-black" in methods:
        notes.append("ig-black gives nothing to black pixels, whatever they mean: they are the baseline.")
    return notes


def save_image(image: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        marked(image).save(temporary, compress_level=4)


def _strip(tile: Explained, image: np.ndarray) -> Image.Image:
    """A tile with its maps in one line."""
    row = Row(score_lines(tile), (_tile_panel(tile, image), *panels_of(image, tile)))
    return draw_sheet(tile.name[-80:], (), [row])


def _tile_panel(tile: Explained, image: np.ndarray) -> Panel:
    if tile.label is None:
        return Panel(Image.fromarray(image))
    return Panel(Image.fromarray(image), LABELS[tile.label], CRACK if tile.label else CLEAN)
