"""A structure's tiles and those of other structures as files with a manifest, for the ordinary training and export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.adaptation.bench import Bench
from crack_tf.adaptation.folds import fold_numbers
from crack_tf.data.folders import portable_root
from tflite.files import atomic_path, sha256_file
from tflite.manifest import Item, Manifest, write_manifest

MANIFEST = "tiles.csv"
SITE = "site"  # the structure's name among the data sets of a model's sidecar
_VALIDATION_FOLDS = 4


def write_training_tiles(folder: Path, bench: Bench, used: np.ndarray, whole: bool = False) -> Manifest:
    """Write `folder`/train, val and test, and a manifest beside them; what is there from before stays.

    Args:
        folder: for the tiles, at the model's input size.
        bench: where they are from.
        used: bool (n,): the structure's tiles that may be learned from.
        whole: whether all of them train, and other structures alone validate and test; else a quarter of the photographs validate.

    Returns:
        The manifest, which names its file.
    """
    items = []
    own = np.flatnonzero(used & bench.fitted)
    photos = [bench.tiles.photos[place] for place in own]
    folds = fold_numbers(bench.truth[own], photos, _VALIDATION_FOLDS) if not whole else np.full(len(own), -1)
    for place, photo, fold in zip(own, photos, folds, strict=True):
        split = "val" if fold == 0 else "train"
        label = int(bench.truth[place])
        items.append(_write(folder, f"{split}/{SITE}-{place:05d}.png", bench.tiles.images[place], label, photo, split))
    for one in bench.others:
        name = one.name.replace(" ", "-")
        seen = {0: 0, 1: 0}
        for number, (image, label, test) in enumerate(zip(one.images, one.labels.tolist(), one.test, strict=True)):
            if test and not whole:
                continue
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
