"""A concrete wall without end, drawn from a seed: any part of it can be looked at, and shows the same each time.

Everything on the wall is a function of the seed and of the place: noise comes from hashed lattice points, pores and stains from
generators seeded by the patch they lie in. So neighbouring views fit without seams, and memory is that of one view.

Places are (x, y) in pixels of the wall, y downwards, at the scale at which it will be photographed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crack_tf.synthetic.surface import GAUSSIAN
from tflite.device.tiles import Box

_PATCH = 512  # pixels; pores and stains are drawn by patch
_REACH = 420  # pixels; nothing that belongs to a patch is larger
_OVERSAMPLE = 4
_STEP = 4.0  # pixels between two points of a crack


@dataclass(frozen=True)
class WallCrack:
    """A crack with known shape.

    Attributes:
        points: float (n, 2), its centreline.
        reach: float (2, n), pixels from there to its two edges, which do not run parallel.
        depth: how dark it is inside, 0 to 1.
    """

    points: np.ndarray
    reach: np.ndarray
    depth: float

    @property
    def widths(self) -> np.ndarray:
        """Pixels, float (n,)."""
        return np.asarray(self.reach.sum(axis=0))

    @property
    def length(self) -> float:
        """The centreline's, in pixels."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    @property
    def mean_width(self) -> float:
        """Over the length, pixels."""
        return float(self.widths.mean())


