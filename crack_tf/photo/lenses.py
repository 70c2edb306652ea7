"""Lenses by the name of the camera, or by one of its photographs: how many pixels a focal length is.

The table holds what its makers publish. A drone is asked by one of its photographs, which knows its lens better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crack_tf.photo.gsd import NoLensError, ScaleRefusedError, lens_of_photo, photo_size
from tflite.errors import CrackError

# A lens shows from 8 degrees to 150 of the world along the longer side of its photograph; what shows more or less was mistyped.
_FOCAL_SHARES = (0.13, 7.0)  # focal length, of the longer side
_RASPBERRY = "raspberrypi.com/documentation/accessories/camera.html"


@dataclass(frozen=True)
class Lens:
    """A lens before a sensor.

    Attributes:
        name: of the camera, or of the photograph it was read from.
        focal_px: focal length in pixels of the whole photograph.
        width, height: of the photograph in pixels, the longer side first.
        source: where the numbers are from, for a person.
    """

    name: str
    focal_px: float
    width: int
    height: int
    source: str


@dataclass(frozen=True)
class _Camera:
    width: int
    height: int
    sensor_mm: float  # longer side of the picture on the sensor
    focal_mm: float | None  # None: lenses are changed
    source: str


CAMERAS = {
    "pi-camera-2": _Camera(3280, 2464, 3.68, 3.04, _RASPBERRY),
    "pi-camera-3": _Camera(4608, 2592, 6.45, 4.74, _RASPBERRY),
    "pi-camera-3-wide": _Camera(4608, 2592, 6.45, 2.75, _RASPBERRY),
    "pi-hq": _Camera(4056, 3040, 6.287, None, _RASPBERRY),
}


def find_lens(camera: str, focal_mm: float | None = None, sensor_width_mm: float | None = None) -> Lens:
    """The lens of a camera.

    Args:
        camera: a name of `CAMERAS`, or a photograph as the camera wrote it.
        focal_mm: of the lens on a camera whose lenses are changed, or whose photograph does not tell it; None for the camera's own.
        sensor_width_mm: of a photograph that tells no 35 mm equivalent; or None.

    Raises:
        CrackError: if there is no such camera or photograph, or a number is missing; the message says which.
    """
    if camera in CAMERAS and sensor_width_mm is not None:
        raise CrackError(
            f"--sensor-width-mm {sensor_width_mm:g}: that of {camera} is known, {CAMERAS[camera].sensor_mm:g} mm. Leave it out."
        )
    lens = _named(camera, focal_mm) if camera in CAMERAS else _of_photo(camera, focal_mm, sensor_width_mm)
    low, high = (share * lens.width for share in _FOCAL_SHARES)
    if not low <= lens.focal_px <= high:
        raise CrackError(
            f"--camera {camera}: a focal length of {lens.focal_px:,.3g} pixels before {lens.width} pixels ({lens.source}) is that of no "
            "lens. Are --focal-mm and --sensor-width-mm those of the lens and sensor themselves, in millimetres?"
        )
    return lens


def _named(camera: str, focal_mm: float | None) -> Lens:
    known = CAMERAS[camera]
    if focal_mm is not None and known.focal_mm is not None:
        raise CrackError(
            f"--focal-mm {focal_mm:g}: {camera} has a fixed lens of {known.focal_mm:g} mm. Leave it out, or name a photograph as --camera."
        )
    focal = known.focal_mm if focal_mm is None else focal_mm
    if focal is None:
        raise CrackError(f"--camera {camera} takes any lens. Give that of yours, such as --focal-mm 16.")
    source = f"sensor {known.sensor_mm:g} mm, focal length {focal:g} mm; {known.source}"
    return Lens(camera, focal * known.width / known.sensor_mm, known.width, known.height, source)


def _of_photo(camera: str, focal_mm: float | None, sensor_width_mm: float | None) -> Lens:
    path = Path(camera)
    if not path.is_file():
        raise CrackError(
            f"--camera {camera!r} is no photograph and no name that is known ({', '.join(CAMERAS)}). Give a photograph that the "
            "camera took, as it wrote it."
        )
    try:
        focal_px, (width, height), source = lens_of_photo(path, sensor_width_mm)
    except NoLensError as error:
        focal = focal_mm if error.focal_mm is None else error.focal_mm
        if focal is None or sensor_width_mm is None:
            told = (
                "no focal length in its EXIF data"
                if error.focal_mm is None
                else f"a focal length ({error.focal_mm:g} mm), and does not say how large its sensor is"
            )
            need = "--focal-mm 8.8 and --sensor-width-mm 13.2" if error.focal_mm is None else "--sensor-width-mm 13.2"
            raise CrackError(
                f"--camera {camera} has {told}. Give the camera's own numbers from its data sheet, such as {need}, or a photograph "
                "as the camera wrote it."
            ) from None
        if focal_mm is not None and error.focal_mm is not None:
            raise CrackError(f"--focal-mm {focal_mm:g}: the photograph {camera} tells its own. Leave it out.") from None
        width, height = photo_size(path)
        longer = max(width, height)
        return Lens(
            path.name,
            focal * longer / sensor_width_mm,
            longer,
            min(width, height),
            f"sensor {sensor_width_mm:g} mm, focal length {focal:g} mm; as given",
        )
    except ScaleRefusedError as error:
        reason = str(error).partition(". ")[0]
        raise CrackError(
            f"--camera {reason}. Give another photograph of that camera, whole and as it wrote it."
        ) from None
    except CrackError as error:
        raise CrackError(f"--camera {error}") from None
    if focal_mm is not None:
        raise CrackError(f"--focal-mm {focal_mm:g}: the photograph {camera} tells its own. Leave it out.")
    return Lens(path.name, focal_px, max(width, height), min(width, height), source)
