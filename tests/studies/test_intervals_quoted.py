"""What docs/results.md quotes of the ranges of widths and lengths is what results/width-intervals holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.width_intervals import MASK, MODEL
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def rows() -> dict[tuple[str, str, str], dict[str, str]]:
    found = read_csv(ROOT / "results/width-intervals/coverage.csv")
    return {(row["through"], row["by"], row["class"]): row for row in found}


def test_how_often_ranges_hold_is_quoted_as_measured() -> None:
    own, model = (rows()[way, "all", ""] for way in (MASK, MODEL))
    assert f"| found | {own['found']} of {own['cracks']} | {model['found']} of {model['cracks']} |" in PAGE
    for name, words in (("mean_width", "mean width"), ("max_width", "maximum width"), ("length", "length")):
        told = " | ".join(
            f"{float(row[f'{name}_covered']):.3f} ({float(row[f'{name}_typical_range']):.2f} wide)"
            for row in (own, model)
        )
        assert f"| {words} | {told} |" in PAGE


AIM = 0.92, 0.98


@pytest.mark.parametrize("way", [MASK, MODEL])
def test_ranges_hold_as_often_as_they_say_of_all_cracks_and_of_wide_ones(way: str) -> None:
    for name in ("mean_width", "max_width"):
        whole, wide = rows()[way, "all", ""], rows()[way, "width_px", "5 to 20"]
        assert AIM[0] <= float(whole[f"{name}_covered"]) <= AIM[1]
        # Of some ninety cracks the share itself is too unsure.
        assert float(wide[f"{name}_covered_low"]) <= AIM[1]
        assert float(wide[f"{name}_covered_high"]) >= AIM[0]


@pytest.mark.parametrize("way", [MASK, MODEL])
def test_the_aim_for_lengths_lies_within_what_was_measured(way: str) -> None:
    length = rows()[way, "all", ""]
    assert float(length["length_covered_low"]) <= AIM[1]
    assert float(length["length_covered_high"]) >= AIM[0]
