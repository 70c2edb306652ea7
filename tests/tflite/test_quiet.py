"""What TensorFlow says about the machine does not precede our output; errors, and what a dying process says, do get through."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tflite.manifest import Manifest

ROOT = Path(__file__).parents[2]
CHATTER = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795856080.266059   24455 port.cc:153] oneDNN custom operations are on.
2024-01-01 10:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
"""
SAID = "W0000 00:00:1.1 1 a.cc:1] a warning\nE0000 00:00:1.1 1 a.cc:1] an error\nanother library's line\nno newline"


def run(code: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """A cold interpreter whose command is `code`, without this process's setting."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    program = f"import os, sys\nfrom tflite.cli import run_main\ndef body():\n{body}\nsys.exit(run_main(body))"
    return run_plain(program, folder, **variables)


def run_plain(program: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The same without a verb around it, as a script or a notebook of somebody else's."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"} | variables
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [*([folder] if folder else []), ROOT]))
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=600
    )


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder with a package of TensorFlow's name that talks to file descriptor 2 while it is imported, as native code does."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(f"import os\nos.write(2, {(CHATTER + SAID).encode()!r})\n")
    return tmp_path


def test_chatter_is_left_out_and_everything_else_is_kept(stand_in: Path) -> None:
    done = run("import tensorflow; print(tensorflow.__spec__.name, file=sys.stderr)", stand_in)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.replace("\n", "") == (SAID + "tensorflow").replace("\n", "")


def test_asking_whether_tensorflow_is_there_does_not_use_the_filter_up(stand_in: Path) -> None:
    done = run("from tflite.extras import require; require(('tensorflow',)); import tensorflow", stand_in)
    assert (done.returncode, done.stdout, done.stderr.rstrip()) == (0, "", SAID)


def test_what_is_said_before_a_failed_import_and_its_error_are_kept(stand_in: Path) -> None:
    with (stand_in / "tensorflow" / "__init__.py").open("a") as stream:
        stream.write("raise ImportError('libcuda is of another version')\n")
    done = run("import tensorflow", stand_in)
    assert done.returncode == 1
    assert SAID.splitlines()[1] in done.stderr
    assert "libcuda is of another version" in done.stderr


def test_the_last_words_of_a_process_that_dies_are_kept(stand_in: Path) -> None:
    with (stand_in / "tensorflow" / "__init__.py").open("a") as stream:
        stream.write("os.write(2, b'\\nF0000 this machine lacks AVX\\n')\nos.abort()\n")
    done = run("import tensorflow", stand_in)
    assert done.returncode < 0
    assert done.stderr.splitlines()[-1] == "F0000 this machine lacks AVX"


def test_who_sets_the_level_sees_everything(stand_in: Path) -> None:
    assert run("import tensorflow", stand_in, TF_CPP_MIN_LOG_LEVEL="0").stderr == CHATTER + SAID


@pytest.mark.parametrize("package", ["crack_tf", "tuning.tune_config", "tflite.convert"])
def test_functions_that_are_called_from_python_start_it_as_quietly(package: str, stand_in: Path) -> None:
    done = run_plain(f"import {package}; import tensorflow", stand_in)
    assert (done.returncode, done.stdout, done.stderr.rstrip()) == (0, "", SAID)


@pytest.mark.slow
def test_a_training_from_python_begins_with_its_own_first_line(tiny_manifest: Manifest, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    settings = (
        f"model='opnet', data={str(tiny_manifest.source)!r}, image_size=32, epochs=1, batch=8, limit=8, val_limit=4"
    )
    out = str(tmp_path / "run")
    done = run_plain(f"import crack_tf; print(crack_tf.train(crack_tf.TrainConfig({settings}), {out!r}).folder)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("opnet at 32 px: 8 training")
    assert done.stderr == ""


@pytest.mark.slow
def test_tensorflow_itself_says_nothing() -> None:
    pytest.importorskip("tensorflow")
    done = run("import tensorflow; tensorflow.config.list_physical_devices('GPU'); print('our first line')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "our first line\n", "")


DELEGATE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


def test_loading_a_model_leaves_out_the_runtimes_own_line_and_keeps_the_others() -> None:
    said = f"{DELEGATE}ERROR: node 3\n".encode()
    done = run(
        f"""
        from tflite.quiet import first_model
        with first_model():
            os.write(2, {said!r})
        with first_model():  # it comes once a process: later ones are not looked at
            os.write(2, b"ERROR: node 4\\n")
        """
    )
    assert (done.returncode, done.stderr) == (0, "ERROR: node 3\nERROR: node 4\n")


def test_what_is_said_before_a_model_cannot_be_loaded_is_kept() -> None:
    done = run(
        """
        from tflite.quiet import first_model
        with first_model():
            os.write(2, b"ERROR: node 3\\n")
            raise ValueError("bad")
        """
    )
    assert done.stderr.startswith("ERROR: node 3\n")
    assert "ValueError: bad" in done.stderr
