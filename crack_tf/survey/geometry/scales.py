"""Where the scales of a survey's photographs come from, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crack_tf.photo.gsd import (
    GroundSampling,
    NoLensError,
    ScaleRefusedError,
    check_derived,
    from_calibration,
    from_camera,
    lens_of_photo,
    photo_size,
)
from crack_tf.photo.view import MAX_WALL_PITCH_DEG
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.camera import NO_SCALE, Scale
from crack_tf.survey.source import Source
from tflite.device.tiles import scaled_side
from tflite.errors import CrackError
from tflite.words import counted

# In the order in which they are asked; see `crack_tf.photo.gsd`.
SOURCES = {
    "given": "--mm-per-pixel",
    "laser": "the laser's range",
    "stated": "the distance stated",
    "faces": "their positions before declared faces",
    "positions": "their positions and what they show in common",
    "EXIF": "the EXIF subject distance",
    None: "a scale of unknown origin",  # surveys from before the origin was kept
}
SAMPLES = 8  # photographs asked for their lens before a survey
_BETWEEN_DEG = 15.0  # nearer to `MAX_WALL_PITCH_DEG`, it may be a wall or a deck


def ask_for_lens(source: Source, scale: Scale) -> None:
    """Find out before the search whether a stated distance can be of use: without a lens it says nothing of a pixel.

    A few photographs are asked, by their own data. Where some tell their lens, the others are measured in pixels, and the survey says how
    many.

    Raises:
        CrackError: if a distance is stated and no photograph that was asked tells a lens that drew it, or with theirs and with the stated
            one a pixel would show what none does.
    """
    if scale.distance_m is None:
        return
    files, lacking, impossible = source.samples(SAMPLES), 0, None
    refused: list[ScaleRefusedError] = []
    for file in files:
        try:
            found = _stated_scale(file, scale)
        except NoLensError:
            lacking += 1
            continue
        except ScaleRefusedError as error:
            refused.append(error)
            continue
        except CrackError:  # not readable: told when it is searched
            continue
        try:
            check_derived(found)
        except CrackError as error:
            impossible = error
        else:
            return
    if impossible is not None:
        raise impossible
    if scale.focal_mm is not None or (files and not lacking and not refused):
        return
    lens = "give --focal-mm and --sensor-width-mm from the camera's data sheet, or --mm-per-pixel"
    told, give = f"a {source.kind}'s frames tell no lens", lens.capitalize()
    if files:
        parts = [
            counted(len(refused), "is not what its lens drew", "are not what their lens drew") if refused else "",
            counted(lacking, "tells no lens", "tell no lens") if lacking else "",
            f"{unread} cannot be read" if (unread := len(files) - lacking - len(refused)) else "",
        ]
        told = f"of {counted(len(files), 'photograph')} of {source.name} that were looked at, {', '.join(filter(None, parts))}"
    if refused:
        give = f"{refused[0]} For those without a lens {lens}" if lacking else str(refused[0]).removesuffix(".")
    raise CrackError(
        f"--distance-m {scale.distance_m:g}: {told}, so nothing can be measured by it. {give}; or leave --distance-m out for lengths and "
        "widths in pixels."
    )


def _stated_scale(file: Path, scale: Scale) -> GroundSampling:
    """A photograph's scale at the stated distance, whatever else is known of its distance.

    Raises:
        NoLensError: if neither it nor the user tells the lens.
        CrackError: if it is not what its lens drew, or not readable.
    """
    assert scale.distance_m is not None
    if scale.focal_mm is not None and scale.sensor_width_mm is not None:
        return from_camera(scale.focal_mm, scale.distance_m, scale.sensor_width_mm, max(photo_size(file)))
    focal_px = lens_of_photo(file, scale.sensor_width_mm)[0]
    told = f"{file.name}, focal length {focal_px:,.0f} pixels, distance {scale.distance_m:g} m"
    return replace(from_calibration(focal_px, scale.distance_m), source=told)


def describe_scales(photos: Sequence[PhotoRecord]) -> str | None:
    """One sentence: how many photographs have their scale from where, how fine and how sure it is; None without photographs.

    Example:
        "12 photographs by the laser's range (0.120 to 0.180 mm per pixel, 95 % within 8 to 11 %), 3 without a scale"
    """
    parts = []
    for source, words in SOURCES.items():
        found = [photo for photo in photos if photo.mm_per_pixel is not None and photo.scale_source == source]
        if not found:
            continue
        scales = span([photo.mm_per_pixel for photo in found if photo.mm_per_pixel is not None], "{:.3f}")
        errors = [100 * photo.scale_error for photo in found if photo.scale_error is not None]
        sure = f", 95 % within {span(errors, '{:.0f}')} %" if errors else ""
        parts.append(f"{_photographs(len(found))} by {words} ({scales} mm per pixel{sure})")
    unknown = sum(photo.mm_per_pixel is None for photo in photos)
    if unknown:
        parts.append(f"{_photographs(unknown)} without a scale")
    return ", ".join(parts) or None


def describe_tiles(side: int, photos: Sequence[PhotoRecord], tile_mm: float | None = None, auto: bool = False) -> str:
    """How large a tile is on the surface, as far as scales are known.

    Args:
        side: of a tile in pixels.
        photos: that were cut into such tiles.
        tile_mm: that tiles show where the scale is known, in millimetres; None where all have as many pixels.
        auto: whether their size was left to the model.

    Example:
        "227 pixels, 34 to 41 mm of the surface"
        "70 mm of the surface, as in the model's training: 350 to 390 pixels; 227 pixels on 2 photographs without a scale"
    """
    if tile_mm is not None:
        scales = [photo.mm_per_pixel for photo in photos if photo.mm_per_pixel is not None]
        pixels = f": {span([scaled_side(tile_mm, scale, side) for scale in scales], '{:.0f}')} pixels" if scales else ""
        unknown = len(photos) - len(scales)
        rest = f"; {side} pixels on {_photographs(unknown)} without a scale" if unknown else ""
        return f"{tile_mm:g} mm of the surface, as in the model's training{pixels}{rest}"
    why = "; the model does not say how many millimetres its tiles had in training" if auto else ""
    sides = [side * photo.mm_per_pixel for photo in photos if photo.mm_per_pixel is not None]
    return f"{side} pixels" + (f", {span(sides, '{:.0f}')} mm of the surface" if sides else "") + why


def warn_of_unscaled(photos: Sequence[PhotoRecord]) -> list[str]:
    """Why photographs have no scale, and what to give: by what is still missing, not what was given already."""
    unscaled = [photo for photo in photos if photo.mm_per_pixel is None]
    if not unscaled:
        return []
    refused = {photo.name: note for photo in unscaled for note in photo.notes if note.startswith(NO_SCALE)}
    lensless = [photo for photo in unscaled if photo.name not in refused and photo.distance_m is not None]
    rest = len(unscaled) - len(refused) - len(lensless)
    of = counted(len(photos), "photograph")
    parts = [
        f"{len(unscaled)} of {of} {'has' if len(unscaled) == 1 else 'have'} no known scale: lengths and widths are in pixels there."
    ]
    if refused:
        name, note = next(iter(refused.items()))
        parts.append(f"{len(refused)} can have none, the first {name}: {note.removeprefix(NO_SCALE)}")
    if lensless:
        parts.append(
            f"Of {len(lensless)} the distance is known, not the lens: give --focal-mm and --sensor-width-mm, or --mm-per-pixel."
        )
    if rest:
        parts.append(
            f"{'Give' if rest == len(unscaled) else f'For {rest} give'} --mm-per-pixel, or --distance-m and, where EXIF data name no lens, "
            "--focal-mm and --sensor-width-mm."
        )
    return [f"{' '.join(parts)} Another scale goes into another --out."]


def warn_of_scales(photos: Sequence[PhotoRecord]) -> list[str]:
    """What a person should know about the angles that scales were corrected by."""
    between = [
        photo
        for photo in photos
        if photo.pitch_deg is not None
        and photo.scale_error is not None
        and abs(abs(photo.pitch_deg) - MAX_WALL_PITCH_DEG) < _BETWEEN_DEG
    ]
    if not between:
        return []
    return [
        f"{_photographs(len(between))} look neither level nor straight up or down, the first {between[0].name} "
        f"({between[0].pitch_deg:+.0f} degrees): up to {MAX_WALL_PITCH_DEG:g} degrees what they show was measured as an upright wall, "
        "beyond as level. If it is not, lengths along the tilt are wrong there."
    ]


def _photographs(count: int) -> str:
    return f"{count:,} photograph{'' if count == 1 else 's'}"


def span(values: Sequence[float], form: str) -> str:
    """Least and greatest of some numbers, each in a form such as "{:.3f}"; once where that is the same: "0.120 to 0.180"."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
