"""Arguments of the front door. What is checked in the same way on a board is in `tflite.arguments`."""

from __future__ import annotations

import reprlib
from typing import Any

from tflite.errors import CrackError


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
