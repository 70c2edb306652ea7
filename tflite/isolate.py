"""Run a function in a fresh process of its own, so that peak memory belongs to it alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from tflite.errors import CrackError

Result = TypeVar("Result")

_PROBE_SECONDS = 60.0  # an emulated Python takes seconds to start
# What a child must share with this process to measure the same thing.
_IDENTITY = "import platform, sys; print(platform.machine(), sys.version)"


@cache
def can_spawn() -> bool:
    """Whether `sys.executable` starts this same Python again.

    Under user-mode emulation (qemu-aarch64 without binfmt_misc) it does not: the kernel of the machine below refuses the
    foreign program, or finds a Python of its own under that path, which would measure another machine.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _IDENTITY], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == f"{platform.machine()} {sys.version}".split()


def in_child(function: Callable[[Any], Result], argument: Any) -> Result:
    """Call a module-level function in a fresh process and return its result.

    Args:
        function: of a module that the child can import.
        argument: its only argument; travels by pickle, as does the result.

    Raises:
        CrackError: the function's own, or that the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, argument), daemon=True)
    try:
        # Ctrl-C reaches the whole process group. The child inherits the blocked signal and never sees it; the parent gets
        # it when the block is lifted, at the latest, and ends the child.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with interrupts_held():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        sender.close()
        outcome = receiver.recv()
    except EOFError:
        process.join()
        raise CrackError(
            f"the measuring process ended with code {process.exitcode} and no result "
            "(-9 usually means that memory ran out). Try fewer models or threads."
        ) from None
    finally:
        if process.pid is not None:
            process.terminate()
            process.join()
        receiver.close()
    if isinstance(outcome, CrackError):
        raise outcome
    result: Result = outcome
    return result


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C counts when the block ends. A blocked signal is still delivered to other threads, and Python then interrupts its main thread:
    between the start of a process and the arguments it is handed, which it would miss with a traceback of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard and callable(before):
        before(heard[0], None)


def _child(sender: Any, function: Callable[[Any], Any], argument: Any) -> None:
    try:
        outcome = function(argument)
    except CrackError as error:
        outcome = error
    sender.send(outcome)
    sender.close()
