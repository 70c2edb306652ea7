"""Procedural concrete with cracks: tiles, labels and pixel masks from a seed, so that the chain runs with no download.

A tile is one surface seen once: concrete texture, then whatever else is on it (stains, joints, formwork lines,
scratches, bugholes ...), then the crack if there is one, then light (shadows, gradient) and camera (blur, noise). The
surface depends on (seed, index) alone and its confounders are drawn without looking at the label, so
`render_tile(s, i, True)` and `render_tile(s, i, False)` are the same photograph with and without the crack: nothing but
the crack tells the classes apart.

`crack_tf.synthetic.surface` is the concrete, `crack_tf.synthetic.confounders` what else is on it. Lengths are in pixels of a 128-pixel
tile and grow with the tile, except that a crack is never thinner than a pixel.
"""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from crack_tf.common.progress import bar
from crack_tf.synthetic.confounders import CONFOUNDERS, draw_confounders
from crack_tf.synthetic.surface import GAUSSIAN, OVERSAMPLE, Surface, blurred, noise, rasterised
from tflite.errors import CrackError, ImageError
from tflite.files import read_json, write_bytes, write_json
from tflite.images import load_rgb
from tflite.manifest import LABELS
from tflite.outputs import Output, check_folder, clear_folder, json_with, remove_leftovers

FORMAT = "crack_tf.synthetic/1"
GENERATOR_VERSION = 1  # raise it whenever a tile of the same seed and index would look different
MIN_SIZE, MAX_SIZE = 32, 1024
MAX_COUNT = 99_998  # the names have five digits

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
        confounders: names of what else is on the surface, in drawing order; see `crack_tf.synthetic.confounders`.
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
    confounders = draw_confounders(rng)
    surface = Surface(size, rng)
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
    return draw_confounders(np.random.default_rng([seed, index, 0]))


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


def _photograph(surface: Surface, rng: np.random.Generator) -> np.ndarray:
    """Light falling unevenly, then lens blur, sensor noise and 8 bits. Returns uint8 (size, size, 3)."""
    size = surface.size
    slope = rng.normal(0, 0.07, 2)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    light = (1 + slope[0] * axis[None, :] + slope[1] * axis[:, None]).astype(np.float32)
    pixels = surface.colour * (surface.shade * light)[..., None]
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(surface.scale * rng.uniform(0.2, 0.85)))
    # One luminance noise plus a weaker one per channel, as demosaicing leaves it.
    grain = GAUSSIAN * np.float32(rng.uniform(0.5, 4))
    dice = rng.integers(0, 256, (size, size, 4), np.uint8)
    pixels = np.asarray(image) + (0.4 * grain)[dice[..., 1:]] + (grain + 0.5)[dice[..., :1]]
    return pixels.clip(0, 255).astype(np.uint8)


# --- the crack -----------------------------------------------------------------------------------------------------


def _crack(surface: Surface, rng: np.random.Generator) -> np.ndarray:
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

    coverage = rasterised(surface.size, draw)
    # Broken edges expose lighter paste, dirt settles along the lips: both lie outside the mask.
    if base > 2 and rng.random() < 0.4:
        surface.tint(rasterised(surface.size, draw_chips), (1 + rng.uniform(-0.12, 0.25),) * 3)
    halo = blurred(coverage, 2.0 * surface.scale)
    surface.shade *= 1 - rng.uniform(0, 0.25) * halo
    depth = rng.uniform(0.6, 0.88)
    inside = np.clip(0.95 + 0.12 * noise(rng, surface.size, 24), 0.6, 1)
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
    half = np.maximum(widths * ragged * unit, 1.15 * OVERSAMPLE) / 2
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    left = (points * unit + across * half[0][:, None]).tolist()
    right = (points * unit - across * half[1][:, None]).tolist()
    # Piece by piece: as one polygon, a crack that crosses itself would have holes.
    for i in range(len(points) - 1):
        pen.polygon([*left[i], *left[i + 1], *right[i + 1], *right[i]], fill=255)


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
