"""Numbers in sentences. Standard library only."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and what it counts: "1 photograph", "2 photographs", "1,204 findings".

    Args:
        count: of things.
        noun: one of them, with its verb where one follows: "photograph is".
        plural: several of them, as "photographs are"; None for the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
