"""Small photographs of a light wall with dark lines, and models made by hand that see dark: what a survey finds can be foretold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.dark_map_model import write_map_model
from tests.dark_model import write_dark_model
from tflite.metrics import sigmoid
from tflite.sidecar import Threshold, raw_threshold

WIDTH, HEIGHT = 224, 160


@dataclass(frozen=True)
class Models:
    """Files of a classifier (tiles of 32 pixels) and of a segmentation model."""

    classifier: Path
    segmenter: Path

    @property
    def options(self) -> list[str]:
        """What the command line takes."""
        return [
            "--model",
            str(self.classifier),
            "--segmenter",
            str(self.segmenter),
            "--foreground",
            "none",
            "--jobs",
            "2",
        ]


def write_models(folder: Path) -> Models:
    """A tile is cracked when its mean brightness is below about 200; a pixel when it is below 128."""
    models = Models(folder / "dark.tflite", folder / "map.tflite")
    logit = -4.5
    raw = raw_threshold(logit, 1 / 16, 128, "uint8")
    write_dark_model(models.classifier, threshold=Threshold(float(sigmoid(logit)), logit, raw, 0.99, "val"))
    write_map_model(models.segmenter, 32)
    return models


def wall(
    seed: int = 0, lines: Sequence[Sequence[tuple[int, int]]] = (), width: int = WIDTH, height: int = HEIGHT
) -> Image.Image:
    """A light wall with blots to know it again by, and dark lines 5 pixels wide."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(196, 236, (height, width, 1), np.uint8).repeat(3, axis=2))
    pen = ImageDraw.Draw(image)
    for _ in range(width * height // 600):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1, 3)
        pen.ellipse([x - r, y - r, x + r, y + r], fill=(int(rng.integers(150, 190)),) * 3)
    for line in lines:
        pen.line([(x, y) for x, y in line], fill=(10, 10, 10), width=5)
    return image


def exif(number: int = 0, latitude: float | None = 48.2, longitude: float = 16.4, **tags: str) -> Image.Exif:
    """EXIF data of photograph `number`, taken `number` seconds after 09:30 UTC and a millionth of a degree further north."""
    found = Image.Exif()
    found[0x0110] = tags.get("model", "drawn")
    taken = found.get_ifd(0x8769)
    taken[0x9003], taken[0x9011] = (
        f"2025:06:01 11:{30 + number // 60:02d}:{number % 60:02d}",
        tags.get("offset", "+02:00"),
    )
    if latitude is not None:
        gps = found.get_ifd(0x8825)
        gps[1], gps[2] = ("N" if latitude >= 0 else "S"), _angle(abs(latitude) + 1e-6 * number)
        gps[3], gps[4] = ("E" if longitude >= 0 else "W"), _angle(abs(longitude))
    return found


def write_flight(folder: Path, count: int = 6) -> Path:
    """Photographs with one, two or no line each."""
    folder.mkdir(parents=True)
    lines = ([(20, 30), (200, 60)], [(40, 120), (180, 140)])
    for number in range(count):
        wall(number, lines[: number % 3]).save(folder / f"{number:03d}.png", exif=exif(number))
    return folder


def _angle(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1 * 60
    return float(int(degrees)), float(int(minutes)), round(minutes % 1 * 60, 6)
