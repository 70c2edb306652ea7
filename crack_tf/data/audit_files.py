"""The folder of an audit: tables (CSV, JSON) and plots (PNG)."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from crack_tf.data import plots
from crack_tf.data.audit import Audit, copy_rows, summary
from crack_tf.data.pair_plots import misaligned_sheet, pair_sheet
from tflite.files import write_csv, write_json
from tflite.manifest import LABELS
from tflite.outputs import Output, json_with

OUTPUT = Output(
    "crack-tf data audit",
    json_with("summary.json", "classes", "copies"),
    (
        *("audit.csv", "copies.csv", "summary.csv", "summary.json"),
        *("overview.png", "samples.png", "copies.png", "misaligned.png"),
    ),
)


def write_audit(result: Audit, folder: Path) -> None:
    """Write an audit's tables (CSV, JSON) and plots (PNG) into a folder."""
    # The plots read images again and can fail; the tables come last, so that a folder with a summary is a whole audit.
    plots.overview(result, folder / "overview.png")
    if result.source.task == "segment":
        pair_sheet(result, folder / "samples.png")
        misaligned_sheet(result, folder / "misaligned.png")
    else:
        plots.sample_grid(result, folder / "samples.png")
    plots.copies_gallery(result, folder / "copies.png")
    write_csv(folder / "audit.csv", map(asdict, result.records), [field.name for field in fields(result.records[0])])
    columns = ["first", "second", "kind", "transform", "correlation", "detail", "across_classes"]
    write_csv(folder / "copies.csv", copy_rows(result), columns)
    write_csv(folder / "summary.csv", summary_rows(result), ["quantity", *LABELS, "across", "total"])
    write_json(folder / "summary.json", summary(result))


def summary_rows(result: Audit) -> list[dict[str, Any]]:
    """The summary as a table: one quantity per row, one column per class."""
    numbers = summary(result)
    rows: list[dict[str, Any]] = []
    for quantity in next(iter(numbers["classes"].values())):
        row: dict[str, Any] = {"quantity": quantity} | {name: numbers["classes"][name][quantity] for name in LABELS}
        if not quantity.startswith("brightness"):
            row["total"] = sum(row[name] for name in LABELS)
        rows.append(row)
    # A picture with copies in both classes counts in each, once in the total.
    next(row for row in rows if row["quantity"] == "distinct_pictures")["total"] = numbers["distinct_pictures"]
    for entry in numbers["copies"]:
        kind = entry["kind"] if entry["transform"] == "none" else entry["transform"]
        counts = {name: entry[name] for name in (*LABELS, "across")}
        rows.append({"quantity": f"pairs_{kind}"} | counts | {"total": sum(counts.values())})
    return rows
