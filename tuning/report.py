"""What a search found: tables as CSV, the Pareto front as CSV and picture, and the lines printed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tflite.benchmark import format_table
from tflite.files import atomic_path, write_csv, write_json
from tflite.metrics import wilson_interval
from tuning.objective import Outcome
from tuning.pareto import front, knee

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
    """An outcome as one flat row, with Wilson 95 % intervals."""
    flat = outcome.as_dict()
    values = flat.pop("values")
    message = flat.pop("message")
    for name, hits, misses in (("recall", "tp", "fn"), ("specificity", "tn", "fp")):
        low = high = None
        if flat[hits] is not None and flat[hits] + flat[misses] > 0:
            low, high = (round(x, 6) for x in wilson_interval(flat[hits], flat[hits] + flat[misses]))
        flat |= {f"{name}_low": low, f"{name}_high": high}
    return flat | values | {"message": message}


def front_table(best: Sequence[Outcome]) -> str:
    """The front as text."""
    choice = knee(best)
    return format_table(
        [{"outcome": o} for o in best],
        {
            "trial": lambda r: r["outcome"].trial + (" knee" if r["outcome"] is choice else ""),
            "recall": lambda r: f"{r['outcome'].recall:.4f} ({r['outcome'].tp}/{r['outcome'].tp + r['outcome'].fn})",
            "specificity": lambda r: (
                f"{r['outcome'].specificity:.4f} ({r['outcome'].tn}/{r['outcome'].tn + r['outcome'].fp})"
            ),
            "p50 ms": lambda r: f"{r['outcome'].latency_ms:.2f}",
            "speed-up": lambda r: f"{r['outcome'].speedup:.1f}x",
            "kB": lambda r: f"{r['outcome'].kilobytes:,.0f}",
            "MMAC": lambda r: f"{r['outcome'].macs / 1e6:.1f}",
            "epochs": lambda r: str(r["outcome"].epochs),
        },
    )


def pareto_plot(outcomes: Sequence[Outcome], best: Sequence[Outcome], choice: Outcome | None, path: Path) -> None:
    """Specificity at the recall floor against latency and against size: every trial, the front, the knee."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    fine = [o for o in outcomes if o.status == "ok"]
    for axes, name, label in (
        (panels[0], "latency_ms", "latency, int8, one thread, p50 [ms]"),
        (panels[1], "kilobytes", "file size [kB]"),
    ):
        axes.scatter(
            [getattr(o, name) for o in fine],
            [o.specificity for o in fine],
            s=22,
            color=_GREY,
            alpha=0.6,
            label="trials",
            zorder=2,
        )
        on_front = sorted(best, key=lambda o: getattr(o, name))
        axes.scatter(
            [getattr(o, name) for o in on_front],
            [o.specificity for o in on_front],
            s=34,
            color=_BLUE,
            label="not dominated",
            zorder=3,
        )
        if choice is not None:
            axes.scatter(
                [getattr(choice, name)],
                [choice.specificity],
                s=150,
                marker="*",
                color=_VERMILION,
                label=f"knee: trial {choice.trial}",
                zorder=4,
            )
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("specificity at the recall floor, validation, int8")
    panels[1].legend(loc="lower right", frameon=False)
    figure.suptitle(
        f"{len(fine)} trials within the budget, {len(best)} of them not dominated in recall, specificity, latency, size"
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
