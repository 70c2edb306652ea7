"""What is handed over: a run folder with an int8 file as any other, golden tiles, and a card that says what it learned here."""

from __future__ import annotations

import contextlib
import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.adaptation.bench import Bench, Ready, ask
from crack_tf.adaptation.candidates import Trial
from crack_tf.adaptation.guard import (
    ElsewhereRow,
    SiteRow,
    as_rows,
    reasons_as_file,
    reasons_elsewhere,
    reasons_untold,
    trade,
)
from crack_tf.adaptation.places import BUILT, TILES, WORK
from crack_tf.adaptation.tiles import ASSUMED, COMPOSED, PERSON
from crack_tf.adaptation.training_tiles import write_training_tiles
from crack_tf.common.provenance import created, data_record, environment
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.predictor import load_predictor
from crack_tf.models.keras_models import MODEL_FILE
from crack_tf.quantisation.config import PARTS, ExportConfig, part_of
from crack_tf.quantisation.data import file_stem
from crack_tf.quantisation.export import export, write_comparison
from crack_tf.quantisation.model_card import comparison_plot, model_card
from crack_tf.synthetic.tiles import render_tile
from crack_tf.zoo.adoption import golden_path
from tflite.compare import Comparison, compare
from tflite.errors import CrackError
from tflite.files import atomic_path, sha256_bytes, sha256_file, write_json, write_text
from tflite.graph import read_graph
from tflite.metrics import summary
from tflite.sidecar import Sidecar, TensorSpec, write_sidecar

SPLIT = "held out by photograph"  # on which the threshold was chosen
_GOLDEN_SEED = 20_260_303
_GOLDEN_DRAWN = 20  # tiles of each class among which the clearest is taken, where the structure's own do not do


@dataclass(frozen=True)
class Logits:
    """Answers to other structures' test tiles, float32 (n,) each: of the model before, and of the int8 file; labels int8 (n,)."""

    reference: np.ndarray
    final: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Built:
    """A candidate as files.

    Attributes:
        folder: with model.keras and `export`.
        file: the int8 file in it.
        reasons: why it cannot be handed over after all; empty where it can.
        elsewhere: the int8 file's rows on other structures.
        threshold: the file's, a logit: the candidate's own, moved with its logits by rounding.
    """

    folder: Path
    file: Path
    reasons: tuple[str, ...]
    elsewhere: tuple[ElsewhereRow, ...]
    threshold: float


