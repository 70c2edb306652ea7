"""crack_tf: finds cracks in concrete with Keras and TensorFlow Lite, from training tiles to a Raspberry Pi or a Coral stick.

    import crack_tf

    photo = crack_tf.load().predict("pier.jpg")         # the shipped classifier
    print(photo.crack, photo.highest.probability)
    drawn = crack_tf.load("unet_mobile").predict("pier.jpg")     # draws the cracks and measures them
    run = crack_tf.train(crack_tf.TrainConfig(model="opnet", data="metu"), out="runs/opnet")
    file = crack_tf.export(run, crack_tf.ExportConfig(scheme="int8-qat"))
    found = crack_tf.survey("DCIM", out="found", distance_m=2)                   # .findings, .gaps, .report
    better = crack_tf.adapt(crack_tf.AdaptConfig("labelled"), out="adapted")     # .model, or .reasons why none is better

Importing this package loads nothing heavy: names arrive when they are first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.common.version import __version__ as __version__

if TYPE_CHECKING:
    from crack_tf.adapt import AdaptVerb
    from crack_tf.adaptation.config import AdaptConfig as AdaptConfig
    from crack_tf.adaptation.result import Adapted as Adapted
    from crack_tf.export import ExportVerb
    from crack_tf.inference.photographs import ClassifiedPhoto as ClassifiedPhoto
    from crack_tf.inference.photographs import CrackClassifier as CrackClassifier
    from crack_tf.inference.photographs import CrackSegmenter as CrackSegmenter
    from crack_tf.inference.photographs import DrawnPhoto as DrawnPhoto
    from crack_tf.inference.photographs import UnreadPhoto as UnreadPhoto
    from crack_tf.inference.photographs import load as load
    from crack_tf.quantisation.config import ExportConfig as ExportConfig
    from crack_tf.quantisation.config import ExportResult as ExportResult
    from crack_tf.reporting.annotations import to_coco as to_coco
    from crack_tf.reporting.annotations import to_detections as to_detections
    from crack_tf.survey import SurveyPackage
    from crack_tf.survey.config import SurveyConfig as SurveyConfig
    from crack_tf.survey.surveying import SurveyResult as SurveyResult
    from crack_tf.train import TrainVerb
    from crack_tf.training.config import TrainConfig as TrainConfig
    from crack_tf.training.runs import Run as Run
    from tflite.errors import CrackError as CrackError

    adapt: AdaptVerb
    train: TrainVerb
    export: ExportVerb
    survey: SurveyPackage

_HOMES = {
    "AdaptConfig": "crack_tf.adaptation.config",
    "Adapted": "crack_tf.adaptation.result",
    **dict.fromkeys(
        ("load", "CrackClassifier", "CrackSegmenter", "ClassifiedPhoto", "DrawnPhoto", "UnreadPhoto"),
        "crack_tf.inference.photographs",
    ),
    "TrainConfig": "crack_tf.training.config",
    **dict.fromkeys(("ExportConfig", "ExportResult"), "crack_tf.quantisation.config"),
    "Run": "crack_tf.training.runs",
    "SurveyConfig": "crack_tf.survey.config",
    "SurveyResult": "crack_tf.survey.surveying",
    **dict.fromkeys(("to_coco", "to_detections"), "crack_tf.reporting.annotations"),
    "CrackError": "tflite.errors",
}
_CALLABLE_VERBS = ("adapt", "train", "export", "survey")  # modules that can be called: see docs/decisions.md
__all__ = [
    "AdaptConfig",
    "Adapted",
    "ClassifiedPhoto",
    "CrackClassifier",
    "CrackError",
    "CrackSegmenter",
    "DrawnPhoto",
    "ExportConfig",
    "ExportResult",
    "Run",
    "SurveyConfig",
    "SurveyResult",
    "TrainConfig",
    "UnreadPhoto",
    "__version__",
    "adapt",
    "export",
    "load",
    "survey",
    "to_coco",
    "to_detections",
    "train",
]


def _refuse_foreign_neighbours() -> None:
    """The public index has other projects called `tflite` and `tuning`. Installed beside this one, they take the place of ours.

    Raises:
        ImportError: naming the package, where it is, and what to do.
    """
    for name in ("tflite", "tuning"):
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or b"crack_tf" not in Path(origin).read_bytes():
            raise ImportError(
                f"{name} ({origin or 'not found'}) is not the package that belongs to crack_tf but another project of that name. "
                f"Uninstall it (pip uninstall {name}), then install crack_tf again."
            )


_refuse_foreign_neighbours()
importlib.import_module("tflite")  # keeps TensorFlow's start-up lines back, whoever imports it


def __getattr__(name: str) -> Any:
    if name in _CALLABLE_VERBS:
        return importlib.import_module(f"crack_tf.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers: the public names and those rooms that somebody has imported, without what this file needs for itself."""
    rooms = (name for name, value in globals().items() if getattr(value, "__name__", "") == f"{__name__}.{name}")
    return sorted({*__all__, *rooms, *(name for name in globals() if name.startswith("__"))})
