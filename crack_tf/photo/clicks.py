"""Points clicked on a photograph: left for the concrete, right for what is not. For notebooks and any interactive matplotlib.

clicks = Clicks(load_rgb("pier.jpg"))          # %matplotlib widget (ipympl), or a window of any desktop backend
find_foreground(photo, foreground=clicks.foreground, background=clicks.background)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tflite.errors import CrackError

Point = tuple[int, int]

_LEFT, _RIGHT = 1, 3  # matplotlib's numbers of the mouse buttons


class Clicks:
    """Shows a photograph and collects clicks; without an interactive backend it is an ordinary picture.

    Args:
        photo: uint8 (height, width, 3).
        foreground, background: points (x, y) in pixels to start with.
        width_inches: of the figure.

    Raises:
        CrackError: if the photograph has another shape, or a point lies outside.
    """

    def __init__(
        self,
        photo: np.ndarray,
        foreground: list[Point] | None = None,
        background: list[Point] | None = None,
        width_inches: float = 9.0,
    ) -> None:
        import matplotlib.pyplot as plt

        if photo.ndim != 3 or photo.shape[2] != 3:
            raise CrackError(f"photo has shape {photo.shape}: give (height, width, 3).")
        self._shape = photo.shape[:2]
        self.foreground: list[Point] = []
        self.background: list[Point] = []
        figure, self._axes = plt.subplots(
            figsize=(width_inches, width_inches * photo.shape[0] / photo.shape[1]), layout="constrained"
        )
        self.figure = figure
        self._axes.imshow(photo)
        self._axes.set_axis_off()
        self._axes.set_title("left click: concrete, right click: something else", fontsize=9)
        for point in foreground or []:
            self._add(point, self.foreground, "#009E73")
        for point in background or []:
            self._add(point, self.background, "#D55E00")
        figure.canvas.mpl_connect("button_press_event", self._clicked)

    def _clicked(self, event: Any) -> None:
        if event.inaxes is not self._axes or event.xdata is None:
            return
        point = (round(event.xdata), round(event.ydata))
        if event.button == _LEFT:
            self._add(point, self.foreground, "#009E73")
        elif event.button == _RIGHT:
            self._add(point, self.background, "#D55E00")

    def _add(self, point: Point, points: list[Point], colour: str) -> None:
        x, y = point
        height, width = self._shape
        if not (0 <= x < width and 0 <= y < height):
            raise CrackError(f"point {x},{y} lies outside the photograph of {width}x{height} pixels.")
        points.append((x, y))
        self._axes.plot(x, y, "o", color=colour, markeredgecolor="white", markersize=9)
        self.figure.canvas.draw_idle()
