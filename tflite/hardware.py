"""Which machine this is and how hot it runs: a latency without its hardware means nothing. Standard library only.

Every function takes the root of the file system, so that tests can describe a board that is not there. `vcgencmd`, the
Raspberry Pi firmware's own tool, is used where it is on PATH: only the firmware knows that it throttled.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Trade marks and clock rates that would make file names long and say nothing about which chip it is.
_NOISE = re.compile(r"\((?:r|tm|c)\)|@.*|\bcpu\b|\bprocessor\b|\b\d+-core\b|\brev(?:ision)? [\d.]+", re.IGNORECASE)

# Bits of `vcgencmd get_throttled` that hold now; the same 16 places higher: has happened since the board started.
# Source: Raspberry Pi documentation, https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLE_BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16

# "CPU part" of /proc/cpuinfo for implementer 0x41. Source: Linux, arch/arm64/include/asm/cputype.h
_ARM_CORES = {
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE",
}
# CPU flags of the instructions that multiply and add int8 four at a time: a factor of two to four for int8 models.
_DOT_PRODUCT = frozenset({"asimddp", "avx_vnni", "avx512_vnni"})
_VCGENCMD_SECONDS = 5.0


@dataclass(frozen=True)
class Snapshot:
    """What changes while a board works. None where the system does not tell.

    Attributes:
        temperature_c: of the processor, in degrees Celsius.
        clock_mhz: of the first core, as it runs now.
        governor: of the clock, such as "performance" or "ondemand".
        throttled: the firmware's bits (see `throttle_flags`); Raspberry Pi only.
    """

    temperature_c: float | None
    clock_mhz: float | None
    governor: str | None
    throttled: int | None


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
    # The device tree names the board ("Raspberry Pi 4 Model B Rev 1.4"), which says more than the core's name.
    cpu = board_model(root) or _cpu_model(root) or "unknown-cpu"
    cores = _cores()
    return {
        "cpu": cpu,
        "cores": cores,
        "arch": arch,
        "governor": governor(root),
        "temperature_c": temperature(root),
        "slug": slug(f"{arch} {_NOISE.sub(' ', cpu)} {cores}cores"),
    }


def board(root: str | Path = "/") -> dict[str, Any]:
    """Everything about this machine that a latency depends on, with its present state. None where it is unknown.

    Args:
        root: where /proc, /sys and /etc lie; another folder in tests.

    Returns:
        "model" (of the board; None on a PC), "cpu" (of a core, such as "Cortex-A72"), "int8_dot_product" (whether the CPU
        has such instructions), "cores" (usable by this process), "memory_mb" (of 1e6 bytes), "arch", "os", "kernel",
        "clock_min_mhz", "clock_max_mhz", and of the moment "clock_mhz", "governor", "temperature_c", "throttled" (the
        firmware's bits as hexadecimal text), "throttled_now" and "throttled_since_boot" (lists of names).
    """
    root = Path(root)
    state = snapshot(root)
    now, since_boot = throttle_flags(state.throttled or 0)
    known = state.throttled is not None
    return {
        "model": board_model(root),
        "cpu": _cpu_model(root),
        "int8_dot_product": _dot_product(root),
        "cores": _cores(),
        "memory_mb": _memory_mb(root),
        "arch": platform.machine() or None,
        "os": _os_name(root),
        "kernel": platform.release() or None,
        "clock_min_mhz": _megahertz(_cpufreq(root) / "cpuinfo_min_freq"),
        "clock_max_mhz": _megahertz(_cpufreq(root) / "cpuinfo_max_freq"),
        "clock_mhz": state.clock_mhz,
        "governor": state.governor,
        "temperature_c": state.temperature_c,
        "throttled": throttled_text(state.throttled),
        "throttled_now": now if known else None,
        "throttled_since_boot": since_boot if known else None,
    }


def snapshot(root: str | Path = "/") -> Snapshot:
    """Temperature, clock, governor and throttling at this moment. Takes a few milliseconds where vcgencmd is asked."""
    root = Path(root)
    return Snapshot(temperature(root), clock(root), governor(root), throttled(root))


def board_model(root: str | Path = "/") -> str | None:
    """Name of the board, such as "Raspberry Pi 5 Model B Rev 1.0", from the device tree; None on a PC."""
    named = _read(Path(root) / "proc/device-tree/model")
    if named is None:
        named = _cpuinfo(Path(root)).get("model")  # Raspberry Pi OS repeats it here; on a PC this is a bare number
    return None if named is None or named.isdigit() else named


def governor(root: str | Path = "/") -> str | None:
    """Clock governor of the first core, such as "performance" or "ondemand", or None where it cannot be read."""
    return _read(_cpufreq(Path(root)) / "scaling_governor")


def temperature(root: str | Path = "/") -> float | None:
    """Degrees Celsius of the processor, or None. A Pi slows down from 80.

    Read from the thermal zone that names the CPU, else from the first zone, else asked of vcgencmd.
    """
    zones = sorted((Path(root) / "sys/class/thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: not re.search("cpu|pkg", _read(zone / "type") or ""))  # stable: else in order of name
    for zone in zones[:1]:
        thousandths = _integer(_read(zone / "temp"))
        if thousandths is not None:
            return thousandths / 1000
    found = re.fullmatch(r"temp=(-?\d+(?:\.\d+)?)'C", _vcgencmd("measure_temp") or "")
    return float(found[1]) if found else None


def clock(root: str | Path = "/") -> float | None:
    """MHz at which the first core runs now, or None.

    On a Pi the firmware is asked: when it throttles, the kernel goes on reporting the clock it wanted.
    """
    root = Path(root)
    found = re.fullmatch(r"frequency\(\d+\)=(\d+)", _vcgencmd("measure_clock", "arm") or "")
    if found and int(found[1]):
        return round(int(found[1]) / 1e6, 1)
    megahertz = _megahertz(_cpufreq(root) / "scaling_cur_freq")
    if megahertz is not None:
        return megahertz
    text = _cpuinfo(root).get("cpu mhz", "")  # x86
    try:
        return round(float(text), 1)
    except ValueError:
        return None


def throttled(root: str | Path = "/") -> int | None:
    """The firmware's throttling bits (see `throttle_flags`), or None on anything but a Raspberry Pi."""
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", _vcgencmd("get_throttled") or "")
    if found:
        return int(found[1], 16)
    # Second choice: the kernel calls this file deprecated and logs a warning when it is read for the first time.
    text = _read(Path(root) / "sys/devices/platform/soc/soc:firmware/get_throttled") or ""
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]+", text) else None


