"""Classify whole photographs with a tile classifier: cut, score on all cores, put together. LiteRT only, no TensorFlow.

Tiles are spread over threads, each with an interpreter of its own: LiteRT and Pillow let other threads run while they
compute. On two cores two threads score twice as many tiles as one, and processes no more than threads.

Example:
    with PhotoClassifier("opnet-int8-qat.tflite", jobs=2) as classifier, classifier.photo("pier.jpg") as photo:
        print(photo.crack, photo.highest.probability)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from crack_tf.inference.second_look import is_doubted
from tflite.device.tiles import Box, refuse_small, scaled_side, tile_boxes, training_mm, training_side
from tflite.images import decode_picture, header_pixels, load_picture, resize_rgb
from tflite.metrics import sigmoid
from tflite.runtime import Classifier
from tflite.transparency import boxes_with_pixels
from tflite.words import counted

# Up to here a picture counts as one tile. A larger one would be shrunk so far that hairline cracks vanish, a longer one squeezed.
WHOLE_SIDE = 1.5  # times the tile's side
WHOLE_ASPECT = 1.5  # longer side to shorter side
CHUNK = 8  # tiles handed to a thread at a time: few enough to keep all threads busy until the end
PIXEL_BUDGET = (
    100_000_000  # of photographs in memory at once; decoding takes 11 bytes per pixel, the largest JPEGs 1 GB
)


@dataclass(frozen=True)
class Tile:
    """One answer.

    Attributes:
        box: place in the photograph, pixels of the upright picture.
        logit: the model's.
        probability: sigmoid of the logit; not calibrated.
        crack: the decision at the model's threshold.
    """

    box: Box
    logit: float
    probability: float
    crack: bool


@dataclass(frozen=True, repr=False)
class Photo:
    """A classified photograph.

    Attributes:
        image: uint8 (height, width, 3), upright.
        tiles: in reading order; together they cover every pixel, but for those left out.
        left_out: tiles that were not searched, since next to nothing in them is opaque.
        doubted: whether the few tiles that are called cracked are not when they are seen again (`crack_tf.inference.second_look`).
        opaque: bool (height, width), False where the file is transparent and `image` was made up; None where it is nowhere.
    """

    image: np.ndarray
    tiles: tuple[Tile, ...]
    left_out: int = 0
    doubted: bool = False
    opaque: np.ndarray | None = None

    def __repr__(self) -> str:
        size = f"{self.image.shape[1]}x{self.image.shape[0]}"
        return f"Photo({size}: {sum(tile.crack for tile in self.tiles)} of {counted(len(self.tiles), 'tile')} cracked)"

    @property
    def crack(self) -> bool:
        """Whether any tile is cracked, and still is when it is seen again."""
        return any(tile.crack for tile in self.tiles) and not self.doubted

    @cached_property
    def highest(self) -> Tile:
        """The tile most likely to be cracked."""
        return max(self.tiles, key=lambda tile: tile.logit)


def photo_boxes(width: int, height: int, side: int, overlap: float) -> list[Box]:
    """Where to look in a photograph: all of it at once if it is about the size and shape of a tile, else a grid of tiles.

    Args:
        width, height: of the photograph in pixels, at least 1.
        side: of a tile in pixels, at least 1.
        overlap: least share of a tile that its neighbour repeats, in [0, 0.9].

    Raises:
        CrackError: if an argument is out of range.

    Example:
        len(photo_boxes(4000, 3000, 227, 0.25))  # 432
    """
    longer, shorter = max(width, height), min(width, height)
    if longer <= WHOLE_SIDE * side and longer <= WHOLE_ASPECT * shorter:
        return [Box(0, 0, height, width)]
    return tile_boxes(width, height, side, overlap)


class PhotoClassifier:
    """A checked model that classifies photographs on several threads. `photo` may be called from several threads too.

    Args:
        path: the .tflite file, its sidecar beside it.
        jobs: threads that run the model, at least 1.
        side: of a tile in pixels, or None for `training_side`.
        overlap: see `photo_boxes`.
        scaled: whether tiles show as many millimetres as those of the training, where the model and the photograph tell theirs.
        looks_again: whether `photo` asks it again about a few cracked tiles, see `crack_tf.inference.second_look`.

    Attributes:
        sidecar: the model's.
        side: of a tile in pixels, where no scale decides.
        tile_mm: what tiles show, in millimetres; None where `side` decides.

    Raises:
        CrackError: see `tflite.runtime.Classifier`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        jobs: int,
        side: int | None = None,
        overlap: float = 0.25,
        scaled: bool = False,
        looks_again: bool = False,
    ) -> None:
        first = Classifier(path, quick=True)
        self.sidecar = first.sidecar
        self.side = side or training_side(first.sidecar)
        self.tile_mm = training_mm(first.sidecar) if scaled else None
        self.overlap = overlap
        self.looks_again = looks_again
        self._path = path
        self._spare = [first]
        self._own = threading.local()
        self._room = _PixelBudget(PIXEL_BUDGET)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="tiles")

    def __enter__(self) -> PhotoClassifier:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Score no further tiles: photographs in progress end with an error."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def side_for(self, mm_per_pixel: float | None) -> int:
        """Side in pixels of the tiles of a photograph of that scale; None where it is not known."""
        if self.tile_mm is None or mm_per_pixel is None:
            return self.side
        return scaled_side(self.tile_mm, mm_per_pixel, self.side)

    @contextmanager
    def photo(
        self,
        path: str | Path,
        advance: Callable[[int, int], None] | None = None,
        data: bytes | None = None,
        mm_per_pixel: float | None = None,
    ) -> Iterator[Photo]:
        """Decode, cut and score one photograph. Waits while others, until their blocks end, fill the memory set aside.

        Args:
            path: of the image file.
            advance: called now and then with the number of tiles just scored and the number of all tiles.
            data: the file's content, where it was read before.
            mm_per_pixel: the photograph's scale, or None; see `side_for`.

        Raises:
            ImageError: if the photograph cannot be read, is smaller than 16 pixels, or no tile of it is opaque.
        """
        with self.room(header_pixels(path)):
            picture = load_picture(path) if data is None else decode_picture(data, str(path))
            height, width = picture.pixels.shape[:2]
            refuse_small(path, (height, width))
            boxes = photo_boxes(width, height, self.side_for(mm_per_pixel), self.overlap)
            shown = boxes_with_pixels(boxes, picture.opaque, str(path))
            tiles = tuple(self.score(picture.pixels, shown, advance))
            doubted = self.looks_again and is_doubted(picture.pixels, tiles, self.score, self.sidecar.threshold.logit)
            yield Photo(picture.pixels, tiles, len(boxes) - len(shown), doubted, picture.opaque)

    def score(
        self,
        image: np.ndarray,
        boxes: Sequence[Box] | None = None,
        advance: Callable[[int, int], None] | None = None,
    ) -> list[Tile]:
        """Score tiles of pixels that are in memory.

        Args:
            image: uint8 (height, width, 3).
            boxes: where, inside the image; None for everywhere, see `photo_boxes`.
            advance: as in `photo`.
        """
        if boxes is None:
            boxes = photo_boxes(image.shape[1], image.shape[0], self.side, self.overlap)
        chunks = [boxes[start : start + CHUNK] for start in range(0, len(boxes), CHUNK)]
        tiles: list[Tile] = []
        # A single chunk stays in the caller's thread: handing it over would cost a fast model a tenth of its speed.
        work = map if len(chunks) == 1 else self._threads.map
        for scored in work(lambda chunk: self._score(image, chunk), chunks):
            tiles += scored
            if advance is not None:
                advance(len(scored), len(boxes))
        return tiles

    def room(self, pixels: int) -> AbstractContextManager[None]:
        """Wait until a photograph of that many pixels fits into the memory set aside; it is given back at the block's end."""
        return self._room.taken(pixels)

    def _score(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Tile]:
        classifier = self._classifier()
        tiles = []
        for box in boxes:
            pixels = image[box.y : box.y + box.h, box.x : box.x + box.w]
            raw = classifier.raw(resize_rgb(pixels, classifier.image_size))
            logit = classifier.to_logit(raw)
            tiles.append(Tile(box, logit, float(sigmoid(logit)), classifier.decide(raw)))
        return tiles

    def _classifier(self) -> Classifier:
        """This thread's own: an interpreter serves one thread at a time."""
        found: Classifier | None = getattr(self._own, "classifier", None)
        if found is None:
            try:
                found = self._spare.pop()
            except IndexError:
                found = Classifier(
                    self._path, trust=True, quick=True
                )  # the file was compared with its sidecar a moment ago
            self._own.classifier = found
        return found


class _PixelBudget:
    """Lets photographs into memory while their pixels together stay within a limit; a single one always enters."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + pixels <= self._limit)
            self._used += pixels
        try:
            yield
        finally:
            with self._changed:
                self._used -= pixels
                self._changed.notify_all()
