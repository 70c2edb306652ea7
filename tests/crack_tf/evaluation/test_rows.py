"""A row's fields are the columns of the tables that evaluations and the suite have always written."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import pytest

from crack_tf.evaluation.calibration import PrevalenceRow
from crack_tf.evaluation.rows import MapRow, TileRow
from crack_tf.evaluation.suite.rows import ROWS

RESULTS = Path(__file__).parents[3] / "results"
# Columns that came after the committed table was made.
LATER = {"cl_iou", "nsd", "cl_iou_tolerance_px", "nsd_tolerance_px", "left_out"}


def columns(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream))


def older(kind: type) -> list[str]:
    """Columns without the later ones and their intervals and means."""
    bounds = {f"{mean}{name}{end}" for name in LATER for mean in ("", "mean_") for end in ("", "_low", "_high")}
    return [name for name in columns(kind) if name not in bounds]


def test_rows_of_tiles_and_of_maps_are_the_tables_columns() -> None:
    assert columns(TileRow) == header(RESULTS / "metu-grouped" / "metrics.csv")
    assert older(MapRow) == header(RESULTS / "segmentation" / "deepcrack" / "metrics.csv")
    assert ["name", *columns(PrevalenceRow)] == header(RESULTS / "metu-grouped" / "prevalence.csv")


@pytest.mark.parametrize("part", [part for part in ROWS if (RESULTS / "suite" / f"{part}.csv").is_file()])
def test_rows_of_the_suite_are_the_tables_columns(part: str) -> None:
    assert older(ROWS[part]) == header(RESULTS / "suite" / f"{part}.csv")


def test_rows_are_documented_field_by_field_or_in_groups() -> None:
    for row in {TileRow, MapRow, PrevalenceRow, *ROWS.values()}:
        for kind in row.__mro__:
            assert "Attributes:" in (kind.__doc__ or "") or not vars(kind).get("__annotations__"), kind
