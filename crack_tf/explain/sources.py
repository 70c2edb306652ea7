"""Tiles to explain, from wherever the user points to, at any model's size, with labels and masks where they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.data.cache import load_split, subset
from crack_tf.data.patches import load_patches
from crack_tf.inference.tiles import photo_boxes
from crack_tf.synthetic.tiles import render_tile
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.images import decode_rgb, resize_rgb
from tflite.manifest import Manifest
from tflite.photographs import list_photographs

SIDE = 224  # pixels at which tiles with masks are cut or drawn, about METU's 227, before they are resized for a model
LEAST_CRACK = 0.002  # of a tile's pixels: with less, whether a map lies on the crack is a matter of a pixel or two
_SYNTHETIC_SEED = 8_000_000  # plus the user's: no data set of the project is drawn from these


@dataclass(frozen=True)
class Tiles:
    """Tiles in a fixed order.

    Attributes:
        source: what they are, for captions and settings.
        names: of each tile, unique.
        labels: 1 cracked, 0 clean, None unknown; one per tile.
        images: side in pixels to uint8 (n, side, side, 3).
        masks: side in pixels to bool (n, side, side), True on the crack; None where no masks are known.
        identity: hash of what decides the tiles.
    """

    source: str
    names: tuple[str, ...]
    labels: tuple[int | None, ...]
    images: Callable[[int], np.ndarray]
    masks: Callable[[int], np.ndarray] | None
    identity: str

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: Sequence[int]) -> Tiles:
        """The tiles at these places, in this order."""
        chosen, everything, masks = [int(place) for place in places], self.images, self.masks
        return replace(
            self,
            names=tuple(self.names[place] for place in chosen),
            labels=tuple(self.labels[place] for place in chosen),
            images=lambda side: everything(side)[chosen],
            masks=None if masks is None else lambda side: masks(side)[chosen],
            identity=sha256_bytes(f"{self.identity} {chosen}".encode()),
        )


def from_files(paths: Sequence[str]) -> Tiles:
    """Tiles from image files, and from folders of them; each image is one tile, resized whole.

    Raises:
        CrackError: if a path does not exist, a folder holds no image, or one is given twice.
        ImageError: if an image cannot be read.
    """
    files = _files(paths)
    names = tuple(path.as_posix() for path in files)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CrackError(f"--tiles {twice} is given twice. Name each tile once.")
    data = [path.read_bytes() for path in files]
    pictures = [decode_rgb(content, name) for content, name in zip(data, names, strict=True)]

    def images(side: int) -> np.ndarray:
        return np.stack([resize_rgb(picture, side) for picture in pictures])

    identity = sha256_bytes("\n".join(sha256_bytes(content) for content in data).encode())
    return Tiles("files", names, (None,) * len(names), images, None, identity)


def much_larger(paths: Sequence[str], side: int) -> list[str]:
    """Which images `predict` would cut into tiles instead of taking them whole; `side` is that of a training tile in pixels."""
    found = []
    for path in _files(paths):
        with Image.open(path) as image:
            if len(photo_boxes(*image.size, side, 0.0)) > 1:
                found.append(path.as_posix())
    return found


def from_split(manifest: Manifest, split: str, limit: int | None, seed: int = 0) -> Tiles:
    """Tiles of a split, at most `limit` with its own class balance.

    Raises:
        CrackError: see `crack_tf.data.cache.load_split`.
    """
    items = subset(manifest.split(split), limit, seed)

    def images(side: int) -> np.ndarray:
        return load_split(manifest, split, side, limit, seed).images

    identity = sha256_bytes("\n".join(item.sha256 for item in items).encode())
    names = tuple(item.path for item in items)
    return Tiles(f"{manifest.name} {split}", names, tuple(item.label for item in items), images, None, identity)


def cracked(manifest: Manifest, split: str, limit: int, seed: int = 0) -> Tiles:
    """At most `limit` cracked tiles of a split.

    Raises:
        CrackError: if there is none; also see `from_split`.
    """
    tiles = from_split(manifest, split, None)
    places = [place for place, label in enumerate(tiles.labels) if label == 1]
    if not places:
        raise CrackError(f"split {split!r} of {manifest.name} has no cracked tile.")
    return tiles.take(sorted(np.random.default_rng(seed).permutation(places)[:limit]))


def from_generator(count: int, seed: int = 0) -> Tiles:
    """Made-up cracked tiles with their exact masks; none of them is in the synthetic data set."""
    drawn = [render_tile(_SYNTHETIC_SEED + seed, number, True, SIDE) for number in range(count)]
    images = np.stack([tile.image for tile in drawn])
    masks = np.stack([tile.mask for tile in drawn])
    names = tuple(f"synthetic-{number:05d}" for number in range(count))
    return _masked("synthetic masks", names, images, masks, f"synthetic {seed} {count}")


def from_masks(manifest: Manifest, split: str, limit: int | None, seed: int = 0) -> Tiles:
    """Cracked tiles cut from photographs with masks, at least 0.2 % of each cracked.

    Args:
        manifest: of a segmentation set.
        split: of it.
        limit: at most this many, drawn by `seed`.
        seed: of that draw.

    Raises:
        CrackError: if no tile has that much of a crack; also see `crack_tf.data.patches.load_patches`.
    """
    patches = load_patches(manifest, split, SIDE)
    shares = np.array([mask.mean() for mask in patches.masks])
    places = np.flatnonzero(shares >= LEAST_CRACK)
    if not len(places):
        raise CrackError(
            f"no tile of split {split!r} of {manifest.name} is cracked on {LEAST_CRACK:.1%} of its pixels: nothing to localise."
        )
    if limit is not None and limit < len(places):
        places = np.sort(np.random.default_rng(seed).permutation(places)[:limit])
    boxes = [patches.boxes[place] for place in places]
    names = tuple(f"{patches.items[place].path}@{box.x},{box.y}" for place, box in zip(places, boxes, strict=True))
    identity = f"{manifest.sha256} {split} {places.tolist()}"
    return _masked(
        f"{manifest.name} {split}", names, patches.images[places], patches.masks[places].astype(bool), identity
    )


def _masked(source: str, names: tuple[str, ...], images: np.ndarray, masks: np.ndarray, identity: str) -> Tiles:
    def resized(side: int) -> np.ndarray:
        return np.stack([resize_rgb(image, side) for image in images])

    def resized_masks(side: int) -> np.ndarray:
        return np.stack([_resize_mask(mask, side) for mask in masks])

    return Tiles(source, names, (1,) * len(names), resized, resized_masks, sha256_bytes(identity.encode()))


def _resize_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """A crack mask at a model's size. An eighth of a pixel is enough: at half, hairlines would break up when a tile shrinks."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(grey) >= 32


def _files(paths: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        found = list(list_photographs(path).photographs) if path.is_dir() else [path]
        if not found:
            raise CrackError(f"--tiles {path}: the folder holds no image.")
        if not path.exists():
            raise CrackError(f"--tiles {path} does not exist.")
        files += found
    return files
