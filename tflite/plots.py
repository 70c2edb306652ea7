"""Pictures of benchmark rows. Host side: needs matplotlib, which is imported only when a picture is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tflite.drawn import METADATA
from tflite.errors import CrackError
from tflite.files import atomic_path

_MARKERS = "osD^vP*X"
_MOST_BARS = 60  # more cannot be read in one picture
_WIDE_RANGE = 15.0  # from here on a logarithmic axis shows more
_SLOWED_NOW = 0xF  # the throttling bits of the moment


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
    with_accuracy = any(row.get("recall") is not None for row in rows)
    height = 4.8 if with_accuracy else 1.6 + 0.45 * len(rows)
    with _picture(path, 11 if with_accuracy else 8, height, title) as figure:
        if with_accuracy:
            _scatter(figure, rows)
        else:
            _bars(figure, rows)


def sustained_plot(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str = "") -> None:
    """Draw what minutes of load did: latency, frames that were late or dropped, temperature, clock and power over time.

    Args:
        rows: with "sustained" series (`tflite.sustained.Sustained.series`); others are left out.
        path: of the picture; its suffix chooses the format.
        title: above the picture, usually the hardware.

    Raises:
        CrackError: if no row has a series or matplotlib is not installed.
    """
    rows = [row for row in rows if row.get("sustained") is not None]
    if not rows:
        raise CrackError("no row was measured under sustained load: there is nothing to plot.")
    # A panel is drawn where there is something to show in it.
    samples = {
        "temperature_c": "temperature, °C",
        "clock_mhz": "clock, MHz",
        "power_w": "power, W",
    }
    known = [name for name in samples if any(_has(row["sustained"]["samples"][name]) for row in rows)]
    missed = any(row.get("sustained_fps") is not None for row in rows)
    panels = 1 + missed + len(known)
    with _picture(path, 9, 1.4 + 1.9 * panels, title) as figure:
        axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
        _latency_panel(axes[0], rows)
        if missed:
            _missed_panel(axes[1], rows)
        for axis, name in zip(axes[1 + missed :], known, strict=True):
            for color, row in enumerate(rows):
                series = row["sustained"]["samples"]
                _line(axis, series["t_s"], series[name], color)
            axis.set_ylabel(samples[name])
            axis.margins(y=0.15)
        for axis in axes:
            _shade_throttling(axis, rows)
            axis.grid(alpha=0.3)
        handles, labels = axes[0].get_legend_handles_labels()
        if any(any(_slowed(row)) for row in rows):
            handles.append(axes[0].fill_between([0], [0], [0], color="0.85"))
            labels.append("shaded: slowed by the firmware")
        axes[-1].set_xlim(0, max(row["sustained"]["bins"]["t_s"][-1] for row in rows) / 60)
        axes[-1].set_xlabel("minutes under load")
        figure.legend(handles, labels, loc="outside lower center", ncols=min(2, len(labels)), fontsize=8)


def report_plot(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Draw the latency of every model and setting on every board, and joules per decision where they were measured.

    Args:
        rows: of `tflite.report.merge`.
        path: of the picture; its suffix chooses the format.

    Raises:
        CrackError: if there are no rows or matplotlib is not installed.
    """
    if not rows:
        raise CrackError("there are no benchmark rows to plot.")
    shown, note = list(rows), ""
    if len(shown) > _MOST_BARS:
        fastest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for row in sorted(rows, key=lambda row: row["p50_ms"]):
            fastest.setdefault((row["hardware"], row["model"], row["delegate"]), row)
        shown, note = [row for row in rows if row in fastest.values()], " (fastest thread count of each)"
    labels = _board_labels(rows)
    energy = any(row.get("joules_per_decision") is not None for row in shown)
    shown.sort(key=lambda row: (row["model"], row["delegate"], row["threads"]))
    names = list(dict.fromkeys(f"{row['model']}, {_setting(row)}" for row in shown))
    bars = [(names.index(f"{row['model']}, {_setting(row)}"), row) for row in shown]
    boards = list(dict.fromkeys(row["hardware"] for row in shown))
    with _picture(path, 13 if energy else 9, 1.9 + 0.24 * (len(bars) + len(names)), f"All boards{note}") as figure:
        axes = figure.subplots(1, 2 if energy else 1, sharey=True, squeeze=False)[0]
        places, ticks = _bar_places(bars, boards)
        colors = [f"C{boards.index(row['hardware']) % 10}" for _, row in bars]
        _latency_bars(axes[0], places, [row for _, row in bars], colors)
        if energy:
            _energy_bars(axes[1], places, [row for _, row in bars], colors)
        axes[0].set_yticks(ticks, names, fontsize=8)
        axes[0].set_ylim(max(places) + 1, min(places) - 1)
        for axis in axes:
            axis.grid(axis="x", alpha=0.3)
            axis.set_axisbelow(True)
        keys = [axes[0].barh([0], [0], color=f"C{number % 10}") for number in range(len(boards))]
        figure.legend(keys, [labels[board] for board in boards], loc="outside lower center", ncols=2, fontsize=8)


