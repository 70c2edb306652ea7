"""The training loop: one epoch at a time, each a function of (seed, epoch, checkpoint), so that any epoch can be resumed.

A killed run loses at most the epoch in progress: on resume the newest whole checkpoint is loaded (weights and optimizer), the
next epoch draws the same batches, augmentation and dropout it would have drawn, and training ends with the same weights.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crack_tf.common.arguments import check_config
from crack_tf.common.progress import say_now
from crack_tf.common.provenance import created, data_record, environment
from crack_tf.data.registry import prepare
from crack_tf.data.sides import side_record
from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.models import build_model, get_model
from crack_tf.models.heads import take_weights, with_cells, without_cells
from crack_tf.models.keras_models import MODEL_FILE, load_keras
from crack_tf.training.config import TrainConfig
from crack_tf.training.curves import history_curves
from crack_tf.training.losses import CellLoss, make_loss
from crack_tf.training.origins import origin_of, require_trained, sidecars_of
from crack_tf.training.runs import OUTPUT, Run, begin, begun_from, check_out, check_same_run, read_history
from crack_tf.training.tasks import ALL, Choice, Task, task_of
from crack_tf.training.teacher import Teacher, load_teacher
from tflite.arguments import check_path
from tflite.errors import CrackError
from tflite.files import atomic_path, sha256_file, write_csv, write_json
from tflite.locks import FolderLock
from tflite.manifest import LABELS, Manifest
from tflite.outputs import remove_leftovers
from tflite.sidecar import Sidecar, TensorSpec, read_sidecar, verify_file, write_sidecar

DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def train(
    config: TrainConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = say_now,
) -> Run:
    """Train a registered model on a data set, resumably, into a run folder.

    Args:
        config: the model, its data, and how it is trained.
        out: run folder; None for runs/MODEL.
        resume: go on with an interrupted run of the same configuration in `out`.
        overwrite: replace the run in `out`; what else lies there stays.
        say: takes progress lines.

    Returns:
        The finished run: its folder holds config.json, history.csv, curves.png, val_metrics.json, checkpoints/ and model.keras with its
        sidecar.

    Raises:
        CrackError: if the data do not fit the model, `out` holds something else, or training diverges.

    Example:
        >>> run = crack_tf.train(crack_tf.TrainConfig(model="opnet", epochs=2), out="runs/opnet")  # doctest: +SKIP
        >>> run.metrics["at_threshold"]["recall"]  # doctest: +SKIP
        0.9987
    """
    check_config(config, TrainConfig)
    check_path("out", out, "a run folder", optional=True)
    folder = Path(out or f"runs/{config.model}")
    check_out(folder, config, resume, overwrite)
    task = task_of(config.model)
    manifest = prepare(config.data, config.policy, config.seed)
    task.check(manifest)
    if config.mask_weight and manifest.task != "mixed":
        raise CrackError(
            f"--mask-weight {config.mask_weight:g}: manifest {manifest.name} has no masks. Mix a set in that has some."
        )
    record = {
        "train": config.as_dict(),
        "limit": config.limit,
        "empty_share": config.empty_share,
        "val_limit": config.val_limit,
        "data": data_record(manifest),
        "files": {name: sha256_file(file) for name, file in begun_from(config).items()},
    }
    if resume:
        check_same_run(folder, record)
    # All that can be refused is, before anything of an earlier run is deleted or a folder is made.
    chosen = Choice(config.limit, config.empty_share, config.seed, masks=config.mask_weight > 0)
    training = task.load(manifest, "train", config.image_size, chosen)
    val = task.load(manifest, "val", config.image_size, replace(ALL, limit=config.val_limit))
    model = None if resume else initial_model(config)
    teacher = teacher_of(config)
    earlier = sidecars_of(begun_from(config).values())
    with FolderLock(folder):
        check_out(folder, config, resume, overwrite)  # another process may have come first
        if resume:
            remove_leftovers(folder, OUTPUT)
        else:
            begin(folder, OUTPUT, record)
        samples = f"{len(training)} training and {len(val)} validation {task.samples}"
        say(f"{config.model} at {config.image_size} px: {samples}")
        fitted = fit(config, training, val, folder, say, model, teacher)
        return finish(config, manifest, fitted, val, folder, say, earlier)


def fit(
    config: TrainConfig,
    train: Any,
    val: Any,
    folder: Path,
    say: Callable[[str], None] = say_now,
    model: Any = None,
    teacher: Teacher | None = None,
) -> Any:
    """Train, or go on training, in a run folder.

    Writes `history.csv` and `checkpoints/epoch-NNN.keras` after every epoch.

    Args:
        config: how.
        train: training samples at config.image_size, of the kind that the model's task loads.
        val: validation samples, likewise; cracks are among them, and for a classifier clean tiles.
        folder: run folder; checkpoints found there are gone on from.
        say: takes progress lines.
        model: to begin with, where the folder holds no checkpoint; None makes it.
        teacher: the configuration's; None loads it, if there is one.

    Returns:
        The best epoch's model, rebuilt in float32, uncompiled.

    Raises:
        CrackError: if the loss is not finite, or pretrained weights do not load.
    """
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    cells = get_model(config.model).cells if config.mask_weight else {}
    history, learner = _newest_checkpoint(folder, say)
    if learner is None:
        model = model or initial_model(config)
        learner = with_cells(keras, model, cells) if cells else model
    model = without_cells(keras, learner)  # shares the learner's layers
    teacher = teacher or teacher_of(config)
    task = task_of(config.model)
    steps = task.plan(train, config, 0).steps
    verbose = 1 if sys.stderr.isatty() else 2
    for epoch in range(len(history), config.epochs):
        if stopped_early(history, config.patience, task):
            say(f"no better validation result for {config.patience} epochs: stopping after epoch {len(history)}.")
            break
        if out_of_time(history, config.max_minutes):
            say(
                f"another epoch would not end within {config.max_minutes:g} minutes: stopping after epoch {len(history)}."
            )
            break
        started = time.monotonic()
        if epoch == 0 or epoch == config.freeze_epochs:
            _start_phase(model, learner, config, epoch, steps)
        reseed_dropout(model, config.seed, epoch)
        log = learner.fit(
            task.batches(train, task.plan(train, config, epoch), teacher, tuple(cells)),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=verbose,
            callbacks=[keras.callbacks.TerminateOnNaN()],
        )
        loss = float(log.history["loss"][-1])
        if not math.isfinite(loss):
            raise CrackError(
                f"the loss became {loss} in epoch {epoch + 1}. Lower --learning-rate (it was {config.learning_rate}), "
                "then go on from the last whole epoch in a new run with --init-from."
            )
        row = {"epoch": epoch + 1, "lr": float(np.asarray(keras.ops.convert_to_numpy(learner.optimizer.learning_rate)))}
        row |= {"loss": loss, **task.row(model, val, config)}
        row["seconds"] = round(time.monotonic() - started, 1)
        history.append(row)
        # History first: a checkpoint without its row could not be resumed, a row without its checkpoint is just redone.
        write_csv(folder / "history.csv", history)
        with atomic_path(_checkpoint(folder, epoch + 1)) as temporary:
            learner.save(temporary)
        left = (config.epochs - epoch - 1) * row["seconds"] / 60
        say(
            f"epoch {epoch + 1}/{config.epochs}: loss {loss:.4f}, val loss {row['val_loss']:.4f}, {task.line(row)}, "
            f"{row['seconds']:.0f} s, at most {left:.0f} min left"
        )
    return _float32_twin(config, _checkpoint(folder, best_epoch(history, task)))


def finish(
    config: TrainConfig,
    manifest: Manifest,
    model: Any,
    val: Any,
    folder: Path,
    say: Callable[[str], None] = say_now,
    earlier: Sequence[Sidecar] = (),
) -> Run:
    """Choose the threshold on validation and write the model, its sidecar, metrics and pictures.

    What the model learned at second hand, from `earlier` models, is in its sidecar too: their data sets and licences.

    A folder without a history holds a model that was not trained there, such as an average: it gets no curves.
    """
    task = task_of(config.model)
    verdict = task.judge(model, val, config, folder)
    history = read_history(folder)
    best = {"epoch": best_epoch(history, task)} if history else {}
    metrics = {"split": "val", **best, **verdict.metrics}
    write_json(folder / "val_metrics.json", metrics)
    if history:
        history_curves(history, folder / "curves.png")

    path = folder / MODEL_FILE
    if not _is_kept(path, model):  # exports, teachers and averages know it by its hash, and no two files are alike
        with atomic_path(path) as temporary:
            model.save(temporary)
    size = config.image_size
    here = environment()
    note = get_model(config.model).licence_note if config.weights not in ("none", "average") else ""
    origin = origin_of(manifest, note, earlier)
    sidecar = Sidecar(
        model=config.model,
        scheme="keras",
        file=path.name,
        sha256=sha256_file(path),
        image_size=size,
        labels=LABELS,
        hyperparameters=dict(config.hyperparameters),
        input=TensorSpec((1, size, size, 3), "float32", 0.0, 0),
        output=TensorSpec((1, *model.output_shape[1:]), "float32", 0.0, 0),
        threshold=threshold_record(verdict.threshold, target_recall=verdict.target_recall, split="val"),
        golden=None,
        training={
            "dataset": manifest.dataset,
            "policy": manifest.policy,
            "manifest": manifest.source.name if manifest.source else None,
            "manifest_sha256": manifest.sha256,
            **(side_record(manifest) if task.name == "classify" else {}),
            "run": folder.name,
            "seed": config.seed,
            **({"learned_from": list(origin.learned_from)} if origin.learned_from else {}),
            "positive_weight": config.positive_weight,
            "negative_weight": config.negative_weight,
            **({"loss": config.loss} if task.name == "segment" else {}),
        },
        metrics=metrics,
        licence=origin.licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        task=task.name,
    )
    write_sidecar(path, sidecar)
    epoch = f"best epoch {metrics['epoch']}, " if history else ""
    say(f"{path}: {epoch}{verdict.line}; see {folder}")
    if verdict.warning is not None:
        say(verdict.warning)
    return Run(folder, sidecar)


def _is_kept(path: Path, model: Any) -> bool:
    """Whether a run that is gone on with has written this very model before."""
    try:
        verify_file(path, read_sidecar(path))
        kept, weights = load_keras(path).get_weights(), model.get_weights()
    except CrackError:
        return False
    return len(kept) == len(weights) and all(map(np.array_equal, kept, weights))


def initial_model(config: TrainConfig) -> Any:
    """The model before its first step: seeded, with pretrained or earlier weights filled in."""
    keras.utils.set_random_seed(config.seed)
    spec = get_model(config.model)
    hyperparameters = dict(config.hyperparameters)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(DTYPES[config.precision])
        model = build_model(config.model, keras, image_size=config.image_size, **hyperparameters)
    finally:
        keras.config.set_dtype_policy(before)
    if config.weights != "none":
        if spec.pretrained is None:
            trained = Path(config.weights).suffix == ".keras"
            advice = f"To go on from a trained model, give --init-from {config.weights}" if trained else "Use 'none'"
            raise CrackError(f"--weights {config.weights!r}: {config.model} has no pretrained weights. {advice}.")
        values = spec.hyperparameters | hyperparameters
        spec.pretrained(keras, model, config.weights, image_size=config.image_size, **values)
    if config.init_from:
        require_trained("--init-from", config.init_from)
        earlier = load_keras(config.init_from)
        try:
            model.set_weights(earlier.get_weights())
        except ValueError:
            if take_weights(model, earlier) is None:
                raise CrackError(
                    f"--init-from {config.init_from!r} holds another architecture than {config.model} {hyperparameters}."
                ) from None
    return model


def teacher_of(config: TrainConfig) -> Teacher | None:
    """What softens a classifier's labels, if the configuration names one.

    Raises:
        CrackError: see `load_teacher`.
    """
    return load_teacher(config.teacher, config.teacher_share) if config.teacher else None


def best_epoch(history: list[dict[str, float]], task: Task) -> int:
    """Number (from 1) of the epoch that the task holds for the best; of equal ones the first."""
    return int(max(history, key=task.merit)["epoch"])


def stopped_early(history: list[dict[str, float]], patience: int, task: Task) -> bool:
    """Whether the last `patience` epochs brought nothing better. A function of the history, so it survives a resume."""
    return bool(history) and patience > 0 and len(history) - best_epoch(history, task) >= patience


def out_of_time(history: list[dict[str, float]], minutes: float | None) -> bool:
    """Whether an epoch as long as the last would end later than that. The first one is always trained."""
    if minutes is None or not history:
        return False
    return sum(row["seconds"] for row in history) + history[-1]["seconds"] > 60 * minutes


def reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Set every dropout layer's generator from (seed, epoch): its state is then the same after a resume."""
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([seed + 7919 * number, epoch], dtype="uint32"))


