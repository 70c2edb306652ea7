"""The training tiles that a model finds most like a tile: nearest in its own pooled features, by cosine similarity.

Features are taken less their mean over the training tiles: they are outputs of ReLUs, and without that all angles are small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crack_tf.common.arrays import write_npy
from crack_tf.common.progress import bar
from crack_tf.data.cache import cache_folder, load_split
from tflite.errors import CrackError
from tflite.files import sha256_bytes, sha256_file
from tflite.manifest import Item, Manifest

if TYPE_CHECKING:
    from crack_tf.explain.explainer import Explainer

_CHUNK = 256


@dataclass(frozen=True)
class Neighbour:
    """A training tile.

    Attributes:
        item: its manifest row.
        place: in `TrainingTiles.images`.
        similarity: cosine of the angle between the pooled features, at most 1.
    """

    item: Item
    place: int
    similarity: float


class TrainingTiles:
    """The training split of a manifest in a model's feature space. Features are computed once and kept in the cache.

    Args:
        explainer: of the model.
        manifest: that trained it.
        limit: look at no more than this many training tiles, class balance kept.
    """

    def __init__(self, explainer: Explainer, manifest: Manifest, limit: int | None) -> None:
        tiles = load_split(manifest, "train", explainer.image_size, limit)
        self.images, self.items = tiles.images, tiles.items
        self._explainer = explainer
        features = self._load_features().astype(np.float64)
        self._mean = features.mean(axis=0)
        self._features = _unit(features - self._mean)

    def nearest(self, images: np.ndarray, count: int) -> list[list[Neighbour]]:
        """The `count` training tiles nearest to each of uint8 (n, s, s, 3), the nearest first."""
        likeness = _unit(self._explainer.network.pooled(images) - self._mean) @ self._features.T
        found = []
        for row in likeness:
            order = np.argsort(-row, kind="stable")[:count]
            found.append([Neighbour(self.items[place], int(place), float(row[place])) for place in order])
        return found

    def _load_features(self) -> np.ndarray:
        network = self._explainer.network
        read = f"{sha256_file(self._explainer.network_path)}{self._explainer.sidecar.reading}"
        content = "\n".join([read, *(item.sha256 for item in self.items)])
        name = f"{self._explainer.sidecar.model}-{sha256_bytes(content.encode())[:16]}.npy"
        path = cache_folder() / "features" / name
        if not path.exists():
            starts = range(0, len(self.items), _CHUNK)
            shown = bar(starts, "features of training tiles", len(starts), "tile", each=_CHUNK)
            features = np.concatenate([network.pooled(self.images[start : start + _CHUNK]) for start in shown])
            write_npy(path, features)
        try:
            found: np.ndarray = np.load(path)
        except (ValueError, OSError, EOFError) as error:
            raise CrackError(
                f"cached features {path} are damaged ({error}). Delete the file; it is made again."
            ) from None
        return found


def _unit(features: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
