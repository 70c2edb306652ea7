"""The photographs that files and folders given by the user stand for, each with a name that can be printed and stored."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crack_tf.inference.predictions import OVERLAYS
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.formats import SUFFIXES
from tflite.outputs import refuse_inside
from tflite.photographs import list_photographs, text_of

_LONGEST_NAME = 200  # bytes of a photograph's name that its overlay repeats


@dataclass(frozen=True)
class Named:
    """A photograph to classify.

    Attributes:
        path: of the file.
        name: the same as text that any file can hold.
        overlay: of its picture, below the output folder.
        trouble: why it cannot be looked at, known before it is tried; None where it may be tried.
    """

    path: Path
    name: str
    overlay: str
    trouble: str | None = None


def find_photos(paths: Sequence[Path], out: Path | None) -> tuple[list[Named], int]:
    """All photographs that files and folders given by the user stand for, each once.

    A file is taken whatever its name; in folders, what is no photograph by name and content is passed over and counted, and what
    may hide photographs (a link to nothing, a folder that cannot be read) is one that cannot be read.

    Args:
        paths: files and folders.
        out: where results will be written.

    Returns:
        The photographs in the order given, folders sorted; and the number of files passed over.

    Raises:
        CrackError: if a path does not exist, a folder holds an earlier run's results or the output folder, or there is no photograph.
    """
    found: dict[Path, tuple[Path, Path]] = {}  # by real path: as given, and relative to the folder it was found in
    troubles: dict[Path, Named] = {}
    skipped, only_results = 0, ""
    for given in paths:
        if not isinstance(given, str | os.PathLike):
            raise CrackError(
                f"photographs are files and folders in one flat list, which holds something of type {type(given).__name__}."
            )
        path = Path(given)
        if not path.exists():
            raise CrackError(f"{path} does not exist. Give image files or folders of them.")
        if not path.is_dir():
            found.setdefault(path.resolve(), (path, Path(path.name)))
            continue
        listing = list_photographs(path)
        if out is not None:
            refuse_inside(out, path, "overlays")
        skipped += len(listing.others)
        only_results = only_results or listing.results_note(path)
        for results in listing.results:
            print(
                f"note: {text_of(results)} holds results of an earlier run, no photographs: passed over",
                file=sys.stderr,
            )
        if (drawn := listing.drawn_note(path)) is not None:
            print(f"note: {drawn}", file=sys.stderr)
        for image in listing.photographs:
            found.setdefault(image.resolve(), (image, image.relative_to(path)))
        for trouble in listing.troubles:
            name, overlay = text_of(trouble.path), f"{OVERLAYS}/{text_of(trouble.path.relative_to(path))}.png"
            troubles[trouble.path] = Named(trouble.path, name, overlay, f"{name} {trouble.reason}.")
    if not found and not troubles:
        raise CrackError(
            f"no photograph in {', '.join(map(str, paths))}: files ending in {', '.join(sorted(SUFFIXES))} are looked for."
            + only_results
        )
    taken = Counter(relative for _, relative in found.values())
    names = Counter(text_of(path) for path, _ in found.values())
    photos = [
        Named(path, _name(path, names), _overlay_name(path, relative, taken)) for path, relative in found.values()
    ]
    return [*photos, *troubles.values()], skipped


def _overlay_name(path: Path, relative: Path, taken: Counter[Path]) -> str:
    """The photograph's name below its folder; photographs of one name from several folders get a mark of their folder."""
    *folders, name = (_shortened(text_of(Path(part)), part) for part in relative.parts)
    if taken[relative] > 1:
        name = f"{name}-{sha256_bytes(os.fsencode(path.resolve().parent))[:8]}"
    return "/".join([OVERLAYS, *folders, f"{name}.png"])


def _shortened(text: str, part: str) -> str:
    """A name that still fits into a file system's 255 bytes with what is added to it; a long one is cut and gets a hash."""
    whole = text.encode()
    if len(whole) <= _LONGEST_NAME:
        return text
    return f"{whole[:_LONGEST_NAME].decode(errors='ignore')}-{sha256_bytes(os.fsencode(part))[:8]}"


def _name(path: Path, names: Counter[str]) -> str:
    """A path as text; two that are alike only as text, for their bytes are no text, get a mark."""
    text = text_of(path)
    return text if names[text] == 1 else f"{text}#{sha256_bytes(os.fsencode(path))[:8]}"
