"""The overlay shows where and how sure, keeps the photograph visible, and explains itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.inference.overlay import CRACK, MAX_OPACITY, MAX_SIDE, MIN_WIDTH, draw_overlay, heat_map
from crack_tf.inference.tiles import Tile
from tflite.device.tiles import Box, tile_boxes


def tile(y: int, x: int, side: int, probability: float, crack: bool = False) -> Tile:
    return Tile(Box(y, x, side, side), 0.0, probability, crack)


@settings(max_examples=60)
@given(st.integers(8, 200), st.integers(8, 200), st.integers(8, 90), st.floats(0.2, 3), st.floats(0, 1))
def test_equal_tiles_give_an_even_heat_without_seams(
    width: int, height: int, side: int, scale: float, probability: float
) -> None:
    tiles = [Tile(box, 0.0, probability, False) for box in tile_boxes(width, height, side, 0.25)]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    heat, cracked = heat_map(tiles, size, scale)
    assert heat.shape == cracked.shape == (size[1], size[0])
    np.testing.assert_allclose(heat, probability, atol=1e-5)
    assert not cracked.any()


def test_heat_is_the_mean_of_the_tiles_and_one_cracked_tile_marks_the_spot() -> None:
    heat, cracked = heat_map([tile(0, 0, 20, 0.9, True), tile(0, 10, 20, 0.1)], (30, 20), 1.0)
    np.testing.assert_allclose(heat[0, [0, 15, 25]], [0.9, 0.5, 0.1], atol=1e-6)
    assert cracked[0].tolist() == [True] * 20 + [False] * 10


def test_where_no_crack_is_suspected_the_photograph_stays_as_it_is_in_grey() -> None:
    image = np.full((700, 700, 3), (200, 150, 100), np.uint8)
    sheet = np.asarray(draw_overlay(image, [tile(0, 0, 700, 0.0)], 0.5, "no crack"))
    grey = round(0.299 * 200 + 0.587 * 150 + 0.114 * 100)
    assert np.abs(sheet[:700].astype(int) - grey).max() <= 1


def test_the_fill_lets_the_photograph_through_and_the_outline_does_not() -> None:
    image = np.full((700, 700, 3), 150, np.uint8)
    sheet = np.asarray(draw_overlay(image, [tile(0, 0, 350, 1.0, True), tile(350, 350, 350, 0.0)], 0.5, "crack"))
    expected = 150 + MAX_OPACITY * (np.array(CRACK) - 150)
    np.testing.assert_allclose(sheet[175, 175], expected, atol=2)
    assert tuple(sheet[0, 175]) == CRACK  # along the picture's edge too
    assert tuple(sheet[349, 175]) == CRACK
    assert tuple(sheet[500, 500]) == (150, 150, 150)


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        (227, 227, (MIN_WIDTH, MIN_WIDTH)),
        (800, 600, (800, 600)),
        (4000, 3000, (MAX_SIDE, 1200)),
        (100, 2000, (80, 1600)),
    ],
)
def test_pictures_are_large_enough_to_read_and_small_enough_to_mail(
    width: int, height: int, shown: tuple[int, int]
) -> None:
    sheet = draw_overlay(np.zeros((height, width, 3), np.uint8), [tile(0, 0, width, 0.5)], 0.5, "title")
    assert sheet.width == shown[0]
    assert 60 <= sheet.height - shown[1] <= 200  # the legend
    legend = np.asarray(sheet)[shown[1] :]
    assert (legend == 255).all(axis=2).any()
    assert (legend == CRACK).all(axis=2).any()
    assert (legend == 0).all(axis=2).any()


def test_the_legend_says_where_the_outlined_tiles_were_doubted() -> None:
    image = np.zeros((700, 700, 3), np.uint8)
    believed, doubted = (
        np.asarray(draw_overlay(image, [tile(0, 0, 700, 0.5, True)], 0.4, "title", doubted))
        for doubted in (False, True)
    )
    assert np.array_equal(believed[:700], doubted[:700])
    assert not np.array_equal(believed[700:], doubted[700:])
    assert (doubted[700:, -8:] == 255).all(), "the line has room"


def test_the_legend_names_the_threshold() -> None:
    image = np.zeros((700, 700, 3), np.uint8)
    low, high = (
        np.asarray(draw_overlay(image, [tile(0, 0, 700, 0.5)], threshold, "title"))[700:] for threshold in (0.2, 0.3)
    )
    assert not np.array_equal(low, high)
