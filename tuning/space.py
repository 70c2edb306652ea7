"""From declared search spaces (`crack_tf.models.space`) and the command line to Keras Tuner's hyperparameters, and back."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crack_tf.models import ModelSpec, get_model
from crack_tf.models.space import MASK_TRAINING, TRAINING, Choice, Range, Space
from crack_tf.training.config import TrainConfig
from tflite.errors import CrackError

# Settings of a training that no space declares but --fix may hold. All others have an option of the search, or are a trial's own.
OTHERS = (
    "schedule",
    "warmup_steps",
    "loss",
    "negative_weight",
    "adverse",
    "camera",
    "zoom_out",
    "teacher_share",
    "balance",
    "freeze_epochs",
    "unfreeze_blocks",
    "precision",
    "val_limit",
    "empty_share",
)


@dataclass(frozen=True)
class Question:
    """What a search asks.

    Attributes:
        space: what is searched.
        held: hyperparameters and training settings that are not.
        experiments: settings by name, where the space is a study's list of "experiment" names instead of dimensions.
    """

    space: Space
    held: dict[str, Any]
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Aligned text, defaults in brackets."""
        width = max(map(len, (*self.space, *self.held)))
        lines = [f"{name:<{width}}  {dimension}" for name, dimension in self.space.items()]
        lines += [f"{name:<{width}}  {value} (held)" for name, value in self.held.items()]
        return "\n".join(lines)

    def settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Everything a trial sets: what is held, what was drawn, and what a study's experiment changes."""
        settings = self.held | values
        return settings | self.experiments.get(settings.pop("experiment", ""), {})


def search_space(
    model: str, fixed: Sequence[str] = (), varied: Sequence[str] = (), only: str | None = None
) -> Question:
    """What is searched and what is held.

    Args:
        model: registry name; its own space and the training's are the start.
        fixed: texts NAME=VALUE: held at that value, inside or outside the declared ones; also any other setting of the training.
        varied: texts NAME=VALUE,VALUE,...: searched over these values instead of the declared ones.
        only: names with commas between: search these, hold the rest at their defaults.

    Raises:
        CrackError: for a name that cannot be searched, a malformed text, or a space with nothing left to vary.
    """
    spec = get_model(model)
    space: Space = {**spec.space, **(MASK_TRAINING if spec.task == "segment" else TRAINING)}
    held: dict[str, Any] = {}
    for text in varied:
        name, values = _parse("--vary", text, space)
        options = values if isinstance(values, tuple) else (values,)
        if len(set(map(repr, options))) < 2:
            raise CrackError(f"--vary {text!r}: give at least two different values, or use --fix.")
        for value in options:
            _check("--vary", spec, name, value)
        default = space[name].default
        space[name] = Choice(options, default if default in options else options[0])
    for text in fixed:
        name, value = _parse("--fix", text, (*space, *(name for name in OTHERS if name not in space)))
        _check("--fix", spec, name, value)
        if name in (other.partition("=")[0] for other in varied):
            raise CrackError(f"--fix {text!r}: --vary searches it. Leave one out.")
        held[name] = value
    if only is not None:
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        for name in wanted:
            _known("--only", name, space)
        held = {name: dimension.default for name, dimension in space.items() if name not in wanted} | held
    space = {name: dimension for name, dimension in space.items() if name not in held}
    if not space:
        raise CrackError("nothing is left to search: every dimension is held. Drop a --fix, or name more with --only.")
    return Question(space, held)


def declare(space: Space) -> Any:
    """The space as a `keras_tuner.HyperParameters`."""
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    for name, dimension in space.items():
        if isinstance(dimension, Range):
            sampling = "log" if dimension.log else "linear"
            hyperparameters.Float(name, dimension.low, dimension.high, sampling=sampling, default=dimension.default)
        else:
            values = [_encode(dimension, value) for value in dimension.values]
            hyperparameters.Choice(name, values, default=_encode(dimension, dimension.default))
    return hyperparameters


def decode(space: Space, values: dict[str, Any]) -> dict[str, Any]:
    """Values as Keras Tuner gives them, back to the declared ones; its own ("tuner/...") are left out."""
    decoded = {}
    for name, dimension in space.items():
        value = values.get(name)
        if isinstance(dimension, Choice) and value is not None:
            value = next(v for v in dimension.values if _encode(dimension, v) == value)
        decoded[name] = dimension.default if value is None else value
    return decoded


def _encode(dimension: Choice, value: Any) -> Any:
    """Keras Tuner takes choices of one plain type only; anything else goes by its label."""
    kinds = {type(v) for v in dimension.values}
    return value if kinds in ({int}, {float}, {str}) else str(value)


def _parse(option: str, text: str, known: Iterable[str]) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CrackError(f"{option} {text!r}: write NAME=VALUE.")
    _known(option, name, known)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        pass
    # Bare words (adam, bce+dice) are strings: nobody likes to quote twice in a shell.
    words = tuple(word.strip() for word in value.split(","))
    if not all(part.isidentifier() for word in words for part in word.split("+")):
        raise CrackError(f"{option} {text!r}: {value!r} is neither a number, a word, nor several with commas between.")
    return name, words if len(words) > 1 else words[0]


def _check(option: str, spec: ModelSpec, name: str, value: Any) -> None:
    """Refuse what no training takes, before the first trial does."""
    own = name in spec.hyperparameters
    try:
        TrainConfig(model=spec.name, **({"hyperparameters": {name: value}} if own else {name: value}))
    except CrackError as error:
        raise CrackError(f"{option} {name}={value!r}: {str(error).partition(': ')[2]}") from None


def _known(option: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        what = "held" if option == "--fix" else "searched"
        raise CrackError(f"{option} {name!r} cannot be {what} here; what can: {', '.join(known)}.")
