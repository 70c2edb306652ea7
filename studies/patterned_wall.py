"""Walls whose cracks make one pattern: alone, in a parallel set, as a mesh, or along a joint of the formwork.

The truth for `crack_tf.photo.patterns` and for what is made of it.

    drawn = patterned_wall(seed=3, pattern="map", size=(1200, 900))
    pixels, cover = drawn.wall.view(0, 0, 1200, 900)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.patterns import JOINT, MAP, PARALLEL, PATTERNS, SINGLE
from crack_tf.synthetic.wall import Wall, WallCrack, draw_walk
from tflite.device.tiles import Box

_MARGIN = 0.1  # of the view that cracks keep away from its border
_BEYOND = 3000  # pixels of pier around the view
_WIDTHS = (2.5, 9.0)  # pixels, mean
_JITTER = 0.22  # of a field's side, by which its corners are moved


@dataclass(frozen=True)
class PatternedWall:
    """A wall and what its cracks are.

    Attributes:
        wall: with nothing but these cracks.
        pattern: one of `crack_tf.photo.patterns.PATTERNS`.
        degrees: direction, anticlockwise as seen, 0 is horizontal; None for a mesh.
        spacing_px: between the cracks of a set or across the fields of a mesh; None for the others.
    """

    wall: Wall
    pattern: str
    degrees: float | None
    spacing_px: float | None


def patterned_wall(seed: int, pattern: str, size: tuple[int, int]) -> PatternedWall:
    """Draw one.

    Args:
        seed: decides everything.
        pattern: one of PATTERNS.
        size: width and height of the view in pixels, from (0, 0); the cracks lie in it.
    """
    rng = np.random.default_rng([seed, PATTERNS.index(pattern)])
    draw = {SINGLE: _single, PARALLEL: _parallel, MAP: _map, JOINT: _joint}[pattern]
    cracks, degrees, spacing = draw(rng, np.array(size, float))
    pier = Box(-_BEYOND, -_BEYOND, size[1] + 2 * _BEYOND, size[0] + 2 * _BEYOND)
    return PatternedWall(Wall(int(rng.integers(2**31)), pier, tuple(cracks)), pattern, degrees, spacing)


_Drawn = tuple[list[WallCrack], float | None, float | None]


def _single(rng: np.random.Generator, size: np.ndarray) -> _Drawn:
    degrees = float(rng.uniform(0, 180))
    return [_through(rng, size / 2, degrees, 0.6 * size.min(), size)], degrees, None


def _parallel(rng: np.random.Generator, size: np.ndarray) -> _Drawn:
    degrees, count = float(rng.uniform(0, 180)), int(rng.integers(3, 6))
    spacing = float(rng.uniform(0.1, 0.16)) * size.min()
    aside = np.array([math.sin(math.radians(degrees)), math.cos(math.radians(degrees))])
    cracks = []
    for number in range(count):
        off = (number - (count - 1) / 2) * spacing + rng.normal(0, 0.06 * spacing)
        length = float(rng.uniform(0.45, 0.6)) * size.min()
        cracks.append(_through(rng, size / 2 + off * aside, degrees + rng.normal(0, 2.5), length, size))
    return cracks, degrees, spacing


def _map(rng: np.random.Generator, size: np.ndarray) -> _Drawn:
    """A grid whose corners are moved at random, turned, its sides drawn as cracks run; a tenth of them is missing."""
    spacing = float(rng.uniform(0.09, 0.15)) * size.min()
    count, turn = int(rng.integers(4, 7)), float(rng.uniform(0, math.pi / 2))
    rows, columns = np.mgrid[: count + 1, : count + 1].astype(float)
    corners = (np.stack([columns, rows], axis=2) - count / 2) * spacing
    corners += rng.normal(0, _JITTER * spacing / 2, corners.shape)
    c, s = math.cos(turn), math.sin(turn)
    corners = corners @ np.array([[c, s], [-s, c]]) + size / 2
    width, depth = float(np.exp(rng.uniform(*np.log(_WIDTHS)))) * 0.8, float(rng.uniform(0.55, 0.8))
    cracks = []
    for y in range(count + 1):
        for x in range(count + 1):
            for other in ((y, x + 1), (y + 1, x)):
                if max(other) <= count and rng.random() > 0.1:
                    cracks.append(_between(rng, corners[y, x], corners[other], width, depth))
    return cracks, None, spacing


def _joint(rng: np.random.Generator, size: np.ndarray) -> _Drawn:
    """Along formwork: straight to a pixel, level or upright."""
    upright = bool(rng.random() < 0.5)
    degrees = (90.0 if upright else 0.0) + float(rng.normal(0, 1.5))
    length = float(rng.uniform(0.55, 0.8)) * (size[1] if upright else size[0])
    crack = _through(
        rng,
        size / 2 + rng.uniform(-0.2, 0.2, 2) * size * (0 if upright else 1, 1 if upright else 0),
        degrees,
        length,
        size,
    )
    first, last = crack.points[0], crack.points[-1]
    share = np.linspace(0, 1, len(crack.points))[:, None]
    knots, offs = np.arange(0, len(share) + 40, 40), rng.normal(0, 0.5, len(share) // 40 + 2)
    slow = np.interp(np.arange(len(share)), knots, offs[: len(knots)])
    along = (last - first) / np.hypot(*(last - first))
    # The walk's ends wander: a joint keeps to its direction.
    angle = math.radians(degrees)
    straight = size / 2 + (share - 0.5) * length * np.array([math.cos(angle), -math.sin(angle)])
    return (
        [WallCrack(straight + slow[:, None] * np.array([-along[1], along[0]]), crack.reach, crack.depth)],
        degrees,
        None,
    )


def _through(
    rng: np.random.Generator, middle: np.ndarray, degrees: float, length: float, size: np.ndarray
) -> WallCrack:
    """A walk whose middle is there; shortened as the view demands."""
    width = float(np.exp(rng.uniform(*np.log(_WIDTHS))))
    crack = draw_walk(rng, (0.0, 0.0), -math.radians(degrees), length, width)
    points = crack.points - crack.points.mean(axis=0) + middle
    inside = np.all((points > _MARGIN * size / 2) & (points < size - _MARGIN * size / 2), axis=1)
    return WallCrack(points[inside], crack.reach[:, inside], crack.depth)


def _between(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, width: float, depth: float) -> WallCrack:
    """A walk from corner to corner: what it misses its end by is taken off along the way."""
    across = end - start
    heading = math.atan2(across[1], across[0])
    crack = draw_walk(rng, (float(start[0]), float(start[1])), heading, float(np.hypot(*across)), width)
    share = np.linspace(0, 1, len(crack.points))[:, None]
    points = crack.points + share * (end - crack.points[-1])
    return WallCrack(points, np.maximum(crack.reach, 0.3 * width), depth)
