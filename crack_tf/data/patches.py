"""Patches of photographs and masks, decoded once into arrays on disk, and whole photographs one at a time."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.cache import cache_folder, file_name, new_array, subset
from tflite.device.tiles import Box, tile_boxes
from tflite.errors import CrackError
from tflite.files import atomic_path, sha256_bytes
from tflite.images import decode_rgb
from tflite.manifest import Item, Manifest
from tflite.masks import load_mask

_VERSION = 2  # raise when decoding, padding or cutting changes


@dataclass(frozen=True)
class Patches:
    """Patches of a split, in the order of the manifest and of reading.

    Attributes:
        images: uint8 (n, size, size, 3), memory-mapped.
        masks: uint8 (n, size, size) of 0 and 1, 1 is crack.
        items: the photograph of each patch.
        boxes: where each patch lies in its photograph; one smaller than a patch is continued to the right and below.
    """

    images: np.ndarray
    masks: np.ndarray
    items: list[Item]
    boxes: list[Box]

    @cached_property
    def labels(self) -> np.ndarray:
        """int8 (n,): 1 where the patch holds a crack pixel."""
        return _any_crack(self.masks)

    def __len__(self) -> int:
        return len(self.items)


def load_patches(
    manifest: Manifest,
    split: str,
    size: int,
    *,
    limit: int | None = None,
    seed: int = 0,
    empty_share: float = 1.0,
) -> Patches:
    """Patches that cover every photograph of a split, from the cache or decoded into it.

    Patches are spread evenly and overlap where the photograph's side is no multiple of `size`. A photograph smaller than a patch
    is continued by its mirror image, and so is its mask.

    Args:
        manifest: of photographs with masks, or mixed: crack-free tiles have empty masks, and cracked ones without a mask are left out.
        split: "train", "val", "test" or "all".
        size: side of a patch in pixels.
        limit: at most this many patches, with the share of crack-free ones kept.
        seed: of the draw, where patches are left out.
        empty_share: share of the crack-free patches to keep, 0 to 1.

    Raises:
        CrackError: if the manifest has no masks, the split or what is kept of it is empty, an argument is out of range, or a file
            is missing, changed or unreadable.
    """
    if size < 1 or (limit is not None and limit < 1):
        raise CrackError(f"patches of {size} pixels, at most {limit}: both must be at least 1.")
    if not 0 <= empty_share <= 1:
        raise CrackError(f"empty share {empty_share}: give the share of crack-free patches to keep, from 0 to 1.")
    items = _pairs_of(manifest, split)
    content = "\n".join(f"{item.sha256} {item.mask_sha256} {item.mask_orientation}" for item in items)
    key = f"{_VERSION} {size}\n{content}"

    masks, shapes, boxes = _all_masks(manifest, split, items, size, key)
    owners = [index for index, placed in enumerate(boxes) for _ in placed]
    places = [box for placed in boxes for box in placed]
    chosen = _choose(_any_crack(masks), limit, empty_share, np.random.default_rng(seed))
    if not chosen.size:
        raise CrackError(
            f"split {split!r} of manifest {manifest.name} has no patch with a crack. Keep crack-free ones."
        )
    name = f"{file_name(manifest)}-{split}-{size}-images-{_key(key + chosen.tobytes().hex())}"

    wanted: dict[int, list[Box]] = defaultdict(list)
    for k in chosen:
        wanted[owners[k]].append(places[k])

    def cut(index: int) -> np.ndarray:
        photo = decode_rgb(manifest.read(items[index]), items[index].path)
        if photo.shape[:2] != tuple(shapes[index]):
            raise CrackError(
                f"{items[index].path} and its mask {items[index].mask} differ in size. Mend one, and split again."
            )
        return _cut(photo, wanted[index], size)

    images = _cached(name, (len(chosen), size, size, 3), lambda: _in_threads(cut, wanted, f"decode {manifest.name}"))
    # A selection of the masks is small enough for memory: a byte a pixel.
    kept = masks if len(chosen) == len(masks) else masks[chosen]
    return Patches(images, kept, [items[owners[k]] for k in chosen], [places[k] for k in chosen])


def photographs(
    manifest: Manifest, split: str, limit: int | None = None, seed: int = 0
) -> Iterator[tuple[Item, np.ndarray, np.ndarray]]:
    """The photographs of a split with their masks, one in memory at a time.

    Args:
        manifest: of photographs with masks, or mixed; see `load_patches`.
        split: "train", "val", "test" or "all".
        limit: at most this many photographs, with the share of crack-free ones kept.
        seed: of that draw.

    Yields:
        (item, photograph uint8 (h, w, 3), mask bool (h, w)), in the manifest's order.

    Raises:
        CrackError: if the manifest has no masks, the split is empty, or a file is missing, changed or unreadable.
    """
    for item in subset(_pairs_of(manifest, split), limit, seed):
        photo = decode_rgb(manifest.read(item), item.path)
        yield item, photo, load_mask(manifest, item, photo.shape[:2])


def _pairs_of(manifest: Manifest, split: str) -> list[Item]:
    if manifest.task == "classify":
        raise CrackError(
            f"manifest {manifest.name} has no masks, and a segmentation model learns from masks. Split a data set with images "
            "and masks, such as synthetic_masks: crack-tf data list"
        )
    return [item for item in manifest.split(split) if item.mask or not item.label]


def _all_masks(
    manifest: Manifest, split: str, items: Sequence[Item], size: int, key: str
) -> tuple[np.ndarray, np.ndarray, list[list[Box]]]:
    """The masks of all patches; height and width, and the boxes, of each photograph.

    Kept apart from the images, which may be a selection that depends on the masks.
    """
    stem, hashed = f"{file_name(manifest)}-{split}-{size}", _key(key)
    every = range(len(items))

    def measured(index: int) -> np.ndarray:
        return np.array([load_mask(manifest, items[index]).shape], np.int32)

    shapes = _cached(f"{stem}-sizes-{hashed}", (len(items), 2), lambda: _in_threads(measured, every, "masks"), np.int32)
    boxes = [tile_boxes(max(int(width), size), max(int(height), size), size) for height, width in shapes]

    def cut(index: int) -> np.ndarray:
        height, width = shapes[index].tolist()
        mask = load_mask(manifest, items[index], (height, width))
        return _cut(mask.astype(np.uint8), boxes[index], size)

    shape = (sum(map(len, boxes)), size, size)
    masks = _cached(f"{stem}-masks-{hashed}", shape, lambda: _in_threads(cut, every, "masks"))
    return masks, shapes, boxes


def _choose(labels: np.ndarray, limit: int | None, empty_share: float, rng: np.random.Generator) -> np.ndarray:
    """Positions of the patches to keep, int64, ascending."""
    cracked, empty = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    empty = rng.permutation(empty)[: round(empty_share * len(empty))]
    total = len(cracked) + len(empty)
    if limit is not None and limit < total:
        share = min(round(limit * len(cracked) / total), limit)
        if len(cracked):
            share = max(share, 1)
        cracked, empty = rng.permutation(cracked)[:share], empty[: limit - share]
    return np.sort(np.concatenate([cracked, empty])).astype(np.int64)


def _cut(pixels: np.ndarray, boxes: Sequence[Box], size: int) -> np.ndarray:
    """Patches (n, size, size, ...) of a picture that is continued by its mirror image where it is smaller than a patch."""
    missing = [(0, max(0, size - length)) for length in pixels.shape[:2]]
    if any(end for _, end in missing):
        pixels = np.pad(pixels, missing + [(0, 0)] * (pixels.ndim - 2), mode="reflect")
    return np.stack([pixels[box.y : box.y + size, box.x : box.x + size] for box in boxes])


def _any_crack(masks: np.ndarray) -> np.ndarray:
    return np.fromiter((mask.any() for mask in masks), np.int8, len(masks))


def _key(text: str) -> str:
    return sha256_bytes(text.encode())[:16]


def _in_threads(work: Callable[[int], np.ndarray], indices: Iterable[int], title: str) -> Iterator[np.ndarray]:
    indices = list(indices)
    # Pillow releases the interpreter lock while it decodes, so threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from bar(pool.map(work, indices), title, len(indices), "photo")


def _cached(
    name: str, shape: tuple[int, ...], parts: Callable[[], Iterable[np.ndarray]], dtype: type = np.uint8
) -> np.ndarray:
    """A memory-mapped array from the cache; when it is not there, put together from parts along the first axis."""
    path: Path = cache_folder() / "patches" / f"{name}.npy"
    if not path.exists():
        with atomic_path(path) as temporary:
            array = new_array(temporary, shape, dtype)
            start = 0
            for part in parts():
                array[start : start + len(part)] = part
                start += len(part)
            array.flush()
            del array
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise CrackError(f"cached patches {path} are damaged ({error}). Delete the file; it is made again.") from None
