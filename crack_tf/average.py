"""`python -m crack_tf.average MODEL MODEL... --data MANIFEST --out RUN`: one model whose weights are the mean of several's.

Models fine-tuned from the same start can be averaged weight by weight: the mean often does better away from the training data than
any of them, at the cost of one (Izmailov et al., "Averaging weights leads to wider optima", UAI 2018; Wortsman et al., "Model soups",
ICML 2022, and "Robust fine-tuning of zero-shot models", CVPR 2022). The result is a run folder like that of `crack_tf.train`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.runs import RUN_FILES, tell_left
from crack_tf.train_config import TrainConfig
from tflite.cli import fraction, run_main
from tflite.errors import CrackError
from tflite.files import sha256_file, write_json
from tflite.outputs import Output, check_folder, clear_folder, json_with

OUTPUT = Output("crack-tf average", json_with("config.json", "averaged"), RUN_FILES, first="config.json")


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf average", description="Average the weights of models that were fine-tuned from the same start."
    )
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="run folder or .keras file; a checkpoint counts too; one twice counts twice",
    )
    add(
        "--data",
        required=True,
        help="manifest .csv with all that trained any of them; the threshold is chosen on its validation split",
    )
    add(
        "--target-recall", type=fraction, default=0.998, help="recall that the decision threshold reaches on validation"
    )
    add("--out", type=Path, required=True, help="run folder")
    add("--overwrite", action="store_true", help="replace the run in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Nothing was written; run the same command again.")


def run(args: argparse.Namespace) -> None:
    """Average as the parsed options say."""
    from crack_tf.data.registry import prepare
    from crack_tf.predictor import model_file, refuse_adopted
    from crack_tf.provenance import created, data_record, environment
    from crack_tf.tasks import task_of
    from tflite.sidecar import read_sidecar

    check_folder(args.out, OUTPUT, args.overwrite, inputs=(*args.models, args.data))
    if not 0 < args.target_recall <= 1:
        raise CrackError(f"--target-recall {args.target_recall}: give a share above 0 and at most 1, such as 0.998.")
    if len(args.models) < 2:
        raise CrackError(f"MODEL {args.models[0]}: an average takes two models or more.")
    files = [model_file(text) for text in args.models]
    wrong = next((file for file in files if file.suffix != ".keras"), None)
    if wrong is not None:
        raise CrackError(f"MODEL {wrong}: quantised weights cannot be averaged. Name .keras files or run folders.")
    # The first says what they all are; checkpoints have no sidecar of their own.
    first = read_sidecar(files[0])
    refuse_adopted(files[0], first, "average rebuilds")
    task = task_of(first.model)
    manifest = prepare(args.data)
    task.check(manifest)

    val = task.load(manifest, "val", first.image_size)  # first: data that are not there are noticed in no time

    from crack_tf.keras_models import load_keras  # importing Keras takes seconds
    from crack_tf.training import finish

    model = load_keras(files[0])
    model.set_weights(mean_weights([(str(file), load_keras(file).get_weights()) for file in files]))
    config = TrainConfig(
        model=first.model,
        image_size=first.image_size,
        hyperparameters=dict(first.hyperparameters),
        weights="average",
        target_recall=args.target_recall,
    )
    tell_left(args.out, clear_folder(args.out, OUTPUT))
    record: dict[str, Any] = {
        "averaged": [{"file": str(file), "sha256": sha256_file(file)} for file in files],
        "target_recall": args.target_recall,
        "data": data_record(manifest),
    }
    write_json(args.out / "config.json", record | {"created": created(), **environment()})
    finish(config, manifest, model, val, args.out)


def mean_weights(weights: list[tuple[str, list[np.ndarray]]]) -> list[np.ndarray]:
    """The mean of each weight over models: float32 arrays of the models' own shapes.

    Args:
        weights: name and weights of every model, two or more.

    Raises:
        CrackError: if two models differ in the shape of a weight, or one holds a number that is not finite.
    """
    name, first = weights[0]
    for other, values in weights:
        if [value.shape for value in values] != [value.shape for value in first]:
            raise CrackError(f"{other} has other weights than {name}: only models of one architecture can be averaged.")
        if not all(np.isfinite(value).all() for value in values):
            raise CrackError(f"{other} holds weights that are not finite: its training failed. Leave it out.")
    return [
        np.asarray(np.mean(np.stack(layer), axis=0, dtype=np.float64), np.float32)
        for layer in zip(*(values for _, values in weights), strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
