"""One trial: train, quantise, time, score. It is an ordinary run folder, so every other command takes what it leaves behind.

trial_0003/run/          as `crack_tf.train` writes it
trial_0003/run/export/   int8 by PTQ, as `crack_tf.export` writes it
trial_0003/trial.log     what both printed
trial_0003/result.json   the outcome; where it lies, the trial is finished and never runs again
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crack_tf.models import get_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.quantisation import export as exporting
from crack_tf.quantisation.config import ExportConfig
from crack_tf.training.config import TrainConfig
from crack_tf.training.runs import read_history
from tflite.errors import CrackError, first_line
from tflite.files import read_json, write_json
from tflite.manifest import read_manifest
from tflite.sidecar import read_sidecar
from tuning.left_out import LeftOut, areas
from tuning.objective import FAILED_SCORE, Budget, Outcome, feasible_score, outcome_from, over_budget_score
from tuning.space import Question
from tuning.timing import Cost, measure_cost, write_untrained

RESULT = "result.json"
_MULTIPLE = {
    "classify": 16,
    "segment": 64,
}  # reduced input sizes are multiples of this; a U-Net halves the side up to six times


@dataclass(frozen=True)
class Recipe:
    """What all trials of a search share.

    Attributes:
        model: registry name.
        manifest: path of the split manifest; trials use its train and val splits, never test.
        question: what is searched, and what is not.
        epochs: of a trial at full fidelity.
        fidelity: what a cheap trial saves: "epochs", "data" or "size" (side of the input).
        limit: training tiles or patches of a trial, a share of them, or None for all.
        steps_per_epoch: batches per epoch, or None for all.
        target_recall: recall floor of classifiers.
        budget: limits on cost.
        weights: see `crack_tf.train --weights`; None for the model's default.
        reference: int8 .tflite that speeds are relative to.
        seed: of every training.
        teacher: see `crack_tf.train --teacher`; None for none.
        left_out: data sets that trials are scored on; none scores them on validation.
    """

    model: str
    manifest: str
    question: Question
    epochs: int
    fidelity: str
    limit: int | float | None
    steps_per_epoch: int | None
    target_recall: float
    budget: Budget
    weights: str | None
    reference: str
    seed: int
    teacher: str | None = None
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Rung:
    """How far a trial goes. Searches without rungs have one, at full fidelity.

    Attributes:
        start: resource spent before, by the trial it continues.
        end: resource spent at its end.
        most: of the last rung.
        parent: folder of the trial it continues, or None.
    """

    start: int
    end: int
    most: int
    parent: Path | None = None


def run_trial(trial: str, values: dict[str, Any], rung: Rung, recipe: Recipe, folder: Path) -> Outcome:
    """Run a trial, go on with an interrupted one, or return a finished one's outcome.

    Args:
        trial: its id.
        values: hyperparameters by name, decoded.
        rung: how far it goes.
        recipe: what trials share.
        folder: of the trial.

    Returns:
        The outcome, also written to `folder`/result.json. A trial whose training diverges, or that cannot be built, has the
        status "failed"; the search goes on.

    Raises:
        OSError: when the disk is full: the search must stop, nothing is lost.
    """
    if (folder / RESULT).exists():
        return outcome_from(read_json(folder / RESULT))
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    outcome = Outcome(trial, "failed", FAILED_SCORE, values, folder=folder.name)
    with quiet(folder / "trial.log"):
        try:
            outcome = _attempt(outcome, rung, recipe, folder)
        except CrackError as error:
            outcome = replace(outcome, message=str(error))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            outcome = replace(outcome, message=f"{type(error).__name__}: {first_line(error)}")
        except (
            Exception
        ) as error:  # TensorFlow's own: out of memory, shapes that do not fit; the next trial may well run
            outcome = replace(outcome, message=f"{type(error).__name__}: {first_line(error)}")
    outcome = replace(outcome, seconds=round(time.monotonic() - started, 1))
    write_json(folder / RESULT, outcome.as_dict())
    shutil.rmtree(folder / "run" / "checkpoints", ignore_errors=True)  # optimizer state: three times the model's size
    return outcome


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Send what a trial prints to its log, what TensorFlow's C++ writes to stderr included."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
            os.dup2(stream.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)


def _attempt(outcome: Outcome, rung: Rung, recipe: Recipe, folder: Path) -> Outcome:
    use_tensorflow()
    import keras

    keras.backend.clear_session()  # graphs of earlier trials would fill the memory
    run = folder / "run"
    lock = folder.parent.parent / "timing.lock"
    if recipe.budget and rung.parent is None:
        size, hyperparameters = architecture(recipe, dict(outcome.values))
        probe = folder / "untrained" / f"{recipe.model}.tflite"
        write_untrained(recipe.model, size, hyperparameters, probe)
        cost = measure_cost(probe, Path(recipe.reference), lock)
        shutil.rmtree(probe.parent)
        if excess := recipe.budget.excess(cost.latency_ms, cost.kilobytes, cost.speedup):
            # Latency does not depend on weights, so a hopeless trial is known before it costs any training.
            return _over_budget(outcome, cost, excess, recipe, 0)
    train(recipe, dict(outcome.values), rung, run)
    model = export(run, recipe)
    return judge(outcome, run, model, measure_cost(model, Path(recipe.reference), lock), rung, recipe)


def train(recipe: Recipe, values: dict[str, Any], rung: Rung, run: Path) -> None:
    """Train a trial's run folder, resuming where it was interrupted.

    Raises:
        CrackError: if training diverges or a setting is impossible.
    """
    from crack_tf.training import loop as training  # imports Keras

    config = train_config(recipe, values, rung)
    print("$", train_command(config, run), flush=True)
    training.train(config, run, resume=has_begun(run))


def train_config(recipe: Recipe, values: dict[str, Any], rung: Rung) -> TrainConfig:
    """How a trial is trained."""
    settings = recipe.question.settings(values)
    spec = get_model(recipe.model)
    size, hyperparameters = architecture(recipe, values)
    limit, epochs, start = recipe.limit, recipe.epochs, None
    if recipe.fidelity == "epochs":
        epochs = rung.end - rung.start
    elif recipe.fidelity == "size":
        size = reduced_size(size, rung, spec.smallest, _MULTIPLE[spec.task])
    elif rung.end < rung.most:
        limit = rung_limit(recipe, rung)
    if rung.parent is not None and recipe.fidelity != "data":
        start = str(rung.parent / "run" / "model.keras")
    shared: dict[str, Any] = {
        "model": recipe.model,
        "data": recipe.manifest,
        "image_size": size,
        "hyperparameters": hyperparameters,
        "weights": "" if start else recipe.weights or "",
        "init_from": start,
        "epochs": epochs,
        "steps_per_epoch": recipe.steps_per_epoch,
        "limit": limit,
        "patience": 0,
        "target_recall": recipe.target_recall,
        "teacher": recipe.teacher,
        "seed": recipe.seed,
    }
    own = {name: value for name, value in settings.items() if name not in hyperparameters and name != "image_size"}
    return TrainConfig(**shared | own)


def train_command(config: TrainConfig, run: Path) -> str:
    """The command that trains, or goes on training, as a shell takes it."""
    resume = ["--resume"] if has_begun(run) else []
    return shlex.join(["crack-tf", "train", *config.options(), "--out", str(run), *resume])


def export_command(config: ExportConfig, run: Path) -> str:
    """The command that exports, or goes on exporting, as a shell takes it."""
    return shlex.join(["crack-tf", "export", str(run), *config.options(), "--resume"])


def has_begun(run: Path) -> bool:
    """Whether a run folder holds a training, finished or not."""
    return (run / "config.json").exists()


def export(run: Path, recipe: Recipe) -> Path:
    """Quantise a trained run by PTQ, measured on validation; returns the .tflite file."""
    config = ExportConfig(
        scheme="int8-ptq",
        measure_split="val",
        max_recall_drop=100,
        max_f1_drop=100,
        calibration_samples=100,
        seed=recipe.seed,
    )
    print("$", export_command(config, run), flush=True)
    return exporting.export(run, config, resume=True).file


def judge(outcome: Outcome, run: Path, model: Path, cost: Cost, rung: Rung, recipe: Recipe) -> Outcome:
    """Fill in an outcome from what training, export and timing left behind."""
    sidecar = read_sidecar(model)
    counts, masks = sidecar.metrics["at_threshold"], sidecar.task == "segment"
    epoch = read_json(run / "val_metrics.json")["epoch"]
    row = next(row for row in read_history(run) if row["epoch"] == epoch)
    epochs = rung.end if recipe.fidelity == "epochs" else recipe.epochs
    outcome = replace(
        outcome,
        status="ok",
        epochs=epochs,
        auc=row.get("auc"),
        val_loss=row["val_loss"],
        **{name: counts[name] for name in ("recall", "specificity", "tp", "fn", "tn", "fp")},
        **({name: counts[name] for name in ("f1", "iou")} if masks else {}),
        **asdict(cost),
    )
    if excess := recipe.budget.excess(cost.latency_ms, cost.kilobytes, cost.speedup):
        return _over_budget(outcome, cost, excess, recipe, epochs)
    if masks:
        return replace(outcome, score=counts["f1"])
    quality = counts["specificity"]
    if recipe.left_out:
        outcome = replace(outcome, left_out=areas(model, recipe.left_out))
        quality = outcome.left_out_auc
    return replace(outcome, score=feasible_score(counts["recall"], quality, row["val_loss"], recipe.target_recall))


def architecture(recipe: Recipe, values: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Input size and builder arguments of a trial at full fidelity."""
    spec = get_model(recipe.model)
    settings = recipe.question.settings(values)
    return int(settings.get("image_size", spec.image_size)), {
        k: v for k, v in settings.items() if k in spec.hyperparameters
    }


