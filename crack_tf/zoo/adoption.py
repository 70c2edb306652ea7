"""A model made elsewhere gets the sidecar that this project's own are born with, and is held to it on two pictures.

The file cannot say what a pixel has to become, which of its outputs means a crack, or from which probability on: its owner states that.
What can be read from the file (sizes, number format, whether it ends in a probability) is compared with what was stated, and then the
model has to call a cracked picture cracked and a clean one clean. Those two answers are kept beside it as golden tiles.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.common.provenance import created, environment
from crack_tf.data.folders import label_of
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.predictor import KerasPredictor, TflitePredictor, load_predictor
from crack_tf.inference.tiles import photo_boxes
from crack_tf.models.keras_models import load_keras
from crack_tf.quantisation.compare import GOLDEN_STEPS, golden_tolerance
from tflite.arguments import check_choice, check_counts, check_types
from tflite.device.tiles import Box
from tflite.errors import CrackError, ModelFileError
from tflite.files import atomic_path, refuse_existing, sha256_bytes, sha256_file, write_bytes
from tflite.foreign import kind_of, refuse_foreign
from tflite.graph import EDGETPU_OPERATOR, Graph, read_graph
from tflite.heads import KINDS, PROBABILITY_SLACK, Head, dequantise
from tflite.images import load_rgb, resize_rgb
from tflite.manifest import LABELS
from tflite.metrics import logit, sigmoid
from tflite.scaling import Scaling
from tflite.sidecar import DTYPES, Golden, Sidecar, TensorSpec, golden_input, read_sidecar, sidecar_path, write_sidecar

GOLDEN = {"crack": True, "clean": False}  # role: whether the model has to call it a crack
_OVERLAP = 0.25  # of the tiles of a picture that is larger than one, as in crack-tf predict
_CLIPPED = 0.02  # share of the pixel values that a quantised input may be too small for
_ENDS = {"LOGISTIC": "probability", "SOFTMAX": "softmax"}
_MOVES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE")  # operators that leave a value what it is
_BATCH = 16


@dataclass(frozen=True)
class AdoptConfig:
    """What the owner of a model states about it.

    Attributes:
        scaling: what becomes of pixels.
        classes: names of the classes in the order of the outputs; a single output stands for the second.
        threshold: probability from which a tile is called cracked, strictly between 0 and 1.
        crack_class: which of `classes` means a crack; None where the names say it.
        head: one of `tflite.heads.KINDS`; None to go by the file's last operator.
        name: that the model goes by; None for the file's.
        licence: of the weights.
        dataset: that it was trained on, or None.
        tile_side: of its training tiles before they were resized, pixels; None for its input size.
        tile_mm: millimetres of the surface that those show, or None.

    Raises:
        CrackError: naming the field as the command line does.
    """

    scaling: Scaling
    classes: tuple[str, str]
    threshold: float
    crack_class: str | None = None
    head: str | None = None
    name: str | None = None
    licence: str = "not stated"
    dataset: str | None = None
    tile_side: int | None = None
    tile_mm: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not isinstance(self.scaling, Scaling):
            raise CrackError(f"scaling is {self.scaling!r}: give a tflite.scaling.Scaling.")
        if len(self.classes) != 2:
            raise CrackError(f"--classes {','.join(map(str, self.classes))}: give two names.")
        if not 0 < self.threshold < 1:
            raise CrackError(f"--threshold {self.threshold:g}: choose a probability strictly between 0 and 1.")
        check_choice("head", self.head, KINDS)
        check_counts(self, "tile_side")


@dataclass(frozen=True)
class Answer:
    """What the model says to one of the two pictures.

    Attributes:
        picture: its name.
        tiles: into how many it was cut; 1 for a picture about the size of a tile.
        tile: the one that speaks most for a crack, uint8 (s, s, 3).
        raw: the answer to it, in units of the output.
        logit: that it stands for.
        crack: the decision.
    """

    picture: str
    tiles: int
    tile: np.ndarray
    raw: float
    logit: float
    crack: bool

    @property
    def probability(self) -> float:
        return float(sigmoid(self.logit))


@dataclass(frozen=True)
class Adopted:
    """An adopted model.

    Attributes:
        path: of the model file, its sidecar and golden tiles beside it.
        sidecar: as written.
        answers: by role, "crack" and "clean".
        notes: worth knowing, one sentence each.
    """

    path: Path
    sidecar: Sidecar
    answers: dict[str, Answer]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """What the file itself says: tensors, scheme, the head it ends in (None where that cannot be seen), notes, and its scaling layer."""

    input: TensorSpec
    output: TensorSpec
    scheme: str
    end: str | None
    notes: tuple[str, ...]
    scales: str | None = None


def adopt(
    path: Path, config: AdoptConfig, crack: Path, clean: Path, out: Path | None = None, overwrite: bool = False
) -> Adopted:
    """Write the sidecar of a model made elsewhere, and two golden tiles.

    Args:
        path: `.tflite` or `.keras` file, a classifier.
        config: what is stated about it.
        crack: a picture with a crack; one far larger than a tile is cut into tiles.
        clean: a picture without.
        out: folder that the model is copied to; None leaves it where it is.
        overwrite: replace what an earlier adoption wrote.

    Raises:
        CrackError: if what is stated contradicts itself, the file or the answers, or files stand in the way; nothing is written then.
        ModelFileError: if the file cannot be read or is of another format.
        ImageError: if a picture cannot be read.

    Example:
        unit = Scaling((0.0,) * 3, (255.0,) * 3)
        adopt(Path("mine.tflite"), AdoptConfig(unit, ("no_crack", "crack"), 0.5), Path("a.jpg"), Path("b.jpg"))
    """
    label = crack_label(config.classes, config.crack_class)
    target = (out or path.parent) / path.name
    found = _read(path)
    _refuse_others(path, target, overwrite)
    head = _head(path, found, config.head, label)
    _check_scaling(path, found.input, config.scaling)
    pictures = {"crack": crack, "clean": clean}
    with tempfile.TemporaryDirectory(prefix="crack_tf-") as folder:
        draft = Path(folder) / path.name
        shutil.copyfile(path, draft)
        sidecar = _draft(draft, found, head, config)
        write_sidecar(draft, sidecar)
        try:
            answers, golden = _ask(draft, sidecar, pictures)
        except ModelFileError as error:  # of the copy: the user knows the file by its own name
            raise ModelFileError(str(error).replace(str(draft), str(path))) from None
        _check_answers(path, head, config, answers)
        record = {role: _record(target, role, answer) for role, answer in answers.items()}
        adopted = {**sidecar.training["adopted"], "golden_tiles": record}
        sidecar = replace(sidecar, golden=golden, training={**sidecar.training, "adopted": adopted})
        write_sidecar(draft, sidecar)  # checks it once more, before anything is put in place
    if not target.exists() or not target.samefile(path):  # first: the largest is what a disk may have no room for
        write_bytes(target, path.read_bytes())
    for role, answer in answers.items():
        _write_tile(golden_path(target, role), answer.tile)
    write_sidecar(target, sidecar)
    notes = found.notes
    if found.scales is not None and config.scaling.values().max() != 255:
        notes += (
            f"its layer {found.scales} scales pixels too, after --input-scaling: models with such a layer mostly take none",
        )
    return Adopted(target, sidecar, answers, notes)


def golden_path(model: Path, role: str) -> Path:
    """Where a golden tile of an adopted or adapted model lies; role is "crack" or "clean"."""
    return model.with_name(f"{model.name}.{role}.png")


def has_golden_tiles(sidecar: Sidecar) -> bool:
    """Whether a model has golden tiles beside it: it was adopted, or adapted to a structure."""
    return bool(_golden_records(sidecar))


def golden_tile(model: Path, sidecar: Sidecar, role: str) -> bytes:
    """The file of a golden tile, compared with what the sidecar keeps of it.

    Raises:
        CrackError: if it is missing, or not the one that the model was adopted with.
    """
    path = golden_path(model, role)
    try:
        data = path.read_bytes()
        expected = _golden_records(sidecar)[role]["pixels_sha256"]
    except (OSError, KeyError, TypeError):
        raise CrackError(
            f"{path}, a golden tile of {model.name}, is not beside it. Copy it there, or name tiles with --data."
        ) from None
    if sha256_bytes(load_rgb(data).tobytes()) != expected:
        raise CrackError(
            f"{path} is not the tile that {model.name} was adopted with. Copy it again, or adopt the model again."
        )
    return data


def _golden_records(sidecar: Sidecar) -> dict[str, Any]:
    kept = (sidecar.training.get(name) for name in ("adopted", "adapted"))
    return next(
        (record["golden_tiles"] for record in kept if isinstance(record, dict) and "golden_tiles" in record), {}
    )


def crack_label(classes: tuple[str, str], crack_class: str | None) -> int:
    """Which of two classes means a crack, 0 or 1.

    Raises:
        CrackError: if the names do not say it and `crack_class` is not one of them.
    """
    listed = ",".join(classes)
    if classes[0] == classes[1]:
        raise CrackError(f"--classes {listed}: name two different classes, in the order of the outputs.")
    if crack_class is not None:
        if crack_class not in classes:
            raise CrackError(f"--crack-class {crack_class}: choose one of --classes {listed}.")
        return classes.index(crack_class)
    labels = [label_of(name) for name in classes]
    if labels.count(1) == 1:
        return labels.index(1)
    if labels.count(0) == 1:
        return 1 - labels.index(0)
    raise CrackError(f"--classes {listed}: which of them means a crack? Say it with --crack-class NAME.")


def _read(path: Path) -> _Found:
    if path.suffix == ".keras" and kind_of(path) == "keras":
        return _read_keras(path)
    refuse_foreign(path)
    if path.is_dir():
        raise CrackError(f"{path} is a folder: name a .tflite or .keras file.")
    if path.suffix != ".tflite":
        raise CrackError(f"{path}: a model's name ends in .tflite or .keras. Rename it, if it is one.")
    graph = read_graph(path)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise CrackError(
            f"{path} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs: a classifier of tiles has one of each."
        )
    names = [operator.name for operator in graph.operators]
    if EDGETPU_OPERATOR in names:
        raise CrackError(
            f"{path} is compiled for the Edge TPU, and runs nowhere else. Adopt the file it was compiled from, then: "
            "python -m tflite.edgetpu compile."
        )
    for spec, what in ((graph.inputs[0], "input"), (graph.outputs[0], "output")):
        if spec.dtype not in DTYPES:
            raise CrackError(f"{path} has {spec.dtype} {what}: {', '.join(DTYPES)} can be adopted. Convert it again.")
    notes = []
    if graph.open_batch:
        notes.append(
            "its batch is left open: it runs with a batch of 1. The Edge TPU compiler takes fixed sizes only: "
            "convert it again with a batch of 1 for that"
        )
    _require_picture(path, graph.inputs[0].shape, graph.open_sides)
    last = next((name for name in reversed(names) if name not in _MOVES), "")
    outputs = int(np.prod(graph.outputs[0].shape))
    return _Found(graph.inputs[0], graph.outputs[0], _scheme(graph), _ENDS.get(last, _plain(outputs)), tuple(notes))


def _read_keras(path: Path) -> _Found:
    model = load_keras(path)
    if len(getattr(model, "inputs", None) or []) != 1 or len(model.outputs) != 1:
        raise CrackError(f"{path} is no model with one input and one output: save a functional or Sequential one.")
    shape, answer = model.input_shape, model.output_shape
    if shape[0] not in (None, 1):
        raise CrackError(
            f"{path} takes batches of {shape[0]}: save it with an open batch, keras.Input(shape=(s, s, 3))."
        )
    _require_picture(path, (1, *(side or 1 for side in shape[1:])), any(side is None for side in shape[1:]))
    answer = tuple(side or 1 for side in answer)
    outputs = int(np.prod(answer))
    layer = model.layers[-1]
    kind = type(layer).__name__
    activation = getattr(getattr(layer, "activation", None), "__name__", "softmax" if kind == "Softmax" else "")
    end = {"sigmoid": "probability", "softmax": "softmax"}.get(
        activation, _plain(outputs) if activation == "linear" else None
    )
    first = next((layer for layer in model.layers[:3] if type(layer).__name__ in ("Rescaling", "Normalization")), None)
    scales = None if first is None else str(first.name)
    float32 = ("float32", 0.0, 0)
    return _Found(TensorSpec((1, *shape[1:]), *float32), TensorSpec(answer, *float32), "keras", end, (), scales)


def _plain(outputs: int) -> str:
    return "logits" if outputs == 2 else "logit"


def _require_picture(path: Path, shape: Sequence[int], open_sides: bool) -> None:
    """Refuse an input that is no square picture of a fixed size, channels last."""
    if open_sides:
        raise CrackError(
            f"{path} takes pictures of any size: convert it with a fixed one, such as keras.Input(shape=(224, 224, 3), batch_size=1)."
        )
    if len(shape) != 4 or shape[0] != 1:
        raise CrackError(
            f"{path} takes {list(shape)}: expected one picture, [1, side, side, 3]. Convert it with a batch of 1."
        )
    if shape[1] in (1, 3) and shape[2] == shape[3] > 3:
        raise CrackError(
            f"{path} takes {list(shape)}, channels first, as PyTorch has them. Convert it with channels last "
            "(onnx2tf does; litert_torch: to_channel_last_io)."
        )
    if shape[1] != shape[2] or shape[3] not in (1, 3) or shape[1] < 8:
        raise CrackError(
            f"{path} takes {list(shape)}: expected a square picture of 1 or 3 channels, [1, side, side, 3]."
        )


def _scheme(graph: Graph) -> str:
    """Number formats of weights and activations, as in `tflite.sidecar.SCHEMES`."""
    computing = [operator for operator in graph.operators if operator.macs]
    if any(spec.dtype in ("int8", "uint8") for operator in computing for spec in operator.outputs):
        return "int8"
    if graph.weight_types & {"int8", "uint8", "int4"}:
        return "dynamic"
    return "float16" if "float16" in graph.weight_types else "float32"


def _head(path: Path, found: _Found, stated: str | None, label: int) -> Head:
    outputs = int(np.prod(found.output.shape))
    if outputs not in (1, 2):
        raise CrackError(
            f"{path} answers with {outputs} numbers ({list(found.output.shape)}): one logit, one probability or two classes can be "
            "adopted. Put a layer behind it that adds up the classes, or train it on two."
        )
    kind = stated or found.end
    if kind is None:
        raise CrackError(
            f"{path}: its last layer does not tell what it answers with. Say it: --head logit, probability, logits, softmax."
        )
    head = Head(kind, label)
    if head.outputs != outputs:
        raise CrackError(f"--head {kind} has {head.outputs} output(s), {path} has {outputs}.")
    if stated is not None and found.end in _ENDS.values() and stated != found.end:
        raise CrackError(f"--head {stated}: {path} ends in a {found.end}. Leave --head out.")
    return head


def _check_scaling(path: Path, spec: TensorSpec, scaling: Scaling) -> None:
    """Compare the stated scaling with the input: its channels, and what its quantisation can hold.

    Raises:
        CrackError: if the two do not fit.
    """
    if spec.shape[3] != scaling.channels:
        raise CrackError(
            f"--channels {scaling.colours}: {path} takes {spec.shape[3]} channel(s). "
            f"{'Use --channels grey.' if spec.shape[3] == 1 else 'Use rgb or bgr.'}"
        )
    if spec.dtype == "float32":
        return
    limits, step = np.iinfo(spec.dtype), spec.scale or 1.0  # a byte that is no quantised number is itself
    low, high = (step * (int(limit) - spec.zero_point) for limit in (limits.min, limits.max))
    values = scaling.values()
    outside = float(np.mean((values < low - step) | (values > high + step)))
    spread, room = float(values.max() - values.min()), high - low
    if outside > _CLIPPED or spread < room / 8:
        raise CrackError(
            f"--input-scaling makes {values.min():.4g} to {values.max():.4g} of a pixel, and the {spec.dtype} input of {path} was "
            f"quantised for {low:.4g} to {high:.4g}. State the scaling it was trained with."
        )


def _draft(path: Path, found: _Found, head: Head, config: AdoptConfig) -> Sidecar:
    here, output = environment(), found.output
    threshold = threshold_record(logit(config.threshold), output.scale, output.zero_point, output.dtype, head=head)
    training: dict[str, Any] = {"adopted": {"classes": list(config.classes)}}
    training |= {"dataset": config.dataset} if config.dataset else {}
    training |= {"tile_side": config.tile_side} if config.tile_side else {}
    training |= {"training_mm": config.tile_mm} if config.tile_mm else {}
    return Sidecar(
        model=config.name or re.sub(r"[^A-Za-z0-9._+-]+", "_", path.stem).lstrip(".+-") or "model",
        scheme=found.scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=found.input.shape[1],
        labels=LABELS,
        hyperparameters={},
        input=found.input,
        output=output,
        threshold=threshold,
        golden=None,
        training=training,
        metrics={},
        licence=config.licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        head=head,
        scaling=config.scaling,
    )


def _ask(path: Path, sidecar: Sidecar, pictures: dict[str, Path]) -> tuple[dict[str, Answer], Golden | None]:
    """The model's answers to the pictures, and of a .tflite to the golden input.

    Raises:
        CrackError: if an answer is not a finite number, or cannot be one of the head that was stated or found.
    """
    outputs, decide = _asking(path, sidecar)
    head, output = sidecar.head, sidecar.output
    size, side = sidecar.image_size, sidecar.training.get("tile_side") or sidecar.image_size
    answers = {}
    for role, picture in pictures.items():
        image = load_rgb(picture)
        boxes = photo_boxes(image.shape[1], image.shape[0], side, _OVERLAP)
        parts = [outputs(_cut(image, boxes[start : start + _BATCH], size)) for start in range(0, len(boxes), _BATCH)]
        values = np.concatenate(parts)
        _check_values(path, picture.name, values, sidecar)
        raws = head.raw(values)
        place = int(np.argmax(raws))
        raw = float(raws[place])
        found = float(head.logit(raw, output.scale, output.zero_point))
        tile = _cut(image, boxes[place : place + 1], size)[0]
        answers[role] = Answer(picture.name, len(boxes), tile, raw, found, decide(raw))
    if path.suffix == ".keras":
        return answers, None
    values = outputs(golden_input(size)[np.newaxis])
    _check_values(path, "the golden input", values, sidecar)
    golden = Golden(float(head.raw(values)[0]), 0.0)
    return answers, replace(golden, tolerance=_tolerance(sidecar, golden, [answer.raw for answer in answers.values()]))


def _asking(path: Path, sidecar: Sidecar) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[float], bool]]:
    """How to get outputs, uint8 (n, s, s, 3) to (n, outputs) in units of the output, and how to decide on a raw answer."""
    predictor = load_predictor(path, trust=True)
    if isinstance(predictor, TflitePredictor):
        classifier = predictor.classifier
        return lambda tiles: np.stack([classifier.run(tile).reshape(-1) for tile in tiles]), classifier.decide
    assert isinstance(predictor, KerasPredictor)
    return predictor.outputs, lambda raw: bool(sidecar.calls_crack(raw))


def _check_values(path: Path, what: str, values: np.ndarray, sidecar: Sidecar) -> None:
    """Refuse answers that no model of the head gives; `values` are (n, outputs) in units of the output.

    Raises:
        CrackError: naming what is wrong.
    """
    head, output = sidecar.head, sidecar.output
    numbers = (
        dequantise(values, output.scale, output.zero_point) if output.quantised else np.asarray(values, np.float64)
    )
    if not np.isfinite(numbers).all():
        raise CrackError(
            f"{path.name} answers {what} with a number that is not finite. Is --input-scaling the right one?"
        )
    low, high = float(numbers.min()), float(numbers.max())
    within = low >= -PROBABILITY_SLACK and high <= 1 + PROBABILITY_SLACK
    complementary = head.outputs == 2 and bool(np.abs(numbers.sum(axis=1) - 1).max() <= 2 * PROBABILITY_SLACK)
    if head.unit == "probability" and not (within and (head.kind == "probability" or complementary)):
        raise CrackError(
            f"{path.name} answers {what} with {numbers[0].tolist()}: no {'probability' if head.outputs == 1 else 'probabilities'}. "
            f"Say --head {'logit' if head.outputs == 1 else 'logits'}."
        )
    if head.kind == "logits" and within and complementary:
        raise CrackError(f"{path.name} answers {what} with {numbers[0].tolist()}: probabilities. Say --head softmax.")


def _cut(image: np.ndarray, boxes: Sequence[Box], size: int) -> np.ndarray:
    return np.stack([resize_rgb(image[box.y : box.y + box.h, box.x : box.x + box.w], size) for box in boxes])


def _tolerance(sidecar: Sidecar, golden: Golden, raws: Sequence[float]) -> float:
    """See `golden_tolerance`; two outputs are rounded twice, and integers within a float output are as coarse as a dynamic file's."""
    if sidecar.output.quantised:
        return GOLDEN_STEPS * (2 if sidecar.head.kind == "logits" else 1)
    scheme = "dynamic" if sidecar.scheme == "int8" else sidecar.scheme
    return golden_tolerance(scheme, golden, np.array(raws))


