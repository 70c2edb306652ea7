"""What a search maximises: specificity at a recall floor, the ranking of sets left out, or a mask's F1, within a measured budget.

Of classifiers, recall comes first and is a constraint, not a term of a sum: the threshold of every trial is chosen on validation so that
recall reaches the floor, and trials are compared by the specificity left there; or, where data sets are left out, by the mean area under
the ROC curve over these (see `tuning.left_out`), because a threshold does not carry over to other concrete and a ranking does. Of models
that draw masks the pixels' F1 is maximised, at the threshold where it is highest; there is no recall floor, because nobody knows the border
of a hand-drawn crack to 0.2 % of its pixels. A budget is a constraint too, on latency, size and speed of the trial's own int8 file.
Every trial within the budget beats every trial outside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tflite.errors import CrackError

FAILED_SCORE = -10.0
_MOST_EXCESS = 9.0
# Specificity moves in steps of 1 / clean tiles (0.0014 on METU). The loss breaks ties and never outweighs a tile.
_TIE_BREAK = 1e-4


@dataclass(frozen=True)
class Budget:
    """What a model may cost at most, measured on this machine; None is no limit.

    Attributes:
        latency_ms: median of one inference.
        kilobytes: size of the .tflite file, in units of 1000 bytes.
        speedup: how many times faster than the reference model it must be, timed in turn with it in one process.
    """

    latency_ms: float | None = None
    kilobytes: float | None = None
    speedup: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.latency_ms, self.kilobytes, self.speedup))

    def __str__(self) -> str:
        parts = []
        if self.latency_ms is not None:
            parts.append(f"at most {self.latency_ms:g} ms")
        if self.kilobytes is not None:
            parts.append(f"at most {self.kilobytes:g} kB")
        if self.speedup is not None:
            parts.append(f"at least {self.speedup:g} times as fast as the reference")
        return ", ".join(parts) or "none"

    def excess(self, latency_ms: float, kilobytes: float, speedup: float) -> float:
        """By what share the worst limit is missed; 0 when all are met."""
        ratios = [1.0]
        if self.latency_ms is not None:
            ratios.append(latency_ms / self.latency_ms)
        if self.kilobytes is not None:
            ratios.append(kilobytes / self.kilobytes)
        if self.speedup is not None:
            ratios.append(self.speedup / speedup)
        return max(ratios) - 1


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes:
        trial: its id.
        status: "ok", "over budget", "failed".
        score: what the tuner maximises.
        values: hyperparameters, by name.
        epochs: trained in this trial and in those it continued.
        recall: on validation, int8, at its own threshold; of tiles, or of pixels where masks are drawn.
        specificity: likewise.
        tp, fn, tn, fp: the counts behind them.
        f1, iou: of pixels, likewise; None for classifiers.
        auc: of the float model on validation; None where masks are drawn.
        left_out: of the int8 file, by data set that is left out; None where none is.
        val_loss: of the float model on validation.
        latency_ms: median of one int8 inference, one thread.
        speedup: over the reference, see `tuning.timing.Cost`.
        kilobytes: of the int8 file.
        parameters, macs, activations: of the int8 graph.
        seconds: the trial took.
        message: why it failed, or what was exceeded.
        folder: of the trial, relative to the search's folder.
    """

    trial: str
    status: str
    score: float
    values: Mapping[str, Any]
    epochs: int = 0
    recall: float | None = None
    specificity: float | None = None
    tp: int | None = None
    fn: int | None = None
    tn: int | None = None
    fp: int | None = None
    f1: float | None = None
    iou: float | None = None
    auc: float | None = None
    left_out: Mapping[str, float] | None = None
    val_loss: float | None = None
    latency_ms: float | None = None
    speedup: float | None = None
    kilobytes: float | None = None
    parameters: int | None = None
    macs: int | None = None
    activations: int | None = None
    seconds: float = 0.0
    message: str = ""
    folder: str = ""

    @property
    def draws_masks(self) -> bool:
        """Whether its figures are those of pixels."""
        return self.f1 is not None

    @property
    def left_out_auc(self) -> float | None:
        """The mean over the sets left out, each counted alike; None where none is."""
        return sum(self.left_out.values()) / len(self.left_out) if self.left_out else None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def outcome_from(record: Mapping[str, Any]) -> Outcome:
    """The inverse of `Outcome.as_dict`.

    Raises:
        CrackError: if the record is no outcome.
    """
    try:
        return Outcome(**record)
    except TypeError as error:
        raise CrackError(f"this is no trial's result ({error}). Delete the trial's folder; it runs again.") from None


def feasible_score(recall: float, quality: float, val_loss: float, floor: float) -> float:
    """Score of a trained trial within the budget.

    Args:
        recall: at the chosen threshold.
        quality: specificity at the same, or the mean area over the sets left out.
        val_loss: breaks ties.
        floor: recall that must be reached.

    Returns:
        `quality` less a tie-break of at most 0.0001; below 0 when recall misses the floor.
    """
    if recall < floor:
        return recall - floor - 1
    return quality - _TIE_BREAK * min(max(val_loss, 0.0), 1.0)


def over_budget_score(excess: float) -> float:
    """Score of a trial outside the budget: below 0, lower the more it exceeds, so that a search is drawn back inside."""
    return -2.0 - min(excess, _MOST_EXCESS - 2)
