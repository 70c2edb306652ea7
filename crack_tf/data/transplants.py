"""A data set of real cracks on other backgrounds: `crack-tf data transplant`. What a picture shows is `crack_tf.synthetic.transplant`'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.folders import portable_root
from crack_tf.data.split import SHARES
from crack_tf.synthetic.grounds import GROUNDS
from crack_tf.synthetic.transplant import ANYWHERE, SMALLEST, Shape, lift, picture
from tflite.errors import CrackError
from tflite.files import refuse_existing, sha256_bytes, write_bytes
from tflite.images import decode_rgb
from tflite.locks import partial_folder
from tflite.manifest import SPLITS, Item, Manifest, write_manifest
from tflite.masks import load_mask


def write_transplants(
    shapes: Manifest,
    onto: Sequence[Manifest],
    out: Path,
    count: int,
    size: int = 256,
    seed: int = 0,
    ground: str | None = None,
) -> Manifest:
    """Draw pictures into `out`/images and `out`/masks, every second one cracked, and write `out`/manifest.csv.

    A split's pictures are made from that split's cracks and clean pictures alone, so no model is tested on what it learned from;
    groups are those of the clean pictures. Where no crack can be seen, whichever is tried, a picture stays clean.

    Args:
        shapes: of photographs with masks.
        onto: manifests with crack-free pictures; each gives equally many.
        out: folder, new or empty; the data set is called after it. It appears when it is whole.
        count: of pictures in all splits together, shared as 70/15/15.
        size: side in pixels.
        seed: of everything drawn.
        ground: one of `GROUNDS` for all pictures, in masonry with cracks up to the width of gaps; None for masonry, shuttering and
            spalling on a part of them.

    Returns:
        The manifest: cracked rows have masks, clean ones have none.

    Raises:
        CrackError: if the folder exists, the numbers are too small, a split has no crack with a mask or no clean picture, or a file
            cannot be read.
    """
    refuse_existing(out, False, "Choose another name.")
    if size < SMALLEST:
        raise CrackError(f"--size {size}: give {SMALLEST} pixels or more.")
    if ground is not None and ground not in GROUNDS:
        raise CrackError(
            f"--ground {ground}: choose one of {', '.join(GROUNDS)}, or leave it out for some of {', '.join(ANYWHERE)}."
        )
    numbers = shares(count)
    if min(numbers) < 2:
        raise CrackError(f"--count {count}: too few for three splits with and without a crack. Give 12 or more.")
    for split in SPLITS:
        _require(shapes, split, bool(_cracked_pairs(shapes, split)), "photograph with a crack and its mask")
        for manifest in onto:
            _require(manifest, split, bool(_clean(manifest, split)), "crack-free picture")
    with partial_folder(out) as partial:
        manifest = _draw(shapes, onto, out, partial, numbers, size, seed, ground)
        partial.replace(out)
    return manifest


def _draw(
    shapes: Manifest,
    onto: Sequence[Manifest],
    out: Path,
    partial: Path,
    numbers: Sequence[int],
    size: int,
    seed: int,
    ground: str | None,
) -> Manifest:
    """Write pictures, masks and the manifest, which names `out`, into `partial`."""
    items = []
    for split, number in zip(SPLITS, numbers, strict=True):
        rng = np.random.default_rng([seed, SPLITS.index(split)])
        lifted = lift_shapes(shapes, split)
        clean = [_clean(manifest, split) for manifest in onto]
        for k in bar(range(number), f"transplants, {split}", number, "picture"):
            source = int(rng.integers(len(onto)))
            item = clean[source][int(rng.integers(len(clean[source])))]
            # Where it stays clean, no crack that was tried can be seen.
            pixels, mask = picture(
                decode_rgb(onto[source].read(item), item.path), lifted, k % 2 == 0, size, rng, ground
            )
            group = f"{onto[source].dataset}/{item.group}"
            items.append(_write(partial, f"{split}-{k:05d}", pixels, mask, group, split, rng))
    licences = {manifest.dataset: manifest.licence for manifest in (shapes, *onto)}
    manifest = Manifest(
        dataset=out.resolve().name,
        policy="grouped",
        seed=seed,
        root=portable_root(out.resolve()),
        licence="; ".join(f"{name}: {licence}" for name, licence in licences.items()),
        items=tuple(sorted(items)),
    )
    write_manifest(partial / "manifest.csv", manifest)
    return manifest


def shares(count: int) -> list[int]:
    """How many of `count` pictures go to each split: 70/15/15."""
    return np.diff(np.rint(np.cumsum((0, *SHARES.values())) * count).astype(int)).tolist()


def _cracked_pairs(manifest: Manifest, split: str) -> list[Item]:
    return [item for item in manifest.items if item.split == split and item.label and item.mask]


def _clean(manifest: Manifest, split: str) -> list[Item]:
    return [item for item in manifest.items if item.split == split and not item.label]


def _require(manifest: Manifest, split: str, there: bool, what: str) -> None:
    if not there:
        raise CrackError(
            f"split {split!r} of manifest {manifest.source or manifest.name} has no {what}: name another manifest."
        )


def lift_shapes(manifest: Manifest, split: str, limit: int | None = None) -> list[Shape]:
    """Take the cracks off the photographs of a split.

    Args:
        manifest: of photographs with masks.
        split: "train", "val" or "test".
        limit: of the first so many photographs with a crack; None for all.

    Raises:
        CrackError: if a file is missing, changed or unreadable.
    """
    shapes = []
    for item in _cracked_pairs(manifest, split)[:limit]:
        photo = decode_rgb(manifest.read(item), item.path)
        shapes.append(lift(photo, load_mask(manifest, item, photo.shape[:2])))
    return shapes


def _write(
    out: Path, name: str, pixels: np.ndarray, mask: np.ndarray | None, group: str, split: str, rng: np.random.Generator
) -> Item:
    # As cameras and messengers write them: compressed little or much.
    quality = int(rng.integers(60, 97))
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    write_bytes(out / "images" / f"{name}.jpg", data)
    item = Item(f"images/{name}.jpg", sha256_bytes(data), int(mask is not None), group, split)
    if mask is None:
        return item
    drawn = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
    write_bytes(out / "masks" / f"{name}.png", drawn)
    return Item(item.path, item.sha256, 1, group, split, f"masks/{name}.png", sha256_bytes(drawn))
