"""Real cracks transplanted onto crack-free pictures, and lines that only look like cracks drawn beside them.

A model that has seen cracks on one concrete only learns the concrete. Here a crack's shape and darkness profile are lifted off its
photograph (the photograph divided by what it would show without the crack) and laid over clean tiles and scenes, at widths down to
hairlines and at any contrast. Its twins, drawn on the same pictures, have no crack: joints, mortar lines, board marks, cables, pen
strokes, edges of shadows and of wet patches. (Composition of cut-out objects: Dwibedi, Misra, Hebert, ICCV 2017; cracks as a factor
on the background are ours.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crack_tf.synthetic.grounds import GROUNDS, crack_along

_REACH = 6  # pixels around a mask that still belong to the crack's profile: blur, and masks that are drawn too tight
_CONTRAST = (0.35, 2.2)  # exponent of the crack's darkness
_LEAST_DROP = 0.07  # of the light that a transplanted crack must take, or nobody could see it
_LEAST_LEVELS = 2.0  # of grey: in the dark a share of the light is less than a file holds
_LEAST_OF_TEXTURE = 0.6  # the same against the standard deviation of the grey levels it is laid on
_LEAST_BESIDE_JOINTS = 0.75  # of the wall's light that a crack in joints may keep: joints are dark as well
_LEAST_LENGTH = 0.2  # of the side: shorter rests of a crack at a picture's edge are tried again
_TRIES = 20
SMALLEST = 32  # pixels of a side; less has no room for a crack
_BOTH = 0.4  # share of cracked pictures with a twin beside the crack
_STRUCTURED = 0.4  # share of all pictures on a ground with a structure of its own
ANYWHERE = ("masonry", "shuttering", "spalling")
_ALONG = 0.6  # share of the cracks in brickwork that follow its joints


@dataclass(frozen=True)
class Shape:
    """A crack without its photograph.

    Attributes:
        factor: float32 (h, w, 3), share of the background's light that the crack leaves; 1 away from it.
        mask: uint8 (h, w) of 0 and 255.
    """

    factor: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Widths:
    """How wide cracks are drawn.

    Attributes:
        scale: least and greatest enlargement of a crack that was lifted off its photograph.
        widest: pixels of a crack along joints.
    """

    scale: tuple[float, float]
    widest: float


_WIDTHS = Widths((0.25, 4.0), 10.0)
_GAPS = Widths((0.7, 9.0), 40.0)  # bricks move apart by centimetres


def picture(
    pixels: np.ndarray,
    shapes: Sequence[Shape],
    cracked: bool,
    size: int,
    rng: np.random.Generator,
    ground: str | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """A crack-free picture with a crack laid over it, or with a line that is none; some on a drawn ground.

    Args:
        pixels: uint8 (h, w, 3), crack-free.
        shapes: of cracks, at least one.
        cracked: whether it is to have a crack.
        size: side of what comes out, in pixels, at least `SMALLEST`.
        rng: draws.
        ground: one of `GROUNDS`, in masonry with cracks up to the width of gaps; None for one of `ANYWHERE` on a part of the pictures.

    Returns:
        uint8 (size, size, 3), and the crack's mask, bool (size, size): None without a crack, or where none that was tried can be seen.
    """
    structured, grounds = (_STRUCTURED, ANYWHERE) if ground is None else (1.0, (ground,))
    widths = _GAPS if ground == "masonry" else _WIDTHS
    pixels, path = _window(pixels, size, rng), None
    # What the wall is made of says nothing of cracks: drawn before it is decided whether there is one.
    if rng.uniform() < structured:
        wall = GROUNDS[grounds[int(rng.integers(len(grounds)))]](pixels, rng)
        pixels, path = wall.pixels, wall.path
    # First the line that is none, then the crack: a crack runs through joints, and is not covered by them.
    elif not cracked or rng.uniform() < _BOTH:
        pixels = TWINS[int(rng.integers(len(TWINS)))](pixels, rng)
    if not cracked:
        return pixels, None
    laid = None
    if path is not None and rng.uniform() < _ALONG:
        laid = _cracked_along(pixels, path, rng, widths)
    return laid or lay_somewhere(pixels, shapes, rng, widths) or (pixels, None)


def lift(photo: np.ndarray, mask: np.ndarray) -> Shape:
    """Take a crack off its photograph.

    Args:
        photo: uint8 (h, w, 3).
        mask: bool (h, w), true on the crack.

    Returns:
        Its factor on the light and its mask, cut to the crack's surroundings. Light edges of a crack have factors a little above 1.
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left = max(0, rows[0] - 2 * _REACH), max(0, columns[0] - 2 * _REACH)
    window = np.s_[top : rows[-1] + 2 * _REACH + 1, left : columns[-1] + 2 * _REACH + 1]
    photo, mask = photo[window].astype(np.float32), mask[window].astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _REACH + 1, 2 * _REACH + 1))
    near = cv2.dilate(mask, kernel)
    # The background under the crack: a weighted mean of what lies around it, wide enough to bridge the widest crack.
    width = float(cv2.distanceTransform(mask, cv2.DIST_L2, 5).max())
    sigma = 2 * _REACH + 2 * width
    outside = (1 - near).astype(np.float32)
    weight = cv2.GaussianBlur(outside, (0, 0), sigma) + 1e-3
    background = cv2.GaussianBlur(photo * outside[..., None], (0, 0), sigma) / weight[..., None]
    factor = np.clip((photo + 4) / (background + 4), 0.05, 1.15)
    fade = cv2.GaussianBlur(cv2.dilate(mask, kernel[::2, ::2]).astype(np.float32), (0, 0), _REACH / 3)[..., None]
    return Shape((1 + fade * (factor - 1)).astype(np.float32), mask * 255)


