"""`python -m crack_tf.tune`: search for the most accurate model that meets a board's budget, with Keras Tuner.

The same command goes on with an interrupted search. In the --out folder: trials.csv (every trial), pareto.csv and pareto.png (the
trials that no other beats in everything, and the knee), search.json, tensorboard/, and one run folder per trial.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.progress import say_now as say
from crack_tf.train_config import DEFAULT_DATA
from tflite.cli import count_or_share, fraction, non_negative_int, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tuning import ALGORITHMS, FIDELITIES, STUDIES

if TYPE_CHECKING:
    from tflite.manifest import Manifest
    from tuning.project import Plan

REFERENCES = {"classify": ("opnet", 224), "segment": ("unet", 256)}  # model and side of its input


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf tune",
        description="Search for the most accurate crack model that meets a budget. The same command goes on with a search.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--model",
        default=None,
        help="registered model to search over (default: opnet_lite; --study: the study's)",
    )
    add("--algorithm", default="hyperband", choices=ALGORITHMS)
    add("--study", default=None, choices=STUDIES, help="run the published study's experiments instead of a search")
    add("--data", default=None, help="manifest .csv, data set name, or folder (default: synthetic, or synthetic_masks)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--out", type=Path, default=None, help="folder of the search (default: runs/tune)")
    space = parser.add_argument_group("search space")
    space.add_argument("--show-space", action="store_true", help="print what would be searched, and stop")
    space.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="hold a dimension at a value")
    space.add_argument(
        "--vary", action="append", default=[], metavar="NAME=V1,V2", help="search these values of a dimension"
    )
    space.add_argument(
        "--only", default=None, metavar="NAMES", help="search these dimensions, hold the others' defaults"
    )
    size = parser.add_argument_group("how much")
    size.add_argument("--trials", type=positive_int, default=20, help="random, bayesian, grid: at most this many")
    size.add_argument("--epochs", type=positive_int, default=9, help="of a trial at full fidelity")
    size.add_argument("--fidelity", default="epochs", choices=FIDELITIES, help="what hyperband's cheap trials save")
    size.add_argument("--factor", type=positive_int, default=3, help="hyperband: one in FACTOR trials goes on")
    size.add_argument("--iterations", type=positive_int, default=1, help="hyperband: runs through all brackets")
    size.add_argument(
        "--limit",
        type=count_or_share,
        default=None,
        help="use so many training tiles or patches, or a share such as 0.1",
    )
    size.add_argument("--steps-per-epoch", type=positive_int, default=None)
    goal = parser.add_argument_group("goal")
    goal.add_argument("--target-recall", type=fraction, default=0.998, help="recall floor on validation (not of masks)")
    goal.add_argument("--max-latency-ms", type=positive_float, default=None, help="int8, one thread, on this machine")
    goal.add_argument("--max-kb", type=positive_float, default=None, help="size of the int8 file")
    goal.add_argument("--min-speedup", type=positive_float, default=None, help="times as fast as the reference model")
    goal.add_argument(
        "--reference", type=Path, default=None, help="int8 .tflite to compare with (default: OPNet, or of masks unet)"
    )
    add("--weights", default=None, help="imagenet, none, or a weights file (default: imagenet where Keras has it)")
    add("--finalists", type=non_negative_int, default=0, help="best trials to train on, quantise by QAT, and test")
    add("--final-epochs", type=non_negative_int, default=0, help="more epochs for the finalists, on all training tiles")
    add("--workers", type=positive_int, default=None, help="search with a chief and this many workers on this machine")
    add("--seed", type=non_negative_int, default=0)
    add("--overwrite", action="store_true", help="replace the search in --out; what else lies there stays")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    args = make_parser().parse_args(arguments)
    return run_main(
        lambda: run(args, arguments), interrupted="Finished trials and epochs are kept; the same command goes on."
    )


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    """Search, or run a study, as the parsed options say."""
    check(args)
    out = args.out or Path("runs/tune")
    if args.study:
        run_study(args, arguments, out)
        return
    if not args.show_space:
        check_out(args, out)

    from crack_tf.models import get_model
    from tuning.space import describe, search_space

    model = args.model or "opnet_lite"
    space, held = search_space(model, args.fix, args.vary, args.only)
    if args.show_space:
        print(describe(space, held))
        return
    if get_model(model).task == "segment":
        say("masks: the pixels' F1 is maximised; there is no recall floor, so --target-recall plays no part")
    plan = make_plan(args, out, model, space, held, args.weights)
    search(plan, out, args, arguments)


def check(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        CrackError: naming them.
    """
    from tuning.workers import role

    if not 0 < args.target_recall <= 1:
        raise CrackError(f"--target-recall {args.target_recall}: give a share above 0 and at most 1, such as 0.998.")
    if args.factor < 2:
        raise CrackError(f"--factor {args.factor}: hyperband keeps one trial in FACTOR, so give at least 2.")
    if args.fidelity != "epochs" and args.algorithm != "hyperband":
        raise CrackError(f"--fidelity {args.fidelity} is for hyperband; {args.algorithm} trains every trial in full.")
    if args.final_epochs and not args.finalists:
        raise CrackError(f"--final-epochs {args.final_epochs} is for --finalists: say how many.")
    if args.workers and role():
        raise CrackError("--workers starts its own chief: leave it out, or unset the KERASTUNER_ variables.")
    if args.study and (args.vary or args.only or args.show_space):
        raise CrackError(
            "--study has its own experiments: leave out --vary, --only and --show-space. --fix is allowed."
        )
    if args.overwrite and role():
        raise CrackError("--overwrite and a distributed search exclude each other: delete the folder first.")


