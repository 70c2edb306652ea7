"""Learning curves of a training, as one PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_tf.common.plotting import CLEAN, CRACK, GREEN, GREY, new_figure, save_png
from tflite.errors import CrackError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def history_curves(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Learning curves over epochs: loss with learning rate, recall with specificity or precision, accuracy, F1 and IoU, AUC.

    Args:
        rows: one mapping per epoch with "epoch" and any of "lr", "loss", "val_loss", "recall", "specificity", "precision",
            "accuracy", "f1", "iou", "auc", "specificity_at_target", "threshold"; numbers, or text as `csv.DictReader` gives. Other keys are
            passed over; a value that is missing, empty or None leaves a gap, a key without any value draws no line.
        path: PNG to write.

    Raises:
        CrackError: if there are no rows or one has no epoch.
    """
    from matplotlib.ticker import MaxNLocator

    if not rows:
        raise CrackError("no epochs to draw: the training history is empty.")
    epochs = _column(rows, "epoch")
    if np.isnan(epochs).any():
        raise CrackError('every row of a training history needs a number under "epoch".')
    figure = new_figure(10, 6.4)
    panels = figure.subplots(2, 2, sharex=True)
    loss, rates, totals, ranking = panels.ravel()

    _lines(loss, epochs, rows, [("loss", "train", GREY), ("val_loss", "validation", CLEAN)])
    loss.set_title("Loss")
    values = np.concatenate([line.get_ydata() for line in loss.get_lines()] or [np.array([])])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0:
        loss.set_yscale("log")
    _learning_rate(loss, epochs, _column(rows, "lr"))

    found = ("recall", "recall", CRACK)
    _lines(rates, epochs, rows, [found, ("specificity", "specificity", CLEAN), ("precision", "precision", GREEN)])
    _lines(totals, epochs, rows, [("accuracy", "accuracy", GREEN), ("f1", "F1", GREY), ("iou", "IoU", CLEAN)])
    ranked = [("auc", "AUC", GREEN), ("specificity_at_target", "specificity at target recall", CLEAN)]
    _lines(ranking, epochs, rows, [*ranked, ("threshold", "threshold (probability)", GREY)])
    for panel in (rates, totals, ranking):
        drawn = [str(line.get_label()) for line in panel.get_lines()]
        panel.set_title(f"Validation {' and '.join(drawn)}" if drawn else "")

    for panel in panels.ravel():
        if panel.get_lines():
            panel.legend(loc="best", fontsize=8)
    for panel in (rates, totals, ranking):
        _rate_axis(panel)
    for panel in panels[1]:
        panel.set_xlabel("epoch")
    loss.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    save_png(figure, path)


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """Values of one key as floats, NaN where there is none."""

    def number(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan

    return np.array([number(row.get(key)) for row in rows])


def _lines(
    axes: Axes, epochs: np.ndarray, rows: Sequence[Mapping[str, Any]], series: Sequence[tuple[str, str, str]]
) -> None:
    for key, label, colour in series:
        values = _column(rows, key)
        if np.isfinite(values).any():
            axes.plot(epochs, values, color=colour, label=label, marker="o", markersize=3, linewidth=1.5)
    axes.grid(alpha=0.3)


def _learning_rate(axes: Axes, epochs: np.ndarray, rates: np.ndarray) -> None:
    """Thin steps on an axis of their own, behind the loss."""
    if not np.isfinite(rates).any():
        return
    twin = axes.twinx()
    twin.step(epochs, rates, where="mid", color=GREY, linewidth=0.8, linestyle=":")
    twin.set_ylabel("learning rate (dotted)", color=GREY, fontsize=8)
    twin.tick_params(axis="y", labelsize=7, colors=GREY)
    twin.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    twin.yaxis.get_offset_text().set_fontsize(7)
    twin.set_ylim(0, 1.1 * float(np.nanmax(rates)) or 1.0)


def _rate_axis(axes: Axes) -> None:
    """From just under the lowest value up to just over 1, so that the last per mille can be seen."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()] or [np.ones(1)])
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    margin = max(0.002, 0.06 * (1 - lowest))
    axes.set_ylim(max(-0.02, lowest - margin), 1 + margin)
