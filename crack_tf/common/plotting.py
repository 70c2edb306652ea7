"""What every picture of numbers shares: an empty figure, its colours, and its PNG, written whole or not at all.

Matplotlib's object interface is used, not pyplot: no global state, no display needed, and nothing piles up in memory.
Colours are those of Okabe and Ito, which colour-blind readers tell apart; crack is vermilion, clean is blue.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tflite.drawn import METADATA
from tflite.errors import CrackError
from tflite.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CRACK, CLEAN = "#D55E00", "#0072B2"
GREEN, GREY = "#009E73", "#7F7F7F"
DPI = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically.

    Raises:
        CrackError: if the name does not end in .png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if Path(path).suffix.lower() != ".png":
        raise CrackError(f"plot {path}: the name must end in .png.")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=DPI, format="png", metadata=METADATA)
