"""The files that say how long and wide the cracks of a mask are: cracks.csv, widths.csv, cracks.json and overlay.png."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.crack import COLUMNS, RANGE_COLUMNS, WIDTH_COLUMNS, Crack
from crack_tf.photo.cracks import MIN_AREA, measure_cracks
from crack_tf.photo.doubt import MIN_LENGTH_PX
from crack_tf.photo.gsd import (
    GroundSampling,
    check_derived,
    check_whole,
    from_camera,
    from_photo,
    from_value,
    small_note,
)
from crack_tf.photo.joining import join_cracks
from crack_tf.photo.limits import column
from crack_tf.photo.marks import Marks, tell_apart
from crack_tf.photo.measure_config import OVERLAY, PROFILES, RECORD, TABLE, MeasureConfig
from crack_tf.photo.overlay import draw_cracks
from crack_tf.photo.patterns import COLUMNS as PATTERN_COLUMNS
from crack_tf.photo.patterns import Lines, density, fields_in, patterns_of
from crack_tf.photo.skeleton import directions, runs
from crack_tf.photo.view import View, view_of
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv, write_json
from tflite.images import Picture
from tflite.place.exposure import read_exposure
from tflite.transparency import for_people

_OF_ANY_SHAPE = ("number", "mm_per_pixel", "x", "y", "w", "h", "parts", "note", "outline")
TABLE_COLUMNS = (*COLUMNS, *PATTERN_COLUMNS, *RANGE_COLUMNS)  # of cracks.csv, and one more for each limit
PROFILE_COLUMNS = ("crack", *WIDTH_COLUMNS, "along_mm", "width_mm")


def find_scale(config: MeasureConfig, shape: tuple[int, ...], photo: Path | None) -> GroundSampling | None:
    """The ground sampling distance, or None where nothing says it.

    Args:
        config: what is known of it.
        shape: height and width of the mask.
        photo: of the mask, for its EXIF data, or None.

    Raises:
        ScaleRefusedError: if the photograph is not what its lens drew, whoever states the lens.
        CrackError: if the photograph's data lack what is needed, or the scale is none that a photograph has.
    """
    if config.mm_per_pixel is not None:
        return from_value(config.mm_per_pixel)
    if config.focal_mm is not None and config.distance_m is not None and config.sensor_width_mm is not None:
        note = small_note((shape[1], shape[0])) if photo is None else check_whole(photo)
        found = from_camera(config.focal_mm, config.distance_m, config.sensor_width_mm, max(shape))
        pitch = None if photo is None else read_exposure(photo.read_bytes()).angles.pitch
        return replace(check_derived(found), note=note, pitch_deg=pitch)
    if config.exif or config.distance_m is not None or config.sensor_width_mm is not None:
        if photo is None:
            raise CrackError(
                "the scale needs a focal length: give --photo with EXIF data, --focal-mm, or --mm-per-pixel."
            )
        return check_derived(from_photo(photo, config.distance_m, config.sensor_width_mm))
    return None


@dataclass(frozen=True)
class Drawing:
    """What was drawn as crack, bool (height, width) each.

    Attributes:
        mask: the cracks.
        by_model: whether a model drew it: then parts of one crack are put together, and short marks are left out unless the
            configuration says how short. What a person draws apart is two cracks, and meant however short.
        left_out: what was drawn where a foreground sees no concrete; or None. It is told as unclear, but for marks shorter than
            `MIN_LENGTH_PX`: leaves and gravel are full of them.
        unknown: where nothing was looked for, see `measure_cracks`; or None.
    """

    mask: np.ndarray
    by_model: bool = False
    left_out: np.ndarray | None = None
    unknown: np.ndarray | None = None


def write_cracks(
    out: Path,
    drawing: Drawing,
    scale: GroundSampling | None,
    config: MeasureConfig,
    record: Mapping[str, Any],
    picture: Picture | None = None,
    started: float | None = None,
) -> Marks:
    """Measure the cracks of a mask and write the files; cracks.json comes last and says that the others are whole.

    Args:
        out: folder.
        drawing: the cracks.
        scale: ground sampling distance, or None for pixels.
        config: which cracks count.
        record: further entries of cracks.json, in front.
        picture: to measure widths in and for the overlay; None for the mask's widths and no overlay.
        started: by `time.perf_counter`, when the work on the photograph began: `seconds` of cracks.json count from then; or None.
    """
    mask, left_out, by_model = drawing.mask, drawing.left_out, drawing.by_model
    photo = None if picture is None else picture.pixels
    mm_per_pixel = None if scale is None else scale.mm_per_pixel
    min_area = MIN_AREA if config.min_area is None else config.min_area
    view = None
    if scale is not None and scale.error is not None:
        size = mask.shape[1], mask.shape[0]
        view = view_of(size, scale.mm_per_pixel, scale.error, scale.distance_m, scale.pitch_deg)

    def measured(drawn: np.ndarray, unknown: np.ndarray | None = None) -> list[Crack]:
        found = measure_cracks(drawn, mm_per_pixel, min_area, photo=photo, unknown=unknown)
        found = join_cracks(found, photo, shape=drawn.shape) if by_model else found
        return found if view is None else [crack.seen_in(view) for crack in found]

    shortest, limits = min_length(config, by_model), config.limits
    outside: list[Crack] = []
    if left_out is not None:
        least = max(MIN_LENGTH_PX, shortest)
        outside = [crack for crack in measured(without_specks(left_out, least / 2)) if crack.length_px >= least]
    marks = tell_apart(measured(mask, drawing.unknown), shortest, outside)
    patterns = _pattern_columns(marks.cracks, mask.size, mm_per_pixel)
    rows = [_row(crack, limits) | more for crack, more in zip(marks.cracks, patterns, strict=True)]
    rows += [_row(crack, limits) for crack in marks.unclear]
    write_csv(out / TABLE, rows, (*TABLE_COLUMNS, *map(column, limits)))
    profiles = [row for crack in marks.cracks for row in profile_rows(crack, view)]
    write_csv(out / PROFILES, profiles, PROFILE_COLUMNS)
    if picture is not None:
        drawn, shown = mask if left_out is None else mask | left_out, for_people(picture.pixels, picture.opaque)
        with atomic_path(out / OVERLAY) as temporary:
            draw_cracks(shown, [*marks.cracks, *marks.unclear], drawn, short=marks.short).save(temporary)
    write_json(
        out / RECORD,
        {
            **record,
            **({} if started is None else {"seconds": round(time.perf_counter() - started, 3)}),
            "width": mask.shape[1],
            "height": mask.shape[0],
            "scale": None if scale is None else scale.describe(),
            "cracks": [_row(crack, limits, geometry=True) for crack in marks.cracks],
            "unclear": [_row(crack, limits, geometry=True) for crack in marks.unclear],
            "short": len(marks.short),
        },
    )
    return marks


def min_length(config: MeasureConfig, by_model: bool) -> float:
    """Length in pixels of the shortest mark that counts; `by_model` says whether a model drew it."""
    if config.min_length is None:
        return MIN_LENGTH_PX if by_model else 0.0
    return config.min_length


def _pattern_columns(cracks: Sequence[Crack], area_px: int, mm_per_pixel: float | None) -> list[dict[str, Any]]:
    """PATTERN_COLUMNS of each crack, by the photograph's sides: nobody says how the camera was held."""
    found = patterns_of(
        [Lines(crack.centreline, fields_in(crack.outline[crack.parts :], crack.mean_width_px)) for crack in cracks]
    )
    dense = density(sum(crack.length_px for crack in cracks), area_px, mm_per_pixel)
    return [
        {
            "pattern": pattern.name,
            "orientation": pattern.orientation,
            "orientation_deg": pattern.orientation_deg,  # in place of the crack's own: none in a mesh, as in a survey
            "spacing_px": pattern.spacing_px,
            "spacing_mm": None
            if pattern.spacing_px is None or mm_per_pixel is None
            else round(pattern.spacing_px * mm_per_pixel, 1),
            **dense,
        }
        for pattern in found
    ]


