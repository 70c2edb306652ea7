"""Pictures of benchmark rows. Host side: needs matplotlib, which is imported only when a picture is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tflite.errors import CrackError
from tflite.files import atomic_path

_MARKERS = "osD^vP*X"


def benchmark_plot(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str = "") -> None:
    """Draw latency against recall and specificity, or latency bars when no row has an accuracy.

    Args:
        rows: of `tflite.benchmark`, one per (model, threads, delegate).
        path: of the picture; its suffix chooses the format.
        title: above the picture, usually the hardware.

    Raises:
        CrackError: if there are no rows or matplotlib is not installed.
    """
    if not rows:
        raise CrackError("there are no benchmark rows to plot.")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise CrackError("plots need matplotlib: pip install matplotlib") from None

    with_accuracy = any(row.get("recall") is not None for row in rows)
    height = 4.8 if with_accuracy else 1.6 + 0.45 * len(rows)
    # A Figure of its own, not pyplot: no global state, no window, whatever backend the user's notebook has chosen.
    figure = Figure(figsize=(11 if with_accuracy else 8, height), layout="constrained")
    FigureCanvasAgg(figure)
    if with_accuracy:
        _scatter(figure, rows)
    else:
        _bars(figure, rows)
    if title:
        figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _scatter(figure: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    models = list(dict.fromkeys(row["model"] for row in rows))
    settings = list(dict.fromkeys(_setting(row) for row in rows))
    axes = figure.subplots(1, 2)
    for axis, rate in zip(axes, ("recall", "specificity"), strict=True):
        for row in rows:
            if row.get(rate) is None:
                continue
            low, high = row[rate] - row[f"{rate}_low"], row[f"{rate}_high"] - row[rate]
            model = models.index(row["model"])
            axis.errorbar(
                row["p50_ms"],
                row[rate],
                yerr=[[low], [high]],
                color=f"C{model % 10}",
                marker=_MARKERS[settings.index(_setting(row)) % len(_MARKERS)],
                markersize=8,
                capsize=3,
                linewidth=1,
                label=f"{row['model']}, {_setting(row)}",
            )
        axis.set(xlabel="latency p50, ms per tile", ylabel=f"{rate} with 95 % interval")
        axis.set_xlim(left=0)
        axis.margins(y=0.1)
        axis.grid(alpha=0.3)
    # One legend for both panels: a row without cracks is in the right one only.
    entries = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    columns = min(3, len(entries))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, fontsize=8)


def _bars(figure: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    axis = figure.subplots()
    names = [f"{row['model']}, {_setting(row)}" for row in rows]
    places = range(len(rows))
    medians = [row["p50_ms"] for row in rows]
    whiskers = [[0.0] * len(rows), [row["p90_ms"] - row["p50_ms"] for row in rows]]
    axis.barh(places, medians, xerr=whiskers, height=0.6, capsize=3, color="C0", ecolor="0.3")
    for place, row in zip(places, rows, strict=True):
        axis.annotate(
            f"{row['p50_ms']:.2f}", (row["p90_ms"], place), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_yticks(places, names, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    axis.set_xlabel("latency p50 (bar) and p90 (whisker), ms per tile")


def _setting(row: Mapping[str, Any]) -> str:
    threads = row["threads"]
    return f"{threads} thread{'s' if threads != 1 else ''}, {row['delegate']}"
