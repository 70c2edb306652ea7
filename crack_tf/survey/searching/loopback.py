"""A Dask scheduler and workers of one thread each, as processes of this machine: to measure with, and for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crack_tf.survey.searching.cluster import distributed_package
from tflite.errors import CrackError

START_S = 300.0  # busy machines take long to import


@dataclass(frozen=True)
class Loopback:
    """A cluster that runs.

    Attributes:
        address: of its scheduler.
        workers: their processes. Nothing starts one again that was killed.
    """

    address: str
    workers: list[subprocess.Popen[bytes]]

    def cpu_seconds(self) -> float:
        """What the workers that live have taken of processors so far, together."""
        return sum(_cpu_seconds(worker.pid) for worker in self.workers if worker.poll() is None)


@contextmanager
def loopback_cluster(folder: Path, workers: int) -> Iterator[Loopback]:
    """Start a scheduler and workers, wait until all are there, and end them after the block.

    Args:
        folder: for their logs and scratch files, made if missing.
        workers: how many. Each has a core of its own, while there are enough.

    Raises:
        CrackError: if Dask is not installed, or they do not start.
    """
    dask = distributed_package()
    folder.mkdir(parents=True, exist_ok=True)
    address = f"tcp://127.0.0.1:{_free_port()}"
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        stack.enter_context(_started(folder, "scheduler", "--host", address, "--no-dashboard", "--no-show"))
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
        processes = []
        for number in range(workers):
            process = stack.enter_context(_started(folder, "worker", address, "--name", f"w{number}", *options))
            os.sched_setaffinity(process.pid, {cores[number % len(cores)]})
            processes.append(process)
        try:
            with dask.Client(address, timeout=START_S, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=START_S)
        except (OSError, TimeoutError) as error:
            raise CrackError(
                f"a scheduler and {workers} workers did not start here ({error}); see the logs in {folder}."
            ) from None
        yield Loopback(address, processes)


@contextmanager
def _started(folder: Path, role: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    # From the checkout that runs, wherever it was started.
    paths = [str(Path(__file__).parents[3]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / f"{role}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", role, *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cpu_seconds(process: int) -> float:
    """User and system time by proc(5): the 14th and 15th field, of which the second, a name, may hold anything."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
