"""`SiteTiles`: tiles of one structure, with or without labels, and the photograph that each is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite.manifest import LABELS

# Where a label comes from; only what a person said is held against a model.
PERSON, ASSUMED, COMPOSED, UNLABELLED = "person", "assumed clean", "composed", "unlabelled"


@dataclass(frozen=True)
class SiteTiles:
    """Tiles at the model's input size.

    Attributes:
        images: uint8 (n, s, s, 3).
        labels: int8 (n,), 1 is cracked, -1 is not known.
        photos: name of the photograph that each tile is from: no photograph is learned from and tested on.
        names: of the tiles, unique.
        origins: PERSON, ASSUMED (the model sees nothing there) or COMPOSED (a crack laid into a clean tile) or
            UNLABELLED of each.
    """

    images: np.ndarray
    labels: np.ndarray
    photos: tuple[str, ...]
    names: tuple[str, ...]
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen: np.ndarray) -> SiteTiles:
        """Those at the places, or where a mask is true."""
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen

        def pick(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(values[int(place)] for place in places)

        return SiteTiles(
            self.images[places], self.labels[places], pick(self.photos), pick(self.names), pick(self.origins)
        )

    def with_origin(self, *origins: str) -> np.ndarray:
        """bool (n,): which tiles have one of these origins."""
        return np.array([origin in origins for origin in self.origins], bool)

    def counts(self) -> dict[str, int]:
        """Tiles by label, and the photographs that they are from."""
        counts = {name: int((self.labels == label).sum()) for label, name in enumerate(LABELS)}
        return counts | {"photographs": len(set(self.photos))}


def join(parts: Sequence[SiteTiles]) -> SiteTiles:
    """One after the other; all of one size."""
    return SiteTiles(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(name for part in parts for name in part.photos),
        tuple(name for part in parts for name in part.names),
        tuple(name for part in parts for name in part.origins),
    )
