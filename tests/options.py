"""Command lines of tests that differ in some options."""

from __future__ import annotations

from collections.abc import Sequence

REPEATED = ("--hp", "--fix", "--vary")  # of NAME=VALUE


def instead(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command line with options in place of those of the same names: given twice with two values, one is refused."""
    left_out = set(_keys(options))
    return [word for word, key in zip(words, _keys(words), strict=True) if key not in left_out] + [*options]


def _keys(words: Sequence[str]) -> list[str]:
    """For each word the option that it belongs to, of NAME=VALUE with the name; "" before the first."""
    keys, option = [], ""
    for word, after in zip(words, [*words[1:], ""], strict=False):  # of no words there are none
        if word.startswith("--"):
            option = f"{word} {after.partition('=')[0]}" if word in REPEATED else word
        keys.append(option)
    return keys
