"""Files are whole or absent, and nothing is overwritten by accident."""

from __future__ import annotations

import csv
import errno
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.errors import CrackError
from tflite.files import (
    atomic_path,
    cell_value,
    read_csv,
    read_json,
    refuse_existing,
    require_above,
    require_folder,
    run_name,
    sha256_bytes,
    sha256_file,
    temporary_pattern,
    write_bytes,
    write_csv,
    write_json,
    write_text,
)


def test_a_place_where_nothing_can_be_made_is_told_before_and_when_it_is_written() -> None:
    path = Path("/proc/nowhere/answers.csv")
    for ask in (require_above, require_folder):
        with pytest.raises(CrackError, match="nothing can be made in /proc"):
            ask(path)
    with pytest.raises(CrackError, match="/proc/nowhere cannot be made"):
        write_bytes(path, b"a")


def test_atomic_path_appears_under_its_name_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model.keras"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".keras"
        assert temporary.name.startswith("."), "a listing of the folder passes over it"
    assert target.read_bytes() == b"half"
    assert [p.name for p in target.parent.iterdir()] == ["model.keras"]


def write_half(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_atomic_path_leaves_nothing_on_an_exception(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_half(tmp_path / "a.txt", error)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*/file\.csv'"), atomic_path(tmp_path / "file.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_atomic_path_leaves_the_old_file_on_an_exception(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError):
        write_half(target, RuntimeError())
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    code = (
        "import os, signal, sys\nfrom tflite.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('new')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode < 0
    assert target.read_text() == "old"


@pytest.mark.parametrize("pattern", ["model.keras.json", "*.json", "model.*", "model*", "*-keras*", "*"])
def test_what_a_killed_process_left_is_found_by_a_pattern_of_the_name(tmp_path: Path, pattern: str) -> None:
    for name in ("model.keras.json", "model.json", "model-keras"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("{}")
            left = list(tmp_path.glob(temporary_pattern(pattern)))
            assert left == ([temporary] if Path(name).match(pattern) else [])


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    code = "import os, sys\nos.umask(0o027)\nfrom tflite.files import write_text\nwrite_text(sys.argv[1], 'x')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "secret.json"
    target.write_text("{}")
    target.chmod(mode)
    write_json(target, {"a": 1})
    assert target.stat().st_mode & 0o777 == mode
    assert read_json(target) == {"a": 1}


def test_writing_onto_a_folder_or_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(CrackError, match="is a folder"):
        write_text(tmp_path / "folder", "x")
    for below in ("file/a.txt", "file/deeper/a.txt"):
        with pytest.raises(CrackError, match="is a file"):
            write_text(tmp_path / below, "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


json_values = st.recursive(st.integers() | st.text() | st.booleans() | st.none(), st.lists, max_leaves=5)


@settings(deadline=None, max_examples=40)
@given(value=st.dictionaries(st.text(), json_values, max_size=4))
def test_json_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes().endswith(b"\n")


def test_json_holds_names_that_no_encoding_has_a_word_for(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"frame": "a\udc80.jpg"})
    assert read_json(tmp_path / "a.json") == {"frame": "a\udc80.jpg"}
    assert b"\\udc80" in (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_json_has_no_word_for(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"auc": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 200_000, "not valid JSON"),
        (b"[1, 2]", "holds a JSON list"),
        (b"3", "holds a JSON int"),
        (b"null", "holds a JSON NoneType"),
        (b'{"a": NaN}', "not valid JSON .NaN is no number"),
        (b'{"a": -Infinity}', "not valid JSON"),
        (b'{"a": 1e999}', "not valid JSON .1e999 is no number"),
    ],
)
def test_read_json_names_the_file_and_the_problem(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CrackError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_json_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_read_json_of_a_missing_file_or_a_folder_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="does not exist"):
        read_json(tmp_path / "absent.json")
    with pytest.raises(CrackError, match="cannot be read"):
        read_json(tmp_path)


def test_csv_takes_the_union_of_columns_in_order(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"model": "opnet", "ms": 3.5}, {"model": 'a,"b"', "kB": 1}])
    assert (tmp_path / "a.csv").read_text() == 'model,ms,kB\nopnet,3.5,\n"a,""b""",,1\n'


def test_csv_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": 2.5, "c": 'two\nlines, "quoted"', "d": None}, {"a": -3, "d": "1;2"}]
    write_csv(tmp_path / "a.csv", rows)
    found = [{name: cell_value(text) for name, text in row.items()} for row in read_csv(tmp_path / "a.csv")]
    assert found == [rows[0], {"a": -3, "b": None, "c": None, "d": "1;2"}]


CELLS = st.one_of(
    st.text(), st.text("=+-@\t\r\n'\",;ab0.e", max_size=9), st.integers(), st.floats(allow_nan=False), st.none()
)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4))
def test_csv_of_anything_comes_back_and_no_cell_is_a_formula(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    names = ("a", "b", "c")
    write_csv(path, [dict(zip(names, row, strict=True)) for row in rows], names)
    as_text = [["" if cell is None else str(cell) for cell in row] for row in rows]
    broken = [[cell.encode("utf-8", "backslashreplace").decode() for cell in row] for row in as_text]
    assert [list(row.values()) for row in read_csv(path)] == broken
    with path.open(newline="", encoding="utf-8") as stream:
        raw = list(csv.reader(stream))
    assert all(len(row) == 3 for row in raw)
    for line, row in zip(raw[1:], rows, strict=True):
        for cell, value in zip(line, row, strict=True):
            if isinstance(value, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n"):
                float(cell)  # a number is no formula


def test_what_a_spreadsheet_would_calculate_is_text_and_numbers_stay(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0.jpg", "+1-2", "-x", "@SUM(A1)", "-5", "a=b", "'=1", "a\rb", "\udcff.jpg"]
    write_csv(tmp_path / "a.csv", [{"photo": name, "logit": -3.5} for name in names])
    assert (tmp_path / "a.csv").read_bytes().decode().splitlines(keepends=False)[1:5] == [
        "'=cmd|' /C calc'!A0.jpg,-3.5",
        "'+1-2,-3.5",
        "'-x,-3.5",
        "'@SUM(A1),-3.5",
    ]
    assert b'"a\rb",-3.5\n' in (tmp_path / "a.csv").read_bytes()
    assert [row["photo"] for row in read_csv(tmp_path / "a.csv")] == [*names[:-1], "\\udcff.jpg"]


def test_text_and_json_with_a_lone_surrogate_are_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "name \udcff")
    assert (tmp_path / "a.txt").read_text() == "name \\udcff"
    write_json(tmp_path / "a.json", {"name": "\udcff"})
    assert read_json(tmp_path / "a.json") == {"name": "\udcff"}


def test_csv_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in ("\ufeffname,value\r\na,1\r\n", "\ufeffname;value\r\na;1\r\n", "name;value\na;1\n"):
        path.write_bytes(text.encode())
        assert read_csv(path) == [{"name": "a", "value": "1"}]


def test_csv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"a\n\xff\n")
    for path, reason in (
        (tmp_path / "absent.csv", "does not exist"),
        (tmp_path / "bad.csv", "utf-8"),
        (tmp_path, "dir"),
    ):
        with pytest.raises(CrackError, match=reason) as caught:
            read_csv(path)
        assert str(path) in str(caught.value)


def test_csv_refuses_an_unknown_column_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="extra"):
        write_csv(tmp_path / "a.csv", [{"a": 1, "extra": 2}], columns=["a"])
    assert list(tmp_path.iterdir()) == []


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    write_bytes(tmp_path / "a.bin", data)
    assert sha256_file(tmp_path / "a.bin") == sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_refuse_existing_lets_absent_paths_and_empty_folders_through(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "absent", overwrite=False)
    refuse_existing(tmp_path, overwrite=False)


def test_refuse_existing_refuses_files_and_full_folders_unless_told(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("")
    for path in (file, tmp_path):
        with pytest.raises(CrackError, match=r"exists already\. Add --resume") as caught:
            refuse_existing(path, overwrite=False, hint="Add --resume.")
        assert str(path) in str(caught.value)
        refuse_existing(path, overwrite=True)
    with pytest.raises(CrackError, match="is a file"):
        refuse_existing(file / "below", overwrite=False)


def test_a_model_is_named_after_its_run_not_after_the_export_folder() -> None:
    assert run_name("runs/a/export/m.tflite") == run_name("runs/a/model.keras") == "a"
