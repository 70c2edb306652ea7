"""Lenses by the name of the camera, or by one of its photographs: how many pixels a focal length is.

The table holds what its makers publish. A drone is asked by one of its photographs, which knows its lens better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crack_tf.photo.gsd import lens_of_photo
from tflite.errors import CrackError

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
        focal_mm: of the lens on a camera whose lenses are changed; None for the camera's own.
        sensor_width_mm: of a photograph that tells no 35 mm equivalent; or None.

    Raises:
        CrackError: if there is no such camera or photograph, or a number is missing; the message says which.
    """
    known = CAMERAS.get(camera)
    if known is not None:
        focal = known.focal_mm if focal_mm is None else focal_mm
        if focal is None:
            raise CrackError(f"--camera {camera} takes any lens. Give that of yours: --focal-mm 16.")
        source = f"sensor {known.sensor_mm:g} mm, focal length {focal:g} mm; {known.source}"
        return Lens(camera, focal * known.width / known.sensor_mm, known.width, known.height, source)
    path = Path(camera)
    if not path.is_file():
        raise CrackError(
            f"--camera {camera} is no photograph and no name that is known ({', '.join(CAMERAS)}). Give a photograph that the "
            "camera took, as it wrote it."
        )
    if focal_mm is not None:
        raise CrackError(f"--focal-mm {focal_mm:g}: the photograph {camera} tells its own. Leave it out.")
    focal_px, (width, height), source = lens_of_photo(path, sensor_width_mm)
    return Lens(path.name, focal_px, max(width, height), min(width, height), source)
