"""Rows as aligned text for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

Columns = Mapping[str, Callable[[Any], str]]


def format_table(rows: Sequence[Any], columns: Columns) -> str:
    """Rows as aligned text.

    Args:
        rows: whatever the functions of `columns` take.
        columns: heading -> function from a row to its cell. The first column is flush left, the others flush right.
    """
    cells = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = []
    for line in cells:
        first, *others = (
            text.ljust(w) if n == 0 else text.rjust(w) for n, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def plain(names: Iterable[str]) -> Columns:
    """Columns of rows that are mappings, each value as it is written."""
    return {name: partial(_plain, name) for name in names}


def _plain(name: str, row: Mapping[str, Any]) -> str:
    return str(row[name])


def number(value: float | None, digits: int = 2) -> str:
    """A number with that many decimals, or "-" for None."""
    return "-" if value is None else f"{value:.{digits}f}"
