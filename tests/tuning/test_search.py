"""The search as a whole, with trials that only pretend: what is refused, what stops it, what it says, what it goes on with."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras_tuner")

from crack_tf.models.space import Choice
from tflite.errors import CrackError
from tflite.files import read_json, write_json
from tflite.locks import FolderLock
from tuning import project, search
from tuning.objective import FAILED_SCORE, Budget, Outcome, over_budget_score
from tuning.project import Plan, read_outcomes
from tuning.space import Question
from tuning.trial import Recipe, Rung


def make_plan(**changes: Any) -> Plan:
    recipe = Recipe(
        model="opnet_lite",
        manifest="m.csv",
        question=Question({"width": Choice((4, 8, 12, 16, 24, 32), 4), "blocks": Choice((3, 4, 5), 4)}, {"batch": 8}),
        epochs=4,
        fidelity="epochs",
        limit=None,
        steps_per_epoch=None,
        target_recall=0.998,
        budget=Budget(latency_ms=2.0),
        weights=None,
        reference="r.tflite",
        seed=0,
    )
    return replace(Plan(recipe, "random", 15, 2, 1, "f" * 64), **changes)


class Pretender:
    """Stands in for `run_trial`: writes results as it does, without training."""

    def __init__(self, status: str = "ok") -> None:
        self.status = status
        self.ran: list[tuple[str, dict[str, Any], Rung]] = []
        self.full_at = -1

    def __call__(self, trial: str, values: dict[str, Any], rung: Rung, recipe: Recipe, folder: Path) -> Outcome:
        if len(self.ran) == self.full_at:
            self.full_at = -1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.ran.append((trial, values, rung))
        specificity = 1 - values["width"] / 100
        score = {"ok": specificity, "failed": FAILED_SCORE, "over budget": over_budget_score(values["width"] / 10)}
        outcome = Outcome(
            trial,
            self.status,
            score[self.status],
            values,
            epochs=rung.end,
            recall=1.0,
            specificity=specificity,
            tp=10,
            fn=0,
            tn=10,
            fp=0,
            latency_ms=values["width"] / 10,
            speedup=3.0,
            kilobytes=10.0,
            macs=10**6,
            seconds=60.0,
            message="" if self.status == "ok" else f"it {self.status}",
            folder=folder.name,
        )
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "model.keras").touch()
        write_json(folder / "result.json", outcome.as_dict())
        return outcome


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    pretender = Pretender()
    monkeypatch.setattr(search, "run_trial", pretender)
    monkeypatch.setattr(search, "write_hparams", lambda *_: None)
    return pretender


def run(plan: Plan, out: Path, lines: list[str] | None = None) -> list[str]:
    said: list[str] = [] if lines is None else lines
    project.open_project(plan, out)
    search.run_search(plan, out, said.append)
    return said


def test_every_trial_is_run_once_and_reported_with_the_best_and_the_time_left(
    pretend: Pretender, tmp_path: Path
) -> None:
    said = run(make_plan(), tmp_path)
    assert [trial for trial, _, _ in pretend.ran] == [f"{n:02d}" for n in range(15)]
    assert len({str(values) for _, values, _ in pretend.ran}) == 15
    assert any("trial 03 of about 15" in line for line in said)
    assert any("best so far trial" in line and "about 10 min left" in line for line in said)
    assert "last trial" in said[-1]


def test_hyperband_continues_its_better_trials_from_their_folders(pretend: Pretender, tmp_path: Path) -> None:
    said = run(make_plan(algorithm="hyperband"), tmp_path)
    continued = [(values, rung) for _, values, rung in pretend.ran if rung.parent]
    assert continued
    for values, rung in continued:
        assert rung.parent is not None
        parent = read_json(rung.parent / "result.json")
        assert parent["values"] == values
        assert parent["epochs"] == rung.start < rung.end
    assert any("from trial" in line for line in said)


def test_a_full_disk_stops_the_search_and_the_same_command_goes_on(pretend: Pretender, tmp_path: Path) -> None:
    pretend.full_at = 4
    with pytest.raises(CrackError, match=r"stopped in trial 04: No space left.*goes on"):
        run(make_plan(), tmp_path)
    assert len(read_outcomes(tmp_path / "search")) == 4
    said = run(make_plan(), tmp_path)
    assert any("reloaded 4 finished trials" in line and "going on with trial 04" in line for line in said)
    assert [trial for trial, _, _ in pretend.ran] == [f"{n:02d}" for n in range(15)]
    assert run(make_plan(), tmp_path)  # and once more: nothing is left to do
    assert len(pretend.ran) == 15


def test_three_failures_in_a_row_stop_the_search_with_the_last_reason(pretend: Pretender, tmp_path: Path) -> None:
    pretend.status = "failed"
    with pytest.raises(CrackError, match="last 3 trials failed, the latest with: it failed"):
        run(make_plan(), tmp_path)


def test_a_budget_that_nothing_meets_stops_the_search_with_the_nearest(pretend: Pretender, tmp_path: Path) -> None:
    pretend.status = "over budget"
    with pytest.raises(
        CrackError, match=r"none of 12 trials met the budget \(at most 2 ms\).*Nearest: trial \d+ with 0.40 ms"
    ):
        run(make_plan(), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"algorithm": "grid"}, "algorithm = 'random', now it is 'grid'"),
        ({"manifest_sha256": "0" * 64}, "manifest_sha256"),
        (
            {"recipe": replace(make_plan().recipe, question=Question({"width": Choice((4, 8), 4)}, {"batch": 8}))},
            "recipe.space",
        ),
        ({"recipe": replace(make_plan().recipe, budget=Budget())}, "recipe.budget.latency_ms"),
        ({"recipe": replace(make_plan().recipe, seed=1)}, "recipe.seed"),
    ],
)
def test_a_folder_of_another_search_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    project.open_project(make_plan(), tmp_path)
    project.open_project(make_plan(recipe=replace(make_plan().recipe, manifest="moved.csv")), tmp_path)
    with pytest.raises(CrackError, match=words):
        project.open_project(make_plan(**change), tmp_path)


def test_a_folder_of_another_keras_tuner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.open_project(make_plan(), tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "9.9")
    with pytest.raises(CrackError, match=r"keras_tuner = .*now it is '9.9'"):
        project.open_project(make_plan(), tmp_path)


def test_a_second_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    project.open_project(make_plan(), tmp_path)
    with FolderLock(tmp_path), pytest.raises(CrackError, match="another process is writing to"):
        project.clear(tmp_path)
    assert (tmp_path / project.PROJECT).is_file()
    project.clear(tmp_path)
    assert not (tmp_path / project.PROJECT).exists()


def test_a_worker_waits_for_the_chief_and_gives_up_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "_CHIEF_STARTS", 0.1)
    with pytest.raises(CrackError, match="shared --out folder"):
        project.open_project(make_plan(), tmp_path, worker=True)


def test_pruning_keeps_the_front_and_every_result(pretend: Pretender, tmp_path: Path) -> None:
    run(make_plan(), tmp_path)
    project.prune(tmp_path, {"trial_03"})
    weights = [path.parts[-3] for path in (tmp_path / "search").glob("trial_*/run/model.keras")]
    assert weights == ["trial_03"]
    assert len(read_outcomes(tmp_path / "search")) == 15
