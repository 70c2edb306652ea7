"""Training augmentation: random numbers drawn in numpy, pixels changed by one Keras layer.

Drawing apart from applying gives both input paths (tf.data and PyDataset) the same tiles for the same (seed, epoch), and
makes an interrupted run resume exactly. All geometry is one affine map, so a tile is resampled once, not four times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from crack_tf.data import adverse as adverse_conditions
from crack_tf.data import camera as cameras
from crack_tf.data.adverse import draw_adverse, spoil
from crack_tf.data.camera import draw_camera, through_camera

PARAMETERS = 11  # eight of the affine map, then brightness, contrast, saturation; the numbers of adverse conditions and cameras follow


@dataclass(frozen=True)
class Augmentation:
    """How far training tiles are changed. Defaults are the classification study's.

    Attributes:
        crop_scale: least share of the area kept by a random resized crop; 1 keeps all.
        crop_ratio: greatest aspect ratio of the crop (least is its inverse).
        flip: mirror and flip, each with probability one half.
        rotation: greatest rotation either way, in degrees.
        brightness: pixels are multiplied by 1 plus or minus up to this.
        contrast: likewise for the distance from the tile's mean grey.
        saturation: likewise for the distance from each pixel's own grey.
        adverse: share of tiles with each of `crack_tf.data.adverse`'s conditions; the study had none.
        camera: share of tiles seen through another camera, see `crack_tf.data.camera`; the study had none.
        zoom_out: tiles are reduced up to this factor, with their mirror image around; 1 never does, as the study.
    """

    crop_scale: float = 0.8
    crop_ratio: float = 4 / 3
    flip: bool = True
    rotation: float = 45.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.2
    adverse: float = 0.0
    camera: float = 0.0
    zoom_out: float = 1.0

    def scaled(self, strength: float) -> Augmentation:
        """The same augmentation, `strength` times as far: 0 is none, 1 is this one.

        As many tiles have adverse conditions and other cameras, and are reduced as far: those are asked for by themselves.
        """
        return replace(
            self,
            crop_scale=max(0.05, 1 - (1 - self.crop_scale) * strength),
            crop_ratio=self.crop_ratio if strength else 1.0,
            flip=self.flip and strength > 0,
            rotation=min(180.0, self.rotation * strength),
            brightness=min(0.95, self.brightness * strength),
            contrast=min(0.95, self.contrast * strength),
            saturation=min(1.0, self.saturation * strength),
        )

    def draw(self, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Parameters for `count` tiles of `size` pixels: float32 (count, PARAMETERS), longer rows with adverse conditions or cameras."""
        area = rng.uniform(self.crop_scale, 1, count)
        stretch = np.exp(rng.uniform(-0.5, 0.5, count) * 2 * np.log(self.crop_ratio))
        # A crop side longer than the tile is cut to the tile, as torchvision's fallback does.
        width = np.minimum(1.0, np.sqrt(area * stretch))
        height = np.minimum(1.0, np.sqrt(area / stretch))
        if self.zoom_out > 1:
            wider = self.zoom_out ** rng.uniform(0, 1, count)
            width, height = width * wider, height * wider
        left = rng.uniform(0, 1, count) * (1 - width)
        top = rng.uniform(0, 1, count) * (1 - height)
        mirror_x = np.where(self.flip & (rng.uniform(size=count) < 0.5), -1.0, 1.0)
        mirror_y = np.where(self.flip & (rng.uniform(size=count) < 0.5), -1.0, 1.0)
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, count))
        colours = [1 + rng.uniform(-a, a, count) for a in (self.brightness, self.contrast, self.saturation)]
        affine = affine_rows(size, (left, top), (width, height), (mirror_x, mirror_y), angle)
        return parameter_rows([*affine, *colours], self.adverse, self.camera, size, rng)


