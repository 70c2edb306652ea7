"""A photograph of any size through a model that takes tiles: overlapping tiles, blended seams.

Knows nothing of cracks or models: a function is given tiles and gives back one map per tile.

    def predict(tiles):                       # uint8 (n, 256, 256, 3)
        return model(tiles)                   # float (n, 256, 256)

    probability = stitch(photo, predict, tile=256)

Where tiles overlap, their maps are averaged with weights that fall towards a tile's edge and add up to one at every pixel.
The weights are products of a row and a column profile, so nothing of the photograph's size is kept for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tflite.device.tiles import MAX_OVERLAP, spread
from tflite.errors import CrackError

Predict = Callable[[np.ndarray], np.ndarray]
Progress = Callable[[int, int], None]

Tile = int | tuple[int, int]  # side of squares, or height and width, in pixels

TILE = 256
OVERLAP = 0.25


@dataclass(frozen=True)
class SeamSteps:
    """How much a stitched map jumps where tiles meet, beside how much it does elsewhere.

    Attributes:
        at_seams: mean absolute difference of neighbouring pixels across the edges of tiles.
        elsewhere: the same between all other neighbours.
    """

    at_seams: float
    elsewhere: float

    @property
    def ratio(self) -> float:
        """1 where seams cannot be told from the rest; infinite where only seams have steps."""
        if self.elsewhere == 0:
            return 1.0 if self.at_seams == 0 else math.inf
        return self.at_seams / self.elsewhere


def stitch(
    photo: np.ndarray,
    predict: Predict,
    tile: Tile = TILE,
    overlap: float = OVERLAP,
    margin: int = 0,
    batch: int = 8,
    foreground: np.ndarray | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Run a photograph through `predict` tile by tile and put the maps together.

    Args:
        photo: (height, width) or (height, width, channels), any type; a memory-mapped array is read tile by tile.
        predict: takes (n, height, width[, channels]) of tiles, 1 <= n <= `batch`, and gives (n, height, width) or (n, height, width, 1).
        tile: side in pixels, or (height, width). A smaller photograph is padded by reflection and the padding cut off again.
        overlap: least share of a tile's shorter side that its neighbour repeats, in [0, 0.9].
        margin: pixels at a tile's inner edges whose values are thrown away, since the model lacks their surroundings. With
            the model's receptive radius as margin the result is that of the whole photograph at once. Between margin and tile's
            middle, weights rise as a raised cosine.
        batch: tiles per call of `predict`, at most.
        foreground: bool (height, width); tiles without any where they count are skipped, and everything outside is 0. None takes all.
        progress: called with (tiles done, tiles in all) after every call of `predict` and every row of tiles.

    Returns:
        float32 (height, width).

    Raises:
        CrackError: if an argument is out of range, `margin` leaves too little overlap, or `predict` gives another shape.
    """
    height, width = _check_photo(photo)
    tile_height, tile_width = _sides(tile)
    if min(tile_height, tile_width, batch) < 1:
        raise CrackError(f"tile {tile} and batch {batch} must both be at least 1.")
    if foreground is not None and (foreground.shape != (height, width) or foreground.dtype != bool):
        raise CrackError(
            f"foreground is {foreground.dtype} {foreground.shape}: give the bool mask of this photograph, {(height, width)}."
        )
    # A photograph smaller than a tile is made as large as one, on both sides alike.
    tall, wide = max(height, tile_height), max(width, tile_width)
    top, left = (tall - height) // 2, (wide - width) // 2
    rows, columns = _grid(tall, wide, (tile_height, tile_width), overlap)
    total = len(rows) * len(columns)
    row_weights = _weights(rows, tile_height, margin)
    column_weights = _weights(columns, tile_width, margin)
    size = tile_height, tile_width

    found = np.empty((height, width), np.float32)
    done = 0
    above = np.zeros((0, wide), np.float32)  # sums that this row of tiles still adds to
    for number, y in enumerate(rows):
        band = np.zeros((tile_height, wide), np.float32)
        band[: len(above)] = above
        # What a tile says at its inner edges counts for nothing: a tile that sees foreground there alone is not asked.
        counting = _counting(row_weights[number])
        wanted = [
            (x, weight)
            for x, weight in zip(columns, column_weights, strict=True)
            if foreground is None or _cut(foreground, y - top, x - left, size)[counting, _counting(weight)].any()
        ]
        for first in range(0, len(wanted), batch):
            some = wanted[first : first + batch]
            maps = _predict(predict, np.stack([_cut(photo, y - top, x - left, size) for x, _ in some]))
            for (x, weight), values in zip(some, maps, strict=True):
                band[:, x : x + tile_width] += values * (row_weights[number][:, np.newaxis] * weight)
            done += len(some)
            if progress is not None and done < (number + 1) * len(columns):
                progress(done, total)
        done = (number + 1) * len(columns)  # skipped ones are done too
        if progress is not None:
            progress(done, total)
        final = (rows[number + 1] if number + 1 < len(rows) else tall) - y
        above = band[final:]
        start, stop = max(y, top), min(y + final, top + height)
        if start < stop:
            found[start - top : stop - top] = band[start - y : stop - y, left : left + width]
    if foreground is not None:
        found[~foreground] = 0
    return found


