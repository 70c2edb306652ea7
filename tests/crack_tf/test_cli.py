"""The dispatcher: fast help, every verb reachable, unknown verbs refused."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crack_tf import __version__, cli
from crack_tf.verbs import VERBS, Verb
from tflite.errors import CrackError

ROOT = Path(__file__).parents[2]
HEAVY = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "matplotlib",
    "sklearn",
    "jax",
    "kagglehub",
}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)], ids=["crack-tf", *VERBS])
def test_help_is_quick_and_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom crack_tf.cli import main\n"
        f"try:\n    code = main({[*arguments, '--help']!r})\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))\nsys.exit(code)\n"
    )
    before = os.times()
    result = python("-c", code)
    after = os.times()
    assert result.returncode == 0, result.stderr
    assert "usage:" in result.stdout
    assert result.stdout.endswith("heavy: []\n")
    # Processor time, not wall time: other tests and trainings may run beside this one. Importing TensorFlow takes more than 2 s.
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 1.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_also_a_module_to_run(verb: str) -> None:
    result = python("-m", f"crack_tf.{verb.replace('-', '_')}", "--help")
    assert result.returncode == 0, result.stderr
    assert "usage:" in result.stdout


def test_package_itself_runs_as_a_module() -> None:
    result = python("-m", "crack_tf", "--help")
    assert result.returncode == 0
    assert all(f"  {verb}  " in result.stdout for verb in VERBS)


def test_unknown_verb_exits_2_with_the_list_and_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian"]) == 2
    message = capsys.readouterr().err
    assert "'trian'" in message
    assert "Did you mean train?" in message
    assert ", ".join(VERBS) in message


def test_no_verb_exits_2_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "verbs:" in capsys.readouterr().err


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"crack-tf {__version__}\n"


def test_verb_gets_the_rest_of_the_line_and_its_exit_code_comes_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fake_verb_module.py").write_text("def main(argv):\n    return 7 if argv == ['a', '--b'] else 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(VERBS, "fake", Verb("fake_verb_module", "for this test"))
    assert cli.main(["fake", "a", "--b"]) == 7


@pytest.mark.parametrize(("error", "code"), [(CrackError("mend this"), 2), (KeyboardInterrupt(), 130)])
def test_what_stops_a_verb_becomes_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", stop)
    assert cli.main(["train"]) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stopped", "command", "told"),
    [
        ("crack_tf.predict.run", "predict a.jpg", "Nothing was written; with --out, a stopped run goes on."),
        ("crack_tf.predict.run", "predict a.jpg --out b", "The same command with --resume goes on."),
        (
            "crack_tf.photo.__main__._segment",
            "photo segment a.jpg --out b --overwrite",
            "The same command with --resume instead of --overwrite goes on.",
        ),
        ("crack_tf.photo.__main__._measure", "photo measure a.png --out b", "Nothing was left half-written."),
        ("crack_tf.survey.__main__.run", "survey a --out b", "The same command goes on."),
        (
            "crack_tf.survey.__main__.run",
            "survey a --out b --overwrite",
            "The same command without --overwrite goes on.",
        ),
    ],
)
def test_the_last_line_of_a_stopped_verb_says_how_it_goes_on(
    stopped: str, command: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stopped, stop)
    assert cli.main(command.split()) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"interrupted. {told}"


@pytest.mark.parametrize("name", ["tflite", "tuning"])
def test_another_projects_package_of_our_name_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text('"""Parses models."""\n')
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import crack_tf"
    result = python("-c", code)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        f"ImportError: {name} ({tmp_path / name / '__init__.py'}) is not the package that belongs to crack_tf"
    )
    assert f"pip uninstall {name}" in last
