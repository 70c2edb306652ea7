"""A folder of results has one writer, and it is still there when something is written."""

from __future__ import annotations

import errno
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tflite.errors import CrackError
from tflite.files import write_bytes
from tflite.locks import FolderLock, partial_folder


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    code = (
        "import sys\nfrom pathlib import Path\nfrom tflite.locks import FolderLock\n"
        "with FolderLock(Path(sys.argv[1]), 'busy'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CrackError, match=r"^busy$"):
            FolderLock(out, "busy")
        other.kill()
    FolderLock(out, "busy").close()
    with FolderLock(out, "busy"), pytest.raises(CrackError, match="busy"):
        FolderLock(out, "busy")
    assert list(out.iterdir()) == []


def test_a_partial_folder_leaves_nothing_and_takes_what_a_kill_left(tmp_path: Path) -> None:
    write_bytes(tmp_path / ".out.partial/old/file", b"x")
    write_bytes(tmp_path / ".out.partial/old.json", b"x")
    with partial_folder(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []
        write_bytes(folder / "new", b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_one_process_is_making_is_left_alone_by_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with partial_folder(out) as folder:
        write_bytes(folder / "new", b"x")
        with pytest.raises(CrackError, match=rf"^another process is making {out}\. Wait for it"), partial_folder(out):
            pass
        folder.replace(out)
    assert (out / "new").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_goes_away_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FolderLock(out, "busy") as lock:
        lock.check()
        (out / "settings.json").touch()
        lock.check("settings.json")
        (out / "settings.json").unlink()
        with pytest.raises(CrackError, match="removed, emptied or renamed"):
            lock.check("settings.json")
        shutil.rmtree(out)
        for again in (lambda: None, out.mkdir):
            again()
            with pytest.raises(CrackError, match="removed, emptied or renamed"):
                lock.check()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/out"):
        with pytest.raises(CrackError, match="is a file"):
            FolderLock(out, "busy")


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FolderLock(tmp_path, "busy") as lock:
        lock.check()
    assert "cannot be locked (No locks available)" in capsys.readouterr().err
