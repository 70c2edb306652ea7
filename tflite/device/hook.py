"""What happens at a positive: a command of the user's, or a pulse on a pin of the board. Neither holds up the classifier."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from tflite.errors import CrackError

WAITING = 16  # positives that may wait for a command that is still busy; the next one is counted and passed over
_SHOWN = 3  # failures that are printed; all are counted


class Action(Protocol):
    """Something to do at a positive."""

    counts: Counter[str]

    def fire(self, positive: Mapping[str, Any]) -> None:
        """Start it and return at once; never raises."""

    def close(self) -> None:
        """Finish what was started. Calling it again does nothing more."""


class CommandHook:
    """Runs a command per positive, one at a time, with the positive as JSON on its standard input. No shell is involved.

    Args:
        command: such as "python3 spray.py --pin 17", split into words as a shell would.
        seconds: after that long the command and its children are killed.

    Attributes:
        counts: "done", "failed" (exit code other than 0), "timed out", "passed over" (too many were waiting).

    Raises:
        CrackError: if the command is empty, cannot be split, or does not exist.
    """

    def __init__(self, command: str, seconds: float) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise CrackError(f"--hook {command!r} cannot be split into words ({error}). Check its quotes.") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise CrackError(
                f"--hook {command!r}: there is no such command, or it may not be executed. Give its full path."
            )
        self.counts: Counter[str] = Counter()
        self._seconds = seconds
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="hook")
        self._thread.start()

    def fire(self, positive: Mapping[str, Any]) -> None:
        try:
            self._waiting.put_nowait(json.dumps(positive).encode() + b"\n")
        except queue.Full:
            self._note("passed over", f"{WAITING} are waiting already")

    def close(self) -> None:
        """Let the commands that wait run, for at most one time limit in all; those left are passed over."""
        if not self._thread.is_alive():
            return
        threading.Thread(target=self._waiting.put, args=(None,), daemon=True).start()  # the queue may be full
        self._thread.join(self._seconds)
        self._hurry.set()
        self._thread.join(self._seconds + 1)

    def _work(self) -> None:
        while (positive := self._waiting.get()) is not None:
            if self._hurry.is_set():
                self._note("passed over", "the run ended")
                continue
            try:
                self._run(positive)
            except OSError as error:
                self._note("failed", str(error))

    def _run(self, positive: bytes) -> None:
        process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # the run's own output stays readable; errors of the command are shown
            start_new_session=True,  # so that its children can be killed with it, and Ctrl-C does not reach it
        )
        try:
            process.communicate(positive, timeout=self._seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._note("timed out", f"killed after {self._seconds:g} s")
            return
        if process.returncode:
            self._note("failed", f"exit code {process.returncode}")
        else:
            self.counts["done"] += 1

    def _note(self, outcome: str, reason: str) -> None:
        self.counts[outcome] += 1
        if self.counts[outcome] <= _SHOWN:
            print(f"warning: hook {self._words[0]}: {outcome} ({reason}).", file=sys.stderr)


class PinPulse:
    """Switches a GPIO pin of a Raspberry Pi on for a moment, through gpiozero.

    Args:
        pin: GPIO number (BCM).
        seconds: length of the pulse; a positive meanwhile starts it anew.

    Attributes:
        counts: "done" and "failed".

    Raises:
        CrackError: if gpiozero is missing or the pin cannot be had.
    """

    def __init__(self, pin: int, seconds: float) -> None:
        try:
            from gpiozero import DigitalOutputDevice
        except ImportError as error:
            raise CrackError(f"--gpio {pin} needs gpiozero ({error}). Run: pip install gpiozero lgpio") from None
        try:
            self._device = DigitalOutputDevice(pin)
        except Exception as error:  # gpiozero has one kind of error per pin library
            raise CrackError(f"--gpio {pin}: the pin cannot be used ({type(error).__name__}: {error}).") from None
        self.counts: Counter[str] = Counter()
        self._seconds = seconds
        self._until = 0.0

    def fire(self, positive: Mapping[str, Any]) -> None:
        self._until = time.monotonic() + self._seconds
        try:
            self._device.blink(on_time=self._seconds, off_time=0, n=1, background=True)
            self.counts["done"] += 1
        except Exception as error:
            self.counts["failed"] += 1
            if self.counts["failed"] <= _SHOWN:
                print(f"warning: gpio: {type(error).__name__}: {error}", file=sys.stderr)

    def close(self) -> None:
        time.sleep(max(0.0, self._until - time.monotonic()))  # the last pulse is as long as the others
        with contextlib.suppress(Exception):
            self._device.off()
            self._device.close()
