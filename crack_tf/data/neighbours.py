"""Files that belong together besides copies: tiles of one photograph. A neighbour rule gives them a common key.

A rule maps (paths, group of copies of each file) to one key per file, None for files that have no neighbours.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from crack_tf.common import mined

NeighbourRule = Callable[[Sequence[str], Sequence[int]], list[str | None]]


def photograph_keys(paths: Sequence[str], copies: Sequence[int]) -> list[str | None]:
    """Neighbour rule of SDNET2018: tiles are named photograph-tile, "7074-105.jpg" is tile 105 of photograph 7074.

    Numbering starts again in each part of the full set (decks, pavements, walls), so the folder above the class folder
    belongs to the key.

    Args:
        paths: of the files, relative to the data set's folder.
        copies: group of copies of each file; not used by this rule.
    """
    keys: list[str | None] = []
    for path in paths:
        *folders, name = path.split("/")
        photograph, dash, _ = name.rpartition("-")
        keys.append("/".join([*folders[:-1], photograph]) if dash else None)
    return keys


def crop_rule(*patterns: str) -> NeighbourRule:
    """A neighbour rule for crops named after their photograph: what is left of a file's stem once its ending is cut off.

    Folders do not count, since the published sets lay crops of one photograph into one folder per split.

    Args:
        patterns: regular expressions of the whole stem; the first that fits decides, its group 1 is the photograph. A name
            that fits none is a photograph by itself.

    Example:
        crop_rule(r"(.+)_\\d+_\\d+")(["images/20160222_115219_1281_361.jpg"], [0])  # ["20160222_115219"]
    """
    compiled = [re.compile(pattern) for pattern in patterns]

    def keys(paths: Sequence[str], copies: Sequence[int]) -> list[str | None]:
        # Some names end in .jpg.jpg.
        stems = [re.sub(r"(\.[a-z]+)+$", "", path.rpartition("/")[2].lower()) for path in paths]
        matches = [next(filter(None, (pattern.fullmatch(stem) for pattern in compiled)), None) for stem in stems]
        return [match[1] if match else stem for match, stem in zip(matches, stems, strict=True)]

    return keys


def folder_rule(pattern: str) -> NeighbourRule:
    """As `crop_rule`, where the folder is part of a photograph's name."""
    within = crop_rule(pattern)

    def keys(paths: Sequence[str], copies: Sequence[int]) -> list[str | None]:
        folders = (path.rpartition("/")[0] for path in paths)
        return [f"{folder}/{key}" for folder, key in zip(folders, within(paths, copies), strict=True)]

    return keys


def number_blocks(length: int) -> NeighbourRule:
    """A neighbour rule for numbered pictures: blocks of `length` numbers stay together, each kind of name by itself.

    Folders do not count. A name without a number has no neighbours.
    """

    def keys(paths: Sequence[str], copies: Sequence[int]) -> list[str | None]:
        matches = [re.search(r"([^/]*?)(\d+)\.\w+$", path) for path in paths]
        return [match and f"{match[1]} {int(match[2]) // length}" for match in matches]

    return keys


# Crack500: photograph, then the crop's offset.
crack500_photographs = crop_rule(r"(.+?)_\d+_\d+")
# DeepCrack: photograph, then the crop's number; 11123 and 11123-1 are crops of one.
deepcrack_photographs = crop_rule(r"(.+)-\d+")
# The Conglomerate keeps the names of the sets it took from: Rissbilder and Volker end in the crop's box, crack-free walls in the
# crop's number within the wall, Crack500's and DeepCrack's own names stand behind a prefix.
conglomerate_photographs = crop_rule(
    r"(crack500_.+?)_\d+_\d+", r"(deepcrack_.+)-\d+", r"(noncrack_.+)_\d+", r"(.+?)_\d+_\d+_\d+_\d+"
)

