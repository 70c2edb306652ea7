"""Pictures of a training run and of an evaluation. Each function writes one PNG, whole or not at all.

Matplotlib's object interface is used, not pyplot: no global state, no display needed, and nothing piles up in memory.
Colours are those of Okabe and Ito, which colour-blind readers tell apart; crack is vermilion, clean is blue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite.drawn import METADATA
from tflite.errors import CrackError
from tflite.files import atomic_path
from tflite.metrics import Confusion, sigmoid, wilson_interval
from tflite.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crack_tf.evaluation.calibration import ReliabilityBin

CRACK, CLEAN = "#D55E00", "#0072B2"
GREEN, GREY = "#009E73", "#7F7F7F"
DPI = 120


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


def confusion_plot(counts: Confusion, title: str, path: str | Path) -> None:
    """The four counts as a 2x2 table, shaded by each cell's share of its true class, with rates and Wilson intervals.

    Args:
        counts: at the threshold in use; a class without tiles gives an empty row.
        title: of the picture.
        path: PNG to write.
    """
    table = [
        [(counts.true_positive, "cracks found", True), (counts.false_negative, "cracks missed", False)],
        [(counts.false_positive, "false alarms", False), (counts.true_negative, "clean, left alone", True)],
    ]
    figure = new_figure(6.2, 4.8)
    axes = figure.subplots()
    for row, cells in enumerate(table):
        total = sum(number for number, _, _ in cells)
        for column, (number, words, right) in enumerate(cells):
            share = number / total if total else 0.0
            # A single missed crack must stand out, so wrong cells keep some colour; empty ones have none.
            alpha = 0.45 * share if right else (0.15 + 0.5 * share if number else 0.0)
            colour = GREEN if right else CRACK
            axes.fill_between([column, column + 1], 1 - row, 2 - row, color=colour, alpha=alpha, linewidth=0)
            centre = column + 0.5
            axes.text(centre, 1.56 - row, f"{number:,}", ha="center", va="center", fontsize=22)
            percent = f"{100 * share:.2f} %" if total else "no tiles"
            axes.text(centre, 1.28 - row, f"{words}\n{percent}", ha="center", va="center", fontsize=9)
    axes.set(xlim=(0, 2), ylim=(0, 2), xticks=[0.5, 1.5], yticks=[1.5, 0.5])
    axes.set_xticklabels(["called cracked", "called clean"])
    axes.set_yticklabels(["cracked", "clean"], rotation=90, va="center")
    axes.tick_params(length=0)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.axvline(1, color="black", linewidth=0.8)
    recall = _rate_text("recall", counts.true_positive, counts.positives)
    specificity = _rate_text("specificity", counts.true_negative, counts.negatives)
    axes.set_xlabel(f"{recall}\n{specificity}", fontsize=9, labelpad=10)
    axes.set_title(title)
    save_png(figure, path)


def reliability_plot(bins: Sequence[ReliabilityBin], title: str, path: str | Path) -> None:
    """Observed share of cracks over predicted probability, with Wilson 95 % intervals, above the tiles per bin.

    Both axes are probabilities stretched towards 0 and 1 (logit scale), where nearly all tiles of a good model lie.

    Args:
        bins: of `crack_tf.evaluation.calibration.reliability_bins`.
        title: of the picture.
        path: PNG to write.

    Raises:
        CrackError: if there are no bins.
    """
    if not bins:
        raise CrackError("no reliability bins to draw: there are no tiles.")
    figure = new_figure(6.2, 6.4)
    main, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    floor = 1e-4  # a share of 0 or 1 has no place on a logit scale: it is drawn on the frame

    def placed(values: Sequence[float]) -> np.ndarray:
        return np.clip(np.asarray(values, dtype=float), floor, 1 - floor)

    x = placed([part.probability for part in bins])
    y = placed([part.share for part in bins])
    intervals = [wilson_interval(round(part.share * part.count), part.count) for part in bins]
    low, high = placed([i[0] for i in intervals]), placed([i[1] for i in intervals])
    diagonal = np.linspace(-9.2, 9.2, 100)
    main.plot(sigmoid(diagonal), sigmoid(diagonal), color=GREY, linestyle="--", linewidth=1, label="calibrated")
    main.errorbar(
        x, y, yerr=[y - low, high - y], fmt="o", color=CRACK, capsize=3, markersize=5, clip_on=False, label="measured"
    )
    main.set_yscale("logit")
    main.set_xscale("logit")
    main.set(xlim=(floor, 1 - floor), ylim=(floor, 1 - floor), ylabel="share of tiles that is cracked", title=title)
    main.legend(loc="upper left", fontsize=8)
    below.vlines(x, 0, [part.count for part in bins], color=CLEAN, linewidth=5)
    below.set_ylim(bottom=0)
    below.set(ylabel="tiles", xlabel="predicted probability of a crack (mean of the bin)")
    ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
    for axis in (main.xaxis, main.yaxis, below.xaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    for panel in (main, below):
        panel.grid(alpha=0.3)
    save_png(figure, path)


def score_plot(logits: np.ndarray, labels: np.ndarray, threshold: float, title: str, path: str | Path) -> None:
    """Logits of both classes as histograms (counts on a log scale) with the decision threshold.

    Args:
        logits: float (n,), finite.
        labels: 0 or 1, (n,); 1 is cracked.
        threshold: in logits.
        title: of the picture.
        path: PNG to write.

    Raises:
        CrackError: if there are no tiles or a logit is not finite.
    """
    scores = np.asarray(logits, dtype=float)
    cracked = np.asarray(labels) == 1
    if not scores.size or not np.isfinite(scores).all():
        raise CrackError(f"cannot draw {scores.size} logits: at least one is needed, and all must be finite.")
    figure = new_figure(7.6, 4.4)
    axes = figure.subplots()
    low, high = min(scores.min(), threshold), max(scores.max(), threshold)
    edges = np.linspace(low, high, 61) if high > low else np.linspace(low - 1, high + 1, 61)
    for mask, name, colour in ((~cracked, "clean", CLEAN), (cracked, "cracked", CRACK)):
        label = f"{name} ({counted(int(mask.sum()), 'tile')})"
        axes.hist(scores[mask], edges.tolist(), color=colour, alpha=0.55, edgecolor=colour, linewidth=0.5, label=label)
    missed, alarms = int(np.sum(cracked & (scores < threshold))), int(np.sum(~cracked & (scores >= threshold)))
    outcome = f"{missed:,} missed, {alarms:,} false alarms"
    words = f"threshold {threshold:.2f} (probability {float(sigmoid(threshold)):.3g})\n{outcome}"
    axes.axvline(threshold, color="black", linewidth=1.2, label=words)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)  # a single tile keeps a visible bar
    axes.set(xlabel="logit", ylabel="tiles", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=8, frameon=False)
    axes.grid(alpha=0.3)
    save_png(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically.

    Raises:
        CrackError: if the name does not end in .png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if Path(path).suffix.lower() != ".png":
        raise CrackError(f"plot {path}: the name must end in .png.")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=DPI, format="png", metadata=METADATA)


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


def _rate_text(name: str, successes: int, trials: int) -> str:
    if not trials:
        return f"{name}: no tiles"
    low, high = wilson_interval(successes, trials)
    return f"{name} {successes / trials:.4f} ({successes:,}/{trials:,}) [{low:.4f}, {high:.4f}]"
