"""What a search found: tables as CSV, the Pareto front as CSV and picture, and the lines printed at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tflite.drawn import METADATA
from tflite.files import atomic_path, write_csv, write_json
from tflite.metrics import wilson_interval
from tflite.tables import format_table
from tuning.objective import Outcome
from tuning.pareto import front, knee, shortfall

AREA = "auc of "  # before a left-out set's name in trials.csv

_VERMILION, _BLUE, _GREY = "#D55E00", "#0072B2", "#7F7F7F"  # Okabe and Ito


def write_report(outcomes: Sequence[Outcome], out: Path, record: dict[str, Any]) -> list[Outcome]:
    """Write trials.csv, pareto.csv, pareto.png and search.json.

    Args:
        outcomes: of all finished trials.
        out: the search's folder.
        record: of the search, for search.json.

    Returns:
        The front, fastest first.
    """
    best = front(outcomes)
    choice = knee(best)
    write_csv(out / "trials.csv", [row(outcome) for outcome in outcomes])
    write_csv(out / "pareto.csv", [row(o) | {"knee": int(o is choice)} for o in best] or [{"trial": ""}])
    summary = {
        "trials": len(outcomes),
        **{status: sum(o.status == status for o in outcomes) for status in ("ok", "over budget", "failed")},
        "front": [o.trial for o in best],
        "knee": choice.trial if choice else None,
        "seconds": round(sum(o.seconds for o in outcomes), 1),
    }
    write_json(out / "search.json", record | {"summary": summary})
    if best:
        pareto_plot(outcomes, best, choice, out / "pareto.png")
    return best


def row(outcome: Outcome) -> dict[str, Any]:
    """An outcome as one flat row, with Wilson 95 % intervals where tiles are counted: pixels are not independent."""
    flat = outcome.as_dict()
    values = flat.pop("values")
    message = flat.pop("message")
    areas = flat.pop("left_out") or {}
    if areas:
        values = {"left_out_auc": outcome.left_out_auc, **{AREA + name: area for name, area in areas.items()}} | values
    if not outcome.draws_masks:
        del flat["f1"], flat["iou"]
    for name, hits, misses in (("recall", "tp", "fn"), ("specificity", "tn", "fp")):
        low = high = None
        if flat[hits] is not None and flat[hits] + flat[misses] > 0 and not outcome.draws_masks:
            low, high = (round(x, 6) for x in wilson_interval(flat[hits], flat[hits] + flat[misses]))
        flat |= {f"{name}_low": low, f"{name}_high": high}
    return flat | values | {"message": message}


def front_table(best: Sequence[Outcome]) -> str:
    """The front as text."""
    choice = knee(best)
    tiles: dict[str, Callable[[Any], str]] = {
        "recall": lambda r: f"{r['outcome'].recall:.4f} ({r['outcome'].tp}/{r['outcome'].tp + r['outcome'].fn})",
        "specificity": lambda r: (
            f"{r['outcome'].specificity:.4f} ({r['outcome'].tn}/{r['outcome'].tn + r['outcome'].fp})"
        ),
    }
    if best and best[0].left_out:
        tiles = {"left-out AUC": lambda r: f"{r['outcome'].left_out_auc:.4f}", **tiles}
    pixels: dict[str, Callable[[Any], str]] = {
        "F1": lambda r: f"{r['outcome'].f1:.4f}",
        "IoU": lambda r: f"{r['outcome'].iou:.4f}",
        "recall": lambda r: f"{r['outcome'].recall:.4f}",
    }
    return format_table(
        [{"outcome": o} for o in best],
        {
            "trial": lambda r: r["outcome"].trial + (" knee" if r["outcome"] is choice else ""),
            **(pixels if best and best[0].draws_masks else tiles),
            "p50 ms": lambda r: f"{r['outcome'].latency_ms:.2f}",
            "speed-up": lambda r: f"{r['outcome'].speedup:.1f}x",
            "kB": lambda r: f"{r['outcome'].kilobytes:,.0f}",
            "MMAC": lambda r: f"{r['outcome'].macs / 1e6:.1f}",
            "epochs": lambda r: str(r["outcome"].epochs),
        },
    )


def pareto_plot(outcomes: Sequence[Outcome], best: Sequence[Outcome], choice: Outcome | None, path: Path) -> None:
    """False alarms at the recall floor, or of masks what F1 lacks, against latency and against size: trials, front, knee.

    Both axes are logarithmic, since the interesting trials differ by factors; no false alarm at all is drawn at half a tile.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    fine = [o for o in outcomes if o.status == "ok"]
    layers = [("trials", fine, _GREY, "o", 22), ("not dominated", best, _BLUE, "o", 34)]
    if choice is not None:
        layers.append((f"knee: trial {choice.trial}", [choice], _VERMILION, "*", 150))
    for axes, name, label in (
        (panels[0], "latency_ms", "latency, int8, one thread, p50 [ms]"),
        (panels[1], "kilobytes", "file size [kB]"),
    ):
        for order, (title, shown, colour, marker, area) in enumerate(layers, start=2):
            x, y = [getattr(o, name) for o in shown], [100 * shortfall(o) for o in shown]
            axes.scatter(x, y, s=area, color=colour, marker=marker, label=title, zorder=order)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_yscale("log")
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    if best[0].draws_masks:
        compared, errors = "F1", "100 % less the pixels' F1\n(validation, int8)"
    elif best[0].left_out:
        compared, errors = "area", "100 % less the mean area under the curve\n(sets left out, int8)"
    else:
        compared, errors = (
            "recall, specificity",
            "false alarms per 100 clean tiles\n(validation, int8, at the recall floor)",
        )
    panels[0].set_ylabel(errors)
    panels[1].legend(loc="upper right", framealpha=0.9)
    figure.suptitle(f"{len(fine)} trials within the budget, {len(best)} not dominated in {compared}, latency and size")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png", metadata=METADATA)