@dataclass(frozen=True)
class Wall:
    """A pier in front of sky, leaves and water.

    Attributes:
        seed: of everything on it.
        pier: what of the plane is concrete.
        cracks: on the pier.
    """

    seed: int
    pier: Box
    cracks: tuple[WallCrack, ...]

    def view(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Look straight at a part.

        Args:
            x, y: of its upper left corner; any integers.
            width, height: pixels, at least 1.

        Returns:
            uint8 (height, width, 3), and float32 (height, width): the share of each pixel that cracks cover.
        """
        frame = _Frame(self.seed, x, y, width, height)
        inside = _pier_mask(frame, self.pier)
        if not inside.any():
            return _background(frame, self.pier).clip(0, 255).astype(np.uint8), np.zeros((height, width), np.float32)
        concrete = _concrete(frame, self.pier)
        cover = np.zeros((height, width), np.float32)
        for crack in self.cracks:
            _draw_crack(frame, crack, concrete, cover)
        edge = _edge_shade(frame, self.pier)[..., np.newaxis]
        pixels = concrete * edge * inside[..., np.newaxis]
        if inside.min() < 1:
            pixels += _background(frame, self.pier) * (1 - inside[..., np.newaxis])
        return pixels.clip(0, 255).astype(np.uint8), cover * (inside > 0.5)


def crack_light(crack: WallCrack, width: int, height: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A crack for any picture.

    Args:
        crack: in pixels of the picture.
        width, height: of the picture.
        seed: of how evenly it is dark.

    Returns:
        float32 (height, width): the share of the light that is left, a little above 1 on the crack's lower lip; and the share of each
        pixel that the crack covers, as large.
    """
    light, cover = np.ones((height, width, 1), np.float32), np.zeros((height, width), np.float32)
    _draw_crack(_Frame(seed, 0, 0, width, height), crack, light, cover)
    return light[..., 0], cover


def draw_walk(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, width: float
) -> WallCrack:
    """A crack as cracks run: straight on average, round grains, of uneven width, with fine tips.

    Args:
        rng: decides the shape.
        start: one end.
        heading: radians, 0 to the right, clockwise as seen.
        length: about that of the centreline, pixels.
        width: mean, pixels.
    """
    count = max(8, round(length / _STEP))
    slow = np.cumsum(rng.normal(0, 0.16, count // 20 + 3))
    slow -= slow.mean()
    kinks = np.repeat(rng.normal(0, 0.38, count // 3 + 2), 3)[:count]
    fine = np.repeat(rng.normal(0, 0.12, count // 2 + 2), 2)[:count]
    turn = np.interp(np.arange(count), np.arange(len(slow)) * 20, slow)
    angles = heading + turn + kinks + fine
    offsets = _STEP * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([np.array([start]), np.array([start]) + np.cumsum(offsets, axis=0)])
    knots = np.exp(rng.normal(0, 0.28, count // 12 + 3))
    widths = np.interp(np.arange(count + 1) / 12, np.arange(len(knots)), knots)
    along = np.minimum(np.arange(count + 1), np.arange(count + 1)[::-1]) * _STEP
    widths *= np.clip(0.35 + along / 60, 0, 1)
    reach = widths * rng.uniform(0.55, 1.45, (2, count + 1))
    reach *= width / reach.sum(axis=0).mean()
    return WallCrack(points, reach, float(rng.uniform(0.55, 0.82)))


# --- one view ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """What is looked at: the seed, and the view's place and size."""

    seed: int
    x: int
    y: int
    w: int
    h: int

    def noise(self, key: int, across: int, down: int = 0) -> np.ndarray:
        """Smooth noise of about unit variance with blobs of that size in pixels, float32 (h, w)."""
        down = down or across
        left, top = self.x // across - 2, self.y // down - 2
        columns = np.arange(left, -(-(self.x + self.w) // across) + 3)
        rows = np.arange(top, -(-(self.y + self.h) // down) + 3)
        lattice = GAUSSIAN[_hash(self.seed, key, columns[np.newaxis, :], rows[:, np.newaxis])]
        x, y = self.x / across - left, self.y / down - top
        box = (x, y, x + self.w / across, y + self.h / down)
        smooth = Image.fromarray(lattice).resize((self.w, self.h), Image.Resampling.BICUBIC, box=box)
        return np.asarray(smooth) * np.float32(1.35)

    def along_x(self, key: int, cell: int) -> np.ndarray:
        """Smooth noise of the column alone, whichever rows are looked at: float32 (1, w)."""
        return _Frame(self.seed, self.x, 0, self.w, 1).noise(key, cell)

    def along_y(self, key: int, cell: int) -> np.ndarray:
        """Smooth noise of the row alone, whichever columns are looked at: float32 (h, 1)."""
        return _Frame(self.seed, 0, self.y, 1, self.h).noise(key, cell)

    def patches(self, key: int) -> list[tuple[int, int, np.random.Generator]]:
        """Corner, relative to the view, and generator of every patch whose things may be seen."""
        found = []
        for row in range((self.y - _REACH) // _PATCH, (self.y + self.h + _REACH) // _PATCH + 1):
            for column in range((self.x - _REACH) // _PATCH, (self.x + self.w + _REACH) // _PATCH + 1):
                number = int(_hash64(self.seed, key, np.array(column), np.array(row)))
                found.append((column * _PATCH - self.x, row * _PATCH - self.y, np.random.default_rng(number)))
        return found

    def generator(self, key: int) -> np.random.Generator:
        """Random numbers for what holds for the whole wall."""
        return np.random.default_rng([self.seed, key])


def _hash64(seed: int, key: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """splitmix64 (Steele, Lea, Flood, OOPSLA 2014) over seed, key and place; uint64, broadcast over x and y."""
    with np.errstate(over="ignore"):
        z = (
            x.astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            + y.astype(np.int64).astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
            + np.uint64((seed * 0xD6E8FEB86659FD93 + key * 0xA0761D6478BD642F) % 2**64)
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))


def _hash(seed: int, key: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """0 to 255 for every place."""
    return (_hash64(seed, key, x, y) >> np.uint64(56)).astype(np.intp)


# --- concrete ------------------------------------------------------------------------------------------------------


def _concrete(frame: _Frame, pier: Box) -> np.ndarray:
    """Bare concrete with what is on it but cracks, float32 (h, w, 3)."""
    rng = frame.generator(1)
    warmth = rng.normal(0.025, 0.02)
    paste = rng.uniform(140, 190) * np.array([1 + warmth, 1 + rng.normal(0, 0.006), 1 - 1.3 * warmth])
    octaves = ((3, 0.016), (7, 0.015), (18, 0.014), (46, 0.016), (140, 0.026), (480, 0.04), (1700, 0.05))
    roughness = rng.uniform(0.7, 1.3)
    shade = np.ones((frame.h, frame.w), np.float32)
    for number, (cell, strength) in enumerate(octaves):
        shade += np.float32(strength * (roughness if cell < 100 else 1)) * frame.noise(10 + number, cell)
    shade *= 1 + np.float32(0.02) * frame.noise(20, 60, 7) * np.clip(
        frame.noise(21, 700), 0, 1.5
    )  # trowelled in places
    grains = _hash(
        frame.seed, 22, np.arange(frame.x, frame.x + frame.w)[None], np.arange(frame.y, frame.y + frame.h)[:, None]
    )
    shade[grains == 0] *= np.float32(0.86)
    shade[grains == 1] *= np.float32(1.1)
    _boards(frame, pier, shade)
    _pores(frame, shade)
    tint = frame.noise(23, 900) * np.float32(0.012)
    pixels = np.empty((frame.h, frame.w, 3), np.float32)
    for channel, sign in enumerate((1, 0, -1)):
        pixels[..., channel] = np.float32(paste[channel]) * (1 + sign * tint) * shade
    _stains(frame, pixels)
    return pixels


def _boards(frame: _Frame, pier: Box, shade: np.ndarray) -> None:
    """Marks of the formwork: panels of slightly different tone, and the fine ridge between two."""
    rng = frame.generator(2)
    panel = int(rng.integers(900, 1500))
    y = np.arange(frame.y, frame.y + frame.h) - pier.y + int(rng.integers(0, panel))
    tone = 1 + 0.035 * GAUSSIAN[_hash(frame.seed, 31, np.zeros(1, int), y // panel)]
    wander = frame.along_x(32, 160)
    distance = np.abs((y[:, None] + wander + panel / 2) % panel - panel / 2)
    ridge = np.clip(2.2 - distance, 0, 1) * np.clip(0.8 + 0.6 * frame.noise(33, 40), 0, 1)
    shade *= tone.astype(np.float32)[:, None] * (1 + np.float32(rng.uniform(0.06, 0.14)) * ridge.astype(np.float32))


def _pores(frame: _Frame, shade: np.ndarray) -> None:
    """Air voids: round, dark, the lower rim bright since light comes from above."""
    import cv2

    cover = Image.new("L", (frame.w * 2, frame.h * 2))
    pen = ImageDraw.Draw(cover)
    for left, top, rng in frame.patches(3):
        for _ in range(int(rng.poisson(70 if rng.random() < 0.8 else 160))):
            x, y = left + rng.uniform(0, _PATCH), top + rng.uniform(0, _PATCH)
            a = min(0.6 + rng.exponential(1.1), 9)
            b, fill = a * rng.uniform(0.6, 1), int(rng.integers(70, 230))
            if -10 < x < frame.w + 10 and -10 < y < frame.h + 10:
                pen.ellipse([2 * (x - a), 2 * (y - b), 2 * (x + a), 2 * (y + b)], fill=fill)
    dark = np.asarray(cover.reduce(2), np.float32) / 255
    if not dark.any():
        return
    lip = _lower_lip(dark)
    shade *= (1 - 0.75 * cv2.GaussianBlur(dark, (0, 0), 0.6)) * (1 + 0.25 * lip)


def _stains(frame: _Frame, pixels: np.ndarray) -> None:
    """Damp blots with soft outlines, and runs of water or rust downwards."""
    import cv2

    level = frame.noise(40, 800) + 0.3 * frame.noise(41, 130) - 1.1
    damp = np.clip(level * 2, 0, 1)
    for channel, factor in enumerate((0.80, 0.79, 0.76)):
        pixels[..., channel] *= 1 + damp * np.float32(factor - 1)
    runs = np.zeros((frame.h, frame.w), np.uint8)
    for left, top, rng in frame.patches(4):
        if rng.random() > 0.16:
            continue
        x, y = left + rng.uniform(0, _PATCH), top + rng.uniform(0, _PATCH)
        length, width = rng.uniform(120, _REACH - 20), rng.uniform(8, 34)
        steps = np.linspace(0, 1, 24)
        middle = x + np.cumsum(rng.normal(0, 2.0, 24))
        half = width * np.clip(1.1 - steps, 0.1, 1) / 2
        outline = np.stack(
            [np.r_[middle - half, (middle + half)[::-1]], y + length * np.r_[steps, steps[::-1]]], axis=1
        )
        cv2.fillPoly(runs, [outline.round().astype(np.int32)], int(rng.integers(60, 200)))
    if runs.any():
        soft = cv2.GaussianBlur(runs, (0, 0), 7).astype(np.float32) / 255
        soft *= np.clip(1 + 0.4 * frame.noise(42, 30, 200), 0, 1.3)
        for channel, factor in enumerate((0.78, 0.66, 0.54)):
            pixels[..., channel] *= 1 + soft * np.float32(factor - 1)


def _pier_mask(frame: _Frame, pier: Box) -> np.ndarray:
    """1 on the pier, 0 beside it, float32 (h, w); its edges are not quite straight."""
    x = np.arange(frame.x, frame.x + frame.w, dtype=np.float32)[None]
    y = np.arange(frame.y, frame.y + frame.h, dtype=np.float32)[:, None]
    across, down = frame.along_y(50, 90), frame.along_x(51, 90)
    inside = np.minimum(
        np.minimum(x - pier.x + 0.7 * across, pier.x + pier.w - x + 0.7 * across),
        np.minimum(y - pier.y + 0.7 * down, pier.y + pier.h - y + 0.7 * down),
    )
    return np.asarray(np.clip(inside / 2 + 0.5, 0, 1))


def _edge_shade(frame: _Frame, pier: Box) -> np.ndarray:
    """The chamfered edges of the pier, float32 (h, w): light on one side, in the shade on the other."""
    x = np.arange(frame.x, frame.x + frame.w, dtype=np.float32)
    y = np.arange(frame.y, frame.y + frame.h, dtype=np.float32)

    def falling(distance: np.ndarray) -> np.ndarray:
        return np.clip(1 - distance / 34, 0, 1)

    across = 1 + 0.16 * (falling(x - pier.x) > 0) - 0.26 * (falling(pier.x + pier.w - x) > 0)
    down = 1 - 0.3 * falling((pier.y + pier.h - y) / 5)  # wet above the water
    return np.asarray(across[None] * down[:, None], np.float32)


# --- cracks and background -------------------------------------------------------------------------------------------


def _draw_crack(frame: _Frame, crack: WallCrack, concrete: np.ndarray, cover: np.ndarray) -> None:
    """Darken the concrete where the crack is, and add to what cracks cover."""
    import cv2

    margin = 12
    low = np.floor(crack.points.min(axis=0) - crack.widths.max()).astype(int) - margin - (frame.x, frame.y)
    high = np.ceil(crack.points.max(axis=0) + crack.widths.max()).astype(int) + margin - (frame.x, frame.y)
    x0, y0 = max(0, low[0]), max(0, low[1])
    x1, y1 = min(frame.w, high[0]), min(frame.h, high[1])
    if x0 >= x1 or y0 >= y1:
        return
    fine = _ribbon(crack, np.array([frame.x + x0, frame.y + y0]), (y1 - y0, x1 - x0))
    share = fine.reshape(y1 - y0, _OVERSAMPLE, x1 - x0, _OVERSAMPLE).mean(axis=(1, 3), dtype=np.float32)
    part = _Frame(frame.seed, frame.x + x0, frame.y + y0, x1 - x0, y1 - y0)
    halo = cv2.GaussianBlur(share, (0, 0), 5)
    inside = np.clip(0.92 + 0.14 * part.noise(60, 9), 0.55, 1)
    lip = _lower_lip(share)
    factor = (1 - crack.depth * inside * cv2.GaussianBlur(share, (0, 0), 0.7)) * (1 - 0.16 * halo) * (1 + 0.22 * lip)
    concrete[y0:y1, x0:x1] *= factor[..., np.newaxis]
    np.maximum(cover[y0:y1, x0:x1], share, out=cover[y0:y1, x0:x1])


def _ribbon(crack: WallCrack, corner: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What lies between the two edges, bool, `_OVERSAMPLE` samples to a pixel each way.

    A sample counts where its middle lies inside: pens that fill pixels which an edge only touches (Pillow's) draw a crack up to a quarter
    of a pixel wider than it is said to be. Filled piece by piece: as one polygon, a crack that crosses itself would have holes.

    Args:
        crack: on the wall.
        corner: x and y of the view.
        shape: height and width of the view, in pixels.
    """
    from skimage.draw import disk, polygon

    points = (crack.points - corner) * _OVERSAMPLE
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    reach = crack.reach[..., np.newaxis] * _OVERSAMPLE
    left, right = points + across * reach[0], points - across * reach[1]
    radii = crack.reach.min(axis=0) * _OVERSAMPLE
    fine = np.zeros((shape[0] * _OVERSAMPLE, shape[1] * _OVERSAMPLE), bool)
    pieces = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    seen = (pieces.max(axis=1) >= 0).all(axis=1) & (pieces.min(axis=1) < fine.shape[::-1]).all(axis=1)
    for number in np.flatnonzero(seen):
        x, y = pieces[number].T
        fine[polygon(y, x, fine.shape)] = True
        if radii[number] > 0:
            fine[disk(points[number, ::-1], radii[number], shape=fine.shape)] = True
    return fine


def _background(frame: _Frame, pier: Box) -> np.ndarray:
    """Sky above, leaves at the sides, water below; out of focus, float32 (h, w, 3)."""
    import cv2

    y = np.arange(frame.y, frame.y + frame.h, dtype=np.float32)[:, None]
    sky_line = pier.y + 0.25 * pier.h + 60 * frame.along_x(70, 140)
    shore = pier.y + 0.93 * pier.h + 6 * frame.along_x(71, 90)
    cloud = np.clip(0.5 + 0.5 * frame.noise(72, 600, 260) + 0.15 * frame.noise(73, 150, 90), 0, 1)
    sky = _mix(cloud, (118, 164, 214), (222, 228, 233))
    leaf = 0.5 + 0.32 * frame.noise(74, 14) + 0.3 * frame.noise(75, 40) + 0.2 * frame.noise(76, 5)
    leaves = _mix(np.clip(leaf, 0, 1), (18, 34, 14), (122, 152, 72))
    ripple = 0.5 + 0.3 * frame.noise(77, 90, 12) + 0.2 * frame.noise(78, 30, 5)
    water = _mix(np.clip(ripple, 0, 1), (38, 62, 66), (122, 150, 152))
    above = np.clip((sky_line - y) / 24 + 0.5, 0, 1)[..., None]
    below = np.clip((y - shore) / 3 + 0.5, 0, 1)[..., None]
    pixels = (sky * above + leaves * (1 - above)) * (1 - below) + water * below
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0))


def _lower_lip(cover: np.ndarray) -> np.ndarray:
    """The two rows below what is covered, which light from above falls on; what leaves the view does not come back on top."""
    above = np.zeros_like(cover)
    above[2:] = cover[:-2]
    return np.clip(above - cover, 0, 1)


def _mix(share: np.ndarray, dark: tuple[int, ...], light: tuple[int, ...]) -> np.ndarray:
    """From one colour to the other, float32 (h, w, 3)."""
    low, high = np.array(dark, np.float32), np.array(light, np.float32)
    result: Any = low + share.astype(np.float32)[..., None] * (high - low)
    return np.asarray(result)
