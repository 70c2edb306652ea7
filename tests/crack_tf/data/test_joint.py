from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.data.__main__ import main
from crack_tf.data.joint import joint_manifest
from tflite.errors import CrackError
from tflite.manifest import SPLITS, Item, Manifest, read_manifest, write_manifest

splits = st.sampled_from(SPLITS)


def manifest(policy: str, names: list[str]) -> Manifest:
    items = tuple(Item(f"{n:02d}.png", f"hash{n}", n % 2, f"g{n}", split) for n, split in enumerate(names))
    return Manifest("some", policy, 0, ".", "CC0-1.0", items)


@given(st.lists(st.tuples(splits, splits), min_size=1, max_size=20))
def test_no_test_tile_of_either_split_is_trained_or_selected_on(pairs) -> None:
    plain, grouped = manifest("plain", [p for p, _ in pairs]), manifest("grouped", [g for _, g in pairs])
    joint = {item.path: item.split for item in joint_manifest(plain, grouped).items}
    for one, other in zip(plain.items, grouped.items, strict=True):
        split = joint.get(one.path)
        if "test" in (one.split, other.split):
            assert split == "test"
        if split == "train":
            assert (one.split, other.split) == ("train", "train")
        if split == "val":
            assert other.split == "val"


def test_manifests_of_different_files_are_refused() -> None:
    plain = manifest("plain", ["train", "val"])
    with pytest.raises(CrackError, match="same files"):
        joint_manifest(plain, manifest("grouped", ["train"]))
    changed = replace(plain, items=(replace(plain.items[0], sha256="other"), plain.items[1]))
    with pytest.raises(CrackError, match="same files"):
        joint_manifest(plain, changed)


def test_command_writes_the_joint_manifest_and_refuses_to_replace_it(tmp_path: Path) -> None:
    plain, grouped, out = (tmp_path / name for name in ("plain.csv", "grouped.csv", "joint.csv"))
    write_manifest(plain, manifest("plain", ["train", "train", "test", "val"]))
    write_manifest(grouped, manifest("grouped", ["train", "val", "train", "test"]))
    command = ["joint", str(plain), str(grouped), "--out", str(out)]
    assert main(command) == 0
    assert [item.split for item in read_manifest(out).items] == ["train", "val", "test", "test"]
    assert main(command) == 2
