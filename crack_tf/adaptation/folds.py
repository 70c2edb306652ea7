"""Cross-validation by photograph: tiles of one photograph are alike, and never on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_FOLDS = 5


def fold_numbers(labels: np.ndarray, photos: Sequence[str], most: int = MOST_FOLDS, seed: int = 0) -> np.ndarray:
    """The fold in which each tile is held out.

    Photographs are dealt out, those with most cracks first, each to the fold that has the fewest cracks, of those the fewest tiles.

    Args:
        labels: (n,), 1 is cracked.
        photos: (n,) names.
        most: folds at most; fewer where fewer photographs have a crack, or fewer are without labels of one kind.
        seed: of the order of photographs that are alike.

    Returns:
        int (n,), 0 to k - 1 with k from 2. Each fold holds cracks, and so does what is left without it; none where there are fewer than
        two photographs with cracks or with clean tiles: then all are -1.
    """
    names = sorted(set(photos))
    number = {name: place for place, name in enumerate(names)}
    owners = np.array([number[name] for name in photos])
    cracks = np.bincount(owners, labels == 1, len(names)).astype(int)
    clean = np.bincount(owners, labels == 0, len(names)).astype(int)
    count = min(most, int((cracks > 0).sum()), int((clean > 0).sum()))
    if count < 2:
        return np.full(len(labels), -1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.lexsort((-clean[order], -cracks[order]))]
    held = np.zeros((count, 2), int)
    fold = np.zeros(len(names), int)
    for place in order:
        # Photographs without a crack go where the clean tiles are fewest.
        fold[place] = min(range(count), key=lambda k: tuple(held[k]) if cracks[place] else (held[k][1], held[k][0], k))
        held[fold[place]] += cracks[place], clean[place]
    return fold[owners]
