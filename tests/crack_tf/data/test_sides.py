"""The usual side of training tiles comes from pictures' headers, and of photographs with masks from their views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data import sides
from crack_tf.data.sides import side_record, usual_side
from tflite.manifest import Item, Manifest


def pictures(folder: Path, sizes: list[tuple[int, int]], kind: str = "png") -> Manifest:
    items = []
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (120, 120, 120)).save(folder / f"{number}.{kind}")
        items.append(Item(f"{number}.{kind}", "", number % 2, str(number), "train"))
    return Manifest("walls", "plain", 0, str(folder), "CC0-1.0", tuple(items))


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_tiles_of_several_sides_give_the_median_of_the_shorter_ones(kind: str, tmp_path: Path) -> None:
    manifest = pictures(tmp_path, [(227, 227), (300, 227), (240, 256), (512, 512), (40, 90)], kind)
    assert usual_side(manifest) == 227
    assert side_record(manifest) == {"tile_side": 227}


def test_a_photograph_with_a_mask_counts_with_its_close_views_and_its_whole_ones(tmp_path: Path) -> None:
    manifest = pictures(tmp_path, [(1200, 800)])
    marked = replace(manifest.items[0], mask="mask.png", mask_sha256="0")
    assert usual_side(replace(manifest, items=(marked,))) == 256
    assert usual_side(manifest) == 800


def test_a_large_set_is_judged_by_a_sample_of_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def size(path: Path) -> tuple[int, int]:
        read.append(path)
        return (64, 64) if int(path.stem) % 10 else (640, 640)

    monkeypatch.setattr(sides, "header_size", size)
    items = tuple(Item(f"{number}.png", "", 0, str(number), "train") for number in range(5000))
    manifest = Manifest("walls", "plain", 0, str(tmp_path), "CC0-1.0", items)
    assert usual_side(manifest) == 64
    assert 0 < len(read) <= 200
    assert len({int(np.floor(int(path.stem) / 1000)) for path in read}) == 5


def test_pictures_that_are_gone_or_damaged_say_nothing(tmp_path: Path) -> None:
    manifest = pictures(tmp_path, [(64, 64), (80, 80), (80, 80)])
    (tmp_path / "0.png").write_bytes(b"no picture")
    (tmp_path / "1.png").unlink()
    assert usual_side(manifest) == 80
    (tmp_path / "2.png").unlink()
    assert side_record(manifest) == {}
    assert side_record(replace(manifest, root=str(tmp_path / "gone"))) == {}