def check_out(args: argparse.Namespace, out: Path) -> None:
    """Refuse a folder that holds something else than a search, before anything is made.

    Raises:
        CrackError: see `tflite.outputs.check_folder`.
    """
    from tflite.outputs import check_folder
    from tuning.project import PROJECT, search_output
    from tuning.workers import role

    # The chief makes the folder; a search that is there is gone on with.
    if role() is None and (args.overwrite or not (out / PROJECT).exists()):
        inputs = (args.data, args.reference, args.weights)
        hint = "It holds no search, so it is left alone. Choose another --out."
        check_folder(out, search_output(), args.overwrite, inputs=inputs, hint=hint)


def make_plan(
    args: argparse.Namespace,
    out: Path,
    model: str,
    space: Any,
    held: dict[str, Any],
    weights: str | None,
    experiments: dict[str, dict[str, Any]] | None = None,
) -> Plan:
    """Settle data and reference and put the search's settings together."""
    from crack_tf.data.registry import prepare
    from crack_tf.tasks import task_of
    from tflite.manifest import refuse_mixed
    from tuning.objective import Budget
    from tuning.project import Plan
    from tuning.trial import Recipe

    if args.reference is not None and not args.reference.is_file():
        raise CrackError(f"--reference {args.reference}: no such file. Name an int8 .tflite, or leave it out.")
    task = task_of(model)
    manifest = prepare(args.data or DEFAULT_DATA[task.name], args.policy, args.seed)
    task.check(manifest)
    if args.finalists:
        refuse_mixed(manifest, "--finalists, which are tested")
    recipe = Recipe(
        model=model,
        manifest=str(manifest_path(manifest)),
        space=space,
        held=held,
        epochs=args.epochs,
        fidelity=args.fidelity,
        limit=args.limit,
        steps_per_epoch=args.steps_per_epoch,
        target_recall=args.target_recall,
        budget=Budget(args.max_latency_ms, args.max_kb, args.min_speedup),
        weights=weights,
        reference=str(args.reference or out / "reference" / f"{REFERENCES[task.name][0]}-int8.tflite"),
        seed=args.seed,
        experiments=experiments or {},
    )
    trials = len(experiments) if experiments else args.trials
    algorithm = "grid" if experiments else args.algorithm
    return Plan(recipe, algorithm, trials, args.factor, args.iterations, manifest.sha256)


def manifest_path(manifest: Manifest) -> Path:
    """Where a prepared manifest lies; every trial reads it again."""
    assert manifest.source is not None
    return manifest.source


