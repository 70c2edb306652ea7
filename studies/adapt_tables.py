"""What `studies.adapt` has measured, put together: means over draws with intervals, how the guard judges, tables in Markdown, a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.evaluation.thresholds import specificity_at_recall
from tflite.metrics import roc_auc

SETS = ("brick", "cssc", "crack500 tiles", "conglomerate tiles", "deepcrack tiles", "drone asphalt")
LABELS = (0, 10, 20, 40, 50, 100)
TARGET = 0.98
DRAWS = 200
HELPS = 0.02  # by which missed and called shares together fall on the test of what helps
# The last blocks take minutes a draw: fewer numbers of labels.
BLOCKS_LABELS = (20, 40)
UNJUDGED_LABELS = (10, 20, 40, 100)
Row = dict[str, Any]
_FIGURES = ("auc", "specificity_at_recall", "specificity_at_90")


def summary(rows: Sequence[Row], answers: dict[tuple[str, int, int, str], Any]) -> list[Row]:
    """Means over the seeds, with 95 % intervals: whole photographs are drawn with replacement, the same ones for all seeds."""
    found = []
    for name in _sets_of(rows):
        mine = [row for row in rows if row["set"] == name]
        photos = sorted({photo for key, kept in answers.items() if key[0] == name for photo in kept[2]})
        if not photos:
            continue
        draws = _drawn_again(photos, np.random.default_rng(11))
        for labels, candidate in sorted({(row["labels"], row["candidate"]) for row in mine}, key=str):
            here = [row for row in mine if (row["labels"], row["candidate"]) == (labels, candidate)]
            kept = [answers[(name, row["seed"], labels, candidate)] for row in here]
            entry: Row = {"set": name, "labels": labels, "candidate": candidate, "seeds": len(here)}
            spread = np.array(
                [[_figures(one[0], one[1], one[2], drawn) for one in kept] for drawn in draws]
            )  # (draws, seeds, figures)
            for number, figure in enumerate(_FIGURES):
                entry[figure] = float(np.mean([row[figure] for row in here]))
                low, high = np.nanquantile(np.nanmean(spread[:, :, number], axis=1), (0.025, 0.975))
                entry[f"{figure}_low"], entry[f"{figure}_high"] = float(low), float(high)
            for figure in ("recall", "specificity", "least_margin_elsewhere"):
                entry[figure] = float(np.mean([row[figure] for row in here]))
            entry["worst_margin_elsewhere"] = float(min(row["least_margin_elsewhere"] for row in here))
            found.append(entry)
    return found


def _sets_of(rows: Sequence[Row]) -> list[str]:
    """Their names, in the order of `SETS`, then others."""
    there = dict.fromkeys(str(row["set"]) for row in rows)
    return [*(name for name in SETS if name in there), *(name for name in there if name not in SETS)]


def _drawn_again(photos: Sequence[str], rng: np.random.Generator) -> list[dict[str, int]]:
    """How often each photograph counts where as many are drawn with replacement, `DRAWS` times."""
    chances = np.full(len(photos), 1 / len(photos))
    return [dict(zip(photos, rng.multinomial(len(photos), chances), strict=True)) for _ in range(DRAWS)]


def _figures(logits: np.ndarray, labels: np.ndarray, photos: np.ndarray, draw: dict[str, int]) -> tuple[float, ...]:
    times = np.array([draw[photo] for photo in photos])
    places = np.repeat(np.arange(len(labels)), times)
    truth = labels[places]
    if not truth.any() or truth.all():
        return (float("nan"),) * len(_FIGURES)
    auc = roc_auc(logits[places], truth)
    at = (specificity_at_recall(logits[places], truth, recall) for recall in (TARGET, 0.9))
    return float("nan") if auc is None else auc, *at


def gains(rows: Sequence[Row], answers: dict[tuple[str, int, int, str], Any]) -> list[Row]:
    """What candidates change on the mean, beside the shipped model on the same tiles: of all sets that have so many labels.

    A row per number of labels, candidate and figure (`_FIGURES`): means over sets of means over draws, and their difference with a 95 %
    interval; photographs are drawn with replacement, set by set, the same ones for both models and for all draws of labels.
    """
    found = []
    pairs = sorted({(row["labels"], row["candidate"]) for row in rows if row["candidate"] != "shipped"})
    for labels, candidate in pairs:
        keys = [key for key in answers if key[2:] == (labels, candidate) and (*key[:2], 0, "shipped") in answers]
        names = sorted({key[0] for key in keys})
        rng = np.random.default_rng(11)
        spread = np.empty((len(names), DRAWS + 1, 2, len(_FIGURES)))  # the first draw: every photograph once
        for place, name in enumerate(names):
            mine = [key for key in keys if key[0] == name]
            photos = sorted({photo for key in mine for photo in answers[key][2]})
            for number, drawn in enumerate([dict.fromkeys(photos, 1), *_drawn_again(photos, rng)]):
                both = [
                    [
                        _figures(answers[one][0], answers[one][1], answers[one][2], drawn)
                        for one in ((name, key[1], 0, "shipped"), key)
                    ]
                    for key in mine
                ]
                spread[place, number] = np.nanmean(both, axis=0)
        for number, figure in enumerate(_FIGURES if names else ()):
            means = np.nanmean(spread[:, :, :, number], axis=0)  # (1 + DRAWS, 2)
            change = means[:, 1] - means[:, 0]
            low, high = np.nanquantile(change[1:], (0.025, 0.975))
            found.append(
                {
                    "labels": labels,
                    "candidate": candidate,
                    "figure": figure,
                    "sets": len(names),
                    "draws": len(keys),
                    "shipped": means[0, 0],
                    "mean": means[0, 1],
                    "change": change[0],
                    "change_low": low,
                    "change_high": high,
                }
            )
    return found


def gains_table(rows: Sequence[Row]) -> str:
    """In Markdown: what the last blocks change on the mean; false alarms instead of specificity."""
    lines = [
        "| labels | sets | draws of all | | shipped | last blocks | change |",
        "|---" * 7 + "|",
    ]
    titles = {
        "auc": "area under the curve",
        "specificity_at_recall": "clean tiles called at recall 0.98",
        "specificity_at_90": "at recall 0.9",
    }
    for row in rows:
        if row["candidate"] == "blocks":
            names, flip = ("shipped", "mean", "change", "change_low", "change_high"), row["figure"] != "auc"
            shipped, mean, change, low, high = (float(row[name]) for name in names)
            if flip:
                shipped, mean, change, low, high = 1 - shipped, 1 - mean, -change, -high, -low
            lines.append(
                f"| {row['labels']} | {row['sets']} | {row['draws']} | {titles[str(row['figure'])]} | {shipped:.3f} | {mean:.3f} | "
                f"{change:+.3f} [{low:+.3f}, {high:+.3f}] |"
            )
    return "\n".join(lines)


def guard_rows(rows: Sequence[Row]) -> list[Row]:
    """By candidate and number of labels: how often the guard accepts what helps on the test, and what does not; and what accepted ones do.

    A candidate helps where the shares of cracks missed and of clean tiles called fall by `HELPS` or more together; one between that and
    none is counted as neither. First: the first in the order of the candidates that is accepted, which is what is handed over.
    """
    judged = [row for row in rows if row["accepted"] in (0, 1)]
    for row in judged:
        row["fall"] = row["recall"] + row["specificity"] - row["shipped_recall"] - row["shipped_specificity"]
    order = ("threshold", "normalisation", "head", "fine")
    found = []
    for count in sorted({int(row["labels"]) for row in judged}):
        mine = [row for row in judged if row["labels"] == count]
        for name in dict.fromkeys(row["candidate"] for row in mine):
            found.append(_guard_row(count, name, [row for row in mine if row["candidate"] == name]))
        sites = dict.fromkeys((row["set"], row["seed"]) for row in mine if row["candidate"] in order)
        firsts = []
        for site in sites:
            tried = sorted(
                (row for row in mine if (row["set"], row["seed"]) == site and row["candidate"] in order),
                key=lambda row: order.index(row["candidate"]),
            )
            taken = next((row for row in tried if row["accepted"]), None)
            firsts.append(taken or {**max(tried, key=lambda row: row["fall"]), "accepted": 0})
        if firsts:
            found.append(_guard_row(count, "first", firsts))
    return found


def _guard_row(count: int, name: str, rows: Sequence[Row]) -> Row:
    helps, harms = [row for row in rows if row["fall"] >= HELPS], [row for row in rows if row["fall"] <= 0]
    taken = [row for row in rows if row["accepted"]]

    def mean(figure: str) -> float | str:
        return float(np.mean([row[figure] for row in taken])) if taken else ""

    return {
        "labels": count,
        "candidate": name,
        "tried": len(rows),
        "helps": len(helps),
        "helps_accepted": sum(row["accepted"] for row in helps),
        "harms": len(harms),
        "harms_accepted": sum(row["accepted"] for row in harms),
        "accepted": len(taken),
        **{
            figure: mean(figure)
            for figure in ("shipped_recall", "recall", "shipped_specificity", "specificity", "fall")
        },
        "worst_fall": min((row["fall"] for row in taken), default=""),
    }


def guard_table(rows: Sequence[Row]) -> str:
    """In Markdown: what the guard does with candidates that help, and with those that do not."""
    lines = [
        "| labels | candidate | helps, accepted | does not, accepted | recall of the accepted | specificity of the accepted |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        ends = [
            f"{float(row[f'shipped_{figure}']):.2f} -> {float(row[figure]):.2f}" if int(row["accepted"]) else "-"
            for figure in ("recall", "specificity")
        ]
        lines.append(
            f"| {row['labels']} | {row['candidate']} | {row['helps_accepted']} of {row['helps']} | {row['harms_accepted']} of "
            f"{row['harms']} | {' | '.join(ends)} |"
        )
    return "\n".join(lines)


SHOWN = (
    *((0, "shipped"), (0, "normalisation"), (0, "nothing")),
    *((40, "head"), (100, "head"), (20, "fine"), (40, "fine"), (100, "fine")),
    *((20, "blocks"), (40, "blocks")),
)


def tables(rows: Sequence[Row]) -> list[str]:
    """In Markdown: specificity at the target recall and at 0.9 with intervals, area under the curve; recall and specificity at the
    threshold that labels choose."""
    found = {(str(row["set"]), int(row["labels"]), str(row["candidate"])): row for row in rows}
    names = [name for name in _sets_of(rows) if (name, 0, "shipped") in found]
    shown = [one for one in SHOWN if any((name, *one) in found for name in names)]
    made = []
    for figure in ("specificity_at_recall", "specificity_at_90", "auc"):

        def cell(key: tuple[str, int, str], figure: str = figure) -> str:
            row = found.get(key)
            if row is None:
                return "-"
            value, low, high = (float(row[f"{figure}{end}"]) for end in ("", "_low", "_high"))
            return f"{value:.2f} [{low:.2f}, {high:.2f}]"

        heads = [f"{candidate}, {count}" if count else candidate for count, candidate in shown]
        lines = [f"| set | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
        lines += [f"| {name} | {' | '.join(cell((name, *one)) for one in shown)} |" for name in names]
        made.append("\n".join(lines))
    counts = [count for count in LABELS if count]

    def pair(key: tuple[str, int, str]) -> str:
        row = found.get(key)
        return "-" if row is None else f"{float(row['recall']):.2f}, {float(row['specificity']):.2f}"

    lines = [
        f"| set | shipped | {' | '.join(f'threshold, {count}' for count in counts)} |",
        "|---" * (2 + len(counts)) + "|",
    ]
    for name in names:
        chosen = [pair((name, 0, "shipped")), *(pair((name, count, "threshold")) for count in counts)]
        lines.append(f"| {name} | {' | '.join(chosen)} |")
    return [*made, "\n".join(lines)]


def blocks_table(runs: Sequence[Row]) -> str:
    """In Markdown, means over draws: what as many labels bring by `fine` and by the last blocks, and how often the guard accepts it,
    where it was asked."""
    runs = [row for row in runs if row["candidate"] == "shipped" or row["accepted"] not in ("", None)]
    lines = [
        "| set | candidate | AUC | specificity at recall 0.98 | at 0.9 | accepted | recall | specificity |",
        "|---" * 8 + "|",
    ]
    for name in _sets_of(runs):
        for count, candidate in (
            (0, "shipped"),
            *((count, some) for count in BLOCKS_LABELS for some in ("fine", "blocks")),
        ):
            mine = [
                row for row in runs if (row["set"], int(row["labels"]), row["candidate"]) == (name, count, candidate)
            ]
            if mine:
                means = [f"{np.mean([float(row[figure]) for row in mine]):.2f}" for figure in _FIGURES]
                rates = [f"{np.mean([float(row[rate]) for row in mine]):.2f}" for rate in ("recall", "specificity")]
                taken = f"{sum(int(row['accepted']) for row in mine)} of {len(mine)}" if count else "-"
                title = f"{candidate}, {count}" if count else candidate
                lines.append(f"| {' | '.join([name, title, *means, taken, *rates])} |")
    return "\n".join(lines)


def labels_table(rows: Sequence[Row]) -> str:
    """In Markdown: what the last blocks bring by the number of labels: area under the curve, and recall and specificity at the shipped
    threshold where no guard was asked."""
    found = {(row["set"], int(row["labels"])): row for row in rows if row["candidate"] in ("shipped", "blocks")}
    figures = ("auc", "recall", "specificity")
    counts = sorted({labels for _, labels in found})

    def cell(some: Sequence[Row]) -> str:
        auc, *rates = (f"{np.mean([float(row[figure]) for row in some]):.2f}" for figure in figures)
        return f"{auc}: {', '.join(rates)}"

    lines = [
        f"| set | {' | '.join(str(count) if count else 'shipped' for count in counts)} |",
        "|---" * (1 + len(counts)) + "|",
    ]
    names = _sets_of(rows)
    for name in names:
        mine = [found.get((name, count)) for count in counts]
        lines.append(f"| {name} | {' | '.join(cell([row]) if row else '-' for row in mine)} |")
    for title, those in (
        ("mean", names),
        ("mean of those with 40 labels", [name for name in names if (name, 40) in found]),
    ):
        cells = []
        for count in counts:
            there = [found[name, count] for name in those if (name, count) in found]
            cells.append(cell(there) if there and len(there) == len(those) else "-")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


OF_LEFT_OUT = (
    *((0, "shipped"), (0, "normalisation"), (0, "nothing")),
    *((count, candidate) for candidate in ("fine", "blocks") for count in BLOCKS_LABELS),
)


def left_out_table(rows: Sequence[Row]) -> str:
    """In Markdown: candidates on each set, with intervals; clean tiles called instead of specificity. Last recall and specificity, at the
    threshold that the labels choose, or of the last blocks at the model's own.

    Args:
        rows: of summary.csv.
    """
    found = {(str(row["set"]), int(row["labels"]), str(row["candidate"])): row for row in rows}
    lines = [
        "| set | candidate | AUC | clean tiles called at recall 0.98 | at 0.9 | recall, specificity |",
        "|---" * 6 + "|",
    ]
    for name in _sets_of(rows):
        for count, candidate in OF_LEFT_OUT:
            row = found.get((name, count, candidate))
            if row is not None:
                auc = [float(row[f"auc{end}"]) for end in ("", "_low", "_high")]
                called = [
                    [1 - float(row[f"{figure}{end}"]) for end in ("", "_high", "_low")] for figure in _FIGURES[1:]
                ]
                cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in (auc, *called)]
                cells.append(", ".join(f"{float(row[rate]):.2f}" for rate in ("recall", "specificity")))
                told = "as trained" if candidate == "shipped" else candidate
                lines.append(f"| {name} | {f'{told}, {count}' if count else told} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Area under the curve over the number of labels, a panel per set."""
    names = _sets_of(rows)
    if not names:
        return
    lines = -(-len(names) // 3)
    picture = new_figure(10, 3 * lines)
    panels = np.atleast_1d(picture.subplots(lines, 3, sharex=True, sharey=True)).ravel()
    colours = {
        "head": "#D55E00",
        "fine": "#E69F00",
        "blocks": "#009E73",
        "normalisation": "#0072B2",
        "nothing": "#CC79A7",
    }
    for axes, name in zip(panels, names, strict=False):
        mine = [row for row in rows if row["set"] == name]
        for row in mine:
            if row["candidate"] == "shipped":
                axes.axhspan(row["auc_low"], row["auc_high"], color="0.85", zorder=0)
                axes.axhline(row["auc"], color="0.4", linewidth=1, label="shipped")
        for candidate, colour in colours.items():
            line = sorted((row for row in mine if row["candidate"] == candidate), key=lambda row: row["labels"])
            if not line:
                continue
            places = [LABELS.index(row["labels"]) for row in line]
            value, low, high = (np.array([row[f"auc{end}"] for row in line]) for end in ("", "_low", "_high"))
            axes.errorbar(
                places, value, np.clip([value - low, high - value], 0, None),
                color=colour, marker="o", markersize=3, linewidth=1.2, capsize=2, label=candidate,
            )  # fmt: skip
        axes.set_title(name, fontsize=10)
        axes.set_xticks(range(len(LABELS)), map(str, LABELS))
        axes.set_ylim(0.55, 1.01)
        axes.grid(alpha=0.3)
    picture.supxlabel("labels of the set, half of them cracks")
    picture.supylabel("area under the curve")
    marks: dict[str, Any] = {}  # of every panel: not each set has all candidates
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        marks |= dict(zip(labels, handles, strict=True))
    picture.legend([*marks.values()], [*marks], loc="outside upper center", ncols=6, frameon=False)
    save_png(picture, path)
