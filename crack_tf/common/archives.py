"""What is unpacked here: bounded in size and number, and nothing but plain files inside its own folder.

A zip of some kilobytes may claim to hold gigabytes, and a name in it may lead elsewhere. Sizes are those the archive states, which Python
reads no further than; so they are added up before anything is read.
"""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import IO

from tflite.device.bundle import is_plain

MEMBERS = 20_000
_OVERHEAD = 2 * (MEMBERS + 20) * tarfile.BLOCKSIZE  # of a tar: a header and padding for each member, and the end


def check_zip(archive: zipfile.ZipFile, limit: int, members: int = MEMBERS) -> None:
    """Refuse a zip that is too large, or whose names lead out of its folder.

    Args:
        archive: opened; none of its content is read.
        limit: bytes that it may unpack to.
        members: how many it may hold.

    Raises:
        ValueError: saying what is wrong.
    """
    entries = archive.infolist()
    if len(entries) > members:
        raise ValueError(f"it holds {len(entries):,} files, at most {members:,} are expected")
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        raise ValueError(f"it unpacks to {total / 1e6:,.0f} MB, at most {limit / 1e6:,.0f} are expected")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.removesuffix("/")
        if not _is_safe(name) or name in seen or stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"it holds {entry.filename!r}, which is a link, is there twice or leads elsewhere")
        seen.add(name)


def unpack_tar(stream: IO[bytes], folder: Path, limit: int, members: int = MEMBERS) -> None:
    """Unpack a tar stream of one folder: what is in it becomes the content of `folder`.

    Args:
        stream: an uncompressed tar, read to its end.
        folder: to be made.
        limit: bytes that may be read, and unpacked.
        members: how many files and folders it may hold.

    Raises:
        ValueError: if it is larger, holds anything but plain files and folders, or names lead out of it; or is no whole tar.
    """
    total = 0
    folder.mkdir(parents=True)
    bounded = _Bounded(stream, limit)
    try:
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for number, entry in enumerate(archive):
                if number >= members:
                    raise ValueError(f"more than {members:,} files arrived")
                name = entry.name.removesuffix("/").partition("/")[2]
                total += entry.size  # of a sparse file what it becomes
                if total > limit:
                    raise ValueError(f"more than {limit / 1e6:,.0f} MB arrived")
                if not name and entry.isdir() and "/" not in entry.name.removesuffix("/"):
                    continue  # the folder itself
                if not _is_safe(name) or not _is_safe(entry.name) or not (entry.isdir() or entry.isreg()):
                    raise ValueError(f"{entry.name!r} arrived, which is no plain file inside the folder")
                target = folder / name
                if entry.isdir():
                    target.mkdir(exist_ok=True)
                    continue
                content = archive.extractfile(entry)
                assert content is not None  # a regular file has one
                with target.open("xb") as file:
                    while block := content.read(1 << 20):
                        file.write(block)
        while bounded.read(1 << 20):
            pass
        # A stream cut between two files looks like its end to tarfile; a whole one ends with blocks of zeros.
        if bounded.last.strip(b"\0"):
            raise EOFError("it is cut short")
    except (tarfile.TarError, EOFError, FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"what arrived is no whole tar ({error})") from None


def _is_safe(name: str) -> bool:
    return is_plain(name) and name.isprintable()


class _Bounded(io.RawIOBase):
    """A stream that may be read so far and no further."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        super().__init__()
        self._stream, self._limit, self._read = stream, limit, 0
        self.last = b"nothing yet"  # the last block

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._read += len(data)
        self.last = (self.last + data)[-tarfile.BLOCKSIZE :]
        if self._read > self._limit + _OVERHEAD:
            raise ValueError(f"more than {self._limit / 1e6:,.0f} MB arrived")
        return data
