"""What a survey is told: `SurveyConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from crack_tf.photo.gsd import STATED_RANGES, check_stated
from crack_tf.photo.limits import Limits, read_limits
from crack_tf.survey.geometry.face_ranges import MOST_POSITION_ERROR_M
from crack_tf.survey.ledger import NEEDED_MM, POSITION_ERROR_M
from tflite.arguments import check_types, option_of, short_repr
from tflite.device.tiles import MAX_OVERLAP, MIN_SIDE
from tflite.errors import CrackError

FOREGROUNDS = ("auto", "none")
_MAX_TITLE = 200  # characters
EVERY_S = 1.0  # between two frames of a video
# Least and most. Wider than any flight, and what a survey's files hold: what they refuse would fail after the search, not before it.
_RANGES = {
    "position_error_m": (1e-6, 1e6),
    "needs_mm": (1e-3, 1e3),
    "every_s": (1e-6, 1e6),
    "tile": (MIN_SIDE, 10**5),
    "jobs": (1, 10**4),
    "clock_offset": (-2e9, 2e9),  # decades, as of a clock that was never set
}


@dataclass(frozen=True)
class SurveyConfig:
    """How a flight is surveyed.

    Attributes:
        model: classifier: name of a shipped model, or a .tflite file; None for the zoo's default.
        segmenter: for validation by segmentation: a name, a file or "none"; None for the zoo's, if there is one.
        tile: side of a tile in pixels; None for tiles that show as much of the surface as those of the training, where the model and the
            photograph tell their scales, and as many pixels where they do not.
        overlap: share of a tile that its neighbour repeats.
        foreground: "auto" leaves out sky, leaves and water; "none" searches everywhere.
        mm_per_pixel: scale of all photographs; None takes focal length and distance from the EXIF data.
        distance_m: from the lens to the surface.
        focal_mm: focal length.
        sensor_width_mm: longer side of the sensor.
        flight_log: CSV, GPX, NMEA, SRT or MRK file, for pictures without a position.
        timezone: for clocks that do not say theirs, such as "Europe/Vienna" or "+02:00".
        clock_offset: seconds to add to the times of the camera's clock.
        position_error_m: how wrong positions may be; farther apart, photographs are never compared for the same crack.
        needs_mm: width of crack that must be measurable where a surface counts as seen.
        title: name of the structure or the inspection, for the report's head and for exports; None for the source's name.
        limit_mm: widths that tables and report say of each crack whether it exceeds them: millimetres, a preset of `crack_tf.photo.limits`
            such as "ec2", text with commas between, or a list of these; `limits` has them in millimetres.
        faces: file of the structure's faces, see `crack_tf.photo.faces`; None takes the walls that the flight looked at.
        distance_from_positions: whether photographs without a measured distance take one that is measured between those that overlap, by
            their positions, see `crack_tf.survey.geometry.position_ranges`.
        distance_from_faces: whether photographs without a measured or stated distance take that of their position before one of `faces`.
        condition: table of rules that propose a condition state for each crack: a preset of `crack_tf.survey.condition` or a TOML file.
        since: folder of an earlier survey of the same structure, to say of each crack what became of it, see
            `crack_tf.survey.comparison.since`.
        every_s: video: seconds between frames.
        video_start: video: time of its first frame, with a time zone; None finds it out.
        certify: lay known cracks into the flight's own clean photographs and search for them, see `crack_tf.survey.certificates.certify`.
        certify_cracks: how many; None for as many as fit into 40 % of the survey's time, up to 400; refused where 16 take more
            than half of it.
        certify_seed: another seed lays other cracks.
        jobs: photographs at a time; None for all cores.
        scheduler: address of a Dask scheduler whose workers search; None for this process.

    Raises:
        CrackError: naming the field as the command line does.
    """

    model: str | None = None
    segmenter: str | None = None
    tile: int | None = None
    overlap: float = 0.25
    foreground: str = "auto"
    mm_per_pixel: float | None = None
    distance_m: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None
    flight_log: Path | None = None
    timezone: str | None = None
    clock_offset: float = 0.0
    position_error_m: float = POSITION_ERROR_M
    needs_mm: float = NEEDED_MM
    faces: Path | None = None
    distance_from_faces: bool = False
    distance_from_positions: bool = False
    condition: str | None = None
    since: Path | None = None
    every_s: float = EVERY_S
    video_start: datetime | None = None
    certify: bool = False
    certify_cracks: int | None = None
    certify_seed: int = 0
    jobs: int | None = None
    scheduler: str | None = None
    limit_mm: Limits = ()
    title: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit_mm", read_limits(self.limit_mm))
        check_types(self)
        for name in ("flight_log", "faces", "since"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        if self.certify_cracks is not None and not (self.certify and 4 <= self.certify_cracks <= 100_000):
            raise CrackError(f"--certify-cracks {self.certify_cracks}: give 4 to 100,000, with --certify.")
        if self.distance_from_faces and (self.faces is None or self.position_error_m > MOST_POSITION_ERROR_M):
            raise CrackError(
                f"--distance-from-faces needs --faces FILE and --position-error-m of at most {MOST_POSITION_ERROR_M:g} (now "
                f"{self.position_error_m:g}): only positions by RTK or the like tell how far away a face is."
            )
        if self.distance_from_positions:
            rivals = {
                "--mm-per-pixel": self.mm_per_pixel is not None,
                "--distance-m": self.distance_m is not None,
                "--distance-from-faces": self.distance_from_faces,
            }
            if any(rivals.values()):
                named = next(name for name, given in rivals.items() if given)
                raise CrackError(f"--distance-from-positions and {named} are two answers to one question: give one.")
            if self.position_error_m > MOST_POSITION_ERROR_M:
                raise CrackError(
                    f"--distance-from-positions needs --position-error-m of at most {MOST_POSITION_ERROR_M:g} (now "
                    f"{self.position_error_m:g}): only positions by RTK or the like tell how far photographs are apart."
                )
        if self.title is not None and not (
            self.title.strip() and len(self.title) <= _MAX_TITLE and self.title.isprintable()
        ):
            raise CrackError(f"--title {short_repr(self.title)}: give one line of at most {_MAX_TITLE} characters.")
        if self.certify_seed < 0:
            raise CrackError(f"--certify-seed {self.certify_seed}: give 0 or more.")
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise CrackError(f"--overlap {self.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")
        if self.foreground not in FOREGROUNDS:
            raise CrackError(f"--foreground {self.foreground!r}: choose one of {', '.join(FOREGROUNDS)}.")
        for name in STATED_RANGES:
            check_stated(name, getattr(self, name))
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is None or least <= value <= most:
                continue
            wanted = "above 0" if 0 < least < 1 and not value > 0 else f"from {least:g} to {most:g}"
            raise CrackError(f"{option_of(name)} {value:g}: give a number {wanted}.")

    @property
    def limits(self) -> tuple[float, ...]:
        """The widths of `limit_mm` in millimetres, ascending, each once."""
        return cast("tuple[float, ...]", self.limit_mm)  # since __post_init__
