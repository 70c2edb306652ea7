"""The second look: the classifier sees each drawn crack again, in its middle and from farther away.

Tiles cut a photograph where they happen to; the edge of a beam at a tile's border looks like a crack, and so does a joint whose
straightness is out of view. Squares around the places of a drawn crack, as large as a tile and larger, show it whole with its
surroundings. The mean of their logits decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crack_tf.inference.second_look import square
from crack_tf.inference.tiles import PhotoClassifier

PLACES = 4  # along a crack
SIDES = (1.0, 2.0)  # of the squares, in tiles


@dataclass(frozen=True)
class Verifier:
    """Asks the classifier about drawn cracks. May be used from several threads.

    Attributes:
        classifier: the survey's own.
    """

    classifier: PhotoClassifier

    def logit(self, image: np.ndarray, part: np.ndarray, x: int, y: int, side: int | None = None) -> float:
        """Mean logit over squares around a crack.

        Args:
            image: uint8 (height, width, 3).
            part: bool (h, w), true on the crack.
            x, y: where the part lies in the image.
            side: of the photograph's tiles in pixels; None for the classifier's.
        """
        tile = side or self.classifier.side
        boxes = [
            square(image.shape[:2], x + px, y + py, round(times * tile)) for px, py in places(part) for times in SIDES
        ]
        return float(np.mean([scored.logit for scored in self.classifier.score(image, boxes)]))

    def above(self, image: np.ndarray, part: np.ndarray, x: int, y: int, side: int | None = None) -> float:
        """By how much that logit is above the classifier's threshold. Arguments as for `logit`."""
        return self.logit(image, part, x, y, side) - self.classifier.sidecar.threshold.logit


def places(part: np.ndarray, count: int = PLACES) -> list[tuple[int, int]]:
    """Pixels (x, y) of a part, spread evenly along its longest direction.

    Args:
        part: bool (h, w), true somewhere.
        count: of places; a short part gives some of them twice.
    """
    rows, columns = np.nonzero(part)
    points = np.column_stack([columns, rows]).astype(np.float64)
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    along = np.argsort(centred @ axes[:, -1], kind="stable")
    chosen = points[along[((np.arange(count) + 0.5) / count * len(points)).astype(int)]].astype(int)
    return [(int(x), int(y)) for x, y in chosen]
