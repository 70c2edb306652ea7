"""What a verb may replace: what it wrote itself, known again by a mark, and nothing else. Every `--overwrite` goes through here.

A folder of results has a mark of its kind: a file that the verb writes first (such as config.json of a training), or last; until
then `.crack_tf.json` says whose the half-made folder is. `--overwrite` demands the mark, removes only files of the names that the
verb itself gives, and leaves everything else where it is. A single file is known by its content.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite.errors import CrackError
from tflite.files import (
    read_json,
    refuse_existing,
    remove_stale,
    require_above,
    require_folder,
    temporary_pattern,
    write_json,
)
from tflite.locks import FolderLock

MARK = ".crack_tf.json"
MARK_FORMAT = "crack_tf.output/1"
Inputs = Iterable[str | Path | None]
_HINT = "Choose another --out, or add --overwrite."


@dataclass(frozen=True)
class Output:
    """A kind of result.

    Attributes:
        made_by: the command that writes it, as in messages.
        known: whether the folder or file at a path is one. It may raise what reading a damaged one raises: that is none.
        files: of a folder: what the verb writes in it, as patterns for `Path.glob`.
        first: the file among them that makes a folder known and that is written first; None where `making` marks it.
    """

    made_by: str
    known: Callable[[Path], bool]
    files: tuple[str, ...] = ()
    first: str | None = None


def json_with(name: str, *keys: str, format: str | None = None) -> Callable[[Path], bool]:
    """For `Output.known`: the folder's file of that name is a JSON object with these keys, and of that format in any version.
    A name of "" is the path itself.
    """

    def known(path: Path) -> bool:
        record = read_json(path / name if name else path)
        family = None if format is None else format.rpartition("/")[0]
        return set(keys) <= set(record) and (family is None or str(record.get("format")).rpartition("/")[0] == family)

    return known


def csv_with(name: str, *columns: str) -> Callable[[Path], bool]:
    """For `Output.known`: the folder's file of that name is a CSV whose header has these columns. "" is the path itself."""

    def known(path: Path) -> bool:
        with (path / name if name else path).open(newline="", encoding="utf-8") as stream:
            return set(columns) <= set(next(csv.reader(stream), ()))

    return known


def check_folder(out: Path, output: Output, overwrite: bool, *, inputs: Inputs = (), hint: str = _HINT) -> None:
    """Find out whether a verb may write its results into a folder, before anything expensive is done. Nothing is removed but
    what a killed run of the same kind left half-written.

    Args:
        out: the folder, which need not exist.
        output: what is to be written there.
        overwrite: replace an earlier one.
        inputs: what the verb reads; None is passed over.
        hint: what to do about a folder that is in use.

    Raises:
        CrackError: if it is a file, in use and not to be overwritten, or what is there must not be replaced: no result of this
            kind, a link, the home folder, the present one, "/", or around an input.
    """
    require_folder(out)
    if overwrite:
        _check_place(out, inputs)
    remove_leftovers(out, output)
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        refuse_existing(out, False, hint)
    if not _is_known(out, output):
        raise CrackError(
            f"--overwrite: {out} holds no result of {output.made_by}, so it is left alone. Choose another --out, or empty the "
            "folder yourself."
        )


def refuse_inside(out: Path, source: Path, results: str, option: str = "", named: str = "--out") -> None:
    """Refuse a folder of results in a folder of photographs: this project knows its own results, other programs do not.

    Args:
        out: of the results.
        source: a folder of photographs; a file passes.
        results: what could be taken for photographs, such as "tiles".
        option: that names the source; empty where it has none.
        named: the option that names `out`.

    Raises:
        CrackError: naming both.
    """
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise CrackError(
            f"{named} {out} lies in {f'{option} ' if option else ''}{source}: its {results} would lie among the photographs, and other "
            "programs would take them for some. Choose a folder outside of it."
        )


def check_file(path: Path, output: Output, overwrite: bool, *, inputs: Inputs = (), hint: str = _HINT) -> None:
    """Find out whether a verb may write a file. See `check_folder`.

    Raises:
        CrackError: if it is a folder, exists and is not to be overwritten, or what is there must not be replaced.
    """
    require_above(path)
    if path.is_dir():
        raise CrackError(f"{path} is a folder, and a file of that name is to be written. Choose another name.")
    if path.parent.is_dir():
        remove_stale(path.parent.glob(temporary_pattern(path)))
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise CrackError(f"{path} exists already. {hint}")
    _check_place(path, inputs)
    if not _holds(output.known, path):
        raise CrackError(
            f"--overwrite: {path} was not written by {output.made_by}, so it is left alone. Choose another name, or remove the "
            "file yourself."
        )


