"""Structured grounds for drawn pictures: brickwork, shuttering, spalling and coarse surfaces, the same with and without a crack.

A joint beside every crack-free picture and none beside the cracked ones would teach that joints are no cracks by teaching that what
lies on joints is none. So a ground is laid on a picture before it is decided whether a crack runs over it, and a crack in brickwork
may follow the joints, as it does in walls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_STEEL = np.array([0.62, 0.42, 0.30], np.float32)  # of the light, red first: rusty bars


@dataclass(frozen=True)
class Ground:
    """A picture with a structure on it.

    Attributes:
        pixels: uint8 (s, s, 3).
        path: float32 (n, 2), x and y of a way that a crack would take along the structure; None where there is none.
    """

    pixels: np.ndarray
    path: np.ndarray | None = None


def masonry(pixels: np.ndarray, rng: np.random.Generator) -> Ground:
    """Bricks or blocks in courses, each of a colour of its own, with recessed or flush joints; the texture is the picture's."""
    size = len(pixels)
    height = rng.uniform(0.10, 0.42) * size
    length, joint = height * rng.uniform(1.6, 3.2), max(1.5, height * rng.uniform(0.04, 0.16))
    shift, start = rng.choice([0.5, 0.5, 0.33, 0.0]), rng.uniform(-1, 0, 2) * (length, height)
    # On a canvas with room for the turn.
    canvas = round(1.5 * size)
    green = rng.uniform(0.5, 1.0) if rng.uniform() < 0.6 else 1.0
    colour = np.array([1.0, green, green * (rng.uniform(0.6, 1.05) if green < 1 else 1.0)], np.float32)
    spread, light = rng.uniform(0.03, 0.22), rng.uniform(0.6, 1.0)
    mortar = rng.uniform(0.35, 0.85) if rng.uniform() < 0.45 else rng.uniform(0.95, 1.5)
    bricks = np.full((canvas, canvas, 3), mortar, np.float32)
    rows, columns = int(canvas / height) + 2, int(canvas / length) + 2
    for row in range(rows):
        for column in range(-1, columns):
            x, y = start[0] + (column + row * shift % 1) * length, start[1] + row * height
            corners = np.rint(
                np.array([[x, y], [x + length - joint, y + height - joint]]) + rng.normal(0, joint / 8, (2, 2))
            ).astype(int)
            tone = colour * light * (1 + rng.normal(0, spread) + rng.normal(0, spread / 5, 3).astype(np.float32))
            cv2.rectangle(bricks, corners[0].tolist(), corners[1].tolist(), np.clip(tone, 0.1, 1.6).tolist(), -1)
    path = _along_joints(rng, start, (length, height), shift, joint, canvas)
    if rng.uniform() < 0.6:  # recessed joints lie in the shadow of one edge
        depth = bricks.mean(axis=2)
        shade = np.roll(depth, (round(joint / 3) or 1, 0 if rng.uniform() < 0.5 else 1), (0, 1)) - depth
        bricks *= np.clip(1 - rng.uniform(0.1, 0.6) * np.abs(shade), 0.4, 1)[..., None]
    bricks = _ragged(bricks, joint * rng.uniform(0.0, 0.35), rng)
    bricks *= (1 + rng.uniform(0, 0.12) * _noise(canvas, int(rng.integers(20, 120)), rng))[..., None]
    bricks = cv2.GaussianBlur(bricks, (0, 0), float(rng.uniform(0.5, 1.6)))
    turn = cv2.getRotationMatrix2D((canvas / 2, canvas / 2), float(rng.choice([0, 0, 0, 90]) + rng.normal(0, 3)), 1.0)
    turn[:, 2] -= (canvas - size) / 2
    laid = cv2.warpAffine(bricks, turn, (size, size))
    grey = (
        pixels.astype(np.float32)
        if rng.uniform() < 0.5
        else np.repeat(pixels.mean(axis=2, keepdims=True, dtype=np.float32), 3, axis=2)
    )
    return Ground(
        np.clip(grey * laid, 0, 255).astype(np.uint8),
        (np.column_stack([path, np.ones(len(path))]) @ turn.T).astype(np.float32),
    )


