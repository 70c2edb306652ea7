"""A mask that was drawn before its photograph was turned by its orientation tag lies on its crack all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.__main__ import main
from crack_tf.data.audit import audit, summary
from crack_tf.data.mix import mix
from crack_tf.data.pairs import PairRecord, mask_notes
from crack_tf.data.patches import load_patches, photographs
from crack_tf.data.registry import locate, prepare
from crack_tf.data.split import split
from crack_tf.photo.__main__ import main as photo_main
from crack_tf.photo.alignment import alignment
from crack_tf.photo.masks import lay_on_photo
from tests.crack_tf.data.drawn_pairs import draw_pair
from tflite.errors import CrackError
from tflite.images import decode_rgb
from tflite.manifest import read_manifest, write_manifest
from tflite.masks import orient


def write_tagged(
    root: Path, stem: str, seed: int, orientation: int, upright: bool, size: tuple[int, int] = (96, 64), fade: float = 0
) -> None:
    """A photograph with an orientation tag; its mask drawn on the upright one, or as stored. Faded, the crack hardly shows."""
    photo, mask = draw_pair(seed, *size)
    if fade:
        photo = Image.blend(photo, Image.new("RGB", size, (150, 150, 150)), fade)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    exif = photo.getexif()
    exif[274] = orientation
    photo.save(root / f"images/{stem}.jpg", quality=95, exif=exif)
    pixels = np.asarray(mask)
    Image.fromarray(orient(pixels, orientation) if upright else pixels).save(root / f"masks/{stem}.png")


def records(root: Path) -> list[PairRecord]:
    found = audit(locate(str(root)), threads=1, progress=False).records
    return [record for record in found if isinstance(record, PairRecord)]


@pytest.mark.parametrize(("orientation", "size"), [(3, (96, 64)), (6, (80, 80)), (8, (96, 64)), (5, (80, 80))])
@pytest.mark.parametrize("upright", [False, True])
def test_masks_lie_on_their_cracks_whichever_way_they_were_drawn(
    tmp_path: Path, orientation: int, size: tuple[int, int], upright: bool
) -> None:
    for number in range(12):
        write_tagged(tmp_path, f"a{number:02d}", number, orientation, upright, size)
    manifest = prepare(str(tmp_path))
    assert manifest.source is not None
    assert read_manifest(manifest.source) == manifest
    assert {item.mask_orientation for item in manifest.items} == {1 if upright else orientation}
    assert ("mask_orientation" in manifest.source.read_text()) == (not upright)
    for _, photo, mask in photographs(manifest, "all"):
        assert alignment(np.asarray(Image.fromarray(photo).convert("L")), mask).contrast > 50
    patches = load_patches(manifest, "train", 32)
    dark = patches.images.mean(axis=-1) < 90
    assert (patches.masks.astype(bool) & dark).sum() > 0.8 * dark.sum()


def test_the_user_is_told_of_masks_that_were_turned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(16):
        write_tagged(tmp_path / "set", f"a{number:02d}", number, 3, upright=False)
    for verb, out in (("split", "out.csv"), ("audit", "audit")):
        assert main([verb, str(tmp_path / "set"), "--out", str(tmp_path / out)]) == 0
        printed = capsys.readouterr()
        assert "16 masks were drawn on the pixels as stored" in printed.out
        assert "warning" not in printed.err
    numbers = summary(audit(locate(str(tmp_path / "set")), threads=1, progress=False))["masks"]
    assert (numbers["turned_with_their_photograph"], numbers["not_on_a_dark_line"]) == (16, 0)


def test_masks_that_could_be_either_follow_those_that_are_sure(tmp_path: Path) -> None:
    for number in range(8):
        write_tagged(tmp_path, f"a{number:02d}", number, 3, upright=False, fade=0.97 if number < 2 else 0)
    found = records(tmp_path)
    assert [record.mask_orientation for record in found] == [3] * 8
    assert not any(record.error for record in found)


def test_masks_that_could_be_either_are_refused_where_the_sure_ones_disagree(tmp_path: Path) -> None:
    for number in range(9):
        write_tagged(tmp_path, f"a{number:02d}", number, 3, upright=number % 2 == 0, fade=0.97 if number == 8 else 0)
    *sure, doubtful = records(tmp_path)
    assert [record.mask_orientation for record in sure] == [1, 3] * 4
    assert doubtful.problem == "mask orientation unclear"
    assert "a08" in doubtful.error
    result = audit(locate(str(tmp_path)), threads=1, progress=False)
    with pytest.raises(CrackError, match="1 mask orientation unclear"):
        split(result)
    assert len(result.copy_groups()) == len(split(result, leave_out=True).items) == 8
    assert any("4 of the 8 photographs with an orientation tag" in note for note in mask_notes(result.records))


def test_where_nothing_is_sure_masks_are_left_as_they_are_and_the_user_is_told(tmp_path: Path) -> None:
    for number in range(4):
        write_tagged(tmp_path, f"a{number:02d}", number, 3, upright=True, fade=0.97)
    found = records(tmp_path)
    assert [record.mask_orientation for record in found] == [1] * 4
    assert any("4 photographs have an orientation tag" in note for note in mask_notes(found))


def test_masks_on_nothing_dark_raise_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(16):
        write_tagged(tmp_path / "set", f"a{number:02d}", number, 1, upright=True, size=(160, 120))
        path = tmp_path / f"set/masks/a{number:02d}.png"
        Image.fromarray(np.asarray(Image.open(path))[::-1, ::-1]).save(path)
    assert main(["split", str(tmp_path / "set"), "--out", str(tmp_path / "out.csv")]) == 0
    assert "of 16 masks do not lie on anything darker than its surroundings" in capsys.readouterr().err


def test_a_mix_keeps_how_masks_are_turned(tmp_path: Path) -> None:
    manifests = []
    for name, tag in (("one", 3), ("two", 1)):
        for number in range(12):
            write_tagged(tmp_path / name, f"a{number:02d}", number + 100 * tag, tag, upright=False)
        manifests.append(prepare(str(tmp_path / name)))
    mixed = mix(manifests)
    assert [item.mask_orientation for item in mixed.items] == [3] * 12 + [1] * 12
    write_manifest(tmp_path / "mix.csv", mixed)
    assert read_manifest(tmp_path / "mix.csv") == mixed


def test_a_measured_mask_is_turned_with_its_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tagged(tmp_path, "a", 1, 6, upright=False)
    data = (tmp_path / "images/a.jpg").read_bytes()
    mask = np.asarray(Image.open(tmp_path / "masks/a.png")) > 0
    placed, notes = lay_on_photo(mask, decode_rgb(data), data)
    np.testing.assert_array_equal(placed, orient(mask, 6))
    assert len(notes) == 1
    assert "orientation tag (6)" in notes[0]
    with pytest.raises(CrackError, match="95x64 pixels, its photograph 64x96"):
        lay_on_photo(mask[:, :-1], decode_rgb(data), data)
    command = ["measure", str(tmp_path / "masks/a.png"), "--photo", str(tmp_path / "images/a.jpg")]
    assert photo_main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "is turned as the photograph's orientation tag (6) says" in capsys.readouterr().err