def parameter_rows(
    drawn: list[np.ndarray], adverse: float, camera: float, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Drawn parameters as float32 (n, PARAMETERS), followed by those of adverse conditions and of cameras unless their share is 0."""
    rows = np.stack(drawn, axis=1).astype(np.float32)
    if adverse:
        rows = np.hstack([rows, draw_adverse(len(rows), size, adverse, rng)])
    return np.hstack([rows, draw_camera(len(rows), camera, rng)]) if camera else rows


def affine_rows(
    size: int,
    corner: tuple[np.ndarray, np.ndarray],
    extent: tuple[np.ndarray, np.ndarray],
    mirror: tuple[np.ndarray, np.ndarray],
    angle: np.ndarray,
) -> list[np.ndarray]:
    """The eight parameters of `keras.ops.image.affine_transform`, each (n,), that show a crop of a tile at the tile's size.

    They map an output pixel (x, y) to an input pixel, around the centre: rotate and mirror first, then shrink into the crop.

    Args:
        size: side of the tile in pixels.
        corner: left and top of the crop, as shares of the side.
        extent: width and height of the crop, likewise.
        mirror: -1 or 1 for x and for y.
        angle: in radians.
    """
    (left, top), (width, height), (mirror_x, mirror_y) = corner, extent, mirror
    centre = (size - 1) / 2
    a0, a1 = width * mirror_x * np.cos(angle), -width * mirror_x * np.sin(angle)
    b0, b1 = height * mirror_y * np.sin(angle), height * mirror_y * np.cos(angle)
    middle_x = (left + width / 2) * size - 0.5
    middle_y = (top + height / 2) * size - 0.5
    a2 = middle_x - centre * (a0 + a1)
    b2 = middle_y - centre * (b0 + b1)
    zero = np.zeros(len(angle))
    return [a0, a1, a2, b0, b1, b2, zero, zero]


@keras.saving.register_keras_serializable("crack_tf")
class Augment(keras.layers.Layer):
    """Applies drawn parameters to a batch: one bilinear warp with reflected borders, adverse conditions, then the three colour changes.

    Borders are reflected rather than black, because a black wedge has edges that look like a crack.
    """

    def call(self, images: Any, parameters: Any) -> Any:
        """Change a batch.

        Args:
            images: (n, size, size, 3), pixels 0..255, any numeric dtype.
            parameters: float32 from `Augmentation.draw`.

        Returns:
            float32 (n, size, size, 3), pixels 0..255.
        """
        return recolour(warp(keras.ops.cast(images, "float32"), parameters), parameters)


def warp(images: Any, parameters: Any) -> Any:
    """The affine map alone: bilinear, borders reflected. float32 (n, size, size, channels) to the same."""
    return keras.ops.image.affine_transform(
        images, parameters[:, :8], interpolation="bilinear", fill_mode="reflect", data_format="channels_last"
    )


def recolour(images: Any, parameters: Any) -> Any:
    """Adverse conditions, cameras, brightness, contrast and saturation alone. float32 (n, size, size, 3), pixels 0..255, to the same."""
    ops = keras.ops
    extra = parameters.shape[-1] - PARAMETERS
    if extra >= adverse_conditions.NUMBERS:
        images = spoil(images, parameters[:, PARAMETERS : PARAMETERS + adverse_conditions.NUMBERS])
    if extra % adverse_conditions.NUMBERS:
        images = through_camera(images, parameters[:, parameters.shape[-1] - cameras.NUMBERS :])
    brightness, contrast, saturation = (ops.reshape(parameters[:, i], (-1, 1, 1, 1)) for i in (8, 9, 10))
    images = ops.clip(images * brightness, 0, 255)
    mean = ops.mean(_grey(images), axis=(1, 2, 3), keepdims=True)
    images = ops.clip((images - mean) * contrast + mean, 0, 255)
    grey = _grey(images)
    return ops.clip((images - grey) * saturation + grey, 0, 255)


def _grey(images: Any) -> Any:
    """Luma (ITU-R BT.601), shape (n, h, w, 1)."""
    return 0.299 * images[..., 0:1] + 0.587 * images[..., 1:2] + 0.114 * images[..., 2:3]
