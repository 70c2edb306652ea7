"""Lines of the suite's tables. A field is a column, in the table's order; of two bases the second comes first."""

from __future__ import annotations

from dataclasses import dataclass

from crack_tf.evaluation.calibration import PrevalenceRow
from tflite.metrics import Rates


@dataclass(frozen=True)
class OnSplit:
    """A model and a data set's split.

    Attributes:
        model, scheme, model_sha256: its name, how it is quantised, its file.
        trained_on: data set and split policy that made it.
        set, split, manifest_sha256: the tiles.
        n: tiles.
    """

    model: str
    scheme: str
    model_sha256: str
    trained_on: str
    set: str
    split: str
    manifest_sha256: str
    n: int


@dataclass(frozen=True)
class SplitRow(Rates, OnSplit):
    """splits.csv and matrix.csv: a model on a data set, at its own threshold. None is what one class alone cannot give.

    Attributes:
        auc, auc_low, auc_high: area under the ROC curve with its 95 % interval (bootstrap over tiles).
        training_tiles: tiles that trained the model.
        left_out: whether the model learned nothing from the data set; None in tables from before this was recorded.
    """

    auc: float | None
    auc_low: float | None
    auc_high: float | None
    training_tiles: int | None = None
    left_out: bool | None = None


@dataclass(frozen=True)
class DomainRow:
    """domains.csv: a model over the data sets that it learned nothing from, each counted alike.

    Attributes:
        model: its name.
        sets, names: how many data sets, and which.
        mean_auc, mean_recall, mean_specificity: over them, at the model's own threshold.
        worst_auc, worst_set: the one with the least AUC.
    """

    model: str
    sets: int
    mean_auc: float
    mean_recall: float
    mean_specificity: float
    worst_auc: float
    worst_set: str
    names: str


@dataclass(frozen=True)
class OnSet:
    """A model and a data set's tiles.

    Attributes:
        model: its name.
        set, manifest_sha256: the tiles.
    """

    model: str
    set: str
    manifest_sha256: str


@dataclass(frozen=True)
class OnCorrupted(OnSet):
    """The same of corrupted tiles.

    Attributes:
        n: tiles.
        corruption, severity: what was done to them, 1 to 5.
    """

    n: int
    corruption: str
    severity: int


@dataclass(frozen=True)
class CorruptionRow(Rates, OnCorrupted):
    """corruptions.csv: a model on corrupted tiles, at its own threshold. None is what one class alone cannot give.

    Attributes:
        auc: area under the ROC curve.
        recall_change_points, specificity_change_points: against the clean tiles, in percentage points.
    """

    auc: float | None
    recall_change_points: float
    specificity_change_points: float


@dataclass(frozen=True)
class RarityRow(PrevalenceRow, OnSet):
    """prevalence.csv: precision where cracks are rarer than in the test set."""


@dataclass(frozen=True)
class CalibrationRow(OnSet):
    """calibration.csv: can the probability be believed, and how many cracks can be missed.

    Attributes:
        ece, brier: calibration error and Brier score.
        risk: accepted miss rate of the conformal bound.
        calibration_cracks, calibration_clean: tiles that the bound was set on.
        smallest_risk_provable: with so many cracks.
        low_probability, high_probability: the band of uncertain tiles; None where it has no bound.
        tested_cracks, missed_below_low: other cracks, and those below the band.
        tested_clean: other clean tiles.
        uncertain_cracks, uncertain_clean, uncertain_share: tiles within the band.
    """

    ece: float
    brier: float
    risk: float
    calibration_cracks: int
    calibration_clean: int
    smallest_risk_provable: float
    low_probability: float | None
    high_probability: float | None
    tested_cracks: int
    missed_below_low: int
    tested_clean: int
    uncertain_cracks: int
    uncertain_clean: int
    uncertain_share: float


@dataclass(frozen=True)
class SceneRow:
    """scenes.csv: a model on whole photographs of a data set, as a survey sees them.

    Attributes:
        model, set, split: which, on what.
        photographs: how many.
        cracks, found: on them, and of these found.
        right, false: confirmed findings on a crack, and on none.
        touched: photographs with a false finding.
        recall, false_per_photograph: with 95 % intervals (bootstrap over photographs).
        findings_per_found_crack: 1 where each crack is one finding.
    """

    model: str
    set: str
    split: str
    photographs: int
    cracks: int
    found: int
    right: int
    false: int
    touched: int
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    findings_per_found_crack: float | None
    false_per_photograph: float | None
    false_per_photograph_low: float | None
    false_per_photograph_high: float | None


@dataclass(frozen=True)
class PhotographRow:
    """scenes-photographs.csv: a model on one photograph.

    Attributes:
        model, set, split, photo: which, on what.
        cracks, found: on it, and of these found.
        right, false, other: confirmed findings on a crack and on none, and those unclear or refuted.
    """

    model: str
    set: str
    split: str
    photo: str
    cracks: int
    found: int
    right: int
    false: int
    other: int


@dataclass(frozen=True)
class FrocRow:
    """scenes-froc.csv: a point of the curve of false findings against cracks found.

    Attributes:
        model: its name.
        least_score: of a finding.
        recall: share of cracks found.
        false_per_photograph: false findings.
    """

    model: str
    least_score: float
    recall: float | None
    false_per_photograph: float


@dataclass(frozen=True)
class CandidateRow:
    """candidates.csv: a network that one could start from.

    Attributes:
        model, image_size: which, and the side of its input in pixels.
        parameters, macs, activations: weights, multiply-adds, and elements written by all operators.
        int8_bytes: of its file.
        threads, runs: of LiteRT, and how often it was timed.
        min_ms, p50_ms, p90_ms: latency, batch 1.
    """

    model: str
    image_size: int
    parameters: int
    macs: int
    activations: int
    int8_bytes: int
    threads: int
    runs: int
    min_ms: float
    p50_ms: float
    p90_ms: float


@dataclass(frozen=True)
class CostRow:
    """cost.csv: what a 12-megapixel photograph costs, from its file to the decision.

    Attributes:
        model: its name.
        photo: width and height in pixels.
        tiles, threads: of the photograph, and of the classifier.
        p50_s, min_s: seconds per photograph.
        tiles_per_s: at the median.
        hardware, cores: the machine.
    """

    model: str
    photo: str
    tiles: int
    threads: int
    p50_s: float
    min_s: float
    tiles_per_s: float
    hardware: str
    cores: int


@dataclass(frozen=True)
class WorstRow:
    """Those of a model's `CorruptionRow`s at one severity that cost most.

    Attributes:
        model, severity: which.
        worst_for_recall, recall: the corruption with the least recall.
        worst_for_specificity, specificity: the one with the least specificity.
        mean_recall, mean_specificity: over all corruptions.
    """

    model: str
    severity: int
    worst_for_recall: str
    recall: float | None
    worst_for_specificity: str
    specificity: float | None
    mean_recall: float
    mean_specificity: float


Row = (
    SplitRow
    | DomainRow
    | CorruptionRow
    | RarityRow
    | CalibrationRow
    | SceneRow
    | PhotographRow
    | FrocRow
    | CandidateRow
    | CostRow
)
# By part of the suite.
ROWS: dict[str, type[Row]] = {
    "splits": SplitRow,
    "matrix": SplitRow,
    "domains": DomainRow,
    "scenes": SceneRow,
    "corruptions": CorruptionRow,
    "prevalence": RarityRow,
    "calibration": CalibrationRow,
    "candidates": CandidateRow,
    "cost": CostRow,
}
