"""Where a crack is drawn longer than before: did the earlier photograph show as dark a line there already?

A network draws a piece of a joint, a stain or a branch along with a crack on one photograph, and leaves it on another. That is no
growth. Asked are the pictures of findings, which both surveys keep: how much darker what was drawn is than what lies beside it, on either
one. Both are read in the same way: the mean along a stretch, which takes out most of the texture, at its darkest within what a
homography may be off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.skeleton import directions

STRETCH = 8  # places of a line that are read together
_SAME_SHARE = 0.5  # of the darkness now, from which the line was there before
_LEAST_PLACES = 2  # of a line: one has no direction
_LEAST_SEEN = 0.8  # of what is read of a stretch


@dataclass(frozen=True)
class Shown:
    """A picture of a part of a photograph.

    Attributes:
        grey: float32 (height, width).
        into: (3, 3), pixels of the photograph to its own.
    """

    grey: np.ndarray
    into: np.ndarray


def length_before(
    lines: Sequence[np.ndarray],
    now: Sequence[Shown],
    before: Sequence[Shown],
    back: np.ndarray,
    reach: float,
    width: float,
) -> float:
    """How much of some lines the earlier photograph shows as dark as the later one, in pixels of the later one.

    Args:
        lines: float (n, 2), places in pixels of the later photograph.
        now, before: pictures of parts of the later and of the earlier photograph.
        back: homography from the later photograph to the earlier one.
        reach: pixels of the later photograph that it may be off by.
        width: of what was drawn, pixels.
    """
    length = 0.0
    for line in lines:
        if len(line) < _LEAST_PLACES:
            continue
        along = directions(line)
        for part in np.array_split(np.arange(len(line)), max(1, len(line) // STRETCH)):
            places = _across(line[part], along[part], reach, width)
            dark, was = _darkness(places, now, np.eye(3), reach), _darkness(places, before, back, reach)
            if dark is not None and was is not None and was >= _SAME_SHARE * dark:
                # A place stands for the way to the next one, the last one, too.
                length += float(np.hypot(*np.diff(line[part], axis=0).T).mean()) * len(part)
    return length


def _across(points: np.ndarray, along: np.ndarray, reach: float, width: float) -> np.ndarray:
    """Places across a line at each of its points, float (n, m, 2), from one side to the other, the middle half within the reach."""
    far = 2 * (reach + width / 2)
    offsets = np.linspace(-far, far, 2 * round(far) + 1)
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    return np.asarray(points[:, None] + offsets[None, :, None] * normals[:, None])


def _darkness(places: np.ndarray, pictures: Sequence[Shown], to: np.ndarray, reach: float) -> float | None:
    """By what share a line is darker than what is beside it, on the first picture that shows it; None where none does.

    Args:
        places: see `_across`.
        pictures: of the photograph.
        to: (3, 3), pixels of the places to the photograph's.
        reach: see `length_before`.
    """
    import cv2

    for shown in pictures:
        found = np.c_[places.reshape(-1, 2), np.ones(places[..., 0].size)] @ (shown.into @ to).T
        maps = (found[:, :2] / found[:, 2:]).astype(np.float32).reshape(places.shape)
        size = np.array(shown.grey.shape[::-1])
        if ((maps >= 0) & (maps <= size - 1)).all(axis=2).mean() < _LEAST_SEEN:
            continue
        read = cv2.remap(shown.grey, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        profile = np.convolve(read.mean(axis=0), np.ones(3) / 3, mode="valid")
        quarter = len(profile) // 4
        beside = float(np.median(np.r_[profile[:quarter], profile[-quarter:]]))
        return 1 - float(profile[quarter:-quarter].min()) / max(beside, 1.0)
    return None
