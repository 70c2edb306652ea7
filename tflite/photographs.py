"""Which photographs a folder holds, told by one function for every verb and for the device. Standard library only.

A photograph is what has the name or the first bytes of one. What looks like one and cannot be opened, and folders that were not
entered, are listed with the reason: they may hide cracks.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from tflite.formats import HEAD, NO_PHOTOGRAPHS, PHOTOGRAPH_SUFFIXES, recognise


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
    """

    photographs: tuple[Path, ...]
    troubles: tuple[Trouble, ...]
    others: tuple[Path, ...]


def list_photographs(folder: str | Path) -> Listing:
    """All photographs below a folder. Hidden files and folders are passed over, links to folders are not followed.

    Args:
        folder: may itself be a link or hidden.
    """
    photographs: list[Path] = []
    troubles: list[Trouble] = []
    others: list[Path] = []
    folders = [Path(folder)]
    while folders:
        current = folders.pop()
        try:
            with os.scandir(current) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            troubles.append(Trouble(current, f"is a folder that cannot be read ({error.strerror})"))
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
                photographs.append(path)
            else:
                others.append(path)
    return Listing(
        tuple(sorted(photographs)), tuple(sorted(troubles, key=lambda trouble: trouble.path)), tuple(sorted(others))
    )


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
