"""Are the arguments of the right kind? One sentence that names the argument, before anything is done with it.

A configuration states its fields' types as annotations; `check_types` compares the values with them, so that no configuration needs a list
of its own. Ranges are each configuration's business.
"""

from __future__ import annotations

import os
import reprlib
import sys
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


def is_finite(value: Any) -> bool:
    """Whether a value is a number that arithmetic takes: no NaN, and no whole number beyond the largest float."""
    return is_number(value) and -sys.float_info.max <= value <= sys.float_info.max


def short_repr(value: Any) -> str:
    """A value for a message, however long it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of too many digits"


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
            raise CrackError(f"{option_of(field.name)} {short_repr(value)}: give {wanted}.")


def check_path(name: str, value: Any, wanted: str, optional: bool = False) -> None:
    """Compare an argument that is to name a file or a folder.

    Args:
        name: of the argument.
        value: given.
        wanted: what to give, such as "a folder of photographs".
        optional: whether None will do.

    Raises:
        CrackError: if it is neither text nor a path, or empty text, which would name the folder one is in.
    """
    if value == "" or (not is_path(value) and not (optional and value is None)):
        raise CrackError(f"{name} is {short_repr(value)}: give {wanted}.")


def check_counts(config: Any, *names: str, least: int = 1) -> None:
    """Compare fields that count something with the least that makes sense; None, where a field's type allows it, passes.

    Args:
        config: a dataclass.
        names: of the fields.
        least: the smallest number allowed.

    Raises:
        CrackError: naming the first field that is smaller or no whole number, its value, and what to give.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not (is_whole(value) and value >= least):
            raise CrackError(f"{option_of(name)} {short_repr(value)}: give a whole number from {least}.")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Compare a field with the words that it may be; None passes.

    Raises:
        CrackError: naming the field, its value and the words.
    """
    if value is not None and value not in allowed:
        raise CrackError(f"{option_of(name)} {short_repr(value)}: choose one of {', '.join(allowed)}.")
