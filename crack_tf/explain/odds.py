"""What errors have in common: each kind of appearance among the errors, beside the same kind among the correct tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crack_tf.explain.appearance import GROUPS

SUPPORTED = ("more often", "less often")
FEWEST = 5  # errors; of fewer no pattern can be told from chance
KINDS = {"false negative": 1, "false positive": 0}  # and the label of the tiles among which they occur


@dataclass(frozen=True)
class GroupRow:
    """One kind of appearance among the errors of one kind.

    Attributes:
        kind: "false negative" or "false positive".
        group: name.
        rule: in words.
        errors_in, errors: errors that look so, and all to which the question applies (lines: those with a line).
        correct_in, correct: the same of the tiles of that label that were classified rightly.
        odds_ratio: conditional maximum likelihood estimate; None where there are no errors or no correct tiles.
        low, high: exact 95 % interval (Cornfield, Biometrika 1956); `high` may be infinite.
        finding: "more often", "less often", "not supported" or "too few".
    """

    kind: str
    group: str
    rule: str
    errors_in: int
    errors: int
    correct_in: int
    correct: int
    odds_ratio: float | None
    low: float | None
    high: float | None
    finding: str


def compare(kind: str, member: np.ndarray, wrong: np.ndarray, rules: Sequence[str]) -> list[GroupRow]:
    """The groups of tiles of one label, counted among the errors and among the rest.

    A hypothesis counts as supported only if its interval excludes 1 at a confidence of 95 % for all groups together (Bonferroni):
    of eleven groups one would otherwise be "found" by chance every other time.

    Args:
        kind: of the errors.
        member: float (tiles, groups), see `appearance.groups_of`.
        wrong: bool (tiles,), which of them are errors.
        rules: of the groups, in words.
    """
    rows = []
    for column, group in enumerate(GROUPS):
        inside, outside = member[:, column] == 1, member[:, column] == 0
        table = [[int(np.sum(side & which)) for side in (inside, outside)] for which in (wrong, ~wrong)]
        errors, correct = sum(table[0]), sum(table[1])
        ratio = low = high = None
        finding = "too few"
        if errors and correct:
            ratio, low, high = odds_ratio(table)
            if errors >= FEWEST:
                _, strict_low, strict_high = odds_ratio(table, 1 - 0.05 / len(GROUPS))
                finding = "more often" if strict_low > 1 else "less often" if strict_high < 1 else "not supported"
        counts = (table[0][0], errors, table[1][0], correct)
        rows.append(GroupRow(kind, group.name, rules[column], *counts, ratio, low, high, finding))
    return rows


def odds_ratio(table: Sequence[Sequence[int]], confidence: float = 0.95) -> tuple[float, float, float]:
    """Conditional odds ratio of a 2 x 2 table with its exact interval; (1, 0, infinity) where a margin is empty."""
    from scipy.stats.contingency import odds_ratio as conditional

    counts = np.asarray(table)
    if 0 in counts.sum(axis=0) or 0 in counts.sum(axis=1):
        return 1.0, 0.0, math.inf
    found = conditional(counts)
    interval = found.confidence_interval(confidence)
    return float(found.statistic), float(interval.low), float(interval.high)


def cells(row: GroupRow) -> tuple[str, ...]:
    """A row as text: group, rule, errors, correct tiles, odds ratio with interval, finding."""
    ratio = "-"
    if row.odds_ratio is not None and row.low is not None and row.high is not None:
        ratio = f"{_number(row.odds_ratio)} [{_number(row.low)}, {_number(row.high)}]"
    return (
        row.group,
        row.rule,
        f"{row.errors_in} of {row.errors}",
        f"{row.correct_in} of {row.correct}",
        ratio,
        row.finding,
    )


def hypothesis(row: GroupRow) -> str:
    """A supported finding as a sentence."""
    return (
        f"{row.kind.capitalize()}s occur {row.finding} on {row.group!r} tiles ({row.rule}): odds ratio {cells(row)[4]}."
    )


def _number(value: float) -> str:
    return "inf" if math.isinf(value) else f"{value:.2g}" if value < 100 else f"{value:.0f}"
