"""Faithfulness runs of `crack-tf explain` on several kinds of tiles, put together.

What it makes, without any picture of a tile:

    faithfulness.csv   a row for each source of tiles, model, method and subset; the source "all" is all tiles together
    sanity.csv         rank correlation with the maps of untrained weights
    completeness.csv   whether Integrated Gradients add up to the difference of the logits, and after how many steps
    curves.png         mean deletion and insertion curves over all tiles
    localisation.png   share of the maps inside the cracks, and the pointing game, by source
    summary.md         the tables to read

Cost: seconds.
Expected: docs/explain.md.
Command: python -m studies.explain_summary RUN ... --out results/explain; `make explain-results` makes the runs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.cli import Parser, named_path, run_main
from tflite.errors import CrackError
from tflite.outputs import Output, check_folder, csv_with, making

if TYPE_CHECKING:
    from crack_tf.explain.store import Explained

ALL = "all"
FILES = ("faithfulness.csv", "sanity.csv", "completeness.csv", "curves.png", "localisation.png", "summary.md")
OUTPUT = Output(
    "studies.explain_summary",
    lambda folder: all(csv_with(f"{name}.csv", "source", "model")(folder) for name in ("faithfulness", "completeness")),
    FILES,
)


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="python -m studies.explain_summary", description="Put faithfulness runs of crack-tf explain together."
    )
    parser.add_argument(
        "runs", nargs="+", type=named_path, metavar="RUN", help="folder of crack-tf explain --faithfulness"
    )
    parser.add_argument("--out", type=named_path, required=True, metavar="DIR", help=f"for {', '.join(FILES)}")
    parser.add_argument("--overwrite", action="store_true", help="replace these files")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Give the same command again with --overwrite.")


def run(args: argparse.Namespace) -> None:
    """Write the tables and pictures.

    Raises:
        CrackError: if a run is not finished or measured nothing, or a file exists and may not be replaced.
    """
    from crack_tf.explain.faithfulness import curves_plot
    from crack_tf.explain.store import read_run
    from crack_tf.explain.tables import entries_of
    from crack_tf.reporting.figures import shrink
    from tflite.files import write_bytes, write_csv, write_text

    check_folder(args.out, OUTPUT, args.overwrite, inputs=args.runs)
    sources: dict[str, list[Explained]] = {}
    for folder in args.runs:
        settings, tiles = read_run(folder)
        if settings["measuring"] is None:
            raise CrackError(f"{folder} measured nothing: make it with crack-tf explain --faithfulness.")
        source = next(iter(settings["models"].values()))["source"]
        if not all("inside" in entry for tile in tiles for entry in tile.measured["methods"].values()):
            raise CrackError(f"{folder}: its tiles have no masks. Take --data synthetic, or a segmentation set.")
        if source in sources:
            raise CrackError(f"{folder} has tiles of {source!r} again. Give one run of each source.")
        sources[source] = tiles
    tables = tables_of(sources)
    with making(args.out, OUTPUT, args.overwrite) as out:
        curves_plot(entries_of(_together(sources)), out / "curves.png")
        localisation_plot(tables["faithfulness.csv"], out / "localisation.png")
        for name in ("curves.png", "localisation.png"):
            write_bytes(out / name, shrink((out / name).read_bytes()))
        write_text(out / "summary.md", summary(tables))
        for name, rows in tables.items():  # last: they are the mark
            write_csv(out / name, rows, None if rows else ("source", "model", "method"))
    print("\n".join(str(args.out / name) for name in FILES))


def tables_of(sources: Mapping[str, Sequence[Explained]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the three tables by file name.

    Args:
        sources: tiles by where they come from, in the order wanted.
    """
    from crack_tf.explain.tables import measured_rows

    tables: dict[str, list[dict[str, Any]]] = {"faithfulness.csv": [], "sanity.csv": [], "completeness.csv": []}
    for source, tiles in {ALL: _together(sources), **sources}.items():
        measured = measured_rows(tiles)
        for name in ("faithfulness.csv", "sanity.csv"):
            tables[name] += [{"source": source, **row} for row in measured[name]]
        tables["completeness.csv"] += [{"source": source, **row} for row in completeness_rows(tiles)]
    return tables


def completeness_rows(tiles: Sequence[Explained]) -> list[dict[str, Any]]:
    """A row for each model and method of Integrated Gradients: maps that add up within 1 %, steps, and the worst error."""
    import numpy as np

    from crack_tf.explain.drawing import completeness

    groups: dict[tuple[str, str], list[Any]] = {}
    for tile in tiles:
        for part in tile.explanations:
            if "complete" in part.facts:
                groups.setdefault((tile.model, part.method), []).append(part)
    return [
        {
            "model": model,
            "method": method,
            "tiles": len(parts),
            "complete": sum(part.facts["complete"] for part in parts),
            "worst_error": max(completeness(part) for part in parts),
            "median_steps": float(np.median([part.facts["steps"] for part in parts])),
            "most_steps": max(part.facts["steps"] for part in parts),
        }
        for (model, method), parts in groups.items()
    ]


