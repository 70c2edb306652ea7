"""The JSON beside every model file: what it expects, what it answers, where it came from and how to tell it is whole.

`opnet-int8-qat.tflite` has `opnet-int8-qat.tflite.json`; `model.keras` has `model.keras.json`. The sidecar carries a hash
of the model and a hash of itself: one flipped byte in a weight or in the threshold would otherwise load in silence.
Imports numpy and the standard library only, since it travels to the device.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflite.errors import CrackError, ModelFileError
from tflite.files import read_json, sha256_bytes, sha256_file, write_json
from tflite.heads import KINDS, OWN_HEAD, Head
from tflite.heads import dequantise as dequantise  # where others look for them
from tflite.heads import raw_threshold as raw_threshold
from tflite.metrics import sigmoid
from tflite.scaling import Scaling
from tflite.tensors import TensorSpec as TensorSpec

FORMAT = "crack_tf.sidecar/1"
# "int8" alone is an adopted file's: how it was quantised is not known.
SCHEMES = ("keras", "float32", "float16", "dynamic", "int8", "int8-ptq", "int8-qat")
DTYPES = ("float32", "int8", "uint8")
TASKS = ("classify", "segment")
GRID = 8  # golden values of a map along each side
_DIGEST = "sidecar_sha256"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_PROBABILITY_SLACK = 1e-4  # the stored probability may be rounded; the logit is what counts


@dataclass(frozen=True)
class Threshold:
    """Where the model says "crack": output >= threshold.

    Attributes:
        probability: sigmoid of `logit`.
        logit: compared with a float output.
        raw: compared with the raw answer of an integer output (see `tflite.heads`); None for a float output.
        target_recall: recall the threshold was chosen for, or None.
        split: on which split it was chosen, or None.
    """

    probability: float
    logit: float
    raw: int | None
    target_recall: float | None
    split: str | None


@dataclass(frozen=True)
class Golden:
    """One known answer.

    Attributes:
        output: what the model answered to `golden_input(image_size)`, in units of its output tensor (int8: integers). Of a
            map, the mean of `grid`.
        tolerance: largest accepted difference, same units; covers kernels that round differently on another CPU.
        grid: of a map, its values at `golden_grid`; empty for a single logit.
    """

    output: float
    tolerance: float
    grid: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sidecar:
    """Everything known about one model file.

    Attributes:
        model: registry name, such as "opnet".
        scheme: one of `SCHEMES`.
        file: name of the model file, without folder.
        sha256: of the model file.
        image_size: side of the square input, pixels.
        labels: names of output below and above the threshold.
        hyperparameters: keyword arguments that rebuild the model, besides the image size.
        input, output: tensors as the file declares them.
        threshold: the decision.
        golden: a known answer, or None.
        training: data set, policy, manifest hash, run, seed...
        metrics: measured rates, free form.
        licence: of the weights.
        versions: of Python and the packages that wrote the file.
        git_revision: of the code, or None outside a checkout.
        created: ISO time, UTC.
        task: "classify" (one answer per tile) or "segment" (a map of logits, one per pixel).
        head: how the answer says crack; a classifier's only.
        scaling: what becomes of pixels first; None where the file takes raw bytes, as this project's own do.
        second_view: side in pixels of the window whose mean each pixel is in a second look that the file itself takes at its tile;
            its logit is the mean of both (`tflite.convert.VIEW_WEIGHTS`). 0 for one look.
        second_view_gain: by how many logits the second look raised validation tiles at most, or 99 in 100 of them. A first look further
            below the threshold can stand alone (`tflite.runtime.Classifier`, quick). None where it was not measured.
    """

    model: str
    scheme: str
    file: str
    sha256: str
    image_size: int
    labels: tuple[str, ...]
    hyperparameters: dict[str, Any]
    input: TensorSpec
    output: TensorSpec
    threshold: Threshold
    golden: Golden | None
    training: dict[str, Any]
    metrics: dict[str, Any]
    licence: str
    versions: dict[str, Any]
    git_revision: str | None
    created: str
    task: str = "classify"
    head: Head = OWN_HEAD
    scaling: Scaling | None = None
    second_view: int = 0
    second_view_gain: float | None = None

    @property
    def channels(self) -> int:
        """The input's."""
        return 3 if self.scaling is None else self.scaling.channels

    @property
    def reading(self) -> str:
        """How pixels and answers are read, where that is not this project's own way: with the file's hash it decides every logit."""
        if self.head == OWN_HEAD and self.scaling is None:
            return ""
        return json.dumps(
            _spelled_out(self.head) | {"scaling": self.scaling and _spelled_out(self.scaling)}, sort_keys=True
        )

    def calls_crack(self, raw: np.ndarray | float) -> np.ndarray:
        """Whether a classifier's raw answers (see `tflite.heads`) mean a crack: any shape to bool of that shape.

        Those of an integer output are compared as integers; nothing is dequantised.
        """
        if self.threshold.raw is not None:
            return np.asarray(raw) >= self.threshold.raw
        return self.head.logit(raw, self.output.scale, self.output.zero_point) >= np.float32(self.threshold.logit)

    @property
    def adopted(self) -> bool:
        """Whether the file was made elsewhere, and its sidecar by `crack-tf adopt`."""
        return "adopted" in self.training


