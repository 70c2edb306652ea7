"""Work runs in a process of its own, and where this Python cannot start itself that is noticed."""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tflite import isolate
from tflite.errors import CrackError
from tflite.images import load_rgb


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    isolate.can_spawn.cache_clear()
    yield
    isolate.can_spawn.cache_clear()


def test_the_result_comes_from_another_process() -> None:
    assert isolate.in_child(os.path.basename, "a/b") == "b"
    assert isolate.in_child(os.getenv, "HOME") == os.getenv("HOME")


def test_a_users_error_in_the_child_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"absent\.png"):
        isolate.in_child(load_rgb, str(tmp_path / "absent.png"))


def test_a_process_that_dies_is_reported() -> None:
    with pytest.raises(CrackError, match="ended with code 3"):
        isolate.in_child(os._exit, 3)


def test_this_python_can_start_itself() -> None:
    assert isolate.can_spawn()


@pytest.mark.parametrize(
    "program",
    [
        "\x7fELF of another processor",  # what the kernel says to a foreign program: exec format error
        "#!/bin/sh\nexit 127\n",
        "#!/bin/sh\necho riscv64 3.4 of the machine below\n",  # a Python, but not this one
    ],
    ids=["foreign", "failing", "another"],
)
def test_an_emulated_python_cannot_start_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    path = tmp_path / "python3"
    path.write_text(program)
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    assert not isolate.can_spawn()


def test_a_python_for_another_processor_is_not_taken_for_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64" if os.uname().machine != "aarch64" else "x86_64")
    assert not isolate.can_spawn()


def test_ctrl_c_while_a_process_starts_counts_once_it_has_started() -> None:
    done = []
    # Tests that a shell runs in the background inherit a SIGINT that is ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)

    def start() -> None:
        with isolate.interrupts_held():
            signal.raise_signal(signal.SIGINT)
            done.append("started")

    try:
        with pytest.raises(KeyboardInterrupt):
            start()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert done == ["started"]
