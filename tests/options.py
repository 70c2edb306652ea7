"""Command lines of tests that differ in some options."""

from __future__ import annotations

from collections.abc import Sequence

REPEATED = ("--hp", "--fix", "--vary")


def instead(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command line with options in place of those of the same names: given twice with two values, one is refused."""
    kept, left_out = [], False
    for word in words:
        left_out = word in options and word not in REPEATED if word.startswith("--") else left_out
        kept += [] if left_out else [word]
    return [*kept, *options]
