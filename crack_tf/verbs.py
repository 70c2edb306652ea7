"""The table of verbs: what `crack-tf` knows, and the module behind each."""

from __future__ import annotations

from dataclasses import dataclass


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
    "survey-export": Verb(
        "crack_tf.survey_export", "a finished survey to other programs: GeoPackage for GIS, COCO masks to be corrected"
    ),
    "plan": Verb(
        "crack_tf.plan",
        "how to fly so that cracks of a width can be measured: distance, spacing, speed, photographs, board",
    ),
    "photo": Verb(
        "crack_tf.photo.__main__", "draw the cracks of a photograph, measure them, and find the concrete it shows"
    ),
    "zoo": Verb("crack_tf.zoo.__main__", "list and check the shipped models"),
    "data": Verb("crack_tf.data.__main__", "fetch, audit and split a data set into a manifest"),
    "train": Verb("crack_tf.train", "train a model on a manifest; resumes after an interruption"),
    "tune": Verb("crack_tf.tune", "search for the best model within a budget, with Keras Tuner; resumes by itself"),
    "average": Verb("crack_tf.average", "average the weights of models fine-tuned from the same start"),
    "evaluate": Verb("crack_tf.evaluate", "measure .keras and .tflite models on a split, with confidence intervals"),
    "explain": Verb("crack_tf.explain.__main__", "what a classifier looks at, and what its errors have in common"),
    "adapt": Verb(
        "crack_tf.adapt",
        "a model for one structure from a reviewed survey, a few tiles or none, if it is better; resumes",
    ),
    "adopt": Verb("crack_tf.adopt", "take a model made elsewhere: write its sidecar and hold it to two pictures"),
    "export": Verb("crack_tf.export", "quantise a trained run and write a .tflite file with its sidecar"),
    "benchmark": Verb("crack_tf.benchmark", "time .tflite models on this machine, with their accuracy"),
    "bundle": Verb("crack_tf.bundle", "pack models, code and test tiles for a board into one zip; --ssh runs it there"),
    "report": Verb("crack_tf.report", "execute the notebook that fits a run and write one self-contained HTML file"),
    "throughput": Verb("crack_tf.throughput", "tiles per second of each stage of training on this machine"),
}
