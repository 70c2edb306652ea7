"""Are the arguments of the right kind? One sentence that names the argument, before anything is done with it.

A configuration states its fields' types as annotations; `check_types` compares the values with them, so that no configuration needs a list
of its own. Ranges are each configuration's business.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from tflite.errors import CrackError


def option_of(name: str) -> str:
    """The command line's option that fills a field."""
    return "--" + name.replace("_", "-")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; numpy's are not, which no JSON file takes."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a number; NaN is one."""
    return is_whole(value) or isinstance(value, float)


def is_path(value: Any) -> bool:
    """Whether a value names a file or a folder."""
    return isinstance(value, str | os.PathLike)


def is_list(value: Any) -> bool:
    """Whether a value is a list or a tuple; a text is none, although it has parts."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


# By what an annotation begins with. What is not listed is not checked. A path may stand wherever a text does: many texts are paths.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (is_whole, "a whole number"),
    "float": (is_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "str": (is_path, "a text"),
    "Path": (is_path, "a path"),
    "tuple": (is_list, "a list"),
    "Sequence": (is_list, "a list"),
    "dict": (lambda value: isinstance(value, Mapping), "a dictionary"),
    "None": (lambda value: value is None, "None"),
}


def check_types(config: Any, *names: str) -> None:
    """Compare the fields of a configuration, a dataclass, with their annotations.

    Args:
        config: the object.
        names: of the fields; all where none is given.

    Raises:
        CrackError: naming the first field of another type as the option that fills it, its value, and what to give.
    """
    for field in fields(config):
        if names and field.name not in names:
            continue
        allowed = [part.partition("[")[0].strip() for part in str(field.type).split(" | ")]
        if not set(allowed) <= set(_KINDS):
            continue
        value = getattr(config, field.name)
        if not any(_KINDS[part][0](value) for part in allowed):
            wanted = " or ".join(dict.fromkeys(_KINDS[part][1] for part in allowed))
            raise CrackError(f"{option_of(field.name)} {reprlib.repr(value)}: give {wanted}.")


def check_path(name: str, value: Any, wanted: str, optional: bool = False) -> None:
    """Compare an argument that is to name a file or a folder.

    Args:
        name: of the argument.
        value: given.
        wanted: what to give, such as "a folder of photographs".
        optional: whether None will do.

    Raises:
        CrackError: if it is neither text nor a path.
    """
    if not is_path(value) and not (optional and value is None):
        raise CrackError(f"{name} is {reprlib.repr(value)}: give {wanted}.")


def check_config(value: Any, kind: type, optional: bool = False) -> None:
    """Compare an argument `config` with the configuration's class.

    Args:
        value: given.
        kind: the class.
        optional: whether None will do.

    Raises:
        CrackError: if it is anything else, such as a dictionary of its fields.
    """
    if not isinstance(value, kind) and not (optional and value is None):
        name = kind.__name__
        raise CrackError(f"config is {reprlib.repr(value)}: give the result of crack_tf.{name}(...).")
