"""The folder of a run: its settings first, one .npz for each model and tile, and at the end tables and pictures made from them.

settings.json                what was asked for; a run goes on with the same settings only
arrays/MODEL/0001-name.npz   maps by method, float32 (s, s), and "record": JSON with score, facts and measurements
overlays/MODEL/0001-name.png
index.csv                    a row for each model, tile and method
gallery.png
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.archives import check_zip
from crack_tf.explain.explainer import Explanation
from tflite.errors import CrackError
from tflite.files import atomic_path, read_json, write_json
from tflite.metrics import sigmoid
from tflite.outputs import Inputs, Output, check_folder, clear_folder, json_with, remove_leftovers
from tflite.sameness import refuse_changed

FORMAT = "crack_tf.explain/1"
SETTINGS, INDEX, GALLERY, ARRAYS, OVERLAYS = "settings.json", "index.csv", "gallery.png", "arrays", "overlays"
_TILE = "[0-9][0-9][0-9][0-9]-*"  # see `_stem`
OUTPUT = Output(
    "crack-tf explain",
    json_with(SETTINGS, format=FORMAT),
    (
        *(SETTINGS, INDEX, GALLERY, "faithfulness.csv", "tiles.csv", "sanity.csv", "curves.png"),
        *("errors.csv", "groups.csv", "errors.md", "false_negatives_*.png", "false_positives_*.png"),
        *(f"{ARRAYS}/*/{_TILE}.npz", f"{OVERLAYS}/*/{_TILE}.png"),
    ),
    first=SETTINGS,
)
_ARRAY_BYTES = 200 * 10**6  # one tile's maps take a megabyte


@dataclass(frozen=True)
class Explained:
    """One tile as one model sees it.

    Attributes:
        model: name, unique in the run.
        number: of the tile in the run, from 0.
        name: of the tile.
        label: 1 cracked, 0 clean, None unknown.
        logit: of the model that was asked for.
        threshold: that model's, in logits.
        explanations: its maps.
        measured: what was measured on the maps; JSON values.
    """

    model: str
    number: int
    name: str
    label: int | None
    logit: float
    threshold: float
    explanations: tuple[Explanation, ...]
    measured: dict[str, Any]

    @property
    def crack(self) -> bool:
        """What the model says."""
        return self.logit >= self.threshold


class RunFolder:
    """A run's folder, opened to add tiles.

    Args:
        folder: created when missing.
        settings: JSON values that decide the results.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder; nothing but its own files is removed.

    Raises:
        CrackError: if the folder is in use, there is nothing to resume, or the settings differ.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
        self.folder = folder
        check_out(folder, resume, overwrite)
        self._settings = json.loads(json.dumps({"format": FORMAT, **settings}))
        path = folder / SETTINGS
        if resume:
            refuse_changed(self.folder, read_json(path), self._settings)
            remove_leftovers(folder, OUTPUT)
            return
        clear_folder(folder, OUTPUT)
        write_json(path, self._settings)

    def array_path(self, model: str, number: int, name: str) -> Path:
        """Where a tile's maps are kept."""
        return self.folder / ARRAYS / plain(model) / f"{_stem(number, name)}.npz"

    def overlay_path(self, model: str, number: int, name: str) -> Path:
        """Where a tile's overlay is kept."""
        return self.folder / OVERLAYS / plain(model) / f"{_stem(number, name)}.png"

    def load(self, model: str, number: int, name: str) -> Explained | None:
        """A tile that an earlier session finished; None when it has to be computed again."""
        return _read(self.array_path(model, number, name))

    def save(self, tile: Explained) -> None:
        """Keep a tile's maps and record; whole or not at all."""
        record = {
            key: getattr(tile, key) for key in ("model", "number", "name", "label", "logit", "threshold", "measured")
        }
        record["facts"] = {part.method: part.facts for part in tile.explanations}
        arrays = {part.method: part.map for part in tile.explanations}
        with atomic_path(self.array_path(tile.model, tile.number, tile.name)) as temporary:
            np.savez_compressed(temporary, record=np.array(json.dumps(record, allow_nan=False)), **arrays)  # type: ignore[arg-type]


def read_run(folder: Path) -> tuple[dict[str, Any], list[Explained]]:
    """A finished run: its settings and its tiles, model after model.

    Raises:
        CrackError: if there is no run, or tiles of it are missing or damaged.
    """
    if not (folder / SETTINGS).is_file():
        raise CrackError(f"{folder} is no run of crack-tf explain: it has no {SETTINGS}.")
    settings = read_json(folder / SETTINGS)
    tiles = []
    for name, asked in settings["models"].items():
        read = [_read(path) for path in sorted((folder / ARRAYS / plain(name)).glob("*.npz"))]
        found = [tile for tile in read if tile is not None]
        if len(found) < asked["tiles"]:
            raise CrackError(
                f"{folder} has {len(found)} of {asked['tiles']} tiles of {name}: finish it with --resume first."
            )
        tiles += found
    return settings, tiles


def _read(path: Path) -> Explained | None:
    """A tile as `RunFolder.save` wrote it; None when it is not there, or damaged since."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_zip(archive, _ARRAY_BYTES)
        with np.load(path) as found:
            record = json.loads(str(found["record"]))
            facts = record.pop("facts")
            maps = tuple(Explanation(method, found[method], facts[method]) for method in facts)
        return Explained(**record, explanations=maps)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def check_out(folder: Path, resume: bool, overwrite: bool, inputs: Inputs = ()) -> None:
    """Find out whether a run may use a folder, before anything expensive is done.

    Raises:
        CrackError: if the folder is a file, in use, or not to be overwritten, or there is nothing to resume.
    """
    if not resume or (folder.exists() and not folder.is_dir()):
        hint = "Choose another --out, add --resume to go on, or --overwrite."
        check_folder(folder, OUTPUT, overwrite, inputs=inputs, hint=hint)
    elif not (folder / SETTINGS).is_file():
        raise CrackError(f"--resume: there is no run in {folder}. Leave --resume out to start one.")


def index_rows(tiles: list[Explained], folder: RunFolder) -> list[dict[str, Any]]:
    """A row for each tile and method: scores, how the map was made, and where it lies."""
    rows = []
    for tile in tiles:
        for part in tile.explanations:
            facts = dict.fromkeys(_FACTS) | part.facts
            rows.append(
                {
                    "model": tile.model,
                    "tile": tile.name,
                    "label": tile.label,
                    "logit": tile.logit,
                    "probability": float(sigmoid(tile.logit)),
                    "threshold": tile.threshold,
                    "crack": int(tile.crack),
                    "method": part.method,
                    **{key: facts[key] for key in _FACTS},
                    "array": folder.array_path(tile.model, tile.number, tile.name)
                    .relative_to(folder.folder)
                    .as_posix(),
                    "overlay": folder.overlay_path(tile.model, tile.number, tile.name)
                    .relative_to(folder.folder)
                    .as_posix(),
                }
            )
    return rows


_FACTS = (
    *("network", "layer", "places", "patch_px", "network_logit", "baseline_logit"),
    *("steps", "completeness_error", "complete"),
)


def plain(text: str) -> str:
    """Text as part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", text)


def _stem(number: int, name: str) -> str:
    """The number keeps names apart; what is left of the name tells a person which tile it is."""
    return f"{number:04d}-{plain(Path(name).stem)[-60:]}"
