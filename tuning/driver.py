"""From a configuration to a finished search or study: `tune` is what `crack-tf tune` calls."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

from crack_tf.common.progress import say_now as say
from crack_tf.data.registry import prepare
from crack_tf.models import build_model, get_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.space import Choice
from crack_tf.training.config import DEFAULT_DATA, TrainConfig
from crack_tf.training.origins import check_teacher
from tflite.errors import CrackError, first_line
from tflite.locks import FolderLock
from tflite.manifest import Manifest, refuse_mixed
from tflite.outputs import check_folder, remove_leftovers
from tflite.runtime import load_interpreter
from tuning import project, report, workers
from tuning.finalists import finish_models
from tuning.left_out import check_named, open_left_out
from tuning.objective import Budget
from tuning.pareto import finalists
from tuning.project import PROJECT, SEARCH, Plan, read_outcomes, search_output
from tuning.space import Question, search_space
from tuning.studies import study, write_study
from tuning.timing import write_untrained
from tuning.trial import Recipe, Rung, architecture, train_config
from tuning.tune_config import TuneConfig
from tuning.workers import CHIEF, command_of, role

REFERENCES = {"classify": ("opnet", 224), "segment": ("unet", 256)}  # model and side of its input


def tune(config: TuneConfig, out: Path, *, overwrite: bool = False, crew: int | None = None) -> None:
    """Search for the most accurate model that meets a budget, or run a study. The same call goes on with what was interrupted.

    Args:
        config: what, with what, and how much.
        out: folder of the search.
        overwrite: replace the search in `out`; what else lies there stays.
        crew: search with a chief and so many workers on this machine; None searches in this process, alone or as what the
            environment says (`tuning.workers.role`).

    Raises:
        CrackError: if a setting, the data or the folder is not usable, or nothing met the budget.
    """
    if crew and role():
        raise CrackError("--workers starts its own chief: leave it out, or unset the KERASTUNER_ variables.")
    if overwrite and role():
        raise CrackError("--overwrite and a distributed search exclude each other: delete the folder first.")
    if config.study:
        run_study(config, out, overwrite, crew)
        return
    check_out(config, out, overwrite)
    model = config.model or "opnet_lite"
    question = search_space(model, config.fix, config.vary, config.only)
    if get_model(model).task == "segment":
        say("masks: the pixels' F1 is maximised; there is no recall floor, so --target-recall plays no part")
    search(make_plan(config, out, model, question, config.weights), config, out, overwrite, crew)


def check_out(config: TuneConfig, out: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else than a search, before anything is made.

    Raises:
        CrackError: see `tflite.outputs.check_folder`.
    """
    # The chief makes the folder; a search that is there is gone on with.
    if role() is None and (overwrite or not (out / PROJECT).exists()):
        inputs = (config.data, config.reference, config.weights)
        hint = "It holds no search, so it is left alone. Choose another --out."
        check_folder(out, search_output(), overwrite, inputs=inputs, hint=hint)


def make_plan(config: TuneConfig, out: Path, model: str, question: Question, weights: str | None) -> Plan:
    """Settle data and reference and put the search's settings together."""
    if config.reference is not None:
        check_reference(config.reference)
    from crack_tf.training.tasks import task_of  # imports Keras

    task = task_of(model)
    teacher = TrainConfig(model=model, teacher=config.teacher).teacher  # a run folder stands for its model
    if teacher is not None:
        check_teacher(teacher)
    data = config.data or DEFAULT_DATA[task.name]
    check_named(config.left_out, data)
    manifest = prepare(data, config.policy, config.seed)  # which may draw it
    task.check(manifest)
    if config.finalists:
        refuse_mixed(manifest, "--finalists, which are tested")
    recipe = Recipe(
        model=model,
        manifest=str(manifest_path(manifest)),
        question=question,
        epochs=config.epochs,
        fidelity=config.fidelity,
        limit=config.limit,
        steps_per_epoch=config.steps_per_epoch,
        target_recall=config.target_recall,
        budget=Budget(config.max_latency_ms, config.max_kb, config.min_speedup),
        weights=weights,
        reference=str(config.reference or out / "reference" / f"{REFERENCES[task.name][0]}-int8.tflite"),
        seed=config.seed,
        teacher=teacher,
        left_out=open_left_out(config.left_out, manifest, (teacher, weights), tested=config.finalists > 0),
    )
    # What no training takes is told now, and not by each trial.
    defaults = {name: dimension.default for name, dimension in question.space.items()}
    train_config(recipe, defaults, Rung(0, config.epochs, config.epochs))
    check_buildable(recipe)
    trials = len(question.experiments) or config.trials
    algorithm = "grid" if question.experiments else config.algorithm
    return Plan(recipe, algorithm, trials, config.factor, config.iterations, manifest.sha256)


def check_reference(path: Path) -> None:
    """Make sure that a reference can be timed: every trial is timed with it.

    Raises:
        CrackError: if there is no such file, or LiteRT cannot load it; a sidecar is not asked for.
    """
    if not path.is_file():
        raise CrackError(f"--reference {path}: no such file. Name an int8 .tflite, or leave it out.")
    try:
        load_interpreter(path, 1, "xnnpack")
    except CrackError as error:
        raise CrackError(f"--reference {path} cannot be timed: {error}") from None


