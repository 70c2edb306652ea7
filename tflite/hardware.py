"""Which machine this is: a latency without its hardware means nothing. Standard library only."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

# Trade marks and clock rates that would make file names long and say nothing about which chip it is.
_NOISE = re.compile(r"\((?:r|tm|c)\)|@.*|\bcpu\b|\bprocessor\b|\b\d+-core\b|\brev(?:ision)? [\d.]+", re.IGNORECASE)


def describe(root: str | Path = "/") -> dict[str, Any]:
    """CPU, cores, clock governor and temperature of this machine.

    Args:
        root: where /proc and /sys lie; another folder in tests.

    Returns:
        "cpu" (board name on a Raspberry Pi), "cores" (usable by this process), "arch", "governor" and "temperature_c"
        (None where the system does not tell), and "slug" for file names.
    """
    root = Path(root)
    arch = platform.machine() or "unknown"
    cpu = _cpu_model(root) or "unknown-cpu"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "cpu": cpu,
        "cores": cores,
        "arch": arch,
        "governor": governor(root),
        "temperature_c": temperature(root),
        "slug": slug(f"{arch} {_NOISE.sub(' ', cpu)} {cores}cores"),
    }


def governor(root: str | Path = "/") -> str | None:
    """Clock governor of the first core, such as "performance" or "ondemand", or None where it cannot be read."""
    return _read(Path(root) / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def temperature(root: str | Path = "/") -> float | None:
    """Degrees Celsius of the first thermal zone, or None. A Pi slows down from 80."""
    text = _read(Path(root) / "sys/class/thermal/thermal_zone0/temp")
    try:
        return int(text) / 1000 if text is not None else None
    except ValueError:
        return None


def runtime_version() -> str:
    """Version of the installed ai-edge-litert, or "none"."""
    from importlib import metadata  # slow to import, and --help needs to be quick

    try:
        return metadata.version("ai-edge-litert")
    except metadata.PackageNotFoundError:
        return "none"


def slug(text: str) -> str:
    """Lower-case letters, digits, dots and underscores joined by single hyphens, for file names."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def _cpu_model(root: Path) -> str | None:
    # The device tree names the board ("Raspberry Pi 4 Model B Rev 1.4"), which says more than the core's name.
    board = _read(root / "proc/device-tree/model")
    if board:
        return board
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("model name", "model", "hardware") and not value.strip().isdigit():
            return value.strip()
    return platform.processor() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
