"""Grad-CAM, Integrated Gradients and occlusion as arithmetic: no Keras, no TensorFlow, any model behind a function.

* Grad-CAM (Selvaraju et al., ICCV 2017): the maps of a convolution, weighted by the mean gradient of the logit, summed, negative
  values set to zero.
* Integrated Gradients (Sundararajan et al., ICML 2017): gradients summed on the straight way from a baseline to the tile. The sum
  over all pixels must be the difference of the two logits (completeness); steps are added until it is.
* Occlusion (Zeiler and Fergus, ECCV 2014): how much the logit drops when a patch is replaced by what surrounds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from tflite.device.tiles import tile_boxes
from tflite.errors import CrackError

BASELINES = ("black", "blurred", "mean")
METHODS = ("gradcam", *(f"ig-{kind}" for kind in BASELINES), "occlusion")
TOLERANCE = 0.01  # of the logit difference
FIRST_STEPS, MAX_STEPS = 16, 512
NEGLIGIBLE = (
    1e-4  # logits; a smaller error is float32's, and more steps would not help where the two logits hardly differ
)
_BLUR = 1 / 10  # standard deviation of the blurred baseline in sides of the tile: no crack is left in it
PATCH = 1 / 7  # side of the occluded patch in sides of the tile: 32 pixels of 224
OVERLAP = 0.5

# Pixels float32 (n, s, s, 3) to logits (n,) and gradients (n, s, s, 3).
Gradients = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# Raw tiles uint8 (n, s, s, 3) to logits (n,).
Logits = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Integrated:
    """Integrated Gradients of one tile.

    Attributes:
        map: float32 (s, s), the channels' attributions summed; logits per pixel, negative where a pixel speaks against a crack.
        logit: of the tile.
        baseline_logit: of the baseline.
        steps: that were taken.
        error: sum of the map less the difference of the logits.
        complete: whether the error is within the tolerance.
    """

    map: np.ndarray
    logit: float
    baseline_logit: float
    steps: int
    error: float
    complete: bool


def grad_cam(
    maps: np.ndarray, gradients: np.ndarray, size: int, places: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Grad-CAM of one tile.

    Args:
        maps: float (h, w, c), a convolution's output.
        gradients: of the logit with respect to them, same shape.
        size: side of the tile in pixels.
        places: rows (h,) and columns (w,) of the tile at which the maps' values lie, see `places.map_places`; None spreads them
            evenly.

    Returns:
        float32 (size, size), not negative; bilinear between the places.
    """
    weights = gradients.mean(axis=(0, 1), dtype=np.float64)
    heat = np.maximum(maps.astype(np.float64) @ weights, 0)
    if places is None:
        rows, columns = ((np.arange(count) + 0.5) * size / count - 0.5 for count in heat.shape)
        places = rows, columns
    return spread(heat, *places, size)


def baseline_of(tile: np.ndarray, kind: str) -> np.ndarray:
    """What a tile is compared with.

    Args:
        tile: uint8 (s, s, 3).
        kind: "black"; "blurred", the tile with everything as small as a crack gone; or "mean", its mean colour.

    Returns:
        float32 (s, s, 3), 0..255.

    Raises:
        CrackError: for another kind.
    """
    if kind == "black":
        return np.zeros(tile.shape, np.float32)
    if kind == "blurred":
        blurred = Image.fromarray(tile).filter(ImageFilter.GaussianBlur(_BLUR * len(tile)))
        return np.asarray(blurred, np.float32)
    if kind == "mean":
        return np.broadcast_to(tile.mean(axis=(0, 1)), tile.shape).astype(np.float32)
    raise CrackError(f"baseline {kind!r}: choose one of {', '.join(BASELINES)}.")


