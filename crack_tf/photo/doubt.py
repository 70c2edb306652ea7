"""What a drawn mark must be like to count as a crack, for photographs and surveys alike, and what is told of the others."""

from __future__ import annotations

from collections.abc import Mapping

from tflite.words import counted

MIN_LENGTH_PX = 40.0  # a fifth of a usual tile; shorter marks are pores and scratches more often than cracks
# Of the length: wider shapes are stains, holes and shadows. Of 641 cracks in people's masks (validation and test splits of six sets) five
# are wider: gaps in asphalt, of which the photograph's border leaves a stump.
MAX_WIDTH = 0.3
# Of its mean width, that a crack is long at least for its width to be trusted. Of 100 cracks of validation photographs that exceed three
# pixels none that ends inside its photograph is shorter; of 13 marks that do so on scenes without a crack (gaps, knots, twigs) 5 are.
SLENDER = 15.0
TOO_WIDE = "what is drawn here is too wide for its length to be a crack: a stain, a hole or a shadow more often"

UNCLEAR_WORDS = "unclear: may be no crack"  # in the keys of pictures
# Notes of a table of cracks, each with the words that count its rows.
WIDE_NOTE, OUTSIDE_NOTE = f"unclear: {TOO_WIDE}", "unclear: hardly anything here was taken for concrete"
REASONS = {WIDE_NOTE: "too wide for a crack", OUTSIDE_NOTE: "where nothing was taken for concrete"}


def too_wide(length: float, max_width: float) -> bool:
    """Whether a shape of that length and maximum width, in one unit, is too wide for a crack."""
    return max_width > MAX_WIDTH * length


def stout(length: float, mean_width: float) -> bool:
    """Whether a shape of that length and mean width, in one unit, is so short for its width that it may well be no crack."""
    return length < SLENDER * mean_width


def others(unclear: Mapping[str | None, int], short: int) -> str:
    """What a line about cracks goes on with: `, 2 unclear (too wide for a crack), 5 short marks left out`; empty where there is nothing.

    Args:
        unclear: how many marks have which note.
        short: how many were left out.
    """
    told = f", {sum(unclear.values())} unclear ({_reasons(unclear)})" if unclear else ""
    return told + (f", {counted(short, 'short mark')} left out" if short else "")


def _reasons(unclear: Mapping[str | None, int]) -> str:
    words = [(count, REASONS.get(note or "", "see their note")) for note, count in sorted(unclear.items(), key=str)]
    return words[0][1] if len(words) == 1 else ", ".join(f"{count} {why}" for count, why in words)