def sidecar_path(model_path: str | Path) -> Path:
    """`model.tflite` -> `model.tflite.json`."""
    path = Path(model_path)
    return path.with_name(path.name + ".json")


def write_sidecar(model_path: str | Path, sidecar: Sidecar) -> None:
    """Write the sidecar of `model_path` atomically, replacing an older one.

    Raises:
        CrackError: if its fields contradict each other (see `read_sidecar`) or hold NaN or infinity.
    """
    path = sidecar_path(model_path)
    try:
        record = _jsonable(sidecar)
        _check(_from_json(Sidecar, record, ""))
        write_json(path, {"format": FORMAT, **record, _DIGEST: _digest(record)})
    except (ValueError, TypeError) as error:
        raise CrackError(f"cannot write {path}: {error}.") from None


def made_from(sidecar: Sidecar, source: Sidecar) -> bool:
    """Whether a quantised model was made from a float model, or from that model before its weights were rounded for the zoo."""
    wanted = sidecar.training.get("source_sha256")
    return wanted is not None and wanted in (source.sha256, source.training.get("rounded_from"))


def learned_sets(sidecar: Sidecar) -> tuple[str, ...]:
    """Data sets that a model learned from, at second hand too: through what it started from, its teacher, or what it is an average of."""
    own = str(sidecar.training.get("dataset") or "").split("+")
    return tuple(name for name in dict.fromkeys([*own, *sidecar.training.get("learned_from", ())]) if name)


def read_sidecar(model_path: str | Path) -> Sidecar:
    """Read and check the sidecar of a model file.

    Args:
        model_path: the model's path, not the sidecar's.

    Raises:
        ModelFileError: if the sidecar is missing, not a sidecar, was changed after it was written, or contradicts itself.
    """
    path = sidecar_path(model_path)
    if not path.is_file():
        raise ModelFileError(
            f"{model_path} has no sidecar {path.name} (labels, threshold, hash). "
            "crack-tf export and crack-tf train write one: copy both files. For a model made elsewhere "
            f"crack-tf adopt writes it: crack-tf adopt {model_path} --help."
        )
    try:
        record = read_json(path)
    except (CrackError, OSError) as error:
        raise ModelFileError(f"sidecar {path} cannot be read: {error}") from None
    if record.pop("format", None) != FORMAT:
        raise ModelFileError(
            f'{path} is not a model sidecar (no "format": "{FORMAT}"). Copy it again or export the model again.'
        )
    digest = record.pop(_DIGEST, None)
    try:
        if digest != _digest(record):
            raise ValueError("its content does not match its own sha256")
        sidecar: Sidecar = _from_json(Sidecar, record, "")
        _check(sidecar)
    except (ValueError, TypeError, ArithmeticError) as error:  # a number of hundreds of digits
        raise ModelFileError(
            f"sidecar {path} is damaged or was edited ({error}). Copy it again or export the model again."
        ) from None
    return sidecar


def with_sidecar(path: Path) -> bool:
    """For `tflite.outputs.Output.known`: a model file with the sidecar of that very name, damaged or not."""
    return read_sidecar(path).file == path.name


def verify_file(model_path: str | Path, sidecar: Sidecar) -> None:
    """Compare the model file's sha256 with the sidecar's.

    Raises:
        ModelFileError: if the file cannot be read or differs.
    """
    try:
        found = sha256_file(model_path)
    except OSError as error:
        raise ModelFileError(f"cannot read model {model_path}: {error.strerror}.") from None
    if found != sidecar.sha256:
        raise ModelFileError(
            f"{model_path} is not the file its sidecar describes (sha256 {found[:12]}..., expected {sidecar.sha256[:12]}...). "
            "It is damaged or belongs to another sidecar: copy both files again."
        )


