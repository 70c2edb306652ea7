"""Cut an audited data set into train, val and test (70/15/15), tiles and pairs of photograph and mask alike.

`plain` shuffles the files of each class, as published METU figures do; copies of one picture then lie on both sides.
`grouped` keeps every group whole. A group holds the copies of a picture, and its neighbours where the data set has a rule
for them: SDNET2018 tiles and Crack500 crops of one photograph, METU positives of one stretch of numbers.
`folders` keeps the split that folders named train, valid and test already have; where val or test is missing, it is drawn from train in
whole groups. All policies record the group of each file, so that the leak of a plain split can be counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from crack_tf.data.audit import Audit
from crack_tf.data.duplicates import groups
from crack_tf.data.folders import folder_split
from crack_tf.data.pairs import mask_columns, refuse_problems
from crack_tf.data.policies import POLICIES
from tflite.errors import CrackError
from tflite.manifest import LABELS, SPLITS, Item, Manifest

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}


def split(result: Audit, policy: str | None = None, seed: int = 0, leave_out: bool = False) -> Manifest:
    """Assign every readable file to a split. The same audit, policy and seed give the same manifest.

    Args:
        result: of tiles or of pairs.
        policy: "grouped", "plain" or "folders"; None for "folders" where the set's folders have a split, else "grouped".
        seed: of the draw.
        leave_out: of pairs, leave out those with a problem. Without it they are refused: masks that are soft or turned round
            are seldom single ones. (Unreadable tiles are always left out.)

    Raises:
        CrackError: if the policy is unknown, or "folders" without a split in the folders; if a pair has a problem; or if a split would
            lack one of the classes (of pairs: cracks).
    """
    check_policy(policy)
    segment = result.source.task == "segment"
    if segment and not leave_out:
        refuse_problems(result.records, result.source.name)
    readable = result.readable
    labels = [record.label for record in readable]
    heads = group_heads(result)
    rng = np.random.default_rng(seed)
    given = [folder_split(record.path) for record in readable]
    if policy is None:
        policy = default_policy([record.path for record in result.records])
    if policy == "folders":
        names = keep_folders(labels, heads, given, rng, result.source.name)
    else:
        names = assign_plain(labels, rng) if policy == "plain" else assign_grouped(labels, heads, rng)
    _check(labels, heads, names, policy, result.source.name, LABELS[1:] if segment else result.source.classes)
    numbers = {head: f"g{number:05d}" for number, head in enumerate(sorted(set(heads)))}
    items = [
        Item(record.path, record.sha256, record.label, numbers[head], name, **mask_columns(record))
        for record, head, name in zip(readable, heads, names, strict=True)
    ]
    source = result.source
    return Manifest(source.name, policy, seed, source.root, source.licence, tuple(sorted(items)))


def check_policy(policy: str | None) -> None:
    """Raise a CrackError unless there is such a policy."""
    if policy is not None and policy not in POLICIES:
        raise CrackError(f"--policy {policy!r}: choose one of {', '.join(POLICIES)}.")


def default_policy(paths: Sequence[str]) -> str:
    """ "folders" for a set whose folders split it into train and at least one more, "grouped" for all others.

    Args:
        paths: of all its files, relative to its folder, with "/".
    """
    return "folders" if _is_split([folder_split(path) for path in paths]) else "grouped"


def group_heads(result: Audit) -> list[int]:
    """Group of each readable file: copies and, where the data set has a rule, neighbours. Named by its first member."""
    pairs = [(copy.first, copy.second) for copy in result.copies]
    rule = result.source.neighbours
    if rule is not None:
        first_of: dict[str, int] = {}
        paths = [record.path for record in result.readable]
        for position, key in enumerate(rule(paths, result.copy_groups())):
            if key is not None:
                pairs.append((first_of.setdefault(key, position), position))
    return groups(len(result.readable), pairs)


def assign_plain(labels: Sequence[int], rng: np.random.Generator) -> list[str]:
    """Stratified 70/15/15 by file: each class is shuffled and cut at the rounded shares."""
    names = [""] * len(labels)
    for label in range(len(LABELS)):
        members = rng.permutation([position for position, value in enumerate(labels) if value == label])
        cuts = np.rint(np.cumsum(list(SHARES.values())) * len(members)).astype(int)
        for split_name, part in zip(SPLITS, np.split(members, cuts[:-1]), strict=True):
            for position in part:
                names[position] = split_name
    return names


def keep_folders(
    labels: Sequence[int], heads: Sequence[int], given: Sequence[str | None], rng: np.random.Generator, dataset: str
) -> list[str]:
    """The split that the folders have; a missing val or test is drawn from train in whole groups.

    Args:
        labels: 0 or 1 of each file.
        heads: group of each file.
        given: split of each file by its folders (`crack_tf.data.folders.folder_split`).
        rng: decides what is drawn.
        dataset: its name, for errors.

    Raises:
        CrackError: if the folders hold no train split and one more, or some files lie outside of them.
    """
    if not _is_split(given):
        outside = sum(name is None for name in given)
        found = ", ".join(sorted({name for name in given if name})) or "none"
        raise CrackError(
            f"--policy folders: {dataset} is not split by its folders (splits found: {found}; files outside them: {outside}). "
            "Expected folders named train and valid or test that hold every file; or choose --policy grouped."
        )
    names = [name or "" for name in given]
    missing = [name for name in SPLITS if name not in names]
    if missing:
        inside = [position for position, name in enumerate(names) if name == "train"]
        shares = {name: SHARES[name] for name in SPLITS if name == "train" or name in missing}
        drawn = assign_grouped([labels[k] for k in inside], [heads[k] for k in inside], rng, shares)
        for position, name in zip(inside, drawn, strict=True):
            names[position] = name
    return names


def assign_grouped(
    labels: Sequence[int], heads: Sequence[int], rng: np.random.Generator, shares: Mapping[str, float] = SHARES
) -> list[str]:
    """70/15/15 by whole groups, each class as near its share as the groups allow.

    Groups are dealt in random order, those of similar size together and large ones first, so that the small ones level the
    counts in the end. Each goes where its classes lack most, relative to the share, among the splits that have room for it.

    Args:
        labels: 0 or 1 of each file.
        heads: group of each file.
        rng: decides the order.
        shares: of the splits to fill, in any unit.
    """
    whole = sum(shares.values())
    members: dict[int, list[int]] = defaultdict(list)
    for position, head in enumerate(heads):
        members[head].append(position)
    shuffled = rng.permutation(sorted(members)).tolist()
    # Powers of four as size classes: blocks of neighbours before groups of copies before single files.
    shuffled.sort(key=lambda head: -((len(members[head]).bit_length() + 1) // 2))
    target = np.outer([share / whole for share in shares.values()], np.bincount(labels, minlength=len(LABELS)))
    filled = np.zeros_like(target)
    names = [""] * len(labels)
    for head in shuffled:
        size = np.bincount([labels[position] for position in members[head]], minlength=len(LABELS))
        lack = target - filled
        # Half a file of slack: targets are fractions, counts are not.
        room = np.all((size == 0) | (lack + 0.5 >= size), axis=1)
        # With room nowhere, the split that lacks most takes the group.
        need = np.where(room, (lack / np.maximum(target, 1)) @ size, -np.inf) if room.any() else lack @ size
        chosen = int(np.argmax(need))
        filled[chosen] += size
        for position in members[head]:
            names[position] = list(shares)[chosen]
    return names


def leaks(result: Audit, manifest: Manifest) -> dict[str, int]:
    """How many files of val and of test show a picture that train also holds, in any orientation or encoding.

    0 in a grouped split; in a plain one it is what flatters the figures.
    """
    head_of = {record.path: head for record, head in zip(result.readable, result.copy_groups(), strict=True)}
    trained = {head_of[item.path] for item in manifest.items if item.split == "train"}
    return {
        name: sum(head_of[item.path] in trained for item in manifest.items if item.split == name)
        for name in SPLITS
        if name != "train"
    }


def _is_split(given: Sequence[str | None]) -> bool:
    """Whether every file has a split by its folders, of train and at least one more."""
    return None not in given and "train" in given and len(set(given)) > 1


def _check(
    labels: Sequence[int],
    heads: Sequence[int],
    names: Sequence[str],
    policy: str,
    dataset: str,
    needed: Sequence[str],
) -> None:
    for split_name in SPLITS:
        present = {LABELS[label] for label, name in zip(labels, names, strict=True) if name == split_name}
        for label_name in needed:
            if label_name not in present:
                if policy == "folders":
                    raise CrackError(
                        f"the folders of data set {dataset} hold no usable {label_name} image for {split_name}. "
                        "Add some there, or draw the split anew with --policy grouped."
                    )
                plain = (
                    ", or choose --policy plain, which parts them"
                    if policy == "grouped" and len(set(heads)) < len(heads)
                    else ""
                )
                raise CrackError(
                    f"data set {dataset} with --policy {policy} leaves no {label_name} image for {split_name}: "
                    f"it has too few images or too few groups ({len(set(heads))}). Add images{plain}."
                )
    if policy == "grouped":
        sides: dict[int, set[str]] = defaultdict(set)
        for head, name in zip(heads, names, strict=True):
            sides[head].add(name)
        assert all(len(side) == 1 for side in sides.values()), "a group lies on two sides of the split"
