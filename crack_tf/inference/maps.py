"""Whole photographs through a segmentation model: overlapping windows on several threads, blended into one map.

    from crack_tf.inference.maps import segment
    from tflite.segmenter import Segmenter

    segmenter = Segmenter("unet-int8-qat.tflite")
    probability = segment(load_rgb("pier.jpg"), segmenter, jobs=2)      # float32 (height, width)
    mask = probability >= segmenter.threshold_probability

`crack_tf.photo.stitch` does the windows; memory is the photograph, its map and one row of windows.

What overlaps is computed twice, so windows are as large as they may be: a photograph of up to two megapixels at once, a larger one in
strips, and, where only parts of it are asked for, squares around these. Models that answer about their tiles only get tiles
(`tflite.windows` says which).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from crack_tf.photo.foreground import check_photo
from crack_tf.photo.stitch import OVERLAP, Progress, SeamSteps, Tile, seam_steps, stitch
from tflite.device.tiles import MAX_OVERLAP, Box
from tflite.errors import CrackError
from tflite.measure import Job, PhotoTime
from tflite.segmenter import Segmenter
from tflite.sidecar import read_sidecar

# What the last few pixels at a tile's inner edge know is half padding: a quarter of the overlap is thrown away on each side,
# the half between is blended.
MARGIN_SHARE = 1 / 4
BATCH = 8  # tiles per call of a model
MAX_WINDOW = 1_800_000  # pixels: what a network needs in memory grows with them
_LONGEST = 4096  # side of a window in pixels
_PATCH = 2  # tiles, and a margin: side of the squares around parts of a photograph
_MOST = 0.6  # of a photograph, in parts; beyond that all of it is computed
_CELL = 32  # pixels; parts nearer to each other are one
BENCHMARK_WIDTH, BENCHMARK_HEIGHT = 4000, 3000  # 12 megapixels


class TileMaps(Protocol):
    """What `segment` needs of a model: a `Segmenter`, a `SegmenterPool`, or a predictor of crack_tf.inference.predictor.

    One that has an attribute `window_step` that is not None takes larger windows too, see `tflite.segmenter.Segmenter`.
    """

    @property
    def image_size(self) -> int:
        """Side of the square tiles in pixels."""

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """uint8 (n, image_size, image_size, 3) to float32 (n, image_size, image_size)."""


class SegmenterPool:
    """One segmentation file on several threads, an interpreter for each; used as a context.

    LiteRT lets other threads run while it computes, so n threads score tiles nearly n times as fast (see crack_tf.inference.tiles).

    Args:
        segmenter: the first of the interpreters; the others are made when they are needed.
        jobs: threads, at least 1.

    Raises:
        CrackError: if `jobs` is below 1.
    """

    def __init__(self, segmenter: Segmenter, jobs: int) -> None:
        if jobs < 1:
            raise CrackError(f"jobs must be at least 1, got {jobs}.")
        self._spare = [segmenter]
        self._first = segmenter
        self._own = threading.local()
        # A Coral stick serves one interpreter.
        jobs = 1 if segmenter.delegate == "edgetpu" else jobs
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="tiles")

    def __enter__(self) -> SegmenterPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def image_size(self) -> int:
        """Side of the square tiles in pixels."""
        return self._first.image_size

    @property
    def window_step(self) -> int | None:
        """See `tflite.segmenter.Segmenter`."""
        return self._first.window_step

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """uint8 (n, image_size, image_size, 3), or windows, to float32 of the first three axes' shape, n > 0."""
        return np.concatenate(list(self._threads.map(self._one, tiles)))

    def _one(self, tile: np.ndarray) -> np.ndarray:
        found: Segmenter | None = getattr(self._own, "segmenter", None)
        if found is None:
            try:
                found = self._spare.pop()
            except IndexError:
                found = self._first.another()
            self._own.segmenter = found
        return found.probabilities(tile[np.newaxis])


