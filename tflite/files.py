"""Files that are whole or absent: temporary name, fsync, rename. Nothing is overwritten by accident."""

from __future__ import annotations

import contextlib
import csv
import errno
import fcntl
import glob
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tflite.errors import CrackError

# Reading the umask means setting it, for all threads at once: done a single time, while there is one.
_UMASK = os.umask(0)
os.umask(_UMASK)
# What spreadsheets take for a formula, after the apostrophes that a text of its own may begin with.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RANDOM_CHARACTERS = 8  # that tempfile.mkstemp puts into a name
_LONGEST_STEM, _LONGEST_SUFFIX = 200, 20  # bytes of a name that its temporary name repeats


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that becomes `path` when the block ends well, and is removed when it does not.

    The temporary name keeps the suffix, since Keras, matplotlib and Pillow choose their format by it; the file is locked, so that
    `remove_stale` passes it over. A file that is replaced hands its permissions on; a new one follows the user's umask.

    Raises:
        CrackError: if `path` is a folder, a folder above it cannot be made or is a file, or somebody removes it meanwhile.

    Example:
        with atomic_path("model.keras") as temporary:
            model.save(temporary)
    """
    path = Path(path)
    if path.is_dir():
        raise CrackError(f"{path} is a folder, and a file of that name is to be written. Choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise CrackError(f"{path} cannot be written: part of {path.parent} is a file. Choose another name.") from None
    except FileNotFoundError:  # in /proc and the like
        raise CrackError(f"{path} cannot be written: {path.parent} cannot be made. Choose another place.") from None
    prefix, suffix = _temporary_affixes(path.name)
    gone = CrackError(f"{path} cannot be written: {path.parent} was removed while that was done.")
    try:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
    except FileNotFoundError:
        raise gone from None
    temporary = Path(name)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes files private.
        temporary.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_UMASK)
        temporary.replace(path)
    except FileNotFoundError:
        if temporary.exists():
            raise
        raise gone from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of a write, which does not say to which file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def remove_stale(paths: Iterable[Path]) -> None:
    """Remove temporary files of `atomic_path` that killed processes left; what is being written, or cannot be told from that, stays."""
    for path in list(paths):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            finally:
                os.close(handle)


def temporary_pattern(name: str | Path) -> str:
    """What `atomic_path` calls a file before it is whole, as a pattern for `Path.glob` beside it.

    Args:
        name: a pattern itself when it is text, one very file when it is a path.
    """
    if not isinstance(name, Path) and name.endswith("*"):  # which may stand for a suffix as well
        dot = "" if name.endswith(".*") else "."
        return f".{name}{dot}{'?' * _RANDOM_CHARACTERS}.partial*"
    prefix, suffix = _temporary_affixes(name.name if isinstance(name, Path) else name)
    if isinstance(name, Path):
        prefix, suffix = glob.escape(prefix), glob.escape(suffix)
    return f"{prefix}{'?' * _RANDOM_CHARACTERS}{suffix}"


def _temporary_affixes(name: str) -> tuple[str, str]:
    """Beginning and end of a temporary name. A long name is cut: with its affixes it must fit into the 255 bytes of a name."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    return f".{os.fsdecode(os.fsencode(stem)[:_LONGEST_STEM])}.", f".partial{dot}{suffix}"


def require_folder(out: Path) -> None:
    """Refuse a path that is no folder and cannot become one.

    Raises:
        CrackError: if it is a file or below one, a link that leads nowhere, or in a folder that takes nothing.
    """
    require_above(out)
    if os.path.lexists(out) and not out.is_dir():
        raise CrackError(f"--out {out} is {_what(out)}: name a folder.")


def require_above(path: Path) -> None:
    """Refuse a path below a file, or one that is not there yet in a folder that takes nothing.

    Raises:
        CrackError: naming the file or folder.
    """
    for above in path.parents:
        if os.path.lexists(above) and not above.is_dir():
            raise CrackError(f"{path} cannot be written: {above} is {_what(above)}. Choose another name.")
    if not os.path.lexists(path):
        there = next((above for above in path.parents if above.is_dir()), None)
        if there is not None and not _takes_folders(there):
            raise CrackError(f"{path} cannot be written: nothing can be made in {there}. Choose another place.")


