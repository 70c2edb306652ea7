"""What every command line of the project does the same way: errors, exit codes, number parsing."""

from __future__ import annotations

import argparse
import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from tflite.device.tiles import MIN_SIDE
from tflite.errors import CrackError
from tflite.extras import advice, require

EXIT_GAPS = 1  # all that could be done was done, and something could not be read or is not known
EXIT_USER_ERROR = 2  # argparse's own code for a bad option
_MENDED_BY_USERS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE),
        *(errno.ENAMETOOLONG, errno.ELOOP),
    }
)
_NEAR = 0.7  # of difflib: --ouput is near --out, --fox is not
EXIT_INTERRUPTED = 130  # 128 + SIGINT, the shell convention


def run_main(
    body: Callable[[], int | None], interrupted: str = "Nothing was left half-written.", needs: Sequence[str] = ()
) -> int:
    """Run a command's body and turn what the user can mend into one line on stderr.

    Args:
        body: the command; returns an exit code or None for 0.
        interrupted: what to tell the user after Ctrl-C, usually how to resume.
        needs: packages of `tflite.extras` that the command cannot do without: it does not begin where one is missing.

    Returns:
        The exit code: the body's, 2 for a user error, a full disk or a missing extra, 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        require(needs)
        code = body() or 0
        # Here, not at the interpreter's exit: a reader that went away is then still caught below.
        sys.stdout.flush()
        return code
    except CrackError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except ModuleNotFoundError as error:
        told = advice(error.name or "")
        if told is None:  # a bug
            raise
        print(f"error: {told}", file=sys.stderr)
        return EXIT_USER_ERROR
    except BrokenPipeError:
        # `crack-tf ... | head` is not an error. Point stdout elsewhere so that the interpreter's last flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full, broken or read-only disk, and names that no file can have, are the user's to mend; any other OSError is a bug and
        # keeps its traceback.
        if error.errno not in _MENDED_BY_USERS:
            raise
        print(f"error: cannot use {error.filename or 'a file'}: {os.strerror(error.errno)}.", file=sys.stderr)
        return EXIT_USER_ERROR
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop"):  # pathlib's, before Python 3.13
            raise
        print(f"error: {error}: links that lead in a circle.", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"\ninterrupted. {interrupted}", file=sys.stderr)
        return EXIT_INTERRUPTED


class Parser(argparse.ArgumentParser):
    """Tells a command line that it does not take in one line: what is wrong, the nearest option to a mistyped one, and where all are.

    An option given twice with different values is one of them: argparse would take the last without a word.
    """

    _words: Sequence[str] = ()
    _given: dict[str, str]  # what stood after each option

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """As argparse's, but words that no option takes are an error here: a verb of a verb knows its own options."""
        self._words, self._given = sys.argv[1:] if args is None else list(args), {}
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # Here, where what was written is still known: a type may have made None of it.
        text = " ".join(arg_strings)
        if action.option_strings and isinstance(action, argparse._StoreAction):  # neither append nor a flag
            self._once(action.option_strings[-1], text)
        elif isinstance(action, argparse._AppendAction) and "=" in str(action.metavar):
            # Each NAME is an option of its own.
            name, _, value = text.partition("=")
            self._once(f"{action.option_strings[-1]} {name}", value)
        return super()._get_values(action, arg_strings)

    def _once(self, option: str, text: str) -> None:
        before = self._given.setdefault(option, text)
        if text != before:
            self.error(f"{option} is given twice, with {before!r} and {text!r}: leave one out")

    def error(self, message: str) -> NoReturn:
        """Print one line and end with argparse's exit code."""
        usage = self.format_usage()
        known = re.findall(r"(?<![\w-])--[a-z][\w-]*", usage)
        given = [word.partition("=")[0] for word in self._words[: self._end()] if re.match(r"--[a-z]", word)]
        wrong = [word for word in given if not any(option.startswith(word) for option in known)]
        if wrong and known:
            near = [next(iter(difflib.get_close_matches(word, known, 1, _NEAR)), None) for word in wrong]
            # Before what is missing: a mistyped --out is why there is no --out.
            message = "unrecognized arguments: " + ", ".join(
                word + (f" (did you mean {option}?)" if option else "")
                for word, option in zip(wrong, near, strict=True)
            )
        elif message.startswith("unrecognized"):
            lists = [
                f"{name} {form}" for name, form in re.findall(r"(--[a-z][\w-]*) (\w+,\w+)", usage) if name in given
            ]
            message += f" (a list has commas and no spaces: {lists[0]})" if lists else ""
        message = message.replace("expected one argument", "expected one argument, and none follows")
        self.exit(EXIT_USER_ERROR, f"error: {message}. All options: {self.prog} --help\n")

    def _end(self) -> int:
        """Where options end: after -- all is taken as it stands."""
        return list(self._words).index("--") if "--" in self._words else len(self._words)


