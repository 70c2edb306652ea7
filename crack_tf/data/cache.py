"""Decode once: a split's tiles as one uint8 array on disk, memory-mapped by everything that trains or evaluates."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.views import View, views_of
from tflite.errors import CrackError
from tflite.files import atomic_path, remove_stale, sha256_bytes
from tflite.images import decode_rgb, resize_rgb
from tflite.manifest import Item, Manifest
from tflite.masks import load_mask

_VERSION = 1  # raise when decoding or resizing changes
UNKNOWN = 255  # in the mask of a cracked tile that has none
_LONGEST = 160  # bytes of a file's name; 255 are allowed, and what follows takes its share

Labelled = TypeVar("Labelled", Item, View)


@dataclass(frozen=True)
class Tiles:
    """A split in memory.

    Attributes:
        images: uint8 (n, size, size, 3), memory-mapped.
        labels: int8 (n,), 1 is cracked.
        items: the manifest rows, in the same order.
        masks: uint8 (n, size, size), memory-mapped: 1 where a crack is, all `UNKNOWN` where a cracked tile has no mask; None where they
            were not asked for.
    """

    images: np.ndarray
    labels: np.ndarray
    items: list[Item]
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.items)


def cache_folder() -> Path:
    """Where decoded tiles and built-in data sets are kept: $CRACK_TF_CACHE, or ~/.cache/crack_tf."""
    folder = Path(os.environ.get("CRACK_TF_CACHE") or Path.home() / ".cache" / "crack_tf")
    _remove_stale_once(folder)
    return folder


@functools.cache
def _remove_stale_once(folder: Path) -> None:
    """What killed processes left half-written has names of its own, so that nothing else would ever replace it."""
    remove_stale(folder.glob("*/.*.partial*"))


def load_split(
    manifest: Manifest, split: str, image_size: int, limit: int | None = None, seed: int = 0, masks: bool = False
) -> Tiles:
    """Tiles of one split at the model's size, from the cache or decoded into it.

    The pictures of a mix with masks give several tiles each, see `crack_tf.data.views`: `items` then repeats them, and labels are
    those of the views.

    Args:
        manifest: names the files.
        split: "train", "val", "test" or "all".
        image_size: side in pixels; the whole tile is resized.
        limit: at most this many tiles, with the split's own class balance, drawn by `seed`.
        seed: of that draw.
        masks: whether they come along.

    Raises:
        CrackError: if the split is empty, or a file is missing, changed or unreadable.
    """
    items = subset(manifest.split(split), limit, seed)
    views = [View(item, item.label) for item in items]
    if manifest.task == "mixed":
        views = subset(views_of(manifest, items), limit, seed)
    labels = np.array([view.label for view in views], dtype=np.int8)
    content = "\n".join(view.item.sha256 + (f" {view.box}" if view.box else "") for view in views)
    key = sha256_bytes(f"{_VERSION} {image_size}\n{content}".encode())[:16]
    name = f"{file_name(manifest)}-{split}-{image_size}-{key}"
    images = _kept(f"{name}.npy", lambda path: _decode(manifest, views, image_size, path))
    kept = _kept(f"{name}-masks.npy", lambda path: _decode_masks(manifest, views, image_size, path)) if masks else None
    return Tiles(images, labels, [view.item for view in views], kept)


def _kept(name: str, make: Callable[[Path], None]) -> np.ndarray:
    """An array of the cache, made where it is not there."""
    path = cache_folder() / "tiles" / name
    if not path.exists():
        make(path)
    try:
        array: np.ndarray = np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise CrackError(f"cached tiles {path} are damaged ({error}). Delete the file; it is made again.") from None
    return array


def new_array(path: Path, shape: tuple[int, ...], dtype: type = np.uint8) -> np.memmap:
    """A writable array in a file of the cache. Its room is taken at once: under a memory map, a full disk ends the process by a signal.

    Raises:
        CrackError: if the disk has no room for it.
    """
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # others: a file system that takes none in advance
            raise CrackError(
                f"{path.parent} has no room for {array.nbytes / 1e6:,.1f} MB of decoded pictures ({error.strerror}). Make room there, or "
                "name a folder on another disk with CRACK_TF_CACHE."
            ) from None
    return array


def file_name(manifest: Manifest) -> str:
    """A manifest's name as the beginning of a cached file's; cut, since mixes of many sets have names longer than a file may have."""
    return manifest.name.encode()[:_LONGEST].decode(errors="ignore")


def subset(items: Sequence[Labelled], limit: int | None, seed: int) -> list[Labelled]:
    """At most `limit` items with the classes' shares kept, in their own order; the same seed draws the same ones."""
    if limit is None or limit >= len(items):
        return list(items)
    rng = np.random.default_rng(seed)
    positives = [i for i, item in enumerate(items) if item.label]
    negatives = [i for i, item in enumerate(items) if not item.label]
    share = round(limit * len(positives) / len(items))
    # A class that is there stays there, however small the sample.
    share = min(max(share, min(1, len(positives))), limit - min(1, len(negatives))) if limit > 1 else share
    chosen: list[int] = rng.permutation(positives)[:share].tolist()
    chosen += rng.permutation(negatives)[: limit - share].tolist()
    return [items[int(position)] for position in sorted(chosen)]


def _decode(manifest: Manifest, views: Sequence[View], image_size: int, path: Path) -> None:
    def tile(view: View) -> np.ndarray:
        pixels = decode_rgb(manifest.read(view.item), view.item.path)
        return resize_rgb(np.ascontiguousarray(_in_view(pixels, view)), image_size)

    _fill(path, f"decode {manifest.name}", tile, views, (image_size, image_size, 3))


def _decode_masks(manifest: Manifest, views: Sequence[View], image_size: int, path: Path) -> None:
    def mask(view: View) -> np.ndarray:
        if not view.label or not view.item.mask:
            return np.full((image_size, image_size), UNKNOWN if view.label else 0, np.uint8)
        return mask_at(_in_view(load_mask(manifest, view.item), view), image_size)

    _fill(path, f"masks of {manifest.name}", mask, views, (image_size, image_size))


def _in_view(picture: np.ndarray, view: View) -> np.ndarray:
    if view.box is None:
        return picture
    x, y, side = view.box
    return picture[y : y + side, x : x + side]


def mask_at(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask at another size, bool (h, w) to uint8 (size, size): 1 where any of a place's pixels is, so that no hairline is lost."""
    rows, columns = (np.arange(size) * side // size for side in mask.shape)
    return np.maximum.reduceat(np.maximum.reduceat(mask.astype(np.uint8), rows, axis=0), columns, axis=1)


def _fill(
    path: Path, title: str, make: Callable[[View], np.ndarray], views: Sequence[View], shape: tuple[int, ...]
) -> None:
    """Write a uint8 array of every view; Pillow releases the interpreter lock while it decodes, so threads use every core."""
    with atomic_path(path) as temporary:
        array = new_array(temporary, (len(views), *shape))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for index, one in enumerate(bar(pool.map(make, views), title, len(views), "tile")):
                array[index] = one
        array.flush()
        del array
