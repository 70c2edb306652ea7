"""Photographs with masks for tests of finding and checking them: noise with a dark line, and the line's mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_pair(seed: int, width: int = 96, height: int = 64, cracked: bool = True) -> tuple[Image.Image, Image.Image]:
    """A photograph and its mask of 0 and 255; every seed has another background."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(120, 200, (6, 9, 3), dtype=np.uint8))
    photo = coarse.resize((width, height), Image.Resampling.BICUBIC)
    mask = Image.new("L", (width, height))
    if cracked:
        line = [(0, int(rng.integers(height))), (width // 2, height // 2), (width, int(rng.integers(height)))]
        ImageDraw.Draw(photo).line(line, fill=(30, 30, 30), width=4)
        ImageDraw.Draw(mask).line(line, fill=255, width=4)
    return photo, mask


def write_pair(
    images: Path, masks: Path, stem: str, seed: int, cracked: bool = True, size: tuple[int, int] = (96, 64)
) -> None:
    """A photograph as JPEG and its mask as PNG."""
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    photo, mask = draw_pair(seed, *size, cracked=cracked)
    photo.save(images / f"{stem}.jpg", quality=95)
    mask.save(masks / f"{stem}.png")


def write_set(root: Path, count: int = 20, cracked: int = 14, seed: int = 0) -> Path:
    """`images/` and `masks/` of pairs a00, a01 ...; the last ones have no crack. Returns the root."""
    for number in range(count):
        write_pair(root / "images", root / "masks", f"a{number:02d}", seed + number, number < cracked)
    return root