def _check_answers(path: Path, head: Head, config: AdoptConfig, answers: dict[str, Answer]) -> None:
    """Refuse a model that takes one of the two pictures for the opposite.

    Raises:
        CrackError: with both answers, and what would explain them.
    """
    crack, clean = answers["crack"], answers["clean"]
    wrong = [role for role, answer in answers.items() if answer.crack != GOLDEN[role]]
    if not wrong:
        return
    if abs(crack.logit - clean.logit) < 1e-6:
        why = "It answers both alike: is --input-scaling the right one?"
    elif crack.logit > clean.logit:
        low, high = sorted((clean.probability, crack.probability))
        why = (
            f"A threshold between {low:.4g} and {high:.4g} would part them; or --input-scaling or --channels is not what it was "
            "trained with."
        )
    else:
        why = (
            f"Does the order of --classes {','.join(config.classes)} fit, in which {config.classes[head.crack]} means a crack? Or "
            "--input-scaling or --channels is not what it was trained with."
        )
    raise CrackError(
        f"{path} takes {' and '.join(f'{answers[role].picture} ({role})' for role in wrong)} for the opposite: probability of a crack "
        f"{crack.probability:.4g} for {crack.picture}, {clean.probability:.4g} for {clean.picture}, threshold {config.threshold:g}. "
        f"{why} Nothing was written."
    )


