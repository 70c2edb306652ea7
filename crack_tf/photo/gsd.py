"""Ground sampling distance: how many millimetres of the surface one pixel shows.

Everything here is of the middle of a photograph, across a tilt of the camera. At an angle of t degrees to the surface, lengths along
the tilt appear shorter by cos(t): 6 % at 20 degrees, 13 % at 30. `crack_tf.photo.view` has the rest of the photograph.

What is known of the distance, in this order: a laser's range, what a person states, the EXIF subject distance. Of the focal length: with
a stated sensor the EXIF one; else the calibrated one that the drone writes; else the 35 mm equivalent, a whole number.

How fine a crack can be told: a width is trusted from three pixels on (`MIN_PIXELS`). That is this project's assumption, not
a standard. A mask knows whole pixels, and a model's edges are hardly better than half a pixel on either side; at three pixels
that is a third of a single reading, which averages out along the crack (on drawn masks the mean width is then right to 4 %),
below it is most of it. Errors come from the mixed pixels at a crack's two edges and shrink with the pixels across it (Cho,
Yoon, Jung, Sensors 2018, 18(8), 2644). Widths matter from 0.3 mm on in many structures: EN 1992-1-1, table 7.1N, recommends
that limit for reinforced members in exposure classes XC2 to XC4.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tflite.arguments import is_finite, is_number, option_of, short_repr
from tflite.errors import CrackError, ImageError, first_line
from tflite.formats import FORMATS, HEAD, recognise
from tflite.heic import open_heic
from tflite.place.exposure import read_exposure
from tflite.tiff import choose_page
from tflite.words import counted, plain

LASER, STATED, EXIF_DISTANCE = "laser", "stated", "EXIF"  # where a distance comes from
BY_FACES = "faces"  # the same, of the position before a declared face: `crack_tf.survey.geometry.face_ranges`
# Of positions and what photographs show in common: `crack_tf.survey.geometry.position_ranges`.
BY_POSITIONS = "positions"
MIN_PIXELS = 3.0
PLAUSIBLE_MM_PER_PIXEL = 10.0  # no crack is as wide; a coarser scale is most likely a wrong one
FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
# What a person may state: least and most, wider than any camera and flight. What is beyond was mistyped, or is in another unit.
STATED_RANGES = {
    "mm_per_pixel": (1e-4, 1000.0, "millimetres"),
    "distance_m": (0.01, 5000.0, "metres"),
    "focal_mm": (0.5, 5000.0, "millimetres"),
    "sensor_width_mm": (1.0, 200.0, "millimetres"),
}

_EXIF_IFD = 0x8769
# Tags of EXIF 2.32.
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x920A, 0xA405
_SUBJECT_DISTANCE, _DIGITAL_ZOOM = 0x9206, 0xA404
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_CUSTOM_RENDERED, _APPLE_PANORAMA = 0xA401, 6
# Namespace of the XMP data that say how a panorama was put together (GPano).
_PANORAMA = b"ns.google.com/photos/1.0/panorama"
MAX_ASPECT = 2.0  # longer side to shorter; no sensor is wider
# Cameras write absurd values where they know none: 48388 mm and 65535 mm have been seen in FocalLengthIn35mmFilm.
_MAX_FOCAL_35MM = 5000.0
_MAX_DISTANCE_M = 1000.0
_FAR_M = 100.0  # so far away a lens is focused at its focal length
_SAME_ASPECT = 0.01
_GIVE_LENS = (
    "Give the focal length (--focal-mm) and the sensor's width (--sensor-width-mm) from the camera's data sheet, or the millimetres per "
    "pixel directly (--mm-per-pixel)."
)
_SMALLEST_CAMERA_PX = 1_000_000  # no camera that surveys takes fewer pixels
TOO_COARSE = "too coarse for cracks"  # in a sentence about photographs
SIZE = "it has "  # begins a note about a picture that may not have the size it was taken in
# DJI states 0.2 m + 0.15 % for its laser range finders, taken for two standard deviations.
_LASER_ERROR_M, _LASER_ERROR = 0.1, 0.00075
# Standard deviations as shares: a pilot who keeps a distance, and a lens that reports where it focused.
_STATED_ERROR, _EXIF_DISTANCE_ERROR = 0.05, 0.1
_FOCAL_ERROR, _CALIBRATED_ERROR = 0.01, 0.003  # of nominal focal lengths, and of measured ones
_FOCAL_35MM_ROUNDING = 0.29  # mm, of whole numbers
_SAME_FOCAL = 0.2  # a calibration farther than this from the EXIF focal length is of another lens or picture size


class ScaleRefusedError(CrackError):
    """A photograph's EXIF data describe a lens, and the picture is not what that lens drew: zoomed, cropped or stitched."""


