"""Bare concrete to draw tiles on, and the fields and shapes that are drawn on it.

Lengths are in design pixels, those of a 128-pixel tile, and grow with the tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLE = 4  # shapes are drawn this much larger and averaged down: antialiasing with 17 grey levels
# Gaussian noise by table: a random byte picks one of 256 equally likely quantiles. 64,000 a tile make it worth while.
GAUSSIAN = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)


class Surface:
    """Bare concrete to draw on.

    Args:
        size: side in pixels.
        rng: decides its colour, texture, grains and pores, and where the light comes from.

    Attributes:
        size: side in pixels.
        scale: pixels per design pixel (size / 128).
        colour: float32 (size, size, 3), brightness of the paste and of what discolours it, about 0..255.
        shade: float32 (size, size), factor on all channels. Layers only ever multiply, so the order of the two is free;
            most are grey, and one channel is cheaper than three.
        light: unit vector (x, y) towards the light; carved edges that face it are bright.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.scale = size / 128
        angle = rng.uniform(0, 2 * math.pi)
        self.light = (math.cos(angle), math.sin(angle))
        warmth, green = rng.normal(0.02, 0.035), rng.normal(0, 0.012)
        paste = rng.uniform(85, 205) * np.array([1 + warmth, 1 + green, 1 - 1.3 * warmth])
        self.shade = 1 + fractal(rng, size, slope=rng.uniform(-0.15, 0.5)) * np.float32(rng.uniform(0.02, 0.075))
        tint = noise(rng, size, 3) * rng.uniform(0, 0.02)
        self.colour = np.empty((size, size, 3), np.float32)
        self.colour[..., 0] = paste[0] * (1 + tint)
        self.colour[..., 1] = paste[1]
        self.colour[..., 2] = paste[2] * (1 - tint)
        self._grains(rng)
        self.pores(rng, count=int(rng.poisson(8)), largest=2.2)

    def _grains(self, rng: np.random.Generator) -> None:
        """Sand grains: single pixels lighter or darker than the paste."""
        count = int(rng.uniform(0, 0.03) * self.size**2)
        rows, columns = rng.integers(0, self.size, (2, count))
        self.shade[rows, columns] *= 1 + rng.normal(-0.05, 0.25, count).clip(-0.8, 0.3).astype(np.float32)

    def pores(self, rng: np.random.Generator, count: int, largest: float) -> None:
        """Round holes, many small and few large (radius in design pixels), dark inside with one bright rim."""

        def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
            for _ in range(count):
                x, y = rng.uniform(0, 128, 2)
                a = min(0.6 + rng.exponential(largest / 3), largest)
                b = a * rng.uniform(0.6, 1.0)
                box = [(x - a) * unit, (y - b) * unit, (x + a) * unit, (y + b) * unit]
                pen.ellipse(box, fill=int(rng.integers(100, 256)))

        self.carve(rasterised(self.size, draw), depth=rng.uniform(0.75, 0.98), rim=rng.uniform(0, 0.2), floor=0.25)

    def carve(self, coverage: np.ndarray, depth: float, rim: float, floor: float = 0.4) -> None:
        """Cut a hollow: darken by `depth` where covered, brighten the far lip by `rim` (shares of brightness, 0 to 1).

        The wall on the side of the light lies in its own shadow; further in, `floor` of the depth is lit again.
        """
        near = self._towards_light(coverage, 1.3)
        lit = (near + self._towards_light(coverage, 3.2)) * (0.5 * floor)
        lip = np.clip(near - coverage, 0, 1)
        self.shade *= (1 - depth * coverage * (1 - lit)) * (1 + rim * lip)

    def _towards_light(self, coverage: np.ndarray, reach: float) -> np.ndarray:
        """What lies `reach` design pixels nearer to the light, at every pixel."""
        return _shift(coverage, -self.light[0] * reach * self.scale, -self.light[1] * reach * self.scale)

    def tint(self, coverage: np.ndarray, factors: tuple[float, float, float]) -> None:
        """Multiply the channels by `factors` where covered."""
        for channel, factor in enumerate(factors):
            self.colour[..., channel] *= 1 + coverage * np.float32(factor - 1)


def noise(rng: np.random.Generator, size: int, cells: int | tuple[int, int]) -> np.ndarray:
    """Smooth noise of about unit variance, float32 (size, size); `cells` blobs across, or (down, across)."""
    down, across = cells if isinstance(cells, tuple) else (cells, cells)
    # One cell of margin on each side, cut off again: resampling repeats the border, which would show as flat edges.
    grid = rng.standard_normal((down + 2, across + 2), dtype=np.float32)
    box = (1.0, 1.0, across + 1.0, down + 1.0)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC, box=box)) * np.float32(1.35)


def fractal(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """Octaves from 2 to 110 blobs across, each weaker by `cells ** -slope`; float32 (size, size), unit variance."""
    octaves = (2, 6, 16, 42, 110)
    weights = np.array([cells**-slope for cells in octaves])
    weights /= np.sqrt(np.sum(weights**2))
    total = np.zeros((size, size), np.float32)
    for cells, weight in zip(octaves, weights, strict=True):
        total += np.float32(weight) * noise(rng, size, cells)
    return total


def rasterised(size: int, draw: Callable[[ImageDraw.ImageDraw, float], None]) -> np.ndarray:
    """Share of each pixel that a drawing covers, float32 (size, size) in [0, 1].

    `draw(pen, unit)` draws in white on black; `unit` is one design pixel in canvas coordinates.
    """
    canvas = Image.new("L", (size * OVERSAMPLE, size * OVERSAMPLE))
    draw(ImageDraw.Draw(canvas), size * OVERSAMPLE / 128)
    return np.asarray(canvas.reduce(OVERSAMPLE), np.float32) / 255


def blurred(coverage: np.ndarray, radius: float) -> np.ndarray:
    """A coverage in [0, 1] after a Gaussian blur of so many pixels, float32 of the same shape."""
    image = Image.fromarray((coverage * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / 255


def _shift(coverage: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Move the picture by whole pixels, repeating the border."""
    x, y = round(dx), round(dy)
    reach = max(abs(x), abs(y))
    size = len(coverage)
    return np.pad(coverage, reach, mode="edge")[reach - y : reach - y + size, reach - x : reach - x + size]