def _takes_folders(folder: Path) -> bool:
    """Whether something can be made in a folder, by its rights, and by trying where its file system has no disk, as /proc."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    if os.statvfs(folder).f_blocks:
        return True
    try:
        os.rmdir(tempfile.mkdtemp(dir=folder))
    except OSError:
        return False
    return True


def _what(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return "a link that leads nowhere"
    return "a file"


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically. A lone surrogate, as in a name of broken bytes, becomes an escape such as \\udcff."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with a two-space indent and a final newline. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    # A lone surrogate, which names of files can bring, becomes what JSON itself writes for it: \udc80.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def parse_json(text: str | bytes) -> Any:
    """JSON as the standard has it: NaN, Infinity and numbers too large for a double are refused, as they are on writing.

    Raises:
        ValueError, RecursionError: if it is none.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CrackError: if the file is missing or unreadable, is not JSON, or is not an object.
    """
    path = Path(path)
    try:
        value = parse_json(path.read_text(encoding="utf-8-sig"))  # editors put a byte order mark in front
    except FileNotFoundError:
        raise CrackError(f"{path} does not exist.") from None
    except OSError as error:
        raise CrackError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise CrackError(f"{path} is not valid JSON ({error}). It may be truncated; make it again.") from None
    if not isinstance(value, dict):
        raise CrackError(f"{path} holds a JSON {type(value).__name__}, expected an object. Is it the right file?")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no number in JSON")
    return value


def run_name(path: str | Path) -> str:
    """Name of the folder a model belongs to: the one it lies in, or the one above where that is a run's export folder."""
    folder = Path(path).resolve().parent
    return folder.parent.name if folder.name == "export" else folder.name


def write_csv(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write dictionaries as CSV rows; columns are those given, or the union over the rows in order of appearance.

    Raises:
        ValueError: if a row has a key that is no column.
    """
    rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    with stream_csv(path, columns) as write:
        for row in rows:
            write(row)


@contextmanager
def stream_csv(path: str | Path, columns: Sequence[str]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that writes one row; the file appears when the block ends well. See `write_csv`."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(csv_line(columns))

        def write(row: Mapping[str, Any]) -> None:
            if unknown := sorted(set(row) - {*columns}):
                raise ValueError(f"row has {', '.join(map(str, unknown))}, which is no column")
            stream.write(csv_line([row.get(column) for column in columns]))

        yield write


def csv_line(cells: Sequence[Any]) -> bytes:
    """One row as every CSV file of the project has it: UTF-8, line feed, quoted where a cell holds a quote, a comma or a line end.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, which `csv_rows` takes away again: names of files
    and comments may come from anybody. Numbers stay as they are.
    """
    texts = [_csv_cell(cell) for cell in cells]
    line = ",".join(texts) if texts != [""] else '""'  # a blank line is no row
    return f"{line}\n".encode("utf-8", "backslashreplace")


def csv_rows(lines: Iterable[str], delimiter: str = ",") -> Iterator[dict[Any, Any]]:
    """Rows of CSV with a header as `csv.DictReader` has them, text as `csv_line` was given it."""
    for row in csv.DictReader(lines, delimiter=delimiter):
        yield {name: _without_guard(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def _without_guard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _csv_cell(value: Any) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    if any(character in text for character in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header, cells as text. A spreadsheet may have saved it: with a byte order mark, and with semicolons.

    Raises:
        CrackError: if the file is missing or unreadable, or is not CSV in UTF-8.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            return list(csv_rows(stream, ";" if header.count(";") > header.count(",") else ","))
    except FileNotFoundError:
        raise CrackError(f"{path} does not exist.") from None
    except OSError as error:
        raise CrackError(f"{path} cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CrackError(f"{path} cannot be read ({error}).") from None


def cell_value(text: str | None) -> str | int | float | None:
    """What `write_csv` was given for a cell: an int, a float, None for an empty cell, otherwise the text."""
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def sha256_bytes(data: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file, read in blocks. hashlib.file_digest would do, but devices may run Python 3.10."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def refuse_existing(path: str | Path, overwrite: bool, hint: str = "Choose another name, or add --overwrite.") -> None:
    """Raise when `path` cannot be made, or exists and may not be replaced. An empty folder counts as absent.

    Raises:
        CrackError: if the path exists and `overwrite` is false; see also `require_above`.
    """
    path = Path(path)
    require_above(path)
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise CrackError(f"{path} exists already. {hint}")
