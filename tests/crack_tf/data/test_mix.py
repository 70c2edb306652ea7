"""Several manifests become one that reads the same bytes; what would mislead is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.mix import domain_of, mix
from tests.crack_tf.data.drawn_pairs import write_set
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes, sha256_file
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
        CrackError, match=r"1 picture is in two of the data sets.*crack/1.png of walls and crack/1.png of"
    ):
        mix([one, replace(other, items=tuple(changed))])


def test_copies_within_one_set_are_its_own_affair(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    twice = replace(one.items[0], path=one.items[1].path, sha256=one.items[1].sha256)
    assert len(mix([replace(one, items=(*one.items, twice)), other]).items) == 13


def test_one_manifest_is_no_mix(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="two manifests or more, got 1"):
        mix([write_tiles(tmp_path / "walls", 0)])


def test_tiles_and_pairs_become_one_manifest_that_is_read_back(tmp_path: Path) -> None:
    from crack_tf.data.registry import prepare

    tiles, pairs = write_tiles(tmp_path / "walls", 0), prepare(str(write_set(tmp_path / "pairs")), "plain")
    write_manifest(tmp_path / "mix.csv", mix([tiles, pairs]))
    mixed = read_manifest(tmp_path / "mix.csv")
    assert (mixed.task, mixed.dataset, len(mixed.items)) == ("mixed", "walls+pairs", 26)
    for item in mixed.items:
        assert bool(item.mask) == (domain_of(item) == "pairs")
        assert sha256_bytes(mixed.read(item)) == item.sha256
        if item.mask:
            assert sha256_bytes(mixed.read_mask(item)) == item.mask_sha256


def test_the_domain_of_an_item_is_the_set_it_came_from(tmp_path: Path) -> None:
    one, other = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    assert {domain_of(item) for item in one.items} == {""}
    mixed = mix([one, other])
    assert {item.path.partition("/")[0] for item in mixed.items} == {"walls", "decks"}
    assert all(domain_of(item) == item.path.partition("/")[0] for item in mixed.items)


def made_from(source: Manifest, root: Path) -> Manifest:
    """The same pictures a little darker, as another data set that says from which groups it was made."""
    items = []
    for item in source.items:
        path = root / item.path
        path.parent.mkdir(parents=True, exist_ok=True)
        darker = np.asarray(Image.open(source.folder() / item.path)) * 0.9
        Image.fromarray(darker.astype(np.uint8)).save(path)
        items.append(replace(item, sha256=sha256_file(path), group=f"{source.dataset}/{item.group}"))
    return replace(source, dataset=root.name, root=root.as_posix(), items=tuple(sorted(items)))


def test_pictures_made_from_a_set_of_the_mix_are_no_copies_of_it(tmp_path: Path) -> None:
    walls, decks = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    made = made_from(walls, tmp_path / "made")
    assert len(mix([walls, decks, made]).items) == 18
    with pytest.raises(CrackError, match="6 pictures are in two of the data sets"):  # it does not say so itself
        mix([walls, replace(made, items=tuple(replace(i, group=i.group.partition("/")[2]) for i in made.items))])


def test_pictures_made_from_another_split_of_a_set_are_refused(tmp_path: Path) -> None:
    walls = write_tiles(tmp_path / "walls", 0)
    made = made_from(walls, tmp_path / "made")
    order = {"train": "test", "test": "train", "val": "val"}
    anew = replace(walls, items=tuple(replace(item, split=order[item.split]) for item in walls.items))
    with pytest.raises(CrackError, match=r"of made was made for split .* of walls.*or make made anew"):
        mix([anew, made])


def test_a_mix_is_not_mixed_with_its_own_parts(tmp_path: Path) -> None:
    walls, decks = write_tiles(tmp_path / "walls", 0), write_tiles(tmp_path / "decks", 1)
    with pytest.raises(CrackError, match=r"\d+ pictures are in two of the data sets"):
        mix([mix([walls, decks]), walls, decks])


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