class NoLensError(CrackError):
    """A photograph does not tell how its lens draws.

    Attributes:
        focal_mm: what it tells of it, too little without the sensor's size; or None.
    """

    def __init__(self, message: str, focal_mm: float | None = None) -> None:
        super().__init__(message)
        self.focal_mm = focal_mm


@dataclass(frozen=True)
class GroundSampling:
    """The scale of a photograph.

    Attributes:
        mm_per_pixel: on the surface.
        source: how it is known, for reports.
        distance_m: to the surface, or None where the scale itself was given.
        distance_from: LASER, STATED or EXIF_DISTANCE; None with it.
        error: standard deviation as a share, by distance and focal length; None where the scale was given.
        pitch_deg: of the camera above the horizon, by the photograph's own data; None where these do not say it.
        note: what of the photograph's data was passed over and why, for a person; or None.
    """

    mm_per_pixel: float
    source: str
    distance_m: float | None = None
    distance_from: str | None = None
    error: float | None = None
    note: str | None = None
    pitch_deg: float | None = None

    def __post_init__(self) -> None:
        _positive("mm_per_pixel", self.mm_per_pixel, "millimetres on the surface per pixel, such as 0.1")

    def smallest_width_mm(self) -> float:
        """Width of the finest crack whose width can be trusted."""
        return MIN_PIXELS * self.mm_per_pixel

    def describe(self) -> str:
        """One sentence for a report."""
        trusted = implausible([self.mm_per_pixel]) or (
            f"widths are trusted from {plain(self.smallest_width_mm(), 2)} mm on ({MIN_PIXELS:g} pixels), finer cracks may be seen but "
            "not measured."
        )
        note = f" Note: {self.note}." if self.note else ""
        return f"{plain(self.mm_per_pixel, 3)} mm per pixel ({self.source}): {trusted}{note}"


def needed_mm_per_pixel(width_mm: float) -> float:
    """Coarsest ground sampling distance at which a crack of that width can be measured: 0.1 mm per pixel for 0.3 mm."""
    return _positive("width_mm", width_mm, "a crack's width in millimetres") / MIN_PIXELS


def implausible(scales: Sequence[float]) -> str | None:
    """A warning where a scale, in mm per pixel, is beyond that of any flight in which cracks are measured; None where none is."""
    if max(scales, default=0) <= PLAUSIBLE_MM_PER_PIXEL:
        return None
    return (
        f"a pixel shows {_most(scales)} mm, more than any crack is wide, so nothing can be measured"
        f"{' there' if _differ(scales) else ''}. Compare --mm-per-pixel, or "
        "--distance-m, --focal-mm and --sensor-width-mm, with the flight."
    )


def _most(scales: Sequence[float]) -> str:
    """The coarsest scale, told as such where others are finer."""
    return f"{'up to ' if _differ(scales) else ''}{plain(max(scales), 3)}"


def _differ(scales: Sequence[float]) -> bool:
    """Whether scales are told as different ones."""
    return plain(min(scales), 3) != plain(max(scales), 3)


def too_coarse(scales: Sequence[float], width_mm: float, photographs: int) -> str | None:
    """A sentence about the photographs that are too coarse for cracks of a width, or None where none is.

    Args:
        scales: mm per pixel of those whose scale is known.
        width_mm: of the cracks that are looked for.
        photographs: of all.
    """
    coarse = [scale for scale in scales if scale > needed_mm_per_pixel(width_mm) * (1 + 1e-6)]
    if not coarse:
        return None
    why = implausible(coarse) or (
        f"at {_most(coarse)} mm per pixel, widths are trusted from {plain(MIN_PIXELS * max(coarse), 2)} mm on "
        f"({MIN_PIXELS:g} pixels), and finer cracks may be missed. Photograph from nearer, or zoom in."
    )
    who = f"{len(coarse)} of {counted(photographs, 'photograph')} {'is' if len(coarse) == 1 else 'are'}"
    return f"{who} {TOO_COARSE} of {width_mm:g} mm: {why}"


