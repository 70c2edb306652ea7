"""Modules that can be called, such as `crack_tf.survey`: their help is that of the function behind them."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from pathlib import Path
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


def _help(module: Any) -> str:
    """The docstring of the function that is called, with the signature of the call; read, since importing it may load Keras."""
    call = type(module).__call__
    taken = inspect.signature(call)
    taken = taken.replace(parameters=[*taken.parameters.values()][1:])  # without self
    function = _function(call)
    given = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
    own = tuple(f"    {name}: " for name in given - set(taken.parameters))
    summary, _, rest = (ast.get_docstring(function) or "").partition("\n")
    lines = [line for line in rest.splitlines() if not (own and line.startswith(own))]
    signature = str(taken).replace("'", "")
    return "\n".join([summary, "", f"{module.__name__}{signature}", *lines])


def _function(call: Any) -> ast.FunctionDef:
    found = _CALLED.search(inspect.getdoc(call) or "")
    assert found is not None, f"{call.__qualname__}: its docstring does not end in: See `module.function`."
    spec = importlib.util.find_spec(found[1])
    assert spec is not None
    assert spec.origin is not None
    nodes = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    return next(node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == found[2])
