"""Tiles in folders: which sub-folder is which class, and how a manifest names the place."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

import numpy as np

from crack_tf.data.neighbours import NeighbourRule
from crack_tf.data.records import Record, read_record
from tflite.errors import CrackError
from tflite.formats import PHOTOGRAPH_SUFFIXES
from tflite.images import list_images
from tflite.manifest import LABELS, SPLITS
from tflite.photographs import list_pictures

DATA_VARIABLE = "CRACK_TF_DATA"
_CRACK = {"crack", "cracks", "cracked", "positive", "positives", "with_crack", "with_cracks", "cd", "cp", "cw"}
_NO_CRACK = {
    *("no_crack", "no_cracks", "nocrack", "non_crack", "noncrack", "non_cracked", "noncracked", "not_cracked"),
    *("uncracked", "un_cracked", "negative", "negatives", "without_crack", "without_cracks", "ud", "up", "uw"),
}
_NO_CRACK_ENDING = "_no_crack"  # spalling_no_crack: other damage, and no crack
_ASIDE = {"mask", "masks", "label", "labels", "annotation", "annotations", "ground_truth", "gt"}
_SPLIT_FOLDER = re.compile(
    r"(?:(train|training)|(val|valid|validation)|(test|testing))[_ -]?(?:(?:set|data|crop|img|image|photo|lab|label|mask|gt)s?|\d{4})?"
)
_DEPTH = 3  # SDNET2018 keeps its classes one level down (Walls/Cracked), Kaggle archives add another

# Reads one file: its record, and its grey thumbnail uint8 (64, 64), or None when it cannot be used.
Reader = Callable[[], tuple[Record, np.ndarray | None]]


@dataclass(frozen=True)
class Source:
    """Where the images of a data set lie on this machine.

    Attributes:
        name: registry name or folder name.
        folder: that exists and holds the class folders.
        root: the folder as a manifest writes it; starts with $CRACK_TF_DATA when it lies below that.
        licence: of the images, as far as known.
        neighbours: rule for files that belong together besides copies, or None.
        task: "classify"; `crack_tf.data.pairs.PairSource` is the one with masks.
        classes: labels that the set must hold; `CleanSource` holds one.
        twins: whether pictures that are alike but for a crack, one of each class, are meant, and none has a wrong label.
    """

    name: str
    folder: Path
    root: str
    licence: str
    neighbours: NeighbourRule | None = None
    twins: bool = field(default=False, kw_only=True)

    @property
    def task(self) -> str:
        return "classify"

    @property
    def classes(self) -> tuple[str, ...]:
        return LABELS

    def readers(self) -> list[Reader]:
        """One reader per file, sorted by path.

        Raises:
            CrackError: see `files`.
        """
        return [partial(read_record, self.folder, path, label) for path, label in self._found]

    def listing(self) -> list[str]:
        """Path of every file that the data set consists of, relative to the folder, sorted.

        Raises:
            CrackError: see `files`.
        """
        return [path for path, _ in self._found]

    @cached_property
    def _found(self) -> list[tuple[str, int]]:
        """What one look at the folder finds: an audit asks several times, and to look at ten thousand files takes a second."""
        return self.files()

    def files(self) -> list[tuple[str, int]]:
        """(path relative to the folder, label) of every image in a class folder, sorted.

        Raises:
            CrackError: see `class_folders`; also when a class folder holds no image.
        """
        files = []
        for label, folders in enumerate(class_folders(self.folder)):
            images = [path for folder in folders for path in list_images(folder)]
            if not images:
                raise CrackError(
                    f"the {LABELS[label]} folder {folders[0]} holds no image. Put the {LABELS[label]} tiles there."
                )
            files += [(path.relative_to(self.folder).as_posix(), label) for path in images]
        return sorted(files)


@dataclass(frozen=True)
class CleanSource(Source):
    """Pictures without any crack, in folders of any name: scenes, structures, surfaces. Every one has label 0."""

    @property
    def classes(self) -> tuple[str, ...]:
        return LABELS[:1]

    def files(self) -> list[tuple[str, int]]:
        """(path relative to the folder, 0) of every image, sorted.

        Raises:
            CrackError: if there is none.
        """
        images = list_images(self.folder)
        if not images:
            raise CrackError(
                f"{self.folder} holds no image. Put the crack-free pictures there, in folders if you like."
            )
        return sorted((path.relative_to(self.folder).as_posix(), 0) for path in images)


def class_folders(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders of clean and of cracked tiles below `folder`, recognised by name whatever their case.

    Raises:
        CrackError: if a class is missing, or a folder of images beside the class folders has an unknown name.
    """
    found: tuple[list[Path], list[Path]] = ([], [])
    strangers: list[Path] = []
    _sort_folders(folder, _DEPTH, found, strangers)
    if not all(found):
        seen = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        loose = sum(path.parent == folder for path in list_images(folder))
        held = f"sub-folders: {', '.join(seen) or 'none'}; images outside them: {loose}"
        if any(found):
            missing = LABELS[0] if not found[0] else LABELS[1]
            raise CrackError(
                f"{folder} has only one class: no {missing} folder ({held}). Both crack and no_crack are needed."
            )
        raise CrackError(
            f"{folder} has no class folders ({held}). Expected one sub-folder per class, such as crack and no_crack, "
            "or Positive and Negative; for masks images and masks. Annotations of CVAT, LabelMe, COCO or VOC: crack-tf data convert."
        )
    if strangers:
        known = ", ".join(path.name for side in found for path in side)
        names = ", ".join(path.name for path in strangers)
        raise CrackError(
            f"{folder} is ambiguous: besides the class folders ({known}) it holds images in {names}. "
            "Move those away, or rename them to crack or no_crack."
        )
    return found


