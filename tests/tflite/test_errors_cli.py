"""Exit codes and messages of `run_main`, and the argparse types."""

from __future__ import annotations

import argparse
import errno
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.cli import (
    Parser,
    any_float,
    fraction,
    non_negative_int,
    positive_float,
    positive_int,
    run_main,
    share,
    thread_counts,
)
from tflite.errors import CrackError, ImageError, ModelFileError


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_run_main_passes_the_bodys_code_on(returned: int | None, code: int) -> None:
    assert run_main(lambda: returned) == code


@pytest.mark.parametrize("kind", [CrackError, ImageError, ModelFileError])
def test_every_project_error_is_one_line_and_exit_2(kind: type[CrackError], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(raising(kind("--size 3: choose 32 or more."))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: --size 3: choose 32 or more.\n"


def test_ctrl_c_is_exit_130_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(raising(KeyboardInterrupt()), interrupted="Resume with --resume.") == 130
    assert "Resume with --resume." in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_full_disk_and_read_only_folder_are_exit_2_and_name_the_file(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(raising(OSError(number, "ignored", "runs/a/model.keras"))) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "runs/a/model.keras" in err
    assert err.count("\n") == 1


def test_names_that_no_file_can_have_are_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")

    def resolve() -> None:
        (tmp_path / "one").resolve()
        (tmp_path / "one").read_bytes()  # where a circle is no error to pathlib yet

    def touch() -> None:
        (tmp_path / ("a" * 300)).touch()

    for body, told in ((resolve, "one"), (touch, "File name too long")):
        assert run_main(body) == 2
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == 1


def test_full_disk_without_a_file_name_has_a_message_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(raising(OSError(errno.ENOSPC, "No space left on device"))) == 2
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [OSError(errno.EBADF, "bad"), FileNotFoundError("x"), ValueError("x"), RuntimeError("x"), KeyError("x")]
)
def test_bugs_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_main(raising(error))


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_is_no_error(lines: int) -> None:
    """As in `crack-tf ... | head -0`: also when the output fits in the buffer and is only written at the end."""
    code = (
        "import sys, time\nfrom tflite.cli import run_main\n"
        f"def body():\n    sys.stdin.read()\n    for i in range({lines}):\n        print(i)\n"
        "sys.exit(run_main(body))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.close()  # only now does the body print
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, b"")


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (positive_int, "1", 1),
        (positive_int, "64", 64),
        (non_negative_int, "0", 0),
        (positive_float, "1e-3", 0.001),
        (positive_float, "3", 3.0),
        (any_float, "-1.5", -1.5),
        (fraction, "0", 0.0),
        (fraction, "1", 1.0),
        (fraction, "0.995", 0.995),
    ],
)
def test_types_parse_what_they_should(parse: Callable[[str], Any], text: str, value: float) -> None:
    parsed = parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (positive_int, "0"),
        (positive_int, "-3"),
        (positive_int, "2.5"),
        (positive_int, "many"),
        (positive_int, ""),
        (non_negative_int, "-1"),
        (non_negative_int, "1e3"),
        (positive_float, "0"),
        (positive_float, "-0.1"),
        (positive_float, "inf"),
        (positive_float, "nan"),
        (positive_float, "x"),
        (any_float, "x"),
        (fraction, "1.0001"),
        (fraction, "-0.1"),
        (fraction, "nan"),
        (fraction, "95%"),
    ],
)
def test_types_refuse_and_repeat_the_text(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse(text)
    assert text in str(caught.value)
    assert str(caught.value).startswith("must ")


@pytest.mark.parametrize("parse", [positive_int, non_negative_int, positive_float, any_float, fraction])
@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_types_raise_nothing_but_their_own_error(parse: Callable[[str], Any], text: str) -> None:
    try:
        value = parse(text)
    except argparse.ArgumentTypeError:
        return
    assert value >= 0


def test_argparse_turns_a_refusal_into_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=positive_int)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--epochs", "0"])
    assert caught.value.code == 2
    assert "--epochs: must be at least 1, got 0" in capsys.readouterr().err


@given(st.lists(st.integers(1, 256), min_size=1))
def test_thread_counts_are_numbers_with_commas(counts: list[int]) -> None:
    assert thread_counts(",".join(map(str, counts))) == counts


@pytest.mark.parametrize("text", ["", "1,", "0", "-1", "a", "1;rm", "1 2", "1.5"])
def test_what_is_no_list_of_thread_counts_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"a count must be .* such as 1,2,4"):
        thread_counts(text)


