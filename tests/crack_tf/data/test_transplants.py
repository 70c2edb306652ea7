"""Transplanted cracks are dark where their masks say, come from their own split, and are drawn alike by one seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

pytest.importorskip("cv2")

from crack_tf.data.__main__ import main
from crack_tf.data.mix import domain_of, mix
from crack_tf.data.transplants import shares, write_transplants
from crack_tf.synthetic import transplant
from tests.mixed_on_disk import write_tiles
from tests.pairs_on_disk import write_pairs
from tflite.errors import CrackError
from tflite.files import sha256_file
from tflite.images import load_rgb
from tflite.manifest import SPLITS, Manifest, read_manifest
from tflite.masks import load_mask

COUNT, SIZE = 40, 48


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Manifest]:
    """Photographs with masks, and tiles of which half are clean."""
    root = tmp_path_factory.mktemp("sets")
    return write_pairs(root / "pairs"), write_tiles(root / "tiles", side=64)


@pytest.fixture(scope="module")
def made(sets: tuple[Manifest, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("made") / "transplants"
    write_transplants(sets[0], [sets[1]], out, COUNT, SIZE)
    return read_manifest(out / "manifest.csv")


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_cracked_pictures_have_masks_and_clean_ones_have_none(made: Manifest) -> None:
    assert (made.dataset, made.task, len(made.items)) == ("transplants", "mixed", COUNT)
    for item in made.items:
        assert bool(item.mask) == bool(item.label)
        assert load_rgb(made.folder() / item.path).shape == (SIZE, SIZE, 3)
        assert load_mask(made, item, (SIZE, SIZE)).any() == bool(item.label)
    for split in SPLITS:
        assert {item.label for item in made.split(split)} == {0, 1}
    assert 0.4 * COUNT <= sum(item.label for item in made.items) <= 0.5 * COUNT


def test_splits_are_inherited_and_shared_as_always(sets: tuple[Manifest, Manifest], made: Manifest) -> None:
    of_group = {item.group: item.split for item in sets[1].items}
    for item in made.items:
        assert domain_of(item) == "tiles"
        assert of_group[item.group.partition("/")[2]] == item.split
    assert [len(made.split(split)) for split in SPLITS] == [28, 6, 6]


def test_no_picture_is_made_from_another_splits_crack_or_background(
    sets: tuple[Manifest, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, str]] = []
    plain = Manifest.read

    def noted(manifest: Manifest, item: object, verify: bool = True) -> bytes:
        read.append((manifest.dataset, item.split))  # type: ignore[attr-defined]
        return plain(manifest, item, verify)  # type: ignore[arg-type]

    monkeypatch.setattr(Manifest, "read", noted)
    write_transplants(sets[0], [sets[1]], tmp_path / "out", COUNT, SIZE)
    order = [SPLITS.index(split) for _, split in read]
    assert order == sorted(order)  # one split after the other, shapes and backgrounds alike
    assert {name for name, _ in read} == {"pairs", "tiles"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    sets: tuple[Manifest, Manifest], made: Manifest, tmp_path: Path
) -> None:
    again = write_transplants(sets[0], [sets[1]], tmp_path / "again" / "transplants", COUNT, SIZE)
    other = write_transplants(sets[0], [sets[1]], tmp_path / "other" / "transplants", COUNT, SIZE, seed=1)
    assert again.items == made.items
    assert other.sha256 != made.sha256
    pictures = {name: value for name, value in files(made.folder()).items() if not name.endswith(".csv")}
    assert {k: v for k, v in files(again.folder()).items() if not k.endswith(".csv")} == pictures


def test_cracks_are_darker_than_what_lies_beside_them(
    sets: tuple[Manifest, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transplant, "_BOTH", 0.0)  # twins beside a crack are dark too
    made = write_transplants(sets[0], [sets[1]], tmp_path / "out", COUNT, SIZE)
    for item in (item for item in made.items if item.label):
        grey = load_rgb(made.folder() / item.path).mean(axis=2)
        mask = load_mask(made, item)
        near, wide = (np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(n))) for n in (5, 11))
        assert grey[mask].mean() < grey[(wide > 0) & (near == 0)].mean()
        rows, columns = np.nonzero(mask)
        assert max(np.ptp(rows), np.ptp(columns)) >= 0.2 * SIZE


def test_a_background_on_which_no_crack_can_be_seen_stays_clean(
    sets: tuple[Manifest, Manifest], tmp_path: Path
) -> None:
    """Black holds no darker crack, and a mask on nothing would teach what is not there."""
    black = write_tiles(tmp_path / "black", side=64)
    items = []
    for item in black.items:
        Image.new("RGB", (64, 64)).save(black.folder() / item.path)
        items.append(replace(item, sha256=sha256_file(black.folder() / item.path)))
    made = write_transplants(sets[0], [replace(black, items=tuple(items))], tmp_path / "out", 12, SIZE)
    assert not any(item.label or item.mask for item in made.items)
    assert made.task == "classify"


def test_transplants_mix_with_the_sets_they_were_made_from(sets: tuple[Manifest, Manifest], tmp_path: Path) -> None:
    folder = sets[0].folder().parent
    made = write_transplants(sets[0], [sets[1]], folder / "transplants", COUNT, SIZE)
    mixed = mix([*sets, made])
    assert {domain_of(item) for item in mixed.items} == {"pairs", "tiles", "transplants"}


def without(manifest: Manifest, split: str, label: int) -> Manifest:
    return replace(manifest, items=tuple(i for i in manifest.items if (i.split, i.label) != (split, label)))


def test_what_gives_nothing_to_draw_is_refused_and_nothing_is_written(
    sets: tuple[Manifest, Manifest], tmp_path: Path
) -> None:
    pairs, tiles = sets
    out = tmp_path / "out"
    refused: list[tuple[Manifest, list[Manifest], dict[str, Any], str]] = [
        (without(pairs, "val", 1), [tiles], {}, r"split 'val' of .*pairs.csv has no photograph with a crack and its"),
        (tiles, [tiles], {}, r"split 'train' of .*tiles.csv has no photograph with a crack and its mask"),
        (pairs, [tiles, without(tiles, "test", 0)], {}, r"split 'test' of .*tiles.csv has no crack-free picture"),
        (pairs, [tiles], {"count": 11}, "--count 11: too few"),
        (pairs, [tiles], {"size": 31}, "--size 31: give 32 pixels or more"),
    ]
    for shapes, onto, changes, message in refused:
        with pytest.raises(CrackError, match=message):
            write_transplants(shapes, onto, out, **({"count": 12, "size": SIZE} | changes))
    changed = replace(tiles, items=tuple(replace(item, sha256="0" * 64) for item in tiles.items))
    with pytest.raises(CrackError, match="changed since manifest"):
        write_transplants(pairs, [changed], out, 12, SIZE)
    assert list(tmp_path.iterdir()) == []


@given(count=st.integers(12, 10**6))
def test_any_allowed_number_gives_every_split_both_kinds(count: int) -> None:
    numbers = shares(count)
    assert sum(numbers) == count
    assert min(numbers) >= 2
    np.testing.assert_allclose(numbers, np.array([0.7, 0.15, 0.15]) * count, atol=1)


def test_the_command_writes_a_set_once(
    sets: tuple[Manifest, Manifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cracks"
    command = ["transplant", str(sets[0].source), "--onto", str(sets[1].source), "--out", str(out)]
    command += ["--count", "12", "--size", str(SIZE)]
    out.mkdir()  # an empty folder is as good as none
    assert main(command) == 0
    assert "cracks-grouped, seed 0: 12 files" in capsys.readouterr().out
    before = files(out)
    assert {name.partition("/")[0] for name in before} == {"images", "masks", "manifest.csv"}
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["cracks"]


def test_an_interrupted_command_writes_nothing(
    sets: tuple[Manifest, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transplant, "_window", stop)
    command = ["transplant", str(sets[0].source), "--onto", str(sets[1].source), "--out", str(tmp_path / "out")]
    assert main(command) == 130
    assert "Nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_pictures_may_lie_on_one_ground(sets: tuple[Manifest, Manifest], tmp_path: Path) -> None:
    made = write_transplants(sets[0], [sets[1]], tmp_path / "masonry", 12, 64, ground="masonry")
    assert {item.label for item in made.items} == {0, 1}
    plain = write_transplants(sets[0], [sets[1]], tmp_path / "plain", 12, 64)
    assert {item.sha256 for item in made.items}.isdisjoint(item.sha256 for item in plain.items)


def test_an_unknown_ground_is_refused(sets: tuple[Manifest, Manifest], tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="--ground sand: choose one of masonry, shuttering, spalling, aggregate"):
        write_transplants(sets[0], [sets[1]], tmp_path / "out", 12, 64, ground="sand")
    assert not (tmp_path / "out").exists()
