"""Lines for the person who waits."""

from __future__ import annotations


def say_now(line: str) -> None:
    """Print a progress line at once, also into a log file."""
    print(line, flush=True)


def numbered(number: int, total: int, line: str) -> str:
    """A line about one of several photographs, with its place among them: "3 of 12  crack ..."; of a single one the line alone."""
    return line if total == 1 else f"{number:>{len(str(total))}} of {total}  {line}"
