"""Clicks on a photograph become points in its pixels."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backend_bases import MouseButton, MouseEvent

from crack_tf.photo.clicks import Clicks
from tflite.errors import CrackError


@pytest.fixture(autouse=True)
def without_a_screen() -> Iterator[None]:
    import matplotlib.pyplot as plt

    mpl.use("agg")
    yield
    plt.close("all")


def click(clicks: Clicks, point: tuple[float, float], button: int) -> None:
    clicks.figure.canvas.draw()
    x, y = clicks.figure.axes[0].transData.transform(point)
    clicks.figure.canvas.callbacks.process(
        "button_press_event", MouseEvent("button_press_event", clicks.figure.canvas, x, y, MouseButton(button))
    )


def test_left_is_concrete_and_right_is_not() -> None:
    clicks = Clicks(np.zeros((60, 80, 3), np.uint8))
    click(clicks, (10, 20), 1)
    click(clicks, (70, 5), 3)
    click(clicks, (30, 30), 2)
    assert clicks.foreground == [(10, 20)]
    assert clicks.background == [(70, 5)]


def test_points_given_come_first_and_a_click_beside_the_photograph_does_nothing() -> None:
    clicks = Clicks(np.zeros((60, 80, 3), np.uint8), foreground=[(1, 2)])
    click(clicks, (-30, 20), 1)
    assert clicks.foreground == [(1, 2)]


@pytest.mark.parametrize("point", [(80, 10), (10, 60), (-1, 0)])
def test_a_point_outside_is_refused(point: tuple[int, int]) -> None:
    with pytest.raises(CrackError, match="outside"):
        Clicks(np.zeros((60, 80, 3), np.uint8), background=[point])


def test_a_grey_photograph_is_refused() -> None:
    with pytest.raises(CrackError, match="shape"):
        Clicks(np.zeros((60, 80), np.uint8))
