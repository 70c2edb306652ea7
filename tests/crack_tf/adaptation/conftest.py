"""A tiny trained run with an int8 export, and a structure that it was not trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tflite.files import sha256_file
from tflite.manifest import LABELS
from tflite.sidecar import Sidecar, read_sidecar, write_sidecar

SIDE = 32
IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="session")
def tiny_base(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run with an int8 export."""
    run = shutil.copytree(tiny_export, tmp_path_factory.mktemp("base") / "tiny")
    for path in run.glob("export/opnet-float32*"):
        path.unlink()
    return run


def draw_site_tile(label: int, seed: int, size: int = 64) -> Image.Image:
    """Dark blue concrete with, for a crack, a light line: other than what the tiny run has seen."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal((50, 60, 90), 8, (size, size, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    if label:
        start, end = rng.integers(0, size, 2)
        ImageDraw.Draw(image).line([(0, int(start)), (size, int(end))], fill=(230, 230, 230), width=6)
    return image


def write_site(folder: Path, photos: int = 6, each: int = 3) -> Path:
    """crack/ and no_crack/, a folder per photograph in each."""
    for label, name in enumerate(LABELS):
        for photo in range(photos):
            place = folder / name / f"IMG_{photo}"
            place.mkdir(parents=True)
            for number in range(each):
                draw_site_tile(label, 1000 * label + 10 * photo + number).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 cracked and 18 clean tiles of six photographs."""
    return write_site(tmp_path_factory.mktemp("site") / "bridge")


@pytest.fixture(scope="session")
def sharp(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sidecar]:
    """An untrained small MobileNetV2 with a sidecar that knows no smoothing, as those of older files."""
    import keras

    from crack_tf.models import build_model

    path = tmp_path_factory.mktemp("sharp") / "model.keras"
    keras.utils.set_random_seed(1)
    model = build_model("mobilenet_v2", keras, image_size=SIDE, alpha=0.35, bn_momentum=0.0)
    model(IMAGES.astype(np.float32), training=True)  # without statistics, untrained features fade away
    model.save(path)
    like = read_sidecar(tiny_run / "model.keras")
    sidecar = replace(
        like, model="mobilenet_v2", file=path.name, sha256=sha256_file(path), hyperparameters={"alpha": 0.35}
    )
    write_sidecar(path, sidecar)
    return path, sidecar
