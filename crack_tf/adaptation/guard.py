"""Is it better? Held-out labels of this structure by photograph, recall elsewhere, and what a further crack has to fear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from crack_tf.evaluation.thresholds import select_threshold
from tflite.metrics import Confusion, confusion, wilson_interval
from tflite.words import counted

DRAWS = 2000  # of photographs, with replacement
SURE = 0.95  # one-sided: that errors fall
# Of fewer, none missed does not tell that fewer than a tenth would be: 3 / n is the upper end of a share that was not seen once in n.
FEW_CRACKS = 30


@dataclass(frozen=True)
class Answers:
    """Logits of one model on one set of tiles, and the threshold that they are held to: one for all tiles, or each its own."""

    logits: np.ndarray
    threshold: float | np.ndarray

    @property
    def called(self) -> np.ndarray:
        """bool (n,)."""
        return np.asarray(self.logits >= self.threshold)


@dataclass(frozen=True)
class HeldOut:
    """Tiles of this structure that were answered without their photographs.

    Attributes:
        labels: (n,), 1 is cracked.
        photos: (n,) names.
        told: whether a person labelled them.
    """

    labels: np.ndarray
    photos: Sequence[str]
    told: bool = True


@dataclass(frozen=True)
class SiteRow:
    """One candidate against the shipped model on this structure's own labels, none of which it had seen: a line of candidates.csv.

    Attributes:
        candidate: its name.
        passed: whether it is handed over.
        reason: why not; empty where it passed.
        cracks, clean, photographs: what was held out.
        found_before, found_after: cracks that are called, by the shipped model and by the candidate.
        alarms_before, alarms_after: clean tiles that are called.
        errors_fall: share of cracks missed plus share of clean tiles called, before less after.
        errors_fall_low: its lower end, 95 % one-sided, photographs drawn with replacement.
        least_recall: that the recall may not fall below: the lower end of the shipped one's interval; of `FEW_CRACKS`, the shipped one.
        miss_bound_before, miss_bound_after: share of further cracks that is missed on average, at most: (missed + 1) / (cracks + 1).
        threshold: logit from which it says crack.
        seconds: that it took.
        asked_recall: what the threshold was to reach here; 0 for as many cracks as the shipped model finds; None where it lies as high
            as the shipped one.
        choice: what the candidate chose by itself, for people.
        order_gain, order_gain_low: by how much the area under the curve grows, and the lower end of that as above.
    """

    candidate: str
    passed: bool
    reason: str
    cracks: int
    clean: int
    photographs: int
    found_before: int
    found_after: int
    alarms_before: int
    alarms_after: int
    errors_fall: float
    errors_fall_low: float
    least_recall: float
    miss_bound_before: float
    miss_bound_after: float
    threshold: float
    seconds: float
    asked_recall: float | None = 0.0
    choice: str = ""
    order_gain: float = 0.0
    order_gain_low: float = 0.0


@dataclass(frozen=True)
class ElsewhereRow:
    """One candidate on one set of other structures: a line of regression.csv.

    Attributes:
        candidate, set: names.
        passed: whether recall stays above `least_recall`.
        cracks, clean: tiles of the set's test.
        found_before, found_after, alarms_before, alarms_after: as for `SiteRow`.
        least_recall: lower end of the shipped recall's 95 % interval (Wilson).
    """

    candidate: str
    set: str
    passed: bool
    cracks: int
    clean: int
    found_before: int
    found_after: int
    alarms_before: int
    alarms_after: int
    least_recall: float


def least_recall(called: np.ndarray, labels: np.ndarray) -> float:
    """Lower end of the 95 % interval of the recall of what is called: what it may fall to without having fallen for certain."""
    cracked = labels == 1
    return wilson_interval(int(called[cracked].sum()), int(cracked.sum()))[0] if cracked.any() else 0.0


def least_here(called: np.ndarray, labels: np.ndarray) -> float:
    """What the recall here may fall to: as `least_recall`, but of few cracks not at all, whose interval would let a fifth of them go."""
    cracked = labels == 1
    return float(called[cracked].mean()) if are_few(labels) and cracked.any() else least_recall(called, labels)


def are_few(labels: np.ndarray) -> bool:
    """Whether so many cracks cannot tell what a candidate would miss."""
    return int((labels == 1).sum()) < FEW_CRACKS


def reachable(called: np.ndarray, labels: np.ndarray, target: float) -> float:
    """The recall to ask of a candidate: the target, unless the shipped recall's 95 % interval holds it; then what is called.

    Args:
        called: bool (n,), by the shipped model.
        labels: (n,), 1 is cracked; some are.
        target: wanted recall.
    """
    cracked = labels == 1
    found, cracks = int(called[cracked].sum()), int(cracked.sum())
    reached = wilson_interval(found, cracks)[1] >= target
    return max(found, 1) / cracks if reached else target


def highest_threshold(logits: np.ndarray, labels: np.ndarray, least: float) -> float:
    """The highest threshold that still finds a share `least` of the cracks; infinity where there are none."""
    cracks = np.sort(logits[labels == 1])[::-1]
    return float(cracks[max(1, math.ceil(least * len(cracks) - 1e-9)) - 1]) if len(cracks) else math.inf


def same_place(before: np.ndarray, after: np.ndarray, threshold: float) -> float:
    """Where a threshold on a model's logits lies among another's: as many of the same tiles lie below, and as far between two of them.

    Args:
        before, after: (n,), n > 0.
        threshold: on `before`.

    Example:
        >>> same_place(np.array([-2.0, 1.0, 3.0]), np.array([-4.0, 2.0, 6.0]), 0.0)
        0.0
    """
    old, new = np.sort(before), np.sort(after)
    place = int(np.searchsorted(old, threshold))  # the first that is called
    if 0 < place < len(old):
        share = (threshold - old[place - 1]) / (old[place] - old[place - 1])
        return min(float(new[place]), float(new[place - 1] + share * (new[place] - new[place - 1])))
    end = 0 if place == 0 else -1
    return float(new[end] + threshold - old[end])


def choose_threshold(logits: np.ndarray, labels: np.ndarray, target_recall: float, ceiling: float = math.inf) -> float:
    """The threshold that finds `target_recall` of this structure's cracks, and no higher than other structures allow.

    Args:
        logits: (n,), of tiles that the model was not fitted to.
        labels: (n,), 1 is cracked; some are.
        target_recall: see `crack_tf.evaluation.thresholds.select_threshold`.
        ceiling: from `highest_threshold` on other structures.
    """
    return min(select_threshold(logits, labels, target_recall), ceiling)


def compare_here(
    candidate: str,
    tiles: HeldOut,
    before: Answers,
    after: Answers,
    threshold: float,
    seconds: float = 0.0,
    seed: int = 0,
) -> SiteRow:
    """Hold a candidate's answers to tiles that it had not seen against the shipped model's.

    Where a person labelled them, one passes, too, that orders cracks before clean tiles better beyond chance and makes no more errors:
    of few labels, where each answer lies tells more than on which side of a threshold. Cracks that were laid in are ordered well by what
    learned from such. Without a person see `reasons_untold`.

    Args:
        candidate: its name.
        tiles: that are answered.
        before: of the shipped model at its own threshold.
        after: of the candidate.
        threshold: of the candidate that would be handed over.
        seconds: that it took.
        seed: of the draws.
    """
    labels, photos, told = tiles.labels, tiles.photos, tiles.told
    old, new = _counts(before, labels), _counts(after, labels)
    fall, low = fall_of_errors(labels, photos, before.called, after.called, seed)
    least = least_here(before.called, labels) if told else old.recall
    reasons = [] if told else reasons_untold(before.called, after.called, labels)
    if told and new.recall < least:
        few = f" (of fewer than {FEW_CRACKS} cracks none may be lost)" if are_few(labels) else ""
        reasons.append(
            f"it finds {new.true_positive} of {counted(new.positives, 'crack')} here, the shipped model {old.true_positive}{few}"
        )
    gain, gain_low = gain_of_order(labels, photos, before.logits, after.logits, seed)
    if low <= 0 and not (told and gain_low > 0 and fall >= 0):
        ordered = f", nor are cracks told better (the area under the curve changes by {gain:+z.3f}, perhaps by {gain_low:+z.3f})"
        kept = f"; fewer than {FEW_CRACKS} cracks raise no threshold" if told and are_few(labels) else ""
        fewer = (
            f"fewer, but on {counted(len(set(photos)), 'photograph')} that may be chance" if fall > 0 else "not fewer"
        )
        reasons.append(
            f"its errors here are {fewer} (the shares missed and falsely called change by {-fall:+z.3f} "
            f"together, with other photographs like these perhaps by {-low:+z.3f})"
            f"{ordered if told and gain_low <= 0 else ''}{kept}"
        )
    return SiteRow(
        candidate=candidate,
        passed=not reasons,
        reason="; ".join(reasons),
        cracks=new.positives,
        clean=new.negatives,
        photographs=len(set(photos)),
        found_before=old.true_positive,
        found_after=new.true_positive,
        alarms_before=old.false_positive,
        alarms_after=new.false_positive,
        errors_fall=fall,
        errors_fall_low=low,
        least_recall=least,
        miss_bound_before=miss_bound(old),
        miss_bound_after=miss_bound(new),
        threshold=threshold,
        seconds=round(seconds, 1),
        order_gain=gain,
        order_gain_low=gain_low,
    )


def reasons_untold(before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> list[str]:
    """Why a candidate may not replace the shipped model where nobody labelled a tile, a sentence each.

    This structure's own cracks are known to nobody; those that are found today are among the tiles that the shipped model calls, so all
    of these stay called. A crack that was laid in is none of this structure's, and pays for nothing: none is lost, and no other tile is
    called.

    Args:
        before, after: bool (n,), what is called.
        labels: (n,), 1 is a tile with a crack laid in, 0 one of the photographs as it is.
    """
    laid = labels == 1
    lost, dropped, added = (
        int(some.sum()) for some in (laid & before & ~after, ~laid & before & ~after, ~laid & after & ~before)
    )
    reasons = []
    if lost:
        reasons.append(f"it no longer finds {counted(lost, 'crack')} of those laid in that the shipped model finds")
    if dropped:
        called = counted(int((~laid & before).sum()), "tile")
        reasons.append(
            f"it no longer calls {dropped} of the {called} here that the shipped model calls, and these may be cracks"
        )
    if added:
        reasons.append(f"it calls {counted(added, 'tile')} more here, and nobody said that they are cracks")
    return reasons


def compare_elsewhere(candidate: str, name: str, labels: np.ndarray, before: Answers, after: Answers) -> ElsewhereRow:
    """Hold a candidate's answers on another structure against the shipped model's; both (n,)."""
    old, new = _counts(before, labels), _counts(after, labels)
    least = least_recall(before.called, labels)
    return ElsewhereRow(
        candidate=candidate,
        set=name,
        passed=not new.positives or new.recall >= least,
        cracks=new.positives,
        clean=new.negatives,
        found_before=old.true_positive,
        found_after=new.true_positive,
        alarms_before=old.false_positive,
        alarms_after=new.false_positive,
        least_recall=least,
    )


def reasons_elsewhere(rows: Sequence[ElsewhereRow]) -> list[str]:
    """Why other structures speak against a candidate, a sentence each."""
    return [
        f"on {row.set} it finds {row.found_after} of {counted(row.cracks, 'crack')}, the shipped model {row.found_before}"
        for row in rows
        if not row.passed
    ]


def reasons_as_file(row: SiteRow, found: int, called: int) -> list[str]:
    """Why a candidate's int8 file is not what its float model is, a sentence each.

    Args:
        row: of the float model.
        found, called: of this structure's cracks and clean tiles, by the file, which has learned from them: it should do no worse.
    """
    reasons = []
    if found < row.least_recall * row.cracks:
        reasons.append(
            f"as an int8 file it finds {found} of {counted(row.cracks, 'crack')} here, those that it learned from among them"
        )
    if called > max(row.alarms_before, row.alarms_after):
        reasons.append(
            f"as an int8 file it calls {called} of {counted(row.clean, 'clean tile')} here, those that it learned from among them"
        )
    return reasons


def with_reasons(row: SiteRow, reasons: Sequence[str]) -> SiteRow:
    """The row, not passed where there are reasons."""
    if not reasons:
        return row
    return replace(row, passed=False, reason="; ".join(filter(None, (row.reason, *reasons))))


def trade(row: SiteRow) -> str:
    """What a candidate pays for what it gains, in cracks and false alarms of this structure; "" where it pays nothing.

    Example: "4 fewer cracks found, for 15 fewer false alarms".
    """
    found, alarms = row.found_after - row.found_before, row.alarms_after - row.alarms_before
    if found < 0:
        price = f"{counted(-found, 'fewer crack')} found"
        return f"{price}, for {counted(-alarms, 'fewer false alarm')}" if alarms < 0 else price
    if alarms > 0:
        price = counted(alarms, "more false alarm")
        return f"{counted(found, 'more crack')} found, for {price}" if found else price
    return ""


def trade_of(rows: Sequence[SiteRow], candidate: str | None) -> str:
    """`trade` of a candidate among others; "" for none."""
    return next((trade(row) for row in rows if row.candidate == candidate), "")


def miss_bound(counts: Confusion) -> float:
    """What share of further cracks is missed, on average at most, if they are like these: (missed + 1) / (cracks + 1).

    A conformal bound: a further crack is as likely as any of these to be the one with the lowest score (Vovk, 2013).
    """
    return (counts.false_negative + 1) / (counts.positives + 1)


def fall_of_errors(
    labels: np.ndarray, photos: Sequence[str], before: np.ndarray, after: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """How much the share of cracks missed plus the share of clean tiles called falls, and the lower end of that.

    Args:
        labels: (n,), 1 is cracked; both are there.
        photos: (n,) names; whole photographs are drawn with replacement.
        before, after: bool (n,), what is called.
        seed: of the draws.

    Returns:
        The fall, and its 5th percentile over the draws.
    """
    owners, times = _drawn(photos, seed)
    cracked = labels == 1
    gain = np.where(cracked, after.astype(int) - before, before.astype(int) - after)
    # Per photograph: cracks, clean tiles, and what is gained on either.
    table = np.stack(
        [np.bincount(owners, values, times.shape[1]) for values in (cracked, ~cracked, gain * cracked, gain * ~cracked)]
    )
    whole = table.sum(axis=1)
    fall = float(whole[2] / whole[0] + whole[3] / whole[1])
    cracks, clean, found, left = table @ times.T
    usable = (cracks > 0) & (clean > 0)
    falls = found[usable] / cracks[usable] + left[usable] / clean[usable]
    return fall, _lower_end(falls)


def gain_of_order(
    labels: np.ndarray, photos: Sequence[str], before: np.ndarray, after: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """How much the area under the curve grows, and the lower end of that.

    Args:
        labels: (n,), 1 is cracked; both are there.
        photos: (n,) names; whole photographs are drawn with replacement.
        before, after: (n,) logits.
        seed: of the draws.

    Returns:
        The growth, and its 5th percentile over the draws.
    """
    owners, times = _drawn(photos, seed)
    cracked = labels == 1

    def won(logits: np.ndarray) -> np.ndarray:
        """Whether a crack's logit is the larger, of each crack and clean tile: 1, 0, or a half where they are the same."""
        return (np.sign(np.subtract.outer(logits[cracked], logits[~cracked])) + 1) / 2

    gained = won(after) - won(before)
    cracks, clean = times[:, owners[cracked]], times[:, owners[~cracked]]
    pairs = cracks.sum(axis=1) * clean.sum(axis=1)
    sums = ((cracks @ gained) * clean).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    return float(gained.mean()), _lower_end(sums)


def _drawn(photos: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which photograph each tile is of, int (n,), and how often each photograph is drawn, int (DRAWS, photographs)."""
    names, owners = np.unique(np.asarray(photos), return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    return owners, np.random.default_rng(seed).multinomial(len(names), shares, DRAWS)


def _lower_end(drawn: np.ndarray) -> float:
    """Lower end of what was found in the draws; of none, nothing is sure."""
    return float(np.quantile(drawn, 1 - SURE)) if len(drawn) else -math.inf


def as_rows(rows: Sequence[SiteRow | ElsewhereRow]) -> list[dict[str, Any]]:
    """For a CSV or JSON file."""
    return [asdict(row) for row in rows]


def _counts(answers: Answers, labels: np.ndarray) -> Confusion:
    return confusion(answers.called.astype(np.float64), labels, 0.5)
