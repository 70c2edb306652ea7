"""A small set of photographs with masks on disk, and its manifest: dark lines on light noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.dark_map_model import dark_photo
from tflite.files import sha256_file
from tflite.manifest import Item, Manifest, read_manifest, write_manifest

SIZES = ((60, 80), (40, 100), (50, 50), (20, 90))


def write_left_out(folder: Path) -> Path:
    """The pairs and another one without a crack in validation, so that its tiles are of both classes; returns the manifest's path."""
    manifest = write_pairs(folder)
    (clean,) = (item for item in manifest.items if not item.label)
    paths = "images/clean.png", "masks/clean.png"
    for path, grey in zip(paths, (170, 0), strict=True):
        Image.fromarray(np.full((50, 60, 3)[: 3 if grey else 2], grey, np.uint8)).save(folder / path)
    hashes = [sha256_file(folder / path) for path in paths]
    more = replace(
        clean, path=paths[0], sha256=hashes[0], mask=paths[1], mask_sha256=hashes[1], group="clean", split="val"
    )
    write_manifest(folder / "left-out.csv", replace(manifest, items=tuple(sorted((*manifest.items, more)))))
    return folder / "left-out.csv"


def write_pairs(folder: Path, train: int = 4, val: int = 2, test: int = 4, moved: int = 0) -> Manifest:
    """Write photographs of several sizes, the last of the test split without a crack, and read their manifest back.

    The masks of the first `moved` of the test split lie eight pixels below and beside their crack.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    items = []
    for number, split in enumerate(["train"] * train + ["val"] * val + ["test"] * test):
        height, width = SIZES[number % len(SIZES)]
        photo = dark_photo(height, width, seed=number)
        mask = photo[..., 0] < 100
        if number == train + val + test - 1:
            photo, mask = np.maximum(photo, 150), np.zeros((height, width), bool)
        if train + val <= number < train + val + moved:
            mask = np.roll(mask, (8, 8), axis=(0, 1))
        image_path, mask_path = folder / "images" / f"{number}.png", folder / "masks" / f"{number}.png"
        Image.fromarray(photo).save(image_path)
        Image.fromarray(mask.astype(np.uint8) * 255).save(mask_path)
        items.append(
            Item(
                f"images/{number}.png",
                sha256_file(image_path),
                int(mask.any()),
                f"p{number}",
                split,
                f"masks/{number}.png",
                sha256_file(mask_path),
            )
        )
    path = folder / "pairs.csv"
    write_manifest(path, Manifest("pairs", "plain", 0, ".", "CC0-1.0", tuple(sorted(items))))
    return read_manifest(path)
