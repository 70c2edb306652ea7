"""A manifest says which bytes a number was measured on, and notices when they are others."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes
from tflite.manifest import LABELS, SPLITS, Item, Manifest, read_manifest, refuse_mixed, write_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Six files of a few bytes, two in each split, written and read back."""
    items = []
    for number, split in enumerate(SPLITS * 2):
        data = f"tile {number}".encode()
        path = tmp_path / "images" / LABELS[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        relative = path.relative_to(tmp_path / "images").as_posix()
        items.append(Item(relative, sha256_bytes(data), number % 2, f"g{number}", split))
    write_manifest(tmp_path / "split.csv", Manifest("demo", "grouped", 7, "images", "CC0-1.0", tuple(sorted(items))))
    return read_manifest(tmp_path / "split.csv")


def test_round_trip_keeps_everything(manifest: Manifest, tmp_path: Path) -> None:
    assert (manifest.dataset, manifest.policy, manifest.seed) == ("demo", "grouped", 7)
    assert (manifest.root, manifest.licence, manifest.name) == ("images", "CC0-1.0", "demo-grouped")
    assert manifest.source == tmp_path / "split.csv"
    write_manifest(tmp_path / "copy.csv", manifest)
    copy = read_manifest(tmp_path / "copy.csv")
    assert copy == manifest
    assert copy.sha256 == manifest.sha256
    assert (tmp_path / "copy.csv").read_bytes() == (tmp_path / "split.csv").read_bytes()


HEAD = (
    b'# {"format": "crack_tf.manifest/1", "dataset": "a", "policy": "plain", "seed": 0, "root": ".", "licence": "x", "sha256": "x"}\n'
    b"path,sha256,label,group,split\n"
)


# Control characters but no line ends of any kind, and no half characters: those do not survive a text file.
names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    rows=st.lists(st.tuples(names, st.integers(0, 1), names, st.sampled_from(SPLITS)), max_size=8),
    root=names,
    seed=st.integers(0, 2**63),
)
def test_round_trip_of_any_names(tmp_path: Path, rows: list[tuple[str, int, str, str]], root: str, seed: int) -> None:
    items = tuple(sorted(Item(path, "0" * 64, label, group, split) for path, label, group, split in rows))
    written = Manifest('a "set", of tiles', "plain", seed, root, "unknown", items)
    write_manifest(tmp_path / "any.csv", written, overwrite=True)
    assert read_manifest(tmp_path / "any.csv") == written


def test_pandas_reads_it_as_the_docstring_says(manifest: Manifest) -> None:
    pandas = pytest.importorskip("pandas")
    assert manifest.source is not None
    table = pandas.read_csv(io.StringIO(manifest.source.read_text()), comment="#")
    assert table.columns.tolist() == ["path", "sha256", "label", "group", "split"]
    assert table.path.tolist() == [item.path for item in manifest.items]


def test_the_hash_depends_on_the_rows_alone(manifest: Manifest) -> None:
    assert replace(manifest, root="/elsewhere", seed=8, source=None).sha256 == manifest.sha256
    moved = replace(manifest.items[0], split="test" if manifest.items[0].split == "train" else "train")
    assert replace(manifest, items=(moved, *manifest.items[1:])).sha256 != manifest.sha256


def test_an_existing_manifest_is_not_overwritten_unasked(manifest: Manifest) -> None:
    assert manifest.source is not None
    before = manifest.source.read_bytes()
    with pytest.raises(CrackError, match="exists already"):
        write_manifest(manifest.source, replace(manifest, seed=8))
    assert manifest.source.read_bytes() == before
    write_manifest(manifest.source, replace(manifest, seed=8), overwrite=True)
    assert read_manifest(manifest.source).seed == 8


@pytest.mark.parametrize(("old", "new"), [("train", "test"), (",0,", ",1,"), ("0.png", "9.png"), ("g1", "g2")])
def test_a_changed_row_is_refused(manifest: Manifest, old: str, new: str) -> None:
    assert manifest.source is not None
    head, _, body = manifest.source.read_text().partition("\n")
    assert old in body
    manifest.source.write_text(head + "\n" + body.replace(old, new, 1))
    with pytest.raises(CrackError, match="was changed after it was written"):
        read_manifest(manifest.source)


def test_a_lost_row_is_refused(manifest: Manifest) -> None:
    assert manifest.source is not None
    lines = manifest.source.read_text().splitlines(keepends=True)
    manifest.source.write_text("".join(lines[:-1]))
    with pytest.raises(CrackError, match="was changed after it was written"):
        read_manifest(manifest.source)


