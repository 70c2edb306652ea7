"""A face of the structure as its photographs show it, put together by where each camera stood: no blending, so that seams are seen.

Every spot takes its colour from the photograph that shows it in the finest pixels. What no photograph shows keeps the colour of
paper, and where one is transparent it shows nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crack_tf.photo.faces import CYLINDER, Face, Frame, spots_on
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.footprint import Camera, see
from tflite.checked import file_inside
from tflite.errors import CrackError, ImageError
from tflite.images import Picture, decode_picture

MAX_SIDE = 4000  # pixels
PAPER = (236, 236, 236)  # where nothing was seen
_ASIDE = 0.1  # a photograph counts as a twentieth coarser at its corners
_ROWS = 128  # that are looked at at once, for the sake of memory
_COARSE = 64  # places across the face at which it is found out which rows and columns a photograph shows


@dataclass(frozen=True)
class Mosaic:
    """A face's picture.

    Attributes:
        pixels: uint8 (height, width, 3), the face from its upper left corner.
        mm_per_pixel: of it.
        photos: that were used.
        lost: photographs that could not be used, with the reason.
    """

    pixels: np.ndarray
    mm_per_pixel: float
    photos: int
    lost: tuple[str, ...]


def draw_mosaic(
    face: Face, frame: Frame, looking: tuple[tuple[PhotoRecord, Camera], ...], folder: Path, max_side: int = MAX_SIDE
) -> Mosaic:
    """Put a face together.

    Args:
        face, frame: of the structure.
        looking: photographs before it and their cameras, see `crack_tf.survey.geometry.views`.
        folder: that the survey was made of.
        max_side: of the picture in pixels.
    """
    finest = min((photo.mm_per_pixel or math.inf for photo, _ in looking), default=math.inf)
    scale = max(1000 * max(face.length_m, face.height_m) / max_side, min(finest, 10.0))
    width, height = (max(1, math.ceil(1000 * side / scale)) for side in (face.length_m, face.height_m))
    pixels = np.full((height, width, 3), PAPER, np.uint8)
    best = np.full((height, width), np.inf, np.float32)
    used, lost = 0, []
    for photo, camera in looking:
        window = _window(face, frame, camera, width, height, scale)
        if window is None:
            continue
        try:
            picture = _read(folder, photo)
        except CrackError as error:
            lost.append(f"{photo.name}: {error}")
            continue
        used += 1
        _lay(pixels, best, picture, camera, face, frame, scale, window)
    return Mosaic(pixels, scale, used, tuple(lost))


def _lay(
    pixels: np.ndarray,
    best: np.ndarray,
    picture: Picture,
    camera: Camera,
    face: Face,
    frame: Frame,
    scale: float,
    window: tuple[int, int, int, int],
) -> None:
    """Put one photograph where it shows a spot finer than those before."""
    import cv2

    top, bottom, left, right = window
    along = (np.arange(left, right) + 0.5) * scale / 1000
    for first in range(top, bottom, _ROWS):
        rows = slice(first, min(bottom, first + _ROWS))
        up = face.height_m - (np.arange(rows.start, rows.stop) + 0.5) * scale / 1000
        across, heights = np.meshgrid(along, up)
        seen = see(camera, spots_on(face, frame, across.ravel(), heights.ravel()))
        shape = across.shape
        # Of two that are as fine the one whose middle is nearer: seams run straight between them.
        aside = (seen.x / camera.width - 0.5) ** 2 + (seen.y / camera.height - 0.5) ** 2
        fineness = np.where(seen.inside, seen.mm_per_pixel * (1 + _ASIDE * aside), np.inf)
        fineness = fineness.reshape(shape).astype(np.float32)
        nearer = fineness < best[rows, left:right]
        # `see` counts from the photograph's corner, pictures from the middle of their first pixel.
        maps = [(value.reshape(shape) - 0.5).astype(np.float32) for value in (seen.x, seen.y)]
        if picture.opaque is not None:
            there = cv2.remap(picture.opaque.view(np.uint8), *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            nearer &= there > 0
        if not nearer.any():
            continue
        colours = cv2.remap(picture.pixels, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        pixels[rows, left:right][nearer] = colours[nearer]
        best[rows, left:right][nearer] = fineness[nearer]


def _window(
    face: Face, frame: Frame, camera: Camera, width: int, height: int, scale: float
) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of the part that a photograph may show, None for nothing."""
    side = min(camera.width, camera.height) * camera.distance_m / camera.focal_px  # metres that it shows
    columns = np.linspace(0, face.length_m, max(_COARSE, math.ceil(4 * face.length_m / side)))
    rows = np.linspace(0, face.height_m, max(_COARSE, math.ceil(4 * face.height_m / side)))
    across, heights = np.meshgrid(columns, rows)
    inside = see(camera, spots_on(face, frame, across.ravel(), heights.ravel())).inside.reshape(across.shape)
    if not inside.any():
        return None
    step = columns[1], rows[1]
    seen_columns, seen_rows = columns[inside.any(axis=0)], rows[inside.any(axis=1)]
    left, right = seen_columns[0] - step[0], seen_columns[-1] + step[0]
    low, high = seen_rows[0] - step[1], seen_rows[-1] + step[1]
    if face.kind == CYLINDER and right - left > 0.9 * face.length_m:  # around the cut
        left, right = 0.0, face.length_m
    return (
        max(0, math.floor(1000 * (face.height_m - high) / scale)),
        min(height, math.ceil(1000 * (face.height_m - low) / scale)),
        max(0, math.floor(1000 * left / scale)),
        min(width, math.ceil(1000 * right / scale)),
    )


def _read(folder: Path, photo: PhotoRecord) -> Picture:
    """The photograph of a record: that very file."""
    path = file_inside(folder, photo.name)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise CrackError("is another file than the one that was surveyed")
    try:
        picture = decode_picture(data, photo.name)
    except ImageError as error:
        raise CrackError(str(error)) from None
    height, width = picture.pixels.shape[:2]
    if (height, width) != (photo.height, photo.width):
        raise CrackError(f"has {width}x{height} pixels, expected {photo.width}x{photo.height}")
    return picture
