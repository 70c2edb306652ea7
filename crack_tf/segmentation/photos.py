"""Whole photographs through a segmentation model: overlapping tiles on several threads, blended into one map.

    from crack_tf.segmentation.photos import segment
    from tflite.segmenter import Segmenter

    segmenter = Segmenter("unet-int8-qat.tflite")
    probability = segment(load_rgb("pier.jpg"), segmenter, jobs=2)      # float32 (height, width)
    mask = probability >= segmenter.threshold_probability

`crack_tf.photo.stitch` does the tiles; memory is the photograph, its map and one row of tiles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from crack_tf.photo.foreground import check_photo
from crack_tf.photo.stitch import OVERLAP, SeamSteps, seam_steps, stitch
from tflite.errors import CrackError
from tflite.measure import Job
from tflite.segmenter import Segmenter
from tflite.sidecar import read_sidecar

# What the last few pixels at a tile's inner edge know is half padding: a quarter of the overlap is thrown away on each side,
# the half between is blended.
MARGIN_SHARE = 1 / 4
BATCH = 8  # tiles per call of a model
BENCHMARK_WIDTH, BENCHMARK_HEIGHT = 4000, 3000  # 12 megapixels


class TileMaps(Protocol):
    """What `segment` needs of a model: a `Segmenter`, a `SegmenterPool`, or a predictor of crack_tf.predictor."""

    @property
    def image_size(self) -> int:
        """Side of the square tiles in pixels."""

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """uint8 (n, image_size, image_size, 3) to float32 (n, image_size, image_size)."""


class SegmenterPool:
    """One segmentation file on several threads, an interpreter for each; used as a context.

    LiteRT lets other threads run while it computes, so n threads score tiles nearly n times as fast (see crack_tf.tiled).

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def image_size(self) -> int:
        """Side of the square tiles in pixels."""
        return self._first.image_size

    def probabilities(self, tiles: np.ndarray) -> np.ndarray:
        """uint8 (n, image_size, image_size, 3) to float32 (n, image_size, image_size), n > 0."""
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
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Probability of a crack at every pixel of a photograph of any size.

    Args:
        photo: uint8 (height, width, 3); smaller than a tile, it is mirrored at its edges.
        segmenter: the model.
        overlap: least share of a tile that its neighbour repeats, in [0, 0.9].
        foreground: bool (height, width); outside it the probability is 0, and tiles without any are not computed.
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
    tile = segmenter.image_size
    return stitch(
        photo,
        segmenter.probabilities,
        tile=tile,
        overlap=overlap,
        margin=int(tile * min(overlap, 0.5) * MARGIN_SHARE),
        batch=BATCH,
        foreground=foreground,
        progress=progress,
    )


def seams(probability: np.ndarray, tile: int, overlap: float = OVERLAP) -> SeamSteps | None:
    """How much a map jumps where tiles meet, beside elsewhere; None for a photograph of one tile."""
    return seam_steps(probability, tile, overlap) if max(probability.shape) > tile else None


def photo_columns(job: Job) -> dict[str, Any]:
    """What a benchmark's row of a segmentation model says about whole photographs; nothing of a classifier."""
    if read_sidecar(job.path).task != "segment":
        return {}
    return time_photograph(Segmenter(job.path, delegate=job.delegate), job.threads)


def time_photograph(segmenter: Segmenter, jobs: int) -> dict[str, Any]:
    """Seconds that `segment` takes for a drawn photograph of 12 megapixels, and how many tiles that is.

    What is in the picture does not matter for the time, so it is noise. One row of tiles goes first, to warm up.
    """
    noise = np.random.default_rng(0).integers(0, 256, (BENCHMARK_HEIGHT, BENCHMARK_WIDTH, 3), dtype=np.uint8)
    counted = [0]

    def count(done: int, total: int) -> None:
        counted[0] = total

    with SegmenterPool(segmenter, jobs) as pool:
        segment(noise[: segmenter.image_size], pool)
        started = time.perf_counter()
        segment(noise, pool, progress=count)
        seconds = time.perf_counter() - started
    return {
        "photo_megapixels": BENCHMARK_WIDTH * BENCHMARK_HEIGHT / 1e6,
        "photo_tiles": counted[0],
        "photo_jobs": jobs,
        "photo_s": round(seconds, 3),
    }