def test_windows_line_ends_are_no_change(manifest: Manifest) -> None:
    assert manifest.source is not None
    manifest.source.write_bytes(manifest.source.read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(manifest.source) == manifest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"path,label\na.png,1\n",
        b'{"format": "crack_tf.manifest/1"}\npath\n',
        b"# []\npath\n",
        b"# {}\npath,sha256,label,group,split\n",
        b'# {"format": "crack_tf.manifest/9"}\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\n',
        b'# {"format": "crack_tf.manifest/1"}\nname\na.png\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\na,b,crack,g,train\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\na,b,2,g,train\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\na,b,1,g,dev\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\na,b\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split,mask,mask_sha256\na,b,1,g,val,m,\n',
        b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split,mask\na,b,1,g,val,m\n',
        b"# " + b"[" * 100_000 + b"\npath\n",
        HEAD.replace(b'"."', b"5"),
        HEAD.replace(b'"."', b'"a\\u0000b"'),
        HEAD.replace(b'"plain"', b"null"),
        HEAD.replace(b"0,", b"1e999,"),
        HEAD.replace(b"0,", b"[],"),
    ],
)
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(CrackError, match="is not a crack_tf manifest"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"path,label\na.png,1\n", "its first line does not say crack_tf.manifest/1"),
        (b"", "its first line does not say crack_tf.manifest/1"),
        (b'# {"format": "crack_tf.manifest/1"}\nname\na.png\n', "it lacks 'path'"),
        (b'# {"format": "crack_tf.manifest/1"}\npath,sha256,label,group,split\n', "it lacks 'dataset'"),
    ],
)
def test_why_it_is_no_manifest_is_said_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(CrackError, match=rf"is not a crack_tf manifest \({why}\)\. Make one with"):
        read_manifest(path)


def test_a_picture_given_as_manifest_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tile.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    for path in (tmp_path / "tile.png", tmp_path):
        with pytest.raises(CrackError, match="cannot be read"):
            read_manifest(path)


