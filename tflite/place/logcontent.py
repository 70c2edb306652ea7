"""What a reader of a flight log found: fixes, and what was left out with its reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tflite.place.fix import Fix

DAMAGED, DUPLICATE, NO_FIX, NO_TIME, NO_MOMENT = (
    "damaged", "same time as another", "no fix (0, 0)", "no date or time", "local time that is no moment, or two",
)  # fmt: skip
LONGEST_LINE = 1 << 16
_KEPT = 5  # problems that are told in full; of damaged files all lines look alike


@dataclass
class LogContent:
    """Filled by a reader while it reads.

    Attributes:
        fixes: in the order of the file; their times may be None.
        skipped: reason -> number of lines, points or blocks that were left out.
        problems: the first ones in words, with their place in the file.
        above_takeoff: whether altitudes count from the place of take-off, since the log knows no others.
        exposures: fixes by the number of the exposure, where the log is of exposures.
    """

    fixes: list[Fix] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    above_takeoff: bool = False
    exposures: dict[int, list[Fix]] = field(default_factory=dict)

    def skip(self, reason: str, problem: str | None = None) -> None:
        """Count something that is left out."""
        self.skipped[reason] += 1
        if problem is not None and len(self.problems) < _KEPT:
            self.problems.append(problem)

    def date(
        self,
        found: Iterable[tuple[float, Fix, int | None]],
        started: float | None,
        earliest: float = -math.inf,
        latest: float = math.inf,
    ) -> None:
        """Take fixes that a controller's own clock tells the time of.

        Args:
            found: in the order of the file: seconds since that clock was 0, the fix, and the number of its exposure or None.
            started: when that clock was 0, seconds since 1970 UTC; None where nothing tells.
            earliest, latest: seconds since 1970 UTC; a time that does not lie between them is none.
        """
        for moment, fix, number in found:
            time = None if started is None else started + moment
            dated = replace(fix, time=time if time is not None and earliest < time < latest else None)
            self.fixes.append(dated)
            if number is not None:
                self.exposures.setdefault(number, []).append(dated)

    def left_out(self) -> str:
        """What was left out, by reason, and the first ones in full; empty where nothing was."""
        return describe_left_out(self.skipped, self.problems)


def describe_left_out(skipped: Mapping[str, int], problems: Sequence[str]) -> str:
    """What a log's reader left out: "3 damaged (line 5: the time 'x' is not understood; line 7: ...)"."""
    counts = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    return f"{counts} ({'; '.join(problems)})" if problems else counts


def shown(text: str) -> str:
    """A value of a file in a message: quoted, short, without control characters."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return ascii(text if len(text) <= 60 else f"{text[:56]} ...")
