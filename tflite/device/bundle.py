"""An unpacked bundle: what `bundle.json` says is in the folder, and whether it is.

`crack-tf bundle` packs one on the workstation. Its index names every other file with size and sha256 and carries a hash
of itself, since a card that loses bytes loses them anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, sha256_file

FORMAT = "crack_tf.bundle/1"
REFERENCE_FORMAT = "crack_tf.reference/1"
CHECK_FORMAT = "crack_tf.check/1"  # of what `tflite.device check` writes
INDEX = "bundle.json"
REFERENCE = "evaluation/reference.json"
MANIFEST = "evaluation/manifest.csv"
MODELS = "models"
COMPILED = f"{MODELS}/edgetpu"  # for a Coral stick; apart, since no other delegate runs them
# Folders that hold nothing but the bundle's own files. Beside them the user keeps what he likes: results, an environment.
FOLDERS = ("evaluation", MODELS, "tflite")
_DIGEST = "index_sha256"
_AGAIN = "Copy and unpack the bundle again."


@dataclass(frozen=True)
class PackedFile:
    """One file of a bundle.

    Attributes:
        path: relative to the bundle's folder, with "/".
        bytes: its size.
        sha256: of its content.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle.

    Attributes:
        folder: where it lies.
        record: the content of `bundle.json`.
        files: every file but `bundle.json`, sorted by path.
    """

    folder: Path
    record: dict[str, Any]
    files: tuple[PackedFile, ...]

    @property
    def sha256(self) -> str:
        """The index's, and so that of everything in the bundle."""
        return str(self.record[_DIGEST])

    def models(self, compiled: bool = False) -> list[Path]:
        """The .tflite files, sorted: those for the CPU, or those compiled for the Edge TPU."""
        wanted = COMPILED if compiled else MODELS
        paths = [self.folder / file.path for file in self.files if file.path.endswith(".tflite")]
        return [path for path in paths if path.parent == self.folder / wanted]


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The index with its own hash added, as `read_bundle` expects it."""
    return {**record, _DIGEST: _digest(record)}


def read_bundle(folder: str | Path) -> Bundle:
    """Read and check the index of an unpacked bundle. The files themselves are left to `file_problems`.

    Raises:
        CrackError: if there is no index, it is damaged or was edited, or it is of another format.
    """
    folder = Path(folder)
    path = folder / INDEX
    if not path.is_file():
        raise CrackError(
            f"{folder.resolve()} is not an unpacked bundle (no {INDEX}). Change to its folder, or name it: --bundle DIR."
        )
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise CrackError(f'{path} says format {record.get("format")!r}, expected "{FORMAT}". Make the bundle again.')
    try:
        if record.get(_DIGEST) != _digest({key: value for key, value in record.items() if key != _DIGEST}):
            raise ValueError("its content does not match its own sha256")
        return Bundle(folder, record, _packed_files(record))
    except (ValueError, KeyError, TypeError) as error:
        raise CrackError(f"{path} is damaged or was edited ({error}). {_AGAIN}") from None


def file_problems(bundle: Bundle) -> list[str]:
    """One line per file that is missing, truncated, changed, unreadable or not of the bundle; empty when all is well."""
    problems = []
    for file in bundle.files:
        path = bundle.folder / file.path
        try:
            size = path.stat().st_size
            if not path.is_file():
                problems.append(f"changed: {file.path} is not a file")
            elif size < file.bytes:
                problems.append(f"truncated: {file.path} has {size} of {file.bytes} bytes")
            elif size > file.bytes:
                problems.append(f"changed: {file.path} has {size} bytes instead of {file.bytes}")
            elif sha256_file(path) != file.sha256:
                problems.append(f"changed: {file.path} has the right size and other bytes (sha256 differs)")
        except FileNotFoundError:
            problems.append(f"missing: {file.path}")
        except OSError as error:
            problems.append(f"unreadable: {file.path} ({error.strerror})")
    return problems + [f"extra: {name} is no part of the bundle: move it elsewhere" for name in _extra(bundle)]


def read_reference(bundle: Bundle) -> dict[str, Any]:
    """The recorded answers, as `crack-tf bundle` wrote them.

    Raises:
        CrackError: if the file is missing, no JSON, or of another format.
    """
    path = bundle.folder / REFERENCE
    record = read_json(path)
    if record.get("format") != REFERENCE_FORMAT:
        raise CrackError(f'{path} says format {record.get("format")!r}, expected "{REFERENCE_FORMAT}". {_AGAIN}')
    return record


def is_plain(path: str) -> bool:
    """Whether a path stays inside the folder it is joined to, on any system: relative, with "/", nothing but names."""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and not {"..", "/"} & set(parts) and "\\" not in path


def _packed_files(record: Mapping[str, Any]) -> tuple[PackedFile, ...]:
    files = []
    for entry in record["files"]:
        file = PackedFile(entry["path"], entry["bytes"], entry["sha256"])
        if not isinstance(file.path, str) or not is_plain(file.path) or file.path == INDEX:
            raise ValueError(f"file path {file.path!r}")
        if type(file.bytes) is not int or file.bytes < 0 or not re.fullmatch("[0-9a-f]{64}", str(file.sha256)):
            raise ValueError(f"size or sha256 of {file.path}")
        files.append(file)
    paths = [file.path for file in files]
    if paths != sorted(set(paths)):
        raise ValueError("its files are not sorted, or one is named twice")
    if needed := sorted({REFERENCE, MANIFEST} - set(paths)):
        raise ValueError(f"it names no {' and no '.join(needed)}")
    if not any(path.endswith(".tflite") for path in paths):
        raise ValueError("it names no model")
    return tuple(files)


def _extra(bundle: Bundle) -> list[str]:
    """Files in the bundle's own folders that the index does not name; Python's compiled ones are expected there."""
    known = {file.path for file in bundle.files}
    return sorted(
        name
        for folder in FOLDERS
        for path in (bundle.folder / folder).rglob("*")
        if not path.is_dir()
        and "__pycache__" not in path.parts
        and (name := path.relative_to(bundle.folder).as_posix()) not in known
    )


def _digest(record: Mapping[str, Any]) -> str:
    return sha256_bytes(json.dumps(record, sort_keys=True, allow_nan=False).encode())
