"""Lines for the person who waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
EVERY_S = 30.0  # between two lines in a log file


def say_now(line: str) -> None:
    """Print a progress line at once, also into a log file."""
    print(line, flush=True)


def numbered(number: int, total: int, line: str) -> str:
    """A line about one of several photographs, with its place among them: "3 of 12  crack ..."; of a single one the line alone."""
    return line if total == 1 else f"{number:>{len(str(total))}} of {total}  {line}"


def bar(
    items: Iterable[T],
    what: str,
    total: int,
    unit: str,
    *,
    each: int = 1,
    units: int | None = None,
    shown: bool = True,
) -> Iterator[T]:
    """Items one after the other, with a bar on a terminal; where stderr is a log file, with a line now and then.

    Args:
        items: anything.
        what: is done with them.
        total: how many there are.
        unit: an item, such as "tile".
        each: units in an item, where it is a batch.
        units: in all items together; None where the last one has as many as the others.
        shown: False for neither.
    """
    if shown and sys.stderr.isatty():
        from tqdm import tqdm  # where nobody looks, importing it would take time for nothing

        yield from tqdm(items, what, total, unit=unit, unit_scale=each, leave=False)
        return
    told, most = time.monotonic(), total * each if units is None else units
    for number, item in enumerate(items, 1):
        yield item
        if shown and time.monotonic() - told >= EVERY_S:
            told = time.monotonic()
            print(f"{what}: {min(number * each, most):,} of {most:,} {unit}s", file=sys.stderr, flush=True)