def summary(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The tables to read, as Markdown."""
    faithful = [row for row in tables["faithfulness.csv"] if row["subset"] == ALL]
    overall = [row for row in faithful if row["source"] == ALL]
    return (
        "\n\n".join(
            [
                "# How far the maps can be trusted",
                "All tiles together; means with 95 % bootstrap intervals over tiles, the pointing game with Wilson's. "
                "`crack_tf/explain/faithfulness.py` defines the figures.",
                _markdown(overall, {**_NAMES, **_CURVES, **_PLACES}),
                "## By source",
                _markdown(
                    [row for row in faithful if row["source"] != ALL],
                    {"tiles of": _text("source"), **_NAMES, **_PLACES},
                ),
                "## Sanity",
                "Rank correlation with the map of the same network with weights that were never trained; near 1, a map would show the "
                "picture and not the model.",
                _markdown([row for row in tables["sanity.csv"] if row["source"] == ALL], _SANITY),
                "## Completeness of Integrated Gradients",
                _markdown([row for row in tables["completeness.csv"] if row["source"] == ALL], _COMPLETENESS),
            ]
        )
        + "\n"
    )


def localisation_plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Share of the maps inside the cracks and the pointing game, for each source, a column of panels for each model.

    Args:
        rows: of faithfulness.csv.
        path: PNG to write.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from crack_tf.explain.faithfulness import COLOURS
    from tflite.drawn import METADATA
    from tflite.files import atomic_path

    rows = [row for row in rows if row["subset"] == ALL]
    models, methods, sources = (
        list(dict.fromkeys(row[name] for row in rows)) for name in ("model", "method", "source")
    )
    figure = Figure(figsize=(4.6 * len(models) + 1, 6.4), layout="constrained")
    panels = figure.subplots(2, len(models), sharex=True, sharey=True, squeeze=False)
    width = 0.8 / len(methods)
    for column, model in enumerate(models):
        for line, (name, title) in enumerate(
            (("inside", "share of the map on the crack"), ("pointing", "pointing game"))
        ):
            axes = panels[line][column]
            for number, method in enumerate(methods):
                found = {row["source"]: row for row in rows if (row["model"], row["method"]) == (model, method)}
                known = [place for place, source in enumerate(sources) if found[source][name] is not None]
                values, low, high = (
                    np.array([found[sources[place]][f"{name}{end}"] for place in known])
                    for end in ("", "_low", "_high")
                )
                where = np.array(known) + (number - (len(methods) - 1) / 2) * width
                axes.bar(where, values, width, color=COLOURS[method], label=method)
                axes.errorbar(
                    where, values, (values - low, high - values), fmt="none", ecolor="#444444", elinewidth=0.9
                )
            for place, source in enumerate(sources):
                area = next(row["mask_area"] for row in rows if (row["model"], row["source"]) == (model, source))
                axes.plot(
                    [place - 0.42, place + 0.42], [area, area], "k--", linewidth=1, label=_BLIND if place == 0 else None
                )
            axes.set_xticks(range(len(sources)), [source.replace("-grouped test", "") for source in sources])
            axes.set_ylim(0, 1.02)
            axes.grid(axis="y", alpha=0.3)
            axes.set_title(f"{model}: {title}", fontsize=9)
            axes.tick_params(labelsize=8)
    figure.legend(*panels[0][0].get_legend_handles_labels(), fontsize=8, ncols=6, loc="outside lower center")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=110, format="png", metadata=METADATA)


_BLIND = "a map that knows nothing"
Cell = Callable[[Mapping[str, Any]], str]


def _together(sources: Mapping[str, Sequence[Explained]]) -> list[Explained]:
    return [tile for tiles in sources.values() for tile in tiles]


def _text(name: str) -> Cell:
    return lambda row: str(row[name])


def _interval(name: str) -> Cell:
    def cell(row: Mapping[str, Any]) -> str:
        if row.get(name) is None:
            return "-"
        return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"

    return cell


def _pointing(row: Mapping[str, Any]) -> str:
    return f"{row['pointing_hits']}/{row['tiles']} [{row['pointing_low']:.2f}, {row['pointing_high']:.2f}]"


def _three(name: str) -> Cell:
    return lambda row: "-" if row[name] is None else f"{row[name]:.3f}"


_NAMES: dict[str, Cell] = {"model": _text("model"), "map": _text("method")}
_CURVES: dict[str, Cell] = {"deletion": _interval("deletion_auc"), "insertion": _interval("insertion_auc")}
_PLACES: dict[str, Cell] = {"inside": _interval("inside"), "mask area": _three("mask_area"), "pointing": _pointing}
_SANITY: dict[str, Cell] = {
    **_NAMES,
    "tiles": _text("tiles"),
    "median": _three("spearman_median"),
    "of absolute values": _three("spearman_abs_median"),
}
_COMPLETENESS: dict[str, Cell] = {
    **_NAMES,
    "within 1 %": lambda row: f"{row['complete']}/{row['tiles']}",
    "worst error": lambda row: f"{100 * row['worst_error']:.2f} %",
    "median steps": lambda row: f"{row['median_steps']:g}",
    "most steps": _text("most_steps"),
}


def _markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Cell]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cell(row) for cell in columns.values())} |" for row in rows)])


if __name__ == "__main__":
    sys.exit(main())
