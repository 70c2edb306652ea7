"""What docs/scale.md and docs/coverage.md quote of distances and intervals is what results/coverage holds."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from studies.coverage import SEEMS
from studies.positions import LENSES
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/coverage"
SCALE, COVERAGE = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("scale.md", "coverage.md"))


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


def test_intervals_on_cylinders_are_quoted_as_measured() -> None:
    shares = {(row["shape"], row["what"]): float(row["share"]) for row in read_csv(RESULTS / "scales.csv")}
    flat = sorted(round(100 * shares[shape, "lengths"]) for shape in ("flat", "corner"))
    assert f"| 95 % | {flat[0]} to {flat[1]} % |" in COVERAGE
    scales = sorted(round(100 * shares[shape, "scale"]) for shape in ("flat", "corner", "cylinder"))
    assert f"| 95 % | {scales[0]} to {scales[-1]} % |" in COVERAGE
    assert f"| 95 % | {100 * shares['cylinder', 'lengths, pier declared']:.0f} % |" in COVERAGE
    assert f"by headings | 95 % | {100 * shares['cylinder', 'lengths, nobody declares the pier']:.0f} % |" in COVERAGE
    assert f"do not tell, either | | {100 * shares['cylinder', 'lengths']:.0f} % |" in COVERAGE
    told = {row["shape"]: row for row in read_csv(RESULTS / "scales.csv") if row["what"] == SEEMS}
    walls = [sum(int(told[shape][name]) for shape in ("flat", "corner")) for name in ("inside", "tried")]
    pier = told["cylinder"]
    assert f"| {pier['inside']} of {pier['tried']}; {walls[0]} of {walls[1]} |" in COVERAGE
