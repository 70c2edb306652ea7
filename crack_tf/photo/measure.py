"""The files that say how long and wide the cracks of a mask are: cracks.csv, widths.csv, cracks.json and overlay.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.common.arguments import check_types
from crack_tf.photo.limits import column, judge, read_limits
from crack_tf.photo.patterns import COLUMNS as PATTERN_COLUMNS
from crack_tf.photo.patterns import Lines, density, patterns_of
from crack_tf.photo.view import scale_error
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv, write_json

if TYPE_CHECKING:
    import numpy as np

    from crack_tf.photo.cracks import Crack
    from crack_tf.photo.gsd import GroundSampling

TABLE, RECORD, OVERLAY, PROFILES = "cracks.csv", "cracks.json", "overlay.png", "widths.csv"
FILES = (TABLE, PROFILES, OVERLAY, RECORD)
PROFILE_COLUMNS = ("crack", "branch", "along_px", "x", "y", "width_px", "width_from", "along_mm", "width_mm")
LEFT_OUT = "unclear: hardly anything here was taken for concrete"


@dataclass(frozen=True)
class MeasureConfig:
    """Which cracks count, and how large a pixel is. Without any of the scale's fields results are in pixels.

    Attributes:
        min_area: smaller spots are left out, in pixels; None for the usual 30.
        min_length: shorter cracks are left out, in pixels.
        mm_per_pixel: ground sampling distance.
        distance_m: from the lens to the surface, in metres.
        focal_mm: focal length; None for that in the photograph.
        sensor_width_mm: longer side of the sensor.
        exif: take focal length and distance from the photograph.
        limit_mm: widths that a table says of each crack whether it exceeds them, or their text, see `crack_tf.photo.limits`.

    Raises:
        CrackError: if a limit is no width, the scale's fields contradict each other or lack one, or the lens would be focused closer
            than its focal length.
    """

    min_area: int | None = None
    min_length: int = 0
    mm_per_pixel: float | None = None
    distance_m: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None
    exif: bool = False
    limit_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit_mm", read_limits(self.limit_mm))
        check_types(self)
        camera = [self.distance_m, self.focal_mm, self.sensor_width_mm]
        if self.mm_per_pixel is not None and (self.exif or any(value is not None for value in camera)):
            raise CrackError(
                "--mm-per-pixel says everything. Leave --distance-m, --focal-mm, --sensor-width-mm and --exif out."
            )
        if self.focal_mm is not None:
            if self.distance_m is None or self.sensor_width_mm is None:
                raise CrackError("--focal-mm needs --distance-m and --sensor-width-mm beside it.")
            from crack_tf.photo.gsd import from_camera

            from_camera(self.focal_mm, self.distance_m, self.sensor_width_mm, 1)


def find_scale(config: MeasureConfig, shape: tuple[int, ...], photo: Path | None) -> GroundSampling | None:
    """The ground sampling distance, or None where nothing says it.

    Args:
        config: what is known of it.
        shape: height and width of the mask.
        photo: of the mask, for its EXIF data, or None.

    Raises:
        ScaleRefusedError: if the photograph is not what its lens drew, whoever states the lens.
        CrackError: if the photograph's data lack what is needed.
    """
    from crack_tf.photo.gsd import from_camera, from_photo, from_value, refuse_panorama

    if config.mm_per_pixel is not None:
        return from_value(config.mm_per_pixel)
    if config.focal_mm is not None and config.distance_m is not None and config.sensor_width_mm is not None:
        if photo is not None:
            refuse_panorama(photo)
        return from_camera(config.focal_mm, config.distance_m, config.sensor_width_mm, max(shape))
    if config.exif or config.distance_m is not None or config.sensor_width_mm is not None:
        if photo is None:
            raise CrackError(
                "the scale needs a focal length: give --photo with EXIF data, --focal-mm, or --mm-per-pixel."
            )
        return from_photo(photo, config.distance_m, config.sensor_width_mm)
    return None


def write_cracks(
    out: Path,
    mask: np.ndarray,
    scale: GroundSampling | None,
    config: MeasureConfig,
    record: Mapping[str, Any],
    photo: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
    min_left_out: float = 0.0,
    join: bool = False,
) -> list[Crack]:
    """Measure the cracks of a mask and write the files; cracks.json comes last and says that the others are whole.

    Args:
        out: folder.
        mask: bool (height, width).
        scale: ground sampling distance, or None for pixels.
        config: which cracks count.
        record: further entries of cracks.json, in front.
        photo: uint8 (height, width, 3), to measure widths in and for the overlay; None for the mask's widths and no overlay.
        left_out: bool (height, width), what was drawn where a foreground sees no concrete; or None. It is told as "unclear".
        min_left_out: shorter cracks in it are not, in pixels.
        join: put parts of one crack together, as a model draws them; what a person draws apart is two cracks.

    Returns:
        The cracks of the mask.
    """
    from crack_tf.photo.cracks import COLUMNS, MIN_AREA, RANGE_COLUMNS, measure_cracks
    from crack_tf.photo.joining import join_cracks
    from crack_tf.photo.overlay import draw_cracks

    mm_per_pixel = None if scale is None else scale.mm_per_pixel
    min_area = MIN_AREA if config.min_area is None else config.min_area
    error = 0.0 if scale is None or scale.error is None else scale_error(scale.error)

    def measured(drawn: np.ndarray, shortest: float) -> list[Crack]:
        least = 0 if join else shortest
        found = measure_cracks(drawn, mm_per_pixel, min_area, least, photo=photo, scale_error=error)
        return join_cracks(found, photo, shortest) if join else found

    cracks = measured(mask, config.min_length)
    unclear: list[Crack] = []
    if left_out is not None:
        shortest = max(min_left_out, config.min_length)
        unclear = [
            replace(crack, number=number)
            for number, crack in enumerate(
                measured(without_specks(left_out, shortest / 2), shortest),
                start=len(cracks) + 1,
            )
        ]
    patterns = _pattern_columns(cracks, mask.size, mm_per_pixel)
    rows = [_row(crack, config) | more for crack, more in zip(cracks, patterns, strict=True)]
    rows += [_row(crack, config) | {"note": LEFT_OUT} for crack in unclear]
    limits = map(column, config.limit_mm)
    write_csv(out / TABLE, rows, (*COLUMNS, "note", *PATTERN_COLUMNS, *RANGE_COLUMNS, *limits))
    profiles = [row for crack in (*cracks, *unclear) for row in profile_rows(crack)]
    write_csv(out / PROFILES, profiles, PROFILE_COLUMNS)
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


def _pattern_columns(cracks: Sequence[Crack], area_px: int, mm_per_pixel: float | None) -> list[dict[str, Any]]:
    """PATTERN_COLUMNS of each crack, by the photograph's sides: nobody says how the camera was held."""
    found = patterns_of([Lines(crack.centreline, len(crack.outline) - crack.parts) for crack in cracks])
    dense = density(sum(crack.length_px for crack in cracks), area_px, mm_per_pixel)
    return [
        {
            "pattern": pattern.name,
            "orientation": pattern.orientation,
            "spacing_px": pattern.spacing_px,
            "spacing_mm": None
            if pattern.spacing_px is None or mm_per_pixel is None
            else round(pattern.spacing_px * mm_per_pixel, 1),
            **dense,
        }
        for pattern in found
    ]


