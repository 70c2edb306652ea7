"""A structure's tiles and those of other structures as files with a manifest, for the ordinary training and export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.adaptation.bench import Bench
from crack_tf.data.folders import portable_root
from tflite.files import atomic_path, sha256_file
from tflite.manifest import Item, Manifest, write_manifest

MANIFEST = "tiles.csv"
SITE = "site"  # the structure's name among the data sets of a model's sidecar


def write_training_tiles(folder: Path, bench: Bench) -> Manifest:
    """Write `folder`/train, val and test, and a manifest beside them; what is there from before stays.

    All of the structure's tiles train; other structures alone validate and test.

    Args:
        folder: for the tiles, at the model's input size.
        bench: where they are from.

    Returns:
        The manifest, which names its file.
    """
    items = []
    for place in np.flatnonzero(bench.fitted):
        photo, label = bench.tiles.photos[place], int(bench.truth[place])
        items.append(_write(folder, f"train/{SITE}-{place:05d}.png", bench.tiles.images[place], label, photo, "train"))
    for one in bench.others:
        name = one.name.replace(" ", "-")
        seen = {0: 0, 1: 0}
        for number, (image, label, test) in enumerate(zip(one.images, one.labels.tolist(), one.test, strict=True)):
            split = "test" if test else ("train", "val")[seen[label] % 2]
            seen[label] += not test
            group = f"{name}-{number}"
            items.append(_write(folder, f"{split}/{name}-{number:05d}.png", image, label, group, split))
    others = "+".join(one.name.split()[0] for one in bench.others)
    manifest = Manifest(
        dataset=f"{SITE}+{others}",
        policy="adapted",
        seed=bench.config.seed,
        root=portable_root(folder.resolve()),
        licence="; ".join(f"{one.name}: {one.licence}" for one in bench.others),
        items=tuple(sorted(items)),
        source=folder / MANIFEST,
    )
    write_manifest(folder / MANIFEST, manifest, overwrite=True)
    return manifest


def _write(folder: Path, name: str, image: np.ndarray, label: int, group: str, split: str) -> Item:
    path = folder / name
    if not path.is_file():
        with atomic_path(path) as temporary:
            Image.fromarray(np.asarray(image)).save(temporary, format="PNG")
    return Item(name, sha256_file(path), label, group, split)
