"""TensorFlow tells what it found on the machine before our own first line. This keeps it from that, and loses no error.

Two things print: the C++ library while it is loaded, which no setting reaches (its log is not set up yet), and what runs later, which
`TF_CPP_MIN_LOG_LEVEL` does reach. So the variable is set, and stderr passes through a filter for as long as `import tensorflow` takes.
The filter is a process of its own: what a dying process said last still gets through.

LiteRT has one such line, which it prints when the first model of a process is loaded. How long loading takes is measured, so no process is
started for that: stderr goes to memory meanwhile.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NAME = "tensorflow"
# Informative lines in both of its formats, the second line of one, what absl says because its log is not set up, and what the quantiser
# prints of its own settings. Warnings pass.
_CHATTER = (
    r"^I[0-9]{4} ",
    r"^[0-9-]+ [0-9:.]+: I ",
    r"^To enable the following instructions: ",
    r"^WARNING: All log messages before absl::InitializeLog\(\) ",
    r"^fully_quantize: ",
)
_DELEGATE_LINE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_first_load = threading.Lock()
_loaded = threading.Event()
_PATIENCE = 5.0  # seconds for the filter's last lines


def quiet_tensorflow() -> None:
    """From now on TensorFlow starts without telling about oneDNN, CPU instructions and CUDA, in this process and its children.

    What fails reaches Python as an exception, and what ends the process is printed at every level. Where TF_CPP_MIN_LOG_LEVEL is set to
    less than 3, somebody wants to see it, and nothing is filtered.
    """
    os.environ.setdefault(_LEVEL, "3")
    if _wants_to_see() or _NAME in sys.modules:
        return
    if not any(isinstance(finder, _Quieter) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Quieter())


def _wants_to_see() -> bool:
    return os.environ.get(_LEVEL, "3") != "3"


class _Quieter(MetaPathFinder):
    """Finds nothing itself: it has whoever finds TensorFlow load it behind the filter."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _NAME or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        loader: Any = None if spec is None else spec.loader
        if hasattr(loader, "exec_module"):
            load = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                with filtered_stderr():
                    load(module)

            loader.exec_module = exec_module
        return spec


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Leave the chatter out of what this process, native code included, writes to file descriptor 2 meanwhile.

    All passes where somebody wants to see it, as for `quiet_tensorflow`.
    """
    if _wants_to_see():
        yield
        return
    sys.stderr.flush()
    try:
        real = os.dup(2)
    except OSError:  # closed: nobody reads it
        yield
        return
    try:
        script = ";".join(f"/{pattern}/d" for pattern in _CHATTER)
        sieve = subprocess.Popen(["sed", "-u", "-E", script], stdin=subprocess.PIPE, stdout=real)
    except OSError:  # no sed
        os.close(real)
        yield
        return
    assert sieve.stdin is not None
    os.dup2(sieve.stdin.fileno(), 2)
    sieve.stdin.close()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)
        os.close(real)
        # A process that was started meanwhile may hold the other end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sieve.wait(_PATIENCE)


@contextlib.contextmanager
def first_model() -> Iterator[None]:
    """Around loading a model: leaves LiteRT's line about its delegate out, in whichever thread it comes first. All other lines follow."""
    if _loaded.is_set() or _wants_to_see():
        yield
        return
    with _first_load:
        try:
            real, memory = os.dup(2), os.memfd_create("stderr")
        except (OSError, AttributeError):  # closed; a system without
            yield
            return
        os.dup2(memory, 2)
        try:
            yield
            _loaded.set()
        finally:
            os.dup2(real, 2)
            with os.fdopen(memory, "rb") as stream:
                stream.seek(0)
                said = b"".join(line for line in stream if line.rstrip() != _DELEGATE_LINE)
            with contextlib.suppress(OSError):
                os.write(real, said)
            os.close(real)
