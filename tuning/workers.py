"""Several workers on this machine: Keras Tuner's chief and workers as processes, watched over and restarted.

A worker that dies is started again under its own name. The chief then gives it the trial it held, which goes on from its newest
checkpoint: no trial is lost, none runs twice. On several hosts the same three environment variables do it (see the README).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tflite.cli import EXIT_USER_ERROR
from tflite.errors import CrackError

TUNER_ID, ORACLE_IP, ORACLE_PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
CHIEF = "chief"
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_RESTARTS = 3  # per worker, without a trial finished in between
_PATIENCE = 30  # seconds a process gets to end before it is killed


def role() -> str | None:
    """ "chief", a worker's name, or None when this process searches alone.

    Raises:
        CrackError: if only some of Keras Tuner's variables are set.
    """
    found = {name: os.environ.get(name) for name in (TUNER_ID, ORACLE_IP, ORACLE_PORT)}
    missing = [name for name, value in found.items() if not value]
    if len(missing) == len(found):
        return None
    if missing:
        raise CrackError(
            f"a distributed search needs {', '.join(found)}; missing: {', '.join(missing)}. Set all, or none."
        )
    return found[TUNER_ID]


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, even by kill -9: an orphaned chief would go on unseen."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A TCP port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Crew:
    """A chief and its workers.

    Args:
        command: of the search, as one process alone would run it.
        count: workers.
        logs: folder for what each process prints.
        finished: counts finished trials, to tell a worker that fails at once from one that dies now and then.
        say: takes the chief's progress lines and what happens to workers.
    """

    def __init__(
        self, command: Sequence[str], count: int, logs: Path, finished: Callable[[], int], say: Callable[[str], None]
    ) -> None:
        self.command = list(command)
        self.names = [f"worker{number}" for number in range(count)]
        self.logs = logs
        self.finished = finished
        self.say = say
        self.port = free_port()
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.deaths: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        """Run until nothing is left to do: every worker has ended, or the chief has, well, after telling them all.

        Raises:
            CrackError: if the chief ends early, a worker reports an error of the user's, or one keeps dying.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            self.start(CHIEF)
            for name in self.names:
                self.start(name)
            while CHIEF in self.running and any(name in self.running for name in self.names):
                time.sleep(0.3)
                self.watch()
        finally:
            self.stop()

    def start(self, name: str) -> None:
        """Start a process under its name; the chief's output is passed on, a worker's goes to its log."""
        threads = max(1, (os.cpu_count() or 1) // len(self.names))
        environment = os.environ | {
            TUNER_ID: name,
            ORACLE_IP: "127.0.0.1",
            ORACLE_PORT: str(self.port),
            "PYTHONUNBUFFERED": "1",
            "TF_NUM_INTRAOP_THREADS": str(threads),
        }
        with self.log(name).open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                self.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == CHIEF else log,
                stderr=log,
                text=True,
                preexec_fn=end_with_parent,
            )
        self.running[name] = process
        if name == CHIEF:
            threading.Thread(target=self.pass_on, args=(process,), daemon=True).start()

    def pass_on(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(line.rstrip("\n"))

    def watch(self) -> None:
        """Look after processes that ended."""
        for name, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            if name == CHIEF and code != 0:
                raise CrackError(
                    f"the chief ended with code {code}: {self.last_line(CHIEF)} Finished trials are kept; the same command "
                    "goes on."
                )
            if CHIEF not in self.running or code == 0:
                continue  # a worker that the chief has no more work for is not started again, however it ended
            if code == EXIT_USER_ERROR:
                raise CrackError(f"{name}: {self.last_line(name).removeprefix('error: ')}")
            self.revive(name, code)

    def revive(self, name: str, code: int) -> None:
        """Start a dead worker again, unless it keeps dying.

        Raises:
            CrackError: if it died several times with no trial finished in between.
        """
        done = self.finished()
        deaths, before = self.deaths.get(name, (0, done))
        deaths = deaths + 1 if done == before else 1
        self.deaths[name] = (deaths, done)
        reason = signal.Signals(-code).name if code < 0 else f"code {code}"
        if deaths > _RESTARTS:
            raise CrackError(
                f"{name} died {deaths} times ({reason}) with no trial finished in between. See {self.log(name)}. The same "
                "command goes on once that is mended, for instance with fewer --workers if memory ran out."
            )
        self.say(f"{name} died ({reason}): started again, it goes on with its trial")
        self.start(name)

    def stop(self) -> None:
        """End what still runs: politely first. State is saved after every step, so nothing is lost."""
        for process in self.running.values():
            process.terminate()
        deadline = time.monotonic() + _PATIENCE
        for process in self.running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def last_line(self, name: str) -> str:
        lines = [line for line in self.log(name).read_text(encoding="utf-8", errors="replace").splitlines() if line]
        return lines[-1] if lines else "it printed nothing."


def command_of(arguments: Sequence[str]) -> list[str]:
    """This search's command for one process: the same options less --workers and --overwrite (done by the parent)."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--workers":
            skip = True
        elif argument != "--overwrite" and not argument.startswith("--workers="):
            kept.append(argument)
    return [sys.executable, "-m", "crack_tf.tune", *kept]
