"""Pictures of an audit of photographs with masks. Those of an evaluation are in `crack_tf.evaluation.pictures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.data.audit import Audit
from crack_tf.data.pairs import PairRecord
from crack_tf.data.plots import save_sheet
from tflite.images import load_rgb
from tflite.masks import decode_mask

_RED, _GREEN = (230, 40, 40), (40, 200, 70)


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask, bool (h, w), that touch one outside it."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask, border_value=1)


def pair_sheet(
    result: Audit, path: str | Path, columns: int = 6, rows: int = 4, side: int = 176, seed: int = 0
) -> None:
    """Random pairs: the photograph with its mask's outline in red, the crack's share below, one PNG."""
    good = [record for record in result.readable if isinstance(record, PairRecord)]
    chosen = np.random.default_rng(seed).permutation(len(good))[: columns * rows]
    tiles: list[np.ndarray | None] = []
    captions = []
    for record in (good[k] for k in sorted(chosen)):
        tiles.append(_outlined(result, record, [((0, 0), _RED)], side))
        captions.append(f"{record.crack_share:.1%} {_short(record.path, side)}")
    save_sheet(tiles, captions, columns, side, path)


def misaligned_sheet(result: Audit, path: str | Path, columns: int = 4, rows: int = 3, side: int = 264) -> None:
    """The pairs whose mask fits much better when moved, largest gain first: as it is in red, moved in green, one PNG."""
    moved = [record for record in result.readable if isinstance(record, PairRecord) and record.misaligned]
    moved.sort(key=lambda record: record.contrast - record.shifted_contrast)
    tiles: list[np.ndarray | None] = []
    captions = []
    for record in moved[: columns * rows]:
        moves = [((0, 0), _RED), ((record.shift_x, record.shift_y), _GREEN)]
        tiles.append(_outlined(result, record, moves, side))
        captions.append(f"{record.shift_x:+d},{record.shift_y:+d} {_short(record.path, side)}")
    save_sheet(tiles or [None], captions or ["no misaligned mask found"], columns, side, path)


def _short(path: str, side: int) -> str:
    """The end of a file's stem that fits below its picture; crops differ at the end."""
    return Path(path).stem[-(side // 6 - 7) :]


def _outlined(
    result: Audit, record: PairRecord, moves: list[tuple[tuple[int, int], tuple[int, int, int]]], side: int
) -> np.ndarray:
    """The photograph with outlines of its mask at several places, fitted into a square, uint8 (side, side, 3)."""
    folder = result.source.folder
    photo = load_rgb(folder / record.path).copy()
    mask = decode_mask((folder / record.mask).read_bytes(), photo.shape[:2], record.mask, record.mask_orientation)
    for (x, y), colour in moves:
        photo[np.roll(outline(mask), (y, x), axis=(0, 1))] = colour
    image = Image.fromarray(photo)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, (0, side - image.height))
    return np.asarray(square)
