"""Copies of every kind are found and rightly named; different textures are not paired."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from crack_tf.data.duplicates import TRANSFORMS, Copy, find_copies, groups
from crack_tf.data.records import grey_thumbnail
from tflite.errors import CrackError
from tflite.files import sha256_bytes

SIZE = 160


def texture(seed: int, contrast: float = 18.0) -> Image.Image:
    """Smoothed noise with a lighting gradient common to all: like concrete, alike in the large, different in detail."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(2))
    values = np.asarray(noise, np.float32)
    values = 150 + contrast * (values - values.mean()) / values.std() + np.linspace(-20, 20, SIZE)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def thumbnails(images: list[Image.Image]) -> np.ndarray:
    return np.stack([grey_thumbnail(image) for image in images])


def search(images: list[Image.Image], hashes: list[str] | None = None) -> list[Copy]:
    return find_copies(thumbnails(images), hashes or [sha256_bytes(image.tobytes()) for image in images])


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out)


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
        ("flipped", Image.Transpose.FLIP_TOP_BOTTOM),
        ("turned-180", Image.Transpose.ROTATE_180),
        ("turned-90", Image.Transpose.ROTATE_270),  # Pillow turns counter-clockwise, names here clockwise
        ("turned-270", Image.Transpose.ROTATE_90),
        ("transposed", Image.Transpose.TRANSPOSE),
        ("transversed", Image.Transpose.TRANSVERSE),
    ],
)
def test_turned_copy_is_found_with_the_transform_that_makes_it(name: str, operation: Image.Transpose) -> None:
    images = [texture(1), texture(2), jpeg(texture(1).transpose(operation), 70)]
    (copy,) = search(images)
    assert (copy.first, copy.second, copy.kind, copy.transform) == (0, 2, "transformed", name)
    assert np.array_equal(TRANSFORMS[name](np.asarray(images[0])), np.asarray(texture(1).transpose(operation)))


@pytest.mark.parametrize("size", [40, 65, 96, 100, 227, 256])
def test_thumbnail_of_a_mirrored_image_is_the_mirrored_thumbnail(size: int) -> None:
    image = texture(3).resize((size, size))
    mirrored = grey_thumbnail(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).astype(int)
    assert np.abs(mirrored[:, ::-1] - grey_thumbnail(image)).max() <= 1


def test_jpeg_at_quality_70_is_a_re_encoded_copy() -> None:
    (copy,) = search([texture(1), texture(2), jpeg(texture(1), 70)])
    assert (copy.first, copy.second, copy.kind, copy.transform) == (0, 2, "re-encoded", "none")
    assert 0.98 < copy.correlation <= 1


def test_identical_files_pair_with_the_first_and_a_near_copy_once() -> None:
    images = [texture(1), texture(1), texture(1), jpeg(texture(1), 80)]
    copies = search(images)
    assert [(copy.first, copy.second, copy.kind) for copy in copies] == [
        (0, 1, "identical"),
        (0, 2, "identical"),
        (0, 3, "re-encoded"),
    ]


def test_different_textures_are_not_paired() -> None:
    assert search([texture(seed) for seed in range(40)]) == []


def test_smooth_tiles_lit_alike_correlate_but_are_not_copies() -> None:
    images = [texture(seed, contrast=1.5) for seed in range(10)]
    flat = thumbnails(images).reshape(10, 32, 2, 32, 2).mean((2, 4)).reshape(10, -1)
    assert np.corrcoef(flat)[0, 1:].min() > 0.98  # the first stage alone would pair them all
    assert search(images) == []


def test_constant_tiles_are_compared_by_bytes_only() -> None:
    grey = Image.new("L", (SIZE, SIZE), 128)
    assert search([grey, Image.new("L", (SIZE, SIZE), 129)]) == []
    assert [copy.kind for copy in search([grey, grey])] == ["identical"]


def test_copies_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crack_tf.data.duplicates._BLOCK", 4)
    monkeypatch.setattr("crack_tf.data.duplicates._CONFIRM", 1)
    images = [texture(seed) for seed in range(11)]
    images += [images[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT), jpeg(images[10], 90)]
    found = [(copy.first, copy.second, copy.transform) for copy in search(images)]
    assert found == [(0, 11, "mirrored"), (10, 12, "none")]


def test_between_sets_only_is_a_part_of_all() -> None:
    first, second = texture(1), texture(2)
    images = [first, jpeg(first, 70), second, jpeg(first, 60), jpeg(second, 70), second]
    hashes = list("abcdec")
    owners = [0, 0, 0, 1, 1, 1]
    every = find_copies(thumbnails(images), hashes)
    between = find_copies(thumbnails(images), hashes, owners=owners)
    assert between == [copy for copy in every if owners[copy.first] != owners[copy.second]]
    assert {(copy.first, copy.second) for copy in between} == {(0, 3), (1, 3), (2, 4), (2, 5)}


def test_wrong_shape_and_threshold_are_refused() -> None:
    with pytest.raises(CrackError, match=r"shape \(2, 32, 32\)"):
        find_copies(np.zeros((2, 32, 32), np.uint8), ["a", "b"])
    with pytest.raises(CrackError, match=r"threshold 1\.5"):
        find_copies(np.zeros((1, 64, 64), np.uint8), ["a"], threshold=1.5)


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_groups_are_the_connected_components_named_by_their_smallest_member(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, pairs = graph
    expected = list(range(count))
    for _ in range(count):  # let the smallest name spread until nothing changes
        for one, other in pairs:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert groups(count, pairs) == expected
