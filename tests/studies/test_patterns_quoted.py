"""What docs/condition.md and docs/handover.md quote is what results/patterns holds."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/patterns"
CONDITION = (ROOT / "docs/condition.md").read_text(encoding="utf-8")
HANDOVER = (ROOT / "docs/handover.md").read_text(encoding="utf-8")
MASKS, MODEL = "true masks", "unet_mobile"


def test_patterns_and_proposals_are_quoted_as_measured() -> None:
    right: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for row in read_csv(RESULTS / "confusion.csv"):
        total[row["source"]] += int(row["cracks"])
        right[row["source"]] += int(row["cracks"]) if row["drawn"] == row["told"] else 0
    told = " | ".join(f"{right[source]} of {total[source]}" for source in (MASKS, MODEL))
    assert f"| pattern as drawn | {told} |" in CONDITION
    rows = {(row["source"], row["table"]): row for row in read_csv(RESULTS / "conditions.csv")}
    for table in ("mbei-1130", "osim", "width-classes"):
        told = " | ".join(f"{rows[s, table]['agree']} of {rows[s, table]['cracks']}" for s in (MASKS, MODEL))
        assert f"`{table}` | {told} |" in CONDITION
        assert all(float(rows[source, table]["share"]) >= 0.95 for source in (MASKS, MODEL))


def test_directions_and_spacings_are_quoted_as_measured() -> None:
    rows = {(row["source"], row["pattern"]): row for row in read_csv(RESULTS / "directions.csv")}
    told = " | ".join(f"{float(rows[s, 'single']['direction_off_deg_median']):.1f} degrees" for s in (MASKS, MODEL))
    assert f"off by, median | {told} |" in CONDITION
    for pattern, words in (("parallel set", "of a set"), ("map", "across a mesh")):
        told = " | ".join(f"{float(rows[s, pattern]['spacing_off_share_median']):.0%}" for s in (MASKS, MODEL))
        assert f"spacing {words} off by, median | {told.replace('%', ' %')} |" in CONDITION


def test_sheets_are_quoted_as_measured() -> None:
    rows = {
        (float(row["position_error_m"]), row["photographs"], row["aligned"]): row
        for row in read_csv(RESULTS / "sheets.csv")
    }
    words = {0.0: "none", 0.005: "5 mm", 0.015: "15 mm, as RTK has it"}
    for error, photographs, aligned in rows:
        if aligned == "yes":
            alone, together = rows[error, photographs, "no"], rows[error, photographs, "yes"]
            told = (alone["median_mm"], together["median_mm"], together["shifted_median_mm"])
            shown = " | ".join(f"{float(value):.1f} mm" for value in told)
            assert f"| {words[error]} | {photographs} | {shown} |" in HANDOVER
            assert float(together["shifted_median_mm"]) <= 5
    assert float(rows[0.005, "6", "yes"]["median_mm"]) <= 5
    assert float(rows[0.015, "24", "yes"]["median_mm"]) <= 5
