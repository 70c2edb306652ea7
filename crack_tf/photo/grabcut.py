"""Foreground by GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) as in OpenCV: two colour models and a shortest cut, no weights.

With nothing said, the middle of the photograph is taken to be on the concrete, and background is what touches the border and
looks unlike the middle: sky, leaves, water, a road. Where the border looks like the middle, the whole photograph is foreground.
Concrete gets darker (shadows, damp, cracks) and yellower or redder (rust, dust) from place to place, hardly bluer or greener:
so colours that are count for much, and darkness for little. What reaches the border with its narrow side only, as a crack does,
stays in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crack_tf.photo.foreground import MIN_SHARE, Foreground, Prompt, check_photo, resize_mask, tidy
from tflite.errors import CrackError
from tflite.extras import install

_SIDE = 512  # pixels; the cut is found on a photograph of this size at most
_MIN_SIDE = 8
_THIN = 9  # pixels at that size; dark lines thinner than this are painted over first: cracks are concrete
_SEED_RADIUS = 0.01  # of the longer side: surely what the person pointed at
_SAMPLE_RADIUS = 0.04  # of the longer side: probably of the same kind, enough to learn its colours from
_MIDDLE = 0.6  # of width and height
_BORDER = 0.02  # of the longer side
_MIN_BACKGROUND = 0.005  # of the photograph; less is not worth a cut
# How much lightness, the two colour axes (8-bit Lab: red to green, yellow to blue) and texture (log2 of the local deviation) vary
# on one surface at least, downwards and upwards. Chosen on the shared crack photographs, all concrete or asphalt, where no crack
# may be cut off, and on drawn flights (seeds 0 to 5) with sky, leaves and water.
_SPREAD_DOWN = np.array([75.0, 2.0, 3.0, 0.6], np.float32)
_SPREAD_UP = np.array([25.0, 5.0, 5.0, 0.6], np.float32)
_UNLIKE = 3.5  # deviations


@dataclass(frozen=True)
class GrabCut:
    """Backend `grabcut`.

    Attributes:
        iterations: of the cut.
        seed: of OpenCV's random numbers, which start its colour models.
    """

    iterations: int = 5
    seed: int = 0

    def segment(self, photo: np.ndarray, prompt: Prompt) -> Foreground:
        """See `crack_tf.photo.foreground.Backend`."""
        height, width = check_photo(photo)
        prompt.check(height, width)
        if min(height, width) < _MIN_SIDE:
            raise CrackError(f"photo of {width}x{height} pixels is too small for grabcut. Take the backend none.")
        cv2 = _opencv()
        scale = min(1.0, _SIDE / max(height, width))
        size = (max(_MIN_SIDE, round(width * scale)), max(_MIN_SIDE, round(height * scale)))
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        seeds = _Seeds(prompt, small.shape[0] / height, small.shape[1] / width, small.shape[:2])
        features = _features(cv2, small)
        labels = _first_guess(cv2, features, seeds)
        background = np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD))
        if background.mean() < _MIN_BACKGROUND:
            return Foreground(np.ones((height, width), bool), "grabcut", "no background found: all is foreground")
        if not background.all():
            cv2.setRNGSeed(self.seed)
            smooth = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((_THIN, _THIN), np.uint8))
            models = np.zeros((1, 65)), np.zeros((1, 65))
            cv2.grabCut(smooth, labels, None, *models, self.iterations, cv2.GC_INIT_WITH_MASK)
        inside = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
        mask = tidy(resize_mask(inside, height, width), prompt)
        if prompt.empty and mask.mean() < MIN_SHARE:
            return Foreground(
                np.ones((height, width), bool), "grabcut", "no clear foreground in the middle: all is foreground"
            )
        if not mask.any():
            raise CrackError("grabcut found no foreground. Give a point on the concrete with --fg x,y.")
        return Foreground(mask, "grabcut")


class _Seeds:
    """The prompt at the reduced size, as masks of (height, width)."""

    def __init__(self, prompt: Prompt, down: float, across: float, shape: tuple[int, int]) -> None:
        self.shape = shape
        side = max(shape)
        self._y, self._x = np.ogrid[: shape[0], : shape[1]]
        self.foreground = [(y * down, x * across) for x, y in prompt.foreground]
        self.background = [(y * down, x * across) for x, y in prompt.background]
        self.outside = np.zeros(shape, bool)
        box = (0.0, 0.0, float(shape[0]), float(shape[1]))
        if prompt.box is not None:
            b = prompt.box
            box = (b.y * down, b.x * across, (b.y + b.h) * down, (b.x + b.w) * across)
            self.outside = ~(
                (self._y >= box[0] - 0.5) & (self._x >= box[1] - 0.5) & (self._y < box[2]) & (self._x < box[3])
            )
        self.sure = max(1.5, _SEED_RADIUS * side)
        self.sample = max(3.0, _SAMPLE_RADIUS * side)
        centre, half = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), _MIDDLE / 2
        tall, wide = max(1.0, (box[2] - box[0]) * half), max(1.0, (box[3] - box[1]) * half)
        self.middle = ((self._y - centre[0]) / tall) ** 2 + ((self._x - centre[1]) / wide) ** 2 <= 1

    def discs(self, points: list[tuple[float, float]], radius: float) -> np.ndarray:
        """Pixels within a distance of any point."""
        result = np.zeros(self.shape, bool)
        for y, x in points:
            result |= (self._y - y) ** 2 + (self._x - x) ** 2 <= radius**2
        return result


def _first_guess(cv2: Any, features: np.ndarray, seeds: _Seeds) -> np.ndarray:
    """GrabCut's labels to start from, uint8 (height, width)."""
    sure_foreground = seeds.discs(seeds.foreground, seeds.sure)
    sure_background = (seeds.discs(seeds.background, seeds.sure) | seeds.outside) & ~sure_foreground
    like = seeds.discs(seeds.foreground, seeds.sample) if seeds.foreground else seeds.middle
    unlike_foreground = _deviation(features, like & ~sure_background if (like & ~sure_background).any() else like)
    background = _touching_border(unlike_foreground > _UNLIKE, sure_background)
    if seeds.background:
        sample = seeds.discs(seeds.background, seeds.sample) & ~sure_foreground
        background |= _deviation(features, sample) < unlike_foreground
    labels = np.where(background, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    labels[sure_background] = cv2.GC_BGD
    labels[sure_foreground] = cv2.GC_FGD
    return labels


def _features(cv2: Any, small: np.ndarray) -> np.ndarray:
    """Lab colours and texture without thin dark lines, float32 (height, width, 4)."""
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((_THIN, _THIN), np.uint8))
    lab = cv2.GaussianBlur(cv2.cvtColor(closed, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), 2)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, square = cv2.blur(grey, (_THIN, _THIN)), cv2.blur(grey**2, (_THIN, _THIN))
    texture = np.log2(1 + np.sqrt(np.maximum(square - mean**2, 0)))
    return np.dstack([lab, cv2.GaussianBlur(texture, (0, 0), 3)])


def _deviation(features: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """How unlike the sample every pixel is, in its deviations; float32 (height, width)."""
    values = features[sample]
    middle = np.median(values, axis=0)
    usual = 1.4826 * np.median(np.abs(values - middle), axis=0)
    difference = features - middle
    spread = np.where(difference < 0, np.maximum(usual, _SPREAD_DOWN), np.maximum(usual, _SPREAD_UP))
    return np.asarray(np.sqrt(((difference / spread) ** 2).sum(axis=2)))


def _touching_border(mask: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Parts of a mask that touch `more`, or the photograph's border by at least the side of a square of their area."""
    from scipy import ndimage

    edge = max(1, round(_BORDER * max(mask.shape)))
    border = np.ones(mask.shape, bool)
    border[edge:-edge, edge:-edge] = False
    labels, count = ndimage.label(mask | more)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    contacts = np.bincount(labels[border], minlength=count + 1) / edge
    reached = contacts >= np.sqrt(sizes)
    reached[labels[more]] = True
    reached[0] = False
    return np.asarray(reached[labels]) & mask


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise CrackError(
            f"grabcut needs OpenCV. Run: {install('survey')}. Or take the backend none with a mask file."
        ) from None
    return cv2
