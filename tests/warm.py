"""Commands that need TensorFlow, started in a tenth of the time: copies of one process that has imported it.

    warm.Popen([sys.executable, "-m", "crack_tf.train", ...])       in the place of subprocess.Popen

The command gets a process of its own that can be killed, with the arguments, variables, folder and files it was given, and does what it
would do in a fresh interpreter, except that importing TensorFlow, Keras and ours costs nothing. That this is possible from cold is what
the tests of the wheel, of quiet starts and of imports show.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

# Everything but the verbs themselves. None of these computes while it is imported, so no thread is lost by copying the process.
_IMPORTED = ("crack_tf.training.loop", "crack_tf.quantisation.export", "tuning.search")
UNTRACED = "WARM_UNTRACED"  # a variable that does for a command what `untraced` of tests/conftest.py does for a test
PATIENCE = 600.0  # seconds until the first process has imported all that, on a machine that is busy with other things


class Popen(subprocess.Popen[Any]):
    """A process of `python -m MODULE ...`: this one waits for the copy that does the work, and ends as it does."""

    def __init__(self, command: list[str], **options: Any) -> None:
        assert command[:2] == [sys.executable, "-m"], command
        self.folder = served()
        super().__init__([sys.executable, "-I", "-S", __file__, str(self.folder), *command[2:]], **options)

    def send_signal(self, sig: int) -> None:
        """To the copy."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.worker(), sig)

    def worker(self) -> int:
        """The copy's process id."""
        path = self.folder / str(self.pid)
        while not path.exists():
            if self.poll() is not None:
                raise ProcessLookupError
            time.sleep(0.01)
        return int(path.read_text())


@cache
def served() -> Path:
    """The folder of this test process's first process, which is started when it is first needed."""
    from tuning.workers import end_with_parent

    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    program = [sys.executable, "-c", "import sys; from tests import warm; warm.serve(sys.argv[1])", str(folder)]
    variables = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        program, cwd=Path(__file__).parents[1], env=variables, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent
    )
    atexit.register(process.terminate)
    return folder


def serve(folder: str) -> None:
    """Copy this process for each command that asks."""
    import importlib

    def end(*_: Any) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    for name in _IMPORTED:
        importlib.import_module(name)
    os.fsync = lambda fd: None  # as in tests/conftest.py
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies that mind the others
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/new")
    listener.listen()
    os.rename(f"{folder}/new", f"{folder}/socket")
    while True:
        connection = listener.accept()[0]
        if os.fork() == 0:
            listener.close()
            _mind(connection, Path(folder))
        connection.close()


def _mind(connection: socket.socket, folder: Path) -> None:
    """Start what a command asks for, and tell it how that ended. Does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    text, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    request = json.loads(text)
    worker = os.fork()
    if worker == 0:
        connection.close()
        _work(request, files)
    for file in files:
        os.close(file)
    path = folder / str(request["pid"])
    path.with_suffix(".new").write_text(str(worker))
    path.with_suffix(".new").rename(path)
    while True:
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        if select.select([connection], [], [], 0.02)[0]:  # it was killed itself
            os.kill(worker, signal.SIGKILL)


def _work(request: dict[str, Any], files: list[int]) -> None:
    """Become what `python -m` would be. Does not return."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["variables"])
    os.chdir(request["folder"])
    tempfile.tempdir = None  # as TMPDIR says here
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(write_through=at_once)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    if UNTRACED in os.environ:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
    if request["arguments"][0].startswith("ipykernel") and "matplotlib" in sys.modules:
        # A kernel names its backend before anything imports matplotlib; here that is done already.
        sys.modules["matplotlib"].rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    sys.path[0] = request["folder"]
    sys.argv = ["-m", *request["arguments"][1:]]
    code: Any = 0
    try:
        runpy.run_module(request["arguments"][0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    with contextlib.suppress(BaseException):
        import threading

        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons, as the interpreter does
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _ask(folder: str, arguments: list[str]) -> None:
    """What the command line of `Popen` does, in an interpreter that has imported next to nothing."""
    deadline = time.monotonic() + PATIENCE
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(f"{folder}/socket")
            break
        except OSError:
            assert time.monotonic() < deadline, "the first process has not started"
            time.sleep(0.02)
    request = {"pid": os.getpid(), "arguments": arguments, "folder": os.getcwd(), "variables": dict(os.environ)}
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    code = int(connection.recv(16) or -signal.SIGKILL)
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    _ask(sys.argv[1], sys.argv[2:])
