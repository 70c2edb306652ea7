"""One manifest from several data sets, so that one model learns from all of them.

Tiles with a label and photographs with masks mix too. A classifier then learns from views cut out of the photographs, labelled by
their masks; a segmentation model from the crack-free tiles, whose masks are empty. Cracked tiles without a mask do not teach it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from crack_tf.common.progress import bar
from crack_tf.data.duplicates import find_copies
from crack_tf.data.folders import portable_root
from crack_tf.data.records import grey_thumbnail
from tflite.errors import CrackError
from tflite.images import decode_rgb
from tflite.manifest import Item, Manifest
from tflite.words import counted


def mix(manifests: Sequence[Manifest], threads: int | None = None) -> Manifest:
    """Put several manifests into one: each keeps its splits, and its groups get the data set's name in front.

    The root becomes the folder that all images lie below, $CRACK_TF_DATA where that is one.

    Args:
        manifests: two or more, of tiles, of pairs or of both, of data sets with different names.
        threads: that decode, to look for copies; None for one per core.

    Returns:
        A manifest called "metu+sdnet2018", with the licences side by side, and the policy "mixed" where the policies differ.

    Raises:
        CrackError: if there are fewer than two, two sets have one name or share a picture (also turned or encoded anew), one was
            made from another split of a set than the one given, an image cannot be read, or there is no common folder.
    """
    if len(manifests) < 2:
        raise CrackError(f"a mix takes two manifests or more, got {len(manifests)}.")
    _check_names(manifests)
    _refuse_shared_pictures([manifest for manifest in manifests if not _follows(manifest, manifests)], threads)
    folders = [manifest.folder().resolve() for manifest in manifests]
    root = _common_folder(folders)
    items = [
        _moved(item, PurePosixPath(folder.relative_to(root).as_posix()), manifest.dataset)
        for manifest, folder in zip(manifests, folders, strict=True)
        for item in manifest.items
    ]
    policies = {manifest.policy for manifest in manifests}
    seeds = {manifest.seed for manifest in manifests}
    return Manifest(
        dataset="+".join(manifest.dataset for manifest in manifests),
        policy=policies.pop() if len(policies) == 1 else "mixed",
        seed=seeds.pop() if len(seeds) == 1 else 0,
        root=portable_root(root),
        licence="; ".join(f"{manifest.dataset}: {manifest.licence}" for manifest in manifests),
        items=tuple(sorted(items)),
    )


def _check_names(manifests: Sequence[Manifest]) -> None:
    names = [manifest.dataset for manifest in manifests]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CrackError(
            f"two of the manifests are of a data set named {twice!r}. Rename the folder of one, and split it again."
        )


def _follows(manifest: Manifest, manifests: Sequence[Manifest]) -> bool:
    """Whether every picture was made from one of the mix's other sets and stands in that one's split, as transplants do.

    They resemble what they were made from, and are not compared with it.

    Raises:
        CrackError: if they were made from another split of that set.
    """
    groups = {other.dataset: {(item.group, item.split) for item in other.items} for other in manifests}
    hashes = {item.sha256 for other in manifests if other is not manifest for item in other.items}
    if any(domain_of(item) not in groups or item.sha256 in hashes for item in manifest.items):
        return False
    for item in manifest.items:
        dataset, _, group = item.group.partition("/")
        if (group, item.split) not in groups[dataset]:
            raise CrackError(
                f"{item.path} of {manifest.dataset} was made for split {item.split!r} from group {group} of {dataset}, which is not "
                f"there in the manifest given. Give the manifest that it was made from, or make {manifest.dataset} anew."
            )
    return True


def _refuse_shared_pictures(manifests: Sequence[Manifest], threads: int | None) -> None:
    """A picture in two sets could be trained on in one and tested on in the other; collections do repeat other sets."""
    owners = [number for number, manifest in enumerate(manifests) for _ in manifest.items]
    items = [item for manifest in manifests for item in manifest.items]

    def thumbnail(position: int) -> np.ndarray:
        item = items[position]
        return grey_thumbnail(
            Image.fromarray(decode_rgb(manifests[owners[position]].read(item), item.path)).convert("L")
        )

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        results = bar(pool.map(thumbnail, range(len(items))), "reading", len(items), "file")
        thumbnails = np.stack(list(results))
    copies = find_copies(thumbnails, [item.sha256 for item in items], owners=owners)
    shared = [copy for copy in copies if owners[copy.first] != owners[copy.second]]
    if shared:
        first, second = shared[0].first, shared[0].second
        sets = [manifests[number].dataset for number in owners]
        named = f"{items[first].path} of {sets[first]} and {items[second].path} of {sets[second]}"
        raise CrackError(
            f"{counted(len(shared), 'picture is', 'pictures are')} in two of the data sets. The first ({shared[0].kind}): {named}. "
            "Remove them from one of the two, and split it again."
        )


def _common_folder(folders: Sequence[Path]) -> Path:
    named = ", ".join(str(folder) for folder in folders)
    advice = "Move the data sets below one folder, such as $CRACK_TF_DATA, and split them again."
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # different drives
        raise CrackError(f"the images have no folder in common: {named}. {advice}") from None
    if common == Path(common.anchor):
        raise CrackError(f"the images have no folder in common but {common}: {named}. {advice}")
    return common


def _moved(item: Item, below: PurePosixPath, dataset: str) -> Item:
    mask = (below / item.mask).as_posix() if item.mask else ""
    return replace(item, path=(below / item.path).as_posix(), group=f"{dataset}/{item.group}", mask=mask)


def domain_of(item: Item) -> str:
    """The data set that an item of a mix comes from; empty for an item of a single set."""
    return item.group.partition("/")[0] if "/" in item.group else ""