def search(plan: Plan, out: Path, args: argparse.Namespace, arguments: list[str]) -> None:
    """Run a search to its end and report."""
    from tflite.outputs import remove_leftovers
    from tuning import project, report
    from tuning.workers import CHIEF, role

    here = role()
    if args.overwrite:
        project.clear(out)
    worker = here not in (None, CHIEF)
    project.open_project(plan, out, worker)
    if args.workers:
        crew(out, args.workers, arguments)
    elif worker:
        run_here(plan, out)
        return
    else:
        with project.alone(out):
            remove_leftovers(out, project.search_output())
            if args.reference is None:
                make_reference(Path(plan.recipe.reference), plan.recipe.model)
            run_here(plan, out)
    outcomes = project.read_outcomes(out / project.SEARCH)
    best = report.write_report(outcomes, out, plan.record())
    if plan.recipe.experiments:
        return
    if not best:
        fitting = [outcome for outcome in outcomes if outcome.status == "over budget"]
        if fitting:
            raise CrackError(project.no_budget_message(plan, fitting))
        raise CrackError(f"no trial succeeded; see {out / 'trials.csv'} for each one's message.")
    print(report.front_table(best))
    print(f"{out / 'pareto.csv'}, {out / 'pareto.png'}, {out / 'trials.csv'}")
    if args.finalists and here is None:
        from tuning.finalists import finish_models
        from tuning.pareto import finalists

        chosen = finalists(best, args.finalists)
        finish_models(chosen, plan.recipe, args.final_epochs, out / project.SEARCH, out / "finalists", say)
    project.prune(out, {outcome.folder for outcome in best})


def make_reference(path: Path, model: str) -> None:
    """Write what a model's speed is relative to: int8 OPNet at 224 pixels, of masks unet at 256, with random weights."""
    from crack_tf.backend import use_tensorflow
    from crack_tf.models import get_model
    from tuning.timing import write_untrained

    use_tensorflow()
    if not path.exists() or not path.with_name(path.name + ".json").exists():
        name, size = REFERENCES[get_model(model).task]
        write_untrained(name, size, {}, path)


def run_here(plan: Plan, out: Path) -> None:
    """Search in this process: alone, as chief or as worker."""
    from crack_tf.backend import use_tensorflow

    use_tensorflow()

    from tuning.search import run_search

    run_search(plan, out, say)


def crew(out: Path, count: int, arguments: list[str]) -> None:
    """Search with a chief and workers on this machine."""
    from tuning.project import SEARCH, read_outcomes
    from tuning.workers import Crew, command_of

    finished = lambda: len(read_outcomes(out / SEARCH))  # noqa: E731
    Crew(command_of(arguments), count, out / "workers", finished, say).run()


def run_study(args: argparse.Namespace, arguments: list[str], out: Path) -> None:
    """Run a study's experiments for each of its models and print them beside the published figures."""
    from crack_tf.models import get_model
    from tuning.project import SEARCH, read_outcomes
    from tuning.space import search_space
    from tuning.studies import study, write_study

    chosen = study(args.study)
    if args.workers:
        raise CrackError("--workers: a study has a handful of trials per model; run it without.")
    if args.model and args.model not in chosen.models:
        raise CrackError(f"--model {args.model}: the study is about {' and '.join(chosen.models)}.")
    rows = []
    models = [args.model] if args.model else chosen.models
    for model in models:
        check_out(args, out / model)
    for model in models:
        fixed = search_space(model, args.fix)[1] if args.fix else {}
        chosen.check_fixed(fixed)
        weights = args.weights if get_model(model).pretrained else None
        plan = make_plan(args, out / model, model, chosen.space, chosen.held | fixed, weights, chosen.experiments)
        search(plan, out / model, args, arguments)

        rows += chosen.rows(model, read_outcomes(out / model / SEARCH), out / model / SEARCH)
    write_study(rows, out / "study.csv")
    print(chosen.heading)
    print(chosen.table(rows))
    print(f"{out / 'study.csv'}; {scale(args)}; published: {chosen.published}")


def scale(args: argparse.Namespace) -> str:
    """How large a study's runs are."""
    count = f"{args.limit:.0%} of the" if isinstance(args.limit, float) else args.limit or "all"
    tiles = f"{count} training {'patches' if args.study == 'unet' else 'tiles'}"
    steps = f" of {args.steps_per_epoch} steps" if args.steps_per_epoch else ""
    held = f", {', '.join(args.fix)}" if args.fix else ""
    return f"this run: {tiles}, {args.epochs} epochs{steps}{held}"


if __name__ == "__main__":
    sys.exit(main())
