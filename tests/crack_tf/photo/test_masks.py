"""Masks are read and written whole; what is not plainly a mask is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.photo.masks import check_crack_mask, check_mask, read_mask, write_mask
from tflite.errors import CrackError


@pytest.fixture
def mask() -> np.ndarray:
    result = np.zeros((20, 30), bool)
    result[5:9, 3:25] = True
    return result


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("top", [1, 255])
def test_every_black_and_white_type_is_a_mask(mask: np.ndarray, dtype, top: int) -> None:
    given = mask.astype(dtype) if dtype is bool else (mask * top).astype(dtype)
    np.testing.assert_array_equal(check_mask(given), mask)


def test_empty_and_full_masks_are_masks() -> None:
    assert not check_mask(np.zeros((3, 3), np.uint8)).any()
    assert check_mask(np.full((3, 3), 255, np.uint8)).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "has height and width only"),
        (np.zeros((0, 4)), "no pixels"),
        (np.array([[0, 128, 255]], np.uint8), "not black and white: 1 of its 3 values"),
        (np.array([[0.0, 0.5, 1.0]]), "mask >= 0.5"),
        (np.array([[0.0, np.nan, 1.0]]), "not black and white"),
        (np.array([["a"]]), "elements of type"),
    ],
)
def test_soft_coloured_and_strange_masks_are_refused(value: np.ndarray, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        check_mask(value)


def test_a_mask_of_another_size_and_an_inverted_one_are_refused(mask: np.ndarray) -> None:
    with pytest.raises(CrackError, match="30x20 pixels, its photograph 40x20"):
        check_mask(mask, (20, 40))
    with pytest.raises(CrackError, match="looks inverted"):
        check_crack_mask(~mask)


def test_a_written_mask_is_read_back_from_both_files(mask: np.ndarray, tmp_path: Path) -> None:
    png, npy = write_mask(tmp_path / "new" / "mask.png", mask)
    assert sorted(path.name for path in png.parent.iterdir()) == ["mask.npy", "mask.png"]
    for path in (png, npy):
        np.testing.assert_array_equal(read_mask(path, mask.shape), mask)
    assert np.load(npy).dtype == bool
    np.testing.assert_array_equal(read_mask(png, invert=True), ~mask)


def test_nothing_is_overwritten_unless_asked(mask: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mask.npy").write_bytes(b"mine")
    with pytest.raises(CrackError, match="exists already"):
        write_mask(tmp_path / "mask.png", mask)
    assert not (tmp_path / "mask.png").exists()
    with pytest.raises(CrackError, match="left alone"):
        write_mask(tmp_path / "mask.png", mask, overwrite=True)
    assert (tmp_path / "mask.npy").read_bytes() == b"mine"
    (tmp_path / "mask.npy").unlink()
    write_mask(tmp_path / "mask.png", mask)
    write_mask(tmp_path / "mask.png", ~mask, overwrite=True)
    assert not read_mask(tmp_path / "mask.npy")[mask].any()
    with pytest.raises(CrackError, match=r"must end in \.png"):
        write_mask(tmp_path / "mask.jpg", mask)


def test_grey_copies_in_three_channels_and_palettes_are_masks_and_photographs_are_not(
    mask: np.ndarray, tmp_path: Path
) -> None:
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    for mode in ("L", "1", "RGB", "RGBA", "P", "LA"):
        path = tmp_path / f"{mode}.png"
        grey.convert(mode).save(path)
        np.testing.assert_array_equal(read_mask(path), mask)
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(path)
    with pytest.raises(CrackError, match="in colour"):
        read_mask(path)


def test_soft_masks_are_cut_only_at_a_threshold_that_divides_them(mask: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "soft.jpg"
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    with pytest.raises(CrackError, match=r"PNG of pure black and white, or cut it: .* --threshold 127\.5\."):
        read_mask(path)
    assert (read_mask(path, threshold=128) == mask).mean() > 0.95
    with pytest.raises(CrackError, match="all black or all white"):
        read_mask(path, threshold=300)


@pytest.mark.parametrize("name", ["mask.png", "mask.npy"])
def test_missing_and_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(CrackError, match=name):
        read_mask(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CrackError, match=name):
        read_mask(path)
