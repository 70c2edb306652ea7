"""Where a structure's tiles come from: a reviewed survey, a folder of sorted tiles, or photographs without any label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from crack_tf.adaptation.config import BETTER_LABELS, FEW_LABELS, LEAST_LABELS, AdaptConfig
from crack_tf.adaptation.tiles import ASSUMED, PERSON, UNLABELLED, SiteTiles, join
from crack_tf.data.audit import audit
from crack_tf.data.cache import load_split
from crack_tf.data.folders import has_class_folders, label_of
from crack_tf.data.notes import trouble_notes, unreadable_notes
from crack_tf.data.registry import DATASETS, locate
from crack_tf.data.split import group_heads
from crack_tf.inference.tiles import photo_boxes
from crack_tf.survey.findings import FILE_NAME, Survey, read_survey
from crack_tf.survey.reviews.review import Review, carried, read_kept, read_review
from crack_tf.survey.reviews.review_tiles import export_tiles
from tflite.device.tiles import MIN_SIDE, Box, tile_boxes
from tflite.errors import CrackError, ImageError
from tflite.images import load_rgb, resize_rgb
from tflite.manifest import LABELS, Item, Manifest, read_manifest
from tflite.photographs import list_photographs
from tflite.words import counted, not_read, without_name

REVIEW, TILES, FLIGHT = "review", "tiles", "photographs"  # kinds of source
PER_PHOTO = 24  # tiles cut of a photograph without labels
MOST_UNLABELLED = 600
MOST_AROUND = 120  # clean tiles around findings
# Tiles that this project cuts are named after their photograph or finding, and their place.
_CUT = re.compile(r"(.+?)(?:-x\d+-y\d+|_[0-9a-f]{8}_\d+_\d+_\d+)")


@dataclass(frozen=True)
class Site:
    """A structure's tiles.

    Attributes:
        kind: REVIEW, TILES or FLIGHT.
        tiles: at the model's input size.
        notes: what could not be used, a line each; a gap, never crack-free.
        licence: of the images, as far as known.
    """

    kind: str
    tiles: SiteTiles
    notes: tuple[str, ...]
    licence: str


def kind_of(source: str) -> str:
    """What a source is.

    Raises:
        CrackError: if it is none of the three.
    """
    path = Path(source)
    if source in DATASETS or source.lower().endswith(".csv"):
        return TILES
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CrackError(
            f"{source} {what}: give the folder of a finished survey, of tiles in crack/ and no_crack/, or of photographs."
        )
    if (path / FILE_NAME).is_file():
        return REVIEW
    if has_class_folders(path):
        return TILES
    if list_photographs(path).photographs:
        return FLIGHT
    raise CrackError(
        f"{source} holds no {FILE_NAME} of a survey, no class folders and no photographs: there is nothing to adapt to."
    )


def read_site(config: AdaptConfig, size: int, tile_side: int, work: Path) -> Site:
    """Read a source's tiles.

    Args:
        config: what the source is and what goes with it.
        size: side of the model's input.
        tile_side: of tiles that are cut from photographs, in pixels.
        work: folder for tiles of a review.

    Raises:
        CrackError: if there is nothing to read, the review is of another survey, or the labels are too few or of one kind.
    """
    kind = kind_of(config.source)
    if kind != REVIEW and config.review:
        raise CrackError(
            f"--review {config.review}: {config.source} is no finished survey. Give the folder that the report lies in."
        )
    if kind != REVIEW and config.photos:
        raise CrackError(f"--photos {config.photos}: only the photographs of a survey are looked at. Leave it out.")
    if kind != FLIGHT and config.shapes:
        raise CrackError(
            f"--shapes {config.shapes[0]}: cracks are laid into photographs without labels only, and {config.source} has labels. Leave "
            "it out."
        )
    if kind == REVIEW:
        site = _reviewed(config, size, tile_side, work)
    elif kind == TILES:
        site = _sorted(config.source, size)
    else:
        site = flight(config.source, size, tile_side, config.seed)
    if kind != FLIGHT:
        check_labels(site.tiles, config.source)
    return site


def check_labels(tiles: SiteTiles, source: str) -> None:
    """Refuse labels that nothing can be learned from and held against.

    Raises:
        CrackError: if they are too few, of one kind, or those of one kind are of one photograph.
    """
    told = tiles.with_origin(PERSON)
    labels = tiles.labels[told]
    counts = {name: int((labels == label).sum()) for label, name in enumerate(LABELS)}
    held = ", ".join(f"{count} {name}" for name, count in counts.items())
    missing = [name for name, count in counts.items() if not count]
    if missing:
        raise CrackError(
            f"{source} has labels of one kind only ({held}): no {' and no '.join(missing)}. Both are needed; a rejected finding, or a "
            "photograph of a clean wall, is the cheapest there is."
        )
    if len(labels) < LEAST_LABELS:
        raise CrackError(
            f"{source} has {counted(len(labels), 'label')} ({held}): give {LEAST_LABELS} or more, better {BETTER_LABELS}."
        )
    for label, name in enumerate(LABELS):
        photos = {photo for photo, own, by in zip(tiles.photos, tiles.labels, told, strict=True) if by and own == label}
        if len(photos) < 2:
            raise CrackError(
                f"all {name} labels of {source} are of one photograph ({min(photos)}), and none could be held out: a model is never "
                "tested on a photograph that it learned from. Label another photograph."
            )


def note_on_few(tiles: SiteTiles) -> str:
    """What is said at once where so few labels of a kind can hardly show that a model is better; "" where there are enough, or none."""
    told = tiles.labels[tiles.with_origin(PERSON)]
    counts = [int((told == label).sum()) for label in range(len(LABELS))]
    if not any(counts) or min(counts) >= FEW_LABELS:
        return ""
    held = ", ".join(f"{count} {name}" for count, name in zip(counts, LABELS, strict=True))
    return (
        f"{counted(len(told), 'label')} ({held}): most likely too few to show that anything is better; label {BETTER_LABELS}, half of "
        "them cracks"
    )


def review_of(config: AdaptConfig, survey: Survey) -> Review | None:
    """The review that is named, else the one that the survey's folder keeps; None where there is neither."""
    return read_review(config.review, survey) if config.review else read_kept(Path(config.source))