def _checkpoint(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch-{epoch:03d}.keras"


def _newest_checkpoint(folder: Path, say: Callable[[str], None]) -> tuple[list[dict[str, float]], Any]:
    """History up to the newest checkpoint that loads, and its compiled model; ([], None) at the start."""
    history = read_history(folder)
    for epoch in range(len(history), 0, -1):
        path = _checkpoint(folder, epoch)
        if not path.exists():
            continue
        try:
            model = load_keras(path, compile=True)
        except CrackError as error:
            say(f"checkpoint passed over: {error}")
            continue
        say(f"resuming after epoch {epoch} from {path}")
        return history[:epoch], model
    return [], None


def _start_phase(model: Any, learner: Any, config: TrainConfig, epoch: int, steps: int) -> None:
    """Choose what trains of a model and compile what learns, with a fresh optimizer. Phases: the head alone, then the unfrozen blocks."""
    spec = get_model(config.model)
    head_only = epoch < config.freeze_epochs
    if spec.set_trainable is not None:
        blocks = 0 if head_only else spec.blocks if config.unfreeze_blocks is None else config.unfreeze_blocks
        spec.set_trainable(model, blocks)
    epochs = config.freeze_epochs if head_only else config.epochs - epoch
    compile_model(learner, config, steps * epochs)


def compile_model(model: Any, config: TrainConfig, total_steps: int) -> None:
    """Compile with the configured losses and a fresh optimizer scheduled over `total_steps`."""
    loss: Any = make_loss(config.loss, config.positive_weight, config.negative_weight)
    weights = None
    if isinstance(model.output, dict):  # a classifier that masks teach
        cells = [name for name in model.output if name.startswith("cells")]
        loss = {"logit": loss, **{name: CellLoss() for name in cells}}
        weights = {"logit": 1.0, **dict.fromkeys(cells, config.mask_weight)}
    model.compile(
        make_optimizer(config, total_steps),
        loss=loss,
        loss_weights=weights,
        # XLA was measured slower on the processors this was written on (OPNet, 128 px: 9 against 24 tiles/s).
        jit_compile=keras.backend.backend() == "jax",
    )
    # Left to the first step, its variables are made while that is traced, and TensorFlow then traces it anew: 13 s instead of 6 for a
    # MobileNetV2.
    model.optimizer.build(model.trainable_variables)


def make_optimizer(config: TrainConfig, total_steps: int) -> Any:
    """Optimizer with its learning-rate schedule over one phase."""
    rate: Any = config.learning_rate
    warmup = min(config.warmup_steps, max(0, total_steps - 1))
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else config.learning_rate,
            decay_steps=max(1, total_steps - warmup),
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    elif warmup:
        rate = keras.optimizers.schedules.PolynomialDecay(0.0, warmup, config.learning_rate)
    optimizers = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    }
    return optimizers[config.optimizer](rate)


def _float32_twin(config: TrainConfig, checkpoint: Path) -> Any:
    trained = load_keras(checkpoint)
    twin = build_model(config.model, keras, image_size=config.image_size, **config.hyperparameters)
    twin.set_weights(trained.get_weights())
    return twin
