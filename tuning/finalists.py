"""From a search's front to finished models: longer training, int8 by QAT and by PTQ, and the first look at the test split."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from crack_tf.evaluation import evaluate as evaluating
from crack_tf.evaluation.config import EvaluateConfig
from crack_tf.models.keras_models import MODEL_FILE
from crack_tf.quantisation import export as exporting
from crack_tf.quantisation.config import ExportConfig
from crack_tf.training.config import TrainConfig
from tflite import timing
from tflite.errors import CrackError
from tflite.files import write_csv
from tuning.left_out import final_rows
from tuning.objective import Outcome
from tuning.trial import Recipe, Rung, export_command, has_begun, train_command, train_config


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
    from crack_tf.training import loop as training  # imports Keras

    runs: list[Path] = []
    named: dict[str, Path] = {}
    for outcome in chosen:
        run = search / outcome.folder / "run"
        if epochs:
            run = out / f"trial_{outcome.trial}"
            if not (run / MODEL_FILE).exists():
                config = longer(recipe, outcome, epochs, search)
                say(train_command(config, run))
                with _step("training", outcome):
                    training.train(config, run, resume=has_begun(run))
        runs.append(run)
        for scheme in ("int8-qat", "int8-ptq"):
            quantise = ExportConfig(scheme=scheme, measure_split="val", max_recall_drop=100)
            say(export_command(quantise, run))
            with _step("export", outcome):
                named[f"trial {outcome.trial} {scheme}"] = exporting.export(run, quantise, resume=True).file
    models = [*named.values()]
    tested = [*runs, *models]
    arguments = [*map(str, tested), "--data", recipe.manifest, "--out", str(out / "test"), "--overwrite"]
    say(shlex.join(["crack-tf", "evaluate", *arguments]))
    with _step("evaluation", chosen[0]):
        evaluating.evaluate_models(tested, EvaluateConfig(recipe.manifest), out / "test", overwrite=True)
    if recipe.left_out:
        write_csv(out / "left_out.csv", final_rows(named, recipe.left_out))
    arguments = [recipe.reference, *map(str, models), "--compare", "--out", str(out / "benchmark"), "--overwrite"]
    say(shlex.join(["python", "-m", "tflite.benchmark", *arguments]))
    timed = timing.BenchmarkConfig(
        [Path(recipe.reference), *models], compare=True, out=out / "benchmark", overwrite=True
    )
    with _step("benchmark", chosen[0]):
        timing.measure_models(timed)
    return models


def longer(recipe: Recipe, outcome: Outcome, epochs: int, search: Path) -> TrainConfig:
    """The training that continues a trial on all training tiles."""
    whole = replace(recipe, epochs=epochs, limit=None, steps_per_epoch=None, fidelity="epochs")
    # A rung that starts at 0 and is its own last: `epochs` new ones, from the trial's weights.
    rung = Rung(0, epochs, epochs, parent=search / outcome.folder)
    return train_config(whole, dict(outcome.values), rung)


@contextmanager
def _step(step: str, outcome: Outcome) -> Iterator[None]:
    try:
        yield
    except CrackError as error:
        raise CrackError(
            f"{step} of trial {outcome.trial} failed: {error} The same command goes on from there."
        ) from None