def lay(pixels: np.ndarray, shape: Shape, matrix: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """Lay a crack over a picture.

    Args:
        pixels: uint8 (s, s, 3).
        shape: the crack.
        matrix: float (2, 3), from the shape's pixels to the picture's.
        contrast: exponent of its factor: below 1 fainter, above 1 darker.

    Returns:
        uint8 (s, s, 3) and the mask, bool (s, s).
    """
    size = pixels.shape[1], pixels.shape[0]
    # Pixels that are averaged into one when a shape is reduced: a blur before it, so that hairlines fade instead of breaking.
    reduce = max(0.0, 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))) - 1)
    factor, mask = shape.factor, shape.mask
    if reduce > 0.2:
        factor = cv2.GaussianBlur(factor, (0, 0), 0.5 * reduce)
        mask = np.minimum(255, 1.5 * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.5 * reduce)).astype(np.uint8)
    factor = cv2.warpAffine(
        factor, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1, 1, 1)
    )
    mask = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)
    return np.clip(pixels * factor**contrast, 0, 255).astype(np.uint8), mask >= 100


def _window(pixels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a picture at the size wanted; a small picture is enlarged, a large one cut at a random place and scale."""
    height, width = pixels.shape[:2]
    side = int(rng.integers(min(size, height, width), min(height, width) + 1))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return cv2.resize(pixels[y : y + side, x : x + side], (size, size), interpolation=interpolation)


def lay_somewhere(
    pixels: np.ndarray, shapes: Sequence[Shape], rng: np.random.Generator, widths: Widths = _WIDTHS
) -> tuple[np.ndarray, np.ndarray] | None:
    """Lay one of some cracks over a picture, at a random place, size, turn and contrast.

    Args:
        pixels: uint8 (s, s, 3).
        shapes: at least one.
        rng: draws.
        widths: how wide it becomes.

    Returns:
        uint8 (s, s, 3) and the mask, bool (s, s); None when none that was tried can be seen.
    """
    size = len(pixels)
    for _ in range(_TRIES):
        shape = shapes[int(rng.integers(len(shapes)))]
        scale = float(np.exp(rng.uniform(*np.log(widths.scale))))
        angle, mirror = rng.uniform(0, 2 * np.pi), 1 if rng.uniform() < 0.5 else -1
        turn = scale * np.array([[mirror * np.cos(angle), -np.sin(angle)], [mirror * np.sin(angle), np.cos(angle)]])
        # Some point of the crack comes to lie somewhere in the middle of the picture.
        ys, xs = np.nonzero(shape.mask)
        k = int(rng.integers(len(ys)))
        place = rng.uniform(0.25, 0.75, 2) * size - turn @ (xs[k], ys[k])
        laid, mask = lay(pixels, shape, np.column_stack([turn, place]), float(rng.uniform(*_CONTRAST)))
        if visible(pixels, laid, mask):
            return laid, mask
    return None


def _cracked_along(
    pixels: np.ndarray, path: np.ndarray, rng: np.random.Generator, widths: Widths
) -> tuple[np.ndarray, np.ndarray] | None:
    """The picture with a crack that follows the joints, and its mask; None when it cannot be seen."""
    factor = crack_along(path, len(pixels), rng, widths.widest)
    laid, mask = np.clip(pixels * factor[..., None], 0, 255).astype(np.uint8), factor < (1 + factor.min()) / 2
    dark = laid[mask].mean() < _LEAST_BESIDE_JOINTS * pixels.mean() if mask.any() else False
    return (laid, mask) if dark and visible(pixels, laid, mask) else None


def visible(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> bool:
    """Whether somebody sees the crack: long enough, darker than what it lies on, and by more than what it lies on varies."""
    inside = np.nonzero(mask)
    if not len(inside[0]) or max(np.ptp(inside[0]), np.ptp(inside[1])) < _LEAST_LENGTH * len(before):
        return False
    bare, dark = before[mask].astype(float), after[mask].astype(float)
    drop = bare.mean() - dark.mean()
    return bool(drop >= max(_LEAST_LEVELS, _LEAST_DROP * bare.mean(), _LEAST_OF_TEXTURE * bare.mean(axis=1).std()))


# ------------------------------------------------------------------------------------------------------------- twins

Twin = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _joint(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A straight groove across the picture, often with a light lip on one side: expansion and panel joints, saw cuts."""
    width = rng.uniform(1, 14)
    cover = _line(len(pixels), rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3), width, rng)
    # Wide and black is a gap, of which only its straightness tells that it is meant to be there: too little for a tile.
    pixels = _darken(pixels, cover, rng.uniform(0.1 if width < 3 else 0.45, 0.8))
    lip = np.roll(cover, (int(rng.integers(-3, 4)), int(rng.integers(-3, 4))), (0, 1)) * (1 - cover)
    return _darken(pixels, lip, rng.uniform(0.9, 1.35))