def build(ready: Ready, trial: Trial, row: SiteRow, out: Path) -> Built:
    """Write a candidate's files, and ask the int8 file again what the float model was asked.

    Args:
        ready: what it was made from.
        trial: the candidate.
        row: of the guard.
        out: folder of the adaptation; the files lie below its work, the tiles that calibrate and measure where they stay.

    Raises:
        CrackError: if the model cannot be converted.
    """
    bench, folder = ready.bench, out / WORK / BUILT
    record = _record(ready, trial, row)
    (folder / "export").mkdir(parents=True, exist_ok=True)
    model = None if trial.build is None else trial.build()
    if model is None:
        training = {**bench.base.device.training, "tile_side": bench.base.tile_side, "adapted": record}
        draft = replace(bench.base.device, training=training)
        target = folder / "export" / f"{file_stem(draft)}-{draft.scheme}.tflite"
        draft = replace(draft, file=target.name)
        shutil.copyfile(bench.base.tflite, target)
        shutil.copyfile(bench.base.keras, folder / MODEL_FILE)
        write_sidecar(folder / MODEL_FILE, replace(bench.base.sidecar, file=MODEL_FILE))
        write_sidecar(target, draft)
        write_json(folder / "config.json", {"adapted": record, "created": created(), **environment()})
        shift = 0.0
    else:
        target, draft = _exported(bench, trial, model, row, record, out)
    predictor = load_predictor(target)
    here = bench.here if model is None else ask(predictor, bench.tiles.images)
    elsewhere = (
        bench.elsewhere if model is None else tuple(ask(predictor, np.asarray(one.images)) for one in bench.others)
    )
    if model is not None:
        # Rounding shifts all logits of a file by about the same: the threshold goes with them.
        shift = float(np.median(here - trial.here))
    threshold = row.threshold + shift
    rows = bench.rows_elsewhere(trial.name, elsewhere, threshold)
    reasons = [f"as an int8 file {reason}" for reason in reasons_elsewhere(rows)]
    called = here >= threshold
    found, alarms = (int((called & bench.tested & (bench.truth == label)).sum()) for label in (1, 0))
    reasons += reasons_as_file(row, found, alarms)
    if not bench.told:
        asked = (bench.here >= bench.threshold, called, bench.truth)
        reasons += [f"as an int8 file {reason}" for reason in reasons_untold(*(one[bench.tested] for one in asked))]
    output = draft.output
    logits = Logits(
        np.concatenate([values[one.test] for one, values in zip(bench.others, trial.elsewhere, strict=True)]),
        np.concatenate([values[one.test] for one, values in zip(bench.others, elsewhere, strict=True)]),
        np.concatenate([one.labels[one.test] for one in bench.others]),
    )
    before = bench.threshold if model is None else row.threshold
    comparison = compare(logits.reference, logits.final, logits.labels, before, threshold)
    row = replace(row, threshold=threshold)  # of the file, in what is told of it from here on
    adapted = {
        **record,
        "here": as_rows([row])[0],
        "elsewhere": as_rows(rows),
        "golden_tiles": _golden(bench, target, here, threshold),
    }
    final = replace(
        draft,
        threshold=threshold_record(
            threshold, output.scale, output.zero_point, output.dtype, bench.config.target_recall, SPLIT
        ),
        training={**draft.training, "adapted": adapted},
        metrics={
            "split": "test",
            "dataset": "+".join(one.name for one in bench.others),
            "at_threshold": summary(comparison.quantised),
            "comparison": comparison.as_dict(),
            "adapted": as_rows([row])[0],
        },
        created=created(),
    )
    _write_beside(target, final, bench, comparison, logits)
    return Built(folder, target, tuple(reasons), tuple(rows), threshold)


def put_in_place(built: Built, out: Path) -> Path:
    """Move a candidate's files to where they are asked for; the .tflite comes last. Returns its path."""
    (out / "export").mkdir(parents=True, exist_ok=True)
    last = built.file
    for path in sorted(path for path in built.folder.rglob("*") if path.is_file() and path != last):
        path.replace(out / path.relative_to(built.folder))
    target = out / last.relative_to(built.folder)
    last.replace(target)
    return target


def labels_record(bench: Bench) -> dict[str, dict[str, dict[str, int]]]:
    """How many labels there were, by what they are from, and by photograph."""
    by_photo: dict[str, list[int]] = {}
    for photo, label, origin in zip(bench.tiles.photos, bench.truth.tolist(), bench.tiles.origins, strict=True):
        if origin == PERSON:
            by_photo.setdefault(photo, [0, 0])[label] += 1
    counts = {
        origin: bench.tiles.take(bench.tiles.with_origin(origin)).counts() for origin in (PERSON, ASSUMED, COMPOSED)
    }
    return {
        "counts": counts,
        "by_photograph": {name: {"no_crack": c[0], "crack": c[1]} for name, c in by_photo.items()},
    }


def _record(ready: Ready, trial: Trial, row: SiteRow) -> dict[str, Any]:
    """What the sidecars and the card say about the adaptation."""
    bench = ready.bench
    return {
        "to": Path(bench.config.source).name,
        "kind": ready.kind,
        "from": bench.base.name,
        "from_sha256": bench.base.device.sha256,
        "candidate": trial.name,
        "choice": trial.note,
        "labels": labels_record(bench),
        "here": as_rows([row])[0],
        "trade": trade(row),
        "shapes": list(ready.shapes),
        "not_checked": list(ready.missing),
    }


