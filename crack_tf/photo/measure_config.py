"""What measuring the cracks of a mask is told, and the names of its files. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from crack_tf.photo.gsd import STATED_RANGES, check_stated, from_camera
from crack_tf.photo.limits import Limits, read_limits
from tflite.arguments import check_counts, check_types
from tflite.errors import CrackError

TABLE, RECORD, OVERLAY, PROFILES = "cracks.csv", "cracks.json", "overlay.png", "widths.csv"
FILES = (TABLE, PROFILES, OVERLAY, RECORD)


@dataclass(frozen=True)
class MeasureConfig:
    """Which cracks count, and how large a pixel is. Without any of the scale's fields results are in pixels.

    Attributes:
        min_area: smaller spots are left out, in pixels; None for the usual 30.
        min_length: shorter marks are left out, in pixels; None for the usual 40 of what a model draws, and for 0 of a mask that a
            person drew, whose marks are meant.
        mm_per_pixel: ground sampling distance.
        distance_m: from the lens to the surface, in metres.
        focal_mm: focal length; None for that in the photograph.
        sensor_width_mm: longer side of the sensor.
        exif: take focal length and distance from the photograph.
        limit_mm: widths that a table says of each crack whether it exceeds them: millimetres, a preset of `crack_tf.photo.limits` such as
            "ec2", text with commas between, or a list of these; `limits` has them in millimetres.

    Raises:
        CrackError: if a limit is no width, an area or a length is below 0, one of the scale's fields is that of no camera
            (`crack_tf.photo.gsd.STATED_RANGES`), they contradict each other or lack one, or the lens would be focused closer than its
            focal length.
    """

    min_area: int | None = None
    min_length: int | None = None
    mm_per_pixel: float | None = None
    distance_m: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None
    exif: bool = False
    limit_mm: Limits = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit_mm", read_limits(self.limit_mm))
        check_types(self)
        check_counts(self, "min_area", "min_length", least=0)
        for name in STATED_RANGES:
            check_stated(name, getattr(self, name))
        camera = [self.distance_m, self.focal_mm, self.sensor_width_mm]
        if self.mm_per_pixel is not None and (self.exif or any(value is not None for value in camera)):
            raise CrackError(
                "--mm-per-pixel says everything. Leave --distance-m, --focal-mm, --sensor-width-mm and --exif out."
            )
        if self.focal_mm is not None:
            if self.distance_m is None or self.sensor_width_mm is None:
                raise CrackError("--focal-mm needs --distance-m and --sensor-width-mm beside it.")
            from_camera(self.focal_mm, self.distance_m, self.sensor_width_mm, 1)

    @property
    def limits(self) -> tuple[float, ...]:
        """The widths of `limit_mm` in millimetres, ascending, each once."""
        return cast("tuple[float, ...]", self.limit_mm)  # since __post_init__
