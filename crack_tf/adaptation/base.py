"""The model that is adapted: its float weights, and the int8 file that is used today."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crack_tf.inference.predictor import refuse_adopted
from crack_tf.models.keras_models import MODEL_FILE
from crack_tf.models.shipped import KINDS, exported_file, load, read_zoo
from tflite.device.tiles import training_side
from tflite.errors import CrackError
from tflite.sidecar import Sidecar, made_from, read_sidecar, verify_file

_WHERE = "Name a shipped model, or a run folder whose export folder holds an int8 file: the float weights are needed to change a model."


@dataclass(frozen=True)
class Base:
    """Two files of one model.

    Attributes:
        name: for people.
        keras: float weights.
        sidecar: theirs.
        tflite: the int8 file.
        device: its sidecar.
        tile_side: side in pixels of the tiles that it was trained on, before they were resized.
    """

    name: str
    keras: Path
    sidecar: Sidecar
    tflite: Path
    device: Sidecar
    tile_side: int


def find_base(model: str = "", option: str = "--model") -> Base:
    """What `--model` stands for.

    Args:
        model: as in `AdaptConfig`.
        option: that named it.

    Raises:
        CrackError: if there is no such model, it is no classifier of this project, or one of its two files is not there.
        ModelFileError: if a file is not the one that its sidecar describes.
    """
    zoo = read_zoo()[1]
    if not model or model in zoo:
        shipped = load(model or None)
        if shipped.task != "classify":
            raise CrackError(f"{option} {shipped.name} is a {KINDS[shipped.task]}: only classifiers are adapted.")
        return _checked(option, shipped.name, shipped.keras, shipped.tflite, shipped.tile_side)
    path = Path(model)
    if not path.exists():
        raise CrackError(f"{option} {model} is neither a file, a run folder nor a shipped model ({', '.join(zoo)}).")
    if path.suffix == ".tflite":
        device = read_sidecar(path)
        refuse_adopted(path, device, "adapt rebuilds")
        for folder in (path.parent, path.parent.parent):
            keras = folder / MODEL_FILE
            if keras.is_file() and made_from(device, read_sidecar(keras)):
                return _checked(option, path.stem, keras, path, None)
        raise CrackError(
            f"{option} {model} has no {MODEL_FILE} that it was made from beside it or one folder up. {_WHERE}"
        )
    run = path if path.is_dir() else path.parent
    keras = path / MODEL_FILE if path.is_dir() else path
    if not keras.is_file() or keras.suffix != ".keras":
        raise CrackError(f"{option} {model} is no .keras model, and holds none called {MODEL_FILE}. {_WHERE}")
    refuse_adopted(keras, read_sidecar(keras), "adapt rebuilds")
    exported = exported_file(run) or next(iter(sorted(run.glob("*-int8-*.tflite"))), None)
    if exported is None:
        raise CrackError(
            f"{option} {model} has no int8 file in {run / 'export'} to be better than. Make one: crack-tf export {run} --int8"
        )
    return _checked(option, run.name, keras, exported, None)


def find_start(start: str, base: Base) -> Base:
    """What `--start` stands for: the model whose last blocks are trained, to be better than another one.

    Args:
        start: as in `AdaptConfig`.
        base: what is adapted.

    Raises:
        CrackError: if there is no such model, or it is another network than `base`, or sees other pixels.
        ModelFileError: if a file is not the one that its sidecar describes.
    """
    if not start:
        return base
    found = find_base(start, "--start")
    ours, theirs = ((one.sidecar.model, one.sidecar.image_size) for one in (base, found))
    if ours != theirs:
        told = [f"{name} at {size} pixels" for name, size in (theirs, ours)]
        raise CrackError(f"--start {start} is {told[0]}, and {base.name} is {told[1]}: choose one like it.")
    return found


def _checked(option: str, name: str, keras: Path, tflite: Path, tile_side: int | None) -> Base:
    sidecar, device = read_sidecar(keras), read_sidecar(tflite)
    for path, found in ((keras, sidecar), (tflite, device)):
        verify_file(path, found)
    if device.task != "classify":
        raise CrackError(f"{option} {name} is a {KINDS[device.task]}: only classifiers are adapted.")
    if not made_from(device, sidecar):
        raise CrackError(f"{tflite} was not made from {keras}: export the run again.")
    return Base(name, keras, sidecar, tflite, device, tile_side or training_side(device))
