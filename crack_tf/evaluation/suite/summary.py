"""One page of Markdown on what the suite found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crack_tf.evaluation.suite.rows import SplitRow
from crack_tf.evaluation.suite.tables import worst_corruptions
from tflite.tables import format_table, number


def _rate(row: SplitRow, name: str, hit: str, miss: str) -> str:
    value, hits = getattr(row, name), getattr(row, hit)
    return "-" if value is None else f"{value:.4f} ({hits}/{hits + getattr(row, miss)})"


Columns = dict[str, Callable[[Any], str]]
_SETS: Columns = {
    "model": lambda r: f"{r.model} {r.scheme}",
    "set": lambda r: r.set,
    "recall": lambda r: _rate(r, "recall", "tp", "fn"),
    "specificity": lambda r: _rate(r, "specificity", "tn", "fp"),
    "AUC [95 %]": lambda r: "-" if r.auc is None else f"{r.auc:.4f} [{r.auc_low:.3f}, {r.auc_high:.3f}]",
}
_SECTIONS: dict[str, tuple[str, Columns]] = {
    "splits": ("METU test splits, float beside int8", _SETS),
    "matrix": ("Other concrete, other cameras", _SETS),
    "domains": (
        "Data sets left out of a model's training",
        {
            "model": lambda r: r.model,
            "sets": lambda r: str(r.sets),
            "mean AUC": lambda r: number(r.mean_auc, 3),
            "worst": lambda r: f"{number(r.worst_auc, 3)} {r.worst_set}",
            "mean recall": lambda r: number(r.mean_recall, 3),
            "mean specificity": lambda r: number(r.mean_specificity, 3),
        },
    ),
    "scenes": (
        "Whole photographs, confirmed findings of a survey",
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
    "corruptions": (
        "Corruptions, severity 3 of 5",
        {
            "model": lambda r: r.model,
            "mean recall": lambda r: number(r.mean_recall, 4),
            "worst": lambda r: f"{r.worst_for_recall} {r.recall:.4f}",
            "mean specificity": lambda r: number(r.mean_specificity, 4),
            "worst ": lambda r: f"{r.worst_for_specificity} {r.specificity:.4f}",
        },
    ),
    "prevalence": (
        "Precision where cracks are rare",
        {
            "model": lambda r: r.model,
            "cracked:clean": lambda r: r.cracked_to_clean,
            "precision": lambda r: number(r.precision, 3),
            "range": lambda r: f"{number(r.precision_low, 3)}..{number(r.precision_high, 3)}",
        },
    ),
    "calibration": (
        "Calibration, and recall of 99.9 % by a conformal bound",
        {
            "model": lambda r: r.model,
            "ECE": lambda r: number(r.ece, 4),
            "cracks missed below the bound": lambda r: f"{r.missed_below_low}/{r.tested_cracks}",
            "uncertain": lambda r: f"{100 * r.uncertain_share:.2f} %",
        },
    ),
    "candidates": (
        "Candidates, random weights, int8, one thread",
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
    "cost": (
        "A 12-megapixel photograph, from file to decision",
        {
            "model": lambda r: r.model,
            "tiles": lambda r: str(r.tiles),
            "threads": lambda r: str(r.threads),
            "s": lambda r: number(r.p50_s),
            "tiles/s": lambda r: number(r.tiles_per_s, 0),
        },
    ),
}


def summary_page(tables: Mapping[str, Sequence[Any]]) -> str:
    """One page of Markdown on what was found.

    Args:
        tables: rows by part, as `crack_tf.evaluation.suite.rows.ROWS` says.
    """
    lines = ["# Evaluation suite"]
    for part, (title, columns) in _SECTIONS.items():
        if rows := tables.get(part):
            table = format_table(worst_corruptions(rows) if part == "corruptions" else rows, columns)
            lines += [f"## {title}", f"```\n{table}\n```"]
    return "\n\n".join(lines) + "\n"
