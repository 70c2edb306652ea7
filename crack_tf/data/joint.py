"""One training set that is honest for two splits at once.

Training a network twice, once per split policy, doubles the cost. A joint manifest trains on the tiles that both splits train on;
the one model that comes out can then be tested on the plain test split (as published figures are) and on the grouped one.
"""

from __future__ import annotations

from dataclasses import replace

from tflite.errors import CrackError
from tflite.manifest import Manifest


def joint_manifest(plain: Manifest, grouped: Manifest) -> Manifest:
    """Combine a plain and a grouped split of the same files.

    * train: tiles that are in both training splits.
    * val: the grouped validation tiles that are not plain test tiles; no copy of them is trained on.
    * test: tiles of either test split. Evaluate on the two manifests themselves for the two figures.

    Tiles that fit none (trained on in one split, validated on in the other) are left out.

    Raises:
        CrackError: if the two do not list the same files.
    """
    one, other = ({item.path: item for item in manifest.items} for manifest in (plain, grouped))
    if {p: i.sha256 for p, i in one.items()} != {p: i.sha256 for p, i in other.items()}:
        raise CrackError(
            f"manifests {plain.name} and {grouped.name} do not list the same files: split the same folder twice."
        )
    items = []
    for path, item in sorted(other.items()):
        splits = (one[path].split, item.split)
        if "test" in splits:
            items.append(replace(item, split="test"))
        elif splits == ("train", "train") or item.split == "val":
            items.append(item)
    return replace(grouped, policy="joint", items=tuple(items), source=None)