def _boards(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parallel lines of uneven strength: the marks that formwork boards leave."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05)
    step, offset = rng.uniform(0.12, 0.4), rng.uniform(0, 0.2)
    for k in np.arange(-0.8 + offset, 0.8, step):
        if rng.uniform() < 0.8:
            cover = _line(len(pixels), angle, k, rng.uniform(0.7, 4), rng)
            pixels = _darken(pixels, cover, rng.uniform(0.5, 1.3))
    return pixels


def _mortar(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Courses of blocks: lines one way, shorter ones between them, light or dark."""
    size = len(pixels)
    course, length = rng.uniform(0.15, 0.45), rng.uniform(0.3, 0.8)
    width, light = rng.uniform(1.5, 9), rng.choice([rng.uniform(0.5, 0.85), rng.uniform(1.1, 1.5)])
    cover = np.zeros((size, size), np.float32)
    rows = np.arange(rng.uniform(0, course), 1 + course, course)
    for number, y in enumerate(rows):
        cv2.line(cover, (0, round(y * size)), (size, round(y * size)), 1.0, max(1, round(width)), cv2.LINE_AA)
        for x in np.arange(rng.uniform(0, 0.1) + number % 2 * length / 2 - length, 1, length):
            ends = (round(x * size), round((y - course) * size)), (round(x * size), round(y * size))
            cv2.line(cover, *ends, 1.0, max(1, round(width)), cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), float(rng.choice([0, 90]) + rng.normal(0, 4)), 1.15)
    return _darken(pixels, cv2.warpAffine(cover, turn, (size, size)), light)


def _cable(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to four smooth dark curves of even width: cables, wires, twigs, bars."""
    for _ in range(int(rng.integers(1, 5))):
        cover = _curve(len(pixels), rng, bend=rng.uniform(0, 0.15), width=rng.uniform(1, 4))
        pixels = _darken(pixels, cover, rng.uniform(0.05, 0.5))
    return pixels


def _pen(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes of one colour and width: chalk, markers, scratches, an inspector's own lines beside cracks."""
    colour = rng.uniform(0, 255, 3) if rng.uniform() < 0.6 else np.full(3, rng.uniform(0, 255))
    for _ in range(int(rng.integers(1, 4))):
        cover = _curve(len(pixels), rng, bend=rng.uniform(0.05, 0.5), width=rng.uniform(1, 5))[..., None]
        pixels = np.clip(pixels + rng.uniform(0.5, 1) * cover * (colour - pixels), 0, 255).astype(np.uint8)
    return pixels


def _edge(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another brightness on one side of a straight or curved edge: shadows, wet rims, beams against the sky, patches."""
    size = len(pixels)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    place = rng.uniform(-0.3, 0.3) + rng.uniform(0, 0.1) * np.sin(along * rng.uniform(1, 20) + rng.uniform(0, 7))
    side = 1 / (1 + np.exp(-(across - place) * size / rng.uniform(0.4, 6)))
    pixels = _darken(pixels, side, rng.uniform(0.3, 0.85))
    if rng.uniform() < 0.5:  # a dark rim, as of drying water, or of a gap between two members
        rim = np.exp(-(((across - place) * size / rng.uniform(0.7, 4)) ** 2))
        pixels = _darken(pixels, rim, rng.uniform(0.3, 0.8))
    return pixels


TWINS: tuple[Twin, ...] = (_joint, _boards, _mortar, _cable, _pen, _edge)


def _line(size: int, angle: float, offset: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """Coverage float32 (size, size) of a straight line, `offset` (share of the side) from the middle."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = size * (0.5 + offset * across)
    ends = [tuple(int(v) for v in np.rint((middle + sign * size * along) * 16)) for sign in (-1, 1)]
    return _soften(size, lambda cover: cv2.line(cover, *ends, 1.0, max(1, round(width)), cv2.LINE_AA, 4), width, rng)


def _curve(size: int, rng: np.random.Generator, bend: float, width: float) -> np.ndarray:
    """Coverage of a smooth curve across the picture: a quadratic Bezier."""
    start, end = rng.uniform(-0.2, 1.2, 2) * size, rng.uniform(-0.2, 1.2, 2) * size
    axis = int(rng.integers(2))
    start[axis], end[axis] = -0.1 * size, rng.uniform(0.6, 1.1) * size
    middle = (start + end) / 2 + rng.normal(0, bend * size, 2)
    t = np.linspace(0, 1, 60)[:, None]
    points = np.rint(((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end) * 16).astype(np.int32)
    return _soften(
        size, lambda cover: cv2.polylines(cover, [points], False, 1.0, max(1, round(width)), cv2.LINE_AA, 4), width, rng
    )


def _soften(size: int, draw: Callable[[np.ndarray], object], width: float, rng: np.random.Generator) -> np.ndarray:
    # OpenCV smooths lines in 8 bits only.
    cover = np.zeros((size, size), np.float32)
    draw(cover)
    cover = cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.4, 1.6)))
    return cover * min(1.0, width)


def _darken(pixels: np.ndarray, cover: np.ndarray, light: float) -> np.ndarray:
    return np.clip(pixels * (1 + cover[..., None] * (light - 1)), 0, 255).astype(np.uint8)
