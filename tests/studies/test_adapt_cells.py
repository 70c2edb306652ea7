"""The default and another start side by side, on the same draws of labels."""

from __future__ import annotations

import pytest

pytest.importorskip("keras")

from crack_tf.models.shipped import FOLDER
from studies import adapt, adapt_cells
from studies.adapt_tables import Row
from tflite.files import read_csv, read_json


def runs(seeds: int, **values: float) -> list[Row]:
    """Rows of a set: as shipped, and the last blocks with 20 labels, which are better by 0.1."""
    figures = dict.fromkeys(adapt_cells.FIGURES, 0.5) | values
    return [
        {"set": "brick", "seed": str(seed), "labels": labels, "candidate": candidate}
        | {name: value + more for name, value in figures.items()}
        for seed in range(seeds)
        for labels, candidate, more in ((0, "shipped", 0.0), (20, "blocks", 0.1))
    ]


def test_only_draws_that_both_have_count_and_specificity_reads_as_false_alarms() -> None:
    change = {"labels": 20, "candidate": "blocks", "figure": "specificity_at_90"}
    change |= {"change": 0.2, "change_low": 0.1, "change_high": 0.3}
    lines = adapt_cells.table([change], runs(3, auc=0.8), runs(2, auc=0.7)).splitlines()
    assert "| 20 | 1 | 2 | area under the curve | 0.700 | 0.800 | 0.800 | 0.900 |  |" in lines
    false_alarms = "clean tiles called at recall 0.9 | 0.500 | 0.400 | 0.500 | 0.400 | -0.200 [-0.300, -0.100] |"
    assert f"| 20 | 1 | 2 | {false_alarms}" in lines


def test_labels_are_drawn_for_the_start_that_is_trained() -> None:
    average, export, asked, suite = adapt_cells.steps()
    start = str(adapt_cells.START)
    assert average.done is not None
    assert str(average.done).startswith(start)
    options = adapt.make_parser().parse_args([str(word) for word in asked.words])
    assert (options.model, options.labels, options.seeds) == (start, [20, 40], adapt_cells.SEEDS)
    assert str(export.words[-1]) == start
    assert adapt_cells.NAME in suite.words


def test_what_is_measured_is_the_model_that_is_shipped() -> None:
    shipped = FOLDER / adapt_cells.NAME
    start = read_json(shipped / "model.keras.json")["training"][
        "rounded_from"
    ]  # a shipped file has its weights rounded
    measured = read_json(adapt_cells.OUT / "study.json")["sha256"]
    files = {row["model_sha256"] for row in read_csv(adapt_cells.OUT / "suite/matrix.csv")}
    assert measured == start
    assert files == {read_json(shipped / "mobilenet_v2-int8-ptq.tflite.json")["sha256"]}
