"""Joints that are no cracks, for tests only: formwork panels, expansion joints, mortar, board marks, each with and without a crack.

A model that learned drawn lines may have learned how they were drawn. So what is drawn here follows rules of its own, which no training
set uses: a relief with materials is laid on real concrete and lit from one side, with the shadows that it casts. A ridge of leaked
grout has a light and a dark flank, a raked joint lies in the shade of the block above it, a sealant has its own tone and may have let
go of one side. The crack is a real one, laid over the finished picture: with it and without it, a picture differs in nothing else.

What it is not: photographs of joints. Their geometry and wear are guessed, not measured, cracks do not follow joints, and a crack lies
on the picture, not in the relief. It tells whether a classifier calls joints cracked, not how often it will on a structure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crack_tf.synthetic.transplant import Shape, lay, visible

VERSION = 2  # raise it whenever a picture of the same seed would look different
_OVER = 2  # reliefs are drawn this much larger and averaged down; lengths below are in pixels of the finished picture
_SCALE = (0.55, 1.3)  # of a crack against its photograph: much larger ones are blurred
_CONTRAST = (0.5, 1.6)  # exponent of its darkness
_BESIDE = 0.1  # of the side: how far from a joint a crack may stay
_EDGE = 3  # pixels from its photograph's edge at which a crack is cut off
_LEAST_DROP = 0.12  # by which a crack must be darker than what is beside it
_LEAST_LENGTH = 0.3  # of the side
_TRIES = (20, 20)  # cracks, and places of each: so those that fit in anywhere are not taken more often than others
_EVEN = 0.08  # standard deviation of a picture's coarse means, as a share of its light: more is a structure already


@dataclass(frozen=True)
class Tile:
    """A picture of a joint.

    Attributes:
        pixels: uint8 (s, s, 3).
        joint: bool (s, s), where joints, ridges, seams are.
        closed: bool (s, s), what is no concrete, and a crack does not run through: sealant, gaps.
    """

    pixels: np.ndarray
    joint: np.ndarray
    closed: np.ndarray


@dataclass
class _Relief:
    """What is lit: reflected light float32 (n, n, 3), height float32 (n, n) in pixels, and the masks of `Tile`."""

    albedo: np.ndarray
    height: np.ndarray
    joint: np.ndarray
    closed: np.ndarray


def is_even(pixels: np.ndarray) -> bool:
    """Whether a picture, uint8 (h, w, 3), is a surface without a structure of its own, on which a joint can be drawn."""
    coarse = cv2.resize(pixels, (8, 8), interpolation=cv2.INTER_AREA).astype(float)
    return bool(coarse.std(axis=(0, 1)).max() <= _EVEN * coarse.mean())


def draw(pixels: np.ndarray, kind: str, size: int, rng: np.random.Generator) -> Tile:
    """Draw joints onto concrete.

    Args:
        pixels: uint8 (h, w, 3), crack-free and even.
        kind: one of `KINDS`.
        size: side of what comes out, in pixels.
        rng: draws.
    """
    side = int(min(pixels.shape[:2]) * rng.uniform(0.75, 1))
    y, x = (int(rng.integers(length - side + 1)) for length in pixels.shape[:2])
    base = cv2.resize(pixels[y : y + side, x : x + side], (_OVER * size,) * 2, interpolation=cv2.INTER_CUBIC)
    relief = KINDS[kind](base.astype(np.float32), rng)
    light = _lit(relief.height, rng)[..., None] * _uneven_light(len(base), rng)[..., None]
    seen = cv2.resize(relief.albedo * light, (size, size), interpolation=cv2.INTER_AREA)
    seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.3, 0.8)))
    seen += rng.normal(0, rng.uniform(0.5, 2.5), (size, size, 1)) + rng.normal(0, 0.7, seen.shape)
    masks = (
        cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0.3
        for mask in (relief.joint, relief.closed)
    )
    return Tile(np.clip(seen, 0, 255).astype(np.uint8), *masks)


def crack(tile: Tile, shapes: Sequence[Shape], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Lay a crack over a picture of a joint: across the joint, or beside it.

    Args:
        tile: the picture.
        shapes: of cracks, at least one.
        rng: draws.

    Returns:
        uint8 (s, s, 3) and the crack's mask, bool (s, s); None when none that was tried can be seen.
    """
    size = len(tile.pixels)
    reach = 2 * round(_BESIDE * size) + 1
    near = cv2.dilate(tile.joint.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    for number in range(_TRIES[0] * _TRIES[1]):
        if number % _TRIES[1] == 0:
            shape = shapes[int(rng.integers(len(shapes)))]
        matrix = _placed(shape, size, rng)
        if _cut_within(shape, matrix, size):
            continue
        laid, mask = lay(tile.pixels, shape, matrix, float(rng.uniform(*_CONTRAST)))
        # What joins or fills a gap gives way, and does not crack.
        laid, mask = np.where(tile.closed[..., None], tile.pixels, laid), mask & ~tile.closed
        if (mask & near).any() and visible(tile.pixels, laid, mask) and _stands_out(laid, mask, tile.joint):
            return laid, mask
    return None


def _stands_out(laid: np.ndarray, mask: np.ndarray, joint: np.ndarray) -> bool:
    """Whether a crack's longest piece is long, mostly off the joints, and darker than the concrete beside it by more than that varies."""
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)))
    lengths = boxes[1:, cv2.CC_STAT_WIDTH : cv2.CC_STAT_HEIGHT + 1].max(axis=1)
    piece = mask & (pieces == 1 + int(lengths.argmax()))
    seen = piece & ~joint
    if lengths.max() < _LEAST_LENGTH * len(mask) or seen.sum() < piece.sum() / 2:
        return False
    wide = cv2.dilate(piece.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (19, 19))) > 0
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    grey = laid.mean(axis=2)
    beside = grey[wide & ~near & ~joint]
    return bool(len(beside) and beside.mean() - grey[seen].mean() >= max(_LEAST_DROP * beside.mean(), beside.std()))


