"""Is this still the file that a record is about, and are these still the settings? One rule for every verb that goes on after a stop.

A file is the same when its content is, by sha256. The content is read again only where that could come out differently: a file of
another size is another one, and one whose size and both times are as recorded was not written to since. The second time, of the
last change to the file or its entry (ctime), is what copying or `touch` cannot set back.

A model is the same when its file's hash is: its name is for people, and two files may share one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tflite.errors import CrackError
from tflite.files import sha256_bytes, sha256_file

_NAMES = {"model": "model_sha256", "name": "sha256"}  # of models, and what stands beside them
_SAMPLES, _SAMPLE = 16, 1 << 20  # of a large file, and bytes of each


@dataclass(frozen=True)
class FileState:
    """What a file was like when it was read.

    Attributes:
        bytes: its size.
        sha256: of its content.
        modified_us: its mtime, microseconds since 1970: a number that every JSON reader keeps. None where it is not known.
        changed_us: its ctime, likewise.
    """

    bytes: int
    sha256: str
    modified_us: int | None = None
    changed_us: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For a record."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Any) -> FileState | None:
        """What `as_json` gave; None where a record has none, or something else."""
        if not isinstance(record, Mapping) or not isinstance(record.get("sha256"), str):
            return None
        size, *times = (record.get(name) for name in ("bytes", "modified_us", "changed_us"))
        if not isinstance(size, int):
            return None
        return cls(size, record["sha256"], *(time if isinstance(time, int) else None for time in times))


def read_file(path: str | Path) -> tuple[bytes, FileState]:
    """A file's content and state.

    Raises:
        OSError: if it cannot be read.
    """
    path = Path(path)
    # Before the content: a file that is written to meanwhile then looks changed, and is compared by content.
    times = _times(path.stat())
    data = path.read_bytes()
    return data, FileState(len(data), sha256_bytes(data), *times)


def is_same(path: str | Path, recorded: FileState | None) -> bool:
    """Whether a file is the one that was recorded; False where nothing was, or the file cannot be read.

    Args:
        path: of the file.
        recorded: its state then.
    """
    if recorded is None:
        return False
    try:
        now = Path(path).stat()
        if now.st_size != recorded.bytes:
            return False
        return _times(now) == (recorded.modified_us, recorded.changed_us) or sha256_file(path) == recorded.sha256
    except OSError:
        return False


def is_other(path: str | Path, recorded: FileState | None, now: FileState | None = None) -> bool:
    """Whether a file is another one than the one recorded; False where nothing was.

    Args:
        path: of the file.
        recorded: its state then.
        now: its state, where that was found out before.
    """
    if recorded is None:
        return False
    return not is_same(path, recorded) if now is None else now.sha256 != recorded.sha256


def sampled_state(path: str | Path) -> FileState:
    """A large file's state; `sha256` is of its size and of megabytes spread over it. Two recordings differ everywhere.

    Raises:
        OSError: if it cannot be read.
    """
    if not Path(path).is_file():  # a pipe would give its bytes once
        return FileState(0, "")
    with Path(path).open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        for start in sorted({max(0, size - _SAMPLE) * number // (_SAMPLES - 1) for number in range(_SAMPLES)}):
            stream.seek(start)
            digest.update(stream.read(_SAMPLE))
    return FileState(size, digest.hexdigest())


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """In what two runs' settings differ: name, value before, value now, sorted by name. What a run does not state is None.

    A model's name beside its hash does not count ("model" beside "model_sha256", "name" beside "sha256", at any depth): the hash does.

    Args:
        before: JSON values, such as a run's file holds.
        now: JSON values.
    """
    names = sorted({*before, *now})
    pairs = ((name, before.get(name), now.get(name)) for name in names)
    one, other = _without_names(before), _without_names(now)
    return [pair for pair in pairs if one.get(pair[0]) != other.get(pair[0])]


def refuse_changed(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a run under other settings; see `changed`.

    Raises:
        CrackError: naming the first that differs.
    """
    for name, old, new in changed(before, now):
        raise CrackError(
            f"--resume: {folder} was started with {name} = {old!r}, now it is {new!r}. Use the same settings, or another --out."
        )


def _without_names(value: Any) -> Any:
    if isinstance(value, Mapping):
        named = {name for name, digest in _NAMES.items() if digest in value}
        return {name: _without_names(part) for name, part in value.items() if name not in named}
    return [_without_names(part) for part in value] if isinstance(value, list) else value


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns // 1000, status.st_ctime_ns // 1000
