from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.sources import FLIGHT, TILES, check_labels, kind_of, photographs_of, read_site
from crack_tf.adaptation.tiles import ASSUMED, PERSON, SiteTiles
from tflite.errors import CrackError
from tflite.manifest import Item


def item(path: str, group: str) -> Item:
    return Item(path, "0" * 64, 0, group, "train")


def test_a_photograph_is_a_folder_or_what_is_left_of_a_name_and_copies_join_them() -> None:
    items = [
        item("crack/IMG_1/a.png", "g1"),
        item("no_crack/IMG_1/b.png", "g2"),
        item("crack/0123456789ab-x10-y20.png", "g3"),
        item("crack/0123456789ab-x200-y20.png", "g4"),
        item("no_crack/wall_0a1b2c3d_0_12_227.png", "g5"),
        item("no_crack/other.png", "g6"),
        item("no_crack/copy.png", "g1"),
    ]
    found = photographs_of(items)
    assert found[0] == found[1] == found[6] == "IMG_1"
    assert found[2] == found[3] == "0123456789ab"
    assert found[4] == "wall"
    assert found[5] == "no_crack/other.png"


def site_tiles(labels: list[int], photos: list[str], origins: list[str] | None = None) -> SiteTiles:
    count = len(labels)
    images = np.zeros((count, 8, 8, 3), np.uint8)
    names = tuple(map(str, range(count)))
    return SiteTiles(images, np.array(labels, np.int8), tuple(photos), names, tuple(origins or [PERSON] * count))


@pytest.mark.parametrize(
    ("labels", "photos", "told"),
    [
        ([1, 1, 1, 1, 1, 1], list("abcdef"), "labels of one kind only (0 no_crack, 6 crack): no no_crack"),
        ([1, 0, 1, 0], list("abcd"), "has 4 labels (2 no_crack, 2 crack): give 5 or more"),
        ([1, 1, 1, 0, 0, 0], list("aaabcd"), "all crack labels of bridge are of one photograph (a)"),
    ],
)
def test_labels_that_nothing_can_be_learned_from_are_refused(labels: list[int], photos: list[str], told: str) -> None:
    with pytest.raises(CrackError) as error:
        check_labels(site_tiles(labels, photos), "bridge")
    assert told in str(error.value)


def test_what_nobody_looked_at_is_no_label() -> None:
    tiles = site_tiles([1, 1, 1, 1, 1, 0, 0], list("abcdefg"), [PERSON] * 5 + [ASSUMED] * 2)
    with pytest.raises(CrackError, match="one kind only"):
        check_labels(tiles, "bridge")


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="does not exist: give the folder of a finished survey"):
        kind_of(str(tmp_path / "none"))
    with pytest.raises(CrackError, match="there is nothing to adapt to"):
        kind_of(str(tmp_path))
    (tmp_path / "file").write_text("x")
    with pytest.raises(CrackError, match="is a file"):
        kind_of(str(tmp_path / "file"))
    (tmp_path / "crack").mkdir()
    assert kind_of(str(tmp_path)) == TILES
    with pytest.raises(CrackError, match="only one class: no no_crack folder"):
        read_site(AdaptConfig(str(tmp_path)), 32, 64, tmp_path / "work")
    with pytest.raises(CrackError, match=r"--review r.json: .* is no finished survey"):
        read_site(AdaptConfig(str(tmp_path), review="r.json"), 32, 64, tmp_path / "work")


def test_a_damaged_photograph_of_a_flight_is_named(tmp_path: Path) -> None:
    for number in range(3):
        pixels = np.full((100, 150, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"IMG_{number}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    assert kind_of(str(tmp_path)) == FLIGHT
    site = read_site(AdaptConfig(str(tmp_path)), 32, 50, tmp_path / "work")
    assert len(site.tiles) == 3 * 6
    assert site.tiles.images.shape == (18, 32, 32, 3)
    assert set(site.tiles.photos) == {"IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"}
    assert (site.tiles.labels == -1).all()
    assert len(site.notes) == 1
    assert site.notes[0].startswith("NOT READ  broken.jpg: not an image")
