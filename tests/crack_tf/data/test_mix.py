"""Several manifests become one that reads the same bytes; what would mislead is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.mix import mix
from tests.crack_tf.segmentation.drawn_pairs import write_set
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_file
from tflite.manifest import SPLITS, Item, Manifest, read_manifest, write_manifest


def write_tiles(root: Path, seed: int, name: str | None = None) -> Manifest:
    """Six tiles, two in each split, one of either class."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(6):
        path = root / ("crack" if number % 2 else "no_crack") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        small.resize((48, 48), Image.Resampling.BICUBIC).save(path)
        items.append(
            Item(
                path.relative_to(root).as_posix(), sha256_file(path), number % 2, f"g{number // 2}", SPLITS[number // 2]
            )
        )
    path = root.parent / f"{root.name}.csv"
    write_manifest(
        path,
        Manifest(name or root.name, "grouped", 0, root.as_posix(), f"licence of {root.name}", tuple(sorted(items))),
    )
    return read_manifest(path)


def test_a_mix_reads_the_same_bytes_and_keeps_splits_and_labels(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    write_manifest(tmp_path / "mix.csv", mix([one, other]))
    mixed = read_manifest(tmp_path / "mix.csv")
    assert (mixed.dataset, mixed.policy, mixed.task) == ("walls+decks", "grouped", "classify")
    assert mixed.licence == "walls: licence of walls; decks: licence of decks"
    assert mixed.folder() == tmp_path
    assert list(mixed.items) == sorted(mixed.items)
    by_path = {item.path: item for item in mixed.items}
    for manifest in (one, other):
        for item in manifest.items:
            moved = by_path[f"{manifest.dataset}/{item.path}"]
            assert mixed.read(moved) == manifest.read(item)
            assert (moved.label, moved.split) == (item.label, item.split)


def test_groups_of_different_sets_never_meet(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    assert {item.group for item in one.items} == {item.group for item in other.items}
    assert len({item.group for item in mix([one, other]).items}) == 6


def test_the_root_starts_with_the_variable_when_all_lie_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    one, other = write_tiles(data / "a/walls", 0), write_tiles(data / "a/decks", 1)
    monkeypatch.setenv("CRACK_TF_DATA", str(data))
    assert mix([one, other]).root == "$CRACK_TF_DATA/a"
    third = write_tiles(data / "bricks", 2)
    assert mix([one, other, third]).root == "$CRACK_TF_DATA"
    outside = write_tiles(tmp_path / "elsewhere", 3)
    assert mix([one, outside]).root == tmp_path.as_posix()


def test_pairs_keep_their_masks(tmp_path: Path) -> None:
    from crack_tf.data.registry import prepare

    sets = [
        prepare(str(write_set(tmp_path / name, seed=seed)), "plain") for name, seed in (("walls", 0), ("decks", 50))
    ]
    mixed = mix(sets)
    assert mixed.task == "segment"
    for item in mixed.items:
        assert mixed.read_mask(item) == (tmp_path / item.mask).read_bytes()


def test_different_policies_are_called_mixed(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    assert mix([one, replace(other, policy="plain")]).policy == "mixed"


@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_in_two_sets_is_refused_however_it_was_saved(tmp_path: Path, turned: bool) -> None:
    one = write_tiles(tmp_path / "walls", 0)
    with Image.open(tmp_path / "walls/crack/1.png") as image:
        image.load()
    write_tiles(tmp_path / "decks", 1)
    copy = tmp_path / "decks/crack/1.png"
    (image.transpose(Image.Transpose.ROTATE_180) if turned else image).save(copy)
    other = read_manifest(tmp_path / "decks.csv")
    changed = [replace(i, sha256=sha256_file(copy)) if i.path == "crack/1.png" else i for i in other.items]
    with pytest.raises(
        CrackError, match=r"1 pictures are in two of the data sets.*crack/1.png of walls and crack/1.png of"
    ):
        mix([one, replace(other, items=tuple(changed))])


def test_copies_within_one_set_are_its_own_affair(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    twice = replace(one.items[0], path=one.items[1].path, sha256=one.items[1].sha256)
    assert len(mix([replace(one, items=(*one.items, twice)), other]).items) == 13


def test_one_manifest_is_no_mix(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="two manifests or more, got 1"):
        mix([write_tiles(tmp_path / "walls", 0)])


def test_tiles_and_pairs_are_not_mixed(tmp_path: Path) -> None:
    from crack_tf.data.registry import prepare

    pairs = prepare(str(write_set(tmp_path / "pairs")), "plain")
    with pytest.raises(CrackError, match=r"cannot be mixed: walls-grouped \(classify\), pairs-plain \(segment\)"):
        mix([write_tiles(tmp_path / "walls", 0), pairs])


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    sets = [write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "others", 1, name="walls")]
    with pytest.raises(CrackError, match="two of the manifests are of a data set named 'walls'"):
        mix(sets)


def test_sets_without_a_common_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)]
    monkeypatch.setattr("crack_tf.data.mix.os.path.commonpath", lambda _: "/")
    with pytest.raises(CrackError, match=r"no folder in common but /: .*walls.*decks\. Move the data sets below one"):
        mix(sets)


def test_a_changed_file_and_lost_images_are_refused(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    (tmp_path / "decks/crack/3.png").write_bytes(b"other")
    with pytest.raises(ImageError, match="changed since manifest"):
        mix([one, other])
    (tmp_path / "walls").rename(tmp_path / "moved")
    with pytest.raises(CrackError, match="are not in"):
        mix([one, other])
