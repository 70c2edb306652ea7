"""From a search's front to finished models: longer training, int8 by QAT and by PTQ, and the first look at the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tflite.errors import CrackError
from tuning.objective import Outcome
from tuning.trial import Recipe, Rung, train_arguments


def finish_models(
    chosen: Sequence[Outcome], recipe: Recipe, epochs: int, search: Path, out: Path, say: Callable[[str], None]
) -> list[Path]:
    """Train the chosen trials further, quantise, evaluate on test and time them; each step is kept and never repeated.

    Args:
        chosen: trials with weights.
        recipe: of the search.
        epochs: more epochs on the whole training split, 0 for none.
        search: folder that holds the trials' folders.
        out: folder for the finished models; one run folder per trial.
        say: takes progress lines and the commands that repeat each step.

    Returns:
        The int8 files, QAT and PTQ of each, in the order of `chosen`.

    Raises:
        CrackError: if a step fails; the steps before it are kept.
    """
    from crack_tf import evaluate, export, train
    from tflite import benchmark

    runs, models = [], []
    for outcome in chosen:
        run = search / outcome.folder / "run"
        if epochs:
            run = out / f"trial_{outcome.trial}"
            arguments = longer(recipe, outcome, epochs, search, run)
            if not (run / "model.keras").exists():
                say("crack-tf train " + " ".join(arguments))
                _must(train.main(arguments), "training", outcome)
        runs.append(run)
        for scheme in ([], ["--ptq"]):
            arguments = [str(run), "--int8", *scheme, "--measure-split", "val", "--max-recall-drop", "100", "--resume"]
            say("crack-tf export " + " ".join(arguments))
            _must(export.main(arguments), "export", outcome)
            models.append(run / "export" / f"{recipe.model}-int8-{'ptq' if scheme else 'qat'}.tflite")
    arguments = [*map(str, [*runs, *models]), "--data", recipe.manifest, "--out", str(out / "test"), "--overwrite"]
    say("crack-tf evaluate " + " ".join(arguments))
    _must(evaluate.main(arguments), "evaluation", chosen[0])
    arguments = [recipe.reference, *map(str, models), "--compare", "--out", str(out / "benchmark"), "--overwrite"]
    say("python -m tflite.benchmark " + " ".join(arguments))
    _must(benchmark.main(arguments), "benchmark", chosen[0])
    return models


def longer(recipe: Recipe, outcome: Outcome, epochs: int, search: Path, run: Path) -> list[str]:
    """`crack-tf train` options that continue a trial on all training tiles."""
    whole = replace(recipe, epochs=epochs, limit=None, steps_per_epoch=None, fidelity="epochs")
    # A rung that starts at 0 and is its own last: `epochs` new ones, from the trial's weights.
    rung = Rung(0, epochs, epochs, parent=search / outcome.folder)
    return train_arguments(whole, dict(outcome.values), rung, run)


def _must(code: int, step: str, outcome: Outcome) -> None:
    if code:
        raise CrackError(f"{step} of trial {outcome.trial} failed, see above. The same command goes on from there.")
