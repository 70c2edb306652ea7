from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.adapt import SETS, blocks_table, collect, extent, guard_rows, guard_table, labels_table, summary
from tflite.files import read_csv, write_csv, write_json


def unit(out: Path, seed: int, shift: float) -> None:
    """What one pair of set and seed leaves: 20 photographs with two tiles each, the better told apart the larger the shift."""
    rng = np.random.default_rng(seed)
    truth = np.arange(40) % 2
    logits = rng.normal(0, 1, 40) + shift * truth
    row = {
        "set": SETS[0],
        "seed": seed,
        "labels": 0,
        "candidate": "shipped",
        "auc": 0.5,
        "specificity_at_recall": 0.25,
        "specificity_at_90": 0.5,
        "threshold": 0.0,
        "recall": 0.9,
        "specificity": 0.5,
        "shipped_recall": 0.9,
        "shipped_specificity": 0.5,
        "accepted": "",
        "asked_recall": "",
        "choice": "",
        "seconds": "",
        "test_cracks": 20,
        "test_clean": 20,
        "test_photographs": 20,
        "least_margin_elsewhere": 0.01 * (seed + 1),
    }
    stem = out / f"{SETS[0]}-{seed}-labels"
    kept = {"logits0": logits.tolist(), "truth": truth.tolist(), "photos": [f"p{place // 2}" for place in range(40)]}
    write_json(stem.with_suffix(".json"), kept)
    write_csv(stem.with_suffix(".csv"), [row], list(row))


def test_means_over_seeds_have_intervals_by_photograph_and_a_plot(tmp_path: Path) -> None:
    for seed in range(2):
        unit(tmp_path / "work", seed, 2.0)
    write_json(tmp_path / "work" / "study.json", {"model": "tiny"})
    collect(tmp_path, tmp_path / "work")
    (row,) = read_csv(tmp_path / "summary.csv")
    assert (row["set"], row["seeds"], float(row["specificity_at_recall"])) == (SETS[0], "2", 0.25)
    assert 0.5 < float(row["auc_low"]) < float(row["auc_high"]) <= 1
    assert float(row["worst_margin_elsewhere"]) == 0.01
    assert len(read_csv(tmp_path / "runs.csv")) == 2
    assert (tmp_path / "adapt.png").stat().st_size > 1000
    assert not (tmp_path / "guard.csv").exists()  # no guard was asked


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


def test_how_long_a_crack_is_in_a_tile() -> None:
    mask = np.zeros((40, 40), bool)
    assert extent(mask) == 0
    mask[5, 5] = True
    assert extent(mask) == 0  # a single pixel
    mask[35, 5] = True
    assert extent(mask) == pytest.approx(0.75)
    mask[35, 39] = True
    assert extent(mask) == pytest.approx(np.hypot(30, 34) / 40)


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


def test_a_mean_over_sets_is_one_of_the_same_sets() -> None:
    """Where a number of labels lacks on one set, the mean of all would be one of others."""
    shipped = {"set": SETS[0], "labels": 0, "candidate": "shipped", "auc": 0.8, "recall": 0.5, "specificity": 0.25}
    there = [shipped, shipped | {"set": SETS[1], "auc": 0.6}, shipped | {"labels": 40, "candidate": "blocks"}]
    *_, mean, mean_of_some = labels_table(there).splitlines()
    assert mean == "| mean | 0.70: 0.50, 0.25 | - | - | - | - |"
    assert mean_of_some == "| mean of those with 40 labels | 0.80: 0.50, 0.25 | - | - | 0.80: 0.50, 0.25 | - |"