def check_buildable(recipe: Recipe) -> None:
    """Make sure that some trial can build its network. Defaults are tried first, and the first combination that can be built will do.

    Raises:
        CrackError: with the reason of the first, if none of what is searched and held goes together.
    """
    import keras

    of_network = ("experiment", "image_size", *get_model(recipe.model).hyperparameters)
    searched = {
        name: sorted(dimension.values, key=lambda value: value != dimension.default)
        for name, dimension in recipe.question.space.items()
        if name in of_network and isinstance(dimension, Choice)
    }
    reason = ""
    for values in product(*searched.values()):
        size, hyperparameters = architecture(recipe, dict(zip(searched, values, strict=True)))
        try:
            build_model(recipe.model, keras, image_size=size, **hyperparameters)
        except Exception as error:  # TensorFlow's own, too, as in a trial
            reason = reason or first_line(error)
        else:
            return
    raise CrackError(f"no combination of what is searched and held can be built: {reason}")


def manifest_path(manifest: Manifest) -> Path:
    """Where a prepared manifest lies; every trial reads it again."""
    assert manifest.source is not None
    return manifest.source


def search(plan: Plan, config: TuneConfig, out: Path, overwrite: bool, crew: int | None) -> None:
    """Run a search to its end and report."""
    here = role()
    if overwrite:
        project.clear(out)
    worker = here not in (None, CHIEF)
    project.open_project(plan, out, worker)
    if crew:
        run_crew(config, out, crew)
    elif worker:
        run_here(plan, out)
        return
    else:
        with FolderLock(out):  # keeps a second search, or a second chief, out
            remove_leftovers(out, project.search_output())
            if config.reference is None:
                make_reference(Path(plan.recipe.reference), plan.recipe.model)
            run_here(plan, out)
    outcomes = project.read_outcomes(out / project.SEARCH)
    best = report.write_report(outcomes, out, plan.record())
    if plan.recipe.question.experiments:
        return
    if not best:
        fitting = [outcome for outcome in outcomes if outcome.status == "over budget"]
        if fitting:
            raise CrackError(project.no_budget_message(plan, fitting))
        raise CrackError(f"no trial succeeded; see {out / 'trials.csv'} for each one's message.")
    print(report.front_table(best))
    print(f"{out / 'pareto.csv'}, {out / 'pareto.png'}, {out / 'trials.csv'}")
    if config.finalists and here is None:
        chosen = finalists(best, config.finalists)
        finish_models(chosen, plan.recipe, config.final_epochs, out / project.SEARCH, out / "finalists", say)
    project.prune(out, {outcome.folder for outcome in best})


def make_reference(path: Path, model: str) -> None:
    """Write what a model's speed is relative to: int8 OPNet at 224 pixels, of masks unet at 256, with random weights."""
    use_tensorflow()
    if not path.exists() or not path.with_name(path.name + ".json").exists():
        name, size = REFERENCES[get_model(model).task]
        write_untrained(name, size, {}, path)


def run_here(plan: Plan, out: Path) -> None:
    """Search in this process: alone, as chief or as worker."""
    use_tensorflow()

    from tuning.search import run_search  # imports Keras Tuner, hence Keras

    run_search(plan, out, say)


def run_crew(config: TuneConfig, out: Path, count: int) -> None:
    """Search with a chief and workers on this machine."""
    finished = lambda: len(read_outcomes(out / SEARCH))  # noqa: E731
    command = command_of([*config.options(), "--out", str(out)])
    workers.Crew(command, count, out / "workers", finished, say).run()


def run_study(config: TuneConfig, out: Path, overwrite: bool, crew: int | None) -> None:
    """Run a study's experiments for each of its models and print them beside the published figures."""
    assert config.study is not None
    chosen = study(config.study)
    if crew:
        raise CrackError("--workers: a study has a handful of trials per model; run it without.")
    if config.model and config.model not in chosen.models:
        raise CrackError(f"--model {config.model}: the study is about {' and '.join(chosen.models)}.")
    rows = []
    models = [config.model] if config.model else chosen.models
    for model in models:
        check_out(config, out / model, overwrite)
    for model in models:
        fixed = search_space(model, config.fix).held if config.fix else {}
        chosen.check_fixed(fixed)
        weights = config.weights if get_model(model).pretrained else None
        question = replace(chosen.question, held=chosen.question.held | fixed)
        plan = make_plan(config, out / model, model, question, weights)
        search(plan, config, out / model, overwrite, None)
        rows += chosen.rows(model, read_outcomes(out / model / SEARCH), out / model / SEARCH)
    write_study(rows, out / "study.csv")
    print(chosen.heading)
    print(chosen.table(rows))
    print(f"{out / 'study.csv'}; {scale(config)}; published: {chosen.published}")


def scale(config: TuneConfig) -> str:
    """How large a study's runs are."""
    count = f"{config.limit:.0%} of the" if isinstance(config.limit, float) else config.limit or "all"
    tiles = f"{count} training {'patches' if config.study == 'unet' else 'tiles'}"
    steps = f" of {config.steps_per_epoch} steps" if config.steps_per_epoch else ""
    held = f", {', '.join(config.fix)}" if config.fix else ""
    return f"this run: {tiles}, {config.epochs} epochs{steps}{held}"
