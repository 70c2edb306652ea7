from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.data.cache import cache_folder, load_split, subset
from tflite.errors import CrackError, ImageError
from tflite.files import atomic_path
from tflite.images import load_rgb
from tflite.manifest import Item, Manifest


def test_cached_tiles_equal_decoded_files_in_manifest_order(tiny_manifest: Manifest) -> None:
    tiles = load_split(tiny_manifest, "val", 32)
    assert tiles.images.shape == (8, 32, 32, 3)
    assert tiles.images.dtype == np.uint8
    for image, label, item in zip(tiles.images, tiles.labels, tiles.items, strict=True):
        np.testing.assert_array_equal(image, load_rgb(tiny_manifest.folder() / item.path, 32))
        assert label == item.label


def test_second_load_reads_the_cache_and_not_the_files(tiny_manifest: Manifest, monkeypatch) -> None:
    load_split(tiny_manifest, "test", 24)
    monkeypatch.setattr(Manifest, "read", lambda *_: pytest.fail("decoded again"))
    assert len(load_split(tiny_manifest, "test", 24)) == 8


def test_changed_file_is_refused_and_nothing_is_cached(tiny_manifest: Manifest, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    items = tuple(replace(item, sha256="0" * 64) for item in tiny_manifest.items)
    with pytest.raises(ImageError, match="changed since"):
        load_split(replace(tiny_manifest, items=items), "val", 32)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]


def test_damaged_cache_file_is_named(tiny_manifest: Manifest, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    load_split(tiny_manifest, "val", 32)
    (path,) = (tmp_path / "tiles").iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CrackError, match="damaged"):
        load_split(tiny_manifest, "val", 32)


def test_what_a_killed_process_left_half_decoded_is_removed_by_the_next(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tflite.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "tiles/metu-val-96.npy")], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "tiles").iterdir()
    with atomic_path(tmp_path / "tiles/metu-train-96.npy") as written:
        cache_folder()
        assert not left.exists()
        assert written.exists()


def test_a_full_disk_is_told_before_anything_is_decoded(tiny_manifest: Manifest, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("CRACK_TF_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        CrackError, match=r"has no room for 2\.5 MB of .* \(No space left on device\)\. Make room .* CRACK_TF_CACHE"
    ):
        load_split(tiny_manifest, "val", 320)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@given(positives=st.integers(0, 40), negatives=st.integers(0, 40), limit=st.integers(2, 90), seed=st.integers(0, 99))
def test_subset_has_the_size_asked_for_and_keeps_each_class(positives, negatives, limit, seed) -> None:
    items = [Item(f"{i:03d}", "", int(i < positives), "", "train") for i in range(positives + negatives)]
    chosen = subset(items, limit, seed)
    assert len(chosen) == min(limit, len(items))
    assert chosen == sorted(chosen)
    assert chosen == subset(items, limit, seed)
    counts = Counter(item.label for item in chosen)
    assert bool(counts[1]) == bool(positives)
    assert bool(counts[0]) == bool(negatives)
