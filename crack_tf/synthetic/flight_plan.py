"""What a drawn flight shows; `crack_tf.data.flight` says what is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflite.device.tiles import Box
from tflite.errors import CrackError

MIN_SIDE, MAX_SIDE = 240, 8000  # pixels of a photograph
_OVERLAP = (0.35, 0.3)  # of neighbours, across and down
_INSET = 0.14  # of a photograph: background at the outer edges of the outer photographs
FLAT, CORNER, ROUND = "flat", "corner", "round"
SHAPES = (FLAT, CORNER, ROUND)
_LEAST_AROUND = 6  # photographs; with fewer, each would show more of a round pier than can be seen from one place
_MORE_THAN_PIXELS = (
    4.0  # at the plan's distance: what a flight that states no width needs, is wide enough to be measured
)


@dataclass(frozen=True)
class Plan:
    """What to draw.

    Attributes:
        seed: of everything.
        piers, rows, columns: photographs are piers x rows x columns, of a corner twice that.
        width, height: of a photograph in pixels.
        cracks: per pier, tried for; a crowded pier gets fewer.
        mm_per_pixel: ground sampling distance.
        gps_noise_m: standard deviation of the positions in EXIF data and log.
        latitude, longitude: of the first pier.
        laser_noise_m: standard deviation of the laser's range; None draws a drone without laser and gimbal.
        pitch_deg: standard deviation of the angles at which the camera looks up and down.
        missed: photographs that were not taken.
        blurred: photographs that are smeared by motion.
        far: photographs that are taken from twice the distance.
        shape: of a pier, one of SHAPES: one flat face; a corner with a second face round to the right; a cylinder that the columns go
            all around.
        distance_m: from the camera to what it looks at.
        facing_deg: standard deviation of how far the camera looks to the left or right of square.
        gimbal_noise_deg: standard deviation of what the gimbal says of heading and pitch.
        needs_mm: width of crack that must be measurable; None for four pixels.
        widths_px: least and greatest mean width of a crack.
        darkness: least and greatest share of the light that a crack takes in its middle.
        epoch: 0 draws the first flight; 1 and more later ones along the same walls, a year apart each: from other places, distances and
            angles, in other light, through another tone curve, the cracks a little lighter or darker.
        grown_mm: by how much the cracks of a later flight are wider than on the first, in their order and again from the first; none
            for not at all.
        longer_mm: by how much they are longer, at one end, likewise.
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
    far: int = 0
    shape: str = FLAT
    distance_m: float = 2.0
    facing_deg: float = 0.0
    gimbal_noise_deg: float = 0.0
    needs_mm: float | None = None
    widths_px: tuple[float, float] = (3.6, 15.0)
    darkness: tuple[float, float] = (0.55, 0.82)
    epoch: int = 0
    grown_mm: tuple[float, ...] = ()
    longer_mm: tuple[float, ...] = ()

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
        if not 0 <= self.gps_noise_m <= 100:
            raise CrackError(f"--gps-noise-m {self.gps_noise_m:g}: choose from 0 to 100 m.")
        if self.laser_noise_m is not None and not 0 <= self.laser_noise_m <= 1:
            raise CrackError(f"--laser-noise-m {self.laser_noise_m:g}: choose from 0 to 1 m.")
        if self.missed + self.blurred + self.far >= self.photographs:
            raise CrackError(
                f"--missed {self.missed} --blurred {self.blurred} --far {self.far}: leave at least one of {self.photographs} photographs "
                "as it is."
            )
        if self.shape not in SHAPES:
            raise CrackError(f"--shape {self.shape!r}: choose one of {', '.join(SHAPES)}.")
        if self.shape == ROUND and self.columns < _LEAST_AROUND:
            raise CrackError(
                f"--columns {self.columns}: a round pier needs {_LEAST_AROUND} or more to be seen all around."
            )
        for option, value, most in (
            ("--facing-deg", self.facing_deg, 10.0),
            ("--gimbal-noise-deg", self.gimbal_noise_deg, 5.0),
        ):
            if not 0 <= value <= most:
                raise CrackError(f"{option} {value:g}: choose from 0 to {most:g} degrees.")
        if not 0.5 <= self.distance_m <= 100:
            raise CrackError(f"--distance-m {self.distance_m:g}: choose from 0.5 to 100 m.")
        if not 1 <= self.focal_35mm <= 60_000:  # EXIF keeps whole millimetres in 16 bits
            raise CrackError(
                f"--mm-per-pixel {self.mm_per_pixel:g} at --distance-m {self.distance_m:g}: no lens draws that: on 35 mm film it "
                f"would have {self.focal_35mm:.3g} mm. Choose others."
            )
        low, high = self.widths_px
        if not 0.3 <= low <= high <= 60:
            raise CrackError(f"--widths-px {low:g},{high:g}: give the least and the greatest, from 0.3 to 60 pixels.")
        low, high = self.darkness
        if not 0.02 <= low <= high <= 0.95:
            raise CrackError(f"--darkness {low:g},{high:g}: give the least and the greatest share, from 0.02 to 0.95.")
        if self.epoch < 0:
            raise CrackError(f"--epoch {self.epoch}: give 0 for the first flight, 1 and more for later ones.")
        for option, values, most in (("--grown-mm", self.grown_mm, 60), ("--longer-mm", self.longer_mm, 100)):
            if values and not self.epoch:
                raise CrackError(
                    f"{option} needs --epoch 1 or more: the first flight shows the cracks before they grow."
                )
            if not all(0 <= value <= most * self.mm_per_pixel for value in values):
                text = ",".join(f"{value:g}" for value in values)
                raise CrackError(
                    f"{option} {text}: give millimetres from 0 to {most * self.mm_per_pixel:g}, {most} pixels."
                )

    @property
    def focal_35mm(self) -> float:
        """Focal length on 35 mm film of a lens that shows as much, by the diagonal."""
        return self.distance_m * 1000 * math.hypot(36, 24) / (self.mm_per_pixel * math.hypot(self.width, self.height))

    @property
    def sides(self) -> int:
        """Faces of a pier."""
        return 2 if self.shape == CORNER else 1

    @property
    def photographs(self) -> int:
        """That would be taken if none was missed."""
        return self.piers * self.sides * self.rows * self.columns

    @property
    def needed_mm(self) -> float:
        """Width of crack that must be measurable."""
        return _MORE_THAN_PIXELS * self.mm_per_pixel if self.needs_mm is None else self.needs_mm

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from one photograph to the next, across and down."""
        return round(self.width * (1 - _OVERLAP[0])), round(self.height * (1 - _OVERLAP[1]))

    @property
    def pier(self) -> Box:
        """The concrete of a face, in pixels of the wall; that of a round pier is unrolled."""
        wide = self.width + (self.columns - 1) * self.stride[0]
        tall = self.height + (self.rows - 1) * self.stride[1]
        inset = round(_INSET * self.height)
        if self.shape == ROUND:
            return Box(inset, 0, tall - 2 * inset, self.columns * self.stride[0])
        return Box(inset, inset, tall - 2 * inset, wide - 2 * inset)

    @property
    def radius_m(self) -> float | None:
        """A round pier's; else None."""
        return self.pier.w * self.mm_per_pixel / 2000 / math.pi if self.shape == ROUND else None

    def upper_left(self, row: int, column: int) -> tuple[int, int]:
        """Upper left corner of what a photograph shows, in pixels of the wall."""
        left, top = column * self.stride[0], row * self.stride[1]
        return (left - (self.width - self.stride[0]) // 2 if self.shape == ROUND else left), top