def _placed(shape: Shape, size: int, rng: np.random.Generator) -> np.ndarray:
    """Some size, turn and place of a crack, a point of which comes to lie in the middle of a picture: float (2, 3)."""
    scale, angle = np.exp(rng.uniform(*np.log(_SCALE))), rng.uniform(0, 2 * np.pi)
    mirror = 1 if rng.uniform() < 0.5 else -1
    turn = scale * np.array([[mirror * np.cos(angle), -np.sin(angle)], [mirror * np.sin(angle), np.cos(angle)]])
    ys, xs = np.nonzero(shape.mask)
    k = int(rng.integers(len(ys)))
    return np.column_stack([turn, rng.uniform(0.25, 0.75, 2) * size - turn @ (xs[k], ys[k])])


def _cut_within(shape: Shape, matrix: np.ndarray, size: int) -> bool:
    """Whether an end that the edge of its photograph cut off, not the crack's own tip, comes to lie in the picture."""
    edge = shape.mask > 0
    edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
    ys, xs = np.nonzero(edge)
    ends = matrix @ np.stack([xs, ys, np.ones(len(xs))])
    return bool(((ends > -_EDGE) & (ends < size + _EDGE)).all(axis=0).any())


# -------------------------------------------------------------------------------------------------------------- light


def _lit(height: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The light that a relief sends back, float32 (n, n), 1 on the flat: from one side, mostly from above, and from the sky."""
    towards, rise = rng.uniform(-0.85, 0.85) * np.pi / 2 - np.pi / 2, np.deg2rad(rng.uniform(25, 65))
    x, y = np.cos(towards), np.sin(towards)
    down, right = np.gradient(height)
    facing = (np.sin(rise) - np.cos(rise) * (x * right + y * down)) / np.sqrt(1 + right**2 + down**2)
    direct = np.clip(facing / np.sin(rise), 0, 1.8)
    lit = np.ones_like(height)
    deepest = float(np.percentile(height, 99.9) - height.min())
    for step in range(1, min(40, int(deepest / np.tan(rise)) + 2)):
        shift = np.array([[1, 0, -step * x], [0, 1, -step * y]])
        above = cv2.warpAffine(height, shift, height.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        lit = np.minimum(lit, np.clip(1 - (above - height - step * np.tan(rise)), 0, 1))
    share = rng.uniform(0.15, 0.7)
    sunk = np.maximum(cv2.GaussianBlur(height, (0, 0), 5 * _OVER) - height, 0)
    return (share * direct * cv2.GaussianBlur(lit, (0, 0), 0.8) + (1 - share) / (1 + sunk / (5 * _OVER))).astype(
        np.float32
    )


def _uneven_light(n: int, rng: np.random.Generator) -> np.ndarray:
    """A slow change of light over the picture, float32 (n, n) around 1."""
    return np.clip(1 + rng.uniform(0, 0.05) * _field(n, n / 4, rng), 0.7, 1.2)


# ------------------------------------------------------------------------------------------------------------ drawing


def _axes(n: int, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Across and along a structure in pixels from the middle, float32 (n, n): near level, upright, and a few at any angle.

    Args:
        n: side.
        level: share of those that are not upright.
        rng: draws.
    """
    angle = (0 if rng.uniform() < level else np.pi / 2) + rng.normal(0, 0.04)
    if rng.uniform() < 0.07:
        angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) - n / 2
    return y * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)


