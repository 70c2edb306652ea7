"""What a verb wrote is known again and replaced; everything else in its folder stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.files import atomic_path, read_json, write_bytes, write_json
from tflite.outputs import (
    MARK,
    Output,
    check_file,
    check_folder,
    clear_folder,
    csv_with,
    json_with,
    making,
    refuse_inside,
    remove_leftovers,
)

RUN = Output(
    "crack-tf walk",
    json_with("walk.json", "steps", format="crack_tf.walk/2"),
    ("walk.json", "steps/*.txt"),
    "walk.json",
)
TABLE = Output("crack-tf count", csv_with("counts.csv", "name", "count"), ("counts.csv", "counts.png"))
FILE = Output("crack-tf count", csv_with("", "name", "count"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def write_run(out: Path, *more: str, version: int = 2) -> Path:
    write_json(out / "walk.json", {"format": f"crack_tf.walk/{version}", "steps": 3})
    for name in ("steps/1.txt", "steps/2.txt", *more):
        write_bytes(out / name, b"x")
    return out


def test_an_earlier_result_goes_and_a_persons_files_stay(tmp_path: Path) -> None:
    out = write_run(tmp_path / "out", "notes.txt", "steps/mine.md", "empty/thesis.txt")
    check_folder(out, RUN, overwrite=True)
    assert clear_folder(out, RUN) == ["empty", "notes.txt", "steps"]
    assert names(out) == {"walk.json", "notes.txt", "steps/mine.md", "empty/thesis.txt"}, (
        "the mark is replaced, not removed"
    )
    assert clear_folder(write_run(tmp_path / "alone"), RUN) == []
    assert names(tmp_path / "alone") == {"walk.json"}
    assert not (tmp_path / "alone/steps").exists()


def test_a_result_of_an_older_version_may_be_replaced(tmp_path: Path) -> None:
    check_folder(write_run(tmp_path / "out", version=1), RUN, overwrite=True)


@pytest.mark.parametrize(
    "mark",
    [
        *(
            b"",
            b"{",
            b"[]",
            b"3",
            b"\xff",
            b'{"format": "crack_tf.run/2", "steps": 1}',
            b'{"format": "crack_tf.walk/2"}',
        ),
        *(b'{"steps": 1}', b'{"format": ["crack_tf.walk/2"], "steps": 1}', b"[" * 99_999),
    ],
)
def test_a_folder_with_another_mark_is_left_alone(tmp_path: Path, mark: bytes) -> None:
    out = write_run(tmp_path / "out")
    (out / "walk.json").write_bytes(mark)
    with pytest.raises(CrackError, match="holds no result of crack-tf walk, so it is left alone"):
        check_folder(out, RUN, overwrite=True)
    assert clear_folder(out, RUN) != []
    assert names(out) == {"walk.json", "steps/1.txt", "steps/2.txt"}


def test_nothing_beyond_a_link_is_removed(tmp_path: Path) -> None:
    write_bytes(tmp_path / "elsewhere/1.txt", b"mine")
    write_json(tmp_path / "out/walk.json", {"format": "crack_tf.walk/2", "steps": 3})
    (tmp_path / "out/steps").symlink_to(tmp_path / "elsewhere")
    clear_folder(tmp_path / "out", RUN)
    assert (tmp_path / "elsewhere/1.txt").read_bytes() == b"mine"
    (tmp_path / "out/steps").unlink()
    write_bytes(tmp_path / "out/steps/2.txt", b"x")
    (tmp_path / "out/steps/1.txt").symlink_to(tmp_path / "elsewhere/1.txt")
    clear_folder(tmp_path / "out", RUN)
    assert names(tmp_path / "out") == {"walk.json", "steps/1.txt"}


def test_a_folder_around_an_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = write_run(tmp_path / "out", "data/a.jpg")
    for source in (out, out / "data", str(out / "data/a.jpg"), out / "data" / ".." / "data"):
        with pytest.raises(CrackError, match="input"):
            check_folder(out, RUN, overwrite=True, inputs=(None, source))
    monkeypatch.chdir(tmp_path)
    check_folder(out, RUN, overwrite=True, inputs=("metu", None, tmp_path, "outside"))


def test_a_link_below_which_nothing_lies_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    for out in (tmp_path / "gone", tmp_path / "gone/below"):
        with pytest.raises(CrackError, match="a link that leads nowhere"):
            check_folder(out, RUN, overwrite=False)


def test_a_result_that_was_killed_in_the_making_may_be_replaced(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom tests.tflite.test_outputs import *\n"
        "with making(Path(sys.argv[1]), TABLE, False) as out, atomic_path(out / 'counts.csv') as temporary:\n"
        "    write_bytes(out / 'counts.png', b'x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    out = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == -signal.SIGKILL
    write_bytes(out / "notes.txt", b"mine")
    assert len(names(out)) == 4, "mark, picture, notes, and half a table"
    with pytest.raises(CrackError, match="exists already"):
        check_folder(out, TABLE, overwrite=False)
    with pytest.raises(CrackError, match="holds no result of crack-tf walk"):
        check_folder(out, RUN, overwrite=True)
    check_folder(out, TABLE, overwrite=True)
    assert names(out) == {MARK, "counts.png", "notes.txt"}
    with making(out, TABLE, True):
        assert names(out) == {MARK, "notes.txt"}
        (out / "counts.csv").write_text("name,count\n")
    assert names(out) == {"counts.csv", "notes.txt"}
    check_folder(out, TABLE, overwrite=True)


def test_temporary_files_of_others_are_not_taken_for_leftovers(tmp_path: Path) -> None:
    own = [".walk.abcd1234.partial.json", "steps/.7.abcd1234.partial.txt"]
    others = [
        ".notes.abcd1234.partial.txt",
        ".walk.short.partial.json",
        "walk.abcd1234.partial.json",
        "steps/.7.txt.swp",
    ]
    for name in (*own, *others):
        write_bytes(tmp_path / name, b"x")
    remove_leftovers(tmp_path, RUN)
    assert names(tmp_path) == {*others}


@given(
    stem=st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60),
    suffix=st.sampled_from(["", ".csv", ".a.b"]),
)
def test_a_killed_file_of_any_name_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, stem: str, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"{stem}{suffix}"
    if path.name not in (".", ".."):
        with atomic_path(path) as temporary:
            left = temporary
        path.rename(left)
        check_file(path, FILE, overwrite=False)
        assert list(path.parent.iterdir()) == []


def test_a_name_of_255_bytes_is_written(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".csv", "ü" * 127 + "a", "." + "b" * 254):
        write_bytes(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    assert len(names(tmp_path)) == 3


def test_a_file_is_replaced_only_when_it_was_written_here(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    check_file(path, FILE, overwrite=False)
    path.write_text("name,count\ncracks,3\n")
    with pytest.raises(CrackError, match=r"exists already\. Choose"):
        check_file(path, FILE, overwrite=False)
    check_file(path, FILE, overwrite=True)
    with pytest.raises(CrackError, match="is the input itself"):
        check_file(path, FILE, overwrite=True, inputs=(path,))
    for content in ("", "name;count\n", "photo,place\n", "\0" * 9):
        path.write_text(content)
        with pytest.raises(CrackError, match="was not written by crack-tf count, so it is left alone"):
            check_file(path, FILE, overwrite=True)
        assert path.read_text() == content


def test_results_in_the_folder_that_is_read_are_refused_by_any_name_of_it(tmp_path: Path) -> None:
    photos = tmp_path / "DCIM"
    photos.mkdir()
    (tmp_path / "link").symlink_to(photos)
    for out, source in (
        (photos, photos),
        (photos / "a/b", photos),
        (tmp_path / "link/a", photos),
        (photos / "a", tmp_path / "link"),
    ):
        with pytest.raises(
            CrackError, match=r"--out .* lies in --clean .*: its tiles would lie among the photographs, and"
        ):
            refuse_inside(out, source, "tiles", "--clean")
    (tmp_path / "a.jpg").write_bytes(b"")
    for out, source in ((tmp_path / "DCIM2", photos), (tmp_path, photos), (tmp_path / "a.jpg/x", tmp_path / "a.jpg")):
        refuse_inside(out, source, "tiles")


def test_the_mark_is_json_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), making(tmp_path, TABLE, False):
        raise RuntimeError
    assert read_json(tmp_path / MARK)["made_by"] == "crack-tf count"


def test_what_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with making(out, TABLE, False), atomic_path(out / "counts.csv") as temporary:
        write_bytes(out / ".counts.abcd1234.partial.png", b"of a killed process")
        with pytest.raises(CrackError, match="exists already"):
            check_folder(out, TABLE, overwrite=False)
        check_folder(out, TABLE, overwrite=True)
        check_file(out / "counts.csv", FILE, overwrite=False)
        assert names(out) == {MARK, temporary.name}
        temporary.write_text("name,count\n")
    assert names(out) == {"counts.csv"}


def test_two_at_once_write_one_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        check_folder(out, TABLE, overwrite=False)
    with making(out, TABLE, False):
        write_bytes(out / "counts.csv", b"name,count\n")
        with pytest.raises(CrackError, match=rf"^another process is writing to {out}\. Wait for it"):
            making(out, TABLE, True).__enter__()
    with pytest.raises(CrackError, match="exists already"):  # the second was slower
        making(out, TABLE, False).__enter__()
    assert names(out) == {"counts.csv"}
