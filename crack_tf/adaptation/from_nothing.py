"""Labels that nobody gave: what the model is sure is clean here, and real and drawn cracks laid into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crack_tf.adaptation.tiles import ASSUMED, COMPOSED, SiteTiles, join
from crack_tf.data.registry import DATASETS, prepare
from crack_tf.data.transplants import lift_shapes
from crack_tf.synthetic.tiles import render_tile
from crack_tf.synthetic.transplant import Shape, lay_somewhere, lift
from tflite.errors import CrackError

PERMISSIVE = "uav_concrete"  # CC0: its cracks may go into a model that is passed on
SHAPES = 60  # of each source: more teach little
SURE_BELOW = 1.0  # logits below the threshold from which a tile counts as clean
_SIDE = 256  # of the drawn tiles whose cracks are lifted
_SEED = 20_260_302


def crack_shapes(manifests: Sequence[str] = ()) -> tuple[list[Shape], list[str]]:
    """Cracks without their photographs, and what they are from with its licence.

    Args:
        manifests: of photographs with masks; none for drawn cracks, and `PERMISSIVE` ones where they are on this machine.

    Raises:
        CrackError: if a manifest cannot be read, or holds no crack with a mask.
    """
    shapes, sources = [], []
    named = list(manifests)
    if not named and DATASETS[PERMISSIVE].local_copy() is not None:
        named = [PERMISSIVE]
    for name in named:
        manifest = prepare(name)
        found = lift_shapes(manifest, "train", SHAPES)
        if not found:
            raise CrackError(f"--shapes {name} holds no crack with a mask in split 'train': name another manifest.")
        shapes += found
        sources.append(f"{manifest.dataset} ({manifest.licence})")
    if not manifests:
        drawn = (render_tile(_SEED, index, True, _SIDE) for index in range(SHAPES))
        shapes += [lift(tile.image, tile.mask) for tile in drawn if tile.mask.any()]
        sources.append("drawn (CC0-1.0)")
    return shapes, sources


def sure_to_be_clean(tiles: SiteTiles, logits: np.ndarray, threshold: float, most: int, seed: int = 0) -> SiteTiles:
    """Tiles that the model takes for clean by a margin, a random choice over photographs.

    Args:
        tiles: of the structure; labels are not looked at.
        logits: (n,), of the shipped model.
        threshold: its own.
        most: of them.
        seed: of the choice.
    """
    sure = np.flatnonzero(logits < threshold - SURE_BELOW)
    chosen = tiles.take(np.sort(np.random.default_rng(seed).permutation(sure)[:most]))
    count = len(chosen)
    return replace(chosen, labels=np.zeros(count, np.int8), origins=(ASSUMED,) * count)


def with_cracks(clean: SiteTiles, shapes: Sequence[Shape], seed: int = 0) -> SiteTiles:
    """Clean tiles and, of each, a twin with a crack laid into it: the same photograph with and without.

    Where no crack can be seen, a tile has no twin.
    """
    rng = np.random.default_rng(seed)
    images, owners = [], []
    for place in range(len(clean)):
        laid = lay_somewhere(np.asarray(clean.images[place]), shapes, rng)
        if laid is not None:
            images.append(laid[0])
            owners.append(place)
    if not images:
        return clean
    places = np.array(owners)
    twins = clean.take(places)
    twins = replace(
        twins,
        images=np.stack(images),
        labels=np.ones(len(places), np.int8),
        names=tuple(f"{name}+crack" for name in twins.names),
        origins=(COMPOSED,) * len(places),
    )
    return join([clean, twins])
