"""Cracks of every width: a photograph through a segmentation model as it is, and once more reduced to a quarter.

A network sees some dozens of pixels around a place. Of a gap wider than that it sees no edge, and draws scraps or nothing. Reduced to
a quarter, the gap is a crack again, at a sixteenth of the cost. From the reduced photograph only that is taken which the whole one
cannot show: parts of the map that are wide all along, longer than wide, and not drawn already. Finer cracks are left to the
photograph itself, whose map is sharper, and so are lines that only look like a crack from afar. Measured by `studies.wide_cracks`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from crack_tf.inference.maps import TileMaps, segment
from crack_tf.photo.foreground import check_photo
from crack_tf.photo.stitch import OVERLAP, Progress

REDUCED = 4  # times
# Pixels of the photograph. The networks here draw cracks up to about 30 pixels wide; chosen among 12 to 32 on validation photographs:
# from 28 on, maps of photographs with finer cracks only stay as they are.
WIDE = 28.0
KNOWN = 0.6  # share of a part that is drawn already, from which it is left as it is: its edges are finer there
LONGER = 2.0  # than wide: holes, knots and windows are no cracks
_SMALLEST = 32  # pixels of a reduced photograph's shorter side; less shows no crack's course


def segment_at_scales(
    photo: np.ndarray,
    segmenter: TileMaps,
    threshold: float,
    *,
    overlap: float = OVERLAP,
    foreground: np.ndarray | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Probability of a crack at every pixel, of fine and of wide ones.

    Args:
        photo: uint8 (height, width, 3).
        segmenter: the model.
        threshold: probability from which a pixel is crack: what is wide and longer than wide depends on it.
        overlap, foreground, progress: as for `crack_tf.inference.maps.segment`.

    Returns:
        float32 (height, width): the higher one of both scales; of the reduced one wide cracks only.

    Raises:
        CrackError: if an argument does not fit.
    """
    check_photo(photo)
    found = segment(photo, segmenter, overlap=overlap, foreground=foreground, progress=progress)
    height, width = photo.shape[:2]
    if min(height, width) < REDUCED * _SMALLEST:
        return found
    small = np.asarray(Image.fromarray(photo).reduce(REDUCED))
    there = None if foreground is None else _any(foreground, small.shape[:2])
    coarse = segment(small, segmenter, overlap=overlap, foreground=there)
    known = np.asarray(Image.fromarray(np.where(found >= threshold, np.uint8(255), np.uint8(0))).reduce(REDUCED)) / 255
    coarse = wide_parts(coarse, threshold, WIDE / REDUCED, known)
    if not coarse.any():
        return found
    # The last row and column of a reduced photograph may stand for fewer pixels than the others.
    shown = (0.0, 0.0, width / REDUCED, height / REDUCED)
    enlarged = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR, shown))
    np.maximum(found, enlarged, out=found)
    if foreground is not None:
        found[~foreground] = 0
    return found


def wide_parts(probability: np.ndarray, threshold: float, least: float, known: np.ndarray | None = None) -> np.ndarray:
    """A map without what is too thin, not longer than wide, or known already.

    Args:
        probability: float32 (height, width).
        threshold: from which a pixel is crack.
        least: median width in pixels along a part, from which it is kept.
        known: float (height, width), the share of each pixel that is drawn already; None for nothing.

    Returns:
        float32 (height, width), 0 but on and right beside the parts that are kept.
    """
    from scipy import ndimage

    mask = probability >= threshold
    labels, count = ndimage.label(mask, np.ones((3, 3), bool))
    kept = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        extent = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
        here = labels[rows, columns] == number
        drawn = 0.0 if known is None else float(known[rows, columns][here].mean())
        if extent >= least and drawn < KNOWN:  # textures are full of specks that cannot be wide
            part = np.pad(here, 1)
            # To the centre of the next pixel outside: half a pixel more than to the edge.
            distance = ndimage.distance_transform_edt(part)
            ridge = part & (distance >= ndimage.maximum_filter(distance, 3))
            width = 2 * float(np.median(distance[ridge])) - 1
            kept[number] = width >= least and extent >= LONGER * width
    near = ndimage.binary_dilation(kept[labels], np.ones((3, 3), bool)) if kept.any() else kept[labels]
    return np.where(near, probability, np.float32(0))


def _any(foreground: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where any pixel of a square of `REDUCED` is true, bool of the reduced photograph's shape."""
    padded = np.zeros((shape[0] * REDUCED, shape[1] * REDUCED), bool)
    padded[: foreground.shape[0], : foreground.shape[1]] = foreground
    return np.asarray(padded.reshape(shape[0], REDUCED, shape[1], REDUCED).any(axis=(1, 3)))
