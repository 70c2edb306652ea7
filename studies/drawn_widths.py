"""Photographs of one crack whose width and length are known, for `studies.width_intervals`.

The crack's shape is one of `crack_tf.synthetic.wall`: uneven edges, kinks, fine tips. It lies on that module's concrete. Light goes the way
it does in a camera: in linear light through a lens (Gaussian, disc or motion), onto pixels of a surface, through a tone curve (half of
the pictures), with noise and, at last, JPEG.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from crack_tf.photo.gsd import LASER, STATED, distance_error
from crack_tf.photo.view import FACING_ERROR_DEG, GIMBAL_ERROR_DEG, View
from crack_tf.synthetic.surface import GAUSSIAN
from crack_tf.synthetic.wall import Wall, draw_walk
from tflite.device.tiles import Box

SIDE = 384  # pixels of a window
WIDTHS_MM = 0.05, 2.0
SCALES = 0.08, 0.5  # mm per pixel
BLURS = 0.35, 1.8  # pixels, standard deviation
NOISES = 0.8, 6.0  # grey levels
CONTRASTS = 0.35, 0.85  # of the crack's darkness in grey levels, by the concrete beside it
TILT_DEG = 30.0  # at most, up or down
_PHOTO = 4000, 3000
_FOCAL_PX = 8000.0  # the distances are 0.6 to 4 m
_WIDEST_PX, _FINEST_PX = 16.0, 0.1
_STRETCH = 20  # pixels, as `crack_tf.photo.cracks.MAX_WIDTH_STRETCH`
_FINE = 4  # samples per pixel, each way
_GAMMA = 2.2


@dataclass(frozen=True)
class DrawnCrack:
    """A window of a photograph, and what is true about the crack on it.

    Attributes:
        photo: uint8 (SIDE, SIDE, 3).
        share: float32 (SIDE, SIDE), of each pixel that the crack covers, before the lens.
        line: float (n, 2), x and y of its centreline in pixels of the window, about a pixel apart.
        corner: x and y of the window in the photograph.
        view: what is taken for the camera's place, with the errors it states.
        width_mm, max_width_mm, length_mm: the truth; the maximum over stretches of 20 pixels.
        width_px: mean, as it appears.
        blur, noise, contrast, oblique_deg, mm_per_pixel: how it was photographed.
        scale_from: "given", "laser" or "stated".
    """

    photo: np.ndarray
    share: np.ndarray
    line: np.ndarray
    corner: tuple[int, int]
    view: View
    width_mm: float
    max_width_mm: float
    length_mm: float
    width_px: float
    blur: float
    noise: float
    contrast: float
    oblique_deg: float
    mm_per_pixel: float
    scale_from: str


def draw_crack(seed: int) -> DrawnCrack:
    """A crack, its photograph and its truth; the same for the same seed."""
    rng = np.random.default_rng([seed, 18])
    while True:
        scale, width_mm = _log_uniform(rng, *SCALES), _log_uniform(rng, *WIDTHS_MM)
        if _FINEST_PX <= width_mm / scale <= _WIDEST_PX:
            break
    tilt = float(rng.uniform(-TILT_DEG, TILT_DEG))
    pan = float(rng.normal(0, FACING_ERROR_DEG))
    true = View(*_PHOTO, scale, _FOCAL_PX, tilt, pan)
    corner = tuple(int(rng.integers(0, side - SIDE)) for side in _PHOTO)
    # Drawn in pixels of the window, as it appears; its millimetres are those that the surface has there.
    while True:
        start = rng.uniform(40, SIDE - 40, 2)
        walk = draw_walk(rng, (start[0], start[1]), rng.uniform(0, 2 * math.pi), rng.uniform(120, 340), 1.0)
        if walk.points.min() > 12 and walk.points.max() < SIDE - 13:
            break
    steps = np.hypot(*np.diff(walk.points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], round(along[-1]) + 1)
    line = np.stack([np.interp(places, along, walk.points[:, axis]) for axis in (0, 1)], axis=1)
    reach = np.stack([np.interp(places, along, side) for side in walk.reach])
    found = true.derivative(line + corner)
    tangents = np.gradient(line, axis=0)
    tangents /= np.hypot(*tangents.T)[:, None]
    grown = np.linalg.norm(np.einsum("nij,nj->ni", found, tangents), axis=1)
    across = np.linalg.det(found) / grown
    # `reach` is of a crack a pixel wide on average.
    mm = reach * width_mm
    pixels = mm / across
    widths_mm = mm.sum(axis=0)
    length_mm = float(np.hypot(*np.diff(true.to_surface(line + corner), axis=0).T).sum())
    stretches = np.convolve(widths_mm, np.full(_STRETCH, 1 / _STRETCH), mode="valid")
    blur, noise = float(rng.uniform(*BLURS)), _log_uniform(rng, *NOISES)
    contrast = float(rng.uniform(*CONTRASTS))
    photo, share = _photograph(line, pixels, rng, blur, noise, contrast)
    view, source = _assumed(true, rng)
    return DrawnCrack(
        photo=photo,
        share=share,
        line=line,
        corner=(corner[0], corner[1]),
        view=view,
        width_mm=float(widths_mm.mean()),
        max_width_mm=float(stretches.max()),
        length_mm=length_mm,
        width_px=float(pixels.sum(axis=0).mean()),
        blur=blur,
        noise=noise,
        contrast=contrast,
        oblique_deg=float(true.obliqueness(line.mean(axis=0, keepdims=True) + corner)[0]),
        mm_per_pixel=scale,
        scale_from=source,
    )


def perturbed_mask(drawn: DrawnCrack, rng: np.random.Generator) -> np.ndarray:
    """The crack's mask as a careful person or a good model draws it: ragged by a pixel, up to two too wide, its tips a little off.

    Returns:
        bool (SIDE, SIDE), in one part.
    """
    import cv2

    away = cv2.distanceTransform((drawn.share < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    inside = cv2.distanceTransform((drawn.share >= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    first, last = (int(abs(value)) for value in rng.normal(0, 3, 2))
    kept = drawn.line[first : len(drawn.line) - last]
    spine = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(spine, [kept.round().astype(np.int32)], False, 1)
    ragged = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)), (0, 0), 2.0)
    ragged *= 0.6 / ragged.std()
    mask = (away - inside <= rng.uniform(-0.3, 2.0) + ragged) | (spine > 0)
    # Cut at the tips that are left out.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (41, 41))
    mask &= cv2.dilate(spine, kernel) > 0
    for end, place in ((first, 0), (last, -1)):
        if end:
            x, y = drawn.line[place]
            tip = kept[place]
            rows, columns = np.mgrid[:SIDE, :SIDE]
            ahead = np.array([x, y]) - tip
            beyond = (columns - tip[0]) * ahead[0] + (rows - tip[1]) * ahead[1] > 0
            mask &= ~(beyond & (np.hypot(columns - x, rows - y) < 12))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())) if count > 1 else mask


def _photograph(
    line: np.ndarray, reach: np.ndarray, rng: np.random.Generator, blur: float, noise: float, contrast: float
) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    toned = rng.random() < 0.5
    fine = _coverage(line, reach)
    share = fine.reshape(SIDE, _FINE, SIDE, _FINE).mean(axis=(1, 3))
    seen = _through_lens(fine, blur, rng).reshape(SIDE, _FINE, SIDE, _FINE).mean(axis=(1, 3))
    x, y = (int(value) for value in rng.integers(0, 20_000, 2))
    wall = Wall(int(rng.integers(2**31)), Box(-50_000, -50_000, 100_000, 100_000), ())
    concrete = wall.view(x, y, SIDE, SIDE)[0].astype(np.float32)
    concrete = cv2.GaussianBlur(concrete, (0, 0), max(0.3, blur - 0.4)) * rng.uniform(0.75, 1.1)
    uneven = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 9)
    inside = np.clip(0.95 + 0.1 * uneven / uneven.std(), 0.6, 1.0)
    halo = rng.uniform(0, 0.1) * (rng.random() < 0.3) * cv2.GaussianBlur(share.astype(np.float32), (0, 0), 5)
    # With a tone curve darkness is a share of light, and pixels are mixed in light.
    power = _GAMMA if toned else 1.0
    dark = 1 - (1 - contrast) ** power
    factor = (1 - dark * inside * seen) * (1 - halo)
    grey = 255 * ((concrete / 255).clip(0, 1) ** power * factor[..., None]).clip(0, 1) ** (1 / power)
    grey = grey + noise * GAUSSIAN[rng.integers(0, 256, (SIDE, SIDE))][..., None]
    stream = io.BytesIO()
    Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=int(rng.integers(85, 98)))
    with Image.open(stream) as image:
        return np.asarray(image.convert("RGB")), share.astype(np.float32)


def _coverage(line: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Shares of samples, `_FINE` to a pixel, that are covered, float32: exact whatever the width, softened by an eighth of a pixel."""
    from scipy.ndimage import binary_dilation
    from scipy.spatial import cKDTree
    from scipy.special import ndtr

    soft = 0.125
    dense = np.linspace(0, len(line) - 1, 8 * len(line))
    points = np.stack([np.interp(dense, np.arange(len(line)), line[:, axis]) for axis in (0, 1)], axis=1)
    sides = np.stack([np.interp(dense, np.arange(len(line)), side) for side in reach])
    tangents = np.gradient(points, axis=0)
    tangents /= np.hypot(*tangents.T)[:, None]
    near = np.zeros((SIDE, SIDE), bool)
    near[tuple(points[:, ::-1].round().astype(int).T)] = True
    near = binary_dilation(near, iterations=math.ceil(1.5 * sides.max()) + 3)
    rows, columns = np.nonzero(np.kron(near, np.ones((_FINE, _FINE), bool)))
    places = (np.stack([columns, rows], axis=1) + 0.5) / _FINE - 0.5
    _, nearest = cKDTree(points).query(places)
    offset = places - points[nearest]
    across = offset[:, 0] * -tangents[nearest, 1] + offset[:, 1] * tangents[nearest, 0]
    along = (offset * tangents[nearest]).sum(axis=1)
    share = ndtr((across + sides[0, nearest]) / soft) - ndtr((across - sides[1, nearest]) / soft)
    share[(nearest == 0) & (along < 0) | (nearest == len(points) - 1) & (along > 0)] = 0
    fine = np.zeros((SIDE * _FINE, SIDE * _FINE), np.float32)
    fine[rows, columns] = share
    return fine


