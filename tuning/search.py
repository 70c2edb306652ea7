"""The search itself: a Keras Tuner tuner whose trials are runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import base_tuner

from tflite.errors import CrackError
from tflite.files import read_json, write_json
from tuning.hparams import write_hparams
from tuning.objective import Outcome, outcome_from
from tuning.oracles import Durable, Hyperband, make_oracle, planned_rungs
from tuning.project import SEARCH, Plan, no_budget_message, read_outcomes
from tuning.space import declare, decode
from tuning.trial import RESULT, Rung, run_trial

_GIVE_UP_FAILED = 3  # trials in a row that failed: something is wrong with all of them
_GIVE_UP_BUDGET = 12  # trials that all exceed the budget: it cannot be met
_IDLE_SECONDS = 1.0


class SearchStopped(keras_tuner.errors.FatalError, CrackError):  # noqa: N818 (a condition, not a mistake in the code)
    """Ends a search at once, with a message for the user. Keras Tuner would swallow any other exception of a trial."""


class CrackTuner(base_tuner.BaseTuner):
    """Runs trials one after the other, here or as a worker of a chief.

    Args:
        plan: the search.
        out: its folder; shared by all machines that take part.
        say: takes progress lines.
    """

    def __init__(self, plan: Plan, out: Path, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.out = out
        recipe = plan.recipe
        self.durable = make_oracle(
            plan.algorithm,
            declare(recipe.question.space),
            seed=recipe.seed,
            trials=plan.trials,
            most=recipe.epochs,
            factor=plan.factor,
            iterations=plan.iterations,
        )
        self.durable.verbose = 0
        self.durable.say = say
        self.progress = Progress(plan, out, self.durable, say)
        self.durable.began, self.durable.ended = self.progress.began, self.progress.ended
        super().__init__(self.durable, directory=str(out), project_name=SEARCH)

    def save(self) -> None:
        if not self._is_worker():
            self.durable.save()
        # Keras Tuner takes this file for the sign that there is a search to reload.
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def _get_tuner_fname(self) -> str:
        # One name for a lone tuner and for a chief: a search begun by one can be gone on with by the other.
        return str(Path(self.project_dir) / f"{self.tuner_id if self._is_worker() else 'tuner'}.json")

    def pre_create_trial(self) -> None:
        if self._is_worker():
            # A worker that must wait for others' trials would otherwise ask the chief without a pause.
            time.sleep(_IDLE_SECONDS)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        values = dict(trial.hyperparameters.values)
        recipe = self.plan.recipe
        folder = Path(self.get_trial_dir(trial.trial_id))
        rung = self.rung(values)
        chosen = decode(recipe.question.space, values)
        if rung.parent is not None and not (rung.parent / "run" / "model.keras").exists():
            if not (rung.parent / RESULT).exists():
                raise SearchStopped(
                    f"trial {trial.trial_id} goes on from {rung.parent}, which is not here. All machines of a search need one "
                    "shared --out folder."
                )
            # The parent exceeded the budget or failed, so it has no weights and going on would end likewise.
            parent = outcome_from(read_json(rung.parent / RESULT))
            outcome = replace(parent, trial=trial.trial_id, folder=folder.name, seconds=0.0)
            write_json(folder / RESULT, outcome.as_dict())
        else:
            try:
                outcome = run_trial(trial.trial_id, chosen, rung, recipe, folder)
            except OSError as error:
                raise SearchStopped(
                    f"the search stopped in trial {trial.trial_id}: {error.strerror or error}. Make room, then the same "
                    "command goes on; finished trials are kept."
                ) from None
        write_hparams(outcome, self.out / "tensorboard" / folder.name)
        self.stop_if_hopeless()
        # Keras Tuner's copy of the figures; None where there is none.
        figures = {
            k: v for k, v in outcome.as_dict().items() if isinstance(v, (int, float)) and not isinstance(v, bool)
        }
        return {name: float(value) for name, value in figures.items()}

    def rung(self, values: dict[str, Any]) -> Rung:
        """How far Hyperband wants a trial to go; one rung at full fidelity otherwise."""
        most = self.plan.recipe.epochs
        if "tuner/epochs" not in values:
            return Rung(0, most, most)
        parent = values.get("tuner/trial_id")
        return Rung(
            int(values["tuner/initial_epoch"]),
            int(values["tuner/epochs"]),
            most,
            Path(self.get_trial_dir(parent)) if parent else None,
        )

    def stop_if_hopeless(self) -> None:
        """End the search when it cannot succeed.

        Raises:
            SearchStopped: after several failures in a row, or when every one of many trials exceeds the budget.
        """
        outcomes = read_outcomes(Path(self.project_dir))
        last = outcomes[-_GIVE_UP_FAILED:]
        if len(last) == _GIVE_UP_FAILED and all(outcome.status == "failed" for outcome in last):
            raise SearchStopped(
                f"the last {_GIVE_UP_FAILED} trials failed, the latest with: {last[-1].message} Mend that; the same command "
                f"tries those trials again once their folders in {self.project_dir} are deleted."
            )
        if len(outcomes) >= _GIVE_UP_BUDGET and all(outcome.status == "over budget" for outcome in outcomes):
            raise SearchStopped(no_budget_message(self.plan, outcomes))


class Progress:
    """Prints where a search stands: trial, best so far, time left."""

    def __init__(self, plan: Plan, out: Path, oracle: Durable, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.search = out / SEARCH
        self.say = say
        # What each planned trial costs, in resource; Hyperband's differ.
        self.costs = planned_rungs(oracle) if isinstance(oracle, Hyperband) else [1] * plan.trials

    def began(self, trial: Any) -> None:
        values = trial.hyperparameters.values
        chosen = ", ".join(f"{k}={_short(v)}" for k, v in decode(self.plan.recipe.question.space, values).items())
        part = ""
        if "tuner/epochs" in values:
            unit = {"epochs": "epochs", "data": "parts of the data", "size": "parts of the pixels"}[
                self.plan.recipe.fidelity
            ]
            part = f" ({values['tuner/initial_epoch']} to {values['tuner/epochs']} of {self.plan.recipe.epochs} {unit})"
            if values.get("tuner/trial_id"):
                part += f" from trial {values['tuner/trial_id']}"
        self.say(f"trial {trial.trial_id} of about {len(self.costs)}{part}: {chosen}")

    def ended(self, trial: Any) -> None:
        outcomes = read_outcomes(self.search)
        latest = next((outcome for outcome in outcomes if outcome.trial == trial.trial_id), None)
        if latest is None:
            self.say(
                f"trial {trial.trial_id} ended as {trial.status} without a result: {trial.message or 'no message'}"
            )
            return
        fine = [outcome for outcome in outcomes if outcome.status == "ok"]
        best = max(fine, key=lambda outcome: outcome.score, default=None)
        so_far = f"; best so far trial {best.trial}: {figures(best)}" if best is not None and best is not latest else ""
        self.say(f"  {latest.trial}: {figures(latest)}{so_far}; {self.left(outcomes)}")

    def left(self, outcomes: list[Outcome]) -> str:
        """Estimate from the seconds that finished trials took per unit of resource."""
        done = min(len(outcomes), len(self.costs))
        if done == len(self.costs):
            return "last trial"
        spent = sum(outcome.seconds for outcome in outcomes[:done])
        minutes = spent / max(1, sum(self.costs[:done])) * sum(self.costs[done:]) / 60
        return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"


def figures(outcome: Outcome) -> str:
    """A trial's result in a few words."""
    if outcome.status != "ok":
        return f"{outcome.status}: {outcome.message}"
    quality = f"recall {outcome.recall:.4f}, specificity {outcome.specificity:.4f}"
    if outcome.draws_masks:
        quality = f"F1 {outcome.f1:.4f}, IoU {outcome.iou:.4f}"
    if outcome.left_out:
        worst = min(outcome.left_out, key=outcome.left_out.__getitem__)
        quality = f"left-out AUC {outcome.left_out_auc:.4f}, worst {outcome.left_out[worst]:.4f} ({worst}), {quality}"
    return f"{quality}, {outcome.latency_ms:.2f} ms ({outcome.speedup:.1f}x), {outcome.kilobytes:.0f} kB"


def run_search(plan: Plan, out: Path, say: Callable[[str], None]) -> None:
    """Run a search, or go on with it; as chief or worker where Keras Tuner's environment variables say so.

    Args:
        plan: the search.
        out: its folder, with `open_project` done.
        say: takes progress lines.

    Raises:
        CrackError: if the search cannot go on.
    """
    say(str(plan.recipe.question))
    tuner = CrackTuner(plan, out, say)
    tuner.save()
    tuner.search()


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
