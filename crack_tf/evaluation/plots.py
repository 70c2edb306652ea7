"""Pictures of a classifier's evaluation: its four counts, its reliability, its scores. Each function writes one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crack_tf.common.plotting import CLEAN, CRACK, GREEN, GREY, new_figure, save_png
from crack_tf.evaluation.calibration import ReliabilityBin
from tflite.errors import CrackError
from tflite.metrics import Confusion, sigmoid, wilson_interval
from tflite.words import counted


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


def _rate_text(name: str, successes: int, trials: int) -> str:
    if not trials:
        return f"{name}: no tiles"
    low, high = wilson_interval(successes, trials)
    return f"{name} {successes / trials:.4f} ({successes:,}/{trials:,}) [{low:.4f}, {high:.4f}]"