def _reviewed(config: AdaptConfig, size: int, tile_side: int, work: Path) -> Site:
    """Tiles of decided findings, and of what lies around them."""
    folder = Path(config.source)
    survey = read_survey(folder)
    given = review_of(config, survey)
    # Without --review: a kept review may hold comments alone.
    if given is None or not (config.review or any(entry.decision for entry in given.decisions.values())):
        raise CrackError(
            f"{folder} is a survey without a decision on any finding: name the review that its report.html exports with --review FILE. "
            "Which findings to look at first: --suggest 20"
        )
    review, left = carried(given, survey)
    stated = survey.settings.get("tile_side")
    side = config.tile_side or (stated if isinstance(stated, int) and stated >= MIN_SIDE else tile_side)
    exported = export_tiles(folder, survey, review, work, side, overwrite=True)
    photo_of = {finding.id: finding.photo for finding in survey.findings}
    notes = [f"of the review, {left}"] if left else []
    notes += [f"no tile of finding {name}: {reason}" for name, reason in exported.skipped.items()]
    images, labels, photos, names = [], [], [], []
    for label, name in enumerate(LABELS):
        for path in sorted((work / name).glob("*.png")):
            images.append(load_rgb(path, size))
            labels.append(label)
            photos.append(photo_of[path.name.partition("-")[0]])
            names.append(path.name)
    tiles = _tiles(images, labels, photos, names, PERSON, size)
    if config.photos:
        around, unread = _around(Path(config.photos), survey, side, size, config.seed)
        tiles, notes = join([tiles, around]), [*notes, *unread]
    return Site(REVIEW, tiles, tuple(notes), "not stated")


