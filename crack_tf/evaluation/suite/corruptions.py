"""Bad photographs on purpose: what a drone's camera does to a tile, at five severities.

The idea of graded corruptions is that of ImageNet-C (Hendrycks and Dietterich, ICLR 2019); kinds and strengths are chosen here
for a camera that flies along concrete. A corrupted tile depends on the tile, the kind, the severity and a seed alone.

Severities are meant for tiles of about 227 pixels, before they are resized to a model's input.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

from tflite.errors import CrackError

SEVERITIES = (1, 2, 3, 4, 5)

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def corrupt(tile: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """One corrupted tile.

    Args:
        tile: uint8 (h, w, 3), RGB.
        kind: one of `CORRUPTIONS`.
        severity: 1 (slight) to 5 (severe).
        seed: of what the corruption draws, such as the direction of a blur.

    Returns:
        uint8 (h, w, 3).

    Raises:
        CrackError: if there is no such kind or severity.
    """
    if kind not in CORRUPTIONS:
        raise CrackError(f"corruption {kind!r} is unknown: choose one of {', '.join(CORRUPTIONS)}.")
    if severity not in SEVERITIES:
        raise CrackError(f"severity {severity}: choose a whole number from 1 to 5.")
    rng = np.random.default_rng([seed, severity, zlib.crc32(kind.encode())])
    changed = CORRUPTIONS[kind](np.asarray(tile, np.float32), severity, rng)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def motion_blur(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The camera moved during the exposure: a line of 3 to 19 pixels in any direction."""
    length = (3, 5, 9, 13, 19)[severity - 1]
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((length + 2, length + 2), np.float32)
    for step in np.linspace(-(length - 1) / 2, (length - 1) / 2, 4 * length):
        y, x = (length + 1) / 2 + step * np.sin(angle), (length + 1) / 2 + step * np.cos(angle)
        row, column = int(y), int(x)
        # A point between four pixels is shared among them, or short lines would come in eight directions only.
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            kernel[row + dy, column + dx] += abs(1 - dy - (y - row)) * abs(1 - dx - (x - column))
    return _convolve(tile, kernel / kernel.sum())


def defocus(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: a disk of radius 1 to 4 pixels."""
    radius = (1.0, 1.5, 2.0, 3.0, 4.0)[severity - 1]
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    # The edge of the disk falls off over one pixel, so that fractions of a radius make a difference.
    disk = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1).astype(np.float32)
    return _convolve(tile, disk / disk.sum())


def noise(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise: Gaussian, 5 to 40 grey levels, independent per channel."""
    sigma = (5, 10, 18, 28, 40)[severity - 1]
    return tile + rng.normal(0, sigma, tile.shape).astype(np.float32)


def jpeg(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A radio link or a full card: JPEG at quality 50 down to 5."""
    quality = (50, 30, 20, 10, 5)[severity - 1]
    stream = io.BytesIO()
    Image.fromarray(tile.astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream), np.float32)


def low_light(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Under a bridge: a half to a tenth of the light, with the noise that weighs more then."""
    share, sigma = ((0.6, 1.0), (0.42, 2.0), (0.3, 3.0), (0.2, 4.0), (0.12, 5.0))[severity - 1]
    return tile * share + rng.normal(0, sigma, tile.shape).astype(np.float32)


def over_exposure(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The sun on the wall: 1.25 to 2.6 times the light, clipped."""
    return tile * (1.25, 1.5, 1.8, 2.2, 2.6)[severity - 1]


def shadow(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A straight shadow across the tile that leaves 80 to 20 % of the light; its edge is a few pixels soft."""
    left = (0.8, 0.65, 0.5, 0.35, 0.2)[severity - 1]
    height, width = tile.shape[:2]
    angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25)
    y, x = np.mgrid[:height, :width]
    distance = (x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle) - place * min(height, width)
    lit = np.clip(distance / 6 + 0.5, 0, 1).astype(np.float32)
    return tile * (left + (1 - left) * lit)[..., None]


def wet(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A wet surface: dark, blotchy patches with glints on them; the patches grow and darken."""
    dark, cover = ((0.85, 0.3), (0.75, 0.4), (0.65, 0.5), (0.55, 0.6), (0.45, 0.7))[severity - 1]
    height, width = tile.shape[:2]
    blotches = _smooth_noise(rng, height, width, 0.08)
    inside = np.clip((np.quantile(blotches, cover) - blotches) * 12 + 0.5, 0, 1)[..., None]
    glints = _smooth_noise(rng, height, width, 0.01)
    glare = np.clip(glints - np.quantile(glints, 1 - 0.004 * severity), 0, None)
    glare = glare / max(float(glare.max()), 1e-6) * 140
    return tile * (1 - inside * (1 - dark)) + glare[..., None] * inside


def distance(tile: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The drone flies farther off: the scene shrinks to 80 to 33 %, and mirrored surroundings fill the tile."""
    share = (0.8, 0.65, 0.5, 0.4, 0.33)[severity - 1]
    height, width = tile.shape[:2]
    small = Image.fromarray(tile.astype(np.uint8)).resize(
        (max(1, round(width * share)), max(1, round(height * share))), Image.Resampling.LANCZOS
    )
    pixels = np.asarray(small, np.float32)
    above, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    below, right = height - pixels.shape[0] - above, width - pixels.shape[1] - left
    return np.pad(pixels, ((above, below), (left, right), (0, 0)), mode="symmetric")


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function
    for function in (motion_blur, defocus, noise, jpeg, low_light, over_exposure, shadow, wet, distance)
}


def _convolve(tile: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.stack([ndimage.convolve(tile[..., c], kernel, mode="reflect") for c in range(3)], axis=-1)


def _smooth_noise(rng: np.random.Generator, height: int, width: int, size: float) -> np.ndarray:
    """Noise with blobs of `size` times the shorter side, scaled to 0..1."""
    field = ndimage.gaussian_filter(rng.normal(size=(height, width)), size * min(height, width), mode="wrap")
    low, high = field.min(), field.max()
    return ((field - low) / max(float(high - low), 1e-9)).astype(np.float32)
