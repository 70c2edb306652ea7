"""Metrics of masks, and their uncertainty. numpy and scipy only.

Positive means crack. *Micro* figures count all pixels of a set alike; *mean* figures are computed per photograph and then averaged,
so that every photograph counts alike. Published figures seldom say which they are, and the two differ by several points.

Neighbouring pixels are anything but independent, so intervals are drawn over photographs (bootstrap), never over pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from tflite.errors import CrackError

TOLERANCE = 2  # pixels; see `pixel_counts`
CENTRE_TOLERANCE = 4  # pixels; see `centre_line_counts`
RESAMPLES = 2000  # of the bootstrap
MICRO = ("precision", "recall", "f1", "iou", "miou", "specificity")
TOLERANT = ("precision", "recall", "f1")
SHAPE = ("cl_iou", "nsd")
Figures = dict[str, float | None]  # by name, JSON-ready


@dataclass(frozen=True)
class PixelCounts:
    """Pixels by outcome; counts of several photographs are added.

    Attributes:
        tp: pixels called crack, rightly (with a tolerance: near a crack pixel of the truth).
        fp: pixels called crack, wrongly.
        fn: crack pixels of the truth that were not found (with a tolerance: nothing called crack near them).
        tn: the rest.
        found: crack pixels of the truth that were found. Equal to `tp` without a tolerance.
    """

    tp: int
    fp: int
    fn: int
    tn: int
    found: int

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def precision(self) -> float:
        """Share of the pixels called crack that are, tp / (tp + fp); NaN when none is called crack."""
        return self._rate("precision")

    @property
    def recall(self) -> float:
        """Share of the crack pixels that were found, found / (found + fn); NaN when there is no crack."""
        return self._rate("recall")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall (Dice coefficient); 0 when nothing is hit, NaN when there is nothing to hit or call."""
        return self._rate("f1")

    @property
    def iou(self) -> float:
        """Intersection over union of crack (Jaccard index), tp / (tp + fp + fn); for counts without a tolerance."""
        return self._rate("iou")

    @property
    def miou(self) -> float:
        """Mean of the IoU of crack and the IoU of background, tn / (tn + fp + fn). High for any mask, since most is background."""
        return self._rate("miou")

    @property
    def specificity(self) -> float:
        """Share of the crack-free pixels left alone, tn / (tn + fp)."""
        return self._rate("specificity")

    @property
    def cl_iou(self) -> float:
        """From `centre_line_counts`: found / (found + fp + fn); NaN when neither mask has a line."""
        return self._rate("cl_iou")

    @property
    def nsd(self) -> float:
        """From `boundary_counts`: (tp + found) / (tp + fp + found + fn); NaN when neither mask has a boundary."""
        return self._rate("nsd")

    def _rate(self, name: str) -> float:
        return float(_rates(np.array([astuple(self)]))[name][0])


@dataclass(frozen=True)
class MaskCounts:
    """One mask counted in every way that `summarise` reports.

    Attributes:
        strict: without a tolerance.
        tolerant: within `TOLERANCE`.
        lines: centre lines, see `centre_line_counts`.
        boundaries: see `boundary_counts`.
    """

    strict: PixelCounts
    tolerant: PixelCounts
    lines: PixelCounts
    boundaries: PixelCounts


def pixel_counts(predicted: np.ndarray, truth: np.ndarray, tolerance: int = 0) -> PixelCounts:
    """Count the pixels of one mask.

    A drawn crack is seldom exact to the pixel, and a thin one shifted by a pixel loses everything. The crack literature therefore
    also counts with a tolerance: a pixel called crack is right if a true one lies within it, a true one is found if a called one
    does. Tolerances of 2 and of 5 pixels are in use; 2 goes back to Amhaz et al. (IEEE T-ITS 17(10), 2016) and Fan et al. (arXiv
    1802.02208, 2018), 5 to CrackForest (Shi et al., IEEE T-ITS 17(12), 2016), as later papers cite them; the three were not at hand to
    be checked. Figures with different tolerances, or none, cannot be compared.

    Args:
        predicted: bool (h, w), True where crack is called.
        truth: bool (h, w).
        tolerance: in pixels, Euclidean; 0 for none.

    Raises:
        ValueError: if the shapes differ or are not (h, w), or the tolerance is negative.
    """
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    if predicted.ndim != 2 or predicted.shape != truth.shape:
        raise ValueError(f"masks must both have shape (h, w), got {predicted.shape} and {truth.shape}")
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    right = predicted & _widened(truth, tolerance)
    found = truth & _widened(predicted, tolerance)
    tp, hit = int(right.sum()), int(found.sum())
    # With a tolerance, a background pixel called crack may count as right; neither kind is a true negative.
    negative = int(predicted.size - (predicted | truth).sum())
    return PixelCounts(tp, int(predicted.sum()) - tp, int(truth.sum()) - hit, negative, hit)