def clear_folder(out: Path, output: Output) -> list[str]:
    """Remove an earlier result from a folder that `check_folder` let through: its files, then folders that became empty.

    The first file stays, so that a run killed now leaves a folder that is still known; the new run replaces it.

    Returns:
        What else lies in the folder, names in order.
    """
    first = set() if output.first is None else {output.first}
    if out.is_dir() and _is_known(out, output):
        remove_files(out, (path for path in own_files(out, output) if path.relative_to(out).as_posix() not in first))
    return sorted({path.name for path in out.iterdir()} - {*first, MARK}) if out.is_dir() else []


@contextmanager
def making(out: Path, output: Output, overwrite: bool, clear: bool = True) -> Iterator[Path]:
    """Make a folder of results that is known only when it is whole: lock it, mark it, clear it of an earlier one, yield it.

    The mark stays when the block raises or the process is killed, so that `--overwrite` knows what is there. With `clear` false
    the earlier files stay for the block to use.

    Raises:
        CrackError: if another process is writing there, or has since `check_folder` and is not to be overwritten.
    """
    with FolderLock(out):
        refuse_existing(out, overwrite, _HINT)
        write_mark(out, output)
        if clear:
            remove_files(out, own_files(out, output))
        yield out
        (out / MARK).unlink(missing_ok=True)


def write_mark(out: Path, output: Output, **more: Any) -> None:
    """Mark a folder as one of this kind, whatever lies in it; `more` is kept in the mark, JSON values."""
    write_json(out / MARK, {"format": MARK_FORMAT, "made_by": output.made_by, **more})


def read_mark(out: Path, output: Output) -> dict[str, Any] | None:
    """What `making` left in a folder of this kind; None where there is nothing."""
    try:
        record = read_json(out / MARK)
    except CrackError:
        return None
    return record if (record.get("format"), record.get("made_by")) == (MARK_FORMAT, output.made_by) else None


def own_files(out: Path, output: Output) -> Iterator[Path]:
    """The files in a folder that bear a name this kind of result gives. Links, and what lies beyond them, belong to somebody else."""
    for pattern in output.files:
        for path in out.glob(pattern):
            if path.is_file() and not any(part.is_symlink() for part in (path, *_between(out, path))):
                yield path


def remove_files(out: Path, paths: Iterable[Path]) -> None:
    """Remove files below a folder, and folders below it that became empty."""
    paths = list(paths)
    _remove(paths)
    for folder in sorted({part for path in paths for part in _between(out, path)}, reverse=True):
        with contextlib.suppress(OSError):  # somebody's files are in it
            folder.rmdir()


def remove_leftovers(out: Path, output: Output) -> None:
    """Remove files that a killed run of this kind left half-written, known by their temporary names; what is being written stays."""
    for pattern in output.files:
        folder, _, name = pattern.rpartition("/")
        if out.is_dir():
            remove_stale(
                path
                for path in out.glob(f"{folder}/{temporary_pattern(name)}" if folder else temporary_pattern(name))
                if not any(part.is_symlink() for part in (path, *_between(out, path)))
            )


def _is_known(out: Path, output: Output) -> bool:
    return read_mark(out, output) is not None or _holds(output.known, out)


def _holds(known: Callable[[Path], bool], path: Path) -> bool:
    try:
        return known(path)
    except Exception:  # missing, damaged, or of another kind: JSON, zip and picture readers raise nearly anything then
        return False


def _check_place(out: Path, inputs: Inputs) -> None:
    """Refuse places that are never overwritten, whatever is there."""
    if out.is_symlink():
        raise CrackError(f"--overwrite: {out} is a link to {os.readlink(out)}. Name the place itself.")
    place = out.resolve()
    homes = [place for place in (_home(),) if place is not None]
    if place in (Path.cwd(), *homes, *(above for home in homes for above in home.parents), Path(place.anchor)):
        raise CrackError(
            f"--overwrite: {out} is the present folder, the home folder or one above. Choose another --out."
        )
    for source in inputs:
        if source is None or not os.path.lexists(source):  # the name of a data set or model
            continue
        found = Path(source).resolve()
        if place == found or place in found.parents:
            where = "is the input itself" if place == found else f"holds the input {source}"
            raise CrackError(f"--overwrite: {out} {where}. Choose another --out.")


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None


def _between(out: Path, path: Path) -> list[Path]:
    """The folders from a path up to, not including, `out`."""
    return [above for above in path.parents if above != out and out in above.parents]


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)
