"""Lines of the tables that an evaluation writes. A field is a column, in the table's order; of two bases the second comes first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tflite.metrics import Rates


@dataclass(frozen=True)
class Subject:
    """What each line of metrics.csv begins with: which file was asked about what.

    Attributes:
        name: the model's, unique among those evaluated together.
        scheme: how it is quantised.
        file, sha256: of the model.
        image_size: side of its input in pixels.
        manifest, manifest_sha256, split: what it was asked about.
    """

    name: str
    scheme: str
    file: str
    sha256: str
    image_size: int
    manifest: str
    manifest_sha256: str
    split: str


@dataclass(frozen=True)
class AskedTiles(Subject):
    """The same of a classifier.

    Attributes:
        n: tiles.
    """

    n: int


@dataclass(frozen=True)
class TileRow(Rates, AskedTiles):
    """One line of metrics.csv: a classifier on a split. None is what one class alone cannot give.

    Attributes:
        auc, ece, brier, nll: area under the ROC curve, calibration error, Brier score, negative log likelihood.
        threshold_probability, threshold_logit: in use.
        ..._at_half: the same counts and rates at probability 0.5.
        training_tiles: tiles that trained the model; None where that is not known.
        related_to_training: tiles that are copies or neighbours of such; None where that is not known.
    """

    auc: float | None
    ece: float
    brier: float
    nll: float
    threshold_probability: float
    threshold_logit: float
    tp_at_half: int
    fn_at_half: int
    tn_at_half: int
    fp_at_half: int
    recall_at_half: float | None
    recall_low_at_half: float | None
    recall_high_at_half: float | None
    specificity_at_half: float | None
    specificity_low_at_half: float | None
    specificity_high_at_half: float | None
    precision_at_half: float | None
    accuracy_at_half: float | None
    f1_at_half: float | None
    training_tiles: int | None
    related_to_training: int | None


@dataclass(frozen=True)
class MapRow(Subject):
    """One line of metrics.csv: a segmentation model on a split. None is what is not defined there.

    Attributes:
        photographs, cracked_photographs, megapixels: of the split.
        displaced_masks: that plainly lie beside their crack.
        median_mask_move_px: of the cracked photographs, to where the mask fits best.
        tp, fp, fn, tn: pixels.
        precision, recall, f1, iou, miou, specificity: of all pixels alike; `tolerant_...` with a tolerance,
            `mean_...` over photographs.
        cl_iou, nsd: of centre lines and of boundaries, and their means.
        ..._low, ..._high: 95 % bootstrap over photographs; None with fewer than two of them.
        tolerance_px, cl_iou_tolerance_px, nsd_tolerance_px: how far off counts as right.
        threshold_probability: in use.
        best_threshold_probability: with the highest F1 on these very photographs.
        seam_ratio: steps at seams of the map over those elsewhere.
        seconds_per_megapixel: from pixels to map.
        training_photographs, related_to_training: photographs that trained the model, and copies of such; None where
            that is not known.
    """

    cracked_photographs: int
    displaced_masks: int
    megapixels: float
    median_mask_move_px: float | None
    photographs: int
    tp: int
    fp: int
    fn: int
    tn: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    f1: float | None
    f1_low: float | None
    f1_high: float | None
    iou: float | None
    iou_low: float | None
    iou_high: float | None
    miou: float | None
    miou_low: float | None
    miou_high: float | None
    specificity: float | None
    specificity_low: float | None
    specificity_high: float | None
    tolerant_precision: float | None
    tolerant_precision_low: float | None
    tolerant_precision_high: float | None
    tolerant_recall: float | None
    tolerant_recall_low: float | None
    tolerant_recall_high: float | None
    tolerant_f1: float | None
    tolerant_f1_low: float | None
    tolerant_f1_high: float | None
    mean_precision: float | None
    mean_precision_low: float | None
    mean_precision_high: float | None
    mean_recall: float | None
    mean_recall_low: float | None
    mean_recall_high: float | None
    mean_f1: float | None
    mean_f1_low: float | None
    mean_f1_high: float | None
    mean_iou: float | None
    mean_iou_low: float | None
    mean_iou_high: float | None
    mean_miou: float | None
    mean_miou_low: float | None
    mean_miou_high: float | None
    mean_specificity: float | None
    mean_specificity_low: float | None
    mean_specificity_high: float | None
    cl_iou: float | None
    cl_iou_low: float | None
    cl_iou_high: float | None
    mean_cl_iou: float | None
    mean_cl_iou_low: float | None
    mean_cl_iou_high: float | None
    nsd: float | None
    nsd_low: float | None
    nsd_high: float | None
    mean_nsd: float | None
    mean_nsd_low: float | None
    mean_nsd_high: float | None
    tolerance_px: int
    cl_iou_tolerance_px: int
    nsd_tolerance_px: int
    threshold_probability: float
    best_threshold_probability: float | None
    seam_ratio: float | None
    seconds_per_megapixel: float
    training_photographs: int | None
    related_to_training: int | None


@dataclass(frozen=True)
class AlignedRow:
    """One line of metrics_aligned.csv: the same model, masks that lie beside their crack set apart.

    Attributes:
        masks: how: without displaced ones, or moved to where they fit.
        row: the figures.
    """

    masks: str
    row: MapRow

    def columns(self) -> dict[str, Any]:
        """As they are written."""
        return {"masks": self.masks, **asdict(self.row)}
