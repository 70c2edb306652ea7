"""The device side runs where only numpy, Pillow and LiteRT are installed, and never reaches into crack_tf."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tflite
from crack_tf.deploy.bundle import HOST_MODULES

ROOT = Path(tflite.__file__).parents[1]
HOST = tuple(Path(name).stem for name in HOST_MODULES)
# A new module is on the device side unless it is named there.
DEVICE = tuple(
    ".".join(path.relative_to(ROOT / "tflite").with_suffix("").parts)
    for path in sorted((ROOT / "tflite").rglob("*.py"))
    if path.stem not in ("__init__", "__main__", *HOST)
)
BLOCKED = (
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "matplotlib",
    "pandas",
    "sklearn",
    "scipy",
    "skimage",
    "cv2",
    "pymavlink",
    "crack_tf",
)

# Installed packages other than these may be absent on a Pi.
PROGRAM = """
import importlib, importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Absent())
for name in DEVICE:
    importlib.import_module(f"tflite.{name}")
"""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    head = f"BLOCKED = {BLOCKED!r}\nDEVICE = {DEVICE!r}\n"
    command = [sys.executable, "-c", head + textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_device_side_imports_without_heavy_packages() -> None:
    done = python(PROGRAM + "print('ok')")
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr


def test_importing_the_device_side_does_not_even_load_the_interpreter() -> None:
    done = python(
        PROGRAM + "print([name for name in sys.modules if name.startswith(('ai_edge_litert', 'flatbuffers'))])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_model_runs_and_is_measured_without_heavy_packages(models: dict[str, Path]) -> None:
    program = (
        PROGRAM
        + """
from pathlib import Path
from tflite.measure import Job, measure
from tflite.runtime import Classifier
from tflite.sidecar import golden_input
print(Classifier(sys.argv[1]).logit(golden_input(32)))
print(measure(Job(Path(sys.argv[1]), "tiny", 1, "xnnpack", 50, 1, None))["runs"])
assert not any(name.split(".")[0] in BLOCKED for name in sys.modules)
"""
    )
    done = python(program, str(models["uint8"]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "50"


def test_the_block_would_be_noticed() -> None:
    assert python(PROGRAM + "import tensorflow").returncode != 0


@pytest.mark.parametrize("path", sorted((ROOT / "tflite").rglob("*.py")), ids=lambda path: path.stem)
def test_tflite_never_imports_crack_tf(path: Path) -> None:
    assert not re.search(r"^\s*(from|import) crack_tf\b", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", DEVICE)
def test_the_device_side_never_imports_what_is_the_hosts(name: str) -> None:
    """Not in a function either."""
    found = set()
    path = ROOT / "tflite" / Path(*name.split(".")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    assert found & {f"tflite.{host}" for host in HOST} == set()


def test_the_device_requirements_are_light_and_the_runtime_is_pinned() -> None:
    lines = (ROOT / "requirements-device.txt").read_text(encoding="utf-8").splitlines()
    wanted = {re.split(r"[=<>]", line)[0]: line for line in lines if line and not line.startswith("#")}
    assert set(wanted) == {"ai-edge-litert", "numpy", "Pillow"}
    assert wanted["ai-edge-litert"] == "ai-edge-litert==2.3.0"
