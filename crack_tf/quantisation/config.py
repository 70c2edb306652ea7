"""`ExportConfig`: everything an export is told, checked when it is made; `ExportResult`: what it leaves. Loads no Keras."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from crack_tf.data.policies import POLICIES
from tflite.arguments import check_types, is_number, is_whole, option_of
from tflite.compare import Comparison
from tflite.convert import INPUT_DTYPES, SCHEMES
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.sidecar import Sidecar, read_sidecar

MEASURE_SPLITS = ("val", "test")
# Suffixes of what one export consists of. The model comes last: where it lies, everything else does too.
PARTS = (".comparison.png", ".comparison.json", ".md", ".tflite.json", ".tflite")
CHECKPOINT = ".qat.npz"  # of an unfinished QAT
# How the command line asks for a scheme.
SCHEME_OPTIONS = {
    **{scheme: (f"--{scheme}",) for scheme in ("float32", "float16", "dynamic")},
    "int8-ptq": ("--int8", "--ptq"),
    "int8-qat": ("--int8",),
}
_CHOICES = {"scheme": SCHEMES, "input_dtype": INPUT_DTYPES, "measure_split": MEASURE_SPLITS}
WIDEST_VIEW = 9  # pixels of a tile; blurred more, it shows no crack
_COUNTS = ("calibration_samples", "qat_epochs")
_OPTIONAL_COUNTS = ("qat_steps", "qat_batch", "measure_limit", "threads")


@dataclass(frozen=True)
class ExportConfig:
    """Everything that decides how an exported file comes out, besides the run it is made from.

    Attributes:
        scheme: "int8-qat", "int8-ptq", "dynamic", "float16" or "float32"; `tflite.convert` explains them.
        edge_tpu: write LeakyReLU as maximum(x, slope * x), which the Edge TPU has.
        input_dtype: "uint8" or "int8" for int8 models; both take raw pixels.
        second_view: let a classifier's file look twice, at the tile and at a copy in which each pixel is the mean of so many by so many,
            and answer with the mean of both logits; 0 for one look.
        data: manifest .csv, data set name or folder; empty for the manifest the run was trained on.
        policy: how data that are no manifest are split; None for the set's own.
        calibration_samples: tiles of the train split that set the int8 ranges.
        qat_epochs: how many quantisation-aware training has.
        qat_steps: stop it after this many steps, or None.
        qat_batch: tiles per step; None for 32, of a segmentation model 8.
        qat_learning_rate: that of quantisation-aware training.
        measure_split: "val" or "test"; float and quantised are compared on it.
        measure_limit: compare on at most this many tiles, or None.
        max_recall_drop: points of recall a classifier may lose, 0 to 100.
        max_f1_drop: points of F1 a segmentation model may lose, 0 to 100.
        threads: for measuring; None for all cores.
        seed: for all draws.

    Raises:
        CrackError: naming the field as the command line does, what it holds and what it may hold.
    """

    scheme: str = "int8-qat"
    edge_tpu: bool = False
    input_dtype: str = "uint8"
    second_view: int = 0
    data: str = ""
    policy: str | None = None
    calibration_samples: int = 200
    qat_epochs: int = 1
    qat_steps: int | None = None
    qat_batch: int | None = None
    qat_learning_rate: float = 1e-5
    measure_split: str = "test"
    measure_limit: int | None = None
    max_recall_drop: float = 0.1
    max_f1_drop: float = 1.0
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self, "data")
        object.__setattr__(self, "data", str(self.data or ""))
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise CrackError(f"{option_of(name)} {getattr(self, name)!r}: choose one of {', '.join(allowed)}.")
        if self.policy is not None and self.policy not in POLICIES:
            raise CrackError(f"--policy {self.policy!r}: choose one of {', '.join(POLICIES)}.")
        for name in (*_COUNTS, *_OPTIONAL_COUNTS):
            value = getattr(self, name)
            if not (is_whole(value) and value >= 1) and not (value is None and name in _OPTIONAL_COUNTS):
                raise CrackError(f"{option_of(name)} {value!r}: give a whole number from 1.")
        if not (is_whole(self.second_view) and (self.second_view == 0 or 2 <= self.second_view <= WIDEST_VIEW)):
            raise CrackError(
                f"--second-view {self.second_view!r}: give a whole number of pixels from 2 to {WIDEST_VIEW}, or 0."
            )
        if not (is_whole(self.seed) and self.seed >= 0):
            raise CrackError(f"--seed {self.seed!r}: give a whole number from 0.")
        if not (is_number(self.qat_learning_rate) and 0 < self.qat_learning_rate < float("inf")):
            raise CrackError(f"--qat-learning-rate {self.qat_learning_rate!r}: give a number above 0.")
        for name in ("max_recall_drop", "max_f1_drop"):
            points = getattr(self, name)
            if not (is_number(points) and 0 <= points <= 100):
                raise CrackError(f"{option_of(name)} {points}: give points from 0 to 100.")

    def options(self) -> list[str]:
        """The options of `crack-tf export` that give this configuration, without the run: what a person would type."""
        usual = asdict(ExportConfig())
        options = list(SCHEME_OPTIONS[self.scheme])
        for name, value in asdict(self).items():
            if name != "scheme" and value != usual[name]:
                options += [option_of(name)] if value is True else [option_of(name), str(value)]
        return options


@dataclass(frozen=True)
class ExportResult:
    """One exported file and what lies beside it.

    Attributes:
        file: the .tflite file.
    """

    file: Path

    @cached_property
    def sidecar(self) -> Sidecar:
        """Threshold, quantisation, origin and metrics, as the .json beside the file has them."""
        return read_sidecar(self.file)

    @cached_property
    def comparison(self) -> Comparison:
        """Float against quantised on the measured split."""
        return Comparison.from_dict(read_json(self.part(".comparison.json")))

    @property
    def card(self) -> Path:
        """The model card, Markdown."""
        return self.part(".md")

    def part(self, suffix: str) -> Path:
        """The file of the export that ends in one of `PARTS`."""
        return part_of(self.file.with_name(self.file.name.removesuffix(PARTS[-1])), suffix)

    def __fspath__(self) -> str:
        return str(self.file)


def part_of(stem: Path, suffix: str) -> Path:
    """A file of an export by what the files have in common."""
    # Not with_suffix: a model name may hold a dot.
    return stem.with_name(stem.name + suffix)