def profile_rows(crack: Crack) -> list[dict[str, Any]]:
    """PROFILE_COLUMNS of every place of a crack's profile."""
    scale = crack.mm_per_pixel
    return [
        {
            "crack": crack.number,
            "branch": place.branch,
            "along_px": place.along,
            "x": place.x,
            "y": place.y,
            "width_px": place.width,
            "width_from": place.width_from,
            "along_mm": None if scale is None else round(place.along * scale, 2),
            "width_mm": None if scale is None else round(place.width * scale, 4),
        }
        for place in crack.profile
    ]


def _row(crack: Crack, config: MeasureConfig) -> dict[str, Any]:
    """A crack's row of the table, without its note."""
    found = crack.ranges_mm
    width = None if found is None else (found[2].low, found[2].high)
    return crack.as_dict() | {column(limit): judge(limit, width) for limit in config.limit_mm}


def without_specks(mask: np.ndarray, extent: float) -> np.ndarray:
    """A mask, bool (height, width), without parts whose box has a shorter diagonal, in pixels: measuring them takes time."""
    import numpy as np
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sides = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in ndimage.find_objects(labels)]
    wanted = np.asarray([False, *(np.hypot(height, width) >= extent for height, width in sides)])  # first: outside
    return np.asarray(wanted[labels])
