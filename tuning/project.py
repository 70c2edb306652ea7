"""A search's folder: what was asked for, what has been found, and who may work in it.

OUT/project.json         what is searched, with what; a folder made otherwise is refused
OUT/search/              Keras Tuner's own state and one folder per trial (see `tuning.trial`)
OUT/reference/           int8 OPNet with random weights: the speed that speeds are relative to
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from crack_tf.common.provenance import created, environment
from crack_tf.evaluation.config import OUTPUT as EVALUATION
from crack_tf.quantisation.config import CHECKPOINT, PARTS
from crack_tf.training.runs import RUN_FILES, flatten
from tflite.errors import CrackError
from tflite.files import read_json, sha256_file, write_json
from tflite.locks import FolderLock
from tflite.outputs import Output, clear_folder, json_with
from tflite.results import RESULT_FILES
from tuning.objective import Outcome, outcome_from
from tuning.trial import RESULT, Recipe

PROJECT, SEARCH = "project.json", "search"
FORMAT = "crack_tf.search/1"
_CHIEF_STARTS = 120  # seconds that a worker waits for the chief to begin a project


@dataclass(frozen=True)
class Plan:
    """A search as asked for.

    Attributes:
        recipe: what its trials share.
        algorithm: one of `tuning.ALGORITHMS`.
        trials: at most this many, where the algorithm does not say itself.
        factor: of Hyperband.
        iterations: of Hyperband.
        manifest_sha256: of the manifest's content.
    """

    recipe: Recipe
    algorithm: str
    trials: int
    factor: int
    iterations: int
    manifest_sha256: str

    def record(self) -> dict[str, Any]:
        """What must be equal for a search to be gone on with."""
        recipe = asdict(self.recipe)
        del recipe["manifest"], recipe["reference"]  # the files may have moved; their content may not change
        for name in ("teacher", "weights"):  # likewise: a file goes by its content
            path = recipe[name]
            recipe[name] = sha256_file(Path(path)) if path and Path(path).is_file() else path
        recipe["left_out"] = {entry.name: entry.sha256 for entry in self.recipe.left_out}
        question = recipe.pop("question")
        question["space"] = {name: str(dimension) for name, dimension in self.recipe.question.space.items()}
        experiments = question.pop("experiments")
        return {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "trials": self.trials,
            "factor": self.factor,
            "iterations": self.iterations,
            "manifest_sha256": self.manifest_sha256,
            "recipe": {"model": recipe.pop("model"), **question, **recipe, "experiments": experiments},
            "keras_tuner": metadata.version("keras-tuner"),
        }


def search_output() -> Output:
    """A search's folder as `--overwrite` knows it: what Keras Tuner, trials and finalists leave there."""
    run = (*RUN_FILES, *(f"export/*-*{part}" for part in (*PARTS, CHECKPOINT)))
    trial = (RESULT, "trial.json", "trial.log", "untrained/*.tflite", "untrained/*.tflite.json")
    files = (
        *(PROJECT, "search.json", "trials.csv", "pareto.csv", "pareto.png", "search.lock", "timing.lock"),
        *("tensorboard/trial_*/events.out.tfevents.*", "workers/*.log"),
        *("reference/*-int8.tflite", "reference/*-int8.tflite.json"),
        *(f"{SEARCH}/{name}" for name in ("oracle.json", "tuner*.json")),
        *(f"{SEARCH}/trial_*/{name}" for name in (*trial, *(f"run/{part}" for part in run))),
        *(f"finalists/trial_*/{name}" for name in run),
        *(f"finalists/test/{name}" for name in EVALUATION.files),
        "finalists/left_out.csv",
        *(f"finalists/benchmark/{name}" for name in RESULT_FILES),
    )
    return Output("crack-tf tune", json_with(PROJECT, format=FORMAT), files, first=PROJECT)


def clear(out: Path) -> None:
    """Remove an earlier search; what else lies in its folder stays.

    Raises:
        CrackError: if it is still going on.
    """
    with FolderLock(out):
        clear_folder(out, search_output())
        (out / PROJECT).unlink(missing_ok=True)


def open_project(plan: Plan, out: Path, worker: bool = False) -> None:
    """Start a search's folder, or make sure that the one found is the same search.

    Args:
        plan: the search.
        out: its folder.
        worker: of a chief on some machine, which starts the folder; this process only looks.

    Raises:
        CrackError: naming what differs.
    """
    path, record = out / PROJECT, plan.record()
    deadline = time.monotonic() + _CHIEF_STARTS
    while worker and not path.exists():
        if time.monotonic() > deadline:
            raise CrackError(
                f"there is no {path}. Start the chief first, and give all machines of a search one shared --out folder."
            )
        time.sleep(0.5)
    if not path.exists():
        if (out / SEARCH).exists():
            raise CrackError(f"{out} holds a search without its {PROJECT}. Choose another --out, or empty the folder.")
        write_json(path, record | {"created": created(), **environment()})
        return
    old, new = flatten(read_json(path)), flatten(record)
    for name in sorted(set(new) | {n for n in old if n.startswith("recipe.")}):
        if old.get(name) != new.get(name):
            raise CrackError(
                f"{out} holds a search with {name} = {old.get(name)!r}, now it is {new.get(name)!r}. Trials of the two cannot be "
                "compared: use the same settings to go on, another --out, or --overwrite."
            )


def no_budget_message(plan: Plan, outcomes: list[Outcome]) -> str:
    """What to say when nothing met the budget."""
    nearest = max(outcomes, key=lambda outcome: outcome.score)
    return (
        f"none of {len(outcomes)} trials met the budget ({plan.recipe.budget}). Nearest: trial {nearest.trial} with "
        f"{nearest.latency_ms:.2f} ms, {nearest.kilobytes:.0f} kB, {nearest.speedup:.1f} times the reference's speed. "
        "Loosen the budget, or widen the space towards smaller models with --vary."
    )


def read_outcomes(search: Path) -> list[Outcome]:
    """Outcomes of all finished trials, in the order of their numbers."""
    return [outcome_from(read_json(path)) for path in sorted(search.glob(f"trial_*/{RESULT}"))]


def prune(out: Path, kept: set[str]) -> None:
    """Delete weights and files of trials that are not on the front; their results stay."""
    for folder in (out / SEARCH).glob("trial_*"):
        if folder.name not in kept:
            shutil.rmtree(folder / "run" / "export", ignore_errors=True)
            for name in ("model.keras", "model.keras.json"):
                (folder / "run" / name).unlink(missing_ok=True)
