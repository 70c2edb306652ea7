"""The result file of a benchmark: one JSON per machine with everything, and a CSV with one row per model and setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflite import hardware
from tflite.errors import CrackError
from tflite.files import read_json, write_csv, write_json

FORMAT = "crack_tf.benchmark/1"
RESULT_FILES = ("benchmark-*.json", "benchmark-*.csv", "benchmark-*.png")  # the pictures with "-sustained" among them
# Entries of a row that hold series; tables leave them out.
SERIES = ("latencies_ms", "sustained")
_MOST = 1e15  # larger than any number in a result
_TEXTS = ("model", "delegate")
_NUMBERS = ("threads", "p50_ms", "p90_ms")
# Drawn and printed where present; a file from elsewhere may hold anything there.
_OPTIONAL_NUMBERS = (
    *("p99_ms", "total_p50_ms", "auc", "recall", "recall_low", "recall_high"),
    *("specificity", "specificity_low", "specificity_high", "joules_per_decision", "joules_per_decision_gross"),
    *("late", "dropped", "decisions", "sustained_s", "sustained_fps", "sustained_last_p50_ms"),
    *("temperature_c", "temperature_max_c", "clock_min_mhz"),
)
# Series under "sustained": names that hold a number at every place, and names that may hold None.
_SERIES_PARTS = {
    "bins": (("t_s", "decisions", "late", "dropped"), ("p50_ms", "max_ms")),
    "samples": (("t_s",), ("temperature_c", "clock_mhz", "power_w")),
}


def result_path(folder: str | Path, suffix: str) -> Path:
    """Where this machine's results go: benchmark-<hardware>-litert<version><suffix> in `folder`."""
    return Path(folder) / f"benchmark-{hardware.describe()['slug']}-litert{hardware.runtime_version()}{suffix}"


def write_result(record: Mapping[str, Any], json_path: Path, csv_path: Path) -> None:
    """Write a record and its table."""
    write_json(json_path, record)
    write_csv(csv_path, flat_rows(record))


def flat_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows without series, each headed by the machine it was measured on; what an older file does not tell is None."""
    surroundings = record["environment"]
    board = surroundings.get("board") or {}
    head = {
        "hardware": surroundings["hardware"]["slug"],
        "litert": surroundings.get("litert"),
        "python": surroundings.get("python"),
    }
    tail = {
        "board": board_name(record),
        "cpu": board.get("cpu"),
        "int8_dot_product": board.get("int8_dot_product"),
        "memory_mb": board.get("memory_mb"),
        "os": board.get("os"),
        "clock_max_mhz": board.get("clock_max_mhz"),
    }
    return [head | {name: value for name, value in row.items() if name not in SERIES} | tail for row in record["rows"]]


def board_name(record: Mapping[str, Any]) -> str:
    """What a person calls the machine: the board's name, on a PC the CPU's."""
    return str(record["environment"]["hardware"]["cpu"])


def read_result(path: str | Path) -> dict[str, Any]:
    """Read and check a result file; it may come from another machine, and from anybody.

    Raises:
        CrackError: if it is missing, damaged, of another format, or lacks what every row has.
    """
    record = read_json(path)
    found = record.get("format")
    if found != FORMAT:
        raise CrackError(
            f"{path} has format {found!r}, expected {FORMAT!r}. Give the .json that tflite.benchmark wrote."
        )
    try:
        _check(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise CrackError(f"{path} is damaged ({reason}). Copy it again, or measure again.") from None
    return record


def _check(record: dict[str, Any]) -> None:
    machine = record["environment"]["hardware"]
    for name in ("slug", "cpu"):
        _expect(isinstance(machine[name], str), f"environment.hardware.{name} is not text")
    _expect(isinstance(record["created"], str), "created is not text")
    _expect(isinstance(record["environment"].get("board") or {}, dict), "environment.board is not an object")
    _expect(isinstance(record["rows"], list), "rows is not a list")
    for place, row in enumerate(record["rows"], start=1):
        for name in _TEXTS:
            _expect(isinstance(row[name], str), f"{name} of row {place} is not text")
        for name in _NUMBERS:
            _expect(_is_number(row[name]), f"{name} of row {place} is not a number")
        for name in _OPTIONAL_NUMBERS:
            _expect(row.get(name) is None or _is_number(row[name]), f"{name} of row {place} is not a number")
        _expect(row["p50_ms"] > 0, f"p50_ms of row {place} is not above 0")
        if row.get("sustained") is not None:
            _check_series(row["sustained"], place)


def _check_series(series: Any, place: int) -> None:
    for part, (always, sometimes) in _SERIES_PARTS.items():
        length = len(series[part]["t_s"])
        _expect(length > 0, f"sustained.{part} of row {place} is empty")
        for name in (*always, *sometimes):
            values = series[part][name]
            whole = all(_is_number(value) or (value is None and name in sometimes) for value in values)
            _expect(
                whole and len(values) == length, f"sustained.{part}.{name} of row {place} is not {length} numbers long"
            )
    bits = series["samples"]["throttled"]
    whole = all(text is None or int(text, 16) >= 0 for text in bits)
    _expect(
        whole and len(bits) == len(series["samples"]["t_s"]), f"sustained.samples.throttled of row {place} is no series"
    )


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _is_number(value: Any) -> bool:
    # Not NaN, not infinite, nor an integer of a thousand digits, which JSON may hold and no plot can draw.
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST
