"""Patches cover every photograph, stay with their masks, and are decoded once."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.patches import Patches, load_patches, photographs
from crack_tf.data.registry import prepare
from tests.crack_tf.data.drawn_pairs import write_pair, write_set
from tflite.errors import CrackError, ImageError
from tflite.images import load_rgb
from tflite.manifest import Item, Manifest

SIZE = 32


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Twenty photographs, 96x64 but for one of 100x40 and one of 20x50; the last six have no crack."""
    root = write_set(tmp_path_factory.mktemp("walls"))
    write_pair(root / "images", root / "masks", "a03", 3, size=(100, 40))
    write_pair(root / "images", root / "masks", "a04", 4, size=(20, 50))
    return prepare(str(root), "plain")


def test_patches_are_the_photographs_pixels_in_their_boxes(manifest: Manifest) -> None:
    patches = load_patches(manifest, "all", SIZE)
    assert patches.images.shape == (len(patches), SIZE, SIZE, 3)
    assert patches.masks.shape == (len(patches), SIZE, SIZE)
    assert [str(part.dtype) for part in (patches.images, patches.masks, patches.labels)] == ["uint8", "uint8", "int8"]
    assert set(np.unique(patches.masks)) == {0, 1}
    for image, mask, item, box in zip(patches.images, patches.masks, patches.items, patches.boxes, strict=True):
        photo = load_rgb(manifest.folder() / item.path)
        truth = np.asarray(Image.open(manifest.folder() / item.mask)) > 0
        inside = photo[box.y : box.y + SIZE, box.x : box.x + SIZE]
        np.testing.assert_array_equal(image[: inside.shape[0], : inside.shape[1]], inside)
        np.testing.assert_array_equal(
            mask[: inside.shape[0], : inside.shape[1]] > 0, truth[box.y : box.y + SIZE, box.x : box.x + SIZE]
        )
    np.testing.assert_array_equal(patches.labels, patches.masks.max(axis=(1, 2)))


def test_patches_cover_every_pixel_of_every_photograph(manifest: Manifest) -> None:
    patches = load_patches(manifest, "all", SIZE)
    for item, photo, _ in photographs(manifest, "all"):
        covered = np.zeros(photo.shape[:2], bool)
        for box in (box for owner, box in zip(patches.items, patches.boxes, strict=True) if owner == item):
            covered[box.y : box.y + box.h, box.x : box.x + box.w] = True
        assert covered.all(), item.path


def test_a_photograph_smaller_than_a_patch_is_continued_by_its_mirror_image(manifest: Manifest) -> None:
    patches = load_patches(manifest, "all", 64)
    (place,) = (k for k, item in enumerate(patches.items) if item.path == "images/a04.jpg")
    photo = load_rgb(manifest.folder() / "images/a04.jpg")
    image, mask = patches.images[place], patches.masks[place]
    np.testing.assert_array_equal(image[:50, :20], photo)
    np.testing.assert_array_equal(image[:50, 20:38], photo[:, 18:0:-1])
    np.testing.assert_array_equal(mask[:50, 20:38], mask[:50, 18:0:-1])
    np.testing.assert_array_equal(mask[50:], mask[48:34:-1])
    assert mask[:50, :20].any()


def test_a_full_disk_is_told(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CrackError, match="has no room for"):
        load_patches(manifest, "val", SIZE)