def centre_line_counts(predicted: np.ndarray, truth: np.ndarray, tolerance: int = CENTRE_TOLERANCE) -> PixelCounts:
    """`pixel_counts` of the centre lines of two masks, for `PixelCounts.cl_iou`.

    Annotators agree on where a crack runs and not on how wide it is, and a thin crack is mostly edge. So Benz and Rodehorst ("OmniCrack30k:
    A Benchmark for Crack Segmentation and the Reasonable Effectiveness of Transfer Learning", CVPR Workshops 2024) thin both masks to
    lines of one pixel and take the intersection over union of these with a tolerance, of 4 pixels: true pixels with a called one near
    them, over these and the called ones and true ones without. Their benchmark has lines that were drawn; here both are thinned
    (`skimage.morphology.skeletonize`, Zhang and Suen, 1984).

    Args:
        predicted, truth, tolerance: as for `pixel_counts`.

    Raises:
        ValueError: as `pixel_counts` does.
    """
    return pixel_counts(_centre_line(predicted), _centre_line(truth), tolerance)


def boundary_counts(predicted: np.ndarray, truth: np.ndarray, tolerance: int = TOLERANCE) -> PixelCounts:
    """`pixel_counts` of the boundaries of two masks, for `PixelCounts.nsd`.

    The normalised surface distance, or surface Dice, is the share of both boundaries that lies within a tolerance of the other one
    (Nikolov et al., arXiv 1809.04430, 2018; recommended for structures whose outline counts by Maier-Hein et al., "Metrics reloaded",
    Nature Methods 21, 2024). A boundary is the pixels of a mask that share a side with a pixel outside it, or with the photograph's
    edge.

    Args:
        predicted, truth, tolerance: as for `pixel_counts`. Tolerances differ between papers and change the figure.

    Raises:
        ValueError: as `pixel_counts` does.
    """
    return pixel_counts(_boundary(predicted), _boundary(truth), tolerance)


def mask_counts(predicted: np.ndarray, truth: np.ndarray) -> MaskCounts:
    """Count a mask in every way. Arguments and errors: see `pixel_counts`."""
    return MaskCounts(
        pixel_counts(predicted, truth),
        pixel_counts(predicted, truth, TOLERANCE),
        centre_line_counts(predicted, truth),
        boundary_counts(predicted, truth),
    )


