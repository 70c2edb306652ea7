"""One page of Markdown on what the suite found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crack_tf.evaluation.suite.rows import SplitRow
from crack_tf.evaluation.suite.tables import worst_corruptions
from tflite.tables import format_table, number


def summary_page(tables: Mapping[str, Sequence[Any]]) -> str:
    """One page of Markdown on what was found.

    Args:
        tables: rows by part, as `crack_tf.evaluation.suite.rows.ROWS` says.
    """

    def rate(row: SplitRow, name: str, hit: str, miss: str) -> str:
        value, hits = getattr(row, name), getattr(row, hit)
        return "-" if value is None else f"{value:.4f} ({hits}/{hits + getattr(row, miss)})"

    lines = ["# Evaluation suite"]
    for part in ("splits", "matrix"):
        if not tables.get(part):
            continue
        title = "METU test splits, float beside int8" if part == "splits" else "Other concrete, other cameras"
        lines += [
            f"## {title}",
            _fenced(
                tables[part],
                {
                    "model": lambda r: f"{r.model} {r.scheme}",
                    "set": lambda r: r.set,
                    "recall": lambda r: rate(r, "recall", "tp", "fn"),
                    "specificity": lambda r: rate(r, "specificity", "tn", "fp"),
                    "AUC [95 %]": lambda r: (
                        "-" if r.auc is None else f"{r.auc:.4f} [{r.auc_low:.3f}, {r.auc_high:.3f}]"
                    ),
                },
            ),
        ]
    if tables.get("domains"):
        lines += [
            "## Data sets left out of a model's training",
            _fenced(
                tables["domains"],
                {
                    "model": lambda r: r.model,
                    "sets": lambda r: str(r.sets),
                    "mean AUC": lambda r: number(r.mean_auc, 3),
                    "worst": lambda r: f"{number(r.worst_auc, 3)} {r.worst_set}",
                    "mean recall": lambda r: number(r.mean_recall, 3),
                    "mean specificity": lambda r: number(r.mean_specificity, 3),
                },
            ),
        ]
    if tables.get("scenes"):
        lines += [
            "## Whole photographs, confirmed findings of a survey",
            _fenced(
                tables["scenes"],
                {
                    "model": lambda r: r.model,
                    "set": lambda r: f"{r.set} {r.split}",
                    "photographs": lambda r: str(r.photographs),
                    "cracks found": lambda r: f"{r.found}/{r.cracks}",
                    "findings per crack": lambda r: number(r.findings_per_found_crack, 2),
                    "false per photograph [95 %]": lambda r: (
                        f"{r.false_per_photograph:.2f} [{r.false_per_photograph_low:.2f}, {r.false_per_photograph_high:.2f}]"
                    ),
                },
            ),
        ]
    if tables.get("corruptions"):
        lines += [
            "## Corruptions, severity 3 of 5",
            _fenced(
                worst_corruptions(tables["corruptions"]),
                {
                    "model": lambda r: r.model,
                    "mean recall": lambda r: number(r.mean_recall, 4),
                    "worst": lambda r: f"{r.worst_for_recall} {r.recall:.4f}",
                    "mean specificity": lambda r: number(r.mean_specificity, 4),
                    "worst ": lambda r: f"{r.worst_for_specificity} {r.specificity:.4f}",
                },
            ),
        ]
    if tables.get("prevalence"):
        lines += [
            "## Precision where cracks are rare",
            _fenced(
                tables["prevalence"],
                {
                    "model": lambda r: r.model,
                    "cracked:clean": lambda r: r.cracked_to_clean,
                    "precision": lambda r: number(r.precision, 3),
                    "range": lambda r: f"{number(r.precision_low, 3)}..{number(r.precision_high, 3)}",
                },
            ),
        ]
    if tables.get("calibration"):
        lines += [
            "## Calibration, and recall of 99.9 % by a conformal bound",
            _fenced(
                tables["calibration"],
                {
                    "model": lambda r: r.model,
                    "ECE": lambda r: number(r.ece, 4),
                    "cracks missed below the bound": lambda r: f"{r.missed_below_low}/{r.tested_cracks}",
                    "uncertain": lambda r: f"{100 * r.uncertain_share:.2f} %",
                },
            ),
        ]
    if tables.get("candidates"):
        lines += [
            "## Candidates, random weights, int8, one thread",
            _fenced(
                tables["candidates"],
                {
                    "model": lambda r: r.model,
                    "px": lambda r: str(r.image_size),
                    "parameters": lambda r: f"{r.parameters:,}",
                    "MMAC": lambda r: f"{r.macs / 1e6:,.1f}",
                    "kB": lambda r: f"{r.int8_bytes / 1e3:,.0f}",
                    "p50 ms": lambda r: number(r.p50_ms),
                    "p90 ms": lambda r: number(r.p90_ms),
                },
            ),
        ]
    if tables.get("cost"):
        lines += [
            "## A 12-megapixel photograph, from file to decision",
            _fenced(
                tables["cost"],
                {
                    "model": lambda r: r.model,
                    "tiles": lambda r: str(r.tiles),
                    "threads": lambda r: str(r.threads),
                    "s": lambda r: number(r.p50_s),
                    "tiles/s": lambda r: number(r.tiles_per_s, 0),
                },
            ),
        ]
    return "\n\n".join(lines) + "\n"


def _fenced(rows: Sequence[Any], columns: dict[str, Callable[[Any], str]]) -> str:
    return f"```\n{format_table(rows, columns)}\n```"
