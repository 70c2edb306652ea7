"""A small mix on disk: photographs with masks, and tiles with a label alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.data.mix import mix
from tests.pairs_on_disk import write_pairs
from tflite.files import sha256_file
from tflite.manifest import LABELS, SPLITS, Item, Manifest, read_manifest, write_manifest


def write_tiles(root: Path, per_class: int = 2, side: int = 40, seed: int = 0) -> Manifest:
    """Tiles of smooth noise in three splits, the cracked ones crossed by a dark line, as data set `root.name`."""
    rng = np.random.default_rng(seed)
    items = []
    for split in SPLITS:
        for number in range(per_class):
            for label, name in enumerate(LABELS):
                small = Image.fromarray(rng.integers(120, 220, (9, 9, 3), dtype=np.uint8))
                pixels = np.array(small.resize((side, side), Image.Resampling.BICUBIC))
                if label:
                    pixels[:, side // 2 - 2 : side // 2 + 2] = 15
                path = root / name / f"{split}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
                relative = path.relative_to(root).as_posix()
                items.append(Item(relative, sha256_file(path), label, f"{split}{number}{name}", split))
    path = root / "tiles.csv"
    write_manifest(path, Manifest(root.name, "grouped", 0, ".", "CC0-1.0", tuple(sorted(items))))
    return read_manifest(path)


def write_mixed(folder: Path) -> Manifest:
    """The mix of ten photographs (`write_pairs`) and twelve tiles, read back from `folder`/mix.csv."""
    manifests = [write_pairs(folder / "pairs"), write_tiles(folder / "tiles")]
    write_manifest(folder / "mix.csv", mix(manifests, threads=1))
    return read_manifest(folder / "mix.csv")
