"""A search killed at any write and started again makes the same trials, each finished once."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras_tuner")

from keras_tuner.engine import base_tuner

from tflite.errors import CrackError
from tflite.files import write_json
from tuning import ALGORITHMS, oracles
from tuning.oracles import make_oracle, planned_rungs
from tuning.space import declare, search_space

TRIALS, MOST = 6, 4


class CountingTuner(base_tuner.BaseTuner):
    """Scores trials by arithmetic and notes each one it ran to its end."""

    def __init__(self, algorithm: str, folder: Path, seed: int = 0) -> None:
        space = search_space("opnet_lite", only="width,blocks,learning_rate").space
        if algorithm == "grid":
            space = search_space("opnet_lite", varied=["width=8,16,24"], only="width,separable").space
        oracle = make_oracle(algorithm, declare(space), seed=seed, trials=TRIALS, most=MOST, factor=2)
        oracle.verbose = 0
        oracle.say = lambda line: None
        self.durable = oracle
        super().__init__(oracle, directory=str(folder), project_name="search")

    def save(self) -> None:
        self.durable.save()
        write_json(Path(self._get_tuner_fname()), {})

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        values = trial.hyperparameters.values
        text = "".join(f"{name}={values[name]}" for name in sorted(values) if "/" not in name)
        return {"score": zlib.crc32(text.encode()) % 997 / 997}


def trials_of(folder: Path, algorithm: str) -> list[tuple[str, str, dict[str, Any]]]:
    tuner = CountingTuner(algorithm, folder)
    return [(name, t.status, t.hyperparameters.values) for name, t in sorted(tuner.durable.trials.items())]


def search(folder: Path, algorithm: str) -> None:
    tuner = CountingTuner(algorithm, folder)
    tuner.save()
    tuner.search()


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "bayesian"])
def test_killed_at_any_write_a_search_ends_with_the_same_trials(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    killed: dict[frozenset[tuple[Path, bytes]], Path] = {}

    def noted(path: Path, value: Any) -> None:
        """What a process that is killed here leaves: a write is whole or absent. One that changes nothing leaves the same."""
        left = frozenset((file.relative_to(whole), file.read_bytes()) for file in whole.rglob("*") if file.is_file())
        if left not in killed:
            killed[left] = shutil.copytree(whole, tmp_path / f"killed{len(killed)}")
        write_json(path, value)

    whole.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(oracles, "write_json", noted)
        search(whole, algorithm)
    expected = trials_of(whole, algorithm)
    assert len(expected) >= TRIALS
    assert {status for _, status, _ in expected} == {"COMPLETED"}
    assert len(killed) >= 3 * TRIALS  # every write of the search has been the last one
    for number, folder in enumerate(killed.values()):
        search(folder, algorithm)
        assert trials_of(folder, algorithm) == expected, f"killed at write {number}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_trials_and_another_one_does_not(algorithm: str, tmp_path: Path) -> None:
    lists = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tuner = CountingTuner(algorithm, tmp_path / name, seed)
        tuner.save()
        tuner.search()
        lists.append([t.hyperparameters.values for _, t in sorted(tuner.durable.trials.items())])
    assert lists[0] == lists[1]
    assert algorithm == "grid" or lists[0] != lists[2]


def test_hyperbands_planned_trials_are_the_ones_it_makes(tmp_path: Path) -> None:
    tuner = CountingTuner("hyperband", tmp_path)
    planned = planned_rungs(tuner.durable)
    tuner.save()
    tuner.search()
    made = [
        t.hyperparameters.values["tuner/epochs"] - t.hyperparameters.values["tuner/initial_epoch"]
        for t in tuner.durable.trials.values()
    ]
    assert sorted(made) == sorted(planned)


def test_a_grid_makes_every_combination_once(tmp_path: Path) -> None:
    search(tmp_path, "grid")
    made = [tuple(values.items()) for _, _, values in trials_of(tmp_path, "grid")]
    assert len(set(made)) == len(made) == 6


def test_damaged_state_is_named(tmp_path: Path) -> None:
    search(tmp_path, "random")
    state = tmp_path / "search" / "oracle.json"
    write_json(state, {"start_order": []})
    with pytest.raises(CrackError, match="damaged"):
        CountingTuner("random", tmp_path)