def resumed(overwrite: bool) -> str:
    """What to tell whoever stopped a verb that goes on with --resume, where it was started with --overwrite or without."""
    return f"The same command with --resume{' instead of --overwrite' if overwrite else ''} goes on."


def named_path(text: str) -> Path:
    """argparse type: a file or folder. Empty text, as of a shell variable that is not set, would name the folder one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty text: name a file or folder, or . for the folder you are in")
    return Path(text)


def named_text(text: str) -> str:
    """argparse type: the same as it was written, where ./NAME is a file and NAME may be something else."""
    named_path(text)
    return text


def positive_int(text: str) -> int:
    """argparse type: an integer of at least 1."""
    value = _number(text, int)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return int(value)


def tile_side(text: str) -> int | None:
    """argparse type: auto or pixels."""
    if text == "auto":
        return None
    side = positive_int(text)
    if side < MIN_SIDE:
        raise argparse.ArgumentTypeError(f"must be auto or at least {MIN_SIDE} pixels, got {text}")
    return side


def thread_counts(text: str) -> list[int]:
    """argparse type: numbers of threads with commas between, such as 1,2,4."""
    try:
        return [positive_int(part) for part in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"a count {error}; give them with commas, such as 1,2,4") from None


def non_negative_int(text: str) -> int:
    """argparse type: an integer of at least 0."""
    value = _number(text, int)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return int(value)


def positive_float(text: str) -> float:
    """argparse type: a finite number above 0."""
    value = _number(text, float)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return float(value)


def any_float(text: str) -> float:
    """argparse type: a number. Which ones are possible is for the verb's configuration to say."""
    return float(_number(text, float))


def clock_offset(text: str) -> float:
    """argparse type: seconds by which a clock is slow, negative where it is fast; decades at most, as of one that was never set."""
    value = _number(text, float)
    if not abs(value) <= 2e9:
        raise argparse.ArgumentTypeError(f"must be seconds such as 73 or -2.5, got {text}")
    return float(value)


def moment(text: str) -> datetime:
    """argparse type: a time with a time zone, ISO 8601."""
    from tflite.place.clock import parse_time

    try:
        found = parse_time(text.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be ISO 8601 such as 2025-06-01T09:30:00+02:00, got {text!r}") from None
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"needs a time zone, such as {text}+02:00 or {text}Z")
    return found


def fraction(text: str) -> float:
    """argparse type: a number in [0, 1]."""
    value = _number(text, float)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, got {text}")
    return float(value)


def share(text: str) -> float:
    """argparse type: a part of a whole. Which ones are possible is for the verb's configuration to say."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a share such as 0.3{_how_written(text)}, got {text!r}") from None


def count_or_share(text: str) -> int | float:
    """argparse type: a whole number of at least 1, or a share between 0 and 1 (neither included)."""
    try:
        return positive_int(text)
    except argparse.ArgumentTypeError:
        share = fraction(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1, or a share such as 0.1, got {text}")
    return share


def _number(text: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"must be {wanted}{_how_written(text, kind)}, got {text!r}") from None


def _how_written(text: str, kind: type[int] | type[float] = float) -> str:
    """How to write what is a number with a decimal comma or a unit; "" for anything else."""
    found = re.fullmatch(r"[-+]?\d*([.,]?)\d+\s*([^\W\d_]*|%)", text.strip())
    if found is None:
        return ""
    ways = (
        found[1] == "," and ("without a comma" if kind is int else "with a point before decimals"),
        found[2] and "without a unit",
    )
    return "".join(f", {way}" for way in ways if way)
