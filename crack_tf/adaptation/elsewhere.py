"""Tiles of other structures: what an adapted model may not forget. One half is learned from and sets thresholds, the other is the test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crack_tf.common.progress import say_now
from crack_tf.data.cache import load_split
from crack_tf.data.folders import DATA_VARIABLE
from crack_tf.data.patches import load_patches
from crack_tf.data.registry import DATASETS
from crack_tf.evaluation.suite.sets import DOMAINS, METU, Chosen, manifest_of
from crack_tf.synthetic.tiles import render_tile
from tflite.errors import CrackError
from tflite.images import resize_rgb

# What the shipped models learned, and may not lose.
SETS = (METU, *(chosen for chosen in DOMAINS if chosen.label in ("sdnet2018 reviewed", "drone concrete")))
SYNTHETIC = "synthetic"
_SEED = 20_260_301  # of the drawn tiles; nothing else is drawn with it
_REPLAY_SHARE = 0.5  # tiles to learn from, against those of the test


@dataclass(frozen=True)
class Elsewhere:
    """One set at the model's input size.

    Attributes:
        name: such as "metu grouped".
        images: uint8 (n, s, s, 3).
        labels: int8 (n,), 1 is cracked.
        test: bool (n,): held out for the guard; the others are learned from.
        licence: of the images.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    licence: str


@dataclass(frozen=True)
class Found:
    """The sets that are on this machine, and why others are not."""

    sets: tuple[Elsewhere, ...]
    missing: tuple[str, ...]


def find_elsewhere(size: int, limit: int, source: Path | None = None, say: Callable[[str], None] = say_now) -> Found:
    """Load the sets of `SETS` that are on this machine, and draw the synthetic one.

    Args:
        size: side of the model's input.
        limit: tiles of each set's test; half as many are there to learn from.
        source: what is adapted to: a set that lies there, or around it, is left out.
        say: takes progress lines.
    """
    sets, missing = [], []
    replay = max(1, round(_REPLAY_SHARE * limit))
    for chosen in SETS:
        place = DATASETS[chosen.data].local_copy() if chosen.data in DATASETS else None
        if place is None:
            missing.append(f"{chosen.label}: not on this machine (${DATA_VARIABLE})")
        elif source is not None and _nested(source, place):
            missing.append(f"{chosen.label}: it is what the model is adapted to")
        else:
            say(f"reading tiles of other structures: {chosen.label}")
            try:
                sets.append(_load(chosen, size, limit, replay))
            except CrackError as error:
                missing.append(f"{chosen.label}: {error}")
    sets.append(_drawn(size, limit, replay))
    return Found(tuple(sets), tuple(missing))


def _load(chosen: Chosen, size: int, limit: int, replay: int) -> Elsewhere:
    test, licence = _tiles(chosen, size, limit)
    learned, _ = _tiles(replace(chosen, split="val"), size, replay)
    flags = np.arange(len(test[1]) + len(learned[1])) < len(test[1])
    return Elsewhere(
        chosen.label, np.concatenate([test[0], learned[0]]), np.concatenate([test[1], learned[1]]), flags, licence
    )


def _tiles(chosen: Chosen, size: int, limit: int) -> tuple[tuple[np.ndarray, np.ndarray], str]:
    manifest = manifest_of(chosen)
    if manifest.task == "segment":
        patches = load_patches(manifest, chosen.split, chosen.side, limit=limit)
        images = np.stack([resize_rgb(np.asarray(image), size) for image in patches.images])
        return (images, patches.labels), manifest.licence
    tiles = load_split(manifest, chosen.split, size, limit=limit)
    return (np.asarray(tiles.images), tiles.labels), manifest.licence


def _drawn(size: int, limit: int, replay: int) -> Elsewhere:
    labels = np.arange(limit + replay) % 2
    images = np.stack([render_tile(_SEED, index, bool(label), size).image for index, label in enumerate(labels)])
    return Elsewhere(SYNTHETIC, images, labels.astype(np.int8), np.arange(len(labels)) < limit, "CC0-1.0")


def _nested(one: Path, other: Path) -> bool:
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return first == second or first in second.parents or second in first.parents