def profile_rows(crack: Crack, view: View | None = None) -> list[dict[str, Any]]:
    """PROFILE_COLUMNS of every place of a crack's profile.

    Args:
        crack: measured.
        view: how its photograph shows the surface; None where `crack.mm_per_pixel` is that of every place.
    """
    scale = crack.mm_per_pixel
    across = np.full(len(crack.profile), np.nan if scale is None else scale)
    if view is not None and scale is not None:
        points = np.array([(place.x, place.y) for place in crack.profile]).reshape(-1, 2)
        for run in runs([place.branch for place in crack.profile]):
            across[run] = view.across(points[run], directions(points[run]))
    return [
        {
            "crack": crack.number,
            **place.as_row(),
            "along_mm": None if scale is None else round(place.along * scale, 2),
            "width_mm": round(place.width * float(here), 4) if np.isfinite(here) else None,
        }
        for place, here in zip(crack.profile, across, strict=True)
    ]


def _row(crack: Crack, limits: Sequence[float], geometry: bool = False) -> dict[str, Any]:
    """As tables and records have it: what may be no crack has a place and a note, but no sizes and answers, as in a survey."""
    row = crack.as_dict(geometry) | {column(limit): crack.judged(limit) for limit in limits}
    if crack.note is None:
        return row
    return {
        name: value if name in _OF_ANY_SHAPE else [] if isinstance(value, list) else None for name, value in row.items()
    }


def without_specks(mask: np.ndarray, extent: float) -> np.ndarray:
    """A mask, bool (height, width), without parts whose box has a shorter diagonal, in pixels: measuring them takes time."""
    import numpy as np
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sides = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in ndimage.find_objects(labels)]
    wanted = np.asarray([False, *(np.hypot(height, width) >= extent for height, width in sides)])  # first: outside
    return np.asarray(wanted[labels])