def _around(folder: Path, survey: Survey, side: int, size: int, seed: int) -> tuple[SiteTiles, list[str]]:
    """Tiles of the surveyed photographs that no finding comes near: the model sees nothing there, and nobody looked."""
    if not folder.is_dir():
        raise CrackError(f"--photos {folder} is no folder: give the one that was surveyed.")
    rng = np.random.default_rng(seed)
    there = [photo for photo in survey.photos if (folder / photo.name).is_file()]
    if not there:
        raise CrackError(
            f"--photos {folder} holds none of the survey's photographs. Give the folder that was surveyed."
        )
    each = max(1, -(-MOST_AROUND // len(there)))
    images: list[np.ndarray] = []
    photos, names, notes = [], [], []
    for photo in there:
        near = [finding.box for finding in survey.findings if finding.photo == photo.name]
        try:
            pixels = load_rgb(folder / photo.name)
        except ImageError as error:
            notes.append(not_read(photo.name, without_name(str(error), str(folder / photo.name))))
            continue
        height, width = pixels.shape[:2]
        boxes = [box for box in tile_boxes(width, height, side) if not any(_close(box, other, side) for other in near)]
        for place in sorted(rng.permutation(len(boxes))[:each]):
            box = boxes[int(place)]
            images.append(resize_rgb(pixels[box.y : box.y + box.h, box.x : box.x + box.w], size))
            photos.append(photo.name)
            names.append(f"around/{photo.name}-x{box.x}-y{box.y}")
    return _tiles(images, [0] * len(images), photos, names, ASSUMED, size), notes


def _close(box: Box, other: Box, reach: int) -> bool:
    return (
        box.x < other.x + other.w + reach
        and other.x < box.x + box.w + reach
        and box.y < other.y + other.h + reach
        and other.y < box.y + box.h + reach
    )


def _sorted(source: str, size: int) -> Site:
    """Tiles in class folders, or of a manifest."""
    notes: list[str] = []
    manifest = read_manifest(source) if source.lower().endswith(".csv") else _listed(source, notes)
    if manifest.task != "classify":
        raise CrackError(f"{source} holds masks: give tiles in crack/ and no_crack/.")
    tiles = load_split(manifest, "all", size)
    names = tuple(item.path for item in tiles.items)
    photos = photographs_of(tiles.items)
    found = SiteTiles(np.asarray(tiles.images), tiles.labels, photos, names, (PERSON,) * len(names))
    return Site(TILES, found, tuple(notes), manifest.licence)


def _listed(source: str, notes: list[str]) -> Manifest:
    """A folder's tiles with their groups of copies and neighbours, not split: a few dozen are too few for that."""
    place = locate(source)
    if place.task != "classify":
        raise CrackError(f"{source} holds masks: give tiles in crack/ and no_crack/.")
    result = audit(place)
    notes += [*unreadable_notes(result), *trouble_notes(result)]
    items = [
        Item(record.path, record.sha256, record.label, f"g{head:05d}", "train")
        for record, head in zip(result.readable, group_heads(result), strict=True)
    ]
    return Manifest(place.name, "grouped", 0, place.root, place.licence, tuple(sorted(items)))


def photographs_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The photograph that each tile is from, as far as folders, names and copies tell; else the tile itself.

    A folder below the class's is a photograph, and so is what is left of the names that this project gives to tiles when their place
    is cut off. Tiles of one group of a manifest (copies, neighbours) belong together too.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    keys = []
    for item in items:
        group = f"group {item.group}"
        *folders, name = PurePosixPath(item.path).parts
        place = max(
            (number for number, folder in enumerate(folders, 1) if label_of(folder) is not None), default=len(folders)
        )
        below = "/".join(folders[place:])
        cut = _CUT.fullmatch(name.rpartition(".")[0])
        key = below or (cut[1] if cut else "")
        keys.append(key)
        if key:
            parent[root(group)] = root(f"photo {key}")
    named: dict[str, str] = {}
    for item, key in zip(items, keys, strict=True):
        top = root(f"group {item.group}")
        named[top] = min(filter(None, (named.get(top), key or item.path)))
    return tuple(named[root(f"group {item.group}")] for item in items)


def flight(source: str, size: int, side: int, seed: int = 0) -> Site:
    """Tiles of photographs that nobody has looked at, spread over them.

    Raises:
        CrackError: if none of them can be read.
    """
    listing = list_photographs(Path(source))
    rng = np.random.default_rng(seed)
    each = max(1, min(PER_PHOTO, MOST_UNLABELLED // max(1, len(listing.photographs))))
    photographs = list(listing.photographs)
    if len(photographs) > MOST_UNLABELLED:
        photographs = [photographs[int(place)] for place in sorted(rng.permutation(len(photographs))[:MOST_UNLABELLED])]
    notes = [not_read(trouble.path.name, f"{trouble.reason}.") for trouble in listing.troubles]
    images: list[np.ndarray] = []
    photos, names = [], []
    for path in photographs:
        name = path.relative_to(source).as_posix()
        try:
            pixels = load_rgb(path)
        except ImageError as error:
            notes.append(not_read(name, without_name(str(error), str(path))))
            continue
        height, width = pixels.shape[:2]
        boxes = photo_boxes(width, height, side, 0.0)
        for place in sorted(rng.permutation(len(boxes))[:each]):
            box = boxes[int(place)]
            images.append(resize_rgb(pixels[box.y : box.y + box.h, box.x : box.x + box.w], size))
            photos.append(name)
            names.append(f"{name}-x{box.x}-y{box.y}")
    if len(set(photos)) < 2:
        raise CrackError(
            f"{source} has fewer than two photographs that can be read: none could be held out. Give more."
        )
    tiles = _tiles(images, [0] * len(images), photos, names, UNLABELLED, size)
    return Site(FLIGHT, replace(tiles, labels=np.full(len(tiles), -1, np.int8)), tuple(notes), "not stated")


def _tiles(
    images: Sequence[np.ndarray],
    labels: Sequence[int],
    photos: Sequence[str],
    names: Sequence[str],
    origin: str,
    size: int,
) -> SiteTiles:
    pixels = np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8)
    return SiteTiles(pixels, np.array(labels, np.int8), tuple(photos), tuple(names), (origin,) * len(names))
