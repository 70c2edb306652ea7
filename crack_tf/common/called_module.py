"""Modules that can be called, such as `crack_tf.survey`: their help is that of the function behind them."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from importlib.abc import InspectLoader
from types import ModuleType
from typing import Any

_CALLED = re.compile(r"See `([\w.]+)\.(\w+)`\.$")  # the last line of a `__call__`; docs/site_hooks.py reads it, too


def make_callable(name: str, kind: type[ModuleType]) -> None:
    """Let a module be called.

    Args:
        name: the module's.
        kind: a class with a `__call__`, whose docstring ends in: See `module.function`.
    """
    # Where `help` and editors look; the module's own text stays in its globals, for its `--help`.
    kind.__doc__ = property(_help)  # type: ignore[assignment]
    sys.modules[name].__class__ = kind


def _help(module: Any) -> str | None:
    """The docstring of the function that is called, with the signature of the call; read, since importing it may load Keras.

    The module's own where there is nothing to read: under `python -OO`, or from an installation without sources.
    """
    call = type(module).__call__
    taken = inspect.signature(call)
    taken = taken.replace(parameters=[*taken.parameters.values()][1:])  # without self
    function = _function(call)
    if function is None:
        own_text: str | None = vars(module).get("__doc__")
        return own_text
    given = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
    own = tuple(f"    {name}: " for name in given - set(taken.parameters))
    summary, _, rest = (ast.get_docstring(function) or "").partition("\n")
    lines = [line for line in rest.splitlines() if not (own and line.startswith(own))]
    signature = str(taken).replace("'", "")
    return "\n".join([summary, "", f"{module.__name__}{signature}", *lines])


def _function(call: Any) -> ast.FunctionDef | None:
    if call.__doc__ is None:
        return None
    found = _CALLED.search(inspect.cleandoc(call.__doc__))  # getdoc would find that of every object's `__call__`
    assert found is not None, f"{call.__qualname__}: its docstring does not end in: See `module.function`."
    spec = importlib.util.find_spec(found[1])
    assert spec is not None
    source = spec.loader.get_source(found[1]) if isinstance(spec.loader, InspectLoader) else None
    if source is None:
        return None
    nodes = ast.parse(source).body
    return next(node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == found[2])
