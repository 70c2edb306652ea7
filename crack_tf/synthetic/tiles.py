"""Procedural concrete with cracks: tiles, labels and pixel masks from a seed, so that the chain runs with no download.

A tile is one surface seen once: concrete texture, then whatever else is on it (stains, joints, formwork lines,
scratches, bugholes ...), then the crack if there is one, then light (shadows, gradient) and camera (blur, noise). The
surface depends on (seed, index) alone and its confounders are drawn without looking at the label, so
`render_tile(s, i, True)` and `render_tile(s, i, False)` are the same photograph with and without the crack: nothing but
the crack tells the classes apart.

Lengths below are in pixels of a 128-pixel tile and grow with the tile, except that a crack is never thinner than a
pixel.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from crack_tf.common.progress import bar
from tflite.errors import CrackError, ImageError
from tflite.files import read_json, write_bytes, write_json
from tflite.images import load_rgb
from tflite.manifest import LABELS
from tflite.outputs import Output, check_folder, clear_folder, json_with, remove_leftovers

FORMAT = "crack_tf.synthetic/1"
GENERATOR_VERSION = 1  # raise it whenever a tile of the same seed and index would look different
MIN_SIZE, MAX_SIZE = 32, 1024
MAX_COUNT = 99_998  # the names have five digits

_OVERSAMPLE = 4  # shapes are drawn this much larger and averaged down: antialiasing with 17 grey levels
# Gaussian noise by table: a random byte picks one of 256 equally likely quantiles. 64,000 a tile make it worth while.
_GAUSSIAN = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)
SETTINGS = "synthetic.json"
_TILES = "[0-9]" * 5 + ".png"
OUTPUT = Output(
    "crack-tf data fetch",
    json_with(SETTINGS, format=FORMAT),
    (SETTINGS, f"images/{_TILES}", *(f"images/{label}/{_TILES}" for label in LABELS), f"masks/{_TILES}"),
    first=SETTINGS,
)


@dataclass(frozen=True)
class SyntheticTile:
    """One rendered tile.

    Attributes:
        image: uint8 (size, size, 3), RGB.
        mask: bool (size, size); True where the crack covers at least half of the pixel. All False on a clean tile.
        label: 0 clean, 1 cracked.
        confounders: names of what else is on the surface, a subset of `CONFOUNDERS`, in drawing order.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int
    confounders: tuple[str, ...]


def render_tile(seed: int, index: int, cracked: bool, size: int = 128) -> SyntheticTile:
    """Render tile `index` of the set `seed`; the same arguments always give the same pixels.

    Args:
        seed: of the set, at least 0.
        index: of the tile, at least 0.
        cracked: whether to draw a crack on the surface.
        size: side in pixels, 32 to 1024.

    Raises:
        CrackError: if an argument is out of range.

    Example:
        >>> render_tile(seed=0, index=7, cracked=True).image.shape
        (128, 128, 3)
    """
    _check_integer("seed", seed, 0, 2**63 - 1)
    _check_integer("index", index, 0, 2**63 - 1)
    _check_integer("size", size, MIN_SIZE, MAX_SIZE)
    # Two streams: drawing a crack must not move anything else on the surface.
    rng = np.random.default_rng([seed, index, 0])
    confounders = _draw_confounders(rng)
    surface = _Surface(size, rng)
    for name in confounders:
        if not CONFOUNDERS[name].is_light:
            CONFOUNDERS[name].draw(surface, rng)
    mask = np.zeros((size, size), bool)
    if cracked:
        mask = _crack(surface, np.random.default_rng([seed, index, 1]))
    for name in confounders:
        if CONFOUNDERS[name].is_light:
            CONFOUNDERS[name].draw(surface, rng)
    return SyntheticTile(_photograph(surface, rng), mask, int(cracked), confounders)


def tile_confounders(seed: int, index: int) -> tuple[str, ...]:
    """The confounders of a tile without rendering it; the same for both labels."""
    return _draw_confounders(np.random.default_rng([seed, index, 0]))


