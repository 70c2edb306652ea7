"""A recipe's commands are ones that the verbs take, in an order in which each finds what it needs; stopped, it goes on."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crack_tf import average, evaluate, export, report, suite, survey_export, throughput, train, tune
from crack_tf.data.__main__ import _parser as data_parser
from crack_tf.explain import __main__ as explain
from crack_tf.survey import __main__ as survey
from studies import adapt, demo, explain_summary, real_scenes, seam_check, survey_demo, survey_scaling
from studies import map_latency as latency
from studies.recipe import Copy, Files, Step, follow, train_step, words
from tflite import benchmark

ROOT = Path(__file__).parents[2]


def benchmark_parser() -> argparse.ArgumentParser:
    """The parser of `python -m tflite.benchmark`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--manifest")
    benchmark.add_arguments(parser)
    return parser


PARSERS: dict[str, Callable[[], Any]] = {
    "train": train.make_parser,
    "export": export.make_parser,
    "data": data_parser,
    "average": average.make_parser,
    "evaluate": evaluate.make_parser,
    "evaluate --suite": suite.make_parser,
    "explain": explain.make_parser,
    "report": report.make_parser,
    "survey": survey.make_parser,
    "survey-export": survey_export.make_parser,
    "throughput": throughput.make_parser,
    "tune": tune.make_parser,
    "studies.adapt": adapt.make_parser,
    "studies.explain_summary": explain_summary.make_parser,
    "studies.map_latency": latency.make_parser,
    "studies.seam_check": seam_check.make_parser,
    "studies.survey_scaling": survey_scaling.make_parser,
    "tflite.benchmark": benchmark_parser,
}

FILES = sorted(path for path in (ROOT / "studies").glob("*.py") if path.stem not in ("__init__", "recipe"))
RECIPES = [path for path in FILES if "follow(" in path.read_text(encoding="utf-8")]  # the others only measure
STEPS = real_scenes.steps(Path("data"), "none")


def steps_of(name: str) -> list[Step | Copy]:
    """What a study does, with a folder of data that nobody has."""
    if name == "demo":
        return [*demo.preparation(40), *demo.chain(3)]
    if name == "survey_demo":
        return survey_demo.steps()
    study = importlib.import_module(f"studies.{name}")
    steps: list[Step | Copy] = study.steps(
        *([Path("data")] if name in ("domain_tune", "real_scenes", "segmentation") else [])
    )
    return steps


ALL = [(path.stem, step) for path in RECIPES for step in steps_of(path.stem) if isinstance(step, Step)]


@pytest.mark.parametrize(("study", "step"), ALL, ids=[f"{study}-{number}" for number, (study, _) in enumerate(ALL)])
def test_a_verb_takes_every_command(study: str, step: Step) -> None:
    words = list(map(str, step.words))
    verb = words.pop(0) if step.module == "crack_tf" else step.module
    if "--suite" in words:
        verb = f"{verb} --suite"
    assert PARSERS[verb]().parse_args(words)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_study_says_what_it_makes_what_it_costs_what_to_expect_and_how(path: Path) -> None:
    document = importlib.import_module(f"studies.{path.stem}").__doc__ or ""
    for head in ("What it makes: ", "Cost: ", "Expected: ", "Command: "):
        assert f"\n{head}" in document, head
    command = document.partition("\nCommand: ")[2].splitlines()[0]
    assert f"make {path.stem.replace('_', '-')}" in command or f"python -m studies.{path.stem}" in command


def test_the_makefile_runs_every_recipe_and_stays_short() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
    named = {word for line in lines if re.match(r"(NOTEBOOK_)?STUDIES :=", line) for word in line.split()[2:]}
    assert named == {path.stem.replace("_", "-") for path in RECIPES} - {
        "adapt-cells",
        "adapt-left-out",
        "demo",
        "domain-tune",
        "ingredients",
        "real-scenes",
    }
    offered = {line.split()[2] for line in lines if line.startswith("# make ")}
    assert named | {"demo", "test", "quick"} <= offered


def test_each_manifest_is_made_before_it_is_used() -> None:
    made: set[str] = set()
    for step in STEPS:
        words = [str(word) for word in step.words]
        used = {word for word in words if word.endswith(".csv")} - {str(step.done)}
        assert used <= made, f"{step.done} needs {sorted(used - made)}"
        made.add(str(step.done))


def test_what_ships_under_an_open_licence_learns_from_open_data_only() -> None:
    (mix,) = (step for step in STEPS if step.done is not None and step.done.name == "open.csv")
    names = {Path(word).stem for word in map(str, mix.words) if word.endswith(".csv")} - {"open"}
    assert names == {*real_scenes.OPEN, "manifest"}
    assert not names & set(real_scenes.RESEARCH)


