"""Larger windows: the same network at another size, and none where it answers about its tiles only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crack_tf.models.shipped import find_model
from tests.dark_map_model import SIZE, dark_photo, write_map_model
from tests.dark_model import write_dark_model
from tflite.errors import CrackError
from tflite.segmenter import Segmenter
from tflite.windows import widened, window_step


@pytest.mark.parametrize(("height", "width"), [(90, 150), (32, 33), (150, 32)])
def test_a_window_answers_as_the_same_network_made_for_that_size(tmp_path: Path, height: int, width: int) -> None:
    side = max(height, width)
    write_map_model(tmp_path / "tile.tflite")
    write_map_model(tmp_path / "whole.tflite", size=side)
    photo = dark_photo(side, side)
    segmenter, whole = Segmenter(tmp_path / "tile.tflite"), Segmenter(tmp_path / "whole.tflite")
    assert segmenter.window_step == 1
    part = photo[:height, :width]
    found = segmenter.probabilities(part[np.newaxis])[0]
    expected = whole.probabilities(photo[np.newaxis])[0]
    # Where the window ends inside the larger picture its surroundings are another's.
    np.testing.assert_array_equal(found[: height - 1, : width - 1], expected[: height - 1, : width - 1])
    assert found.shape == (height, width)


def test_a_network_that_steps_down_and_up_agrees_with_its_tile_in_the_middle() -> None:
    path = find_model(None, task="segment").path
    segmenter = Segmenter(path)
    side = segmenter.image_size
    assert segmenter.window_step == side // 8
    photo = dark_photo(side, side)
    again = widened(path, side, side)
    assert again == path.read_bytes()  # of its own size it is the file
    tall = np.concatenate([photo, photo[::-1]])
    one, window = segmenter.probabilities(photo[np.newaxis])[0], segmenter.probabilities(tall[np.newaxis])[0]
    assert window.shape == (2 * side, side)
    difference = np.abs(one[: side // 2] - window[: side // 2])  # far from where the window goes on
    assert difference.mean() < 0.01
    np.testing.assert_array_equal(segmenter.probabilities(photo[np.newaxis])[0], one)


def test_only_a_few_sizes_are_kept_ready(tmp_path: Path) -> None:
    write_map_model(tmp_path / "tile.tflite")
    segmenter = Segmenter(tmp_path / "tile.tflite")
    for width in range(SIZE, SIZE + 12):
        segmenter.probabilities(dark_photo(SIZE, width)[np.newaxis])
    assert len(segmenter._windows) <= 4


def test_a_classifier_takes_its_tiles_only(tmp_path: Path) -> None:
    path = tmp_path / "dark.tflite"
    write_dark_model(path)
    assert window_step(path) is None
    assert window_step(find_model(None).path) is None
    with pytest.raises(CrackError, match="multiples of None"):
        widened(path, 64, 64)


def test_sides_that_are_no_multiples_are_refused() -> None:
    segmenter = Segmenter(find_model(None, task="segment").path)
    with pytest.raises(CrackError, match="300x256 pixels"):
        segmenter.probabilities(np.zeros((1, 256, 300, 3), np.uint8))
    for tiles in (np.zeros((1, 512, 512, 4), np.uint8), np.zeros((1, 512, 512, 3), np.float32)):
        with pytest.raises(CrackError, match="a tile must be uint8"):
            segmenter.probabilities(tiles)