def throttle_flags(value: int) -> tuple[list[str], list[str]]:
    """Names of what the firmware's bits say: what holds now, and what has happened since the board started."""
    now = [name for bit, name in THROTTLE_BITS.items() if value >> bit & 1]
    since_boot = [name for bit, name in THROTTLE_BITS.items() if value >> (bit + _SINCE_BOOT) & 1]
    return now, since_boot


def throttling(*values: int | None) -> list[str]:
    """What slowed the board while these bits were read, in the order of time.

    A name is given when it held at one of the readings, or when its "since boot" bit was set after the first reading. A bit
    that was set before says nothing about the time since, so it does not count. Unknown readings are left out.
    """
    known = [value for value in values if value is not None]
    if not known:
        return []
    seen = 0
    for value in known:
        seen |= value | (value & ~known[0]) >> _SINCE_BOOT
    return throttle_flags(seen)[0]


def throttled_text(value: int | None) -> str | None:
    """The bits as vcgencmd prints them, such as "0x50000"."""
    return None if value is None else f"{value:#x}"


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model(root: Path) -> str | None:
    facts = _cpuinfo(root)
    if facts.get("cpu implementer") == "0x41" and (part := _integer(facts.get("cpu part"), 0)) is not None:
        return _ARM_CORES.get(part, f"Arm part {part:#x}")
    return facts.get("model name") or facts.get("hardware") or platform.processor() or None


def _dot_product(root: Path) -> bool | None:
    facts = _cpuinfo(root)
    flags = facts.get("features", facts.get("flags"))
    return None if flags is None else not _DOT_PRODUCT.isdisjoint(flags.split())


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first value of each entry of /proc/cpuinfo, by lower-case name."""
    facts: dict[str, str] = {}
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if value.strip():
            facts.setdefault(name.strip().lower(), value.strip())
    return facts


def _memory_mb(root: Path) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _read(root / "proc/meminfo") or "", re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6) if found else None


def _os_name(root: Path) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read(root / "etc/os-release") or "", re.MULTILINE)
    return found[1].strip() if found else None


def _cpufreq(root: Path) -> Path:
    return root / "sys/devices/system/cpu/cpu0/cpufreq"


def _megahertz(path: Path) -> float | None:
    kilohertz = _integer(_read(path))
    return None if kilohertz is None else round(kilohertz / 1000, 1)


def _integer(text: str | None, base: int = 10) -> int | None:
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def _vcgencmd(*arguments: str) -> str | None:
    """What vcgencmd answers, or None where there is none or it fails (no Pi firmware, or no right to ask it)."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    import subprocess  # only where it is needed, so that --help stays quick

    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_VCGENCMD_SECONDS, check=False
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
