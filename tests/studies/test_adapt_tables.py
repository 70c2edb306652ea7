"""Tables of the study of a few labels: means are of the same sets, the guard is counted by what helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from studies.adapt_tables import (
    SETS,
    blocks_table,
    gains,
    gains_table,
    guard_rows,
    guard_table,
    labels_table,
    left_out_table,
    summary,
)


def test_nothing_measured_is_an_empty_summary() -> None:
    assert summary([], {}) == []


def judged(seed: int, candidate: str, recall: float, accepted: int) -> dict[str, Any]:
    """A candidate of twenty labels; the shipped model has 0.8 and 0.8."""
    same = {"shipped_recall": 0.8, "shipped_specificity": 0.8, "specificity": 0.8}
    return {
        "set": "brick",
        "seed": seed,
        "labels": 20,
        "candidate": candidate,
        "recall": recall,
        "accepted": accepted,
    } | same


def test_the_guard_is_counted_by_what_helps_and_what_is_handed_over_first() -> None:
    rows = [
        *(judged(0, "threshold", 0.7, 0), judged(0, "head", 0.9, 1), judged(0, "fine", 0.95, 1)),
        *(judged(1, "threshold", 0.75, 1), judged(1, "head", 0.9, 0), judged(1, "fine", 0.81, 0)),
    ]
    found = {row["candidate"]: row for row in guard_rows(rows)}
    counts = {
        name: (row["helps_accepted"], row["helps"], row["harms_accepted"], row["harms"]) for name, row in found.items()
    }
    assert counts == {"threshold": (0, 0, 1, 2), "head": (1, 2, 0, 0), "fine": (1, 1, 0, 0), "first": (1, 1, 1, 1)}
    assert found["first"]["recall"] == pytest.approx((0.9 + 0.75) / 2)
    assert "| 20 | head | 1 of 2 | 0 of 0 | 0.80 -> 0.90 | 0.80 -> 0.80 |" in guard_table(guard_rows(rows))


def test_the_last_blocks_stand_beside_as_many_labels() -> None:
    row = {
        "set": SETS[0],
        "labels": 40,
        "candidate": "blocks",
        "auc": 0.9,
        "specificity_at_recall": 0.5,
        "specificity_at_90": 0.75,
    }
    row |= {"recall": 1.0, "specificity": 0.25, "accepted": 1}
    shipped = row | {"labels": 0, "candidate": "shipped", "auc": 0.8, "accepted": ""}
    table = blocks_table([shipped, row, row | {"auc": 0.8, "accepted": 0}])
    assert f"| {SETS[0]} | shipped | 0.80 | 0.50 | 0.75 | - | 1.00 | 0.25 |" in table
    assert f"| {SETS[0]} | blocks, 40 | 0.85 | 0.50 | 0.75 | 1 of 2 | 1.00 | 0.25 |" in table
    unjudged = row | {"auc": 0.5, "accepted": ""}
    assert blocks_table([shipped, row, row | {"auc": 0.8, "accepted": 0}, unjudged]) == table


def test_called_clean_tiles_are_what_specificity_leaves_with_the_ends_turned() -> None:
    row: dict[str, Any] = {"set": "metu grouped", "labels": 0, "candidate": "shipped"}
    for figure, value, low, high in (("auc", 0.9, 0.8, 1.0), ("specificity_at_recall", 0.5, 0.25, 1.0)):
        row |= {figure: value, f"{figure}_low": low, f"{figure}_high": high}
    row |= {"recall": 1.0, "specificity": 0.25}
    row |= {f"specificity_at_90{end}": row[f"specificity_at_recall{end}"] for end in ("", "_low", "_high")}
    table = left_out_table([row | {"labels": 20, "candidate": "blocks", "auc": 0.95}, row])
    cells = "0.500 [0.000, 0.750] | 0.500 [0.000, 0.750] | 1.00, 0.25 |"
    assert table.splitlines()[2:] == [
        f"| metu grouped | as trained | 0.900 [0.800, 1.000] | {cells}",
        f"| metu grouped | blocks, 20 | 0.950 [0.800, 1.000] | {cells}",
    ]


def test_a_mean_over_sets_is_one_of_the_same_sets() -> None:
    """Where a number of labels lacks on one set, the mean of all would be one of others."""
    shipped = {"set": SETS[0], "labels": 0, "candidate": "shipped", "auc": 0.8, "recall": 0.5, "specificity": 0.25}
    there = [shipped, shipped | {"set": SETS[1], "auc": 0.6}, shipped | {"labels": 40, "candidate": "blocks"}]
    *_, mean, mean_of_some = labels_table(there).splitlines()
    assert mean == "| mean | 0.70: 0.50, 0.25 | - |"
    assert mean_of_some == "| mean of those with 40 labels | 0.80: 0.50, 0.25 | 0.80: 0.50, 0.25 |"


def test_gains_are_of_the_same_tiles_and_their_interval_of_photographs() -> None:
    """One model tells all tiles of both sets, the shipped one half of one set's; a set without so many labels takes no part."""
    truth, photos = np.array([1, 0, 1, 0] * 5), [f"p{number // 2}" for number in range(20)]
    right = truth * 2.0 - 1
    turned = np.where(np.arange(20) < 10, -right, right)
    answers: dict[tuple[str, int, int, str], Any] = {}
    for name, shipped in (("a", right), ("b", turned), ("c", turned)):
        answers[name, 0, 0, "shipped"] = (shipped, truth, photos)
        if name != "c":
            answers[name, 0, 20, "blocks"] = (right, truth, photos)
    rows = [{"labels": labels, "candidate": candidate} for _, _, labels, candidate in answers]
    found = {row["figure"]: row for row in gains(rows, answers)}
    auc = found["auc"]
    assert (auc["sets"], auc["draws"], auc["mean"]) == (2, 2, 1.0)
    assert auc["shipped"] == pytest.approx((1 + 0.5) / 2)
    assert auc["change"] == pytest.approx(0.25)
    assert auc["change_low"] < auc["change"] < auc["change_high"]
    assert "| 20 | 2 | 2 | area under the curve | 0.750 | 1.000 | +0.250 [" in gains_table(list(found.values()))
    assert "clean tiles called at recall 0.98 | 0.500 | 0.000 | -0.500 [" in gains_table(list(found.values()))


def test_nothing_beside_the_shipped_model_is_no_gain() -> None:
    assert gains([{"labels": 0, "candidate": "shipped"}], {}) == []
