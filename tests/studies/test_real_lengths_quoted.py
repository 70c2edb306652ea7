"""How often ranges of lengths hold on real photographs: docs/results.md quotes results/real-lengths; and how it is counted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from studies.real_lengths import COLUMNS, MASK, MODEL, SETS, compared, coverage, true_lengths
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_shares_are_quoted_as_measured() -> None:
    rows = {(row["way"], row["split"], row["set"]): row for row in read_csv(ROOT / "results/real-lengths/coverage.csv")}
    for name in (*SETS, "all"):
        told = [
            f"{rows[way, split, name]['held']} of {rows[way, split, name]['cracks']}"
            for way in (MASK, MODEL)
            for split in ("val", "test")
        ]
        assert f"| {name} | {' | '.join(told)} |" in PAGE


def test_the_tables_fit_each_other() -> None:
    rows = read_csv(ROOT / "results/real-lengths/cracks.csv")
    assert tuple(rows[0]) == COLUMNS
    table = read_csv(ROOT / "results/real-lengths/coverage.csv")
    assert sum(int(row["cracks"]) for row in table if row["set"] != "all") == len(rows)


def test_only_cracks_of_one_finding_are_compared() -> None:
    line = [[(0.0, 0.0), (100.0, 0.0)]]
    found = [(line, 100.0, 70.0, 120.0, False), (line, 50.0, 40.0, math.inf, True), (line, 60.0, 50.0, 70.0, False)]
    lengths = {1: 110.0, 2: 30.0, 3: 80.0, 4: 9.0}
    one, other = compared(found, [{1}, {2}, {3, 4}], lengths)
    assert (one["true_px"], one["high_px"], other["true_px"], other["high_px"]) == (110.0, 120.0, 30.0, "")
    assert list(compared(found, [{1}, {1}, set()], lengths)) == []
    rows = [{"way": MODEL, "split": "test", "set": SETS[0], **row} for row in (one, other)]
    (told,) = (row for row in coverage(rows) if (row["way"], row["split"], row["set"]) == (MODEL, "test", SETS[0]))
    assert (told["cracks"], told["held"], told["below"], told["above"]) == (2, 1, 1, 0)


def test_a_crack_in_parts_has_one_length() -> None:
    mask = np.zeros((60, 200), bool)
    mask[30:34, 10:90] = mask[30:34, 100:190] = True
    assert true_lengths(mask, np.ones(mask.shape, np.int32)) == {1: pytest.approx(180, abs=4)}
