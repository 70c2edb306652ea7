"""What docs/since.md quotes is what results/growth holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.growth import ALL, FRESH, GROWTHS_MM
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/growth"
PAGE = (ROOT / "docs/since.md").read_text(encoding="utf-8")


def shares(pairs: str) -> dict[str, dict[str, str]]:
    """Cracks of all widths, by their growth."""
    table = read_csv(RESULTS / "power.csv")
    return {row["grown_mm"]: row for row in table if (row["pairs"], row["width_px"]) == (pairs, "all")}


@pytest.mark.parametrize("pairs", [ALL, FRESH])
def test_shares_called_grown_and_ranges_are_quoted_as_measured(pairs: str) -> None:
    rows = shares(pairs)
    for name in (*(f"{growth:g}" for growth in GROWTHS_MM), "all"):
        row = rows[name]
        cracks = row["cracks"]
        told = [
            name if name == "all" else f"{name} mm",
            f"{row['called_grown']} of {cracks}",
            f"{row['grown_by_two_ranges']} of {cracks}",
            row["cannot_tell"],
            *(f"{row[f'{of}_held']} of {row[f'{of}_ranges']}" for of in ("width", "length")),
        ]
        assert f"| {' | '.join(told)} |" in PAGE


@pytest.mark.parametrize("pairs", [ALL, FRESH])
def test_a_crack_that_has_not_grown_is_rarely_called_grown_and_ranges_hold(pairs: str) -> None:
    rows = shares(pairs)
    assert float(rows["0"]["called_grown_share"]) <= 0.05
    for of in ("width", "length"):
        assert float(rows["all"][f"{of}_held_low"]) <= 0.98
        assert float(rows["all"][f"{of}_held_high"]) >= 0.92


def test_cracks_that_run_on_are_quoted_as_measured() -> None:
    for row in read_csv(RESULTS / "length.csv"):
        told = f"{row['called_longer']} of {row['cracks']} | {row['held']} of {row['cracks']}"
        assert row["cracks"] == "0" or f"| {row['longer_px']} pixels | {told} |" in PAGE


def test_pairs_are_counted_as_flown() -> None:
    rows = read_csv(RESULTS / "cracks.csv")
    assert f"{len({row['seed'] for row in rows})} pairs of drawn flights" in PAGE
    assert f"Of {len(rows)} cracks" in PAGE
