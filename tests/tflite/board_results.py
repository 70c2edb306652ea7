"""Result files as boards would bring them back: made up, of the right shape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tflite.files import write_json
from tflite.results import FORMAT


def make_row(model: str, threads: int, p50: float, delegate: str = "xnnpack", **more: Any) -> dict[str, Any]:
    """A row of a benchmark without accuracy, unless `more` brings some."""
    row = {"model": model, "threads": threads, "delegate": delegate, "p50_ms": p50, "p90_ms": 1.1 * p50}
    return row | {"latencies_ms": [p50, p50], "sustained": None} | more


def make_series(p50: float, minutes: float = 10, fps: float | None = 15, throttles: bool = True) -> dict[str, Any]:
    """Columns and series of a load in which the board warms up, slows down from 80 degrees, and falls behind."""
    seconds = round(60 * minutes)
    warmth = [85 - 40 * math.exp(-second / 150) for second in range(seconds)]
    slow = [throttles and degrees > 80 for degrees in warmth]
    latency = [p50 * (1.4 if hot else 1.0) * (1 + 0.03 * (second % 7)) for second, hot in enumerate(slow)]
    late = [0 if fps is None or value < 1e3 / fps else 3 for value in latency]
    return {
        "sustained_fps": fps,
        "sustained": {
            "bins": {
                "t_s": [float(second + 1) for second in range(seconds)],
                "decisions": [round(fps or 1e3 / p50) - drop for drop in late],
                "p50_ms": latency,
                "max_ms": [1.3 * value for value in latency],
                "late": late,
                "dropped": late,
            },
            "samples": {
                "t_s": [float(second) for second in range(seconds)],
                "temperature_c": [min(degrees, 82.0) for degrees in warmth],
                "clock_mhz": [1500.0 if hot else 1800.0 for hot in slow],
                "throttled": ["0x80008" if hot else "0x0" for hot in slow],
                "power_w": [5.2 if hot else 5.9 for hot in slow],
            },
        },
    }


def make_record(board: str, rows: list[dict[str, Any]], created: str = "2025-06-01T12:00:00Z") -> dict[str, Any]:
    """A whole result of a board."""
    slug = f"aarch64-{board.lower().replace(' ', '-')}-4cores"
    return {
        "format": FORMAT,
        "created": created,
        "environment": {
            "hardware": {"cpu": board, "cores": 4, "slug": slug},
            "board": {"model": board, "cpu": "Cortex-A72", "memory_mb": 3978, "os": "Debian GNU/Linux 12 (bookworm)"},
            "python": "3.11.2",
            "litert": "2.3.0",
        },
        "rows": rows,
        "compare": [],
    }


def write_record(path: Path, board: str, rows: list[dict[str, Any]], **more: Any) -> Path:
    """Write a result file."""
    write_json(path, make_record(board, rows, **more))
    return path
