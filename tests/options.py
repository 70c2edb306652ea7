"""Command lines of tests that differ in some options."""

from __future__ import annotations

from collections.abc import Sequence

REPEATED = ("--hp", "--fix", "--vary")  # of NAME=VALUE


def instead(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command line with options in place of those of the same names: given twice with two values, one is refused."""
    left_out = {_key(option) for option in _grouped(options)}
    return [word for option in _grouped(words) if _key(option) not in left_out for word in option] + [*options]


def _grouped(words: Sequence[str]) -> list[list[str]]:
    """Each option with what follows it; what stands before the first is a group of its own."""
    groups: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            groups.append([])
        groups[-1].append(word)
    return groups


def _key(option: Sequence[str]) -> tuple[str, ...]:
    if not option or not option[0].startswith("--"):
        return ()
    return (option[0], option[1].partition("=")[0]) if option[0] in REPEATED else (option[0],)