def check_stated(name: str, value: float | None) -> None:
    """Compare what a person states of a scale with STATED_RANGES; None passes.

    Args:
        name: one of STATED_RANGES.
        value: stated.

    Raises:
        CrackError: naming the option, the value and what to give, if it is no number or beyond its range.
    """
    least, most, unit = STATED_RANGES[name]
    if value is not None and not (is_number(value) and least <= value <= most):
        raise CrackError(f"{option_of(name)} {short_repr(value)}: give {unit} from {least:g} to {most:g}.")


def check_derived(found: GroundSampling) -> GroundSampling:
    """Compare a scale that follows from lens and distance with what may be stated of one: each of these may be possible by itself.

    Returns:
        The scale.

    Raises:
        CrackError: naming what it follows from, and the options that state it.
    """
    least, most, _ = STATED_RANGES["mm_per_pixel"]
    if not least <= found.mm_per_pixel <= most:
        raise CrackError(
            f"{found.source}: a pixel would show {plain(found.mm_per_pixel, 3)} mm, and scales lie from {least:g} to {most:g} mm per "
            "pixel. Compare --distance-m, --focal-mm and --sensor-width-mm with the flight and the camera's data sheet."
        )
    return found


def from_value(mm_per_pixel: float) -> GroundSampling:
    """Ground sampling distance as given, say from a scale in the photograph."""
    return GroundSampling(mm_per_pixel, "given")


def distance_error(distance_m: float, distance_from: str) -> float:
    """Standard deviation of a distance as a share of it."""
    if distance_from == LASER:
        return _LASER_ERROR_M / distance_m + _LASER_ERROR
    return _STATED_ERROR if distance_from == STATED else _EXIF_DISTANCE_ERROR


def from_camera(
    focal_mm: float, distance_m: float, sensor_width_mm: float, image_width: int, distance_from: str = STATED
) -> GroundSampling:
    """Ground sampling distance of a known camera: (distance - focal length) x sensor width / (focal length x image width).

    Args:
        focal_mm: focal length of the lens itself, not the 35 mm equivalent.
        distance_m: from the lens to the surface.
        sensor_width_mm: longer side of the sensor.
        image_width: longer side of the whole photograph in pixels. A crop of it has the same scale, but is not to be
            counted here.
        distance_from: LASER, STATED or EXIF_DISTANCE.

    Raises:
        CrackError: if an argument is not a number above 0, or the lens is focused closer than its focal length.
    """
    _positive("focal_mm", focal_mm, "the focal length in millimetres")
    _positive("distance_m", distance_m, "the distance to the surface in metres")
    _positive(
        "sensor_width_mm", sensor_width_mm, "the sensor's longer side in millimetres, such as 13.2 for a 1-inch one"
    )
    _positive("image_width", image_width, "the photograph's longer side in pixels")
    return GroundSampling(
        _scale(focal_mm, distance_m, sensor_width_mm / image_width),
        f"focal length {focal_mm:g} mm, distance {distance_m:g} m, sensor {sensor_width_mm:g} mm",
        distance_m,
        distance_from,
        math.hypot(distance_error(distance_m, distance_from), _FOCAL_ERROR),
    )


def from_calibration(focal_px: float, distance_m: float, distance_from: str = STATED) -> GroundSampling:
    """Ground sampling distance from a focal length that was measured in pixels: distance / focal length.

    Raises:
        CrackError: if an argument is not a number above 0.
    """
    _positive("focal_px", focal_px, "the focal length in pixels of the photograph")
    _positive("distance_m", distance_m, "the distance to the surface in metres")
    return GroundSampling(
        distance_m * 1000 / focal_px,
        f"calibrated focal length {focal_px:g} pixels, distance {distance_m:g} m",
        distance_m,
        distance_from,
        math.hypot(distance_error(distance_m, distance_from), _CALIBRATED_ERROR),
    )