def write_step(path: Path, code: int = 0, gaps: bool = False) -> Step:
    """A command that writes its file, or fails."""

    class Written(Step):
        @property
        def command(self) -> list[str]:
            program = f"import sys; open({str(path)!r}, 'a').write('x'); sys.exit({code})"
            return [sys.executable, "-c", program if not code else f"import sys; sys.exit({code})"]

    return Written(None if gaps else path, ["write", path.name], gaps=gaps)


def test_what_is_done_is_not_done_again_and_a_failure_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = (write_step(tmp_path / name, code) for name, code in (("one", 0), ("two", 3), ("three", 0)))
    assert follow([one, two, three]) == 3
    assert not (tmp_path / "three").exists()
    assert follow([one, write_step(tmp_path / "two"), three]) == 0
    assert (tmp_path / "one").read_text() == "x"
    assert "done before" in capsys.readouterr().out


def test_a_recipe_goes_on_after_gaps_only_where_they_are_expected(tmp_path: Path) -> None:
    last = write_step(tmp_path / "last")
    assert follow([write_step(tmp_path / "one", 2, gaps=True), last]) == 2
    assert follow([write_step(tmp_path / "two", 1), last]) == 1
    assert not (tmp_path / "last").exists()
    assert follow([write_step(tmp_path / "three", 1, gaps=True), last]) == 0
    assert (tmp_path / "last").exists()


def test_an_interrupted_training_goes_on(tmp_path: Path) -> None:
    step = train_step(tmp_path / "run", ["--model", "opnet"])
    assert "--resume" not in step.command
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert step.command[-1] == "--resume"


def test_a_folder_that_cannot_be_written_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CRACK_TF_DATA", raising=False)
    assert real_scenes.main() == 2
    assert "CRACK_TF_DATA" in capsys.readouterr().err


def test_files_that_a_step_finds_are_words_of_its_command_in_order(tmp_path: Path) -> None:
    step = Step(None, ["evaluate", Files(tmp_path, "*.tflite"), "--overwrite"])
    for name in ("b.tflite", "a.tflite", "a.json"):
        (tmp_path / name).write_text("")
    assert step.command[-4:] == ["evaluate", str(tmp_path / "a.tflite"), str(tmp_path / "b.tflite"), "--overwrite"]


def test_results_are_copied_into_a_folder_or_to_a_name(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.csv"):
        (tmp_path / name).write_text(name)
    assert (
        follow(
            [Copy([Files(tmp_path, "*.md")], tmp_path / "results"), Copy([tmp_path / "c.csv"], tmp_path / "kept/d.csv")]
        )
        == 0
    )
    assert [path.name for path in sorted((tmp_path / "results").iterdir())] == ["a.md", "b.md"]
    assert (tmp_path / "kept/d.csv").read_text() == "c.csv"


def test_a_program_of_the_project_is_run_by_its_name() -> None:
    step = Step(None, words("--out x.csv"), module="studies.survey_scaling")
    assert step.command[1:] == ["-m", "studies.survey_scaling", "--out", "x.csv"]
    assert str(step) == "python -m studies.survey_scaling --out x.csv"


@pytest.mark.parametrize(("speed", "epochs"), [(1e6, demo.EPOCHS), (50.0, 7), (1.0, demo.FEWEST)])
def test_a_slow_machine_trains_fewer_epochs_of_the_demonstration(speed: float, epochs: int) -> None:
    assert demo.affordable(speed, demo.COUNT)[0] == epochs


@pytest.mark.parametrize("speed", [1e6, 200.0, 50.0, 20.0, 5.0, 2.0])
def test_the_training_of_the_demonstration_keeps_its_budget_at_any_speed(speed: float) -> None:
    epochs, limit = demo.affordable(speed, demo.COUNT)
    tiles = limit or demo.COUNT * 0.70
    validated = tiles * 15 / 70
    assert epochs * (tiles + validated / 3) / speed <= demo.BUDGET * 1.01
    assert (limit is None) == (speed >= 20)
    assert ("--limit" in str(demo.chain(epochs, limit)[0])) == (limit is not None)


def test_a_demonstration_with_fewer_epochs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speed = tmp_path / "throughput.csv"
    speed.write_text("training_per_s\n50.0\n")
    commands: list[str] = []

    def note(steps: list[Step]) -> int:
        commands.extend(map(str, steps))
        return 0

    monkeypatch.setattr(demo, "SPEED", speed)
    monkeypatch.setattr(demo, "follow", note)
    for name in ("COUNT", "EPOCHS"):
        monkeypatch.delenv(name, raising=False)
    assert demo.main() == 0
    assert "7 epochs instead of 16" in capsys.readouterr().out
    assert any("--epochs 7 " in command for command in commands)
    monkeypatch.setenv("EPOCHS", "2")  # asked for
    assert demo.main() == 0
    assert "instead of" not in capsys.readouterr().out
    assert any("--epochs 2 " in command for command in commands)
