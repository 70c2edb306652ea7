"""What a drawn flight shows; `crack_tf.data.flight` says what is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from tflite.device.tiles import Box
from tflite.errors import CrackError

MIN_SIDE, MAX_SIDE = 240, 8000  # pixels of a photograph
_OVERLAP = (0.35, 0.3)  # of neighbours, across and down
_INSET = 0.14  # of a photograph: background at the outer edges of the outer photographs


@dataclass(frozen=True)
class Plan:
    """What to draw.

    Attributes:
        seed: of everything.
        piers, rows, columns: photographs are piers x rows x columns.
        width, height: of a photograph in pixels.
        cracks: per pier, tried for; a crowded pier gets fewer.
        mm_per_pixel: ground sampling distance.
        gps_noise_m: standard deviation of the positions in EXIF data and log.
        latitude, longitude: of the first pier.
        laser_noise_m: standard deviation of the laser's range; None draws a drone without laser and gimbal.
        pitch_deg: standard deviation of the angles at which the camera looks up and down.
        missed: photographs that were not taken.
        blurred: photographs that are smeared by motion.
    """

    seed: int = 0
    piers: int = 2
    rows: int = 2
    columns: int = 3
    width: int = 1600
    height: int = 1200
    cracks: int = 5
    mm_per_pixel: float = 0.15
    gps_noise_m: float = 0.02
    latitude: float = 48.2102
    longitude: float = 16.4203
    laser_noise_m: float | None = None
    pitch_deg: float = 0.0
    missed: int = 0
    blurred: int = 0

    def check(self) -> None:
        """Raise if it cannot be drawn.

        Raises:
            CrackError: naming the argument.
        """
        if min(self.width, self.height) < MIN_SIDE or max(self.width, self.height) > MAX_SIDE:
            raise CrackError(
                f"--size {self.width}x{self.height}: choose from {MIN_SIDE} to {MAX_SIDE} pixels on both sides."
            )
        if not (-85 <= self.latitude <= 85 and -180 <= self.longitude <= 180):
            raise CrackError(
                f"--at {self.latitude},{self.longitude}: give latitude (-85 to 85) and longitude (-180 to 180)."
            )

        if not 0 <= self.pitch_deg <= 15:  # beyond, three standard deviations no longer look at a wall
            raise CrackError(f"--pitch-deg {self.pitch_deg:g}: choose from 0 to 15 degrees.")
        if self.laser_noise_m is not None and not 0 <= self.laser_noise_m <= 1:
            raise CrackError(f"--laser-noise-m {self.laser_noise_m:g}: choose from 0 to 1 m.")
        if self.missed + self.blurred >= self.piers * self.rows * self.columns:
            raise CrackError(
                f"--missed {self.missed} --blurred {self.blurred}: leave at least one of {self.piers * self.rows * self.columns} "
                "photographs as it is."
            )

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from one photograph to the next, across and down."""
        return round(self.width * (1 - _OVERLAP[0])), round(self.height * (1 - _OVERLAP[1]))

    @property
    def pier(self) -> Box:
        """The concrete, in pixels of the wall."""
        wide = self.width + (self.columns - 1) * self.stride[0]
        tall = self.height + (self.rows - 1) * self.stride[1]
        inset = round(_INSET * self.height)
        return Box(inset, inset, tall - 2 * inset, wide - 2 * inset)
