"""Cut a frame into square tiles that cover every pixel, and which side those should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tflite.errors import CrackError, ImageError

if TYPE_CHECKING:
    from tflite.sidecar import Sidecar

MAX_OVERLAP = 0.9
MAX_TILE_MM = 100_000.0
MOST_SCALED = 4
MIN_SIDE = 16  # pixels; a smaller "frame" shows no concrete
# Sides of the public data sets' tiles in pixels: what a model trained on them was shown, whatever its input size.
TILE_SIDES = {"metu": 227, "sdnet2018": 256}


@dataclass(frozen=True, order=True)
class Box:
    """A tile's place in its frame, in pixels.

    Attributes:
        y, x: of the upper left corner; y comes first so that boxes sort in reading order.
        h, w: height and width.
    """

    y: int
    x: int
    h: int
    w: int

    def as_json(self) -> dict[str, int]:
        """The journal's form: x, y, w, h."""
        return {"x": self.x, "y": self.y, "w": self.w, "h": self.h}


def refuse_small(name: object, shape: tuple[int, ...]) -> None:
    """Refuse a picture that is too small to show concrete.

    Args:
        name: of the picture, for the message.
        shape: of its pixels: height, width.

    Raises:
        ImageError: if a side has less than `MIN_SIDE` pixels.
    """
    height, width = shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels: too small to show anything.")


def tile_boxes(width: int, height: int, side: int, overlap: float = 0.0) -> list[Box]:
    """Square boxes inside a frame, in reading order; together they cover every pixel.

    They are spread evenly, so neighbours overlap by at least `overlap` and usually a little more. In a frame smaller than
    `side` the boxes are as large as its shorter side: the picture is enlarged for the model, never squeezed.

    Args:
        width, height: of the frame in pixels, at least 1.
        side: of a box in pixels, at least 1.
        overlap: least share of a box that its neighbour repeats, in [0, 0.9]; a crack on a border is then whole in one.

    Raises:
        CrackError: if an argument is out of range.

    Example:
        [(box.x, box.y) for box in tile_boxes(500, 224, 224)]  # [(0, 0), (138, 0), (276, 0)]
    """
    if min(width, height, side) < 1:
        raise CrackError(f"width {width}, height {height} and side {side} must all be at least 1 pixel.")
    if not 0 <= overlap <= MAX_OVERLAP:
        raise CrackError(f"overlap must lie between 0 and {MAX_OVERLAP}, got {overlap}.")
    side = min(side, width, height)
    columns, rows = (spread(length, side, overlap) for length in (width, height))
    return [Box(y, x, side, side) for y in rows for x in columns]


def spread(length: int, side: int, overlap: float) -> list[int]:
    """First pixels of the boxes along one axis, spread evenly: 0, ..., length - side.

    Args:
        length: of the axis in pixels.
        side: of a box along it, at most `length`.
        overlap: least share of a box that its neighbour repeats, in [0, 1).
    """
    rest = length - side
    if rest == 0:
        return [0]
    stride = max(1, int(side * (1 - overlap)))
    steps = -(-rest // stride)
    # Whole-number division keeps each step at most `stride`, since the exact step is and `stride` is whole.
    return [number * rest // steps for number in range(steps + 1)]


def training_side(sidecar: Sidecar) -> int:
    """Side in pixels of the tiles a model was trained on: the area to show it, whatever its input size.

    The sidecar states it, but for models from before that and for adopted ones whose owner did not say it. Of those, the first known
    data set of a mix ("metu+sdnet2018") counts; the input size where none is known.
    """
    stated = sidecar.training.get("tile_side")
    if type(stated) is int and stated > 0:
        return stated
    names = str(sidecar.training.get("dataset")).split("+")
    return next((TILE_SIDES[name] for name in names if name in TILE_SIDES), sidecar.image_size)


def training_mm(sidecar: Sidecar) -> float | None:
    """How many millimetres of the surface those tiles show, as far as the model's owner said it; None where nobody knows.

    No public data set states it: of METU the distance is told ("about a metre"), and no lens.
    """
    stated = sidecar.training.get("training_mm")
    if isinstance(stated, bool) or not isinstance(stated, (int, float)):
        return None
    return float(stated) if 0 < stated <= MAX_TILE_MM else None  # NaN fails too


def scaled_side(tile_mm: float, mm_per_pixel: float, side: int) -> int:
    """Side in pixels of a tile that shows so many millimetres, no more than four times as large or as small as those of the training.

    Beyond that a wrong scale is likelier than a right one, and a model has nothing to go by.

    Args:
        tile_mm: of the surface, along a side.
        mm_per_pixel: of the photograph, above 0.
        side: of the training tiles in pixels.
    """
    return max(MIN_SIDE, side // MOST_SCALED, min(side * MOST_SCALED, round(tile_mm / mm_per_pixel)))
