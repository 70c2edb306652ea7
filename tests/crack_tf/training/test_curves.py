"""Learning curves are drawn for ordinary and for degenerate histories, and show what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.training.curves import history_curves
from tflite.errors import CrackError


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def epoch_rows(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "epoch": number + 1,
            "lr": 1e-3 * 0.7**number,
            "loss": 0.4 * 0.6**number + 0.01,
            "val_loss": 0.35 * 0.65**number + 0.02 + 0.01 * rng.random(),
            "recall": 1 - 0.05 * 0.7**number,
            "specificity": 1 - 0.12 * 0.6**number,
            "accuracy": 1 - 0.08 * 0.65**number,
            "f1": 1 - 0.09 * 0.65**number,
            "auc": 1 - 0.02 * 0.6**number,
            "specificity_at_target": 1 - 0.3 * 0.5**number,
            "seconds": 12.5,
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 12])
def test_history_is_drawn_for_any_number_of_epochs(tmp_path: Path, count: int) -> None:
    history_curves(epoch_rows(count), tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").std() > 5


def test_history_read_from_csv_text_draws_the_same_picture(tmp_path: Path) -> None:
    rows = epoch_rows(5)
    history_curves(rows, tmp_path / "numbers.png")
    history_curves([{key: repr(value) for key, value in row.items()} for row in rows], tmp_path / "text.png")
    assert np.array_equal(pixels(tmp_path / "numbers.png"), pixels(tmp_path / "text.png"))


def test_history_with_gaps_and_missing_columns_is_drawn(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"epoch": 1, "loss": 0.5, "recall": None},
        {"epoch": 2, "loss": "", "recall": 0.9, "auc": float("nan")},
        {"epoch": 3, "loss": 0.0},
    ]
    history_curves(rows, tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").std() > 1


@pytest.mark.parametrize(("rows", "words"), [([], "no epochs"), ([{"loss": 1.0}], '"epoch"')])
def test_history_without_epochs_is_refused(tmp_path: Path, rows: list, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        history_curves(rows, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())