def _field(n: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise float32 (n, n) of unit deviation; `scale` in pixels of the relief."""
    nodes = rng.normal(0, 1, (min(n, max(4, int(2 * n / max(1.0, scale)))),) * 2).astype(np.float32)
    field = cv2.resize(cv2.GaussianBlur(nodes, (0, 0), 1.0), (n, n), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / (field.std() + 1e-6)


def _way(along: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Noise that depends on the place along a line alone, of unit deviation; `scale` in pixels of the finished picture."""
    reach = float(np.abs(along).max()) + 1
    nodes = rng.normal(0, 1, max(4, int(2 * reach / (scale * _OVER)) + 2))
    # Looked up in steps of a quarter pixel: many lines are drawn.
    places = np.arange(0, 2 * reach + 1, 0.25)
    values = np.interp(places, np.linspace(0, 2 * reach, len(nodes)), nodes).astype(np.float32)
    return values[((along + reach) * 4).astype(np.int32)]


def _ragged(along: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How far an edge strays, in pixels of the finished picture, of about unit deviation: slowly, and roughly."""
    return 0.7 * _way(along, 60, rng) + 0.5 * _way(along, 12, rng) + 0.4 * _way(along, 3, rng)


def _step(distance: np.ndarray, soft: float) -> np.ndarray:
    """0 to 1 where the distance passes 0, over about `soft` pixels."""
    return np.clip(0.5 + distance / (2 * soft * _OVER), 0, 1)


def _turned(base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same concrete, turned, so that nothing of it runs on behind a joint."""
    return np.rot90(base, int(rng.integers(1, 4)))


def _moved(base: np.ndarray, number: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same concrete, moved and flipped in each block, whose numbers count from 0."""
    n, count = len(base), int(number.max()) + 1
    moved, flipped = rng.integers(-n // 8, n // 8, (2, count)), rng.uniform(size=(2, count)) < 0.5
    places = [
        np.where(flips[number], n - 1 - place, place) + moves[number]
        for place, moves, flips in zip(np.mgrid[0:n, 0:n], moved, flipped, strict=True)
    ]
    # Concrete goes on as its own mirror image.
    y, x = (n - 1 - np.abs(n - 1 - np.abs(place)) for place in places)
    return base[y, x]


def _material(base: np.ndarray, tone: float, colour: float, grain: float, rng: np.random.Generator) -> np.ndarray:
    """Another material with the concrete's light: float32 (n, n, 3).

    Args:
        base: the concrete.
        tone: its light against the concrete's.
        colour: deviation of its colour from grey.
        grain: deviation of its own texture, a share of its light.
        rng: draws.
    """
    n = len(base)
    grey = base.mean(axis=(0, 1)) * 0.5 + base.mean() * 0.5
    own = grey * tone * (1 + colour * np.array([1.0, 0.3, -1.0])) * (1 + rng.normal(0, abs(colour) / 4, 3))
    texture = 0.7 * _field(n, 0.6 * _OVER, rng) + 0.5 * _field(n, 1.6 * _OVER, rng) + 0.5 * _field(n, 9 * _OVER, rng)
    return (own * (1 + grain * texture)[..., None]).astype(np.float32)


def _mixed(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return one + np.clip(share, 0, 1)[..., None] * (other - one)


def _pits(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Depth of small holes, 0 to 1."""
    rough = _field(n, 1.3 * _OVER, rng) + 0.5 * _field(n, 6 * _OVER, rng)
    return np.clip((rough - np.quantile(rough, 1 - share)) / 0.5, 0, 1)


def _seam(
    across: np.ndarray, along: np.ndarray, relief: _Relief, rng: np.random.Generator, strength: float = 1
) -> None:
    """Where two boards or panels met: a ridge of leaked grout that broke off in places, a groove, or only a step."""
    n = len(across)
    if np.abs(across).min() > 20 * _OVER:  # out of sight
        return
    across = across + 0.35 * _OVER * _ragged(along, rng)
    width = rng.uniform(0.7, 2.2) * _OVER * np.clip(1 + 0.3 * _way(along, 15, rng), 0.4, 2)
    there = np.clip(0.7 + 0.6 * _way(along, rng.uniform(8, 40), rng) + 0.25 * _way(along, 2.5, rng), 0, 1.4)
    profile = np.exp(-((across / width) ** 2)) * there
    form = rng.choice(["ridge", "groove", "step"], p=[0.55, 0.25, 0.2])
    if form == "ridge":
        relief.height += strength * rng.uniform(0.5, 2.0) * _OVER * profile
        broken = np.exp(-((across / (1.6 * width)) ** 2)) * (there < 0.15)
        relief.albedo *= (1 + broken * (rng.uniform(-0.15, 0.25) + 0.12 * _field(n, _OVER, rng)))[..., None]
        relief.albedo *= (1 + profile * rng.uniform(-0.06, 0.12))[..., None]
    elif form == "groove":
        relief.height -= strength * rng.uniform(0.5, 2.2) * _OVER * profile
        relief.albedo *= (1 - profile * rng.uniform(0, 0.3))[..., None]
    else:
        relief.albedo *= (1 - profile * rng.uniform(0, 0.25))[..., None]
    relief.height += strength * rng.normal(0, 0.7) * _OVER * _step(across, 0.7)
    if rng.uniform() < 0.5:  # grout leaked out here: the concrete is sandy, darker, and has holes
        band = np.exp(-((across - rng.normal(0, 2) * _OVER) ** 2) / (2 * (rng.uniform(2, 6) * _OVER) ** 2))
        band *= np.clip(0.3 + 0.7 * _way(along, 25, rng), 0, 1)
        holes = _pits(n, rng.uniform(0.03, 0.15), rng) * band
        relief.height -= 1.5 * _OVER * holes
        relief.albedo *= (1 - band * rng.uniform(0, 0.18) - 0.3 * holes)[..., None]
    if rng.uniform() < 0.5:  # water along the edge of the boards leaves another colour
        rim = np.exp(-np.abs(across) / (rng.uniform(3, 14) * _OVER))
        relief.albedo *= (1 + rng.normal(0, 0.08) * rim * np.clip(1 + 0.5 * _way(along, 30, rng), 0, 2))[..., None]
    relief.joint |= np.abs(across) < 1.5 * width


def _hole(relief: _Relief, place: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    """A tie hole: open, or plugged with mortar that lies a little deeper."""
    n = len(relief.height)
    rows, columns = np.mgrid[0:n, 0:n].astype(np.float32)
    away = np.hypot(columns - place[0], rows - place[1]) - radius * _OVER + 0.4 * _OVER * _field(n, 4 * _OVER, rng)
    inside = 1 - _step(away, 0.8)
    if rng.uniform() < 0.5:
        relief.height -= rng.uniform(0.6, 1.2) * radius * _OVER * np.clip(inside - away / (radius * _OVER) * 0.4, 0, 2)
        relief.albedo *= (1 - 0.35 * inside)[..., None]
    else:
        plug = _material(relief.albedo, rng.uniform(0.75, 1.2), 0.03, 0.05, rng)
        relief.albedo = _mixed(relief.albedo, plug, inside)
        relief.height -= rng.uniform(0, 1.5) * _OVER * inside
        rim = np.exp(-((away / _OVER) ** 2)) * np.clip(0.5 + 0.7 * _field(n, 5 * _OVER, rng), 0, 1)
        relief.albedo *= (1 - rng.uniform(0.1, 0.4) * rim)[..., None]


def _streaks(relief: _Relief, rng: np.random.Generator) -> None:
    """Water ran down from the joint: dark, rusty or white, and thinner the farther it ran."""
    n = len(relief.height)
    start = np.maximum.accumulate(relief.joint, axis=0)
    row = np.arange(n, dtype=np.float32)[:, None]
    fall = np.where(start, row - np.maximum.accumulate(np.where(relief.joint, row, -n), axis=0), n)
    columns = np.arange(n)
    amount, length = (
        sum(
            share * np.interp(columns, np.linspace(0, n, count), rng.normal(0, 1, count))
            for count, share in ((6, 0.6), (25, 0.6), (90, 0.4))
        )
        for _ in range(2)
    )
    run = np.clip(amount - rng.uniform(0.1, 0.8), 0, 1) * np.exp(
        -fall / (rng.uniform(25, 90) * _OVER * np.exp(0.6 * length))
    )
    run *= np.clip(0.8 + 0.4 * _field(n, 3 * _OVER, rng), 0, 2)
    run = cv2.GaussianBlur(run.astype(np.float32), (0, 0), 1.2 * _OVER)
    stain = {"dark": (0.6, 0.6, 0.58), "rust": (0.75, 0.55, 0.4), "white": (1.35, 1.35, 1.33)}
    colour = np.array(list(stain.values())[int(rng.integers(3))], np.float32)
    relief.albedo *= 1 - np.clip(run, 0, 1)[..., None] * (1 - colour) * rng.uniform(0.2, 0.8)
    relief.albedo = np.minimum(relief.albedo, 250)


# -------------------------------------------------------------------------------------------------------------- kinds


def _empty(base: np.ndarray) -> _Relief:
    shape = base.shape[:2]
    return _Relief(base.copy(), np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, bool))


def _panel(base: np.ndarray, rng: np.random.Generator) -> _Relief:
    """Joints of formwork panels, one or where corners meet; each panel of its own tone."""
    n = len(base)
    relief = _empty(base)
    across, along = _axes(n, 0.5, rng)
    across = across - rng.uniform(-0.25, 0.25) * n
    panels = [(across, along)]
    if rng.uniform() < 0.35:
        panels.append((along - rng.uniform(-0.3, 0.3) * n, across))
    for place, way in panels:
        other = _turned(base, rng) * (1 + rng.normal(0, 0.05)) * (1 + rng.normal(0, 0.004, 3))
        relief.albedo = _mixed(relief.albedo, other.astype(np.float32), _step(place, 0.8))
        _seam(place, way, relief, rng)
    if rng.uniform() < 0.3:
        for _ in range(int(rng.integers(1, 3))):
            _hole(relief, rng.uniform(0.1, 0.9, 2) * n, rng.uniform(4, 10), rng)
    if rng.uniform() < 0.3:
        _streaks(relief, rng)
    return relief


def _expansion(base: np.ndarray, rng: np.random.Generator) -> _Relief:
    """A gap 8 to 30 pixels wide between rounded or chipped edges, with a sealant, a strip of board, or nothing in it."""
    n = len(base)
    relief = _empty(base)
    across, along = _axes(n, 0.4, rng)
    across = across - rng.uniform(-0.25, 0.25) * n
    half = rng.uniform(4, 15) * _OVER
    rough, edges = rng.uniform(0.3, 1.1), []
    for sign in (-1, 1):  # how far inside the concrete of a side a place is
        edges.append(sign * across - half + rough * _OVER * (_ragged(along, rng) + 0.4 * _field(n, 2 * _OVER, rng)))
    inside = np.maximum(*edges)
    gap = inside < 0
    radius = rng.uniform(1, 4) * _OVER * np.clip(1 + 0.4 * _field(n, 10 * _OVER, rng), 0.3, 2)
    depth = rng.uniform(1, 10) * _OVER
    arris = np.clip(1 - inside / radius, 0, 1)
    relief.height -= np.where(gap, 0, radius * (1 - np.sqrt(np.clip(1 - arris**2, 0, 1))))
    other = _turned(base, rng) * (1 + rng.normal(0, 0.04))
    relief.albedo = _mixed(relief.albedo, other.astype(np.float32), (across > 0).astype(np.float32))
    relief.albedo *= (1 + rng.uniform(-0.12, 0.06) * np.clip(1 - inside / (3 * radius), 0, 1) * ~gap)[..., None]
    relief.height += rng.normal(0, 0.6) * _OVER * (across > 0)
    # Edges break: shallow bowls with a rough ground.
    chips = np.clip(_field(n, rng.uniform(4, 9) * _OVER, rng) - rng.uniform(0.7, 2.2), 0, 1.2)
    chips *= np.exp(-np.clip(inside, 0, None) / (rng.uniform(2, 6) * _OVER)) * ~gap
    relief.height -= rng.uniform(2, 5) * _OVER * chips * (1 + 0.3 * _field(n, 1.5 * _OVER, rng))
    relief.albedo *= (1 + np.clip(2 * chips, 0, 1) * (rng.uniform(-0.2, 0.1) + 0.1 * _field(n, _OVER, rng)))[..., None]
    filling = rng.choice(["sealant", "board", "open"], p=[0.72, 0.16, 0.12])
    if filling == "sealant":
        fill, floor = _sealant(base, across, along, (half, depth), edges, rng)
    elif filling == "board":
        fill = _material(base, rng.uniform(0.35, 0.6), rng.uniform(0.1, 0.25), rng.uniform(0.08, 0.2), rng)
        floor = -depth * 1.5 + 0.8 * _OVER * _field(n, 2 * _OVER, rng)
    else:
        fill = _material(base, rng.uniform(0.15, 0.35), 0.02, 0.15, rng)
        floor = np.full((n, n), -rng.uniform(10, 18) * _OVER, np.float32)
    relief.albedo = np.where(gap[..., None], fill, relief.albedo)
    relief.height = np.where(gap, floor, relief.height).astype(np.float32)
    relief.height = cv2.GaussianBlur(relief.height, (0, 0), 0.6 * _OVER)
    relief.joint |= gap
    relief.closed |= gap
    if rng.uniform() < 0.3:
        _streaks(relief, rng)
    return relief


def _sealant(
    base: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    gap: tuple[float, float],
    edges: list[np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Light and height of a sealant, hollow or squeezed out, dirty, and on some let go of one side for a part of the length.

    Args:
        base: the concrete.
        across: pixels from the middle of the gap.
        along: pixels.
        gap: half its width and its depth.
        edges: how far inside the concrete of either side.
        rng: draws.
    """
    n, (half, depth) = len(base), gap
    tone = rng.choice([rng.uniform(0.2, 0.5), rng.uniform(0.6, 0.95), rng.uniform(0.95, 1.3)])
    fill = _material(base, tone, rng.uniform(-0.02, 0.06), rng.uniform(0.01, 0.05), rng)
    fill *= (1 + 0.04 * _way(across, 1.5, rng))[..., None]
    dirt = np.clip(_field(n, 7 * _OVER, rng) - 0.6, 0, 1)[..., None] * rng.uniform(0, 0.6)
    fill = fill * (1 - dirt) + base * 0.8 * dirt
    bowl = rng.uniform(-0.5, 1.0) * depth * 0.4 * ((across / half) ** 2 - 1)
    floor = bowl - depth * rng.uniform(0.1, 1) + 0.25 * _OVER * _field(n, 5 * _OVER, rng)
    if rng.uniform() < 0.4:
        side = edges[int(rng.integers(2))]
        open_ = rng.uniform(0.5, 2.2) * _OVER * np.clip(_way(along, 35, rng) + rng.uniform(-0.3, 0.8), 0, 1.3)
        slit = _step(side + open_, 0.5) * (side < 0)
        floor = floor - 6 * _OVER * slit
        fill *= (1 - 0.75 * slit)[..., None]
    return fill, floor


def _mortar(base: np.ndarray, rng: np.random.Generator) -> _Relief:
    """A wall of blocks in running or stack bond: joints raked, hollow, flush or smeared, of a mortar of its own."""
    n = len(base)
    across, along = _axes(n, 0.85, rng)
    tall = rng.uniform(45, 150) * _OVER
    long, bond = tall * rng.uniform(1.5, 2.6), rng.choice([0.0, 0.5, 0.5])
    thick = max(4.0, tall / _OVER * rng.uniform(0.05, 0.1)) * _OVER
    across, along = across + rng.uniform(0, tall), along + rng.uniform(0, long)
    wave = 0.5 * _OVER * _field(n, 25 * _OVER, rng)
    row = np.floor((across + wave) / tall)
    placed = along + wave[::-1] + long * bond * (row % 2)
    column = np.floor(placed / long)
    # Distance into a block from its nearest edge; blocks are not set exactly, and their edges are worn.
    number = ((row - row.min()) * 31 + (column - column.min())).astype(int)
    kinds, number = np.unique(number, return_inverse=True)
    number = number.reshape(n, n)
    jitter = rng.normal(0, 0.12 * thick, (4, len(kinds))).clip(-0.3 * thick, 0.3 * thick)
    up, left = (across + wave) - row * tall, placed - column * long
    sides = (
        up + jitter[0][number],
        tall - up + jitter[1][number],
        left + jitter[2][number],
        long - left + jitter[3][number],
    )
    inside = np.minimum.reduce(sides) - thick / 2
    worn = rng.uniform(0.3, 1.0)
    inside += worn * _OVER * (0.5 * _field(n, 1.5 * _OVER, rng) + 0.8 * _field(n, 5 * _OVER, rng))
    inside -= _OVER * np.clip(_field(n, 4 * _OVER, rng) - 1.8, 0, 2) * rng.uniform(0, 4)
    face = _step(inside, 0.6)
    spread, tilt = rng.uniform(0.02, 0.09), rng.uniform(0, 0.012)
    tones = 1 + rng.normal(0, spread, len(kinds))
    tints = 1 + rng.normal(0, 0.004, (len(kinds), 3))
    blocks = _moved(base, number, rng)
    blocks = blocks * (tones[number][..., None] * tints[number]).astype(np.float32)
    height = (
        tilt * rng.normal(0, 1, len(kinds))[number] * (up - tall / 2) + rng.normal(0, 0.5, len(kinds))[number] * _OVER
    )
    if rng.uniform() < 0.5:  # porous blocks
        pits = _pits(n, rng.uniform(0.01, 0.06), rng)
        height = height - _OVER * rng.uniform(0.3, 0.9) * pits
        blocks = blocks * (1 - rng.uniform(0.05, 0.2) * pits)[..., None]
    mortar = _material(
        base,
        rng.choice([rng.uniform(0.65, 0.92), rng.uniform(0.95, 1.3)]),
        rng.uniform(-0.01, 0.05),
        rng.uniform(0.03, 0.09),
        rng,
    )
    middle = np.clip(-inside / (thick / 2), 0, 1)
    form = rng.choice(["raked", "hollow", "flush", "smeared"])
    deep = {"raked": rng.uniform(2.5, 7), "hollow": rng.uniform(1, 2), "flush": 0.4, "smeared": -0.3}[form] * _OVER
    floor = (
        -deep * (middle if form == "hollow" else 1)
        + rng.uniform(0.04, 0.16) * _OVER * _field(n, 1.2 * _OVER, rng)
        - rng.uniform(0, 0.7) * _OVER * _pits(n, 0.04, rng)
    )
    if form == "smeared":  # mortar pressed out over the blocks' edges
        face = np.minimum(
            face, _step(inside - rng.uniform(0.5, 3) * _OVER * np.clip(_field(n, 6 * _OVER, rng), 0, 2), 0.6)
        )
    height = height * face + floor * (1 - face) - 1.0 * _OVER * np.exp(-np.clip(inside, 0, None) / (1.5 * _OVER)) * face
    relief = _Relief(_mixed(mortar, blocks, face), height.astype(np.float32), face < 0.5, np.zeros((n, n), bool))
    if rng.uniform() < 0.2:
        _streaks(relief, rng)
    return relief


def _boards(base: np.ndarray, rng: np.random.Generator) -> _Relief:
    """Marks of boards of uneven width: grain and knots, seams between them, nails, ends of boards, tie holes."""
    n = len(base)
    relief = _empty(base)
    across, along = _axes(n, 0.5, rng)
    usual, grain = rng.uniform(22, 80) * _OVER, rng.uniform(0.1, 0.75)
    place = -0.75 * n + rng.uniform(0, usual)
    while place < 0.75 * n:
        wide = usual * rng.uniform(0.75, 1.25)
        within = _step(across - place, 0.5) * _step(place + wide - across, 0.5)
        if within.max() > 0.5:
            _grain(relief, within, across, along, (place, wide), grain, rng)
            for _ in range(int(rng.integers(1, 3)) if rng.uniform() < 0.35 else 0):  # nails in a row across the board
                _nails(relief, across, along, (place, wide), rng.uniform(-0.5, 0.5) * n, rng)
            if rng.uniform() < 0.2:  # the end of a board
                end = along - rng.uniform(-0.4, 0.4) * n + 0.5 * _OVER * _way(across, 6, rng)
                mark = np.exp(-((end / (rng.uniform(0.6, 1.4) * _OVER)) ** 2)) * within
                relief.height += rng.uniform(-1.2, 1.2) * _OVER * mark
                relief.albedo *= (1 - rng.uniform(0, 0.3) * mark)[..., None]
            _seam(across - place, along, relief, rng, rng.uniform(0.3, 1))
        place += wide
    if rng.uniform() < 0.3:
        _hole(relief, rng.uniform(0.15, 0.85, 2) * n, rng.uniform(4, 9), rng)
    if rng.uniform() < 0.25:
        _streaks(relief, rng)
    return relief


def _grain(
    relief: _Relief,
    within: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    board: tuple[float, float],
    strength: float,
    rng: np.random.Generator,
) -> None:
    """Year rings cut lengthwise: narrow lines that keep their distance and bend around knots; and each board's own tone and height."""
    n, (place, wide) = len(across), board
    tone = 1 + rng.normal(0, 0.045)
    middle, knots = place + wide * rng.uniform(-0.5, 1.5), np.zeros_like(across)
    for _ in range(int(rng.poisson(0.7))):
        at, to = rng.uniform(-0.5, 0.5) * n, place + wide * rng.uniform(0.2, 0.8)
        away = ((along - at) / (0.9 * wide)) ** 2 + ((across - to) / (0.25 * wide)) ** 2
        knots += rng.uniform(4, 14) * _OVER * np.exp(-away)
    rings = (across - middle) + 6 * _OVER * _way(along, 120, rng) + 1.0 * _OVER * _way(along, 25, rng) + knots
    lines = _way(rings, rng.uniform(0.9, 2.5), rng) + 0.6 * _way(rings, 6, rng)
    lines *= np.clip(1 + 0.5 * _field(n, 20 * _OVER, rng), 0, 2)
    relief.height += within * (0.28 * strength * _OVER * lines + rng.normal(0, 0.35) * _OVER)
    relief.albedo *= (1 + within * (tone - 1 + 0.022 * strength * lines))[..., None]


def _nails(
    relief: _Relief,
    across: np.ndarray,
    along: np.ndarray,
    board: tuple[float, float],
    at: float,
    rng: np.random.Generator,
) -> None:
    """Two dots that the heads of nails left, some of them rusty."""
    place, wide = board
    rust = np.array([1.0, 0.75, 0.55]) if rng.uniform() < 0.4 else np.ones(3)
    for share in (0.22, 0.78):
        to = place + wide * (share + rng.normal(0, 0.03))
        away = np.hypot(along - at - rng.normal(0, 1) * _OVER, across - to) / (rng.uniform(1, 2.2) * _OVER)
        head = away < 2
        dot = np.exp(-(away[head] ** 4))
        relief.height[head] += rng.uniform(-1.5, 0.8) * _OVER * dot
        relief.albedo[head] *= 1 - dot[:, None] * (1 - rng.uniform(0.5, 0.9) * rust)


Draw = Callable[[np.ndarray, np.random.Generator], _Relief]
KINDS: dict[str, Draw] = {"panel": _panel, "expansion": _expansion, "mortar": _mortar, "boards": _boards}
