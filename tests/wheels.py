"""What the tests of wheels share: an installer, environments, and commands in them that see nothing of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("crack_tf", "tflite", "tuning", "notebooks")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "requirements-device.txt")
PATIENCE = 300.0  # seconds for a command on a loaded machine; warm and quiet all of this file takes less than 90
Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment() -> dict[str, str]:
    """Without what points at this checkout or at its interpreter's packages."""
    own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TF_CPP_MIN_LOG_LEVEL")
    return {name: value for name, value in os.environ.items() if name not in own and not name.startswith("CRACK_TF")}


def call(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        capture_output=True,
        text=True,
        env=clean_environment() | variables,
        timeout=PATIENCE,
        check=False,
    )


def processor_seconds() -> float:
    """What all commands that have ended took. What a clock says besides depends on what else the machine does."""
    spent = os.times()
    return spent.children_user + spent.children_system


class Installer:
    """uv where there is one, else pip; both from the package registry that is set up."""

    def __init__(self, folder: Path) -> None:
        beside = Path(sys.executable).with_name("uv")
        self.uv = str(beside) if beside.is_file() else shutil.which("uv")
        self.folder = folder
        self.seconds = 0.0  # of processor time, for the base installation

    def _done(self, *command: object) -> None:
        done = call(*command, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def environment(self, name: str) -> Path:
        """A fresh virtual environment; its interpreter."""
        path = self.folder / name
        self._done(*([self.uv, "venv"] if self.uv else [sys.executable, "-m", "venv"]), *self._python(), path)
        return path / "bin" / "python"

    def _python(self) -> list[str]:
        return ["--python", sys.executable] if self.uv else []

    def install(self, python: Path, *what: object) -> subprocess.CompletedProcess[str]:
        """Install into an environment."""
        if self.uv:
            return call(self.uv, "pip", "install", "-q", "--python", python, *what, cwd=self.folder)
        return call(python, "-m", "pip", "install", "-q", *what, cwd=self.folder)

    def build(self) -> Path:
        """The wheel, built from a copy of the sources alone: no build folder of before, no other file of the checkout."""
        source, out = self.folder / "source", self.folder / "dist"
        for name in SOURCES:
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copyfile(ROOT / name, source / name)
        if self.uv:
            self._done(self.uv, "build", "-q", "--wheel", "--python", sys.executable, "-o", out, source)
        else:
            self._done(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, source)
        (wheel,) = out.glob("*.whl")
        return wheel


def installer_or_skip(folder: Path) -> Installer:
    """An installer that works in a folder; skips the test where no package registry can be reached."""
    found = Installer(folder)
    probe = found.install(found.environment("probe"), "tqdm")
    if probe.returncode:
        line = (probe.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"no package registry can be reached, so no wheel can be installed: {line}")
    return found
