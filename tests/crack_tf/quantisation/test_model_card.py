"""The model card says what it must, with counts; the picture is drawn for ordinary and for degenerate logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from crack_tf.quantisation.model_card import comparison_plot, model_card
from tflite.compare import Comparison, MapComparison, compare
from tflite.graph import Graph, Operator
from tflite.manifest import LABELS
from tflite.sidecar import Golden, Sidecar, TensorSpec, Threshold

PIXELS = TensorSpec((1, 96, 96, 3), "uint8", 1 / 128, 128)
LOGIT = TensorSpec((1, 1), "int8", 0.1, 0)
GRAPH = Graph((PIXELS,), (LOGIT,), (Operator("CONV_2D", (LOGIT,), 2_500_000, 10),), 39_041, 50_000)
SIDECAR = Sidecar(
    model="opnet",
    scheme="int8-qat",
    file="opnet-int8-qat.tflite",
    sha256="ab" * 32,
    image_size=96,
    labels=LABELS,
    hyperparameters={"dropout": 0.5},
    input=PIXELS,
    output=LOGIT,
    threshold=Threshold(0.2689, -1.0, -10, 0.998, "val"),
    golden=Golden(3.0, 2.0),
    training={
        "dataset": "metu",
        "policy": "grouped",
        "manifest_sha256": "cd" * 32,
        "run": "opnet-96",
        "seed": 0,
        "calibration": {"tiles": 200, "split": "train", "seed": 0},
        "qat": {"steps": 240, "batch": 32, "learning_rate": 1e-5},
    },
    metrics={"split": "test"},
    licence="CC-BY-4.0",
    versions={"python": "3.11", "tensorflow": "2.21.0"},
    git_revision="0123abc",
    created="2024-01-01T00:00:00+00:00",
)


def make_comparison(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, Comparison]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    reference = np.where(labels == 1, 5.0, -6.0) + rng.normal(0, 2, count)
    quantised = np.round((reference + rng.normal(0, 0.1, count)) / 0.1) * 0.1
    return reference, quantised, labels, compare(reference, quantised, labels, -1.0, -1.0)


def test_card_states_measurements_with_counts_and_intervals() -> None:
    comparison = make_comparison()[3]
    text = model_card(SIDECAR, comparison, GRAPH, "metu-grouped")
    counts = comparison.quantised
    assert f"({counts.true_positive}/{counts.positives}) [" in text
    for fact in (
        "# opnet, int8-qat",
        "On 400 tiles of metu-grouped, split test",
        "50 kB, 39,041 parameters, 2.5 M multiply-accumulates",
        "raw output >= -10",
        "to find 99.8 % of the cracks",
        "uint8, scale 0.0078125, zero point 128",
        "Ranges from 200 tiles of split train",
        "Fine-tuned for 240 steps of 32 tiles at learning rate 1e-05",
        "CC-BY-4.0",
        "cd" * 32,
        "ab" * 32,
        "Not a statement about structural safety",
        "tensorflow 2.21.0",
        'Classifier("opnet-int8-qat.tflite")',
    ):
        assert fact in text, fact


def test_card_of_a_float_model_speaks_of_no_integers() -> None:
    tensor = TensorSpec((1, 1), "float32", 0.0, 0)
    sidecar = replace(
        SIDECAR,
        scheme="float32",
        input=TensorSpec((1, 96, 96, 3), "float32", 0.0, 0),
        output=tensor,
        threshold=Threshold(0.5, 0.0, None, None, None),
        training={},
    )
    text = model_card(sidecar, make_comparison()[3], GRAPH, "metu-grouped")
    assert "raw output" not in text
    assert "zero point" not in text
    assert "not recorded" in text
    assert "nan" not in text.lower()


def test_card_of_an_adapted_model_says_what_its_gain_costs() -> None:
    counts = {"photographs": 2, "crack": 125, "no_crack": 93}
    record = {
        "to": "pier",
        "from": "mobilenet_v2_real",
        "from_sha256": "ef" * 32,
        "candidate": "head",
        "labels": {"counts": {"person": counts}, "by_photograph": {}},
        "here": {
            "found_after": 108,
            "found_before": 112,
            "cracks": 125,
            "alarms_after": 24,
            "alarms_before": 39,
            "clean": 93,
        }
        | {"miss_bound_after": 0.143},
        "trade": "4 fewer cracks found, for 15 fewer false alarms",
        "shapes": [],
        "not_checked": [],
    }
    sidecar = replace(SIDECAR, training={**SIDECAR.training, "adapted": record})
    text = model_card(sidecar, make_comparison()[3], GRAPH, "walls")
    assert "- **4 fewer cracks found, for 15 fewer false alarms**, beside mobilenet_v2_real." in text


def test_card_without_clean_tiles_says_so() -> None:
    logits = np.array([1.0, 2.0])
    text = model_card(SIDECAR, compare(logits, logits, np.ones(2), 0.0, 0.0), GRAPH, "x")
    assert "no tiles" in text
    assert "the logits are equal" in text


@pytest.mark.parametrize("case", ["ordinary", "one value"])
def test_plot_is_written_whole(case: str, tmp_path: Path) -> None:
    reference, quantised, labels, comparison = make_comparison()
    if case == "one value":
        reference = quantised = np.zeros(4)
        labels = np.array([0, 1, 0, 1])
        comparison = compare(reference, quantised, labels, 0.0, 0.0)
    comparison_plot(reference, quantised, labels, comparison, "title", tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.size == (1320, 600)
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_legends_stand_in_fixed_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many tiles matplotlib takes long to find the best place, and warns of it."""
    places: list[str] = []
    draw = Axes.legend

    def legend(axes: Axes, *arguments: Any, loc: Any = "best", **named: Any) -> Any:
        places.append(loc)
        return draw(axes, *arguments, loc=loc, **named)

    monkeypatch.setattr(Axes, "legend", legend)
    comparison_plot(*make_comparison(), "title", tmp_path / "plot.png")
    assert len(places) == 2
    assert "best" not in places


def test_card_of_a_segmentation_model_speaks_of_pixels() -> None:
    reference, quantised, labels, _ = make_comparison()
    maps = MapComparison(-1.0, -1.0)
    maps.add(reference.reshape(20, 20), quantised.reshape(20, 20), labels.reshape(20, 20) == 1)
    sidecar = replace(
        SIDECAR,
        model="unet",
        task="segment",
        output=TensorSpec((1, 96, 96, 1), "int8", 0.1, 0),
        threshold=replace(SIDECAR.threshold, target_recall=None),
        metrics={"split": "test", "tiles": 7},
        licence="crack500: research only (academic research)",
    )
    text = model_card(sidecar, maps.result(), GRAPH, "crack500-grouped")
    for words in (
        "Draws cracks",
        "On 400 pixels of 7 tiles of crack500-grouped",
        "| | F1 | IoU | recall | precision | specificity |",
        "from tflite.segmenter import Segmenter",
        "It gives the highest F1 over the pixels of split val.",
        "**For research only**",
        "of 400 pixels",
    ):
        assert words in text
    assert "is_crack" not in text
    assert "Wilson" not in text
