"""How the pictures of an evaluation relate to those that made a model: has it seen them, or their copies?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crack_tf.models.shipped import shipped_as
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.manifest import Item, Manifest, read_manifest
from tflite.sidecar import Sidecar

if TYPE_CHECKING:
    from crack_tf.inference.predictor import CheckedModel

_NAMES = {"classify": "classification", "segment": "segmentation"}
_DATA = {"classify": "tiles with labels", "segment": "photographs with masks"}
_UNIT = {"classify": "tiles", "segment": "photographs", "mixed": "pictures"}


@dataclass(frozen=True)
class Lineage:
    """How the tiles of an evaluation relate to those that made the model.

    Attributes:
        manifest: that trained the model, or None when it was not found.
        trained: evaluated tiles that the model was trained on.
        selected: evaluated tiles on which its epoch and threshold were chosen.
        related: further tiles of a duplicate group that has tiles in training (copies, neighbours in one photograph).
    """

    manifest: Manifest | None
    trained: int = 0
    selected: int = 0
    related: int = 0


def check_origins(
    names: Sequence[str],
    predictors: Sequence[CheckedModel],
    manifest: Manifest,
    items: Sequence[Item],
    split: str,
    allow_training_tiles: bool = False,
) -> list[Lineage]:
    """How the items relate to what trained each model; prints what a reader of the figures should know.

    Args:
        names: of the models.
        predictors: the models.
        manifest: evaluated on.
        items: evaluated, of that manifest.
        split: their split's name.
        allow_training_tiles: evaluate even on items that trained a model.

    Raises:
        CrackError: if an item trained a model and that is not allowed.
    """
    origins = []
    for name, predictor in zip(names, predictors, strict=True):
        origin = lineage(predictor.sidecar, predictor.path, manifest, items)
        if origin.trained and not allow_training_tiles:
            raise CrackError(
                f"{origin.trained} of {len(items)} {_UNIT[manifest.task]} of split {split!r} trained {name}: its score would be "
                "flattered. Choose another split or data set, or add --allow-training-tiles."
            )
        for note in notes(name, predictor.sidecar, manifest, origin):
            print(f"note: {note}", file=sys.stderr)
        origins.append(origin)
    return origins


def lineage(sidecar: Sidecar, path: Path, manifest: Manifest, items: Sequence[Item]) -> Lineage:
    """Compare the tiles of an evaluation with the manifest that trained the model.

    A tile that the training manifest lists under the same path with the same bytes is in the split it gives there. Any
    other tile, as in a copy of the data set with other paths, is known by its bytes alone. The path goes first because a
    plain split holds byte-identical copies in training and in test: that policy's known weakness, counted as related.

    Args:
        sidecar: of the model.
        path: of the model file.
        manifest: evaluated on.
        items: evaluated, of that manifest.
    """
    training = find_training_manifest(sidecar, path, manifest)
    if training is None:
        return Lineage(None)
    by_path = {(item.path, item.sha256): item.split for item in training.items}
    by_bytes: dict[str, str] = {}
    for item in training.items:
        # Of two copies on two sides the trained one counts.
        if by_bytes.get(item.sha256) != "train":
            by_bytes[item.sha256] = item.split
    group_of = {item.sha256: item.group for item in training.items}
    trained_groups = {item.group for item in training.items if item.split == "train"}
    trained = selected = related = 0
    for item in items:
        split = by_path.get((item.path, item.sha256)) or by_bytes.get(item.sha256)
        trained += split == "train"
        selected += split == "val"
        copied = by_bytes.get(item.sha256) == "train" or group_of.get(item.sha256) in trained_groups
        related += split != "train" and copied
    return Lineage(training, trained, selected, related)


def find_training_manifest(sidecar: Sidecar, path: Path, manifest: Manifest) -> Manifest | None:
    """The manifest that trained a model: the one at hand, or a file that the run or the sidecar names; None when not found.

    Whatever is found counts only if its content has the sha256 that the sidecar records.
    """
    expected = sidecar.training.get("manifest_sha256")
    if expected == manifest.sha256:
        return manifest
    named = [sidecar.training.get("manifest")]
    # Without a run folder around the model, or with one of another make, the sidecar's name is all there is.
    with contextlib.suppress(CrackError, KeyError, TypeError, OSError):
        named.append(read_json(path.parent / "config.json")["data"]["manifest"])
    folders = [Path(), path.parent, *([manifest.source.parent] if manifest.source else [])]
    for name in (name for name in named if isinstance(name, str) and name):
        for folder in folders:
            try:
                candidate = read_manifest(folder / name)
            except CrackError:
                continue
            if candidate.sha256 == expected:
                return candidate
    return None


def notes(name: str, sidecar: Sidecar, manifest: Manifest, origin: Lineage) -> list[str]:
    """What a reader of the figures should know about their origin, one sentence each."""
    training, unit = sidecar.training, _UNIT[manifest.task]
    lines = []
    if origin.manifest is None and training.get("dataset") and shipped_as(sidecar) is not None:
        # Its manifest is on no user's machine, and nobody can put it there.
        sets = str(training["dataset"]).replace("+", ", ")
        return [
            f"{name} was trained on {sets}. It may have seen {unit} of these sets, which would flatter its figures."
        ]
    if training.get("manifest_sha256") != manifest.sha256:
        trained_on = (
            "-".join(str(training[key]) for key in ("dataset", "policy") if training.get(key)) or "unknown data"
        )
        lines.append(f"{name} was trained on another manifest ({trained_on}) than {manifest.name}.")
    if origin.manifest is None:
        named = training.get("manifest")
        lines.append(
            f"the manifest that trained {name} ({named or 'unnamed'}) was not found: whether it has seen these {unit} was not checked."
            + (" Put it beside the model to have that checked." if named else "")
        )
    if origin.trained:
        lines.append(f"{name} was trained on {origin.trained} of these {unit}: its figures are flattered.")
    if origin.selected:
        lines.append(f"epoch and threshold of {name} were chosen on {origin.selected} of these {unit}.")
    if origin.related:
        lines.append(f"{origin.related} of these {unit} are copies or neighbours of {unit} that trained {name}.")
    return lines


def require_same_task(path: Path, sidecar: Sidecar, manifest: Manifest) -> None:
    """Refuse a model that cannot be measured on a manifest.

    Raises:
        CrackError: if one is about tiles and the other about masks.
    """
    if sidecar.task != manifest.task:
        raise CrackError(
            f"{path} is a {_NAMES[sidecar.task]} model, and {manifest.source or manifest.name} holds {_DATA[manifest.task]}. "
            f"It needs {_DATA[sidecar.task]}: choose another --data, or another model."
        )