def rung_limit(recipe: Recipe, rung: Rung) -> int | float:
    """Training samples of a cheap trial: of tiles a number, of patches and views (whose number the manifest does not tell) a share."""
    share = rung.end / rung.most
    if isinstance(recipe.limit, float):
        return recipe.limit * share
    if recipe.limit is not None:
        return max(2, round(recipe.limit * share))
    manifest = read_manifest(recipe.manifest)
    if get_model(recipe.model).task == "segment" or manifest.task == "mixed":
        return share
    return max(2, round(len(manifest.split("train")) * share))


def reduced_size(size: int, rung: Rung, smallest: int, multiple: int = 16) -> int:
    """Side of the input on a rung: pixels, hence work, are in proportion to the resource spent.

    Args:
        size: side at full fidelity.
        rung: how far the trial goes.
        smallest: least side the model takes.
        multiple: what a reduced side is a multiple of.
    """
    if rung.end >= rung.most:
        return size
    side = size * (rung.end / rung.most) ** 0.5
    return min(size, max(smallest, multiple, round(side / multiple) * multiple))


def _over_budget(outcome: Outcome, cost: Cost, excess: float, recipe: Recipe, epochs: int) -> Outcome:
    return replace(
        outcome,
        status="over budget",
        score=over_budget_score(excess),
        epochs=epochs,
        message=f"budget exceeded by {excess:.0%} (allowed: {recipe.budget})",
        **asdict(cost),
    )
