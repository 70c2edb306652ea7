"""A recipe's commands are ones that the verbs take, in an order in which each finds what it needs; stopped, it goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crack_tf import export, train
from crack_tf.data.__main__ import _parser as data_parser
from studies import real_scenes
from studies.recipe import Step, follow, train_step

PARSERS = {"train": train.make_parser, "export": export.make_parser, "data": data_parser}
STEPS = real_scenes.steps(Path("data"), "none")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step.done))
def test_a_verb_takes_every_command(step: Step) -> None:
    verb, *words = map(str, step.words)
    assert PARSERS[verb]().parse_args(words)


def test_each_manifest_is_made_before_it_is_used() -> None:
    made: set[str] = set()
    for step in STEPS:
        words = [str(word) for word in step.words]
        used = {word for word in words if word.endswith(".csv")} - {str(step.done)}
        assert used <= made, f"{step.done} needs {sorted(used - made)}"
        made.add(str(step.done))


def test_what_ships_under_an_open_licence_learns_from_open_data_only() -> None:
    (mix,) = (step for step in STEPS if step.done.name == "open.csv")
    names = {Path(word).stem for word in map(str, mix.words) if word.endswith(".csv")} - {"open"}
    assert names == {*real_scenes.OPEN, "manifest"}
    assert not names & set(real_scenes.RESEARCH)


def write_step(path: Path, code: int = 0) -> Step:
    """A command that writes its file, or fails."""

    class Written(Step):
        @property
        def command(self) -> list[str]:
            program = f"import sys; open({str(path)!r}, 'a').write('x'); sys.exit({code})"
            return [sys.executable, "-c", program if not code else f"import sys; sys.exit({code})"]

    return Written(path, ["write", path.name])


def test_what_is_done_is_not_done_again_and_a_failure_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = (write_step(tmp_path / name, code) for name, code in (("one", 0), ("two", 3), ("three", 0)))
    assert follow([one, two, three]) == 3
    assert not (tmp_path / "three").exists()
    assert follow([one, write_step(tmp_path / "two"), three]) == 0
    assert (tmp_path / "one").read_text() == "x"
    assert "done before" in capsys.readouterr().out


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