@pytest.mark.parametrize("text", ["", " "])
def test_empty_text_names_no_file(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """What a shell makes of a variable that is not set; as a path it would be the folder one is in."""
    from crack_tf.predict import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main([text])
    assert "is empty text: name a file or folder" in capsys.readouterr().err


def test_empty_text_is_refused_by_functions_too() -> None:
    from tflite.arguments import check_path

    with pytest.raises(CrackError, match="out is '': give a folder"):
        check_path("out", "", "a folder")
    check_path("out", None, "a folder", optional=True)
    check_path("out", "runs", "a folder")


@pytest.mark.parametrize(
    ("parse", "text", "how"),
    [
        (positive_float, "0,1", "must be a number, with a point before decimals, got '0,1'"),
        (positive_float, "0.1mm", "must be a number, without a unit, got '0.1mm'"),
        (positive_float, "2 m", "must be a number, without a unit, got '2 m'"),
        (positive_float, "0,1mm", "must be a number, with a point before decimals, without a unit, got '0,1mm'"),
        (any_float, "0,1", "must be a number, with a point before decimals, got '0,1'"),
        (positive_float, "far", "must be a number, got 'far'"),
        (positive_int, "1,000", "must be a whole number, without a comma, got '1,000'"),
        (positive_int, "0.5", "must be a whole number, got '0.5'"),
        (share, "30%", "must be a share such as 0.3, without a unit, got '30%'"),
    ],
)
def test_a_number_with_a_comma_or_a_unit_is_told_how_to_be_written(
    parse: Callable[[str], object], text: str, how: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        parse(text)
    assert str(refused.value) == how


@pytest.mark.parametrize(
    ("message", "noted"), [("--overlap 2: choose a share.", True), ("a.jpg--b is no image -- at all.", False)]
)
def test_what_options_are_in_python_stands_in_a_traceback_alone(
    message: str, noted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    error = pickle.loads(pickle.dumps(CrackError(message)))
    shown = f"tflite.errors.CrackError: {message}\n"
    below = "In Python, options are arguments: --mm-per-pixel is mm_per_pixel, --overwrite is overwrite=True.\n"
    assert "".join(traceback.format_exception_only(error)) == shown + below * noted

    def body() -> None:
        raise error

    assert run_main(body) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def small_parser() -> Parser:
    parser = Parser("crack-tf photo")
    verb = parser.add_subparsers(required=True).add_parser("segment")
    verb.add_argument("photos", nargs="+")
    verb.add_argument("--out", required=True)
    verb.add_argument("--overlap", type=fraction)
    verb.add_argument("--limits", metavar="A,B")
    verb.add_argument("--size", nargs=2)
    verb.add_argument("--fg", action="append")
    verb.add_argument("--hp", action="append", metavar="NAME=VALUE")
    verb.add_argument("--dry", action="store_true")
    return parser


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("a.jpg --ouput x1", "unrecognized arguments: --ouput (did you mean --out?)"),
        ("a.jpg --out x --overlpa=0.2", "unrecognized arguments: --overlpa (did you mean --overlap?)"),
        ("a.jpg --out x --fast", "unrecognized arguments: --fast"),
        ("a.jpg --out x --fox", "unrecognized arguments: --fox"),
        ("--out x a.jpg --limits 1 2", "unrecognized arguments: 2 (a list has commas and no spaces: --limits A,B)"),
        ("a.jpg --out", "argument --out: expected one argument, and none follows"),
        ("a.jpg --out x --overlap 2", "argument --overlap: must lie between 0 and 1, got 2"),
        ("a.jpg", "the following arguments are required: --out"),
        ("--out x -- --ouput", ""),
        ("a.jpg --out x --over 0.2", ""),
        ("a.jpg --out x --out y", "--out is given twice, with 'x' and 'y': leave one out"),
        ("a.jpg --out x --over .2 --overlap=.3", "--overlap is given twice, with '.2' and '.3': leave one out"),
        ("a.jpg --out x --size 1 2 --size 1 3", "--size is given twice, with '1 2' and '1 3': leave one out"),
        ("a.jpg --out x --hp a=1 --hp b=2 --hp a=2", "--hp a is given twice, with '1' and '2': leave one out"),
        ("a.jpg --out x --out=x --fg 1 --fg 2 --fg a=1 --fg a=2 --hp a=1 --hp b=2 --hp a=1 --dry --dry", ""),
    ],
)
def test_a_wrong_option_is_told_in_one_line_with_the_nearest_one(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not told:
        small_parser().parse_args(["segment", *words.split()])
        return
    with pytest.raises(SystemExit) as ended:
        small_parser().parse_args(["segment", *words.split()])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {told}. All options: crack-tf photo segment --help\n"