def integrated_gradients(
    gradients: Gradients,
    tile: np.ndarray,
    baseline: np.ndarray,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Integrated:
    """Integrated Gradients by the trapezoid rule, with steps put where they are needed.

    The logit at the ends of a step tells what its share of the sum has to be, so each step's own error is known. While the sum is
    not within the tolerance, the worst steps are halved: a network of ReLUs bends at few places of the way, and even steps would
    be spent on the straight rest.

    Args:
        gradients: of the network.
        tile: (s, s, 3), 0..255.
        baseline: (s, s, 3), 0..255.
        tolerance: accepted error, as a share of the logit difference.
        max_steps: give up after so many; the result says so. It also does where the error is negligible but the logits differ
            even less.

    Raises:
        CrackError: if `max_steps` is below 16.
    """
    if max_steps < FIRST_STEPS:
        raise CrackError(f"max_steps must be at least {FIRST_STEPS}, got {max_steps}.")
    start = baseline.astype(np.float32)
    way = tile.astype(np.float32) - start

    def at(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (k,) and the products of gradient and way, channels summed, (k, s, s)."""
        logits, slopes = gradients(start + places[:, None, None, None].astype(np.float32) * way)
        return logits, np.einsum("kyxc,yxc->kyx", slopes, way)

    places = np.linspace(0, 1, FIRST_STEPS + 1)
    logits, products = at(places)
    while True:
        slopes = products.sum(axis=(1, 2), dtype=np.float64)
        errors = np.diff(places) * (slopes[1:] + slopes[:-1]) / 2 - np.diff(logits)
        difference = float(logits[-1] - logits[0])
        error = float(errors.sum())
        complete = abs(error) <= tolerance * abs(difference)
        if complete or abs(error) <= NEGLIGIBLE or len(errors) >= max_steps:
            break
        worst = np.argsort(-np.abs(errors), kind="stable")
        needed = int(np.searchsorted(np.cumsum(np.abs(errors)[worst]), 0.5 * np.abs(errors).sum())) + 1
        chosen = np.sort(worst[: min(needed, max_steps - len(errors))])
        middles = (places[chosen] + places[chosen + 1]) / 2
        more_logits, more_products = at(middles)
        places = np.insert(places, chosen + 1, middles)
        logits = np.insert(logits, chosen + 1, more_logits)
        products = np.insert(products, chosen + 1, more_products, axis=0)
    weights = np.zeros(len(places))
    weights[:-1] += np.diff(places) / 2
    weights[1:] += np.diff(places) / 2
    heat = np.einsum("k,kyx->yx", weights, products).astype(np.float32)
    return Integrated(heat, float(logits[-1]), float(logits[0]), len(errors), error, complete)


def occlusion(logits: Logits, tile: np.ndarray, patch: int, overlap: float = OVERLAP) -> np.ndarray:
    """Drop of the logit when a patch is filled with the mean of its surroundings.

    Args:
        logits: of the model.
        tile: uint8 (s, s, 3).
        patch: side of the patch in pixels, at least 2 and at most s.
        overlap: of neighbouring patches.

    Returns:
        float32 (s, s), in logits: positive where the model needs what is there to say crack. Bilinear between the patches' centres.

    Raises:
        CrackError: if the patch is larger than the tile or smaller than two pixels.
    """
    size = len(tile)
    if not 2 <= patch <= size:
        raise CrackError(f"--patch must lie between 2 and the tile's {size} pixels, got {patch}.")
    filling = local_mean(tile, patch)
    boxes = tile_boxes(size, size, patch, overlap)
    covered = np.repeat(tile[None], len(boxes) + 1, axis=0)
    for number, box in enumerate(boxes, 1):
        rows, columns = slice(box.y, box.y + box.h), slice(box.x, box.x + box.w)
        covered[number, rows, columns] = filling[rows, columns]
    answers = np.asarray(logits(covered), dtype=np.float64)
    side = round(len(boxes) ** 0.5)
    drops = (answers[0] - answers[1:]).reshape(side, side)
    centres = np.array([box.x + (box.w - 1) / 2 for box in boxes[:side]])
    return spread(drops, centres, centres, size)


def spread(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """Values at a grid of places as a map: float32 (size, size), bilinear between the places and constant beyond them.

    Args:
        values: (h, w).
        rows: (h,), ascending, pixels.
        columns: (w,), ascending, pixels.
        size: side of the map in pixels.
    """
    pixels = np.arange(size)
    across = np.stack([np.interp(pixels, columns, row) for row in values])
    return np.stack([np.interp(pixels, rows, column) for column in across.T], axis=1).astype(np.float32)


def local_mean(tile: np.ndarray, reach: int) -> np.ndarray:
    """Mean colour of the square that reaches `reach` pixels to each side; uint8 like the tile (s, s, 3)."""
    return np.asarray(Image.fromarray(tile).filter(ImageFilter.BoxBlur(reach)))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's rank correlation of two maps of one shape; None when one of them is flat."""
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one.ravel()), rankdata(other.ravel()))[0, 1])
