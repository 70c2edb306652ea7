"""Every picture is drawn for ordinary and for degenerate input, and shows what it should."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crack_tf.evaluation.calibration import ReliabilityBin, reliability_bins
from crack_tf.reporting import plots
from tflite.errors import CrackError
from tflite.metrics import Confusion


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


def scores(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 2
    return (rng.normal(6, 2.2, count) * (2 * labels - 1)).astype(np.float32), labels


@pytest.mark.parametrize("count", [1, 2, 12])
def test_history_is_drawn_for_any_number_of_epochs(tmp_path: Path, count: int) -> None:
    plots.history_curves(epoch_rows(count), tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").std() > 5


def test_history_read_from_csv_text_draws_the_same_picture(tmp_path: Path) -> None:
    rows = epoch_rows(5)
    plots.history_curves(rows, tmp_path / "numbers.png")
    plots.history_curves([{key: repr(value) for key, value in row.items()} for row in rows], tmp_path / "text.png")
    assert np.array_equal(pixels(tmp_path / "numbers.png"), pixels(tmp_path / "text.png"))


def test_history_with_gaps_and_missing_columns_is_drawn(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"epoch": 1, "loss": 0.5, "recall": None},
        {"epoch": 2, "loss": "", "recall": 0.9, "auc": float("nan")},
        {"epoch": 3, "loss": 0.0},
    ]
    plots.history_curves(rows, tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").std() > 1


@pytest.mark.parametrize(("rows", "words"), [([], "no epochs"), ([{"loss": 1.0}], '"epoch"')])
def test_history_without_epochs_is_refused(tmp_path: Path, rows: list, words: str) -> None:
    with pytest.raises(CrackError, match=words):
        plots.history_curves(rows, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "counts", [Confusion(823, 2, 2650, 7), Confusion(5, 0, 0, 0), Confusion(0, 0, 0, 9), Confusion(0, 0, 0, 0)]
)
def test_confusion_is_drawn_even_for_a_missing_class(tmp_path: Path, counts: Confusion) -> None:
    plots.confusion_plot(counts, "opnet", tmp_path / "confusion.png")
    assert pixels(tmp_path / "confusion.png").std() > 5


def test_one_missed_crack_is_visible_in_the_confusion_plot(tmp_path: Path) -> None:
    plots.confusion_plot(Confusion(9999, 1, 10000, 0), "one", tmp_path / "one.png")
    plots.confusion_plot(Confusion(10000, 0, 10000, 0), "none", tmp_path / "none.png")

    def reddish(path: Path) -> int:
        image = pixels(path).astype(int)
        return int(np.sum(image[..., 0] - image[..., 2] > 20))

    assert reddish(tmp_path / "one.png") > 10_000
    assert reddish(tmp_path / "none.png") == 0


def test_reliability_is_drawn_from_measured_bins(tmp_path: Path) -> None:
    plots.reliability_plot(reliability_bins(*scores(600)), "opnet", tmp_path / "reliability.png")
    assert pixels(tmp_path / "reliability.png").std() > 5


def test_reliability_at_exactly_0_and_1_is_drawn(tmp_path: Path) -> None:
    plots.reliability_plot([ReliabilityBin(10, 0.0, 0.0), ReliabilityBin(3, 1.0, 1.0)], "sure", tmp_path / "r.png")
    assert pixels(tmp_path / "r.png").std() > 5


def test_scores_are_drawn_for_one_and_two_classes_and_for_one_tile(tmp_path: Path) -> None:
    logits, labels = scores(600)
    plots.score_plot(logits, labels, -1.5, "both", tmp_path / "both.png")
    plots.score_plot(logits[labels == 1], labels[labels == 1], -1.5, "cracks only", tmp_path / "cracks.png")
    plots.score_plot(np.array([0.0]), np.array([0]), 0.0, "one tile", tmp_path / "tile.png")
    assert all(pixels(path).std() > 5 for path in tmp_path.iterdir())


@pytest.mark.parametrize("logits", [[], [np.nan], [np.inf]])
def test_scores_that_cannot_be_drawn_are_refused(tmp_path: Path, logits: list) -> None:
    with pytest.raises(CrackError, match="cannot draw"):
        plots.score_plot(np.array(logits), np.zeros(len(logits)), 0.0, "bad", tmp_path / "bad.png")
    with pytest.raises(CrackError, match="no reliability bins"):
        plots.reliability_plot([], "bad", tmp_path / "bad.png")
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"must end in \.png"):
        plots.confusion_plot(Confusion(1, 1, 1, 1), "pdf", tmp_path / "confusion.pdf")
    assert not list(tmp_path.iterdir())


def test_drawing_leaves_pyplot_alone(tmp_path: Path) -> None:
    loaded = "matplotlib.pyplot" in sys.modules
    plots.confusion_plot(Confusion(1, 1, 1, 1), "plain", tmp_path / "confusion.png")
    assert ("matplotlib.pyplot" in sys.modules) == loaded
