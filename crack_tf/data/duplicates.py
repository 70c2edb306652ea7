"""Copies of a picture in a data set: byte-identical, re-encoded, mirrored, flipped or turned.

Two stages, both on grey thumbnails:

1. 32x32 pixels, mean removed, length 1: the scalar product of two such vectors is their correlation. A blockwise matrix
   product compares every tile with every other in each of the eight orientations. Candidates exceed `CORRELATION`.
2. Two smooth tiles lit from the same side also correlate at 32x32. A candidate is confirmed on the *detail* of the 64x64
   thumbnails (what is left after taking away the mean of each 8x8 cell), whose correlation must exceed `DETAIL`.

Measured on 11,000 METU tiles: the 1,255 pairs above 0.98 all lie above 0.988 and have a detail correlation above
0.95; the 50 between 0.90 and 0.98 all lie below 0.962, with a detail correlation below 0.88. Neither threshold is
delicate there. Looked at side by side, the 20 weakest pairs and 20 random ones all show one picture; the strongest of
those refused are the same crack cut out some pixels further on, which are overlapping tiles and not copies. A tile
whose thumbnail is almost constant (standard deviation below `FLAT`) has no correlation worth the name: it is compared
by its bytes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tflite.errors import CrackError

THUMBNAIL = 64  # side in pixels of the thumbnails the audit keeps; 40,000 of them are 164 MB
CORRELATION = 0.98  # of the 32x32 thumbnails: above it a pair is a candidate
DETAIL = 0.9  # of the 64x64 thumbnails without their 8x8-cell means: above it a candidate is confirmed
FLAT = 0.5  # grey levels; thumbnails that vary less are compared by bytes only
_BLOCK = 2048  # rows and columns per matrix product: 16 MB of correlations at a time
_CONFIRM = 2048  # candidates confirmed at a time: two float32 arrays of 32 MB

# The eight symmetries of the square, in the order ties are broken. Each maps (..., height, width) to the same shape.
TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "mirrored": lambda image: image[..., :, ::-1],
    "flipped": lambda image: image[..., ::-1, :],
    "turned-180": lambda image: image[..., ::-1, ::-1],
    "turned-90": lambda image: np.swapaxes(image, -1, -2)[..., :, ::-1],  # clockwise
    "turned-270": lambda image: np.swapaxes(image, -1, -2)[..., ::-1, :],
    "transposed": lambda image: np.swapaxes(image, -1, -2),
    "transversed": lambda image: np.swapaxes(image[..., ::-1, ::-1], -1, -2),
}
KINDS = ("identical", "re-encoded", "transformed")


@dataclass(frozen=True, order=True)
class Copy:
    """Two files that show the same picture.

    Attributes:
        first, second: positions in the list that was searched, first < second.
        kind: "identical" (same bytes), "re-encoded" (other bytes, same orientation) or "transformed".
        transform: what turns the first picture into the second; a key of `TRANSFORMS`.
        correlation: of the 32x32 grey thumbnails; 1.0 for identical bytes.
        detail: correlation of the 64x64 detail; 1.0 for identical bytes.
    """

    first: int
    second: int
    kind: str
    transform: str
    correlation: float
    detail: float


def find_copies(
    thumbnails: np.ndarray,
    hashes: Sequence[str],
    threshold: float = CORRELATION,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    owners: Sequence[int] | None = None,
) -> list[Copy]:
    """Every pair of copies, sorted; byte-identical files appear once each, paired with the first of their kind.

    Args:
        thumbnails: uint8, shape (n, 64, 64), grey.
        hashes: n hashes of the files' bytes.
        threshold: 32x32 correlation above which a pair is looked at, in (0, 1).
        progress: wraps the iterable of blocks, such as `tqdm`.
        owners: the data set of each, as a number: near copies are then looked for between sets only. Identical files are told anyway.

    Raises:
        CrackError: if the shapes disagree or the threshold lies outside (0, 1).
    """
    if thumbnails.shape != (len(hashes), THUMBNAIL, THUMBNAIL):
        raise CrackError(
            f"thumbnails have shape {thumbnails.shape}, expected ({len(hashes)}, {THUMBNAIL}, {THUMBNAIL}): one for each hash."
        )
    if not 0 < threshold < 1:
        raise CrackError(f"threshold {threshold}: a correlation between 0 and 1 is needed, such as {CORRELATION}.")
    first_of: dict[str, int] = {}
    copies = []
    for position, digest in enumerate(hashes):
        first = first_of.setdefault(digest, position)
        if first != position:
            copies.append(Copy(first, position, "identical", "none", 1.0, 1.0))
    distinct = np.fromiter(first_of.values(), dtype=np.int64)
    flat = thumbnails[distinct].reshape(len(distinct), -1).std(axis=1) < FLAT
    of = np.arange(len(hashes)) if owners is None else np.asarray(owners)
    copies += _near_copies(thumbnails, distinct[~flat], of, threshold, progress)
    return sorted(copies)


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Union-find: for each of `count` elements, the smallest element it is connected with through the pairs."""
    parent = list(range(count))

    def root(element: int) -> int:
        while parent[element] != element:
            parent[element] = parent[parent[element]]
            element = parent[element]
        return element

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(element) for element in range(count)]