def segment(
    photo: np.ndarray,
    segmenter: TileMaps,
    *,
    overlap: float = OVERLAP,
    foreground: np.ndarray | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> np.ndarray:
    """Probability of a crack at every pixel of a photograph of any size.

    Args:
        photo: uint8 (height, width, 3); smaller than a tile, it is mirrored at its edges.
        segmenter: the model.
        overlap: least share of a tile's side that neighbours share, in [0, 0.9]; of larger windows as many pixels.
        foreground: bool (height, width); outside it the probability is 0, and windows without any are not computed.
        jobs: threads, for a `Segmenter`; other models see to that themselves.
        progress: called with (tiles done, tiles in all).

    Returns:
        float32 (height, width).

    Raises:
        CrackError: if an argument does not fit.
    """
    check_photo(photo)
    if jobs > 1 and isinstance(segmenter, Segmenter):
        with SegmenterPool(segmenter, jobs) as pool:
            return segment(photo, pool, overlap=overlap, foreground=foreground, progress=progress)
    margin = int(segmenter.image_size * min(overlap, 0.5) * MARGIN_SHARE)

    if not 0 <= overlap <= MAX_OVERLAP:
        raise CrackError(f"overlap must lie between 0 and {MAX_OVERLAP}, got {overlap}.")

    def drawn(part: np.ndarray, window: Tile, where: np.ndarray | None, told: Progress | None) -> np.ndarray:
        share = _share(window, segmenter, overlap)
        return stitch(part, segmenter.probabilities, window, share, margin, BATCH, where, told)

    step = getattr(segmenter, "window_step", None)
    parts = None
    if step is not None and foreground is not None and foreground.shape == photo.shape[:2] and foreground.dtype == bool:
        side = _up(_PATCH * segmenter.image_size + 2 * margin, step)
        parts = parts_of(foreground, margin, side)
    if foreground is None or parts is None:
        return drawn(photo, window_of(photo.shape[:2], segmenter, overlap), foreground, progress)
    found = np.zeros(photo.shape[:2], np.float32)
    for number, box in enumerate(parts):
        rows, columns = slice(box.y, box.y + box.h), slice(box.x, box.x + box.w)
        found[rows, columns] = drawn(photo[rows, columns], (side, side), foreground[rows, columns], None)
        if progress is not None:
            progress(number + 1, len(parts))
    return found


def window_of(shape: tuple[int, int], segmenter: TileMaps, overlap: float = OVERLAP) -> Tile:
    """The windows in which a whole photograph is computed: side of the model's tiles, or height and width.

    As few and as large as `MAX_WINDOW` allows, standing side by side as strips, so that several threads have one each.

    Args:
        shape: height and width of the photograph.
        segmenter: the model.
        overlap: as for `segment`.
    """
    tile, step = segmenter.image_size, getattr(segmenter, "window_step", None)
    if step is None:
        return tile
    shared = round(tile * overlap)
    height = _side(max(shape[0], tile), min(_LONGEST, MAX_WINDOW // tile), shared, step)
    width = _side(max(shape[1], tile), min(_LONGEST, MAX_WINDOW // height), shared, step)
    return height, max(width, tile)


def parts_of(foreground: np.ndarray, margin: int, side: int) -> list[Box] | None:
    """Boxes that hold all of the foreground and do not overlap; None where they would be most of the photograph.

    Args:
        foreground: bool (height, width).
        margin: pixels of surroundings on every side, as far as the photograph has them.
        side: least side of a box, as far as the photograph is that large.
    """
    from scipy import ndimage

    height, width = foreground.shape
    tall, wide = -(-height // _CELL), -(-width // _CELL)
    padded = np.zeros((tall * _CELL, wide * _CELL), bool)
    padded[:height, :width] = foreground
    cells = np.asarray(padded.reshape(tall, _CELL, wide, _CELL).any(axis=(1, 3)))
    spans = ndimage.find_objects(ndimage.label(cells, np.ones((3, 3), bool))[0])
    around: list[tuple[int, int, int, int]] = []
    for rows, columns in spans:
        y, x = rows.start * _CELL, columns.start * _CELL
        here = foreground[y : rows.stop * _CELL, x : columns.stop * _CELL]
        ys, xs = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
        top, bottom = _stretched(y + int(ys[0]) - margin, y + int(ys[-1]) + 1 + margin, side, height)
        left, right = _stretched(x + int(xs[0]) - margin, x + int(xs[-1]) + 1 + margin, side, width)
        around.append((top, bottom, left, right))
    boxes: list[tuple[int, int, int, int]] = []
    for box in around:
        while touching := [b for b in boxes if b[0] < box[1] and box[0] < b[1] and b[2] < box[3] and box[2] < b[3]]:
            boxes = [b for b in boxes if b not in touching]
            together = [box, *touching]
            tops, bottoms, lefts, rights = zip(*together, strict=True)
            box = (min(tops), max(bottoms), min(lefts), max(rights))
        boxes.append(box)
    found = [Box(top, left, bottom - top, right - left) for top, bottom, left, right in sorted(boxes)]
    return found if sum(box.h * box.w for box in found) <= _MOST * foreground.size else None


def _stretched(start: int, stop: int, side: int, length: int) -> tuple[int, int]:
    """An interval made at least that long, and moved or cut to lie in [0, length)."""
    more = max(0, side - (stop - start))
    start, stop = start - more // 2, stop + more - more // 2
    if start < 0:
        start, stop = 0, max(stop, side)
    if stop > length:
        start, stop = min(start, length - side), length
    return max(0, start), stop


def _side(length: int, longest: int, shared: int, step: int) -> int:
    """Least side of equal windows that cover a length, overlapping by that much, and are no longer than asked for."""
    if _up(length, step) <= longest:
        return _up(length, step)
    longest = max(longest // step * step, _up(shared + 1, step))
    count = -(-(length - shared) // (longest - shared))
    return min(longest, _up(-(-(length + (count - 1) * shared) // count), step))


def _up(length: int, step: int) -> int:
    """The least multiple of a step that is no less."""
    return -(-length // step) * step


def photo_seams(probability: np.ndarray, segmenter: TileMaps, overlap: float = OVERLAP) -> SeamSteps | None:
    """`seams` of the map that `segment` draws of a whole photograph."""
    window = window_of((probability.shape[0], probability.shape[1]), segmenter, overlap)
    return seams(probability, window, _share(window, segmenter, overlap))


def _share(window: Tile, segmenter: TileMaps, overlap: float) -> float:
    """What share of a window's shorter side an overlap of tiles is."""
    shorter = window if isinstance(window, int) else min(window)
    return overlap if shorter == segmenter.image_size else overlap * segmenter.image_size / shorter


def seams(probability: np.ndarray, tile: Tile, overlap: float = OVERLAP) -> SeamSteps | None:
    """How much a map jumps where tiles meet, beside elsewhere; None for a photograph of one tile.

    Args:
        probability: float (height, width).
        tile: side or sides of the tiles, see `window_of`.
        overlap: share of their shorter side.
    """
    height, width = (tile, tile) if isinstance(tile, int) else tile
    large = probability.shape[0] > height or probability.shape[1] > width
    return seam_steps(probability, tile, overlap) if large else None


def warm_up(pool: SegmenterPool, jobs: int, shape: tuple[int, int], overlap: float = OVERLAP) -> None:
    """Let every thread make what photographs of that height and width need, before a time is taken."""
    window = window_of(shape, pool, overlap)
    height, width = (window, window) if isinstance(window, int) else window
    pool.probabilities(np.zeros((2 * jobs, height, width, 3), np.uint8))


def photo_time(job: Job) -> PhotoTime | None:
    """How long a segmentation model takes for a photograph; None for a classifier."""
    if read_sidecar(job.path).task != "segment":
        return None
    return time_photograph(Segmenter(job.path, delegate=job.delegate), job.threads)


def time_photograph(segmenter: Segmenter, jobs: int) -> PhotoTime:
    """Time a drawn photograph of 12 megapixels. What is in the picture does not matter for the time, so it is noise."""
    noise = np.random.default_rng(0).integers(0, 256, (BENCHMARK_HEIGHT, BENCHMARK_WIDTH, 3), dtype=np.uint8)
    counted = [0]

    def count(done: int, total: int) -> None:
        counted[0] = total

    with SegmenterPool(segmenter, jobs) as pool:
        warm_up(pool, jobs, noise.shape[:2])
        started = time.perf_counter()
        segment(noise, pool, progress=count)
        seconds = time.perf_counter() - started
    return PhotoTime(BENCHMARK_WIDTH * BENCHMARK_HEIGHT / 1e6, counted[0], jobs, round(seconds, 3))
