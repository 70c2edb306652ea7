"""Lines for the person who waits."""

from __future__ import annotations


def say_now(line: str) -> None:
    """Print a progress line at once, also into a log file."""
    print(line, flush=True)
