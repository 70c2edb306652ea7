"""Benchmark pictures are drawn for rows with and without accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tflite.board_results import make_row, make_series
from tflite.errors import CrackError
from tflite.plots import benchmark_plot, report_plot, sustained_plot

pytest.importorskip("matplotlib")


def row(
    model: str, threads: int, p50: float, recall: float | None = None, specificity: float | None = None
) -> dict[str, Any]:
    rates = {
        f"{name}{suffix}": None if rate is None else min(1.0, max(0.0, rate + shift))
        for name, rate in (("recall", recall), ("specificity", specificity))
        for suffix, shift in (("", 0.0), ("_low", -0.004), ("_high", 0.002))
    }
    return {"model": model, "threads": threads, "delegate": "xnnpack", "p50_ms": p50, "p90_ms": 1.2 * p50, **rates}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_rows_with_accuracy_and_rows_without_give_different_pictures(tmp_path: Path) -> None:
    benchmark_plot(
        [row("opnet", 1, 4.0, 0.997, 0.996), row("mobilenet", 2, 2.0, 0.999, 0.998)], tmp_path / "a.png", "a machine"
    )
    benchmark_plot([row("opnet", 1, 4.0), row("mobilenet", 2, 2.0)], tmp_path / "b.png")
    first, second = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert first.shape != second.shape
    assert first.min() < 100
    assert first.max() == 255
    assert not list(tmp_path.glob(".*"))


def test_rates_of_one_and_absent_classes_are_drawn(tmp_path: Path) -> None:
    benchmark_plot([row("opnet", 1, 4.0, 1.0, None), row("opnet", 2, 3.0, None, 1.0)], tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").size


def test_the_picture_shows_the_numbers(tmp_path: Path) -> None:
    benchmark_plot([row("opnet", 1, 4.0, 0.90, 0.99)], tmp_path / "a.png")
    benchmark_plot([row("opnet", 1, 4.0, 0.95, 0.99)], tmp_path / "b.png")
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="no benchmark rows"):
        benchmark_plot([], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def loaded(model: str, p50: float, **options: Any) -> dict[str, Any]:
    return make_row(model, 4, p50, **make_series(p50, **options))


def test_a_load_is_drawn_with_a_panel_for_all_that_is_known(tmp_path: Path) -> None:
    sustained_plot([loaded("opnet", 50.0), loaded("mobilenet", 20.0)], tmp_path / "a.png", "Pi 4")
    unknown = loaded("opnet", 50.0, fps=None)
    for name in ("temperature_c", "clock_mhz", "throttled", "power_w"):
        values = unknown["sustained"]["samples"][name]
        unknown["sustained"]["samples"][name] = [None] * len(values)
    sustained_plot([unknown], tmp_path / "b.png")
    assert pixels(tmp_path / "a.png").shape[0] > 2 * pixels(tmp_path / "b.png").shape[0]


def test_throttling_shows(tmp_path: Path) -> None:
    row = loaded("opnet", 20.0)
    sustained_plot([row], tmp_path / "a.png")
    row["sustained"]["samples"]["throttled"] = ["0x0"] * 600
    sustained_plot([row], tmp_path / "b.png")
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_stretches_without_a_decision_leave_a_gap(tmp_path: Path) -> None:
    row = loaded("opnet", 20.0, minutes=0.2)
    row["sustained"]["bins"]["p50_ms"][3] = row["sustained"]["bins"]["max_ms"][3] = None
    row["sustained"]["bins"]["decisions"][3] = row["sustained"]["bins"]["dropped"][3] = 0
    sustained_plot([row, make_row("unloaded", 1, 3.0)], tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").size


def test_rows_without_a_load_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="sustained load"):
        sustained_plot([make_row("opnet", 1, 3.0)], tmp_path / "a.png")


def on(board: str, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"hardware": board.lower(), "board": board}


def test_energy_gets_a_panel_of_its_own_in_a_report(tmp_path: Path) -> None:
    rows = [on("Pi 4", make_row("opnet", 1, 60.0)), on("Pi 5", make_row("opnet", 1, 15.0))]
    report_plot(rows, tmp_path / "a.png")
    report_plot([rows[0] | {"joules_per_decision": 0.1}, rows[1]], tmp_path / "b.png")
    assert pixels(tmp_path / "b.png").shape[1] > pixels(tmp_path / "a.png").shape[1]


def test_a_report_of_very_many_rows_shows_the_fastest_of_each(tmp_path: Path) -> None:
    rows = [
        on(f"Pi {board}", make_row(f"model-{model}", threads, 100.0 / threads))
        for board in range(3)
        for model in range(7)
        for threads in (1, 2, 3, 4)
    ]
    report_plot(rows, tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[0] < 1500
    with pytest.raises(CrackError, match="no benchmark rows"):
        report_plot([], tmp_path / "b.png")


def test_names_are_not_taken_for_formulas(tmp_path: Path) -> None:
    name = r"a$\frac{$_{b"
    benchmark_plot([row(name, 1, 4.0)], tmp_path / "a.png", name)
    report_plot([on(name, make_row(name, 1, 3.0))], tmp_path / "b.png")
    sustained_plot([loaded(name, 3.0, minutes=0.1)], tmp_path / "c.png", name)
