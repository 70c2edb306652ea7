"""What an evaluation of segmentation models finds: a model on a photograph, and on a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crack_tf.evaluation.pixels import LogitHistogram, MaskCounts, PixelCounts
from crack_tf.evaluation.rows import AlignedRow, MapRow
from crack_tf.photo.alignment import Alignment
from crack_tf.photo.stitch import SeamSteps
from tflite.manifest import Item


def steps_ratio(steps: Sequence[SeamSteps | None]) -> float | None:
    """Steps at seams over those elsewhere, of some maps together; None where nothing is to be compared."""
    known = [step for step in steps if step is not None]
    elsewhere = sum(step.elsewhere for step in known)
    return sum(step.at_seams for step in known) / elsewhere if elsewhere else None


@dataclass(frozen=True)
class PhotoResult:
    """One model on one photograph.

    Attributes:
        item: of the manifest.
        width, height: in pixels.
        counts: of the mask called against the true one.
        steps: seams of the probability map, see `crack_tf.photo.stitch`; None for a single tile.
        fit: how well the mask lies on its crack.
        moved: the same, the true mask moved to where it fits best.
        seconds: from pixels to map.
    """

    item: Item
    width: int
    height: int
    counts: MaskCounts
    steps: SeamSteps | None
    fit: Alignment
    moved: MaskCounts
    seconds: float

    @property
    def strict(self) -> PixelCounts:
        """Counts without a tolerance."""
        return self.counts.strict

    @property
    def tolerant(self) -> PixelCounts:
        """Counts with one of 2 pixels."""
        return self.counts.tolerant

    @property
    def displaced(self) -> bool:
        """Whether the mask plainly lies beside its crack."""
        return self.fit.misaligned

    @property
    def seam_ratio(self) -> float | None:
        """Steps at seams over those elsewhere; None where there are none."""
        return steps_ratio([self.steps])


@dataclass(frozen=True)
class MapEvaluation:
    """One model on one split.

    Attributes:
        name: of the model, unique among those evaluated together.
        threshold: probability from which a pixel is crack.
        photos: in the manifest's order.
        histogram: of all pixels.
        row: one line of metrics.csv.
        aligned: lines of metrics_aligned.csv; none where every mask lies on its crack, or none does.
    """

    name: str
    threshold: float
    photos: Sequence[PhotoResult]
    histogram: LogitHistogram
    row: MapRow
    aligned: Sequence[AlignedRow]
