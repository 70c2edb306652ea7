"""Pixels become what a model from elsewhere was trained on, in floats and in its input's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from tflite.scaling import Scaling, look_up
from tflite.sidecar import TensorSpec

TILES = arrays.arrays(np.uint8, (2, 4, 4, 3))
IMAGENET = Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@given(TILES)
def test_a_float_input_gets_mean_and_deviation_of_each_channel(tiles: np.ndarray) -> None:
    table = IMAGENET.table(TensorSpec((1, 4, 4, 3), "float32", 0.0, 0))
    found = look_up(table, IMAGENET.select(tiles))
    expected = (tiles.astype(np.float64) - IMAGENET.mean) / IMAGENET.std
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-5)


@given(TILES)
def test_bytes_of_a_unit_scaled_uint8_input_are_the_pixels_themselves(tiles: np.ndarray) -> None:
    scaling = Scaling((0.0,) * 3, (255.0,) * 3)
    table = scaling.table(TensorSpec((1, 4, 4, 3), "uint8", float(np.float32(1 / 255)), 0))
    assert np.array_equal(look_up(table, scaling.select(tiles)), tiles)


@given(TILES)
def test_an_int8_input_is_rounded_to_its_nearest_step(tiles: np.ndarray) -> None:
    scaling = Scaling((127.5,) * 3, (127.5,) * 3)
    found = look_up(scaling.table(TensorSpec((1, 4, 4, 3), "int8", 1 / 127.5, -1)), tiles)
    assert found.dtype == np.int8
    back = (found.astype(np.float64) + 1) / 127.5
    assert np.abs(back - (tiles / 127.5 - 1)).max() <= 0.5 / 127.5 + 1e-9


@given(TILES)
def test_blue_comes_first_where_that_was_trained(tiles: np.ndarray) -> None:
    assert np.array_equal(Scaling(colours="bgr").select(tiles), tiles[..., ::-1])


@given(arrays.arrays(np.uint8, (5, 5, 3)))
def test_grey_is_pillows(tile: np.ndarray) -> None:
    scaling = Scaling((0.0,), (255.0,), "grey")
    assert np.array_equal(scaling.select(tile)[..., 0], np.asarray(Image.fromarray(tile).convert("L")))
    assert look_up(scaling.table(TensorSpec((1, 5, 5, 1), "float32", 0.0, 0)), scaling.select(tile)).shape == (5, 5, 1)


@pytest.mark.parametrize(
    ("scaling", "text"),
    [
        (Scaling(colours="cmyk"), "colours is 'cmyk'"),
        (Scaling(colours="grey"), "3 means"),
        (Scaling(std=(1.0, 0.0, 1.0)), "deviations"),
        (Scaling(mean=(float("nan"), 0.0, 0.0)), "means"),
    ],
)
def test_what_is_no_scaling_is_refused(scaling: Scaling, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        scaling.check()


@given(st.sampled_from(["rgb", "bgr"]), st.floats(-300, 300), st.floats(0.01, 300))
def test_every_pixel_value_has_a_row(colours: str, mean: float, std: float) -> None:
    scaling = Scaling((mean,) * 3, (std,) * 3, colours)
    scaling.check()
    assert scaling.values().shape == (256, 3)
    assert np.all(np.diff(scaling.values(), axis=0) > 0)