def test_a_second_load_reads_the_cache_alone(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_patches(manifest, "val", SIZE)
    monkeypatch.setattr(Manifest, "read", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(Manifest, "read_mask", lambda *_: pytest.fail("decoded again"))
    again = load_patches(manifest, "val", SIZE)
    np.testing.assert_array_equal(again.images, first.images)
    assert (again.items, again.boxes) == (first.items, first.boxes)


def test_a_limit_keeps_both_kinds_and_another_seed_draws_others(manifest: Manifest) -> None:
    everything = load_patches(manifest, "train", SIZE)
    some, others = (load_patches(manifest, "train", SIZE, limit=12, seed=seed) for seed in (0, 1))
    assert len(some) == len(others) == 12
    assert some.boxes != others.boxes or some.items != others.items
    share = everything.labels.mean()
    assert abs(some.labels.mean() - share) <= 1 / 12
    assert same_pixels(some, load_patches(manifest, "train", SIZE, limit=12, seed=0))
    assert len(load_patches(manifest, "train", SIZE, limit=10**6)) == len(everything)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_crack_free_patches_is_kept_and_every_crack(manifest: Manifest, share: float) -> None:
    everything = load_patches(manifest, "train", SIZE)
    kept = load_patches(manifest, "train", SIZE, empty_share=share)
    cracked, empty = int(everything.labels.sum()), int((everything.labels == 0).sum())
    assert int(kept.labels.sum()) == cracked
    assert int((kept.labels == 0).sum()) == round(share * empty)
    masks = {
        (item.path, box): mask
        for item, box, mask in zip(everything.items, everything.boxes, everything.masks, strict=True)
    }
    for item, box, mask in zip(kept.items, kept.boxes, kept.masks, strict=True):
        np.testing.assert_array_equal(mask, masks[item.path, box])


def test_photographs_come_whole_and_a_limit_keeps_both_kinds(manifest: Manifest) -> None:
    found = list(photographs(manifest, "all", limit=10, seed=2))
    assert len(found) == 10
    assert {item.label for item, _, _ in found} == {0, 1}
    for item, photo, mask in found:
        assert photo.shape[:2] == mask.shape
        assert mask.dtype == bool
        assert mask.any() == bool(item.label)


def test_tiles_without_masks_are_refused(tiny_manifest: Manifest) -> None:
    with pytest.raises(CrackError, match="manifest tiny-plain has no masks"):
        load_patches(tiny_manifest, "train", SIZE)
    with pytest.raises(CrackError, match="has no masks"):
        next(photographs(tiny_manifest, "train"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "patches of 0 pixels"),
        ({"limit": 0}, "at most 0"),
        ({"empty_share": 1.5}, "empty share 1.5"),
        ({"split": "dev"}, "'dev'"),
    ],
)
def test_bad_arguments_are_named(manifest: Manifest, arguments: dict, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        load_patches(**({"manifest": manifest, "split": "train", "size": SIZE} | arguments))


def test_a_split_of_which_nothing_is_kept_is_an_error(manifest: Manifest) -> None:
    clean = replace(manifest, items=tuple(item for item in manifest.items if not item.label))
    assert not load_patches(clean, "train", SIZE).labels.any()
    with pytest.raises(CrackError, match="has no patch with a crack"):
        load_patches(clean, "train", SIZE, empty_share=0)


def one_pair(manifest: Manifest, item: Item) -> Manifest:
    return replace(manifest, items=(item,))


def test_a_changed_mask_and_one_of_another_photograph_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    item, other = (next(i for i in manifest.items if i.path == f"images/a0{k}.jpg") for k in (1, 3))
    with pytest.raises(CrackError, match=r"a01.jpg and its mask masks/a03.png differ in size"):
        load_patches(
            one_pair(manifest, replace(item, mask=other.mask, mask_sha256=other.mask_sha256)), item.split, SIZE
        )
    with pytest.raises(ImageError, match="changed since manifest"):
        load_patches(one_pair(manifest, replace(item, mask_sha256="0" * 64)), item.split, SIZE)


def test_a_damaged_cache_says_what_to_delete(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    load_patches(manifest, "test", SIZE)
    for path in (tmp_path / "patches").glob("*images*"):
        path.write_bytes(b"half")
    with pytest.raises(CrackError, match="Delete the file; it is made again"):
        load_patches(manifest, "test", SIZE)


def same_pixels(one: Patches, other: Patches) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.masks, other.masks)
