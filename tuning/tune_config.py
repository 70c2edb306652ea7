"""`TuneConfig`: everything a search is told, checked when it is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from crack_tf.models import get_model
from tflite.arguments import check_types, option_of
from tflite.errors import CrackError

_REPEATED = ("fix", "vary", "left_out")  # options that are given once for each value


@dataclass(frozen=True)
class TuneConfig:
    """What is searched, with what, and how much of it.

    Attributes:
        model: registry name; None for opnet_lite, of a study for all of its models.
        algorithm: one of `tuning.ALGORITHMS`.
        study: one of `tuning.STUDIES` to run its published experiments instead of a search; or None.
        data: manifest .csv, data set name, or folder; None for the set that is drawn for the model's task.
        policy: how data that are no manifest are split; None for the set's own.
        fix: texts NAME=VALUE: dimensions held at a value.
        vary: texts NAME=V1,V2: values of a dimension to search instead of the declared ones.
        only: names with commas between: search these, hold the others at their defaults; or None.
        trials: random, bayesian, grid: at most so many.
        epochs: of a trial at full fidelity.
        fidelity: what hyperband's cheap trials save, one of `tuning.FIDELITIES`.
        factor: hyperband: one in so many trials goes on.
        iterations: hyperband: runs through all brackets.
        limit: training tiles or patches, or a share of them; None for all.
        steps_per_epoch: batches per epoch, or None for all.
        target_recall: recall floor on validation, above 0 and at most 1; not of masks.
        max_latency_ms, max_kb, min_speedup: the budget: int8 on this machine with one thread, size of the file, times as fast as the
            reference; None for no limit.
        reference: int8 .tflite to compare with; None for OPNet, of masks unet.
        weights: see `crack_tf.TrainConfig`; None for the model's own.
        teacher: a trained `.keras` classifier, or its run folder, that teaches every trial; or None.
        left_out: data sets, as for `data`, that nothing is trained on: the mean area under the ROC curve over them is maximised instead
            of specificity on validation. Classifiers only.
        finalists: best trials to train on, quantise by QAT, and test.
        final_epochs: more epochs for them, on all training tiles.
        seed: of the search and of every training.

    Raises:
        CrackError: if fields contradict each other.
    """

    model: str | None = None
    algorithm: str = "hyperband"
    study: str | None = None
    data: str | None = None
    policy: str | None = None
    fix: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    only: str | None = None
    trials: int = 20
    epochs: int = 9
    fidelity: str = "epochs"
    factor: int = 3
    iterations: int = 1
    limit: int | float | None = None
    steps_per_epoch: int | None = None
    target_recall: float = 0.998
    max_latency_ms: float | None = None
    max_kb: float | None = None
    min_speedup: float | None = None
    reference: Path | None = None
    weights: str | None = None
    teacher: str | None = None
    left_out: tuple[str, ...] = ()
    finalists: int = 0
    final_epochs: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.target_recall <= 1:
            raise CrackError(
                f"--target-recall {self.target_recall}: give a share above 0 and at most 1, such as 0.998."
            )
        if self.factor < 2:
            raise CrackError(f"--factor {self.factor}: hyperband keeps one trial in FACTOR, so give at least 2.")
        if self.fidelity != "epochs" and self.algorithm != "hyperband":
            raise CrackError(
                f"--fidelity {self.fidelity} is for hyperband; {self.algorithm} trains every trial in full."
            )
        if self.final_epochs and not self.finalists:
            raise CrackError(f"--final-epochs {self.final_epochs} is for --finalists: say how many.")
        if self.study and (self.vary or self.only):
            raise CrackError(STUDY_SPACE)
        if self.study and (self.teacher or self.left_out):
            raise CrackError(
                "--study repeats published experiments, which have no --teacher and no --left-out: leave these out."
            )
        masks = self.model is not None and get_model(self.model).task == "segment"
        if masks and (self.teacher or self.left_out):
            raise CrackError(f"--teacher and --left-out are for classifiers; {self.model} draws masks.")

    def options(self) -> list[str]:
        """The options of `crack-tf tune` that give this configuration, without --out: what a person would type."""
        usual = asdict(TuneConfig())
        options: list[str] = []
        for name, value in asdict(self).items():
            if value != usual[name]:
                for one in value if name in _REPEATED else (value,):
                    options += [option_of(name), str(one)]
        return options


STUDY_SPACE = "--study has its own experiments: leave out --vary, --only and --show-space. --fix is allowed."