def seam_steps(values: np.ndarray, tile: Tile = TILE, overlap: float = OVERLAP) -> SeamSteps:
    """Measure the seams of a map that was stitched with these settings.

    Args:
        values: float (height, width).
        tile, overlap: as given to `stitch`.

    Raises:
        CrackError: if the map is no larger than a tile, so that it has no seam.
    """
    (height, width), sides = values.shape, _sides(tile)
    if height <= sides[0] and width <= sides[1]:
        raise CrackError(f"a map of {width}x{height} pixels is one tile of {tile} and has no seam to measure.")
    grid = _grid(max(height, sides[0]), max(width, sides[1]), sides, overlap)
    at_seams, elsewhere = [], []
    for axis, (starts, side) in enumerate(zip(grid, sides, strict=True)):
        steps = np.abs(np.diff(values.astype(np.float64), axis=axis)).mean(axis=1 - axis)
        seam = np.zeros(len(steps), bool)
        # The step between pixels k and k + 1 has number k.
        seam[[edge - 1 for start in starts for edge in (start, start + side) if 0 < edge <= len(steps)]] = True
        at_seams.append(steps[seam])
        elsewhere.append(steps[~seam])
    return SeamSteps(float(np.concatenate(at_seams).mean()), float(np.concatenate(elsewhere).mean()))


def _sides(tile: Tile) -> tuple[int, int]:
    return (tile, tile) if isinstance(tile, int) else tile


def _grid(tall: int, wide: int, sides: tuple[int, int], overlap: float) -> tuple[list[int], list[int]]:
    """First rows and first columns of tiles that cover (tall, wide) pixels, which are no fewer than a tile's.

    Raises:
        CrackError: if the overlap is out of range.
    """
    if not 0 <= overlap <= MAX_OVERLAP:
        raise CrackError(f"overlap must lie between 0 and {MAX_OVERLAP}, got {overlap}.")
    shorter = min(sides)
    shares = (overlap if side == shorter else overlap * shorter / side for side in sides)
    rows, columns = map(spread, (tall, wide), sides, shares)
    return rows, columns


def _check_photo(photo: np.ndarray) -> tuple[int, int]:
    if photo.ndim not in (2, 3) or 0 in photo.shape:
        raise CrackError(
            f"photo has shape {photo.shape}: give (height, width) or (height, width, channels), none of them 0."
        )
    return photo.shape[0], photo.shape[1]


def _weights(starts: list[int], tile: int, margin: int) -> list[np.ndarray]:
    """Each tile's profile along one axis, float32 (tile,); at every pixel the profiles of all tiles add up to one."""
    if margin < 0:
        raise CrackError(f"margin must be at least 0 pixels, got {margin}.")
    profiles = [np.ones(tile) for _ in starts]
    for number in range(len(starts) - 1):
        shared = starts[number] + tile - starts[number + 1]
        ramp = shared - 2 * margin
        if ramp < 0:
            raise CrackError(
                f"margin {margin} needs tiles that overlap by {2 * margin} pixels; these overlap by {shared}. "
                f"Raise overlap to {min(1.0, 2 * margin / tile):.2f} or more, take larger tiles, or a smaller margin."
            )
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))
        edge = np.concatenate([np.zeros(margin), rise])
        profiles[number + 1][: len(edge)] *= edge
        profiles[number][tile - len(edge) :] *= edge[::-1]
    # Two neighbours add up to one already; with overlaps above one half three or more meet.
    total = np.zeros(starts[-1] + tile)
    for start, profile in zip(starts, profiles, strict=True):
        total[start : start + tile] += profile
    return [
        (profile / total[start : start + tile]).astype(np.float32)
        for start, profile in zip(starts, profiles, strict=True)
    ]


def _counting(weights: np.ndarray) -> slice:
    """From the first pixel of a profile to the last one that counts for anything."""
    first, last = np.flatnonzero(weights)[[0, -1]]
    return slice(int(first), int(last) + 1)


def _cut(photo: np.ndarray, y: int, x: int, sides: tuple[int, int]) -> np.ndarray:
    """A tile; what lies outside the photograph is its mirror image."""
    height, width = sides
    if y >= 0 and x >= 0 and y + height <= photo.shape[0] and x + width <= photo.shape[1]:
        return photo[y : y + height, x : x + width]
    return photo[_reflected(y, height, photo.shape[0])][:, _reflected(x, width, photo.shape[1])]


def _reflected(start: int, count: int, length: int) -> np.ndarray:
    """Indices start, start + 1, ... folded into [0, length) at the first and last pixel, as often as it takes."""
    period = max(1, 2 * (length - 1))
    folded = np.arange(start, start + count) % period
    return np.minimum(folded, period - folded) if length > 1 else np.zeros(count, int)


def _predict(predict: Predict, tiles: np.ndarray) -> np.ndarray:
    maps = np.asarray(predict(tiles))
    if maps.shape == (*tiles.shape[:3], 1):
        maps = maps[..., 0]
    if maps.shape != tiles.shape[:3]:
        raise CrackError(
            f"predict gave an array of shape {maps.shape} for tiles of shape {tiles.shape}. "
            f"One map per tile is needed: {tiles.shape[:3]}."
        )
    return maps
