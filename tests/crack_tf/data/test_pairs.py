"""Pairs are found by their folders' names, and a mask that is none, or not this photograph's, is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.audit import Audit, audit, summary
from crack_tf.data.pairs import PairRecord, PairSource, pair_folders, read_pair
from crack_tf.data.registry import locate, prepare
from crack_tf.data.split import split
from tests.crack_tf.data.drawn_pairs import draw_pair, write_pair, write_set
from tflite.errors import CrackError
from tflite.manifest import read_manifest


def audited(root: Path, threshold_masks: bool = False) -> Audit:
    return audit(locate(str(root), threshold_masks=threshold_masks), threads=1, progress=False)


def records(result: Audit) -> dict[str, PairRecord]:
    return {record.path: record for record in result.records if isinstance(record, PairRecord)}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("img", "gt"),
        ("Images", "Ground Truth"),
        ("train_img", "train_lab"),
        ("Train/images", "Train/masks"),
        ("archive/data/JPEGImages", "archive/data/label"),
    ],
)
def test_folders_of_pairs_are_recognised_by_name(tmp_path: Path, images: str, masks: str) -> None:
    write_pair(tmp_path / images, tmp_path / masks, "wall", 0)
    place = locate(str(tmp_path))
    assert isinstance(place, PairSource)
    assert place.task == "segment"
    assert place.pairs() == [(f"{images}/wall.jpg", f"{masks}/wall.png")]


def test_the_published_layout_of_deepcrack_gives_both_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_pair(tmp_path / f"{part}_img", tmp_path / f"{part}_lab", f"{part}1", 0)
    assert locate(str(tmp_path), None).listing() == [  # sorted
        "test_img/test1.jpg",
        "test_lab/test1.png",
        "train_img/train1.jpg",
        "train_lab/train1.png",
    ]


def test_the_published_layout_of_crack500_holds_both_in_one_folder(tmp_path: Path) -> None:
    for part in ("traincrop", "valcrop"):
        write_pair(tmp_path / part, tmp_path / part, "20160222_081011_1_361", 0)
    write_pair(tmp_path / "testdata", tmp_path / "testdata", "20160222_081031", 1)
    mask = tmp_path / "testdata/20160222_081031.png"
    mask.rename(mask.with_stem("20160222_081031_mask"))
    place = locate(str(tmp_path))
    assert isinstance(place, PairSource)
    assert place.pairs() == [
        ("testdata/20160222_081031.jpg", "testdata/20160222_081031_mask.png"),
        ("traincrop/20160222_081011_1_361.jpg", "traincrop/20160222_081011_1_361.png"),
        ("valcrop/20160222_081011_1_361.jpg", "valcrop/20160222_081011_1_361.png"),
    ]


def test_class_folders_win_over_a_folder_of_masks(tmp_path: Path) -> None:
    """The synthetic tiles come with masks; they are tiles all the same."""
    write_pair(tmp_path / "images/crack", tmp_path / "masks", "1", 0)
    write_pair(tmp_path / "images/no_crack", tmp_path / "masks", "2", 1)
    assert locate(str(tmp_path)).task == "classify"


def test_two_folders_for_one_role_are_ambiguous(tmp_path: Path) -> None:
    for masks in ("masks", "labels"):
        write_pair(tmp_path / "images", tmp_path / masks, "wall", 0)
    with pytest.raises(CrackError, match=r"ambiguous: its folders images, labels, masks"):
        pair_folders(tmp_path)


def test_folders_without_an_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(CrackError, match="holds no image in its folders images, masks"):
        audited(tmp_path)


def test_two_photographs_of_one_stem_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "images", tmp_path / "masks", "wall", 0)
    draw_pair(1)[0].save(tmp_path / "images/wall.png")
    with pytest.raises(CrackError, match="have the same stem"):
        audited(tmp_path)


def test_a_good_set_has_labels_shares_and_no_problem(tmp_path: Path) -> None:
    result = audited(write_set(tmp_path, 6, 4))
    assert not result.unreadable
    assert [record.label for record in result.records] == [1, 1, 1, 1, 0, 0]
    found = records(result)
    _, mask = draw_pair(2)
    assert found["images/a02.jpg"].crack_share == pytest.approx(float((np.asarray(mask) > 0).mean()), abs=1e-6)
    assert found["images/a02.jpg"].contrast > 50
    assert not any(record.misaligned for record in found.values())
    numbers = summary(result)
    assert numbers["task"] == "segment"
    assert (numbers["masks"]["pairs"], numbers["masks"]["crack_free"], numbers["masks"]["problems"]) == (6, 2, {})


def spoil_size(path: Path) -> None:
    Image.new("L", (50, 40)).save(path)


def spoil_soft(path: Path) -> None:
    Image.fromarray(np.asarray(Image.open(path)) // 2 + 20).save(path)


def spoil_inverted(path: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


def spoil_colour(path: Path) -> None:
    rgb = np.asarray(Image.open(path).convert("RGB")).copy()
    rgb[..., 1] = 0
    Image.fromarray(rgb).save(path)


def spoil_empty(path: Path) -> None:
    path.write_bytes(b"")


PROBLEMS: list[tuple[Callable[[Path], None], str, str]] = [
    (spoil_size, "mask of another size", "has 50x40 pixels, its photograph 96x64"),
    (spoil_soft, "mask not black and white", "is not black and white"),
    (spoil_inverted, "mask inverted", "looks inverted"),
    (spoil_colour, "mask in colour", "is in colour"),
    (spoil_empty, "mask unreadable", "is empty"),
    (Path.unlink, "mask missing", "has no mask of the same name"),
]


@pytest.mark.parametrize(("spoil", "problem", "message"), PROBLEMS)
def test_a_bad_mask_is_named_with_its_problem(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str, message: str
) -> None:
    write_set(tmp_path, 4, 4)
    spoil(tmp_path / "masks/a01.png")
    (bad,) = audited(tmp_path).unreadable
    assert isinstance(bad, PairRecord)
    assert (bad.path, bad.problem) == ("images/a01.jpg", problem)
    assert message in bad.error
    assert "a01" in bad.error


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "photograph unreadable"),
        (Path.unlink, "photograph missing"),
    ],
)
def test_a_bad_photograph_is_named_with_its_problem(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    write_set(tmp_path, 4, 4)
    spoil(tmp_path / "images/a01.jpg")
    (bad,) = audited(tmp_path).unreadable
    assert isinstance(bad, PairRecord)
    assert bad.problem == problem


@pytest.mark.parametrize("kind", ["RGB", "0 and 1", "1 bit"])
def test_masks_that_mean_the_same_are_read_the_same(tmp_path: Path, kind: str) -> None:
    write_pair(tmp_path / "images", tmp_path / "masks", "wall", 3)
    expected, _ = read_pair(tmp_path, "images/wall.jpg", "masks/wall.png")
    mask = Image.open(tmp_path / "masks/wall.png")
    again = {
        "RGB": mask.convert("RGB"),
        "0 and 1": Image.fromarray(np.asarray(mask) // 255),
        "1 bit": mask.convert("1"),
    }
    again[kind].save(tmp_path / "masks/wall.png")
    record, thumbnail = read_pair(tmp_path, "images/wall.jpg", "masks/wall.png")
    assert not record.error
    assert thumbnail is not None
    assert record.crack_share == expected.crack_share > 0


def test_soft_masks_are_cut_when_asked_and_an_inverted_one_still_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, 3, 3)
    hard = audited(tmp_path)
    for name in ("a00", "a01"):
        mask = np.asarray(Image.open(tmp_path / f"masks/{name}.png")).astype(int)
        soft = np.where(mask > 0, 200, 40) if name == "a00" else np.where(mask > 0, 40, 200)
        Image.fromarray(soft.astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    found = records(audited(tmp_path, threshold_masks=True))
    assert not found["images/a00.jpg"].error
    assert found["images/a00.jpg"].crack_share == records(hard)["images/a00.jpg"].crack_share
    assert found["images/a01.jpg"].problem == "mask inverted"


def test_thresholding_a_set_without_masks_is_refused(tmp_path: Path) -> None:
    for name in ("crack", "no_crack"):
        (tmp_path / name).mkdir()
    with pytest.raises(CrackError, match=r"--threshold-masks: .* holds no masks"):
        locate(str(tmp_path), threshold_masks=True)


def test_nothing_usable_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    write_set(tmp_path, 2, 2)
    for path in (tmp_path / "masks").iterdir():
        path.unlink()
    with pytest.raises(CrackError, match=r"no pair in .* can be used \(the first one: images/a00.jpg has no mask"):
        audited(tmp_path)


def test_a_split_refuses_problems_until_told_to_leave_them_out(tmp_path: Path) -> None:
    write_set(tmp_path)
    spoil_soft(tmp_path / "masks/a00.png")
    spoil_soft(tmp_path / "masks/a01.png")
    spoil_size(tmp_path / "masks/a02.png")
    result = audited(tmp_path)
    with pytest.raises(
        CrackError, match=r"3 of 20 pairs of .* \(2 mask not black and white, 1 mask of another size\)\. The first"
    ):
        split(result)
    assert len(split(result, leave_out=True).items) == 17


def test_a_split_names_masks_and_their_hashes(tmp_path: Path) -> None:
    manifest = prepare(str(write_set(tmp_path)))
    assert manifest.task == "segment"
    assert manifest.source is not None
    assert read_manifest(manifest.source) == manifest
    item = manifest.items[0]
    assert (item.path, item.mask) == ("images/a00.jpg", "masks/a00.png")
    assert manifest.read_mask(item) == (tmp_path / item.mask).read_bytes()
    assert {item.split for item in manifest.items if item.label} == {"train", "val", "test"}


def test_a_changed_mask_is_split_anew(tmp_path: Path) -> None:
    before = prepare(str(write_set(tmp_path)))
    Image.new("L", (96, 64)).save(tmp_path / "masks/a00.png")
    after = prepare(str(tmp_path))
    assert after.sha256 != before.sha256
    assert after.items[0].label == 0


def test_cracks_are_needed_in_every_split_but_crack_free_photographs_are_not(tmp_path: Path) -> None:
    assert len(prepare(str(write_set(tmp_path / "all", 12, 12))).items) == 12
    with pytest.raises(CrackError, match="leaves no crack image for val"):
        prepare(str(write_set(tmp_path / "few", 12, 1)))


def test_copies_of_a_photograph_stay_on_one_side(tmp_path: Path) -> None:
    write_set(tmp_path, 16, 16)
    for number in range(8):
        for folder, suffix in (("images", "jpg"), ("masks", "png")):
            shutil.copy(tmp_path / folder / f"a{number:02d}.{suffix}", tmp_path / folder / f"b{number:02d}.{suffix}")
    manifest = prepare(str(tmp_path))
    sides: dict[str, set[str]] = {}
    for item in manifest.items:
        sides.setdefault(item.sha256, set()).add(item.split)
    assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize(
    ("name", "pairs", "crack_free"), [("crack500", 301, 0), ("deepcrack", 220, 0), ("conglomerate", 92, 18)]
)
def test_the_real_sets_are_found_by_name(data_root: Path, name: str, pairs: int, crack_free: int) -> None:
    place = locate(name)
    assert isinstance(place, PairSource)
    assert place.root == f"$CRACK_TF_DATA/segmentation/{name}"
    assert "research only" in place.licence
    assert len(place.pairs()) == pairs
    empty = sum(read_pair(place.folder, *pair)[0].label == 0 for pair in place.pairs()[-25:])
    assert empty == crack_free