def from_equivalent_focal(
    focal_35mm: float, distance_m: float, image_width: int, image_height: int, distance_from: str = STATED
) -> GroundSampling:
    """Ground sampling distance from the 35 mm equivalent focal length.

    The equivalent is taken to compare the diagonals of the pictures' angles of view, as manufacturers do, with that of a
    24 x 36 mm frame. So it holds for sensors of any shape.

    Args:
        focal_35mm: 35 mm equivalent focal length in millimetres.
        distance_m: from the lens to the surface.
        image_width, image_height: of the whole photograph in pixels.
        distance_from: LASER, STATED or EXIF_DISTANCE.

    Raises:
        CrackError: if an argument is not a number above 0.
    """
    _positive("focal_35mm", focal_35mm, "the 35 mm equivalent focal length in millimetres")
    _positive("distance_m", distance_m, "the distance to the surface in metres")
    _positive("image_width", image_width, "the photograph's width in pixels")
    _positive("image_height", image_height, "the photograph's height in pixels")
    pitch = FULL_FRAME_DIAGONAL_MM / math.hypot(image_width, image_height)
    # Not _scale: the distance to the lens is that of the real, shorter focal length, which is not known here.
    return GroundSampling(
        distance_m * 1000 * pitch / focal_35mm,
        f"35 mm equivalent {focal_35mm:g} mm, distance {distance_m:g} m",
        distance_m,
        distance_from,
        math.hypot(distance_error(distance_m, distance_from), _FOCAL_ERROR, _FOCAL_35MM_ROUNDING / focal_35mm),
    )


def from_photo(
    source: str | Path | bytes,
    distance_m: float | None = None,
    sensor_width_mm: float | None = None,
    measured_m: float | None = None,
) -> GroundSampling:
    """Ground sampling distance of a photograph with EXIF data, by the order that the module states.

    Few cameras store the distance, and drones without a laser store their height above the take-off place, which is another thing:
    give the distance.

    Args:
        source: a file, or its bytes, as the camera wrote it. A resized one is fine. A cropped one is refused as far as its
            EXIF data tells, a stitched panorama as far as its XMP data (GPano) or a shape wider than any sensor's tell.
        distance_m: from the lens to the surface, where no laser measured it; None takes the EXIF subject distance.
        sensor_width_mm: longer side of the sensor, or None.
        measured_m: the distance by a range finder that wrote it elsewhere, such as in the flight log; the photograph's own goes before.

    Raises:
        ImageError: if the file is no photograph.
        ScaleRefusedError: if the picture is not what the lens drew; the message says what to give.
        CrackError: if what is needed is missing or absurd; the message says what to give.
    """
    name, taken, (width, height), data = _read(source)
    _refuse_other(name, taken, (width, height), data)
    zoom = _number(taken, _DIGITAL_ZOOM)
    if zoom is not None and zoom > 1:
        raise ScaleRefusedError(
            f"{name} was taken with digital zoom {zoom:g}, and cameras do not agree on whether the focal length includes it. "
            "Give the millimetres per pixel directly (--mm-per-pixel)."
        )
    stored = _stored(taken)
    exposure = read_exposure(data)
    if exposure.distance_source == "laser":
        distance_m, origin, known = exposure.distance_m, "laser's distance", LASER
    elif measured_m is not None:
        distance_m, origin, known = measured_m, "range finder's distance", LASER
    elif distance_m is not None:
        origin, known = "given distance", STATED
    else:
        distance_m, origin, known = _number(taken, _SUBJECT_DISTANCE), "EXIF distance", EXIF_DISTANCE
        if distance_m is None or not 0 < distance_m < _MAX_DISTANCE_M:
            found = "no subject distance" if distance_m is None else f"an unusable subject distance ({distance_m:g} m)"
            raise CrackError(
                f"{name} has {found} in its EXIF data. Give the distance to the surface in metres (--distance-m)."
            )
    assert distance_m is not None
    focal, focal_35mm = _number(taken, _FOCAL_LENGTH), _number(taken, _FOCAL_LENGTH_35MM)
    least, most, _ = STATED_RANGES["focal_mm"]
    focal = focal if focal is not None and least <= focal <= most else None
    focal_35mm = focal_35mm if focal_35mm is not None and 0 < focal_35mm < _MAX_FOCAL_35MM else None
    grown = 1.0 if stored is None else max(width, height) / max(stored)
    calibrated, note = _calibrated(exposure.focal_px, grown, focal_35mm, (width, height))
    if sensor_width_mm is not None and focal is not None:
        result, note = from_camera(focal, distance_m, sensor_width_mm, max(width, height), known), None
    elif sensor_width_mm is None and calibrated is not None:
        result = from_calibration(calibrated, distance_m, known)
    elif sensor_width_mm is None and focal_35mm is not None:
        result = from_equivalent_focal(focal_35mm, distance_m, width, height, known)
    elif sensor_width_mm is not None:
        raise NoLensError(f"{name} has no focal length in its EXIF data. {_GIVE_LENS}")
    elif focal is not None:
        raise NoLensError(
            f"{name} has a focal length ({focal:g} mm) but no usable 35 mm equivalent. Give the sensor's width in millimetres "
            "(--sensor-width-mm).",
            focal,
        )
    else:
        raise NoLensError(f"{name} has no focal length in its EXIF data. {_GIVE_LENS}")
    reduced = None if stored is None else _size_note(stored, (width, height))
    notes = [text for text in (note, reduced) if text is not None]
    return replace(
        result,
        source=f"EXIF, {result.source} ({origin})",
        note="; ".join(notes) or None,
        pitch_deg=exposure.angles.pitch,
    )


