"""Which photographs a folder holds, told by one function for every verb and for the device. Standard library only.

A photograph is what has the name or the first bytes of one. What looks like one and cannot be opened, and folders that were not
entered, are listed with the reason: they may hide cracks. Folders that a survey or another verb wrote hold pictures of photographs, not
photographs: they are known by their own record, refused where asked for and listed apart below. Single pictures that this project drew are
listed apart too, by the mark in their files (`tflite.drawn`).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tflite.errors import CrackError
from tflite.formats import ENDS, HEAD, NO_PHOTOGRAPHS, PHOTOGRAPH_SUFFIXES, is_drawn, recognise
from tflite.words import counted, storable

# The files that crack-tf survey, photo segment and predict write first into their folders, and what these say of themselves.
_RECORDS = ("settings.json", "segment.json", "predictions.jsonl")
# Their folders of pictures, and the file that photo segment writes beside those of one photograph.
_PARTS, _OF_PHOTOGRAPH = ("pictures", "overlays", "since"), "cracks.json"
_FORMAT = re.compile(rb'^\s*\{\s*"format":\s*"crack_tf\.(survey|photo_segment|predictions)/')
_VERBS = {b"survey": "survey", b"photo_segment": "photo segment", b"predictions": "predict"}


@dataclass(frozen=True)
class Trouble:
    """A photograph, or a folder that may hold some, that cannot be looked at.

    Attributes:
        path: of the file, link or folder.
        reason: a sentence without the path and its full stop.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        photographs: files, sorted by path.
        troubles: what cannot be looked at, sorted by path.
        others: files that are no photographs by name and content, sorted by path.
        results: folders that a verb of this project wrote, which were not entered, sorted by path.
        drawn: pictures that this project drew, such as overlays and masks, sorted by path.
    """

    photographs: tuple[Path, ...]
    troubles: tuple[Trouble, ...]
    others: tuple[Path, ...]
    results: tuple[Path, ...] = ()
    drawn: tuple[Path, ...] = ()

    def results_note(self, folder: str | Path) -> str:
        """What to do where nothing but results lies below a folder, to be said behind "no photograph"; "" where there are none."""
        if not self.results:
            return ""
        first, folders = text_of(self.results[0].relative_to(folder)), counted(len(self.results), "folder")
        return (
            f" Results of an earlier run lie there, in {folders}, the first {first}: their pictures are no photographs. Give the folder of "
            "the photographs that these are of; to go on with a run, with its folder as --out."
        )

    def drawn_note(self, folder: str | Path) -> str | None:
        """A sentence, without its full stop, about `drawn` below a folder; None where there is none."""
        if not self.drawn:
            return None
        count = "1 picture" if len(self.drawn) == 1 else f"{len(self.drawn):,} pictures"
        return f"{count} that crack_tf drew passed over, the first {text_of(self.drawn[0].relative_to(folder))}: no photograph"


def list_photographs(folder: str | Path) -> Listing:
    """All photographs below a folder. Hidden files and folders are passed over, links to folders are not followed.

    Args:
        folder: may itself be a link or hidden.

    Raises:
        CrackError: if a verb of this project wrote the folder, or its pictures: cracks on these were counted on the photographs already.
    """
    return _list(Path(folder), refuse=True)


def list_pictures(folder: str | Path) -> Listing:
    """The same for data sets, whose folder is entered whatever wrote it."""
    return _list(Path(folder), refuse=False)


def _list(folder: Path, *, refuse: bool) -> Listing:
    photographs: list[Path] = []
    troubles: list[Trouble] = []
    others: list[Path] = []
    results: list[Path] = []
    drawn: list[Path] = []
    if refuse:
        _refuse_part(folder)
    folders = [folder]
    while folders:
        current = folders.pop()
        try:
            with os.scandir(current) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            troubles.append(Trouble(current, f"is a folder that cannot be read ({error.strerror})"))
            continue
        named = [current / entry.name for entry in entries if entry.name in _RECORDS]
        wrote = next(filter(None, map(_wrote, named)), None) if refuse or current != folder else None
        if wrote is not None and current == folder:
            raise CrackError(
                f"{text_of(folder)} holds what crack-tf {wrote} found: its pictures are no photographs. Give the folder of the photographs "
                "that it looked at; a single picture is taken by its own name."
            )
        if wrote is not None:
            results.append(current)
            continue
        for entry in entries:
            path = current / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                continue
            reason = _trouble(entry, path)
            if reason:
                troubles.append(Trouble(path, reason))
            elif _is_photograph(path):
                (drawn if _is_drawn(path, entry) else photographs).append(path)
            else:
                others.append(path)
    return Listing(
        tuple(sorted(photographs)),
        tuple(sorted(troubles, key=lambda trouble: trouble.path)),
        tuple(sorted(others)),
        tuple(sorted(results)),
        tuple(sorted(drawn)),
    )


def _refuse_part(folder: Path) -> None:
    """Refuse a folder of pictures that a verb of this project cut out or drew, named by hand.

    Raises:
        CrackError: naming the folder of results that it is part of.
    """
    place = Path(os.path.realpath(folder))
    for above in place.parents:
        verb = next(filter(None, (_wrote(above / name) for name in _RECORDS)), None)
        if verb is not None and (place.relative_to(above).parts[0] in _PARTS or (place / _OF_PHOTOGRAPH).is_file()):
            raise CrackError(
                f"{text_of(folder)} is part of what crack-tf {verb} found, in {text_of(above)}: its pictures are no photographs. Give the "
                "folder of the photographs that it looked at; a single picture is taken by its own name."
            )


def _wrote(record: Path) -> str | None:
    """The verb of this project whose record a file is, or None."""
    try:
        if not record.is_file():
            return None
        with record.open("rb") as stream:
            found = _FORMAT.match(stream.read(256))
    except OSError:
        return None
    return None if found is None else _VERBS[found[1]]


def _trouble(entry: os.DirEntry[str], path: Path) -> str | None:
    """Why an entry that is no folder cannot be a file to read, or None."""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if entry.is_symlink():
            return f"is a link to a file that is not there ({error.strerror})"
        return f"cannot be opened ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "is a link to a folder, which is not followed: give that folder itself"
    # A pipe or socket of another program is no photograph, unless it is called one.
    if not stat.S_ISREG(mode) and path.suffix.lower() in PHOTOGRAPH_SUFFIXES:
        return "is not a file"
    return None


def _is_photograph(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PHOTOGRAPH_SUFFIXES:
        return True
    if suffix in NO_PHOTOGRAPHS or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return recognise(stream.read(HEAD)) is not None
    except OSError:  # nobody knows what it is; it has not the name of a photograph
        return False


def _is_drawn(path: Path, entry: os.DirEntry[str]) -> bool:
    """Whether a file is a picture that this project drew."""
    try:
        found = entry.stat()
        return stat.S_ISREG(found.st_mode) and _has_mark(path, found.st_size, found.st_mtime_ns)
    except OSError:  # whoever reads it will say so
        return False


@lru_cache(maxsize=1 << 16)
def _has_mark(path: Path, size: int, modified_ns: int) -> bool:
    # A folder that is followed is listed every second: a file is read again only where it changed.
    with path.open("rb") as stream:
        ends = stream.read(ENDS)
        if size > ENDS:
            stream.seek(max(ENDS, size - ENDS))
            ends += stream.read(ENDS)
    return is_drawn(ends)


def text_of(path: Path) -> str:
    """A path that can be printed and stored, whatever bytes its name holds."""
    return storable(path.as_posix())
