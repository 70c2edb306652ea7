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