def _near_copies(
    thumbnails: np.ndarray,
    members: np.ndarray,
    owners: np.ndarray,
    threshold: float,
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> list[Copy]:
    """Confirmed near copies among `members`, one per pair: the orientation whose detail agrees best."""
    half = THUMBNAIL // 2
    small = np.empty((len(members), half * half), np.float32)
    for start in range(0, len(members), _BLOCK):
        chosen = thumbnails[members[start : start + _BLOCK]]
        small[start : start + _BLOCK] = _unit(chosen.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32))
    best: dict[tuple[int, int], Copy] = {}
    for start in progress(range(0, len(members), _BLOCK)):
        rows = small[start : start + _BLOCK].reshape(-1, half, half)
        for name, transform in TRANSFORMS.items():
            turned = np.ascontiguousarray(transform(rows)).reshape(len(rows), -1)
            for low, high, correlation in _candidates(turned, small, owners[members], start, threshold):
                detail = np.einsum(
                    "ij,ij->i", _detail(transform(thumbnails[members[low]])), _detail(thumbnails[members[high]])
                )
                for k in np.flatnonzero(detail > DETAIL):
                    pair = (int(members[low[k]]), int(members[high[k]]))
                    kind = "re-encoded" if name == "none" else "transformed"
                    found = Copy(*pair, kind, name, min(1.0, float(correlation[k])), min(1.0, float(detail[k])))
                    if pair not in best or found.detail > best[pair].detail:
                        best[pair] = found
    return list(best.values())


def _candidates(
    turned: np.ndarray, small: np.ndarray, owners: np.ndarray, start: int, threshold: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs (row, later row, correlation) of different owners above the threshold, a bounded number at a time."""
    for column in range(start, len(small), _BLOCK):
        correlation = turned @ small[column : column + _BLOCK].T
        low, high = np.nonzero(correlation > threshold)
        later = (low + start < high + column) & (owners[low + start] != owners[high + column])
        low, high = low[later], high[later]
        for part in range(0, len(low), _CONFIRM):
            x, y = low[part : part + _CONFIRM], high[part : part + _CONFIRM]
            yield x + start, y + column, correlation[x, y]


def _unit(images: np.ndarray) -> np.ndarray:
    """Flatten (n, h, w) to (n, h*w), zero mean and unit length. A constant image becomes the zero vector."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", flat, flat))[:, None]
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)


def _detail(images: np.ndarray) -> np.ndarray:
    """What is finer than an eighth of the picture, as unit vectors (n, 4096)."""
    cells = images.reshape(-1, 8, THUMBNAIL // 8, 8, THUMBNAIL // 8).astype(np.float32)
    return _unit((cells - cells.mean(axis=(2, 4), keepdims=True)).reshape(len(images), THUMBNAIL, THUMBNAIL))