def write_dataset(
    folder: str | Path,
    count: int = 1200,
    size: int = 128,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write `count` tiles, half of them cracked: `images/{crack,no_crack}/00001.png`, with masks in `masks/00001.png`.

    Tiles are numbered from 1; odd ones are cracked. A run that was interrupted goes on where it stopped, and a larger
    `count` adds tiles to an existing set, because a tile depends on seed and number alone. `synthetic.json` records
    what was made.

    Args:
        folder: where to write; made if missing.
        count: tiles of both classes together, at least 2.
        size: side in pixels, 32 to 1024.
        seed: of the set, at least 0.
        overwrite: replace a set made with other settings. Only files this function wrote are removed.
        progress: show how far it is, on stderr.

    Returns:
        The folder with one sub-folder per class: `folder/images`.

    Raises:
        CrackError: if an argument is out of range, or the folder holds something else or a set with other settings.
    """
    _write(Path(folder), count, size, seed, overwrite, progress, by_class=True)
    return Path(folder) / "images"


def write_pairs(
    folder: str | Path,
    count: int = 400,
    size: int = 256,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Like `write_dataset` for a set of photographs and masks: `images/00001.png` and `masks/00001.png`.

    Every second picture is crack-free and has a black mask.

    Returns:
        The folder that holds `images` and `masks`: `folder`.

    Raises:
        CrackError: see `write_dataset`.
    """
    _write(Path(folder), count, size, seed, overwrite, progress, by_class=False)
    return Path(folder)


def _write(folder: Path, count: int, size: int, seed: int, overwrite: bool, progress: bool, by_class: bool) -> None:
    _check_integer("count", count, 2, MAX_COUNT)
    _check_integer("size", size, MIN_SIZE, MAX_SIZE)
    _check_integer("seed", seed, 0, 2**63 - 1)
    settings = {"format": FORMAT, "generator_version": GENERATOR_VERSION, "seed": seed, "size": size}
    if not by_class:
        settings["layout"] = "pairs"
    _claim_folder(folder, settings, count, overwrite)
    remove_leftovers(folder, OUTPUT)

    totals = {label: dict.fromkeys(CONFOUNDERS, 0) for label in LABELS}
    # Written first as incomplete, so that an interrupted set can be told from somebody else's folder and be resumed.
    write_json(folder / SETTINGS, settings | {"count": count, "complete": False})
    for number in bar(range(1, count + 1), "synthetic tiles", count, "tile", shown=progress):
        label = number % 2
        images = folder / "images" / LABELS[label] if by_class else folder / "images"
        image_path = images / f"{number:05d}.png"
        mask_path = folder / "masks" / image_path.name
        if not (_is_whole(image_path, size) and _is_whole(mask_path, size)):
            tile = render_tile(seed, number, bool(label), size)
            write_bytes(mask_path, _png(tile.mask.astype(np.uint8) * 255))
            write_bytes(image_path, _png(tile.image))
        for name in tile_confounders(seed, number):
            totals[LABELS[label]][name] += 1
    write_json(
        folder / SETTINGS,
        settings
        | {
            "count": count,
            "complete": True,
            "classes": {LABELS[0]: count // 2, LABELS[1]: count - count // 2},
            "confounders": totals,
            "licence": "CC0-1.0",
        },
    )


# --- the surface ---------------------------------------------------------------------------------------------------


class _Surface:
    """Bare concrete to draw on.

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
        self.shade = 1 + _fractal(rng, size, slope=rng.uniform(-0.15, 0.5)) * np.float32(rng.uniform(0.02, 0.075))
        tint = _noise(rng, size, 3) * rng.uniform(0, 0.02)
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

        self.carve(_coverage(self.size, draw), depth=rng.uniform(0.75, 0.98), rim=rng.uniform(0, 0.2), floor=0.25)

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


def _photograph(surface: _Surface, rng: np.random.Generator) -> np.ndarray:
    """Light falling unevenly, then lens blur, sensor noise and 8 bits. Returns uint8 (size, size, 3)."""
    size = surface.size
    slope = rng.normal(0, 0.07, 2)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    light = (1 + slope[0] * axis[None, :] + slope[1] * axis[:, None]).astype(np.float32)
    pixels = surface.colour * (surface.shade * light)[..., None]
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(surface.scale * rng.uniform(0.2, 0.85)))
    # One luminance noise plus a weaker one per channel, as demosaicing leaves it.
    grain = _GAUSSIAN * np.float32(rng.uniform(0.5, 4))
    dice = rng.integers(0, 256, (size, size, 4), np.uint8)
    pixels = np.asarray(image) + (0.4 * grain)[dice[..., 1:]] + (grain + 0.5)[dice[..., :1]]
    return pixels.clip(0, 255).astype(np.uint8)


# --- the crack -----------------------------------------------------------------------------------------------------


def _crack(surface: _Surface, rng: np.random.Generator) -> np.ndarray:
    """Draw a crack with its branches on the surface and return its mask, bool (size, size)."""
    base = math.exp(rng.uniform(math.log(1.5), math.log(8)))
    start = rng.uniform(26, 102, 2)
    heading = rng.uniform(0, 2 * math.pi)
    wander, jitter = rng.uniform(0.1, 0.5), rng.uniform(0.15, 0.6)
    # Two arms from a point well inside, so that every crack is in the picture; most run out of it, some end.
    arms = [
        _walk(rng, start, heading + turn, base, 200 if rng.random() < 0.75 else rng.uniform(30, 70), wander, jitter)
        for turn in (0, math.pi)
    ]
    for _ in range(min(int(rng.poisson(0.7)), 4)):
        points, widths = arms[int(rng.integers(2))]
        at = int(rng.integers(len(points)))
        direction = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2) + (math.pi if rng.random() < 0.5 else 0)
        width = max(1.1, widths[at] * rng.uniform(0.35, 0.75))
        arms.append(_walk(rng, points[at], direction, width, rng.uniform(25, 90), wander, jitter))

    edges = [rng.uniform(0.6, 1.4, (2, len(points))) for points, _ in arms]
    angles = np.arange(0, 2 * math.pi, 1.0)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chips = [
        points[i] + rng.normal(0, widths[i] / 2, 2) + ring * widths[i] * rng.uniform(0.3, 1.0, (len(ring), 1))
        for points, widths in arms[:2]
        for i in rng.integers(0, len(points), 6)
    ]

    def draw_chips(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for corners in chips:
            pen.polygon((corners * unit).ravel().tolist(), fill=255)

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for (points, widths), ragged in zip(arms, edges, strict=True):
            _draw_ribbon(pen, points, widths, ragged, unit)

    coverage = _coverage(surface.size, draw)
    # Broken edges expose lighter paste, dirt settles along the lips: both lie outside the mask.
    if base > 2 and rng.random() < 0.4:
        surface.tint(_coverage(surface.size, draw_chips), (1 + rng.uniform(-0.12, 0.25),) * 3)
    halo = _blur(coverage, 2.0 * surface.scale)
    surface.shade *= 1 - rng.uniform(0, 0.25) * halo
    depth = rng.uniform(0.6, 0.88)
    inside = np.clip(0.95 + 0.12 * _noise(rng, surface.size, 24), 0.6, 1)
    surface.carve(coverage * inside, depth, rng.uniform(0, 0.35) * min(1.0, base / 3), floor=rng.uniform(0, 0.35))
    return coverage >= 0.5


def _walk(
    rng: np.random.Generator,
    start: np.ndarray,
    heading: float,
    width: float,
    length: float,
    wander: float,
    jitter: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One arm of a crack: points (n, 2) as (x, y) and widths (n,), in design pixels; a short arm tapers to its tip."""
    step = 2.0
    n = max(4, int(length / step))
    slow = np.interp(np.arange(n), np.arange(0, n + 12, 12), np.cumsum(rng.normal(0, wander, (n + 23) // 12)))
    # Each kink holds for two steps: a crack goes round grains, it does not tremble.
    kinks = np.repeat(rng.normal(0, jitter, n // 2 + 1), 2)[:n]
    angles = heading + slow + kinks
    offsets = step * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([start[None], start + np.cumsum(offsets, axis=0)])
    knots = np.exp(rng.normal(0, 0.35, n // 8 + 2))
    widths = width * np.interp(np.arange(n + 1) / 8, np.arange(len(knots)), knots)
    if length < 150:
        widths *= np.linspace(1, 0, n + 1) ** 0.5
    visible = np.all((points > -8) & (points < 136), axis=1)
    end = n + 1 if visible.all() else max(2, int(np.argmin(visible)) + 1)
    return points[:end], widths[:end]


def _draw_ribbon(
    pen: ImageDraw.ImageDraw, points: np.ndarray, widths: np.ndarray, ragged: np.ndarray, unit: float
) -> None:
    """Fill between the two edges of a crack, each ragged by itself (factors (2, n)): they do not run parallel."""
    # Thinner than a pixel of the finished tile, a crack would fade out of its own mask.
    half = np.maximum(widths * ragged * unit, 1.15 * _OVERSAMPLE) / 2
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    left = (points * unit + across * half[0][:, None]).tolist()
    right = (points * unit - across * half[1][:, None]).tolist()
    # Piece by piece: as one polygon, a crack that crosses itself would have holes.
    for i in range(len(points) - 1):
        pen.polygon([*left[i], *left[i + 1], *right[i + 1], *right[i]], fill=255)


def _draw_path(pen: ImageDraw.ImageDraw, points: np.ndarray, widths: np.ndarray, unit: float) -> None:
    """A smooth stroke of changing width with round joins."""
    ends = (points * unit).tolist()
    for (x0, y0), (x1, y1), width in zip(ends, ends[1:], (widths * unit).tolist(), strict=False):
        pen.line([x0, y0, x1, y1], fill=255, width=max(1, round(width)))
        r = width / 2
        pen.ellipse([x1 - r, y1 - r, x1 + r, y1 + r], fill=255)


# --- confounders ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Confounder:
    draw: Callable[[_Surface, np.random.Generator], None]
    probability: float
    is_light: bool = False  # falls on the finished surface, crack included


def _draw_confounders(rng: np.random.Generator) -> tuple[str, ...]:
    draws = rng.random(len(CONFOUNDERS))
    return tuple(name for (name, kind), u in zip(CONFOUNDERS.items(), draws, strict=True) if u < kind.probability)


def _trowel(surface: _Surface, rng: np.random.Generator) -> None:
    """Brushed or trowelled surface: fine parallel grooves."""
    streaks = _noise(rng, surface.size, (int(rng.integers(3, 12)), int(rng.integers(25, 80))))
    if rng.random() < 0.5:
        streaks = streaks.T
    strength = np.clip(rng.uniform(0, 1) + _noise(rng, surface.size, 3), 0, 1.5)
    surface.shade *= 1 + rng.uniform(0.02, 0.07) * streaks * strength


def _patch(surface: _Surface, rng: np.random.Generator) -> None:
    """Peeled laitance or old paint: an irregular area of another tone with a ragged edge."""
    field = _fractal(rng, surface.size, slope=1.2)
    edge = 1 / rng.uniform(0.03, 0.25)
    area = np.clip((field - rng.normal(0.6, 0.5)) * edge, 0, 1)
    tone = 1 + rng.choice([-1, 1]) * rng.uniform(0.08, 0.3)
    surface.tint(area, (tone, tone * rng.uniform(0.96, 1.04), tone * rng.uniform(0.92, 1.08)))


def _stain(surface: _Surface, rng: np.random.Generator) -> None:
    """Damp or oil: a dark blot with a soft, wandering outline and sometimes a tide line."""
    field = _noise(rng, surface.size, int(rng.integers(2, 5))) + 0.25 * _noise(rng, surface.size, 14)
    level = field - rng.normal(0.4, 0.4)
    tone = rng.uniform(0.55, 0.9)
    colour = (tone, tone * rng.uniform(0.95, 1), tone * rng.uniform(0.85, 1))
    surface.tint(np.clip(level * rng.uniform(1, 5), 0, 1), colour)
    if rng.random() < 0.4:
        tide = np.exp(-((level / rng.uniform(0.04, 0.1)) ** 2))
        surface.tint(tide, (rng.uniform(0.7, 0.95),) * 3)


def _run(surface: _Surface, rng: np.random.Generator) -> None:
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

    soft = _blur(_coverage(surface.size, draw), surface.scale * rng.uniform(0.8, 3))
    fade = np.clip(1 + 0.4 * _noise(rng, surface.size, 5), 0, 1.2) * rng.uniform(0.5, 1)
    surface.tint(np.clip(soft * fade, 0, 1), colour)


def _joint(surface: _Surface, rng: np.random.Generator) -> None:
    """Construction or expansion joint: a straight groove as dark as any crack; sometimes two that meet."""
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0, 0.08) if rng.random() < 0.6 else rng.uniform(0, math.pi)
    width = math.exp(rng.uniform(math.log(1.5), math.log(10)))
    lines = [_straight(rng, angle)]
    if rng.random() < 0.2:
        lines.append(_straight(rng, angle + math.pi / 2))

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for line in lines:
            pen.line([(x * unit, y * unit) for x, y in line], fill=255, width=max(_OVERSAMPLE, round(width * unit)))

    surface.carve(_coverage(surface.size, draw), depth=rng.uniform(0.4, 0.95), rim=rng.uniform(0, 0.35))


def _formwork(surface: _Surface, rng: np.random.Generator) -> None:
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

        surface.carve(_coverage(surface.size, draw), depth=rng.uniform(0.4, 0.85), rim=0.3)


def _scratch(surface: _Surface, rng: np.random.Generator) -> None:
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
    surface.tint(_coverage(surface.size, draw), (tone,) * 3)


def _bugholes(surface: _Surface, rng: np.random.Generator) -> None:
    """Air voids from the formwork face: dozens of holes, the largest a few pixels."""
    surface.pores(rng, count=int(rng.integers(10, 45)), largest=rng.uniform(2.5, 7))


def _shadow_soft(surface: _Surface, rng: np.random.Generator) -> None:
    """Shadow of something far away: a wide edge of half-shade."""
    _cast(surface, _half_plane(surface, rng, rng.uniform(8, 40)), rng)


def _shadow_hard(surface: _Surface, rng: np.random.Generator) -> None:
    """Shadow of something near: a sharp edge, or the bands of a railing or cable."""
    if rng.random() < 0.45:
        _cast(surface, _half_plane(surface, rng, rng.uniform(0.5, 2)), rng)
        return
    angle, width = rng.uniform(0, math.pi), math.exp(rng.uniform(math.log(2), math.log(25)))
    lines = [_straight(rng, angle) for _ in range(int(rng.integers(1, 3)))]

    def draw(pen: ImageDraw.ImageDraw, unit: float) -> None:
        for line in lines:
            pen.line([(x * unit, y * unit) for x, y in line], fill=255, width=round(width * unit))

    _cast(surface, _blur(_coverage(surface.size, draw), surface.scale * rng.uniform(0.3, 1)), rng)


# Order is drawing order. Probabilities give 1.7 confounders a tile on average, and one tile in six none.
CONFOUNDERS: dict[str, _Confounder] = {
    "trowel": _Confounder(_trowel, 0.15),
    "patch": _Confounder(_patch, 0.15),
    "stain": _Confounder(_stain, 0.18),
    "run": _Confounder(_run, 0.12),
    "formwork": _Confounder(_formwork, 0.15),
    "joint": _Confounder(_joint, 0.22),
    "bugholes": _Confounder(_bugholes, 0.22),
    "scratch": _Confounder(_scratch, 0.15),
    "shadow_soft": _Confounder(_shadow_soft, 0.18, is_light=True),
    "shadow_hard": _Confounder(_shadow_hard, 0.16, is_light=True),
}


# --- fields and shapes ---------------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, size: int, cells: int | tuple[int, int]) -> np.ndarray:
    """Smooth noise of about unit variance, float32 (size, size); `cells` blobs across, or (down, across)."""
    down, across = cells if isinstance(cells, tuple) else (cells, cells)
    # One cell of margin on each side, cut off again: resampling repeats the border, which would show as flat edges.
    grid = rng.standard_normal((down + 2, across + 2), dtype=np.float32)
    box = (1.0, 1.0, across + 1.0, down + 1.0)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC, box=box)) * np.float32(1.35)


def _fractal(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """Octaves from 2 to 110 blobs across, each weaker by `cells ** -slope`; float32 (size, size), unit variance."""
    octaves = (2, 6, 16, 42, 110)
    weights = np.array([cells**-slope for cells in octaves])
    weights /= np.sqrt(np.sum(weights**2))
    total = np.zeros((size, size), np.float32)
    for cells, weight in zip(octaves, weights, strict=True):
        total += np.float32(weight) * _noise(rng, size, cells)
    return total


def _coverage(size: int, draw: Callable[[ImageDraw.ImageDraw, float], None]) -> np.ndarray:
    """Share of each pixel that a drawing covers, float32 (size, size) in [0, 1].

    `draw(pen, unit)` draws in white on black; `unit` is one design pixel in canvas coordinates.
    """
    canvas = Image.new("L", (size * _OVERSAMPLE, size * _OVERSAMPLE))
    draw(ImageDraw.Draw(canvas), size * _OVERSAMPLE / 128)
    return np.asarray(canvas.reduce(_OVERSAMPLE), np.float32) / 255


def _blur(coverage: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((coverage * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / 255


def _shift(coverage: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Move the picture by whole pixels, repeating the border."""
    x, y = round(dx), round(dy)
    reach = max(abs(x), abs(y))
    size = len(coverage)
    return np.pad(coverage, reach, mode="edge")[reach - y : reach - y + size, reach - x : reach - x + size]


def _straight(rng: np.random.Generator, angle: float) -> list[tuple[float, float]]:
    """A line at `angle` right across the tile through a random point of it: its two ends in design pixels."""
    x, y = rng.uniform(12, 116, 2)
    dx, dy = 200 * math.cos(angle), 200 * math.sin(angle)
    return [(x - dx, y - dy), (x + dx, y + dy)]


def _half_plane(surface: _Surface, rng: np.random.Generator, softness: float) -> np.ndarray:
    """1 on one side of a slightly wavy line, 0 on the other, with an edge `softness` design pixels wide."""
    angle = rng.uniform(0, 2 * math.pi)
    axis = np.arange(surface.size, dtype=np.float32) / surface.scale - 64
    distance = axis[None, :] * math.cos(angle) + axis[:, None] * math.sin(angle) + rng.uniform(-40, 40)
    distance = distance + rng.uniform(0, 5) * _noise(rng, surface.size, 3)
    return np.clip(distance / softness + 0.5, 0, 1)


def _cast(surface: _Surface, coverage: np.ndarray, rng: np.random.Generator) -> None:
    """Shade: direct light is gone, the blue of the sky stays."""
    tone = rng.uniform(0.45, 0.85)
    surface.tint(coverage, (tone * 0.98, tone, tone * rng.uniform(1.0, 1.1)))


# --- files ---------------------------------------------------------------------------------------------------------


def _claim_folder(folder: Path, settings: dict[str, Any], count: int, overwrite: bool) -> None:
    """Let only an absent or empty folder through, or one whose set can be gone on with; clear it where asked to."""
    if overwrite or not (folder / SETTINGS).exists():
        hint = "It is no synthetic data set, so it is left alone. Choose another folder."
        check_folder(folder, OUTPUT, overwrite, hint=hint)
    if not (folder / SETTINGS).exists():
        return
    found = read_json(folder / SETTINGS)
    keys = sorted({*settings, *(found.keys() & {"layout"})})
    differs = [
        f"{key} {found.get(key)!r}, not {settings.get(key)!r}" for key in keys if found.get(key) != settings.get(key)
    ]
    if not isinstance(found.get("count"), int) or found["count"] > count:
        differs.append(f"count {found.get('count')!r}, not {count}")
    if not differs:
        return
    if not overwrite:
        problem = "; ".join(differs)
        raise CrackError(f"{folder} holds a synthetic set of {problem}. Choose another folder, or overwrite it.")
    clear_folder(folder, OUTPUT)


def _is_whole(path: Path, size: int) -> bool:
    if not path.exists():
        return False
    try:
        return load_rgb(path).shape == (size, size, 3)
    except ImageError:
        return False


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    # Sensor noise repeats nothing: coding bytes by their frequency alone is the fastest here and the smallest too.
    Image.fromarray(pixels).save(out, "PNG", compress_type=zlib.Z_HUFFMAN_ONLY)
    return out.getvalue()


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise CrackError(f"{name} is {value!r}: give a whole number from {low} to {high:,}.")