def _ragged(picture: np.ndarray, by: float, rng: np.random.Generator) -> np.ndarray:
    """Edges worn by some pixels."""
    size = len(picture)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    cells = int(rng.integers(20, 90))
    x += by * _noise(size, cells, rng)
    y += by * _noise(size, cells, rng)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _along_joints(
    rng: np.random.Generator, start: np.ndarray, brick: tuple[float, float], shift: float, joint: float, canvas: int
) -> np.ndarray:
    """Steps down a wall: along a bed joint for some bricks, down a head joint, and so on; sometimes straight through a brick."""
    length, height = brick
    row, x = 0, rng.uniform(0.25, 0.75) * canvas
    way, points = rng.choice([-1, 1]), []
    drift = rng.uniform(0.0, 1.2)
    while row * height + start[1] < canvas:
        y = row * height + start[1] - joint / 2
        points.append((x, y))
        if rng.uniform() < 0.25:
            way = -way
        goal = x + way * rng.uniform(0, drift) * length
        first = start[0] + row * shift % 1 * length - joint / 2
        if rng.uniform() < 0.85:
            goal = first + round((goal - first) / length) * length  # the head joint next to it
        if abs(goal - x) > 1:
            points.append((goal, y))
        x = goal
        row += 1
    points.append((x, canvas))
    return np.array(points)


