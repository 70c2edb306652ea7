"""The tables of a faithfulness run, several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.explain.faithfulness import area, curves_plot, summarise
from crack_tf.explain.store import Explained
from tflite.files import write_csv
from tflite.tables import format_table, number

CALLED = "called cracked"  # what a map of a crack that the model does not see should show is anybody's guess


def write_faithfulness(tiles: Sequence[Explained], folder: Path) -> str:
    """Write faithfulness.csv, tiles.csv, sanity.csv and curves.png; returns the first two tables' essence as text."""
    tables = measured_rows(tiles)
    for name, rows in tables.items():
        if rows:
            write_csv(folder / name, rows)
    curves_plot(entries_of(tiles), folder / "curves.png")
    return _text(tables)


def entries_of(tiles: Sequence[Explained]) -> dict[tuple[str, str], list[Any]]:
    """What was measured, a list over tiles for each model and method."""
    entries: dict[tuple[str, str], list[Any]] = {}
    for tile in tiles:
        for method, entry in tile.measured["methods"].items():
            entries.setdefault((tile.model, method), []).append(entry)
    return entries


def _text(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    columns = {
        "model": lambda row: row["model"],
        "method": lambda row: row["method"],
        "tiles": lambda row: f"{row['subset']} {row['tiles']}",
        "deletion": lambda row: number(row["deletion_auc"], 3),
        "insertion": lambda row: number(row["insertion_auc"], 3),
    }
    rows = tables["faithfulness.csv"]
    totals = {(row["model"], row["method"]): row["tiles"] for row in rows if row["subset"] != CALLED}
    rows = [row for row in rows if row["subset"] != CALLED or row["tiles"] < totals[row["model"], row["method"]]]
    if any("inside" in row for row in rows):
        columns |= {
            "inside": lambda row: number(row["inside"], 3),
            "mask area": lambda row: number(row["mask_area"], 3),
            "pointing": lambda row: (
                f"{row['pointing_hits']}/{row['tiles']} [{row['pointing_low']:.2f}, {row['pointing_high']:.2f}]"
            ),
        }
    text = format_table(rows, columns)
    sanity = tables["sanity.csv"]
    if sanity:
        columns = {
            "sanity: model": lambda row: row["model"],
            "method": lambda row: row["method"],
            "tiles": lambda row: str(row["tiles"]),
            "rank correlation, median": lambda row: number(row["spearman_median"], 3),
            "of absolute values": lambda row: number(row["spearman_abs_median"], 3),
        }
        text += "\n\n" + format_table(sanity, columns)
    return text


def measured_rows(tiles: Sequence[Explained]) -> dict[str, list[dict[str, Any]]]:
    """The tables of a faithfulness run by file name: "faithfulness.csv", "tiles.csv" and "sanity.csv"."""
    groups: dict[tuple[str, str], list[Explained]] = {}
    for tile in tiles:
        for method in tile.measured["methods"]:
            groups.setdefault((tile.model, method), []).append(tile)
    tables: dict[str, list[dict[str, Any]]] = {"faithfulness.csv": [], "tiles.csv": [], "sanity.csv": []}
    for (model, method), members in groups.items():
        for subset, chosen in (("all", members), (CALLED, [tile for tile in members if tile.crack])):
            if chosen:
                entries = [tile.measured["methods"][method] for tile in chosen]
                row = {"model": model, "method": method, "subset": subset, **summarise(entries)}
                tables["faithfulness.csv"].append(row)
        for tile in members:
            entry = dict(tile.measured["methods"][method])
            areas = {f"{kind}_auc": area(np.array(entry.pop(kind))) for kind in ("deletion", "insertion")}
            tables["tiles.csv"].append(
                {"model": model, "method": method, "tile": tile.name, "logit": tile.logit, "crack": int(tile.crack)}
                | areas
                | entry
            )
        compared = [tile.measured["sanity"][method] for tile in members if method in tile.measured.get("sanity", {})]
        if compared:
            tables["sanity.csv"].append({"model": model, "method": method, **_correlations(compared)})
    return tables


def _correlations(compared: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Median and range of the rank correlations of one method; flat maps have none."""
    row: dict[str, Any] = {"tiles": len(compared)}
    for name in ("spearman", "spearman_abs"):
        values = [value for entry in compared if (value := entry[name]) is not None]
        row[f"{name}_tiles"] = len(values)
        for end, function in (("median", np.median), ("min", np.min), ("max", np.max)):
            row[f"{name}_{end}"] = float(function(values)) if values else None
    return row