class LogitHistogram:
    """Counts at every threshold from any number of pixels, in 64 kB.

    Logits are sorted into bins of 1/128 from -16 to 16; a threshold is the lower edge of a bin. Counts at an edge are exact.
    """

    LIMIT = 16
    STEPS = 128  # bins per unit of logit; a power of two, so that edges are exact

    def __init__(self) -> None:
        # Bin 0 holds what lies below every edge, the last what lies above the last edge.
        self._counts = np.zeros((2, 2 * self.LIMIT * self.STEPS + 2), np.int64)

    @property
    def edges(self) -> np.ndarray:
        """The thresholds, float64 (4097,), ascending."""
        return np.arange(-self.LIMIT * self.STEPS, self.LIMIT * self.STEPS + 1) / self.STEPS

    def add(self, logits: np.ndarray, truth: np.ndarray) -> None:
        """Count pixels.

        Args:
            logits: float, any shape.
            truth: bool or 0 and 1, the same shape.

        Raises:
            ValueError: if the shapes differ.
            CrackError: if a logit is NaN, which would pass for crack-free.
        """
        logits, truth = np.asarray(logits), np.asarray(truth)
        if logits.shape != truth.shape:
            raise ValueError(f"logits and truth must have one shape, got {logits.shape} and {truth.shape}")
        if np.isnan(logits).any():
            bad = int(np.isnan(logits).sum())
            raise CrackError(
                f"{bad} of {logits.size} logits are NaN: training diverged. Train with a lower learning rate."
            )
        bins = self._counts.shape[1]
        scaled = np.floor(np.clip(logits.ravel().astype(np.float64), -self.LIMIT - 1, self.LIMIT + 1) * self.STEPS)
        place = np.clip(scaled + self.LIMIT * self.STEPS + 1, 0, bins - 1).astype(np.int64)
        crack = truth.ravel() > 0
        for label, chosen in enumerate((place[~crack], place[crack])):
            self._counts[label] += np.bincount(chosen, minlength=bins)

    def table(self) -> np.ndarray:
        """Counts at every edge: int64 (4097, 5), columns as in `PixelCounts`; crack is a logit of at least the edge."""
        above = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        background, crack = self._counts.sum(axis=1)
        fp, tp = above
        return np.stack([tp, fp, crack - tp, background - fp, tp], axis=1)

    def counts(self, threshold: float) -> PixelCounts:
        """Counts at a threshold, or at the next higher edge where it is none."""
        position = int(np.clip(np.searchsorted(self.edges, threshold), 0, len(self.edges) - 1))
        return PixelCounts(*self.table()[position].tolist())

    def best_threshold(self) -> float:
        """The edge with the highest micro F1; of equals the one with the higher recall, then the middle one.

        Raises:
            CrackError: if there is no crack pixel.
        """
        table = self.table()
        if not self._counts[1].sum():
            raise CrackError(
                "a threshold needs crack pixels, and the masks of this split have none. Use another split."
            )
        f1 = _rates(table)["f1"]
        best = np.flatnonzero((f1 == f1.max()) & (table[:, 0] == table[f1 == f1.max(), 0].max()))
        return float(self.edges[best[len(best) // 2]])

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(threshold, precision, recall), each (4097,); precision is NaN where nothing is called crack."""
        rates = _rates(self.table())
        return self.edges, rates["precision"], rates["recall"]


def summarise_masks(counts: Sequence[MaskCounts]) -> Figures:
    """`summarise`, and of shapes `cl_iou` and `nsd`, micro and `mean_...`, with their intervals.

    Args:
        counts: of each photograph.

    Raises:
        ValueError: if there are none.
    """
    row = summarise([photo.strict for photo in counts], [photo.tolerant for photo in counts])
    draws = _draws(len(counts))
    for name, some in zip(SHAPE, ("lines", "boundaries"), strict=True):
        table = np.array([astuple(getattr(photo, some)) for photo in counts], np.int64)
        row |= _micro("", table, (name,), draws) | _mean(table, (name,), draws)
    return row


def summarise(per_photo: Sequence[PixelCounts], tolerant: Sequence[PixelCounts]) -> Figures:
    """All figures of a set as one flat row, JSON-ready.

    * `precision`, `recall`, `f1`, `iou`, `miou`, `specificity`: micro, all pixels of the set alike.
    * `mean_...`: mean over photographs; one where the figure is undefined (no crack and none called) does not count. A false alarm
      on a crack-free photograph counts as F1 and IoU 0.
    * `tolerant_precision`, `tolerant_recall`, `tolerant_f1`: micro, with the tolerance that `tolerant` was counted with.
    * `..._low`, `..._high`: 95 % percentile bootstrap over photographs (Efron, 1979); None with fewer than two of them.

    Args:
        per_photo: counts of each photograph without a tolerance.
        tolerant: counts of the same photographs with one.

    Raises:
        ValueError: if there are none, or the two differ in number.
    """
    if not per_photo or len(per_photo) != len(tolerant):
        raise ValueError(f"counts of the same photographs are needed, got {len(per_photo)} and {len(tolerant)}")
    strict = np.array([astuple(counts) for counts in per_photo], np.int64)
    loose = np.array([astuple(counts) for counts in tolerant], np.int64)
    draws = _draws(len(strict))
    return {
        "photographs": len(strict),
        **dict(zip(("tp", "fp", "fn", "tn"), strict.sum(axis=0).tolist(), strict=False)),
        **_micro("", strict, MICRO, draws),
        **_micro("tolerant_", loose, TOLERANT, draws),
        **_mean(strict, MICRO, draws),
    }


def _draws(count: int) -> np.ndarray | None:
    """Photographs of each resample, (RESAMPLES, count); None where there is one alone."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count)) if count > 1 else None


def _micro(prefix: str, counts: np.ndarray, names: Sequence[str], draws: np.ndarray | None) -> Figures:
    rates = _rates(counts.sum(axis=0, keepdims=True))
    drawn = None if draws is None else _rates(_resampled(counts, draws))
    row = Figures()
    for name in names:
        row |= _figure(prefix + name, rates[name][0], None if drawn is None else drawn[name])
    return row


def _mean(counts: np.ndarray, names: Sequence[str], draws: np.ndarray | None) -> Figures:
    each, row = _rates(counts), Figures()
    for name in names:
        with_value = ~np.isnan(each[name])
        values = np.where(with_value, each[name], 0.0)
        mean = values.sum() / with_value.sum() if with_value.any() else math.nan
        means = None
        if draws is not None:
            with np.errstate(invalid="ignore"):
                means = values[draws].sum(axis=1) / with_value[draws].sum(axis=1)
        row |= _figure(f"mean_{name}", mean, means)
    return row


def _figure(name: str, value: float, resampled: np.ndarray | None) -> Figures:
    """A figure with its interval."""
    defined = np.array([]) if resampled is None else resampled[~np.isnan(resampled)]
    low, high = np.quantile(defined, (0.025, 0.975)).tolist() if defined.size else (None, None)
    return {name: None if math.isnan(value) else float(value), f"{name}_low": low, f"{name}_high": high}


def _resampled(counts: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Sums of the counts (n, 5) over each draw (resamples, n): int64 (resamples, 5)."""
    # How often each photograph was drawn, times its counts: memory does not grow with the columns.
    times = np.stack([np.bincount(draw, minlength=len(counts)) for draw in draws])
    return times @ counts


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Every rate of counts (n, 5), columns as in `PixelCounts`; NaN over nothing."""
    tp, fp, fn, tn, found = counts.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = tp / (tp + fp), found / (found + fn)
        # Without a tolerance 2 tp / (2 tp + fp + fn); 0, not NaN, when a crack is there and none is called, or the other way round.
        f1 = np.where((tp > 0) & (found > 0), 2 * precision * recall / (precision + recall), 0.0)
        f1 = np.where(tp + fp + fn + found > 0, f1, np.nan)
        iou, background = tp / (tp + fp + fn), tn / (tn + fp + fn)
        both = np.stack([iou, background])
        miou = np.nansum(both, axis=0) / (~np.isnan(both)).sum(axis=0)
        specificity = tn / (tn + fp)
        cl_iou, nsd = found / (found + fp + fn), (tp + found) / (tp + fp + found + fn)
    rates = {"precision": precision, "recall": recall, "f1": f1, "iou": iou, "miou": miou, "specificity": specificity}
    return {**rates, "cl_iou": cl_iou, "nsd": nsd}


def _widened(mask: np.ndarray, tolerance: int) -> np.ndarray:
    """The mask with everything within `tolerance` pixels of it, Euclidean."""
    if tolerance == 0:
        return mask
    from scipy.ndimage import binary_dilation

    y, x = np.mgrid[-tolerance : tolerance + 1, -tolerance : tolerance + 1]
    return binary_dilation(mask, structure=np.hypot(y, x) <= tolerance)


def _centre_line(mask: np.ndarray) -> np.ndarray:
    """A mask, bool (h, w), thinned to lines of one pixel."""
    from skimage.morphology import skeletonize

    mask = np.asarray(mask, bool)
    return np.asarray(skeletonize(mask)) if mask.any() else mask


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask, bool (h, w), with a side to what is not in it; the photograph's edge counts as such."""
    mask = np.asarray(mask, bool)
    around = np.pad(mask, 1)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask & ~inside
