"""Views of photographs carry the label that the mask gives them, and lie inside their photograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.data.cache import load_split
from crack_tf.data.views import SIDE, View, view_label, views_of
from tests.mixed_on_disk import write_mixed
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.images import load_rgb, resize_rgb
from tflite.manifest import Item, Manifest

HEIGHT, WIDTH = 300, 700


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_mixed(tmp_path_factory.mktemp("mixed"))


@given(side=st.integers(10, 80), seed=st.integers(0, 99), density=st.floats(0, 0.1))
def test_a_view_is_clean_only_without_crack_and_cracked_by_what_lies_inside(
    side: int, seed: int, density: float
) -> None:
    mask = np.random.default_rng(seed).uniform(size=(side, side)) < density
    label = view_label(mask)
    edge = round(0.1 * side)
    inner = mask[edge : side - edge, edge : side - edge]
    assert (label == 0) == (not mask.any())
    assert (label == 1) == (inner.sum() >= 0.1 * side)
    more = mask.copy()
    more[side // 2] = True
    assert view_label(more) == 1  # a line through the middle
    assert view_label(mask.T) == view_label(mask[::-1]) == label


def test_crack_at_the_edge_alone_is_neither_label() -> None:
    mask = np.zeros((100, 100), bool)
    mask[:, :9] = True
    assert view_label(mask) is None


def photograph(folder: Path, mask: np.ndarray | None, label: int, orientation: int = 1) -> tuple[Manifest, Item]:
    """A large picture in a mix, with or without a mask."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 180, np.uint8)).save(folder / "photo.png", exif=exif)
    item = Item("photo.png", sha256_file(folder / "photo.png"), label, "walls/g", "train")
    if mask is not None:
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask.png")
        item = replace(
            item, mask="mask.png", mask_sha256=sha256_file(folder / "mask.png"), mask_orientation=orientation
        )
    return Manifest("walls+tiles", "plain", 0, str(folder), "CC0-1.0", (item,)), item


def test_a_large_photograph_is_seen_whole_and_close_with_the_labels_of_its_mask(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, 100:104] = True
    manifest, item = photograph(tmp_path, mask, 1)
    views = views_of(manifest, [item])
    sides = [view.box[2] for view in views if view.box]
    assert sorted(set(sides)) == [SIDE, HEIGHT]
    assert {view.label for view in views} == {0, 1}
    for view in views:
        assert view.box is not None
        x, y, side = view.box
        assert 0 <= x <= WIDTH - side
        assert 0 <= y <= HEIGHT - side
        assert view.label == int(x <= 100 < x + side)


def test_a_mask_is_turned_with_its_photograph(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, 100:104] = True  # upright (orientation 6: turned by a quarter) it lies across, 100 pixels from the top
    manifest, item = photograph(tmp_path, mask, 1, orientation=6)
    views = views_of(manifest, [item])
    assert max(view.box[1] + view.box[2] for view in views if view.box) == WIDTH
    assert all(view.label == int(view.box[1] <= 100 < view.box[1] + view.box[2]) for view in views if view.box)


def test_every_view_of_a_clean_picture_is_clean_and_a_cracked_one_without_a_mask_is_seen_whole(tmp_path: Path) -> None:
    manifest, clean = photograph(tmp_path, None, 0)
    views = views_of(manifest, [clean])
    assert len(views) > 2
    assert {view.label for view in views} == {0}
    cracked = replace(clean, label=1)
    assert views_of(manifest, [cracked]) == [View(cracked, 1, None)]


def test_a_classifier_gets_the_pixels_of_the_views_in_order(mixed: Manifest) -> None:
    tiles = load_split(mixed, "train", 24)
    views = views_of(mixed, mixed.split("train"))
    assert tiles.items == [view.item for view in views]
    assert tiles.labels.tolist() == [view.label for view in views]
    assert set(tiles.labels) == {0, 1}
    for image, view in zip(tiles.images, views, strict=True):
        pixels = load_rgb(mixed.folder() / view.item.path)
        if view.box is not None:
            x, y, side = view.box
            pixels = pixels[y : y + side, x : x + side]
        np.testing.assert_array_equal(image, resize_rgb(np.ascontiguousarray(pixels), 24))


@pytest.mark.parametrize("limit", [2, 5, 9])
def test_a_limit_counts_views_and_keeps_both_labels(mixed: Manifest, limit: int) -> None:
    tiles = load_split(mixed, "train", 24, limit=limit, seed=3)
    assert len(tiles) == limit
    assert set(tiles.labels) == {0, 1}
    assert tiles.items == load_split(mixed, "train", 24, limit=limit, seed=3).items


def test_an_empty_mask_and_none_say_the_same_of_a_clean_photograph(mixed: Manifest) -> None:
    bare = tuple(replace(i, mask="", mask_sha256="", label=0) if i.mask and not i.label else i for i in mixed.items)
    assert bare != mixed.items
    with_masks, without = (
        [(view.item.path, view.label, view.box) for view in views_of(manifest, manifest.split("test"))]
        for manifest in (mixed, replace(mixed, items=bare))
    )
    assert with_masks == without


def test_a_changed_mask_is_refused(mixed: Manifest) -> None:
    items = tuple(replace(item, mask_sha256="0" * 64) if item.mask else item for item in mixed.items)
    with pytest.raises(CrackError, match="changed since manifest"):
        load_split(replace(mixed, items=items), "val", 24)


def test_a_mix_of_many_sets_has_a_file_in_the_cache_however_long_its_name(mixed: Manifest) -> None:
    from crack_tf.data.patches import load_patches

    named = replace(mixed, dataset="+".join(f"wänd{number}" for number in range(60)))
    assert len(load_split(named, "val", 24)) == len(load_split(mixed, "val", 24))
    assert len(load_patches(named, "val", 24)) == len(load_patches(mixed, "val", 24))
