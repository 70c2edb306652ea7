"""Benchmark pictures are drawn for rows with and without accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tflite.errors import CrackError
from tflite.plots import benchmark_plot

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
