"""One process at a time in a folder of results or at one in the making, and proof that it is still that folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tflite.errors import CrackError
from tflite.files import require_folder


class FolderLock:
    """A folder that no other process may hold meanwhile; used as a context. Ends with the process, whatever ends that.

    Args:
        folder: created when missing.
        busy: what to say when another process holds it; "" for what fits a folder of results.

    Raises:
        CrackError: if it is a file, or held.
    """

    def __init__(self, folder: Path, busy: str = "") -> None:
        self._folder = folder
        require_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            said = f"another process is writing to {folder}. Wait for it, end it, or choose another --out."
            raise CrackError(busy or said) from None
        except OSError as error:  # some network file systems have no locks
            print(
                f"warning: {folder} cannot be locked ({error.strerror}): do not run this twice at once.",
                file=sys.stderr,
            )

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others in."""
        os.close(self._handle)

    def check(self, file: str | None = None) -> None:
        """Make sure, before something is written, that it goes where the rest is.

        Args:
            file: in the folder, that has to be there too.

        Raises:
            CrackError: if the folder was removed, renamed or replaced, or the file is gone.
        """
        if not is_there(self._folder, self._handle) or (file is not None and not (self._folder / file).is_file()):
            raise CrackError(
                f"{self._folder} was removed, emptied or renamed while its results were written: stopped. What is not there any "
                "more has to be done again: run the same command with a folder that stays."
            )


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` for files in the making: .NAME.partial, removed afterwards, and what a kill left before.

    Raises:
        CrackError: if another process is making the same.
    """
    folder = path.with_name(f".{path.name}.partial")
    with FolderLock(folder, f"another process is making {path}. Wait for it, end it, or choose another name."):
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_there(path: Path, handle: int) -> bool:
    """Whether a path still leads to the file or folder that a handle is open on."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False