def test_a_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"does not exist\. Make one with"):
        read_manifest(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", SPLITS)
def test_split_gives_its_items_in_order(manifest: Manifest, name: str) -> None:
    items = manifest.split(name)
    assert len(items) == 2
    assert {item.split for item in items} == {name}
    assert items == sorted(items)
    assert manifest.split("all") == list(manifest.items)


def test_an_unknown_or_empty_split_is_refused(manifest: Manifest) -> None:
    with pytest.raises(CrackError, match=r"'dev': choose one of train, val, test, all"):
        manifest.split("dev")
    only_training = replace(manifest, items=tuple(manifest.split("train")))
    with pytest.raises(CrackError, match="split 'val' of manifest demo-grouped is empty"):
        only_training.split("val")
    with pytest.raises(CrackError, match="is empty"):
        replace(manifest, items=()).split("all")


def test_read_gives_the_bytes_that_were_split(manifest: Manifest) -> None:
    for item in manifest.items:
        assert sha256_bytes(manifest.read(item)) == item.sha256


def test_a_changed_image_is_refused_unless_not_verified(manifest: Manifest) -> None:
    item = manifest.items[0]
    (manifest.folder() / item.path).write_bytes(b"another picture")
    with pytest.raises(ImageError, match="changed since manifest demo-grouped was written") as caught:
        manifest.read(item)
    assert item.path in str(caught.value)
    assert manifest.read(item, verify=False) == b"another picture"


def test_a_missing_image_is_named(manifest: Manifest) -> None:
    item = manifest.items[0]
    (manifest.folder() / item.path).unlink()
    with pytest.raises(ImageError, match="cannot read") as caught:
        manifest.read(item)
    assert item.path in str(caught.value)


def test_the_root_is_relative_to_the_manifest_not_to_the_working_folder(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert manifest.folder() == tmp_path / "images"


@pytest.mark.parametrize("root", ["images", "../shared/images", "."])
def test_a_manifest_written_elsewhere_finds_its_images_still(manifest: Manifest, tmp_path: Path, root: str) -> None:
    first = tmp_path / "one/sub/first.csv"
    first.parent.mkdir(parents=True)
    images = first.parent / root
    images.mkdir(parents=True, exist_ok=True)
    write_manifest(first, replace(manifest, root=root, source=None))
    for place in ("one/sub/second.csv", "one/third.csv", "two/fourth.csv"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write_manifest(tmp_path / place, replace(read_manifest(first), policy="reviewed"))
        again = read_manifest(tmp_path / place)
        assert again.folder().resolve() == images.resolve()
        assert not Path(again.root).is_absolute()
    for fixed in ("$CRACK_TF_DATA/metu", str(tmp_path), "~/metu"):
        write_manifest(first, replace(manifest, root=fixed, source=None), overwrite=True)
        write_manifest(tmp_path / "fixed.csv", read_manifest(first), overwrite=True)
        assert read_manifest(tmp_path / "fixed.csv").root == fixed


def test_the_root_may_start_with_an_environment_variable(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(manifest, root="$CRACK_TF_DATA/images")
    monkeypatch.setenv("CRACK_TF_DATA", str(tmp_path))
    assert elsewhere.folder() == tmp_path / "images"
    assert elsewhere.read(manifest.items[0]) == manifest.read(manifest.items[0])
    monkeypatch.delenv("CRACK_TF_DATA")
    with pytest.raises(CrackError, match="Set CRACK_TF_DATA"):
        elsewhere.folder()


def test_the_root_may_start_with_the_home_folder(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert replace(manifest, root="~/images").folder() == tmp_path / "images"


def test_a_lost_folder_is_named(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(CrackError, match="Move them back, or split again") as caught:
        manifest.folder()
    assert str(tmp_path / "images") in str(caught.value)


def test_the_head_is_one_line_of_json_with_the_hash(manifest: Manifest) -> None:
    assert manifest.source is not None
    head = json.loads(manifest.source.read_text().splitlines()[0].removeprefix("# "))
    assert head["sha256"] == manifest.sha256
    assert head["format"] == "crack_tf.manifest/1"


@pytest.fixture
def pairs(tmp_path: Path) -> Manifest:
    """Two photographs with masks, written and read back."""
    items = []
    for stem in ("a", "b"):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / stem).write_bytes(f"{folder} {stem}".encode())
        hashes = [sha256_bytes(f"{folder} {stem}".encode()) for folder in ("images", "masks")]
        items.append(Item(f"images/{stem}", hashes[0], 1, stem, "train", f"masks/{stem}", hashes[1]))
    write_manifest(tmp_path / "pairs.csv", Manifest("walls", "grouped", 0, ".", "CC0-1.0", tuple(items)))
    return read_manifest(tmp_path / "pairs.csv")


def test_pairs_survive_a_round_trip_and_name_their_task(pairs: Manifest, manifest: Manifest, tmp_path: Path) -> None:
    assert pairs.task == "segment"
    assert manifest.task == "classify"
    assert pairs.items[0].mask == "masks/a"
    write_manifest(tmp_path / "again.csv", pairs)
    assert read_manifest(tmp_path / "again.csv") == pairs
    assert pairs.read_mask(pairs.items[1]) == b"masks b"


def test_a_mix_of_items_with_and_without_masks_is_read_back(
    pairs: Manifest, manifest: Manifest, tmp_path: Path
) -> None:
    mixed = replace(pairs, items=tuple(sorted((*pairs.items, *manifest.items))))
    assert mixed.task == "mixed"
    write_manifest(tmp_path / "mixed.csv", mixed)
    again = read_manifest(tmp_path / "mixed.csv")
    assert again == mixed
    assert {bool(item.mask) for item in again.items} == {True, False}


@given(with_mask=st.lists(st.booleans(), max_size=6))
def test_the_task_says_which_items_have_masks(with_mask: list[bool]) -> None:
    items = tuple(Item(f"{k}", "0", 1, "g", "train", "m" * mask, "0" * mask) for k, mask in enumerate(with_mask))
    task = Manifest("any", "plain", 0, ".", "", items).task
    assert task == ("mixed" if len(set(with_mask)) == 2 else "segment" if any(with_mask) else "classify")


def test_a_mix_is_refused_by_name_where_figures_are_of_one_kind(pairs: Manifest, manifest: Manifest) -> None:
    for one_kind in (pairs, manifest):
        refuse_mixed(one_kind, "an evaluation")
    mixed = replace(pairs, items=(*pairs.items, *manifest.items))
    with pytest.raises(
        CrackError, match=r"pairs.csv mixes tiles .* For an evaluation, name one of the manifests it was"
    ):
        refuse_mixed(mixed, "an evaluation")


def test_another_mask_is_another_manifest(pairs: Manifest) -> None:
    changed = replace(pairs.items[0], mask_sha256="0" * 64)
    assert replace(pairs, items=(changed, pairs.items[1])).sha256 != pairs.sha256


def test_a_changed_or_missing_mask_is_refused(pairs: Manifest) -> None:
    item = pairs.items[0]
    (pairs.folder() / item.mask).write_bytes(b"redrawn")
    with pytest.raises(ImageError, match="changed since manifest walls-grouped was written") as caught:
        pairs.read_mask(item)
    assert item.mask in str(caught.value)
    (pairs.folder() / item.mask).unlink()
    with pytest.raises(ImageError, match="cannot read"):
        pairs.read_mask(item)


def test_a_tile_without_a_mask_says_so(manifest: Manifest) -> None:
    with pytest.raises(CrackError, match="has no mask: only its label is known"):
        manifest.read_mask(manifest.items[0])


@pytest.mark.parametrize(("name", "start"), [("metu-plain", "9f567413ebb1"), ("metu-grouped", "41d3fbe19fc6")])
def test_manifests_without_masks_keep_the_hash_they_were_published_with(name: str, start: str) -> None:
    published = Path(__file__).parents[2] / "results" / "data" / f"{name}.csv"
    assert read_manifest(published).sha256.startswith(start)
