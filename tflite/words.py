"""Numbers in sentences. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and what it counts: "1 photograph", "2 photographs", "1,204 findings".

    Args:
        count: of things.
        noun: one of them, with its verb where one follows: "photograph is".
        plural: several of them, as "photographs are"; None for the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def a_few(names: Sequence[str], shown: int = 3) -> str:
    """The first names, and how many more there are: "a.jpg, b.jpg, c.jpg and 1,201 more"."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")


def on_one_line(text: str) -> str:
    """A text, such as a file's name, as a line shows it: what cannot be printed is escaped, as a line break to \\n."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def without_name(reason: str, name: str) -> str:
    """What is wrong with a file, to stand behind its name and a colon: "damaged" of "x.jpg is damaged"."""
    return reason.removeprefix(f"{name} ").removeprefix("is ")


def not_read(name: str, reason: str) -> str:
    """A line about a photograph that could not be read; it has its name once, whether or not the reason begins with it."""
    return on_one_line(f"NOT READ  {name}: {without_name(reason, name)}")


def storable(text: str) -> str:
    """A text that any file can hold: bytes of a file's name that are no text are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: float, digits: int) -> str:
    """A number with so many significant digits and never an exponent: "0.0312", "4,360", "300"."""
    return f"{Decimal(f'{value:.{digits}g}'):,f}"


def rate(per_time: float) -> str:
    """How many in a time, with two digits where they are few: "0.021", "4.2", "1,204"."""
    return f"{per_time:,.0f}" if per_time >= 99.5 else f"{per_time:.2g}"
