"""Every picture is drawn for ordinary and for degenerate input, and shows what it should."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.evaluation import plots
from crack_tf.evaluation.calibration import ReliabilityBin, reliability_bins
from tflite.errors import CrackError
from tflite.metrics import Confusion


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def scores(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 2
    return (rng.normal(6, 2.2, count) * (2 * labels - 1)).astype(np.float32), labels


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
