"""What looks like a crack on a drawn tile, or hides one: stains, joints, board marks, scratches, holes, shadows.

They are drawn without looking at the tile's label. Lengths are in design pixels, those of a 128-pixel tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from crack_tf.synthetic.surface import OVERSAMPLE, Surface, blurred, fractal, noise, rasterised


@dataclass(frozen=True)
class Confounder:
    """One kind.

    Attributes:
        draw: puts it on a surface, with numbers from the generator alone.
        probability: that a tile has it, 0 to 1.
        is_light: whether it falls on the finished surface, crack included.
    """

    draw: Callable[[Surface, np.random.Generator], None]
    probability: float
    is_light: bool = False


def draw_confounders(rng: np.random.Generator) -> tuple[str, ...]:
    """Which ones a tile has: names in `CONFOUNDERS`, in drawing order."""
    draws = rng.random(len(CONFOUNDERS))
    return tuple(name for (name, kind), u in zip(CONFOUNDERS.items(), draws, strict=True) if u < kind.probability)


def _trowel(surface: Surface, rng: np.random.Generator) -> None:
    """Brushed or trowelled surface: fine parallel grooves."""
    streaks = noise(rng, surface.size, (int(rng.integers(3, 12)), int(rng.integers(25, 80))))
    if rng.random() < 0.5:
        streaks = streaks.T
    strength = np.clip(rng.uniform(0, 1) + noise(rng, surface.size, 3), 0, 1.5)
    surface.shade *= 1 + rng.uniform(0.02, 0.07) * streaks * strength


def _patch(surface: Surface, rng: np.random.Generator) -> None:
    """Peeled laitance or old paint: an irregular area of another tone with a ragged edge."""
    field = fractal(rng, surface.size, slope=1.2)
    edge = 1 / rng.uniform(0.03, 0.25)
    area = np.clip((field - rng.normal(0.6, 0.5)) * edge, 0, 1)
    tone = 1 + rng.choice([-1, 1]) * rng.uniform(0.08, 0.3)
    surface.tint(area, (tone, tone * rng.uniform(0.96, 1.04), tone * rng.uniform(0.92, 1.08)))


def _stain(surface: Surface, rng: np.random.Generator) -> None:
    """Damp or oil: a dark blot with a soft, wandering outline and sometimes a tide line."""
    field = noise(rng, surface.size, int(rng.integers(2, 5))) + 0.25 * noise(rng, surface.size, 14)
    level = field - rng.normal(0.4, 0.4)
    tone = rng.uniform(0.55, 0.9)
    colour = (tone, tone * rng.uniform(0.95, 1), tone * rng.uniform(0.85, 1))
    surface.tint(np.clip(level * rng.uniform(1, 5), 0, 1), colour)
    if rng.random() < 0.4:
        tide = np.exp(-((level / rng.uniform(0.04, 0.1)) ** 2))
        surface.tint(tide, (rng.uniform(0.7, 0.95),) * 3)


def _run(surface: Surface, rng: np.random.Generator) -> None:
    """Water, rust or lime runs: narrow wandering streaks downwards, soft-edged, fading out."""
    colours = ((0.55, 0.55, 0.57), (0.8, 0.6, 0.42), (1.3, 1.3, 1.28))
    colour = colours[int(rng.integers(3))]
    lines = []
    for _ in range(int(rng.integers(1, 4))):
        top, bottom = rng.uniform(-20, 50), rng.uniform(80, 150)
        y = np.linspace(top, bottom, 24)
        x = rng.uniform(5, 123) + np.cumsum(rng.normal(0, rng.uniform(0.1, 1.2), 24))
        lines.append((np.stack([x, y], axis=1), rng.uniform(1.5, 7) * np.linspace(1, rng.uniform(0.2, 1), 24)))

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for points, widths in lines:
            _draw_path(pen, points, widths, unit)

    soft = blurred(rasterised(surface.size, draw), surface.scale * rng.uniform(0.8, 3))
    fade = np.clip(1 + 0.4 * noise(rng, surface.size, 5), 0, 1.2) * rng.uniform(0.5, 1)
    surface.tint(np.clip(soft * fade, 0, 1), colour)


def _joint(surface: Surface, rng: np.random.Generator) -> None:
    """Construction or expansion joint: a straight groove as dark as any crack; sometimes two that meet."""
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.08) if rng.random() < 0.6 else rng.uniform(0, math.pi)
    width = math.exp(rng.uniform(math.log(1.5), math.log(10)))
    lines = [_straight(rng, angle)]
    if rng.random() < 0.2:
        lines.append(_straight(rng, angle + math.pi / 2))

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for line in lines:
            pen.line([(x * unit, y * unit) for x, y in line], fill=255, width=max(OVERSAMPLE, round(width * unit)))

    surface.carve(rasterised(surface.size, draw), depth=rng.uniform(0.4, 0.95), rim=rng.uniform(0, 0.35))


def _formwork(surface: Surface, rng: np.random.Generator) -> None:
    """Board marks: parallel fine ridges or grooves, each board of its own tone, and sometimes a tie hole."""
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.05)
    spacing, offset = rng.uniform(28, 90), rng.uniform(0, 90)
    axis = np.arange(surface.size, dtype=np.float32) / surface.scale
    distance = axis[None, :] * math.cos(angle) + axis[:, None] * math.sin(angle) + offset
    board = np.floor(distance / spacing)
    tones = 1 + rng.normal(0, 0.035, 16)
    surface.shade *= tones[board.astype(int) % 16].astype(np.float32)
    from_edge = np.abs(distance - spacing * np.round(distance / spacing))
    line = np.clip(rng.uniform(0.5, 1.3) + 0.5 - from_edge, 0, 1)
    if rng.random() < 0.6:
        surface.carve(line, depth=rng.uniform(0.15, 0.7), rim=rng.uniform(0, 0.3))
    else:
        surface.tint(line, (rng.uniform(1.08, 1.3),) * 3)
    if rng.random() < 0.25:
        x, y, r = rng.uniform(15, 113), rng.uniform(15, 113), rng.uniform(4, 9)

        def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
            pen.ellipse([(x - r) * unit, (y - r) * unit, (x + r) * unit, (y + r) * unit], fill=255)

        surface.carve(rasterised(surface.size, draw), depth=rng.uniform(0.4, 0.85), rim=0.3)


def _scratch(surface: Surface, rng: np.random.Generator) -> None:
    """Scratches and chalk marks: thin arcs of even width, mostly lighter than the surface."""
    arcs = []
    for _ in range(int(rng.integers(1, 4))):
        angle, bend, length = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.006), rng.uniform(30, 150)
        t = np.arange(0, length, 6)
        offsets = 6 * np.stack([np.cos(angle + bend * t), np.sin(angle + bend * t)], axis=1)
        arcs.append((rng.uniform(5, 123, 2) + np.cumsum(offsets, axis=0), np.full(len(t), rng.uniform(0.8, 2.0))))

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for points, widths in arcs:
            _draw_path(pen, points, widths, unit)

    tone = rng.uniform(1.1, 1.45) if rng.random() < 0.5 else rng.uniform(0.35, 0.8)
    surface.tint(rasterised(surface.size, draw), (tone,) * 3)


def _bugholes(surface: Surface, rng: np.random.Generator) -> None:
    """Air voids from the formwork face: dozens of holes, the largest a few pixels."""
    surface.pores(rng, count=int(rng.integers(10, 45)), largest=rng.uniform(2.5, 7))


def _shadow_soft(surface: Surface, rng: np.random.Generator) -> None:
    """Shadow of something far away: a wide edge of half-shade."""
    _cast(surface, _half_plane(surface, rng, rng.uniform(8, 40)), rng)


def _shadow_hard(surface: Surface, rng: np.random.Generator) -> None:
    """Shadow of something near: a sharp edge, or the bands of a railing or cable."""
    if rng.random() < 0.45:
        _cast(surface, _half_plane(surface, rng, rng.uniform(0.5, 2)), rng)
        return
    angle, width = rng.uniform(0, math.pi), math.exp(rng.uniform(math.log(2), math.log(25)))
    lines = [_straight(rng, angle) for _ in range(int(rng.integers(1, 3)))]

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for line in lines:
            pen.line([(x * unit, y * unit) for x, y in line], fill=255, width=round(width * unit))

    _cast(surface, blurred(rasterised(surface.size, draw), surface.scale * rng.uniform(0.3, 1)), rng)


# Order is drawing order. Probabilities give 1.7 confounders a tile on average, and one tile in six none.
CONFOUNDERS: dict[str, Confounder] = {
    "trowel": Confounder(_trowel, 0.15),
    "patch": Confounder(_patch, 0.15),
    "stain": Confounder(_stain, 0.18),
    "run": Confounder(_run, 0.12),
    "formwork": Confounder(_formwork, 0.15),
    "joint": Confounder(_joint, 0.22),
    "bugholes": Confounder(_bugholes, 0.22),
    "scratch": Confounder(_scratch, 0.15),
    "shadow_soft": Confounder(_shadow_soft, 0.18, is_light=True),
    "shadow_hard": Confounder(_shadow_hard, 0.16, is_light=True),
}


def _draw_path(pen: ImageDraw.ImageDraw, points: np.ndarray, widths: np.ndarray, unit: float) -> None:
    """A smooth stroke of changing width with round joins."""
    ends = (points * unit).tolist()
    for (x0, y0), (x1, y1), width in zip(ends, ends[1:], (widths * unit).tolist(), strict=False):
        pen.line([x0, y0, x1, y1], fill=255, width=max(1, round(width)))
        r = width / 2
        pen.ellipse([x1 - r, y1 - r, x1 + r, y1 + r], fill=255)


def _straight(rng: np.random.Generator, angle: float) -> list[tuple[float, float]]:
    """A line at `angle` right across the tile through a random point of it: its two ends in design pixels."""
    x, y = rng.uniform(12, 116, 2)
    dx, dy = 200 * math.cos(angle), 200 * math.sin(angle)
    return [(x - dx, y - dy), (x + dx, y + dy)]


def _half_plane(surface: Surface, rng: np.random.Generator, softness: float) -> np.ndarray:
    """1 on one side of a slightly wavy line, 0 on the other, with an edge `softness` design pixels wide."""
    angle = rng.uniform(0, 2 * math.pi)
    axis = np.arange(surface.size, dtype=np.float32) / surface.scale - 64
    distance = axis[None, :] * math.cos(angle) + axis[:, None] * math.sin(angle) + rng.uniform(-40, 40)
    distance = distance + rng.uniform(0, 5) * noise(rng, surface.size, 3)
    return np.clip(distance / softness + 0.5, 0, 1)


def _cast(surface: Surface, coverage: np.ndarray, rng: np.random.Generator) -> None:
    """Shade: direct light is gone, the blue of the sky stays."""
    tone = rng.uniform(0.45, 0.85)
    surface.tint(coverage, (tone * 0.98, tone, tone * rng.uniform(1.0, 1.1)))
