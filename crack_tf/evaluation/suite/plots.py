"""Pictures of the suite's tables; one PNG per function, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.evaluation.suite.config import SCENES_FROC
from crack_tf.evaluation.suite.corruptions import CORRUPTIONS, SEVERITIES
from crack_tf.evaluation.suite.rows import CandidateRow, CorruptionRow, FrocRow, RarityRow, SplitRow

# Okabe and Ito's colours, which colour-blind readers tell apart, and a marker each.
_STYLES = (
    *(("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D")),
    *(("#E69F00", "v"), ("#56B4E9", "P"), ("#000000", "X")),
)


def matrix_plot(rows: Sequence[SplitRow], path: Path) -> None:
    """AUC of every model (rows) on every data set (columns) as a coloured table with the numbers in it.

    A set of one class has no AUC, and no column.
    """
    measured = [(row, row.auc) for row in rows if row.auc is not None]
    if not measured:
        return
    models = list(dict.fromkeys(row.model for row in rows))
    sets = list(dict.fromkeys(row.set for row, _ in measured))
    values = np.full((len(models), len(sets)), np.nan)
    for row, auc in measured:
        values[models.index(row.model), sets.index(row.set)] = auc
    picture = new_figure(1.1 * len(sets) + 2.8, 0.5 * len(models) + 1.6)
    axes = picture.subplots()
    image = axes.imshow(values, vmin=0.5, vmax=1, cmap="cividis", aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                x,
                y,
                f"{value:.4f}" if value > 0.999 else f"{value:.3f}",
                ha="center",
                va="center",
                fontsize=9,
                color="black" if value > 0.78 else "white",
            )
    axes.set_xticks(range(len(sets)), [name.replace(" ", "\n", 1) for name in sets])
    axes.set_yticks(range(len(models)), models)
    axes.set_title("AUC; 0.5 is guessing")
    picture.colorbar(image, ax=axes, fraction=0.03)
    save_png(picture, path)


def corruption_plot(rows: Sequence[CorruptionRow], path: Path) -> None:
    """Recall (solid) and specificity (dashed) over severity, a panel per corruption, a colour per model."""
    models = list(dict.fromkeys(row.model for row in rows))
    picture = new_figure(11, 8.5)
    panels = picture.subplots(3, 3, sharex=True, sharey=True).ravel()
    for axes, kind in zip(panels, CORRUPTIONS, strict=True):
        for number, name in enumerate(models):
            mine = sorted(
                (row for row in rows if row.model == name and row.corruption == kind), key=lambda r: r.severity
            )
            colour, marker = _STYLES[number % len(_STYLES)]
            for key, line in (("recall", "-"), ("specificity", "--")):
                axes.plot(
                    [row.severity for row in mine],
                    [getattr(row, key) for row in mine],
                    line,
                    color=colour,
                    marker=marker,
                    markersize=4,
                    linewidth=1.2,
                    label=name if key == "recall" else None,
                )
        axes.set_title(kind.replace("_", " "), fontsize=10)
        axes.set_xticks(SEVERITIES)
        axes.set_ylim(-0.03, 1.03)
        axes.grid(alpha=0.3)
    picture.supxlabel("severity")
    picture.supylabel("recall (solid), specificity (dashed)")
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper center", ncols=min(len(models), 4), frameon=False)
    save_png(picture, path)


def prevalence_plot(rows: Sequence[RarityRow], path: Path) -> None:
    """Precision over prevalence with its cautious range, a line per model."""
    picture = new_figure(7, 4.2)
    axes = picture.subplots()
    for number, name in enumerate(dict.fromkeys(row.model for row in rows)):
        mine = [row for row in rows if row.model == name and row.precision is not None]
        colour, marker = _STYLES[number % len(_STYLES)]
        places = np.arange(len(mine)) + 0.06 * number
        values = np.array([row.precision for row in mine])
        reach = np.array([[row.precision_low, row.precision_high] for row in mine]).T
        axes.errorbar(
            places,
            values,
            np.clip([values - reach[0], reach[1] - values], 0, None),
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.2,
            capsize=2,
            label=name,
        )
        axes.set_xticks(np.arange(len(mine)), [row.cracked_to_clean for row in mine])
    axes.set(xlabel="cracked to clean tiles", ylabel="precision", ylim=(0, 1.03))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
    save_png(picture, path)


def candidates_plot(rows: Sequence[CandidateRow], path: Path) -> None:
    """Latency over int8 size, both logarithmic; the area of a dot is the number of multiply-adds."""
    picture = new_figure(7.5, 4.8)
    axes = picture.subplots()
    places = np.log10([[row.int8_bytes / 1e3, row.p50_ms] for row in rows])
    # Names of neighbouring dots go to different sides, in the order of the dots.
    sides = (((-7, 5), "right"), ((7, -11), "left"), ((7, 5), "left"))
    for number, row in enumerate(rows):
        colour, _ = _STYLES[number % len(_STYLES)]
        x, y = row.int8_bytes / 1e3, row.p50_ms
        axes.scatter(x, y, s=15 + row.macs / 2e7, color=colour, alpha=0.6)
        near = places[np.abs(places - places[number]).max(axis=1) < 0.3]
        offset, aligned = sides[int((near[:, 0] < places[number, 0]).sum()) % 3 if len(near) > 1 else 2]
        axes.annotate(row.model, (x, y), textcoords="offset points", xytext=offset, ha=aligned, fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="int8 file, kB", ylabel="latency, ms (median, 1 thread)")
    axes.grid(alpha=0.3, which="both")
    axes.margins(0.15)
    save_png(picture, path)


def scenes_froc_plot(rows: Sequence[FrocRow], path: Path) -> None:
    """Share of cracks found over false findings per photograph, a line per model."""
    picture = new_figure(7, 4.2)
    axes = picture.subplots()
    for number, name in enumerate(dict.fromkeys(row.model for row in rows)):
        mine = [row for row in rows if row.model == name and row.recall is not None]
        colour, marker = _STYLES[number % len(_STYLES)]
        false, found = ([getattr(row, key) for row in mine] for key in ("false_per_photograph", "recall"))
        axes.plot(false, found, color=colour, marker=marker, markersize=3, linewidth=1.2, label=name)
    axes.set_xlabel("false confirmed findings per photograph")
    axes.set_ylabel("share of cracks found")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save_png(picture, path)


# What draws a table's picture, by the table's name.
PLOTS: dict[str, Callable[[Sequence[Any], Path], None]] = {
    "matrix": matrix_plot,
    SCENES_FROC: scenes_froc_plot,
    "corruptions": corruption_plot,
    "prevalence": prevalence_plot,
    "candidates": candidates_plot,
}