def _exported(
    bench: Bench, trial: Trial, model: Any, row: SiteRow, record: dict[str, Any], out: Path
) -> tuple[Path, Sidecar]:
    """A run folder of the Keras model, and its int8 file made by the ordinary export, with the sidecar as export wrote it."""
    folder, manifest = out / WORK / BUILT, write_training_tiles(out / TILES, bench)
    path, before = folder / MODEL_FILE, bench.base.sidecar
    with atomic_path(path) as temporary:
        model.save(temporary)
    here = environment()
    training = {
        **before.training,
        "dataset": f"{before.training.get('dataset')}+{manifest.dataset}",
        "policy": manifest.policy,
        "manifest": manifest.source.name if manifest.source else None,
        "manifest_sha256": manifest.sha256,
        "run": out.resolve().name,
        "seed": bench.config.seed,
        "tile_side": bench.base.tile_side,
        "adapted": record,
    }
    training.pop("rounded_from", None)
    sidecar = replace(
        before,
        file=path.name,
        sha256=sha256_file(path),
        hyperparameters=before.hyperparameters | dict(trial.changes),
        output=TensorSpec((1, 1), "float32", 0.0, 0),
        # Without a target, export keeps the threshold: the few tiles at hand are those that it was chosen on.
        threshold=threshold_record(row.threshold, split=SPLIT),
        training=training,
        metrics={"adapted": {"here": as_rows([row])[0]}},
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
    )
    write_sidecar(path, sidecar)
    write_json(folder / "config.json", {"adapted": record, "data": data_record(manifest), "created": created(), **here})
    # How much may be lost is the guard's business, on the int8 file itself.
    config = ExportConfig(
        scheme=bench.config.scheme,
        data=str(manifest.source),
        max_recall_drop=100,
        seed=bench.config.seed,
        second_view=bench.base.device.second_view,
    )
    # Its own line tells a threshold and what it is worth, before the file's are known.
    with contextlib.redirect_stdout(io.StringIO()):
        result = export(folder, config, overwrite=True)
    return result.file, result.sidecar


def _write_beside(target: Path, sidecar: Sidecar, bench: Bench, comparison: Comparison, logits: Logits) -> None:
    """The sidecar, and the files for people."""
    write_sidecar(target, sidecar)
    stem = target.with_name(target.name.removesuffix(PARTS[-1]))
    names = ", ".join(one.name for one in bench.others)
    write_comparison(part_of(stem, ".comparison.json"), sidecar, comparison)
    title = f"{target.name} on {len(logits.labels):,} tiles of other structures"
    picture = part_of(stem, ".comparison.png")
    comparison_plot(logits.reference, logits.final, logits.labels, comparison, title, picture)
    card = model_card(sidecar, comparison, read_graph(target), f"other structures ({names})")
    write_text(part_of(stem, ".md"), card)


def _golden(bench: Bench, target: Path, logits: np.ndarray, threshold: float) -> dict[str, Any]:
    """Two tiles that the model answers clearly, written beside it, and what the sidecar keeps of them.

    Raises:
        CrackError: if it answers no tile of a class rightly.
    """
    predictor = load_predictor(target, trust=True)
    kept = {}
    for role, label in (("crack", 1), ("clean", 0)):
        own = np.flatnonzero(bench.tested & (bench.truth == label))
        scored = [(float(logits[place]), np.asarray(bench.tiles.images[place])) for place in own]
        size = bench.base.sidecar.image_size
        drawn = np.stack([render_tile(_GOLDEN_SEED, index, bool(label), size).image for index in range(_GOLDEN_DRAWN)])
        best = max if label else min
        logit, tile = best(scored, key=lambda pair: pair[0])
        if (logit >= threshold) != bool(label):
            logit, tile = best(zip(map(float, ask(predictor, drawn)), drawn, strict=True), key=lambda pair: pair[0])
        if (logit >= threshold) != bool(label):
            raise CrackError(f"the adapted model calls no {role} tile {role}: it has no golden tile to guard it")
        path = golden_path(target, role)
        with atomic_path(path) as temporary:
            Image.fromarray(tile).save(temporary, format="PNG", optimize=True)
        kept[role] = {
            "file": path.name,
            "logit": logit,
            "pixels_sha256": sha256_bytes(np.ascontiguousarray(tile).tobytes()),
        }
    return kept
