"""Merge the results of many boards into one table and one plot. Needs nothing but the files; plots need matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tflite import hardware
from tflite.errors import CrackError
from tflite.files import read_json, write_csv
from tflite.outputs import Output, check_file, csv_with
from tflite.plots import report_plot, sustained_plot
from tflite.results import FORMAT, board_name, flat_rows, read_result
from tflite.tables import format_table, number


def write_report(sources: Sequence[Path], out: Path, overwrite: bool) -> None:
    """Print and write report.csv, and where matplotlib is installed report.png and one sustained-<board>.png per board.

    Args:
        sources: result files, or folders that are searched for them.
        out: folder for the report.
        overwrite: replace an earlier report.

    Raises:
        CrackError: if a source is missing, damaged or of another format, there are no rows, or `out` holds a report.
    """
    table, picture = out / "report.csv", out / "report.png"
    output = Output("tflite.benchmark --report", lambda _: csv_with("", "board", "model", "threads", "p50_ms")(table))
    for path in (table, picture, *out.glob("sustained-*.png")):  # pictures of another report would not show these rows
        check_file(path, output, overwrite, inputs=sources)
    records = [(path, read_result(path)) for path in find_results(sources)]
    rows = merge(records)
    write_csv(table, [{name: value for name, value in row.items() if name != "sustained"} for row in rows])
    print(format_table(rows, _columns(rows)))
    print(f"\n{table}")
    _draw(rows, picture)


def find_results(sources: Sequence[Path]) -> list[Path]:
    """The result files named, and those in the folders named; other JSON files in a folder are passed over, with a line.

    Raises:
        CrackError: if a source is missing, a file in a folder is no JSON object, or a folder holds no result.
    """
    found: list[Path] = []
    for source in sources:
        if not source.is_dir():
            found.append(source)
            continue
        files = sorted(source.rglob("*.json"))
        results = [path for path in files if read_json(path).get("format") == FORMAT]
        if not results:
            raise CrackError(
                f"{source} holds no benchmark result. Give a folder with the .json files of tflite.benchmark."
            )
        others = [path.name for path in files if path not in results]
        if others:
            print(f"{source}: {len(others)} other JSON file(s) passed over ({', '.join(others[:3])})", file=sys.stderr)
        found += results
    # One file may be named twice, itself and by its folder.
    return list({path.resolve(): path for path in found}.values())


def merge(records: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """All rows with their machine; of rows alike in hardware, model, threads and delegate the newest, and a line says so.

    Rows of one file whose models' hashes differ are two models of one name, and both are kept.

    Args:
        records: (path, content) of result files.

    Returns:
        Rows in order of board, model, delegate and threads, each with its machine, "created", "file" and "sustained".

    Raises:
        CrackError: if there are no rows.
    """
    newest: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for path, record in sorted(records, key=lambda entry: entry[1]["created"]):
        for row, flat in zip(record["rows"], flat_rows(record), strict=True):
            key = tuple(flat[name] for name in ("hardware", "model", "threads", "delegate"))
            kept = []
            for other in newest.get(key, []):
                if other["file"] == str(path) and other.get("sha256") != flat.get("sha256"):
                    kept.append(other)
                    continue
                print(
                    f"{board_name(record)}, {flat['model']}, {flat['threads']} thread(s), {flat['delegate']}: measured twice; "
                    f"took {path} of {record['created']}, left out {other['file']} of {other['created']}",
                    file=sys.stderr,
                )
            created = record["created"]
            newest[key] = [*kept, flat | {"created": created, "file": str(path), "sustained": row.get("sustained")}]
    if not newest:
        raise CrackError("the result files hold no row: each measurement was interrupted before its first one ended.")
    rows = [row for alike in newest.values() for row in alike]
    return sorted(rows, key=lambda row: (row["board"], row["hardware"], *_order(row)))


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["model"], row["delegate"], row["threads"]


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "board": lambda row: row["board"],
        "LiteRT": lambda row: str(row["litert"]),
        "model": lambda row: row["model"],
        "threads": lambda row: str(row["threads"]),
        "delegate": lambda row: row["delegate"],
        "p50 ms": lambda row: number(row["p50_ms"]),
        "p90 ms": lambda row: number(row["p90_ms"]),
    }
    optional: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        "JPEG->decision ms": ("total_p50_ms", lambda row: number(row.get("total_p50_ms"))),
        "recall": ("recall", lambda row: number(row.get("recall"), 4)),
        "specificity": ("specificity", lambda row: number(row.get("specificity"), 4)),
        "max C": ("temperature_max_c", lambda row: number(row.get("temperature_max_c"), 1)),
        "hot p50 ms": ("sustained_last_p50_ms", lambda row: number(row.get("sustained_last_p50_ms"))),
        "mJ/decision": ("joules_per_decision", lambda row: number(_milli(row.get("joules_per_decision")), 1)),
        "slowed by": ("throttled_during", lambda row: str(row.get("throttled_during") or "-")),
    }
    return columns | {name: cell for name, (key, cell) in optional.items() if any(row.get(key) for row in rows)}


def _milli(value: float | None) -> float | None:
    return None if value is None else value * 1e3


def _draw(rows: Sequence[Mapping[str, Any]], picture: Path) -> None:
    boards: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["sustained"] is not None:
            boards.setdefault(row["hardware"], []).append(row)
    for stale in (picture, *picture.parent.glob("sustained-*.png")):
        stale.unlink(missing_ok=True)  # an earlier report's pictures would not show these rows
    try:
        report_plot(rows, picture)
        print(picture)
        for slug, loaded in boards.items():
            path = picture.with_name(f"sustained-{hardware.slug(slug)}.png")
            sustained_plot(loaded, path, title=loaded[0]["board"])
            print(path)
    except CrackError as error:
        print(f"no picture: {error}")
