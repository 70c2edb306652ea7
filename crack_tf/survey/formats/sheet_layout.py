"""What an elevation sheet shows and where on its paper: scale, classes of width, title block, scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.photo.faces import Face
from tflite.words import counted, on_one_line

PAPER_MM = (420.0, 297.0)  # A3, lying
MARGIN_MM, BLOCK_MM = 10.0, 62.0  # around everything; height of the title block below the drawing
SCALES = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000)
# Least width of each class in millimetres, its name and colour (red, green, blue), the narrowest first.
CLASSES: tuple[tuple[float, str, tuple[int, int, int]], ...] = (
    (0.0, "below 0.1 mm", (86, 180, 233)),
    (0.1, "0.1 to 0.2 mm", (0, 114, 178)),
    (0.2, "0.2 to 0.3 mm", (0, 158, 115)),
    (0.3, "0.3 to 0.4 mm", (230, 159, 0)),
    (0.4, "0.4 mm or more", (213, 0, 0)),
)
NO_WIDTH = ("width not known", (120, 120, 120))
COLOURS = {name: colour for _, name, colour in CLASSES} | {NO_WIDTH[0]: NO_WIDTH[1]}
STROKE_MM, TEXT_MM, SMALL_MM = 0.35, 3.0, 2.6


@dataclass(frozen=True)
class SheetCrack:
    """A crack on a sheet.

    Attributes:
        number: on all sheets of a survey.
        finding: its id.
        lines: float (n, 2) each, millimetres to the right of the face's left edge and above its lower one.
        width_class: one of COLOURS.
        width_mm, length_mm: maximum width and length; None if not known.
        validation, condition: of the finding.
    """

    number: int
    finding: str
    lines: tuple[np.ndarray, ...]
    width_class: str
    width_mm: float | None
    length_mm: float | None
    validation: str
    condition: str | None

    @property
    def label_at(self) -> tuple[float, float]:
        """Where its number stands, millimetres on the face: beside the middle of its longest line."""
        longest = max(self.lines, key=len)
        x, y = longest[len(longest) // 2]
        return float(x), float(y)


@dataclass(frozen=True)
class Title:
    """What the title block says."""

    face: str
    survey: str
    flown: str
    surveyed: str
    sheet: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A sheet.

    Attributes:
        size_mm: of the face, width and height.
        cracks: on it.
        title: of it.
        scale: millimetres of the face that one of the paper shows.
        origin_mm: of the face's upper left corner on the paper, from the paper's upper left corner.
        bar_mm: length of the scale bar, on the face.
    """

    size_mm: tuple[float, float]
    cracks: tuple[SheetCrack, ...]
    title: Title
    scale: int
    origin_mm: tuple[float, float]
    bar_mm: float

    def on_paper(self, points: np.ndarray) -> np.ndarray:
        """Points of the face, float (n, 2), in millimetres on the paper, from its upper left corner downwards."""
        x, y = np.asarray(points, float).T
        return np.c_[self.origin_mm[0] + x / self.scale, self.origin_mm[1] + (self.size_mm[1] - y) / self.scale]

    def lines_of_text(self) -> list[str]:
        """The title block's, printable whatever names of faces and folders hold."""
        known = [crack.length_mm for crack in self.cracks if crack.length_mm is not None]
        texts = [
            f"{self.title.face}",
            f"Survey of {self.title.survey}, flown {self.title.flown}, surveyed {self.title.surveyed}",
            f"Scale 1:{self.scale} (A3), face {self.size_mm[0] / 1000:.2f} x {self.size_mm[1] / 1000:.2f} m, sheet {self.title.sheet}",
            f"{counted(len(self.cracks), 'crack')}, {sum(known) / 1000:.2f} m together; numbers as in sheets.json",
            *self.title.notes,
        ]
        return [on_one_line(text) for text in texts]


def width_class(width_mm: float | None) -> str:
    """The class of a maximum width."""
    if width_mm is None:
        return NO_WIDTH[0]
    return [name for least, name, _ in CLASSES if width_mm >= least][-1]


def layout_of(face: Face, cracks: Sequence[SheetCrack], title: Title) -> Layout:
    """Choose the scale, the largest of the usual ones at which the face fits on the paper."""
    size = 1000 * face.length_m, 1000 * face.height_m
    room = PAPER_MM[0] - 2 * MARGIN_MM, PAPER_MM[1] - 3 * MARGIN_MM - BLOCK_MM
    needed = max(size[0] / room[0], size[1] / room[1])
    scale = next((scale for scale in SCALES if scale >= needed), math.ceil(needed))
    origin = (PAPER_MM[0] - size[0] / scale) / 2, MARGIN_MM + (room[1] - size[1] / scale) / 2
    bar = next((length for length in _lengths() if length / scale >= 30), 30.0 * scale)
    return Layout(size, tuple(cracks), title, scale, origin, bar)


def _lengths() -> list[float]:
    return [digit * 10.0**power for power in range(7) for digit in (1, 2, 5)]
