"""The files that say how long and wide the cracks of a mask are: cracks.csv, cracks.json and overlay.png."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.cli import non_negative_int, positive_float
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv, write_json

if TYPE_CHECKING:
    import numpy as np

    from crack_tf.photo.cracks import Crack
    from crack_tf.photo.gsd import GroundSampling

TABLE, RECORD, OVERLAY = "cracks.csv", "cracks.json", "overlay.png"
FILES = (TABLE, OVERLAY, RECORD)
LEFT_OUT = "unclear: hardly anything here was taken for concrete"


def add_measure_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say which cracks count, and how large a pixel is."""
    parser.add_argument("--min-area", type=non_negative_int, help="leave out smaller spots, in pixels; default: 30")
    parser.add_argument(
        "--min-length", type=non_negative_int, default=0, help="leave out shorter cracks, in pixels; default: 0"
    )
    scale = parser.add_argument_group("scale", "without any of these, results are in pixels")
    scale.add_argument("--mm-per-pixel", type=positive_float, help="ground sampling distance")
    scale.add_argument("--distance-m", type=positive_float, help="from the lens to the surface, in metres")
    scale.add_argument("--focal-mm", type=positive_float, help="focal length; default: that in the photograph")
    scale.add_argument("--sensor-width-mm", type=positive_float, help="longer side of the sensor")
    scale.add_argument("--exif", action="store_true", help="take focal length and distance from the photograph")


def find_scale(options: argparse.Namespace, shape: tuple[int, ...], photo: Path | None) -> GroundSampling | None:
    """The ground sampling distance that the options of `add_measure_arguments` give, or None.

    Args:
        options: parsed.
        shape: height and width of the mask.
        photo: of the mask, for its EXIF data, or None.

    Raises:
        CrackError: if the options contradict each other or lack one.
    """
    from crack_tf.photo.gsd import from_camera, from_photo, from_value

    camera = [options.distance_m, options.focal_mm, options.sensor_width_mm]
    if options.mm_per_pixel is not None:
        if options.exif or any(value is not None for value in camera):
            raise CrackError(
                "--mm-per-pixel says everything. Leave --distance-m, --focal-mm, --sensor-width-mm and --exif out."
            )
        return from_value(options.mm_per_pixel)
    if options.focal_mm is not None:
        if options.distance_m is None or options.sensor_width_mm is None:
            raise CrackError("--focal-mm needs --distance-m and --sensor-width-mm beside it.")
        return from_camera(options.focal_mm, options.distance_m, options.sensor_width_mm, max(shape))
    if options.exif or any(value is not None for value in camera):
        if photo is None:
            raise CrackError(
                "the scale needs a focal length: give --photo with EXIF data, --focal-mm, or --mm-per-pixel."
            )
        return from_photo(photo, options.distance_m, options.sensor_width_mm)
    return None


def write_cracks(
    out: Path,
    mask: np.ndarray,
    scale: GroundSampling | None,
    options: argparse.Namespace,
    record: Mapping[str, Any],
    photo: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
    min_left_out: float = 0.0,
) -> list[Crack]:
    """Measure the cracks of a mask and write the files; cracks.json comes last and says that the others are whole.

    Args:
        out: folder.
        mask: bool (height, width).
        scale: ground sampling distance, or None for pixels.
        options: with "min_area" and "min_length".
        record: further entries of cracks.json, in front.
        photo: uint8 (height, width, 3), to measure widths in and for the overlay; None for the mask's widths and no overlay.
        left_out: bool (height, width), what was drawn where a foreground sees no concrete; or None. It is told as "unclear".
        min_left_out: shorter cracks in it are not, in pixels.

    Returns:
        The cracks of the mask.
    """
    from crack_tf.photo.cracks import COLUMNS, MIN_AREA, measure_cracks
    from crack_tf.photo.overlay import draw_cracks

    mm_per_pixel = None if scale is None else scale.mm_per_pixel
    min_area = MIN_AREA if options.min_area is None else options.min_area
    cracks = measure_cracks(mask, mm_per_pixel, min_area, options.min_length, photo=photo)
    unclear: list[Crack] = []
    if left_out is not None:
        shortest = max(min_left_out, options.min_length)
        unclear = [
            replace(crack, number=number)
            for number, crack in enumerate(
                measure_cracks(without_specks(left_out, shortest / 2), mm_per_pixel, min_area, shortest, photo=photo),
                start=len(cracks) + 1,
            )
        ]
    rows = [crack.as_dict() for crack in cracks] + [crack.as_dict() | {"note": LEFT_OUT} for crack in unclear]
    write_csv(out / TABLE, rows, (*COLUMNS, "note"))
    if photo is not None:
        drawn = mask if left_out is None else mask | left_out
        with atomic_path(out / OVERLAY) as temporary:
            draw_cracks(photo, [*cracks, *unclear], drawn).save(temporary)
    write_json(
        out / RECORD,
        {
            **record,
            "width": mask.shape[1],
            "height": mask.shape[0],
            "scale": None if scale is None else scale.describe(),
            "cracks": [crack.as_dict(geometry=True) for crack in cracks],
            "unclear": [crack.as_dict(geometry=True) | {"note": LEFT_OUT} for crack in unclear],
        },
    )
    return cracks


def without_specks(mask: np.ndarray, extent: float) -> np.ndarray:
    """A mask, bool (height, width), without parts whose box has a shorter diagonal, in pixels: measuring them takes time."""
    import cv2
    import numpy as np

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    wanted = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= extent
    wanted[0] = False  # outside
    return np.asarray(wanted[labels])
