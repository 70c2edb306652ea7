"""Tiles that `data mine` cuts out of one photograph are neighbours for `data split`."""

from __future__ import annotations

from crack_tf.common.mined import tile_name
from crack_tf.data.neighbours import mined_photographs
from tflite.device.tiles import Box


def test_tiles_of_one_photograph_stay_together_and_those_of_names_alike_apart() -> None:
    photos = ("pier/a_1.jpg", "pier/a_1.jpg", "deck/a_1.jpg", "pier/a_1.png")
    names = [tile_name(photo, Box(32 * place, 64, 32, 32)) for place, photo in enumerate(photos)]
    keys = mined_photographs([f"no_crack/{name}" for name in names], range(len(names)))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert None not in keys
