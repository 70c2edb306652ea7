"""What a model learned at second hand: data sets and licences of what it started from, of its teacher, and of what it is an average of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite.errors import CrackError
from tflite.manifest import Manifest
from tflite.sidecar import Sidecar, learned_sets, read_sidecar, sidecar_path


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, for its sidecar.

    Attributes:
        licence: of its data, at second hand too, and a sentence on pretrained weights.
        learned_from: data sets that it learned from at second hand alone.
    """

    licence: str
    learned_from: tuple[str, ...]


def sidecars_of(paths: Iterable[str | Path | None]) -> list[Sidecar]:
    """Sidecars of those of the files that have one; None and names such as "imagenet" are passed over."""
    return [read_sidecar(path) for path in paths if path and sidecar_path(path).is_file()]


def require_trained(option: str, path: str) -> None:
    """Refuse a model that is nowhere, before anything is made ready for it.

    Args:
        option: that names it, such as "--teacher".
        path: of its `.keras` file.
    """
    if not Path(path).is_file():
        raise CrackError(f"{option} {path}: no such file. Name a trained .keras, or its run folder.")


def check_teacher(path: str) -> None:
    """Refuse a `.keras` file as a teacher that is missing, or whose sidecar, if it has one, says that it cannot be one.

    Raises:
        CrackError: if it is missing, draws masks or was made elsewhere.
    """
    require_trained("--teacher", path)
    for sidecar in sidecars_of((path,)):
        if sidecar.adopted:
            raise CrackError(
                f"--teacher {path}: it was made elsewhere and adopted, and takes other pixels than a teacher is shown. Name a classifier "
                "that crack-tf train made."
            )
        if sidecar.task != "classify":
            raise CrackError(f"--teacher {path}: it draws masks. Name a trained classifier.")


def origin_of(manifest: Manifest, note: str, earlier: Sequence[Sidecar]) -> Origin:
    """What a model that was trained on a manifest, and begins with or learns from other models, has to say.

    Args:
        manifest: what it was trained on.
        note: a sentence on pretrained weights; "" takes that of the first earlier model that has one.
        earlier: what it began with, its teacher, or what it is an average of.
    """
    own = manifest.dataset.split("+")
    learned_from = dict.fromkeys(name for sidecar in earlier for name in learned_sets(sidecar) if name not in own)
    stated, further = manifest.licence, []
    for sidecar in earlier:
        # The data's licence, then perhaps a sentence on pretrained weights.
        data, _, other = sidecar.licence.partition(". ")
        note = note or other
        # Of a mix "metu: CC-BY-4.0; sdnet2018: CC-BY-4.0", of one set its licence alone.
        parts = data.split("; ") if ": " in data else [f"{sidecar.training.get('dataset') or sidecar.model}: {data}"]
        named = stated if ": " in stated else f"{manifest.dataset}: {stated}"
        further += [part for part in parts if part not in named and part not in further]
    if further:
        stated = "; ".join([stated if ": " in stated else f"{manifest.dataset}: {stated}", *further])
    return Origin(f"{stated}. {note}" if note else stated, tuple(learned_from))
