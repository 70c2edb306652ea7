"""Cracks of known length and width, drawn antialiased and then cut at half coverage, as a perfect segmentation would."""

from __future__ import annotations

import numpy as np

OVERSAMPLE = 5  # odd: no pixel is covered by exactly one half, which would make a band one row too wide


def draw(paths: list[np.ndarray], widths: list[float | np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Bands with blunt ends around centrelines.

    Args:
        paths: each (n, 2), y and x, densely sampled.
        widths: of each band in pixels, one number or one per point.
        shape: height and width of the mask.

    Returns:
        bool (height, width): True where bands cover more than half of the pixel.
    """
    return cover(paths, widths, shape) > 0.5


def cover(paths: list[np.ndarray], widths: list[float | np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The same as `draw`, uncut: the share of each pixel that bands cover, float (height, width)."""
    from scipy.ndimage import binary_dilation
    from scipy.spatial import cKDTree

    fine = np.zeros((shape[0], shape[1], OVERSAMPLE**2), bool)
    steps = (np.arange(OVERSAMPLE) + 0.5) / OVERSAMPLE - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    for path, width in zip(paths, widths, strict=True):
        half = np.broadcast_to(np.asarray(width, float) / 2, len(path))
        near = np.zeros(shape, bool)
        pixels = np.round(path).astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)]
        near[tuple(pixels.T)] = True
        y, x = np.nonzero(binary_dilation(near, iterations=int(np.ceil(half.max() * 1.5)) + 2))
        places = (np.stack([y, x], axis=1)[:, np.newaxis] + offsets).reshape(-1, 2)
        distance, nearest = cKDTree(path).query(places)
        tangents = np.gradient(path, axis=0)
        tangents /= np.hypot(*tangents.T)[:, np.newaxis]
        along = ((places - path[nearest]) * tangents[nearest]).sum(axis=1)
        across = np.sqrt(np.maximum(distance**2 - along**2, 0))
        inside = across <= half[nearest]
        inside &= (nearest > 0) | (along >= 0)
        inside &= (nearest < len(path) - 1) | (along <= 0)
        fine[y, x] |= inside.reshape(len(y), -1)
    return np.asarray(fine.mean(axis=2))


def straight(length: float, angle: float, centre: tuple[float, float] = (128.0, 128.0)) -> np.ndarray:
    """A line of that length through a point; the angle in degrees, anticlockwise as seen."""
    s = np.linspace(-length / 2, length / 2, max(2, int(length * 4)))
    radians = np.radians(angle)
    return np.stack([centre[0] - np.sin(radians) * s, centre[1] + np.cos(radians) * s], axis=1)


def arc(radius: float, start: float, end: float, centre: tuple[float, float] = (128.0, 128.0)) -> np.ndarray:
    """Part of a circle between two angles in degrees; its length is radius * radians."""
    angles = np.radians(np.linspace(start, end, int(radius * abs(np.radians(end - start)) * 4)))
    return np.stack([centre[0] - radius * np.sin(angles), centre[1] + radius * np.cos(angles)], axis=1)


def wave(
    length: float, height: float, period: float, angle: float = 0.0, centre: tuple[float, float] = (128.0, 128.0)
) -> np.ndarray:
    """A sine along a line."""
    s = np.linspace(-length / 2, length / 2, int(length * 8))
    h = height * np.sin(2 * np.pi * s / period)
    radians = np.radians(angle)
    y = -np.sin(radians) * s - np.cos(radians) * h
    x = np.cos(radians) * s - np.sin(radians) * h
    return np.stack([centre[0] + y, centre[1] + x], axis=1)


def length_of(path: np.ndarray) -> float:
    """Length of a polyline."""
    return float(np.hypot(*np.diff(path, axis=0).T).sum())