def _through_lens(fine: np.ndarray, blur: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, a disc out of focus, or smeared by motion: all with that standard deviation across, about."""
    import cv2

    kind = rng.choice(["gaussian", "disc", "motion"], p=[0.6, 0.25, 0.15])
    sigma = blur * _FINE
    if kind == "gaussian":
        return np.asarray(cv2.GaussianBlur(fine, (0, 0), sigma))
    if kind == "disc":
        radius = 2 * 0.85 * sigma
        span = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
        disc = np.clip(radius + 0.5 - np.hypot(span[:, None], span), 0, 1).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(cv2.filter2D(fine, -1, disc / disc.sum()), (0, 0), 0.5 * sigma))
    smear = cv2.GaussianBlur(fine, (0, 0), 0.6 * sigma)
    length = 2 * math.sqrt(3) * 0.8 * sigma
    half = math.ceil(length / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    angle = rng.uniform(0, math.pi)
    ends = [
        (round(half + sign * length / 2 * math.cos(angle)), round(half + sign * length / 2 * math.sin(angle)))
        for sign in (-1, 1)
    ]
    cv2.line(kernel, *ends, 1.0)
    return np.asarray(cv2.filter2D(smear, -1, kernel / kernel.sum()))


def _assumed(true: View, rng: np.random.Generator) -> tuple[View, str]:
    """The camera as a survey knows it: its scale off by what its source leaves open, pitch by a gimbal, faced squarely."""
    source = str(rng.choice(["given", LASER, STATED]))
    if source == "given":
        # Measured on the wall where the crack is: the scale is right there, whatever the angle.
        return true, source
    distance = true.mm_per_pixel * _FOCAL_PX / 1000
    error = math.hypot(distance_error(distance, source), 0.003)
    scale = true.mm_per_pixel / (1 + rng.normal(0, error))
    tilt = true.tilt_deg + rng.normal(0, GIMBAL_ERROR_DEG)
    return View(*_PHOTO, scale, _FOCAL_PX, tilt, 0.0, error), source


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
