"""Keras Tuner's search algorithms, made to survive `kill -9` at any moment.

As of keras-tuner 1.4.8 an interrupted search can lose or repeat trials, because

* state files are written in place, so a kill leaves half a file;
* a trial is saved before the oracle that knows of it, so a trial can exist that nobody will run;
* the chief pops a finished trial from the running ones after it saved them, so the trial runs again after a restart;
* GridSearch saves none of its own state, so a resumed grid stops at once;
* seed 0 is taken for "no seed" and replaced with a random one.

`Durable` mends these; the algorithms themselves are Keras Tuner's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner import oracles as algorithms

from tflite.errors import CrackError
from tflite.files import read_json, write_json

OBJECTIVE = keras_tuner.Objective("score", "max")
# Failures are counted by the search itself: Keras Tuner raises with its lock held, after which a chief hangs.
_NEVER = 10**9
_FINISHED = ("COMPLETED", "FAILED")


class Durable(keras_tuner.Oracle):
    """An oracle whose state on disk is whole and consistent at every moment.

    Attributes:
        began: called with a trial that starts or goes on.
        ended: called with a finished trial.
        say: takes lines about what a resumed search found.
    """

    began: Callable[[Any], None] = staticmethod(lambda trial: None)
    ended: Callable[[Any], None] = staticmethod(lambda trial: None)
    say: Callable[[str], None] = staticmethod(print)
    _retry_queue: list[str]

    def save(self) -> None:
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Load an interrupted search: drop trials nobody knows of, and queue those that were running.

        Raises:
            CrackError: if the state is damaged.
        """
        state = Path(self._get_oracle_fname())
        if not state.exists():  # killed before the first trial
            return
        known = set(read_json(state)["start_order"])
        for path in Path(self._project_dir).glob("trial_*/trial.json"):
            # Killed between the trial's file and the oracle's: the oracle draws the very same trial again.
            if path.parent.name.removeprefix("trial_") not in known:
                path.unlink()
        try:
            super().reload()
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CrackError(
                f"{state} is damaged ({type(error).__name__}: {error}). Start again with --overwrite."
            ) from None
        finished = {name for name, trial in self.trials.items() if trial.status in _FINISHED}
        self._retry_queue = [
            name for name in dict.fromkeys([*self._retry_queue, *self.start_order]) if name not in finished
        ]
        for name in self._retry_queue:
            # Figures reported just before the kill are reported again; Keras Tuner would take them for a second execution.
            self.trials[name].metrics = type(self.trials[name].metrics)()
        # `create_trial` takes from the end: the oldest first.
        self._retry_queue.reverse()
        again = f", going on with trial {', '.join(reversed(self._retry_queue))}" if self._retry_queue else ""
        self.say(f"reloaded {len(finished)} finished trials from {self._project_dir}{again}")

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Any:
        trial = super().create_trial(tuner_id)
        if trial.status == "RUNNING":
            self.began(trial)
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial: Any) -> None:
        super().end_trial(trial)
        self.save()  # once more, now that the trial is no longer among the running ones
        self.ended(self.trials[trial.trial_id])


class Grid(Durable, algorithms.GridSearchOracle):
    """Grid search that can be resumed: its order is rebuilt from the trials."""

    _ordered_ids: Any

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        ids = sorted(
            self.start_order,
            key=cmp_to_key(
                lambda a, b: self._compare(self.trials[a].hyperparameters.values, self.trials[b].hyperparameters.values)
            ),
        )
        self._ordered_ids = type(self._ordered_ids)()
        for name in ids:
            self._ordered_ids.insert(name)
        self._populate_next = list(ids)


class Hyperband(Durable, algorithms.HyperbandOracle):
    """Li et al., JMLR 2018: many short trials, the better third goes on for three times as long."""


class RandomSearch(Durable, algorithms.RandomSearchOracle):
    """Independent draws."""


class Bayesian(Durable, algorithms.BayesianOptimizationOracle):
    """A Gaussian process proposes the next trial."""


def make_oracle(
    algorithm: str, hyperparameters: Any, *, seed: int, trials: int, most: int, factor: int = 3, iterations: int = 1
) -> Durable:
    """An oracle of one of `tuning.ALGORITHMS`.

    Args:
        algorithm: its name.
        hyperparameters: the declared space.
        seed: same seed, same trials (Bayesian: as far as the measured scores are the same).
        trials: at most this many; Hyperband's number follows from `most` and `factor`.
        most: resource of Hyperband's last rung.
        factor: of Hyperband: a rung keeps one in `factor` and multiplies the resource by it.
        iterations: how often Hyperband runs through its brackets.
    """
    shared = {
        "objective": OBJECTIVE,
        "hyperparameters": hyperparameters,
        "seed": seed + 1,  # Keras Tuner draws a random seed in place of 0
        "allow_new_entries": False,
        "max_consecutive_failed_trials": _NEVER,
    }
    if algorithm == "hyperband":
        return Hyperband(max_epochs=most, factor=factor, hyperband_iterations=iterations, **shared)
    kinds = {"random": RandomSearch, "bayesian": Bayesian, "grid": Grid}
    return kinds[algorithm](max_trials=trials, **shared)


def planned_rungs(oracle: Durable) -> list[int]:
    """Resource that each trial of a whole Hyperband search spends, for estimates of the time left."""
    assert isinstance(oracle, Hyperband)
    spent = []
    for bracket in range(oracle._get_num_brackets()):
        for number in range(oracle._get_num_rounds(bracket)):
            start = oracle._get_epochs(bracket, number - 1) if number else 0
            spent += [oracle._get_epochs(bracket, number) - start] * oracle._get_size(bracket, number)
    return spent * int(oracle.hyperband_iterations)