def _record(target: Path, role: str, answer: Answer) -> dict[str, Any]:
    """What the sidecar keeps of an answer; the tile's pixels are in the file of that name."""
    return {
        "file": golden_path(target, role).name,
        "picture": answer.picture,
        "raw": answer.raw,
        "logit": answer.logit,
        "pixels_sha256": sha256_bytes(answer.tile.tobytes()),
    }


def _write_tile(path: Path, tile: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(tile).save(temporary, format="PNG", optimize=True)


def _refuse_others(path: Path, target: Path, overwrite: bool) -> None:
    """Refuse to replace what adoption did not write, and what it wrote unless asked to.

    Raises:
        CrackError: naming the file in the way.
    """
    sidecar = sidecar_path(target)
    ours = False
    if sidecar.exists():
        try:
            ours = read_sidecar(target).adopted
        except ModelFileError:
            ours = False
        if not ours:
            raise CrackError(
                f"{sidecar} exists, and adopt did not write it: {path} has its sidecar, or move that away."
            )
        refuse_existing(sidecar, overwrite, "It was adopted before. Add --overwrite to state it again.")
    if target.exists() and not target.samefile(path) and sha256_file(target) != sha256_file(path) and not ours:
        raise CrackError(f"{target} exists and is another file: choose another --out.")
    for role in GOLDEN:
        tile = golden_path(target, role)
        if tile.exists() and not ours:
            raise CrackError(f"{tile} exists, and adopt did not write it: move it away, or choose another --out.")
