"""Sets left out: what a trial learned from is refused as one, test tiles are kept for the end, and the search maximises the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.inference.predictor import load_predictor
from tests.pairs_on_disk import write_left_out
from tflite.errors import CrackError
from tflite.images import resize_rgb
from tflite.manifest import Manifest, write_manifest
from tflite.metrics import roc_auc
from tuning.left_out import areas, final_rows, open_left_out, tiles_of

Rename = Callable[..., Path]


@pytest.fixture
def renamed(tiny_manifest: Manifest, tmp_path: Path) -> Rename:
    """Writes the tiny tiles under another data set's name, or those of one label or of some splits alone."""

    def write(name: str, labels: tuple[int, ...] = (0, 1), splits: tuple[str, ...] = ("train", "val", "test")) -> Path:
        items = tuple(item for item in tiny_manifest.items if item.label in labels and item.split in splits)
        root = (tiny_manifest.source.parent / tiny_manifest.root).resolve() if tiny_manifest.source else tmp_path
        path = tmp_path / f"{name}.csv"
        write_manifest(path, replace(tiny_manifest, dataset=name, root=str(root), items=items))
        return path

    return write


def other(manifest: Manifest, name: str = "elsewhere") -> Manifest:
    """A training manifest of another data set, without a file of the tiny one."""
    return replace(manifest, dataset=name, items=tuple(replace(item, sha256="f" * 64) for item in manifest.items[:4]))


def test_a_set_that_trials_are_trained_on_is_not_left_out(tiny_manifest: Manifest, renamed: Rename) -> None:
    with pytest.raises(CrackError, match=r"--left-out .*: the trials are trained on it"):
        open_left_out([str(tiny_manifest.source)], other(tiny_manifest, "metu+tiny"), ())
    with pytest.raises(CrackError, match=r"--left-out .*: 48 of its files are trained on"):
        open_left_out([str(renamed("another"))], tiny_manifest, ())
    twice = [str(renamed("one")), str(renamed("other"))]
    with pytest.raises(CrackError, match=r"--left-out .*other.*: 48 of its files are in .*one.*, too"):
        open_left_out(twice, other(tiny_manifest), ())
    with pytest.raises(CrackError, match=r"--left-out .*nosuch does not exist"):
        open_left_out(["./nosuch"], tiny_manifest, ())


def test_a_set_that_taught_the_teacher_is_not_left_out(tiny_manifest: Manifest, tiny_run: Path) -> None:
    with pytest.raises(CrackError, match=r"model\.keras was trained on it, or learned from what was"):
        open_left_out([str(tiny_manifest.source)], other(tiny_manifest), (str(tiny_run / "model.keras"), None))
    (entry,) = open_left_out([str(tiny_manifest.source)], other(tiny_manifest), ("imagenet", None))
    assert (entry.name, entry.sha256) == ("tiny", tiny_manifest.sha256)


def test_a_set_is_named_once_has_both_classes_and_tiles_besides_the_test(
    tiny_manifest: Manifest, renamed: Rename
) -> None:
    training = other(tiny_manifest)
    with pytest.raises(CrackError, match="a is named twice"):
        open_left_out([str(renamed("a"))] * 2, training, ())
    with pytest.raises(CrackError, match=r"--left-out .*b\.csv: its tiles of train\+val are all of one class"):
        open_left_out([str(renamed("b", labels=(1,)))], training, ())
    with pytest.raises(CrackError, match=r"c\.csv: its splits train\+val are empty"):
        open_left_out([str(renamed("c", splits=("test",)))], training, ())


def test_test_tiles_are_asked_for_at_once_where_finalists_will_need_them(
    tiny_manifest: Manifest, renamed: Rename
) -> None:
    source, training = str(renamed("e", splits=("train", "val"))), other(tiny_manifest)
    assert open_left_out([source], training, ())
    with pytest.raises(CrackError, match=r"e\.csv: its splits test are empty"):
        open_left_out([source], training, (), tested=True)


def test_the_search_looks_at_all_but_the_test_tiles_and_the_end_at_these(
    tiny_manifest: Manifest, renamed: Rename, tiny_export: Path
) -> None:
    (entry,) = sets = open_left_out([str(renamed("d"))], other(tiny_manifest), ())
    assert (len(tiles_of(entry).labels), len(tiles_of(entry, test=True).labels)) == (40, 8)
    file = tiny_export / "export" / "opnet-int8-ptq.tflite"
    tiles, model = tiles_of(entry), load_predictor(file)
    ready = np.stack([resize_rgb(np.ascontiguousarray(tile), model.image_size) for tile in tiles.images])
    expected = roc_auc(model.logits(ready), tiles.labels)
    assert areas(file, sets) == {"d": pytest.approx(expected, abs=1e-4)}
    (row,) = final_rows({"trial 3 int8-ptq": file}, sets)
    assert [row[name] for name in ("model", "set", "split", "n")] == ["trial 3 int8-ptq", "d", "test", 8]
    assert row["tp"] + row["fn"] == 4


def test_photographs_with_masks_are_cut_into_tiles_of_both_kinds(tiny_manifest: Manifest, tmp_path: Path) -> None:
    (entry,) = open_left_out([str(write_left_out(tmp_path / "pairs"))], other(tiny_manifest), ())
    tiles = tiles_of(entry)
    assert tiles.images.shape[1:] == (256, 256, 3)
    assert set(tiles.labels) == {0, 1}