def lens_of_photo(
    source: str | Path | bytes, sensor_width_mm: float | None = None
) -> tuple[float, tuple[int, int], str]:
    """The focal length of a photograph's lens in its own pixels, its width and height, and where that is from.

    Args:
        source: a file, or its bytes, as the camera wrote it.
        sensor_width_mm: longer side of the sensor, where the photograph tells no 35 mm equivalent; or None.

    Raises:
        CrackError: as `from_photo`, but for a missing distance; a NoLensError where the photograph does not tell its lens.
    """
    size, data = _read(source)[2:]
    found = from_photo(source if not isinstance(source, bytes) else data, _FAR_M, sensor_width_mm)
    assert found.distance_m is not None
    origin = found.source.removeprefix("EXIF, ").partition(", distance")[0]
    return 1000 * found.distance_m / found.mm_per_pixel, size, f"its photograph ({origin})"


def photo_size(source: str | Path | bytes) -> tuple[int, int]:
    """Width and height of a photograph as stored.

    Raises:
        ImageError: if the file is no photograph.
    """
    return _read(source)[2]


def _calibrated(
    focal_px: float | None, grown: float, focal_35mm: float | None, size: tuple[int, int]
) -> tuple[float | None, str | None]:
    """The calibrated focal length in pixels of the photograph as it is now, and why it was passed over where it was.

    Args:
        focal_px: as the drone wrote it, in pixels of the photograph as it was taken.
        grown: longer side now, by that as it was taken.
        focal_35mm: to hold it against, or None.
        size: width and height now.
    """
    if focal_px is None:
        return None, None
    now = focal_px * grown
    if focal_35mm is not None:
        nominal = focal_35mm * math.hypot(*size) / FULL_FRAME_DIAGONAL_MM
        if abs(now / nominal - 1) > _SAME_FOCAL:
            return None, (
                f"XMP: a calibrated focal length of {now:,.0f} pixels and the EXIF focal length ({nominal:,.0f} pixels) cannot be of one "
                "lens: that of EXIF was taken"
            )
    return now, None


def check_whole(source: str | Path | bytes) -> str | None:
    """Raise for a picture that is not what its lens drew, whoever states the lens. See `from_photo`.

    Returns:
        What a person should know of its size, since a part that was cut out may look like the whole made smaller; or None.

    Raises:
        ImageError: if the file is no photograph.
        ScaleRefusedError: if it was stitched or cropped.
    """
    name, taken, size, data = _read(source)
    _refuse_other(name, taken, size, data)
    return _size_note(_stored(taken), size)


def small_note(size: tuple[int, int]) -> str | None:
    """What a person should know of the size of a picture of which nothing says how large it was when it was taken; or None.

    Args:
        size: its width and height now, in pixels.
    """
    if size[0] * size[1] >= _SMALLEST_CAMERA_PX:
        return None
    return (
        f"{SIZE}{size[0]}x{size[1]} pixels, fewer than a camera takes, and was taken for the whole of what the lens drew, made "
        "smaller. If it is a part cut out, lengths and widths are too large: give the millimetres per pixel"
    )


def _stored(taken: dict[int, Any]) -> tuple[float, float] | None:
    """Width and height in pixels when the photograph was taken, where its EXIF data say so."""
    width, height = _number(taken, _PIXEL_X), _number(taken, _PIXEL_Y)
    return (width, height) if width is not None and height is not None and width > 0 and height > 0 else None