# Bridge decks: photograph, then the tile's number.
bridge_deck_photographs = crop_rule(r"(.+)_\d+")
# Asphalt from a drone: the photograph's own name, then the crop's number.
uav_asphalt_photographs = crop_rule(r"(.+?)\.jpg_\d+_z")
# CSSC: the first three digits are the photograph; each class folder numbers its own.
cssc_photographs = folder_rule(r"\D*(\d{3}).*")
# Concrete walls from a drone: pictures are numbered along the flight, and neighbours overlap.
uav_concrete_stretches = number_blocks(100)
# Scenes: number within the source, photograph, then scale and place of the crop, or that it is whole. The source is the folder.
scene_photographs = folder_rule(r"\d+_(.+?)_(?:s\d+_\d+_\d+|whole)")
mined_photographs = crop_rule(mined.TILE)  # neighbours overlap

# Joints: kind, number, then the set and the group of the concrete they are drawn on; with and without the crack.
joint_surfaces = crop_rule(r"[a-z]+-\d+-(.+)")

METU_BLOCK = 100  # file numbers per block, see `metu_blocks`
METU_REACH = (
    500  # numbers; a tile farther than this from every tile with a copy keeps its own place (330 at most occur)
)
METU_ORDERED = 15000  # the positives up to this number follow the source photographs in order
_METU_POSITIVE = re.compile(r"positive/(\d+)(?:_\d+)?\.\w+$", re.IGNORECASE)


def metu_blocks(paths: Sequence[str], copies: Sequence[int]) -> list[str | None]:
    """Neighbour rule of METU: positives up to 15000 in blocks of 100 file numbers, by their place among the originals.

    Positives 1 to 15000 run through the source photographs *twice*: 05573 is a re-encoding of 00056, 05762 of 00214, and
    most of 5500-10300 and of 12100-15000 shadow the numbers before them at a slowly drifting distance. Tiles there that
    have no copy still show the photographs of their neighbours that do (their colours correlate with the tiles at the
    shadowed place, 0.62, nearly as well as with their own neighbours, 0.75). A tile's *place* is therefore its number
    minus the distance of the nearest-numbered tile that has a copy: copies and same-photograph tiles of both runs meet in
    one block. Blocks of raw numbers would be chained together by the copies, up to half of the positives in one group.

    The colour correlation of neighbours falls from 0.75 to 0.4 within 15 numbers (one photograph) and to 0.14 beyond 120
    (one series). A block of 100 is several photographs long, so few photographs are cut by its ends, and 11,000 tiles
    still give some 85 blocks to deal out.

    Positives above 15000 are turned copies: they follow their original through `copies` and get no block of their own. In a
    selection of METU that lacks the original, such a tile stands alone (or with its other copies), on any side: its
    photograph is not known. Nor does the rule see tiles that overlap without being copies, the same crack some pixels
    further on; a pair of those is on two sides when its originals are far apart in number.

    Args:
        paths: of the files, relative to the data set's folder.
        copies: group of copies of each file.
    """
    number: dict[int, int] = {}
    for position, path in enumerate(paths):
        match = _METU_POSITIVE.search(path)
        if match and int(match[1]) <= METU_ORDERED:
            number[position] = int(match[1])
    lowest: dict[int, int] = {}
    members: dict[int, int] = defaultdict(int)
    for position, value in number.items():
        head = copies[position]
        lowest[head] = min(value, lowest.get(head, value))
        members[head] += 1
    anchors = sorted((value, value - lowest[copies[p]]) for p, value in number.items() if members[copies[p]] > 1)
    places = np.array([value for value, _ in anchors])
    keys: list[str | None] = [None] * len(paths)
    for position, value in number.items():
        head = copies[position]
        if members[head] > 1:
            place = lowest[head]
        elif anchors:
            right = int(np.searchsorted(places, value))
            near = min(
                (k for k in (right - 1, right) if 0 <= k < len(anchors)), key=lambda k: abs(anchors[k][0] - value)
            )
            reached = abs(anchors[near][0] - value) <= METU_REACH
            place = max(1, value - anchors[near][1]) if reached else value
        else:
            place = value
        keys[position] = f"block {(place - 1) // METU_BLOCK}"
    return keys