def shuttering(pixels: np.ndarray, rng: np.random.Generator) -> Ground:
    """Boards side by side as shuttering leaves them: each a little lighter or darker, with grain, ridges between them, and tie holes."""
    size = len(pixels)
    step = rng.uniform(0.12, 0.6) * size
    along = np.ones((size, 2 * size), np.float32)
    lengthwise = cv2.resize(
        rng.normal(0, 1, (size, 8)).astype(np.float32), (2 * size, size), interpolation=cv2.INTER_CUBIC
    )
    along += rng.uniform(0, 0.06) * cv2.GaussianBlur(lengthwise, (0, 0), 0.8)
    y = rng.uniform(-step, 0)
    while y < size:
        tone, ridge = 1 + rng.normal(0, 0.06), max(1, round(rng.uniform(0.7, 5)))
        along[max(0, round(y)) : max(0, round(y + step))] *= tone
        place = round(y)
        if 0 <= place < size and rng.uniform() < 0.9:
            along[place : place + ridge] *= rng.uniform(0.4, 1.25)
            along[place + ridge : place + ridge + max(1, ridge // 2)] *= rng.uniform(0.9, 1.25)
        if rng.uniform() < 0.5:
            x = int(rng.uniform(0.1, 1.9) * size)  # a board's end
            along[max(0, round(y)) : max(0, round(y + step)), x : x + max(1, ridge - 1)] *= rng.uniform(0.45, 1.1)
        if rng.uniform() < 0.2:
            centre = int(rng.uniform(0.2, 1.8) * size), round(y + step / 2)
            cv2.circle(
                along, centre, round(rng.uniform(0.015, 0.05) * size), float(rng.uniform(0.2, 0.7)), -1, cv2.LINE_4
            )
        y += step
    along = cv2.GaussianBlur(along, (0, 0), float(rng.uniform(0.5, 1.4)))
    turn = cv2.getRotationMatrix2D((size, size / 2), float(rng.choice([0, 90]) + rng.normal(0, 4)), 1.1)
    turn[0, 2] -= size / 2
    laid = cv2.warpAffine(along, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    return Ground(np.clip(pixels * laid[..., None], 0, 255).astype(np.uint8))


def spalling(pixels: np.ndarray, rng: np.random.Generator) -> Ground:
    """Cover that broke off: a ragged patch of coarse aggregate with a shaded rim, rust, and at times bars in it."""
    size = len(pixels)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    away = np.hypot(
        (x - rng.uniform(-0.3, 0.3)) / rng.uniform(0.2, 0.6), (y - rng.uniform(-0.3, 0.3)) / rng.uniform(0.2, 0.6)
    )
    ragged = sum(share * _noise(size, cells, rng) for cells, share in ((4, 0.35), (10, 0.22), (28, 0.12), (70, 0.05)))
    patch = (away + ragged < rng.uniform(0.5, 1.1)).astype(np.float32)
    patch = cv2.GaussianBlur(patch, (0, 0), float(rng.uniform(0.6, 1.5)))
    texture = (
        1
        + rng.uniform(0.08, 0.3) * _noise(size, int(rng.integers(15, 50)), rng)
        + rng.uniform(0.03, 0.15) * _noise(size, size // 2, rng)
    )
    for _ in range(int(rng.integers(0, 120))):  # stones
        centre, radius = rng.integers(0, size, 2).tolist(), rng.uniform(0.008, 0.035, 2) * size
        _stone(texture, centre, radius, (0.55, 1.4), rng)
    light = rng.uniform(0.55, 1.1)
    inside = (
        cv2.GaussianBlur(pixels, (0, 0), 3).astype(np.float32)
        * (light * cv2.GaussianBlur(texture, (0, 0), 0.8))[..., None]
    )
    rust = np.clip(_noise(size, 6, rng) + rng.uniform(-1, 1), 0, 1)[..., None] * (rng.uniform() < 0.7)
    inside *= 1 - rust * (1 - _STEEL * rng.uniform(1.0, 1.5))
    if rng.uniform() < 0.5:
        inside = _bars(inside, rng)
    height = cv2.GaussianBlur(patch, (0, 0), float(rng.uniform(1, 4)))
    slope = cv2.Sobel(height, cv2.CV_32F, 1, 0) * np.cos(sun := rng.uniform(0, 2 * np.pi)) + cv2.Sobel(
        height, cv2.CV_32F, 0, 1
    ) * np.sin(sun)
    shade = np.clip(1 + rng.uniform(0.3, 2) * slope, 0.3, 1.15)
    rim = patch[..., None]
    laid = (pixels * (1 - rim) + inside * rim) * shade[..., None]
    streaks = _noise(size, 14, rng, tall=True) * np.clip(
        cv2.GaussianBlur(np.maximum.accumulate(patch, axis=0), (0, 0), 5), 0, 1
    )
    laid *= 1 - (np.clip(streaks, 0, 1) * (rng.uniform() < 0.4) * rng.uniform(0, 0.7))[..., None] * (1 - _STEEL)
    return Ground(np.clip(laid, 0, 255).astype(np.uint8))


def aggregate(pixels: np.ndarray, rng: np.random.Generator) -> Ground:
    """Coarse surfaces: exposed aggregate, washed or worn concrete, asphalt. Grains, stones and pits on the picture's light."""
    size = len(pixels)
    base = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(1, 5))).astype(np.float32)
    if rng.uniform() < 0.4:
        base = np.repeat(base.mean(axis=2, keepdims=True), 3, axis=2)
    grain = rng.normal(0, 1, (size, size)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), sigma := float(rng.uniform(0.5, 2.5))) * 2 * sigma
    texture = 1 + rng.uniform(0.05, 0.28) * np.clip(grain, -2, 2)
    texture += rng.uniform(0, 0.12) * _noise(size, int(rng.integers(10, 60)), rng) + rng.uniform(0, 0.08) * _noise(
        size, 5, rng
    )
    radius, tones = rng.uniform(0.006, 0.05), (rng.uniform(0.4, 1.0), rng.uniform(1.0, 1.6))
    stones = np.ones((size, size), np.float32)
    for _ in range(int(rng.uniform(0, 0.7) / (np.pi * radius**2)) if rng.uniform() < 0.7 else 0):
        radii = radius * size * rng.uniform(0.4, 1.3, 2)
        _stone(stones, rng.integers(0, size, 2).tolist(), radii, tones, rng)
    texture *= cv2.GaussianBlur(stones, (0, 0), float(rng.uniform(0.5, 1.5)))
    return Ground(np.clip(base * rng.uniform(0.4, 1.05) * texture[..., None], 0, 255).astype(np.uint8))


def _stone(
    texture: np.ndarray, centre: list[int], radii: np.ndarray, tones: tuple[float, float], rng: np.random.Generator
) -> None:
    """Set an ellipse of `texture`, turned at random, to a tone between two."""
    axes = np.maximum(1, radii).astype(int).tolist()
    angle, tone = float(rng.uniform(0, 180)), float(rng.uniform(*tones))
    cv2.ellipse(texture, centre, axes, angle, 0, 360, tone, -1)


def _bars(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three ribbed bars across, round and rusty, with a shadow on one side."""
    size, angle = len(pixels), rng.uniform(0, np.pi)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        turned = angle + rng.normal(0, 0.05) + (np.pi / 2 if rng.uniform() < 0.25 else 0)
        across = (x - size / 2) * np.sin(turned) - (y - size / 2) * np.cos(turned) - rng.uniform(-0.4, 0.4) * size
        along = (x - size / 2) * np.cos(turned) + (y - size / 2) * np.sin(turned)
        half = rng.uniform(0.01, 0.045) * size
        round_ = np.sqrt(np.clip(1 - (across / half) ** 2, 0, 1))
        bar = 60 + rng.uniform(40, 130) * round_ * (
            1 + 0.2 * np.sign(np.sin(along * 2 * np.pi / (0.8 * half + 2) + across / half))
        )
        steel = bar[..., None] * _STEEL * rng.uniform(0.7, 1.5) * (1 + 0.25 * _noise(size, 30, rng))[..., None]
        cover = (np.abs(across) < half).astype(np.float32)[..., None]
        shadow = np.exp(-(((across - 1.6 * half) / (0.8 * half)) ** 2))[..., None]
        pixels = pixels * (1 - 0.6 * shadow * (1 - cover)) * (1 - cover) + steel * cover
    return pixels


Draw = Callable[[np.ndarray, np.random.Generator], Ground]
GROUNDS: dict[str, Draw] = {
    "masonry": masonry,
    "shuttering": shuttering,
    "spalling": spalling,
    "aggregate": aggregate,
}


def crack_along(path: np.ndarray, size: int, rng: np.random.Generator, widest: float = 10.0) -> np.ndarray:
    """The light that a drawn crack along a way leaves: ragged, of uneven width, dark in the middle.

    Args:
        path: float (n, 2), x and y in pixels.
        size: of the picture.
        widest: pixels.

    Returns:
        float32 (size, size): factors, 1 away from the crack.
    """
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    places = np.arange(0, lengths[-1], 1.0)
    begin, end = np.sort(rng.uniform(0, 1, 2)) * lengths[-1] if rng.uniform() < 0.3 else (0.0, lengths[-1])
    places = places[(places >= begin) & (places <= end)]
    points = np.column_stack([np.interp(places, lengths, path[:, axis]) for axis in (0, 1)])
    if len(points) < 2:
        return np.ones((size, size), np.float32)
    width = np.exp(rng.uniform(0.0, np.log(widest)))
    wander = (
        np.column_stack([_walk(len(points), 6, rng) for _ in range(2)])
        * rng.uniform(0.2, 0.9)
        * (1 + min(10.0, width) / 4)
    )
    wander += np.column_stack([_walk(len(points), 25, rng) for _ in range(2)]) * rng.uniform(0.3, 2.5)
    rough = min(1.0, 10 / width)  # gaps are evener than cracks
    uneven = rng.uniform(0.2, 0.6) * _walk(len(points), max(12, 3 * width - 18), rng) + 0.3 * _walk(
        len(points), 60, rng
    )
    widths = width * np.clip(1 + rough * uneven, 0, 3)
    cover = np.zeros((4 * size, 4 * size), np.float32)  # enlarged: OpenCV draws whole pixels
    for (px, py), wide in zip((points + wander).tolist(), widths.tolist(), strict=True):
        if wide > 0.3:
            cv2.circle(cover, (round(4 * px), round(4 * py)), max(1, round(2 * wide)), 1.0, -1)
    cover = cv2.resize(cover, (size, size), interpolation=cv2.INTER_AREA)
    cover = cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.4, 1.1)))
    return (1 - rng.uniform(0.35, 0.93) * np.clip(cover, 0, 1)).astype(np.float32)


def _walk(count: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise along a line, of unit deviation; `scale` in pixels."""
    nodes = rng.normal(0, 1, max(2, round(count / scale) + 2))
    return np.interp(np.linspace(0, len(nodes) - 1, count), np.arange(len(nodes)), nodes)


def _noise(size: int, cells: int, rng: np.random.Generator, tall: bool = False) -> np.ndarray:
    """Smooth noise of about unit deviation with `cells` cells along a side; `tall`: stretched downwards."""
    nodes = rng.normal(0, 1, (max(2, cells // 6) if tall else cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(nodes, (size, size), interpolation=cv2.INTER_CUBIC)