def label_of(name: str) -> int | None:
    """The label that a class's name stands for, whatever its case: 1 cracked, 0 clean, None unknown."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return 1 if plain in _CRACK else 0 if plain in _NO_CRACK or plain.endswith(_NO_CRACK_ENDING) else None


def has_class_folders(folder: Path) -> bool:
    """Whether there is a folder named like a class, at any depth that `class_folders` looks at."""
    found: tuple[list[Path], list[Path]] = ([], [])
    _sort_folders(folder, _DEPTH, found, [])
    return any(found)


def folder_split(path: str) -> str | None:
    """The split that a file's folders say it belongs to: train, val or test; None where none of them is named so.

    The names are those that exports and published sets use: `train/`, `valid/`, `test_img/`, `val2017/`. The outermost counts.

    Args:
        path: relative to the data set's folder, with "/".
    """
    for part in PurePosixPath(path).parts[:-1]:
        match = _SPLIT_FOLDER.fullmatch(part.lower())
        if match:
            return next(name for name, found in zip(SPLITS, match.groups(), strict=True) if found)
    return None


def passed_over(source: Source, near: bool = False) -> dict[str, int]:
    """Number of the files below a data set's folder that are no part of it, by suffix, the most frequent first.

    Pictures are counted with the folder they lie in, such as ".png in masks/"; hidden files as "hidden"; `troubles` not at all.

    Args:
        source: that was audited.
        near: only those that lie in the same folders as its own files: these may have been meant.

    Raises:
        CrackError: see `Source.files`.
    """
    own = set(source.listing()) | {path for path, _ in troubles(source)}
    places = {path.rpartition("/")[0] for path in own}
    counts: Counter[str] = Counter()
    for folder, _, names in os.walk(source.folder):
        below = Path(folder).relative_to(source.folder)
        place = "" if below == Path(".") else below.as_posix()
        if near and place not in places:
            continue
        for name in names:
            if f"{place}/{name}".lstrip("/") not in own:
                counts[_kind(below, name)] += 1
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def troubles(source: Source) -> list[tuple[str, str]]:
    """(path relative to the folder, reason) of links, folders and pipes below it that cannot be looked at: they may hold pictures.

    A link that leads to the folder of a class, or of photographs or masks, was followed; what is below it is looked at instead.
    """
    followed = {parent for path in source.listing() for parent in PurePosixPath(path).parents}
    found: list[tuple[str, str]] = []
    folders = [source.folder]
    while folders:
        for trouble in list_pictures(folders.pop()).troubles:
            path = trouble.path.relative_to(source.folder)
            if PurePosixPath(path) in followed:
                folders.append(trouble.path)
            else:
                found.append((path.as_posix(), trouble.reason))
    return sorted(found)


def _kind(folder: Path, name: str) -> str:
    if any(part.startswith(".") for part in (*folder.parts, name)):
        return "hidden"
    suffix = Path(name).suffix.lower()
    if suffix in PHOTOGRAPH_SUFFIXES and folder.parts:
        return f"{suffix} in {folder.parts[0]}/"
    return suffix or "without a suffix"


def portable_root(folder: Path) -> str:
    """$CRACK_TF_DATA/name for folders below it, so that a manifest serves every machine; else the full path."""
    root = os.environ.get(DATA_VARIABLE)
    if root and folder.is_relative_to(Path(root).resolve()):
        relative = folder.relative_to(Path(root).resolve()).as_posix()
        return f"${DATA_VARIABLE}" if relative == "." else f"${DATA_VARIABLE}/{relative}"
    return folder.as_posix()


def _sort_folders(folder: Path, depth: int, found: tuple[list[Path], list[Path]], strangers: list[Path]) -> None:
    others = []
    known = False
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        label = label_of(path.name)
        if label is not None:
            found[label].append(path)
            known = True
        elif path.name.lower().replace("-", "_").replace(" ", "_") not in _ASIDE:
            others.append(path)
    for path in others:
        if known:
            if list_images(path):
                strangers.append(path)
        elif depth > 1:
            _sort_folders(path, depth - 1, found, strangers)