def _size_note(stored: tuple[float, float] | None, size: tuple[int, int]) -> str | None:
    """A photograph that is smaller than it was, in the same shape, is the whole made smaller or a part of it: nothing tells which."""
    if stored is None:
        return small_note(size)
    if max(size) >= max(stored) * (1 - _SAME_ASPECT):
        return None
    return (
        f"{SIZE}{size[0]}x{size[1]} pixels, and {stored[0]:g}x{stored[1]:g} when it was taken: it was taken for the whole, made "
        f"smaller. If it is a part cut out, lengths and widths are {max(stored) / max(size):.2g} times too large: give the millimetres "
        "per pixel"
    )


def _refuse_other(name: str, taken: dict[int, Any], size: tuple[int, int], data: bytes) -> None:
    """Raise for a picture that is not what its lens drew.

    A panorama's focal length is that of its parts, and its pixels are spread over angles, not over a plane. Of a crop nothing says how
    many pixels the whole had beside it.
    """
    stored = _stored(taken)
    if stored is not None:
        now, then = max(size) / min(size), max(stored) / min(stored)
        if abs(now / then - 1) > _SAME_ASPECT:
            raise ScaleRefusedError(
                f"{name} has {size[0]}x{size[1]} pixels, and {stored[0]:g}x{stored[1]:g} when it was taken: it was cropped. "
                "Take the original file, or give the millimetres per pixel directly (--mm-per-pixel)."
            )
    if _PANORAMA in data or _number(taken, _CUSTOM_RENDERED) == _APPLE_PANORAMA:
        why = "is a stitched panorama by its own data"
    elif max(size) > MAX_ASPECT * min(size):
        why = f"has {size[0]}x{size[1]} pixels, wider than any sensor: a stitched panorama or a crop"
    else:
        return
    raise ScaleRefusedError(
        f"{name} {why}. The focal length in its EXIF data says nothing of its scale. Take a single photograph, or give the "
        "millimetres per pixel directly (--mm-per-pixel), measured on the wall where the crack is."
    )


def _scale(focal_mm: float, distance_m: float, pitch_mm: float) -> float:
    """Millimetres per pixel of a thin lens focused at `distance_m`: its image lies a little behind the focal length.

    pitch x (distance - focal) / focal. At a metre and 50 mm that is 5 % less than without; the farther, the less it matters.
    """
    distance = distance_m * 1000
    if distance <= focal_mm:
        raise CrackError(
            f"a distance of {distance_m:g} m (--distance-m) is within the focal length of {focal_mm:g} mm (--focal-mm). Give the one in "
            "metres, the other in millimetres."
        )
    return pitch_mm * (distance - focal_mm) / focal_mm


def _read(source: str | Path | bytes) -> tuple[str, dict[int, Any], tuple[int, int], bytes]:
    """Name, EXIF tags of the exposure, width and height as stored, and the file's bytes."""
    from PIL import Image, UnidentifiedImageError

    name = "the photograph" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image {source!s}: {error.strerror}.") from None
    try:
        if recognise(data[:HEAD]) == "HEIC":
            heic, exif = open_heic(data, name), Image.Exif()
            exif.load(heic.info.get("exif") or b"")
            return name, dict(exif.get_ifd(_EXIF_IFD)), heic.size, data
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # The first picture of a TIFF may be a preview of the photograph.
            page = (choose_page(data).page.number or 0) if image.format == "TIFF" else 0
            if page:
                image.seek(page)
            taken, size = dict(image.getexif().get_ifd(_EXIF_IFD)), image.size
        if page and not taken:
            with Image.open(io.BytesIO(data), formats=FORMATS) as first:
                taken = dict(first.getexif().get_ifd(_EXIF_IFD))
        return name, taken, size, data
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image in a supported format ({', '.join(FORMATS)}).") from None
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged files
        raise ImageError(f"{name} is not a readable photograph ({first_line(error)}).") from None


def _number(tags: dict[int, Any], tag: int) -> float | None:
    """A tag's value as a finite number, or None."""
    try:
        value = float(tags[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None


def _positive(name: str, value: float, meaning: str) -> float:
    if not (is_finite(value) and value > 0):
        raise CrackError(f"{name} must be a number above 0 ({meaning}), got {short_repr(value)}.")
    return value
