"""`Adapted`: what an adaptation gives. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crack_tf.adaptation.guard import ElsewhereRow, SiteRow, trade_of


@dataclass(frozen=True)
class Adapted:
    """What `crack_tf.adapt` gives.

    Attributes:
        folder: with adapt.json, and where a better model was found with that: it is a run folder, which every verb takes as a model.
        candidate: that was handed over; None where none is better.
        here: every candidate that was tried, on this structure.
        elsewhere: the same on other structures.
        reasons: why none is better; empty where one is.
        gaps: what could not be read, or was not checked.
        model: the int8 file; None where none is better.
        labelled: whether a person labelled any tile; else the cracks of `here` are such as were laid into clean tiles.
    """

    folder: Path
    candidate: str | None
    here: tuple[SiteRow, ...]
    elsewhere: tuple[ElsewhereRow, ...]
    reasons: tuple[str, ...]
    gaps: tuple[str, ...]
    model: Path | None
    labelled: bool

    @property
    def trade(self) -> str:
        """What the model that was handed over pays for what it gains here, as `crack_tf.adaptation.guard.trade` says it."""
        return trade_of(self.here, self.candidate)

    @property
    def why_not(self) -> tuple[str, ...]:
        """Which candidates are not better, and why: a line per reason, such as "head, fine: it finds 1 of 2 cracks here, ..."."""
        shared: dict[str, list[str]] = {}
        for row in self.here:
            if not row.passed:
                shared.setdefault(row.reason, []).append(row.candidate)
        return tuple(f"{', '.join(names)}: {reason}" for reason, names in shared.items())