def golden_input(size: int) -> np.ndarray:
    """The tile every model answers once when it is exported and once whenever it is loaded.

    A textured grey surface crossed by a dark line; integer arithmetic only, so that it has the same bytes on every machine.

    Args:
        size: side in pixels, > 0.

    Returns:
        uint8 array of shape (size, size, 3).
    """
    row, column, channel = np.ogrid[:size, :size, :3]
    texture = (row * 7919 + column * 6101 + row * column * 31 + channel * 17) % 64
    line = np.abs(row * 3 - column * 2) <= size // 16
    return np.where(line, 20 + texture // 4, 130 + texture).astype(np.uint8)


def golden_grid(values: np.ndarray) -> tuple[float, ...]:
    """A map's values at 8 x 8 places spread over it, row by row: its share of a golden answer.

    Args:
        values: (size, size).
    """
    places = (2 * np.arange(GRID) + 1) * values.shape[0] // (2 * GRID)
    return tuple(float(value) for value in values[np.ix_(places, places)].ravel())


def _digest(record: Mapping[str, Any]) -> str:
    return sha256_bytes(json.dumps(record, sort_keys=True, allow_nan=False).encode())


def _jsonable(sidecar: Sidecar) -> dict[str, Any]:
    """Plain JSON types, as they will read back: tuples become lists, and the digest is taken over the same values.

    Fields that have their default are left out: the sidecar of a classifier is what it was before there were other tasks.
    """
    record = json.loads(json.dumps(_spelled_out(sidecar), allow_nan=False))
    return typing.cast(dict[str, Any], record)


def _spelled_out(value: Any) -> Any:
    if not is_dataclass(value):
        return value
    return {
        item.name: _spelled_out(found) for item in fields(value) if (found := getattr(value, item.name)) != item.default
    }


def _from_json(kind: Any, value: Any, name: str) -> Any:
    """Build dataclasses from JSON by their annotations, refusing what does not fit.

    Raises:
        ValueError: naming the field that is missing, unknown, or of another type.
    """
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        inner = next(option for option in typing.get_args(kind) if option is not type(None))
        return None if value is None else _from_json(inner, value, name)
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{name or 'the file'} is not an object")
        hints = typing.get_type_hints(kind)
        optional = {item.name for item in fields(kind) if item.default is not MISSING}
        if different := sorted((set(hints) ^ set(value)) - optional):
            raise ValueError(f"missing or unknown in {name or 'the file'}: {', '.join(different)}")
        return kind(**{key: _from_json(hints[key], found, f"{name}.{key}".lstrip(".")) for key, found in value.items()})
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list")
        return tuple(_from_json(typing.get_args(kind)[0], item, name) for item in value)
    plain = typing.get_origin(kind) or kind
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise ValueError(f"{name} is {value!r}, expected {plain.__name__}")
    return value


def _check(sidecar: Sidecar) -> None:
    """Refuse fields that contradict each other; raises ValueError."""
    if sidecar.scheme not in SCHEMES:
        raise ValueError(f"scheme is {sidecar.scheme!r}, expected one of {', '.join(SCHEMES)}")
    # It names files in folders of results.
    if not _NAME.fullmatch(sidecar.model):
        raise ValueError(f"model is {sidecar.model!r}, expected letters, digits and . _ + -")
    if sidecar.task not in TASKS:
        raise ValueError(f"task is {sidecar.task!r}, expected one of {', '.join(TASKS)}")
    for name, tensor in (("input", sidecar.input), ("output", sidecar.output)):
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{name}.dtype is {tensor.dtype!r}, expected one of {', '.join(DTYPES)}")
        # An adopted file's input may take bytes as plain numbers, which no quantisation describes.
        plain = name == "input" and sidecar.scaling is not None
        if tensor.scale < 0 or (tensor.quantised != (tensor.dtype != "float32") and (tensor.quantised or not plain)):
            raise ValueError(f"{name}.scale is {tensor.scale} for {tensor.dtype}")
    size = sidecar.image_size
    if sidecar.scaling is not None:
        sidecar.scaling.check()
    if size < 1 or sidecar.input.shape[1:] != (size, size, sidecar.channels):
        raise ValueError(f"input.shape is {list(sidecar.input.shape)} for image_size {size}")
    if sidecar.task == "segment" and sidecar.output.shape[1:] != (size, size, 1):
        raise ValueError(f"output.shape is {list(sidecar.output.shape)}, expected a map of {size} x {size} logits")
    head = sidecar.head
    if head.kind not in KINDS or head.crack not in (0, 1):
        raise ValueError(
            f"head is {head.kind!r} with class {head.crack}, expected one of {', '.join(KINDS)} with 0 or 1"
        )
    if sidecar.task == "segment" and head != OWN_HEAD:
        raise ValueError(f"head is {head.kind!r}, a map has logits")
    if sidecar.task == "classify" and math.prod(sidecar.output.shape) != head.outputs:
        raise ValueError(
            f"output.shape is {list(sidecar.output.shape)}, a head of kind {head.kind!r} has {head.outputs}"
        )
    if sidecar.second_view and not 2 <= sidecar.second_view <= size:
        raise ValueError(f"second_view is {sidecar.second_view} for tiles of {size} pixels")
    gain = sidecar.second_view_gain
    if gain is not None and not (sidecar.second_view and gain >= 0):
        raise ValueError(f"second_view_gain is {gain} with second_view {sidecar.second_view}")
    points = GRID * GRID if sidecar.task == "segment" else 0
    if sidecar.golden is not None and len(sidecar.golden.grid) != points:
        raise ValueError(f"golden.grid has {len(sidecar.golden.grid)} values, task {sidecar.task!r} needs {points}")
    threshold = sidecar.threshold
    if abs(float(sigmoid(threshold.logit)) - threshold.probability) > _PROBABILITY_SLACK:
        raise ValueError(f"threshold.probability {threshold.probability} is not the sigmoid of logit {threshold.logit}")
    output = sidecar.output
    raw = (
        head.raw_threshold(threshold.logit, output.scale, output.zero_point, output.dtype) if output.quantised else None
    )
    if threshold.raw != raw:
        raise ValueError(f"threshold.raw is {threshold.raw}, logit {threshold.logit} gives {raw}")
