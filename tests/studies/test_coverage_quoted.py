"""What docs/scale.md quotes of distances and intervals is what results/coverage holds."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from studies.positions import LENSES
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/coverage"
SCALE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")


def test_distances_between_photographs_are_quoted_as_measured() -> None:
    rows = read_csv(RESULTS / "positions.csv")

    def held(photographs: str, name: str) -> str:
        own = [row for row in rows if row["photographs"] == photographs]
        inside, tried = (sum(int(row[column]) for row in own) for column in (name, "measured"))
        assert inside >= 0.95 * tried
        return f"| 95 % | {inside} of {tried} |"

    lines = [line for line in SCALE.splitlines() if "| 95 % |" in line]
    assert lines[0].startswith("| distances in their stated interval")
    assert held("0", "inside") in lines[0]
    assert held("0", "scales_inside") in lines[1]
    assert held("1", "inside") == held("1", "scales_inside")
    assert held("1", "inside") in lines[2]
    stated = [
        median(float(row["stated_percent"]) for row in rows if row["lens"] == str(lens) and row["photographs"] == "0")
        for lens in LENSES
    ]
    assert f"| {', '.join(f'{value:.1f}' for value in stated)} % |" in SCALE
