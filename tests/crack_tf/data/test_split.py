"""Splits: shares, whole groups, determinism, and the neighbour rules of METU and SDNET2018."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.data.audit import Audit
from crack_tf.data.duplicates import Copy
from crack_tf.data.folders import Source
from crack_tf.data.neighbours import METU_BLOCK, metu_blocks, photograph_keys
from crack_tf.data.records import Record
from crack_tf.data.split import assign_grouped, assign_plain, leaks, split
from tflite.errors import CrackError
from tflite.manifest import SPLITS, Manifest

SHARE = {"train": 0.70, "val": 0.15, "test": 0.15}


def make_audit(paths: list[str], labels: list[int], pairs: list[tuple[int, int]] = [], **source: object) -> Audit:  # noqa: B006
    records = [Record(path, label, 1, f"{path}-hash") for path, label in zip(paths, labels, strict=True)]
    copies = tuple(Copy(one, other, "re-encoded", "none", 0.99, 0.99) for one, other in pairs)
    place = Source("made", Path("."), ".", "CC0-1.0", **source)  # type: ignore[arg-type]
    return Audit(place, tuple(records), copies, {})


def two_classes(count: int) -> tuple[list[str], list[int]]:
    paths = [f"{name}/{k:05d}.jpg" for name in ("crack", "no_crack") for k in range(count)]
    return paths, [1] * count + [0] * count


def sides(manifest: Manifest) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in manifest.items:
        found.setdefault(item.group, set()).add(item.split)
    return found


def test_plain_split_has_the_shares_in_each_class() -> None:
    manifest = split(make_audit(*two_classes(200)), "plain", 0)
    counts = Counter((item.split, item.label) for item in manifest.items)
    assert counts == {(name, label): round(SHARE[name] * 200) for name in SPLITS for label in (0, 1)}


def test_plain_split_leaks_copies_and_grouped_does_not() -> None:
    paths, labels = two_classes(100)
    result = make_audit(paths, labels, [(k, k + 50) for k in range(50)])
    plain, grouped = split(result, "plain", 0), split(result, "grouped", 0)
    assert leaks(result, plain)["test"] > 3
    assert leaks(result, grouped) == {"val": 0, "test": 0}
    assert any(len(side) > 1 for side in sides(plain).values())
    assert all(len(side) == 1 for side in sides(grouped).values())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), min_size=30, max_size=150),
    st.integers(0, 2**32),
)
def test_no_group_lies_on_two_sides_and_shares_hold_to_one_group(groups: list[tuple[int, int]], seed: int) -> None:
    heads: list[int] = []
    labels: list[int] = []
    for head, (size, kind) in enumerate(groups):
        heads += [head] * size
        labels += [k % 2 if kind == 2 else kind for k in range(size)]  # kind 2: a copy across classes
    names = assign_grouped(labels, heads, np.random.default_rng(seed))
    by_group: dict[int, set[str]] = {}
    for head, name in zip(heads, names, strict=True):
        by_group.setdefault(head, set()).add(name)
    assert all(len(side) == 1 for side in by_group.values())
    for label in (0, 1):
        total = labels.count(label)
        for name in SPLITS:
            held = sum(one == label and other == name for one, other in zip(labels, names, strict=True))
            assert abs(held - SHARE[name] * total) <= 12 + 1


@given(st.lists(st.integers(0, 1), min_size=1, max_size=300), st.integers(0, 2**32))
def test_plain_assignment_is_within_one_file_of_the_shares(labels: list[int], seed: int) -> None:
    names = assign_plain(labels, np.random.default_rng(seed))
    for label in (0, 1):
        held = Counter(name for name, value in zip(names, labels, strict=True) if value == label)
        assert all(abs(held[name] - SHARE[name] * labels.count(label)) <= 1 for name in SPLITS)


@pytest.mark.parametrize("policy", ["plain", "grouped"])
def test_same_seed_same_manifest_and_another_seed_another(policy: str) -> None:
    paths, labels = two_classes(60)
    result = make_audit(paths, labels, [(0, 7), (61, 90)])
    assert split(result, policy, 3) == split(result, policy, 3)
    assert split(result, policy, 3).sha256 != split(result, policy, 4).sha256


def test_items_are_sorted_and_carry_hash_label_and_group() -> None:
    manifest = split(make_audit(*two_classes(20), [(0, 5)]), "grouped", 0)
    assert [item.path for item in manifest.items] == sorted(item.path for item in manifest.items)
    by_path = {item.path: item for item in manifest.items}
    assert by_path["crack/00003.jpg"].sha256 == "crack/00003.jpg-hash"
    assert (by_path["crack/00003.jpg"].label, by_path["no_crack/00003.jpg"].label) == (1, 0)
    assert by_path["crack/00000.jpg"].group == by_path["crack/00005.jpg"].group != by_path["crack/00001.jpg"].group


def test_unreadable_files_are_left_out() -> None:
    result = make_audit(*two_classes(20))
    broken = replace(result.records[4], error="truncated")
    result = replace(result, records=(*result.records[:4], broken, *result.records[5:]))
    paths = {item.path for item in split(result, "plain", 0).items}
    assert len(paths) == 39
    assert broken.path not in paths


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(CrackError, match="'fair': choose one of grouped, plain"):
        split(make_audit(*two_classes(20)), "fair")


def test_too_few_groups_for_three_sides_are_refused() -> None:
    paths, labels = two_classes(10)
    with pytest.raises(CrackError, match="leaves no crack image for"):
        split(make_audit(paths, labels, [(0, k) for k in range(1, 10)]), "grouped")


def test_photograph_rule_keys_by_folder_and_name_before_the_last_dash() -> None:
    paths = ["W/CW/7074-105.jpg", "W/UW/7074-1.jpg", "D/CD/7074-1.jpg", "W/CW/a-b-2.jpg", "W/CW/lone.jpg"]
    assert photograph_keys(paths, range(5)) == ["W/7074", "W/7074", "D/7074", "W/a-b", None]


def test_photographs_stay_whole_with_their_clean_and_cracked_tiles() -> None:
    paths = [f"{'crack' if k % 3 else 'no_crack'}/{photo:03d}-{k}.jpg" for photo in range(60) for k in range(6)]
    labels = [int(path.startswith("crack")) for path in paths]
    manifest = split(make_audit(paths, labels, neighbours=photograph_keys), "grouped", 0)
    splits: dict[str, set[str]] = {}
    for item in manifest.items:
        splits.setdefault(item.path.split("/")[1].split("-")[0], set()).add(item.split)
    assert len(splits) == 60
    assert all(len(side) == 1 for side in splits.values())


def test_metu_positives_up_to_15000_get_blocks_of_numbers_and_others_none() -> None:
    names = ["00001", "00100", "00101", "14999_1", "15001_1", "19990"]
    paths = [f"Positive/{name}.jpg" for name in names] + ["Negative/00001.jpg"]
    assert metu_blocks(paths, range(7)) == ["block 0", "block 0", "block 1", "block 149", None, None, None]
    assert METU_BLOCK == 100


def test_metu_tiles_of_the_second_run_join_the_block_they_shadow() -> None:
    # 05573 re-encodes 00056. Its neighbour 05575 has no copy here, but shows the same photograph; 03000 is its own place.
    paths = [f"Positive/{name}.jpg" for name in ("00056", "00060", "03000", "05573", "05575")]
    keys = metu_blocks(paths, [0, 1, 2, 0, 4])
    assert keys[0] == keys[1] == keys[3] == keys[4] == "block 0"
    assert keys[2] != keys[0]


def test_metu_copies_above_15000_follow_their_original() -> None:
    paths = [f"Positive/{k:05d}.jpg" for k in range(1, 2001)] + ["Positive/16000_1.jpg"]
    paths += [f"Negative/{k:05d}.jpg" for k in range(1, 2001)]
    labels = [int(path.startswith("Positive")) for path in paths]
    manifest = split(make_audit(paths, labels, [(150, 2000)], neighbours=metu_blocks), "grouped", 0)
    by_path = {item.path: item for item in manifest.items}
    assert by_path["Positive/16000_1.jpg"].group == by_path["Positive/00151.jpg"].group
    block = {item.group for item in manifest.items if "Positive/00101.jpg" <= item.path <= "Positive/00200.jpg"}
    assert len(block) == 1
    for label in (0, 1):
        held = Counter(item.split for item in manifest.items if item.label == label)
        assert all(abs(held[name] - SHARE[name] * 2000) <= 100 for name in SPLITS)