def _latency_bars(axis: Any, places: list[float], rows: list[Mapping[str, Any]], colors: list[str]) -> None:
    p50 = [row["p50_ms"] for row in rows]
    p90 = [max(row["p90_ms"], row["p50_ms"]) for row in rows]
    whiskers = [[0.0] * len(rows), [high - low for low, high in zip(p50, p90, strict=True)]]
    axis.barh(places, p50, xerr=whiskers, height=0.8, color=colors, ecolor="0.3", capsize=2)
    _bar_texts(axis, places, p90, [f"{value:.1f}" for value in p50])
    axis.set_xlabel("latency p50 (bar) and p90 (whisker), ms per tile")
    axis.margins(x=0.12)
    if max(p50) / min(p50) > _WIDE_RANGE:
        axis.set_xscale("log")
        axis.set_xlim(left=min(p50) / 2)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _energy_bars(axis: Any, places: list[float], rows: list[Mapping[str, Any]], colors: list[str]) -> None:
    """For those rows that have it measured."""
    joules = [row.get("joules_per_decision") for row in rows]
    known = [(p, 1e3 * j, c) for p, j, c in zip(places, joules, colors, strict=True) if j is not None]
    at, heights = [p for p, _, _ in known], [value for _, value, _ in known]
    axis.barh(at, heights, height=0.8, color=[c for _, _, c in known])
    _bar_texts(axis, at, [max(0.0, v) for v in heights], [f"{v:.1f}" for v in heights])
    axis.set_xlabel("energy above idle, mJ per decision")
    axis.margins(x=0.12)


@contextmanager
def _picture(path: str | Path, width: float, height: float, title: str) -> Iterator[Any]:
    """A figure that is saved when the block ends."""
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise CrackError("plots need matplotlib: pip install matplotlib") from None
    # File names may hold dollar signs, which are no formulas.
    with rc_context({"text.parse_math": False}):
        # A Figure of its own, not pyplot: no global state, no window, whatever backend the user's notebook has chosen.
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        if title:
            figure.suptitle(title)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=120, format="png", metadata=METADATA)


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
    _bar_texts(axis, places, [row["p90_ms"] for row in rows], [f"{row['p50_ms']:.2f}" for row in rows])
    axis.set_yticks(places, names, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    axis.set_xlabel("latency p50 (bar) and p90 (whisker), ms per tile")


def _bar_texts(axis: Any, places: Sequence[float], ends: Sequence[float], texts: Sequence[str]) -> None:
    for place, end, text in zip(places, ends, texts, strict=True):
        axis.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center", fontsize=8)


def _bar_places(
    bars: Sequence[tuple[int, Mapping[str, Any]]], boards: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Where each bar goes, in groups of one name with a gap between, and where each group's name goes."""
    order = sorted(range(len(bars)), key=lambda place: (bars[place][0], boards.index(bars[place][1]["hardware"])))
    places = [0.0] * len(bars)
    groups: dict[int, list[float]] = {}
    for rank, place in enumerate(order):
        group = bars[place][0]
        places[place] = rank + group  # one bar's height of gap per group before
        groups.setdefault(group, []).append(places[place])
    return places, [sum(members) / len(members) for _, members in sorted(groups.items())]


def _board_labels(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What to call each machine: its board, with what tells it from another of the same name."""
    boards = {row["hardware"]: row["board"] for row in rows}
    names = list(boards.values())
    return {slug: board if names.count(board) == 1 else f"{board} ({slug})" for slug, board in boards.items()}


def _latency_panel(axis: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for color, row in enumerate(rows):
        bins = row["sustained"]["bins"]
        name = f"{row['model']}, {_setting(row)}"
        fps = row.get("sustained_fps")
        _line(axis, bins["t_s"], bins["p50_ms"], color, label=f"{name}, {'unpaced' if fps is None else f'{fps:g}/s'}")
        _line(axis, bins["t_s"], bins["max_ms"], color, linewidth=0.8, alpha=0.4)
    for fps in sorted({row["sustained_fps"] for row in rows if row.get("sustained_fps")}):
        axis.axhline(1e3 / fps, color="0.4", linestyle="--", linewidth=1)
        axis.annotate(
            f"deadline at {fps:g}/s",
            (1, 1e3 / fps),
            (-4, 3),
            ("axes fraction", "data"),
            "offset points",
            fontsize=8,
            ha="right",
        )
    axis.set_ylabel("latency, ms\np50 and (pale) max")
    axis.set_ylim(bottom=0)


def _missed_panel(axis: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for color, row in enumerate(rows):
        bins = row["sustained"]["bins"]
        if row.get("sustained_fps") is None:
            continue
        missed = [late + dropped for late, dropped in zip(bins["late"], bins["dropped"], strict=True)]
        due = [decided + dropped for decided, dropped in zip(bins["decisions"], bins["dropped"], strict=True)]
        share = [100 * part / whole if whole else None for part, whole in zip(missed, due, strict=True)]
        _line(axis, bins["t_s"], share, color)
    axis.set_ylabel("late or\ndropped, %")
    axis.set_ylim(-4, 104)


def _slowed(row: Mapping[str, Any]) -> list[bool]:
    """At which samples the firmware said that it slows the board."""
    texts = row["sustained"]["samples"]["throttled"]
    return [text is not None and bool(int(text, 16) & _SLOWED_NOW) for text in texts]


def _shade_throttling(axis: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """A pale stretch of the row's colour wherever the firmware slowed the board."""
    for color, row in enumerate(rows):
        minutes = [second / 60 for second in row["sustained"]["samples"]["t_s"]]
        slowed = _slowed(row)
        shaded = [now or before for now, before in zip(slowed, [False, *slowed], strict=False)]  # to the next sample
        style = {"color": f"C{color % 10}", "alpha": 0.15, "linewidth": 0, "transform": axis.get_xaxis_transform()}
        axis.fill_between(minutes, 0, 1, where=shaded, step="post", **style)


def _line(axis: Any, seconds: Sequence[float], values: Sequence[float | None], color: int, **style: Any) -> None:
    minutes = [second / 60 for second in seconds]
    axis.plot(minutes, [float("nan") if value is None else value for value in values], color=f"C{color % 10}", **style)


def _has(values: Sequence[Any]) -> bool:
    return any(value is not None for value in values)


def _setting(row: Mapping[str, Any]) -> str:
    threads = row["threads"]
    return f"{threads} thread{'s' if threads != 1 else ''}, {row['delegate']}"
