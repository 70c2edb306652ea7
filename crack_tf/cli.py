"""`crack-tf VERB ...` and `python -m crack_tf VERB ...`: one table of verbs, each a module with its own `main(argv)`.

The module is imported only when its verb is asked for, so that `--help` costs no TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from dataclasses import dataclass

from tflite.cli import EXIT_USER_ERROR, run_main


@dataclass(frozen=True)
class Verb:
    """A sub-command.

    Attributes:
        module: whose `main(argv: list[str] | None) -> int` runs it; `python -m module` does the same.
        help: one line.
    """

    module: str
    help: str


VERBS = {
    "predict": Verb("crack_tf.predict", "find cracks in photographs with a shipped model; no training, no TensorFlow"),
    "survey": Verb(
        "crack_tf.survey.__main__", "a flight's photographs to findings with place, length, width and a report; resumes"
    ),
    "photo": Verb(
        "crack_tf.photo.__main__", "draw the cracks of a photograph, measure them, and find the concrete it shows"
    ),
    "zoo": Verb("crack_tf.zoo", "list and check the shipped models"),
    "data": Verb("crack_tf.data.__main__", "fetch, audit and split a data set into a manifest"),
    "train": Verb("crack_tf.train", "train a model on a manifest; resumes after an interruption"),
    "tune": Verb("crack_tf.tune", "search for the best model within a budget, with Keras Tuner; resumes by itself"),
    "average": Verb("crack_tf.average", "average the weights of models fine-tuned from the same start"),
    "evaluate": Verb("crack_tf.evaluate", "measure .keras and .tflite models on a split, with confidence intervals"),
    "explain": Verb("crack_tf.explain.__main__", "what a classifier looks at, and what its errors have in common"),
    "adopt": Verb("crack_tf.adopt", "take a model made elsewhere: write its sidecar and hold it to two pictures"),
    "export": Verb("crack_tf.export", "quantise a trained run and write a .tflite file with its sidecar"),
    "benchmark": Verb("crack_tf.benchmark", "time .tflite models on this machine, with their accuracy"),
    "bundle": Verb("crack_tf.bundle", "pack models, code and test tiles for a board into one zip; --ssh runs it there"),
    "report": Verb("crack_tf.report", "execute the notebook that fits a run and write one self-contained HTML file"),
    "throughput": Verb("crack_tf.throughput", "tiles per second of each stage of training on this machine"),
}


def usage() -> str:
    """The help text."""
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items())
    return (
        "usage: crack-tf VERB [options]\n\n"
        "Finds cracks in concrete: data -> train -> tune -> export -> benchmark.\n\n"
        f"verbs:\n{rows}\n\n"
        "crack-tf VERB --help lists the options of a verb. --version prints the version.\n"
    )


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the verb and its options; None takes them from the command line.

    Returns:
        The exit code: the verb's own, or 2 for an unknown verb.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments:
        print(usage(), end="", file=sys.stderr)
        return EXIT_USER_ERROR
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(usage(), end="")
        return 0
    if name == "--version":
        from crack_tf import __version__

        print(f"crack-tf {__version__}")
        return 0
    if name not in VERBS:
        close = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        print(f"error: unknown verb {name!r}. {hint}Choose one of: {', '.join(VERBS)}.", file=sys.stderr)
        return EXIT_USER_ERROR
    return run_main(lambda: importlib.import_module(VERBS[name].module).main(rest))


if __name__ == "__main__":
    sys.exit(main())
