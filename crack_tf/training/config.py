"""`TrainConfig`: everything a training is told, checked when it is made. Loads no Keras."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from crack_tf.data.policies import POLICIES
from crack_tf.models import MODELS, ModelSpec, get_model
from crack_tf.models.space import Choice
from tflite.arguments import check_types, is_number, is_whole, option_of
from tflite.errors import CrackError

SCHEDULES = ("cosine", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16")
LOSSES = ("bce", "dice", "tversky")
DEFAULT_DATA = {"classify": "synthetic", "segment": "synthetic_masks"}

_CHOICES = {"policy": POLICIES, "schedule": SCHEDULES, "optimizer": OPTIMIZERS, "precision": PRECISIONS}
_COUNTS = ("epochs", "steps_per_epoch", "batch", "val_limit")  # from 1
_STEPS = ("warmup_steps", "freeze_epochs", "unfreeze_blocks", "patience", "seed")  # from 0
_POSITIVE = ("learning_rate", "positive_weight", "negative_weight", "max_minutes")
_SHARES = ("adverse", "camera", "balance", "empty_share", "teacher_share")
MAX_SIDE = 2048  # of the input, pixels: samples of more would fill a disk before anybody saw an epoch
# Fields that choose samples. The run's config.json keeps them beside "train", which holds all others.
_SAMPLES = ("data", "policy", "limit", "val_limit", "empty_share")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a model comes out. What is left to the model is filled in when the configuration is made.

    Attributes:
        model: registry name.
        data: manifest .csv, data set name, or folder; empty for the set that is drawn for the model's task.
        policy: how a set that is no manifest is split; None for the set's own.
        image_size: side of the input in pixels; 0 takes the model's own.
        hyperparameters: keyword arguments of the model's builder; those that are not named get the builder's defaults.
        weights: "none", "imagenet", a path of pretrained backbone weights or of a `.keras` on the same backbone; empty takes the model's
            own ("imagenet" where Keras has it), or "none" with `init_from`.
        init_from: a trained `.keras` of the same model, or its run folder, to start from, at any image size; or None.
        epochs: at most this many.
        steps_per_epoch: batches per epoch, or None for the whole split.
        batch: samples per step.
        learning_rate: peak rate.
        schedule: "cosine" (to zero over each phase) or "constant".
        warmup_steps: linear warm-up at the start of each phase.
        optimizer: "adam", "adamw", "sgd" (momentum 0.9) or "rmsprop".
        loss: "bce"; for masks also "dice", "tversky", or several joined by "+", such as "bce+dice".
        positive_weight: weight of cracked tiles or pixels in the cross-entropy.
        negative_weight: weight of clean tiles or pixels in the cross-entropy.
        augmentation: strength, 0 to 4; 1 is the study's, 0 none.
        adverse: share of samples with a drawn shadow; as many get stains, little light and sensor noise.
        camera: share of samples seen through another camera: colour cast, blur, no colour.
        zoom_out: a classifier's tiles are reduced up to this factor, 1 to 4; 1 never.
        mask_weight: what masks teach a classifier, beside the label, counts so much: where in the tile the crack is; 0 for nothing.
        teacher: a trained `.keras` classifier, or its run folder, whose probabilities are mixed into the labels; or None.
        teacher_share: the teacher's share in the targets, 0 to 1.
        balance: None takes samples as they come; else both labels come equally often, and data sets of a mix by their size to the
            power of one minus this: 0.5 by its root, 1 all equally often.
        freeze_epochs: first epochs in which only the head trains.
        unfreeze_blocks: backbone blocks trained afterwards, or None for all.
        patience: stop after this many epochs without a better validation result; 0 never stops early.
        max_minutes: minutes that training and validation may take: an epoch that would not end within them is not begun, but for the first;
            None for all epochs. No part of what a run records, so that a run may be gone on with, given more.
        target_recall: a classifier's decision threshold is chosen on validation to reach it, above 0 and at most 1.
        precision: "float32" or "bfloat16" (mixed).
        limit: training samples, or a share of them between 0 and 1; None for all.
        val_limit: validation samples at most; None for all.
        empty_share: share of the crack-free patches to train on; masks only.
        seed: for the split, weights, batches, augmentation and dropout.

    Raises:
        CrackError: naming the field as the command line does, what it holds and what it may hold.
    """

    model: str = "mobilenet_v2"
    data: str = ""
    policy: str | None = None
    image_size: int = 0
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    init_from: str | None = None
    epochs: int = 10
    steps_per_epoch: int | None = None
    batch: int = 64
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 0
    optimizer: str = "adam"
    loss: str = "bce"
    positive_weight: float = 1.0
    negative_weight: float = 1.0
    augmentation: float = 1.0
    adverse: float = 0.0
    camera: float = 0.0
    zoom_out: float = 1.0
    mask_weight: float = 0.0
    teacher: str | None = None
    teacher_share: float = 0.7
    balance: float | None = None
    freeze_epochs: int = 0
    unfreeze_blocks: int | None = None
    patience: int = 5
    max_minutes: float | None = None
    target_recall: float = 0.998
    precision: str = "float32"
    limit: int | float | None = None
    val_limit: int | None = None
    empty_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self, "model", "data", "weights", "loss", "hyperparameters", "init_from", "teacher")
        spec = get_model(self.model)
        filled = {
            "data": str(self.data or DEFAULT_DATA[spec.task]),
            "image_size": self.image_size or spec.image_size,
            "hyperparameters": spec.hyperparameters | dict(self.hyperparameters or {}),
            "weights": str(self.weights or ("none" if self.init_from else spec.default_weights)),
            "init_from": _model_of(self.init_from),
            "teacher": _model_of(self.teacher),
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        spec = get_model(self.model)
        unknown = sorted(set(self.hyperparameters) - set(spec.hyperparameters))
        if unknown:
            raise CrackError(f"--hp {unknown[0]!r}: {self.model} knows {', '.join(spec.hyperparameters)}.")
        for name, value in self.hyperparameters.items():
            dimension = spec.space.get(name)
            if isinstance(dimension, Choice) and (wanted := dimension.wanted(value)):
                raise CrackError(f"--hp {name}={value!r}: give {wanted}.")
        for names, holds, wanted in (
            (
                ("image_size",),
                lambda value: is_whole(value) and spec.smallest <= value <= MAX_SIDE,
                f"pixels from {spec.smallest} to {MAX_SIDE}",
            ),
            (_COUNTS, lambda value: is_whole(value) and value >= 1, "a whole number from 1"),
            (_STEPS, lambda value: is_whole(value) and value >= 0, "a whole number from 0"),
            (_POSITIVE, lambda value: is_number(value) and 0 < value < float("inf"), "a number above 0"),
            (_SHARES, lambda value: is_number(value) and 0 <= value <= 1, "a share from 0 to 1"),
            (
                ("limit",),
                lambda value: is_number(value) and value > 0 and (is_whole(value) or value < 1),
                "a number from 1, or a share such as 0.1",
            ),
            (
                ("target_recall",),
                lambda value: is_number(value) and 0 < value <= 1,
                "a share above 0 and at most 1, such as 0.998",
            ),
            (("augmentation",), lambda value: is_number(value) and 0 <= value <= 4, "a strength from 0 (none) to 4"),
            (("mask_weight",), lambda value: is_number(value) and 0 <= value <= 10, "a weight from 0 (none) to 10"),
            (("zoom_out",), lambda value: is_number(value) and 1 <= value <= 4, "a factor from 1 (never) to 4"),
        ):
            for name in names:
                value = getattr(self, name)
                if not (holds(value) or (value is None and name in _OPTIONAL)):
                    raise CrackError(f"{option_of(name)} {value!r}: give {wanted}.")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if not (value in allowed or (value is None and name in _OPTIONAL)):
                raise CrackError(f"{option_of(name)} {value!r}: choose one of {', '.join(allowed)}.")
        loss_names(self.loss)
        self._check_model(spec)

    def _check_model(self, spec: ModelSpec) -> None:
        """Refuse what the model cannot do."""
        if self.unfreeze_blocks is not None and (spec.set_trainable is None or self.unfreeze_blocks > spec.blocks):
            raise CrackError(
                f"--unfreeze-blocks {self.unfreeze_blocks}: {self.model} has {spec.blocks} blocks to unfreeze."
            )
        if self.freeze_epochs and spec.set_trainable is None:
            raise CrackError(
                f"--freeze-epochs {self.freeze_epochs}: {self.model} has no pretrained backbone to freeze."
            )
        if spec.task == "classify" and (self.loss != "bce" or self.empty_share != 1):
            raise CrackError(
                f"--loss {self.loss} --empty-share {self.empty_share:g}: {self.model} classifies whole tiles; these are for masks."
            )
        if self.mask_weight and not spec.cells:
            able = ", ".join(name for name, some in MODELS.items() if some.cells)
            raise CrackError(
                f"--mask-weight {self.mask_weight:g}: masks teach {able} where a crack is, not {self.model}."
            )
        if spec.task == "segment" and self.zoom_out != 1:
            raise CrackError(
                f"--zoom-out {self.zoom_out:g}: {self.model} draws masks; its patches are enlarged and reduced by --augmentation."
            )
        if spec.task == "segment" and self.teacher:
            raise CrackError(
                f"--teacher {self.teacher}: {self.model} draws masks; only classifiers learn from a teacher."
            )

    def as_dict(self) -> dict[str, Any]:
        """What config.json keeps as "train": all but the choice of samples, and how long one is willing to wait."""
        return {name: value for name, value in asdict(self).items() if name not in (*_SAMPLES, "max_minutes")}

    def options(self) -> list[str]:
        """The options of `crack-tf train` that give this configuration, without --out: what a person would type."""
        spec = get_model(self.model)
        usual = asdict(TrainConfig(model=self.model, init_from=self.init_from)) | {"init_from": None}
        options = ["--model", self.model]
        for name, value in asdict(self).items():
            if name not in ("model", "hyperparameters") and value != usual[name]:
                options += [option_of(name), str(value)]
        for name, value in self.hyperparameters.items():
            if value != spec.hyperparameters[name]:
                options += ["--hp", f"{name}={value!r}"]
        return options


_OPTIONAL = tuple(entry.name for entry in fields(TrainConfig) if entry.default is None)


def loss_names(loss: str) -> list[str]:
    """The parts of a loss such as "bce+dice".

    Raises:
        CrackError: for a name that is not in `LOSSES`, or one that comes twice.
    """
    names = loss.split("+")
    if not set(names) <= set(LOSSES) or len(set(names)) < len(names):
        raise CrackError(f"--loss {loss!r}: choose {', '.join(LOSSES)}, or several joined by +, such as bce+dice.")
    return names


def _model_of(start: str | Path | None) -> str | None:
    """The file to start from; a run folder stands for its model.keras."""
    if not start:
        return None
    return str(Path(start) / "model.keras") if Path(start).is_dir() else str(start)
